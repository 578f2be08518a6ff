//! What is to be done about a run, and what its status is to say: a pure function of what was seen.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use loop_api::crd::LoopRun;
use loop_api::names;
use loop_api::phase::{ExitReason, RunPhase};
use loop_api::run::{RunResult, condition_reason, rfc3339};

use super::health::{self, Health, Stage};
use super::status::{ADMITTED, COMPLETE, FAILED, Owned, RECONCILING, STALLED, Said, VERIFIED, said};

/// What was seen of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen<'a> {
    /// The run itself.
    pub(crate) run: &'a LoopRun,
    /// Its pod.
    pub(crate) pod: Option<&'a Pod>,
    /// Whether there is an image for its agent.
    pub(crate) able: bool,
    /// Whether it may start, while it has no slot yet.
    pub(crate) turn: bool,
    /// Slots in all.
    pub(crate) slots: usize,
}

/// What follows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Decision {
    /// What the status is to say, before the step.
    pub(crate) status: Owned,
    /// What is to be done.
    pub(crate) step: Step,
    /// When to look again though nothing happens.
    pub(crate) again: Duration,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing.
    Nothing,
    /// The pod and what it needs are made, or found made.
    Start,
    /// The pod, which would go on for ever, is ended; its logs stay.
    Stop,
}

const SOON: Duration = Duration::from_secs(15);
const LATER: Duration = Duration::from_secs(60);
const SELDOM: Duration = Duration::from_secs(300);
const HARDLY: Duration = Duration::from_secs(3600);

/// Decides at `now`.
pub(crate) fn decide(seen: &Seen<'_>, now: Timestamp) -> Decision {
    let mut status = seen.run.status.as_ref().map(Owned::of).unwrap_or_default();
    let generation = seen.run.metadata.generation.unwrap_or_default();
    let time = rfc3339(now.as_millisecond());
    status.observed_generation = Some(generation);
    let health = seen.pod.map(|pod| health::of(pod, now));
    if status.start_time.is_none() {
        let started = health.as_ref().and_then(|health| health.started);
        status.start_time = started.map(|started| rfc3339(started.as_millisecond()));
    }
    let verdict = verdict(seen, &mut status, health.as_ref());
    status.phase = verdict.phase;
    if let Some(conditions) = verdict.conditions {
        status.set(&conditions, generation, &time);
    }
    if status.phase.is_terminal() && status.completion_time.is_none() {
        status.completion_time = Some(time);
    }
    Decision { status, step: verdict.step, again: verdict.again }
}

/// A status after the API server has refused something that the pod needs.
pub(crate) fn refused(mut status: Owned, message: &str, now: Timestamp) -> Owned {
    let generation = status.observed_generation.unwrap_or_default();
    let conditions = [said(ADMITTED, true, "Admitted", GIVEN), said(RECONCILING, true, NOT_MADE, message)];
    status.set(&conditions, generation, &rfc3339(now.as_millisecond()));
    status
}

/// Reason of a run whose pod the API server refused.
const NOT_MADE: &str = "PodNotMade";
/// Message of a run that was admitted.
const GIVEN: &str = "the run has a slot";

/// What is to be said and done.
struct Verdict {
    phase: RunPhase,
    /// `None` = they stay as they are.
    conditions: Option<Vec<Said>>,
    step: Step,
    again: Duration,
}

fn verdict(seen: &Seen<'_>, status: &mut Owned, health: Option<&Health>) -> Verdict {
    let result = seen.run.status.as_ref().and_then(|status| status.result.as_ref());
    if let Some(result) = result.filter(|result| !result.exit_reason.is_empty()) {
        return ended(result, health);
    }
    if status.phase.is_terminal() {
        let alive = health.is_some_and(|health| health.stage != Stage::Over);
        let (step, again) = if alive { (Step::Stop, LATER) } else { (Step::Nothing, HARDLY) };
        return Verdict { phase: status.phase, conditions: None, step, again };
    }
    if status.attempt == 0 {
        return admission(seen, status);
    }
    match (health, status.pod_uid.is_empty()) {
        // The pod may be there all the same: its making is repeated until its uid is in the status.
        (_, true) if seen.able => {
            let verdict = making(&status.pod_name);
            // What was refused stays said until it is no longer refused: a status that went to and fro would wake the
            // operator with each of its own writes.
            let refused = status.conditions.iter().any(|condition| condition.reason == NOT_MADE);
            Verdict { conditions: verdict.conditions.filter(|_| !refused), ..verdict }
        }
        (_, true) => no_image(true),
        (Some(health), false) => follow(health, &status.pod_name),
        (None, false) => failed(
            "PodGone",
            &format!(
                "pod {} was deleted before the run had ended; to try again, make the run anew",
                status.pod_name
            ),
            Step::Nothing,
        ),
    }
}

