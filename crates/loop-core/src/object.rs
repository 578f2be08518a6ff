//! A run's journal as the `LoopRun` object that the cluster would show.

use loop_api::phase::RunPhase;
use loop_api::run::{
    API_VERSION, Condition, KIND, LoopRun, LoopRunStatus, Metadata, ModelUsage, PostmortemStatus, Progress,
    RunResult, UsageStatus, WorktreeStatus, condition_reason, rfc3339,
};
use loop_api::usage::Usage;

use crate::machine::State;
use crate::store::RunDir;

/// Models of which a status tells, and characters of the name of one.
const MOST_MODELS: usize = 16;
const MODEL_NAME: usize = 255;

/// The object of a run; `alive` says whether an engine has it right now, `waiting` what that one waits for.
pub fn loop_run(state: &State, run: &RunDir, alive: bool, waiting: Option<&str>) -> Option<LoopRun> {
    let created = state.created.as_ref()?;
    let (tasks_done, tasks_total) = tasks(state);
    let status = LoopRunStatus {
        phase: state.phase,
        conditions: conditions(state, alive, waiting),
        progress: Progress {
            iteration: state.iteration,
            step: state.steps.last().map(|step| step.phase.clone()).unwrap_or_default(),
            tasks_done,
            tasks_total,
            last_event_time: rfc3339(state.last_ms),
        },
        usage: usage(state),
        counts: state.counts,
        worktree: state.worktree.as_ref().map(|facts| WorktreeStatus {
            provider: facts.provider.clone(),
            path: facts.worktree_path.clone(),
            base_commit: facts.base_commit.clone(),
            run_branch: facts.run_branch.clone(),
            head_commit: state.checkpoint.as_ref().map(|(head, _)| head.clone()).unwrap_or_default(),
            merge_commit: state.merged.as_ref().map(|merged| merged.commit.clone()).unwrap_or_default(),
            target_branch: created.target_branch.clone(),
            cleanup: state.cleanup.as_ref().map(|(status, _)| status.clone()).unwrap_or_default(),
        }),
        result: state.ended.as_ref().map(|(exit, reason, message)| RunResult {
            exit_reason: exit.as_str().into(),
            message: if message.is_empty() { reason.clone() } else { format!("{reason}: {message}") },
            evidence: state
                .granted
                .as_ref()
                .filter(|_| state.phase == RunPhase::Completed)
                .map(|granted| granted.level.clone())
                .unwrap_or_default(),
            attempt: 0,
        }),
        summary: crate::record::summary(state, run).filter(|_| state.phase.is_terminal()),
        postmortem: state.postmortem.as_ref().map(|postmortem| PostmortemStatus {
            status: postmortem.status.clone(),
            verdict: postmortem.verdict.clone(),
            root_cause: postmortem.root_cause.clone(),
            message: postmortem.message.clone(),
            reports: postmortem.reports.clone(),
        }),
        steps: state.steps.clone(),
        artifacts_path: run.path().to_string_lossy().into_owned(),
        start_time: Some(rfc3339(state.started_ms)).filter(|_| state.started_ms > 0),
        completion_time: Some(rfc3339(state.ended_ms))
            .filter(|_| state.ended_ms > 0 && state.phase.is_terminal()),
        // What a cluster has and this machine has not.
        ..LoopRunStatus::default()
    };
    Some(LoopRun {
        api_version: API_VERSION.into(),
        kind: KIND.into(),
        metadata: Metadata {
            name: created.name.clone(),
            namespace: None,
            uid: created.run_id.clone(),
            creation_timestamp: Some(rfc3339(state.created_ms)),
        },
        spec: created.spec.clone(),
        status: Some(status),
    })
}

/// What the agents used; absent until one of them has reported something.
fn usage(state: &State) -> Option<UsageStatus> {
    (!state.usage.is_empty()).then(|| UsageStatus {
        tokens: state.usage.tokens().total(),
        cost_usd: state.usage.cost_usd(),
        source: "reported".into(),
        incomplete: state.usage.incomplete,
        models: models(&state.usage),
    })
}

fn models(usage: &Usage) -> Vec<ModelUsage> {
    let mut models: Vec<ModelUsage> = usage
        .models
        .iter()
        .map(|(model, tokens)| ModelUsage {
            model: model.chars().take(MODEL_NAME).collect(),
            tokens: tokens.total(),
        })
        .collect();
    models.sort_by_key(|model| std::cmp::Reverse(model.tokens));
    models.truncate(MOST_MODELS);
    models
}

/// Tasks done and in all, on the run branch; before the first implementation those of the base plan.
pub fn tasks(state: &State) -> (u32, u32) {
    let current = state.current.implemented.as_ref().or(state.previous.implemented.as_ref());
    match (current, &state.worktree) {
        (Some(facts), _) => (facts.plan.done, facts.plan.total),
        (None, Some(facts)) => (facts.tasks_done, facts.tasks_total),
        (None, None) => (0, 0),
    }
}

/// Whether a run is under way on paper, but no engine works on it.
pub fn is_interrupted(state: &State, alive: bool) -> bool {
    !alive && matches!(state.phase, RunPhase::Running | RunPhase::Pending)
}

fn conditions(state: &State, alive: bool, waiting: Option<&str>) -> Vec<Condition> {
    let at = rfc3339(if state.phase.is_terminal() { state.ended_ms } else { state.last_ms });
    let condition = |kind: &str, status: bool, reason: &str, message: String| Condition {
        kind: kind.into(),
        status: if status { "True" } else { "False" }.into(),
        reason: reason.into(),
        message,
        last_transition_time: at.clone(),
        observed_generation: None,
    };
    let mut list = Vec::new();
    let ended = state.ended.as_ref();
    let reason = ended.map(|(exit, _, _)| condition_reason(exit.as_str())).unwrap_or_default();
    let message = ended.map(|(_, _, message)| message.clone()).unwrap_or_default();
    match state.phase {
        RunPhase::Completed => {
            let verified = format!(
                "evidence level {}",
                state.granted.as_ref().map_or("", |granted| granted.level.as_str())
            );
            let why = if state.evidenced { "Granted" } else { "AllowUnverified" };
            list.push(condition("Complete", true, &reason, "completion was granted".into()));
            list.push(condition("Verified", state.evidenced, why, verified));
        }
        RunPhase::Failed => list.push(condition("Failed", true, &reason, message)),
        RunPhase::Canceled => list.push(condition("Complete", false, "Canceled", message)),
        _ if waiting.is_some() => {
            list.push(condition("Admitted", false, "Waiting", waiting.unwrap_or_default().to_owned()));
        }
        _ if is_interrupted(state, alive) => {
            let remedy = format!(
                "loopctl resume {}",
                state.created.as_ref().map_or("", |created| created.name.as_str())
            );
            list.push(condition(
                "Interrupted",
                true,
                "EngineGone",
                format!("no engine works on it; {remedy}"),
            ));
        }
        _ => {}
    }
    list
}

#[cfg(test)]
mod tests;
