//! One or more plain lines for each event, while a run is driven.

use loop_api::journal::{Event, GateOutcome, Outcome, Record, Verdict};
use loop_api::phase::{StepPhase, WatchdogAction};
use loop_core::machine::State;

use super::{clean, count, duration, short, used};
use crate::printer::{BAD, BOLD, DIM, GOOD, paint};

/// The lines for an event; `state` is the state after it.
pub(crate) fn lines(record: &Record, state: &State) -> Vec<String> {
    match &record.event {
        Event::WorktreeProviderSelected { provider, reason } if !reason.is_empty() => {
            vec![paint(DIM, &format!("{provider} makes the worktree, as {}", clean::text(reason)))]
        }
        Event::RunCreated(_)
        | Event::RunResumed { .. }
        | Event::LeaseGranted { .. }
        | Event::WorktreeProviderSelected { .. }
        | Event::WorktreeCreating(_)
        | Event::IterationFinished { .. }
        | Event::AgentStarted { resumed: false, .. } => Vec::new(),
        Event::RunStarted { isolation, .. } => {
            let name = state.created.as_ref().map_or("", |created| created.name.as_str());
            vec![format!("run {} ({isolation})", paint(BOLD, name))]
        }
        Event::WorktreeCreated(facts) => {
            let mut lines = vec![format!(
                "worktree {} on {} from {}",
                facts.worktree_path,
                facts.run_branch,
                short(&facts.base_commit)
            )];
            if facts.tasks_total > 0 {
                lines.push(format!(
                    "plan {}: {} of {} tasks done",
                    facts.plan_path, facts.tasks_done, facts.tasks_total
                ));
            }
            lines
        }
        Event::StepStarted { phase, iteration, attempt, clean, .. } => {
            started(*phase, *iteration, *attempt, *clean)
        }
        Event::AgentRetry { reason, wait_ms, .. } => {
            vec![format!("  trying again in {}: {}", duration(*wait_ms), clean::text(reason))]
        }
        Event::Checkpoint { .. } => vec![paint(DIM, "  checkpoint taken")],
        Event::CheckpointRestored { head, .. } => {
            vec![format!("  goes on in another clone, at {}", short(head))]
        }
        Event::LeaseExpired { .. } => {
            vec!["  the lease of the run ran out; the step is run again when there is one".into()]
        }
        Event::LimitsChanged { .. } => vec!["  goes by other limits from here on".into()],
        Event::StepInterrupted { .. } => {
            vec!["  the last step was interrupted and is run again from its checkpoint".into()]
        }
        Event::StepFinished { duration_ms, outcome, .. } => finished(outcome, *duration_ms, state),
        Event::CompletionRefused(refusal) => {
            vec![
                format!("  {} {}", paint(BAD, "completion refused:"), clean::text(&refusal.message)),
                format!("  what to do: {}", clean::text(&refusal.remedy)),
            ]
        }
        Event::CompletionGranted(granted) => {
            vec![format!(
                "{} at {} (evidence: {})",
                paint(GOOD, "completion granted"),
                short(&granted.commit),
                granted.level
            )]
        }
        Event::WatchdogDecision { signal, action, rewrite_count } => match action {
            WatchdogAction::Continue => Vec::new(),
            WatchdogAction::Rewrite => {
                vec![format!(
                    "  watchdog: {}; the next prompt is rewritten ({rewrite_count})",
                    signal.as_str()
                )]
            }
            WatchdogAction::Fail => vec![format!("  watchdog: {} again; giving up", signal.as_str())],
        },
        Event::RunCompleted { verified, .. } => {
            let word = if *verified { "completed" } else { "completed, but nothing verified it" };
            vec![paint(GOOD, word)]
        }
        Event::RunFailed { reason, message, .. } => {
            vec![format!("{} {}", paint(BAD, "failed:"), clean::text(reason)), clean::text(message)]
        }
        Event::RunCanceled => vec![paint(BAD, "canceled")],
        Event::RunPaused => vec!["paused".into()],
        Event::RunReset => vec!["reset: branch and worktree given up".into()],
        Event::WorktreeRemoved { status, message } if status == "cleaned" => {
            vec![format!("worktree removed, its diff saved{message}")]
        }
        Event::WorktreeRemoved { message, .. } => vec![format!("worktree kept: {}", clean::text(message))],
        Event::AgentStarted { resumed: true, .. } => vec![paint(DIM, "  the agent goes on where it was")],
        Event::AgentFinished(run) if run.usage.is_empty() => Vec::new(),
        Event::AgentFinished(run) => vec![paint(DIM, &format!("  used {}", used(&run.usage)))],
        Event::PostmortemStart { .. } => vec![paint(DIM, "an agent looks back at the run ...")],
        Event::PostmortemEnd(postmortem) => vec![match postmortem.status.as_str() {
            "ok" => format!(
                "postmortem, an agent's opinion: spec compliance {}, root cause {}",
                or_unsaid(&clean::text(&postmortem.verdict)),
                or_unsaid(&clean::text(&postmortem.root_cause))
            ),
            status => format!("postmortem {status}: {}", clean::text(&postmortem.message)),
        }],
    }
}

