//! Where a run stands between its attempts: whether it has a pod, wants one, or rests.

use std::time::Duration;

use jiff::Timestamp;
use loop_api::crd::LoopRun;
use loop_api::phase::{ExitReason, RunPhase};
use loop_api::run::{CheckpointStore, LoopRunStatus, LostAttempts, RunResult, RunState};

use super::status::{ADMITTED, Owned, clip};

/// Attempts in a row that may be lost in one iteration, before the run is given up.
pub(crate) const MOST_LOST: u32 = 10;
/// Seconds before the attempt after the second lost one, doubled by each further one.
const FIRST_PAUSE: u64 = 10;
/// The longest pause between two tries of anything, in seconds.
const LONGEST_PAUSE: u64 = 300;

/// What a run wants of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It has an attempt: a pod, or one is about to be made.
    Attempt,
    /// It wants a pod.
    Wants,
    /// It wants one from this time on.
    Later(Timestamp),
    /// It wants none: it has ended, or its user has it rest.
    Rests,
}

/// How a run stands at `now`.
pub(crate) fn of(run: &LoopRun, now: Timestamp) -> Standing {
    let new = LoopRunStatus::default();
    let status = run.status.as_ref().unwrap_or(&new);
    let pause = if has_ended(status) {
        if !is_retried(run, status) {
            return Standing::Rests;
        }
        None
    } else {
        if !status.pod_name.is_empty() {
            return Standing::Attempt;
        }
        if run.spec.state != RunState::Running {
            return Standing::Rests;
        }
        due(status)
    };
    match pause.max(leased(status)) {
        Some(due) if due > now => Standing::Later(due),
        _ => Standing::Wants,
    }
}

/// The result of the current attempt; what an earlier one came to is none.
pub(crate) fn result(status: &LoopRunStatus) -> Option<&RunResult> {
    status.result.as_ref().filter(|result| !result.exit_reason.is_empty() && result.attempt == status.attempt)
}

pub(crate) fn has_ended(status: &LoopRunStatus) -> bool {
    status.phase.is_terminal() || result(status).is_some()
}

/// Whether the user wants a run that has ended to go on. What is complete stays complete.
pub(crate) fn is_retried(run: &LoopRun, status: &LoopRunStatus) -> bool {
    let complete = |result: &RunResult| result.exit_reason == ExitReason::CompletePlan.as_str();
    run.spec.retry > status.observed_retry
        && run.spec.state == RunState::Running
        && status.phase != RunPhase::Completed
        && !result(status).is_some_and(complete)
}

/// Whether a run goes on in another pod where the one before was stopped.
pub(crate) fn keeps(run: &LoopRun) -> bool {
    run.spec.checkpoint.store != CheckpointStore::None
}

/// Until when an attempt that was lost may still be at work.
fn leased(status: &LoopRunStatus) -> Option<Timestamp> {
    status.lease_expires.as_ref()?.parse().ok()
}

/// Whether an attempt of the run was lost and can no longer be at work, whatever is seen of its pod.
pub(crate) fn is_expired(run: &LoopRun, now: Timestamp) -> bool {
    run.status.as_ref().and_then(leased).is_some_and(|until| until <= now)
}

/// When the attempt after a lost one is due.
fn due(status: &LoopRunStatus) -> Option<Timestamp> {
    let pause = pause(status.lost.as_ref()?.attempts);
    let admitted = status.conditions.iter().find(|condition| condition.kind == ADMITTED)?;
    let since: Timestamp =
        admitted.last_transition_time.parse().ok().filter(|_| admitted.status == "False")?;
    since.checked_add(pause).ok()
}

/// The pause before the attempt after so many lost ones: none after the first.
pub(crate) fn pause(lost: u32) -> Duration {
    if lost <= 1 {
        return Duration::ZERO;
    }
    doubled(FIRST_PAUSE, lost - 2)
}

/// A first pause in seconds that was doubled so many times, up to the longest.
pub(crate) fn doubled(first: u64, times: u32) -> Duration {
    Duration::from_secs(first.saturating_mul(1 << times.min(16)).min(LONGEST_PAUSE))
}

/// One more lost attempt, and how it was. Only those since the loop last got further count; what is not kept does not get further.
pub(crate) fn one_more(status: &LoopRunStatus, keeps: bool, message: &str) -> LostAttempts {
    let iteration = status.progress.iteration;
    let same = |lost: &&LostAttempts| lost.iteration == iteration || !keeps;
    let before = status.lost.as_ref().filter(same).map_or(0, |lost| lost.attempts);
    LostAttempts { attempts: before.saturating_add(1), iteration, message: clip(message) }
}

