//! Verdicts on a run: its phase, what its conditions say, and the step that follows.

use std::time::Duration;

use loop_api::phase::{ExitReason, RunPhase};
use loop_api::run::{RunResult, condition_reason};

use super::status::{ADMITTED, COMPLETE, FAILED, RECONCILING, STALLED, Said, VERIFIED, said};

pub(crate) const SOON: Duration = Duration::from_secs(15);
pub(crate) const LATER: Duration = Duration::from_secs(60);
pub(crate) const SELDOM: Duration = Duration::from_secs(300);
pub(crate) const HARDLY: Duration = Duration::from_secs(3600);

/// Reason of a run whose pod the API server refused.
pub(crate) const NOT_MADE: &str = "PodNotMade";
/// Reason of a run whose pod is stopped, or was, because its worker is drained.
pub(crate) const LEAVING: &str = "WorkerDrained";
/// Message of a run that was admitted.
pub(crate) const GIVEN: &str = "the run has a slot";
/// What to do about a run that ended where somebody has to put something right.
const AGAIN: &str = "put that right and raise spec.retry by one, or make the run anew";

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing.
    Nothing,
    /// The pod and what it needs are made, or found made.
    Start,
    /// The pod, which would go on for ever, is ended; its logs stay.
    Stop,
    /// The pod is deleted. The attempt is given up when it is gone.
    Discard,
    /// The pod, which is over, is deleted: a run that rests has none.
    Remove,
    /// The run itself is deleted: it ended long enough ago.
    Expire,
}

/// What is to be said and done.
#[derive(Debug)]
pub(crate) struct Verdict {
    /// The one word.
    pub(crate) phase: RunPhase,
    /// `None` = they stay as they are.
    pub(crate) conditions: Option<Vec<Said>>,
    /// What is to be done.
    pub(crate) step: Step,
    /// When to look again though nothing happens.
    pub(crate) again: Duration,
}

impl Verdict {
    /// One that changes nothing but the step.
    pub(crate) fn unchanged(phase: RunPhase, step: Step, again: Duration) -> Self {
        Self { phase, conditions: None, step, again }
    }
}

/// A run that goes on by itself when its time has come.
pub(crate) fn waiting(reason: &str, message: &str, again: Duration) -> Verdict {
    let conditions = vec![said(ADMITTED, false, reason, message), said(RECONCILING, true, reason, message)];
    Verdict { phase: RunPhase::Pending, conditions: Some(conditions), step: Step::Nothing, again }
}

/// A run that rests, as its user wants it.
pub(crate) fn paused(message: &str, step: Step) -> Verdict {
    let message = format!("{message}; set spec.state to Running, and it goes on");
    Verdict { phase: RunPhase::Paused, step, ..waiting("Paused", &message, HARDLY) }
}

/// A run that was canceled where no engine could say so.
pub(crate) fn canceled(message: &str, step: Step) -> Verdict {
    let conditions = vec![
        said(RECONCILING, false, "Canceled", "the run has ended"),
        said(COMPLETE, false, "Canceled", message),
        said(VERIFIED, false, "Canceled", "completion was not granted"),
    ];
    Verdict { phase: RunPhase::Canceled, conditions: Some(conditions), step, again: HARDLY }
}

pub(crate) fn making(pod: &str) -> Verdict {
    going(RunPhase::Pending, "PodStarting", &format!("pod {pod} starts"), Step::Start)
}

/// A run that was admitted when the operator had an image for it, and now it has none.
pub(crate) fn no_image() -> Verdict {
    let message = "no image says where agent and gates work: make the run anew with spec.agent.image, or start the \
                   operator with --agent-image";
    barred("NoAgentImage", message, true, SELDOM)
}

/// A run that cannot start until somebody has put something right.
pub(crate) fn barred(reason: &str, message: &str, admitted: bool, again: Duration) -> Verdict {
    let (given, why) = if admitted { (GIVEN, "Admitted") } else { (message, reason) };
    Verdict {
        phase: RunPhase::Pending,
        conditions: Some(vec![said(ADMITTED, admitted, why, given), said(STALLED, true, reason, message)]),
        step: Step::Nothing,
        again,
    }
}

pub(crate) fn going(phase: RunPhase, reason: &str, message: &str, step: Step) -> Verdict {
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

/// A run that ended without a result.
pub(crate) fn failed(reason: &str, message: &str, step: Step) -> Verdict {
    let message = format!("{message}; {AGAIN}");
    Verdict {
        phase: RunPhase::Failed,
        conditions: Some(vec![
            said(ADMITTED, true, "Admitted", GIVEN),
            said(RECONCILING, false, reason, "the run has ended"),
            said(FAILED, true, reason, &message),
            said(STALLED, true, reason, &message),
        ]),
        step,
        again: if step == Step::Nothing { HARDLY } else { LATER },
    }
}

/// A run whose sidecar has told how it ended.
pub(crate) fn ended(result: &RunResult) -> Verdict {
    let reason = condition_reason(&result.exit_reason);
    let done = |phase, conditions: [Said; 2]| {
        let mut all = vec![
            said(ADMITTED, true, "Admitted", GIVEN),
            said(RECONCILING, false, &reason, "the run has ended"),
        ];
        all.extend(conditions);
        Verdict { phase, conditions: Some(all), step: Step::Nothing, again: HARDLY }
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