fn or_unsaid(text: &str) -> &str {
    if text.is_empty() { "not said" } else { text }
}

fn started(phase: StepPhase, iteration: u32, attempt: u32, clean: bool) -> Vec<String> {
    let again = if attempt > 1 { format!(" (attempt {attempt})") } else { String::new() };
    match phase {
        StepPhase::Prepare | StepPhase::Merge | StepPhase::Cleanup => Vec::new(),
        StepPhase::Baseline => vec!["gates on the base commit".into()],
        StepPhase::Implementation => vec![paint(BOLD, &format!("iteration {iteration}{again}"))],
        StepPhase::Review => vec![paint(DIM, &format!("  review{again} ..."))],
        StepPhase::Verification if clean => {
            vec![paint(DIM, &format!("  completion is asked for: gates on a clean checkout{again} ..."))]
        }
        StepPhase::Verification => vec![paint(DIM, &format!("  gates{again} ..."))],
    }
}

fn finished(outcome: &Outcome, duration_ms: u64, state: &State) -> Vec<String> {
    let time = duration(duration_ms);
    match outcome {
        Outcome::Implemented(facts) => {
            let mut lines = vec![format!(
                "  implemented: {} changed, {}/{} tasks, commit {} ({time})",
                count(facts.changed_files as usize, "file"),
                facts.plan.done,
                facts.plan.total,
                short(&facts.head)
            )];
            lines.extend(facts.repairs.iter().map(|repair| format!("  put right: {}", clean::text(repair))));
            lines.extend(
                facts
                    .unticked
                    .iter()
                    .map(|task| format!("  unticked, as nothing was done for it: {}", clean::text(task))),
            );
            lines
        }
        Outcome::Reviewed(review) => match review.verdict {
            Verdict::Approved => vec![format!("  review: {} ({time})", paint(GOOD, "approved"))],
            Verdict::ChangesRequested => {
                let mut lines = vec![format!("  review: {} ({time})", paint(BAD, "changes requested"))];
                lines.extend(review.findings.iter().map(|finding| format!("    - {}", clean::text(finding))));
                lines
            }
        },
        Outcome::Verified(verified) => verified.gates.iter().map(|run| gate(run, state)).collect(),
        Outcome::Merged(merged) => {
            vec![format!("merged into {} as {}", merged.target, short(&merged.commit))]
        }
        Outcome::Done => Vec::new(),
        Outcome::Failed { .. } => vec![format!("  {} ({time})", paint(BAD, "step failed"))],
    }
}

fn gate(run: &GateOutcome, state: &State) -> String {
    let word = if run.passed() { paint(GOOD, "pass") } else { paint(BAD, "FAIL") };
    let counts = match run.counts {
        Some([passed, failed, 0]) => format!(", {passed} passed, {failed} failed"),
        Some([passed, failed, skipped]) => format!(", {passed} passed, {failed} failed, {skipped} skipped"),
        None => String::new(),
    };
    let how = match (run.timed_out, run.out_of_memory) {
        (true, _) => "out of time".into(),
        (false, true) => "out of memory".into(),
        (false, false) => format!("exit {}", run.exit_code),
    };
    let base = if state.iteration == 0 { " on base" } else { "" };
    format!("  gate {}{base}: {word} ({how}{counts}, {})", run.name, duration(run.duration_ms))
}