/// How long a run that is given its first slot `now` has waited for it. Later waits begin with the end of an attempt or of a
/// pause, of which nobody keeps the time.
pub(crate) fn waited(run: &LoopRun, before: &Owned, now: Timestamp) -> Option<Duration> {
    if before.attempt > 0 {
        return None;
    }
    let made = run.metadata.creation_timestamp.as_ref()?.0;
    Some(Duration::try_from(now.duration_since(made)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::run;

    fn now() -> Timestamp {
        "2026-01-01T00:10:00Z".parse().expect("a time")
    }

    fn standing(status: &Value, change: impl Fn(&mut LoopRun)) -> Standing {
        let mut run = run(1, status);
        change(&mut run);
        of(&run, now())
    }

    #[test]
    fn a_wait_for_the_first_slot_begins_with_the_run() {
        use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
        let waited = |attempt: u32| {
            let mut run = run(1, &json!({"attempt": attempt}));
            run.metadata.creation_timestamp = Some(Time("2026-01-01T00:00:00Z".parse().expect("a time")));
            super::waited(&run, &Owned { attempt, ..Owned::default() }, now())
        };
        assert_eq!(waited(0), Some(Duration::from_secs(600)));
        assert_eq!(waited(1), None);
    }

    #[test]
    fn a_run_wants_a_pod_until_it_has_one_ends_or_is_to_rest() {
        let paused = |run: &mut LoopRun| run.spec.state = RunState::Paused;
        assert_eq!(standing(&Value::Null, |_| {}), Standing::Wants);
        assert_eq!(standing(&Value::Null, paused), Standing::Rests);
        let attempt = json!({"attempt": 1, "podName": "p"});
        assert_eq!(standing(&attempt, |_| {}), Standing::Attempt);
        assert_eq!(standing(&attempt, paused), Standing::Attempt, "its pod has to end first");
        assert_eq!(standing(&json!({"attempt": 1, "phase": "Paused"}), |_| {}), Standing::Wants);
    }

    #[test]
    fn an_ended_run_goes_on_once_for_each_raise_unless_it_is_complete() {
        let raised = |run: &mut LoopRun| run.spec.retry = 1;
        for phase in ["Failed", "Canceled"] {
            let ended = json!({"attempt": 1, "podName": "p", "phase": phase});
            assert_eq!(standing(&ended, |_| {}), Standing::Rests);
            assert_eq!(standing(&ended, raised), Standing::Wants);
            let seen = json!({"attempt": 2, "podName": "p", "phase": phase, "observedRetry": 1});
            assert_eq!(standing(&seen, raised), Standing::Rests);
        }
        let complete = json!({"attempt": 1, "podName": "p", "phase": "Completed"});
        assert_eq!(standing(&complete, raised), Standing::Rests);
        let told = |exit: &str, attempt: u32| json!({"attempt": 2, "podName": "p", "phase": "Running", "result": {"exitReason": exit, "attempt": attempt}});
        assert_eq!(standing(&told("complete_plan", 2), raised), Standing::Rests);
        assert_eq!(standing(&told("failed", 2), raised), Standing::Wants);
        assert_eq!(standing(&told("failed", 1), raised), Standing::Attempt, "that was the attempt before");
    }

    #[test]
    fn the_attempt_after_a_lost_one_waits_longer_each_time() {
        let lost = |attempts: u32, since: &str| {
            let admitted = json!({"type": "Admitted", "status": "False", "reason": "r", "message": "", "lastTransitionTime": since});
            json!({"attempt": 3, "lost": {"attempts": attempts, "iteration": 1}, "conditions": [admitted]})
        };
        assert_eq!(standing(&lost(1, "2026-01-01T00:10:00Z"), |_| {}), Standing::Wants);
        let later = "2026-01-01T00:10:10Z".parse().expect("a time");
        assert_eq!(standing(&lost(2, "2026-01-01T00:10:00Z"), |_| {}), Standing::Later(later));
        assert_eq!(standing(&lost(2, "2026-01-01T00:09:50Z"), |_| {}), Standing::Wants);
        let seconds: Vec<u64> = [0, 1, 2, 3, 6, 7, u32::MAX].map(|lost| pause(lost).as_secs()).into();
        assert_eq!(seconds, [0, 0, 10, 20, 160, 300, 300]);
    }

    #[test]
    fn lost_attempts_count_from_where_the_loop_last_got_further() {
        let status = |iteration: u32| -> LoopRunStatus {
            let status =
                json!({"progress": {"iteration": iteration}, "lost": {"attempts": 4, "iteration": 2}});
            serde_json::from_value(status).expect("a status")
        };
        let lost =
            |attempts: u32, iteration: u32| LostAttempts { attempts, iteration, message: "why".into() };
        assert_eq!(one_more(&status(2), true, "why"), lost(5, 2));
        assert_eq!(one_more(&status(3), true, "why"), lost(1, 3));
        assert_eq!(one_more(&status(3), false, "why"), lost(5, 3));
    }
}