fn admission(seen: &Seen<'_>, status: &mut Owned) -> Verdict {
    if !seen.able {
        return no_image(false);
    }
    if !seen.turn {
        let message = match seen.slots {
            0 => "the operator has no slots; start it with --slots 1 or more".to_owned(),
            1 => "the operator's only slot is taken; this run starts when those before it have ended"
                .to_owned(),
            slots => {
                format!(
                    "all {slots} slots of the operator are taken; this run starts when older ones have ended"
                )
            }
        };
        return Verdict {
            phase: RunPhase::Pending,
            conditions: Some(vec![
                said(ADMITTED, false, "Waiting", &message),
                said(RECONCILING, true, "Waiting", &message),
            ]),
            step: Step::Nothing,
            again: LATER,
        };
    }
    status.attempt = 1;
    status.pod_name = names::pod(&seen.run.name_any(), &seen.run.uid().unwrap_or_default(), 1);
    making(&status.pod_name)
}

fn making(pod: &str) -> Verdict {
    going(RunPhase::Pending, "PodStarting", &format!("pod {pod} is made"), Step::Start)
}

/// A run that names no image, where the operator has none either.
fn no_image(admitted: bool) -> Verdict {
    let message = "no image says where agent and gates work: make the run anew with spec.agent.image, or start the \
                   operator with --agent-image";
    let given = if admitted { GIVEN } else { message };
    Verdict {
        phase: RunPhase::Pending,
        conditions: Some(vec![
            said(ADMITTED, admitted, if admitted { "Admitted" } else { "NoAgentImage" }, given),
            said(STALLED, true, "NoAgentImage", message),
        ]),
        step: Step::Nothing,
        again: SELDOM,
    }
}

/// A run whose pod is there.
fn follow(health: &Health, pod: &str) -> Verdict {
    match (health.stage, &health.trouble) {
        (Stage::Over | Stage::Broken, trouble) => {
            let step = if health.stage == Stage::Broken { Step::Stop } else { Step::Nothing };
            let (reason, message) = trouble
                .as_ref()
                .map_or(("PodFailed", "its pod failed"), |trouble| (&trouble.reason, &trouble.message));
            failed(reason, message, step)
        }
        (Stage::Starting, Some(trouble)) => {
            going(RunPhase::Pending, &trouble.reason, &trouble.message, Step::Nothing)
        }
        (Stage::Starting, None) => {
            going(RunPhase::Pending, "PodStarting", &format!("pod {pod} starts"), Step::Nothing)
        }
        (Stage::Running, Some(trouble)) => {
            going(RunPhase::Running, &trouble.reason, &trouble.message, Step::Nothing)
        }
        (Stage::Running, None) => {
            going(RunPhase::Running, "Running", &format!("the loop runs in pod {pod}"), Step::Nothing)
        }
    }
}

fn going(phase: RunPhase, reason: &str, message: &str, step: Step) -> Verdict {
    Verdict {
        phase,
        conditions: Some(vec![
            said(ADMITTED, true, "Admitted", GIVEN),
            said(RECONCILING, true, reason, message),
        ]),
        step,
        again: if phase == RunPhase::Running { SELDOM } else { SOON },
    }
}

fn failed(reason: &str, message: &str, step: Step) -> Verdict {
    Verdict {
        phase: RunPhase::Failed,
        conditions: Some(vec![
            said(ADMITTED, true, "Admitted", GIVEN),
            said(RECONCILING, false, reason, "the run has ended"),
            said(FAILED, true, reason, message),
            said(STALLED, true, reason, message),
        ]),
        step,
        again: if step == Step::Nothing { HARDLY } else { LATER },
    }
}

/// A run whose sidecar has told how it ended.
fn ended(result: &RunResult, health: Option<&Health>) -> Verdict {
    let reason = condition_reason(&result.exit_reason);
    let again = if health.is_some_and(|health| health.stage != Stage::Over) { LATER } else { HARDLY };
    let done = |phase, conditions: [Said; 2]| {
        let mut all = vec![
            said(ADMITTED, true, "Admitted", GIVEN),
            said(RECONCILING, false, &reason, "the run has ended"),
        ];
        all.extend(conditions);
        Verdict { phase, conditions: Some(all), step: Step::Nothing, again }
    };
    if result.exit_reason == ExitReason::CompletePlan.as_str() {
        let (verified, why, level) = match result.evidence.as_str() {
            "" => (false, "NoEvidence", "the result names no evidence".to_owned()),
            "Unverified" => (false, "AllowUnverified", "evidence level Unverified".to_owned()),
            level => (true, "Granted", format!("evidence level {level}")),
        };
        let granted = said(COMPLETE, true, &reason, "completion was granted");
        return done(RunPhase::Completed, [granted, said(VERIFIED, verified, why, &level)]);
    }
    let message = result.message.as_str();
    if result.exit_reason == ExitReason::Canceled.as_str() {
        let complete = said(COMPLETE, false, &reason, message);
        return done(
            RunPhase::Canceled,
            [complete, said(VERIFIED, false, &reason, "completion was not granted")],
        );
    }
    done(RunPhase::Failed, [said(FAILED, true, &reason, message), said(STALLED, true, &reason, message)])
}

#[cfg(test)]
mod tests;
