//! What a worker's status says, and when it is written: pure.

use std::time::Duration;

use jiff::Timestamp;
use loop_api::run::rfc3339;
use loop_api::worker::{LoopWorkerSpec, LoopWorkerStatus};

use crate::run::status::{conditions, said};
use crate::scheduler::Share;

/// Conditions in the order in which they stand.
const TYPES: [&str; 3] = [ONLINE, DRAINING, ACCEPTED];
/// Whether an operator looks after the worker.
const ONLINE: &str = "Online";
/// Whether it takes no new runs.
const DRAINING: &str = "Draining";
/// Whether its spec is understood, and what in it has no effect.
const ACCEPTED: &str = "Accepted";

/// When a status is to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// It says nothing new.
    Never,
    /// At once.
    Now,
    /// After this time.
    In(Duration),
}

/// The status of a worker at `now`; `spec` is what cannot be read in it, if so.
pub(super) fn of(
    spec: Result<&LoopWorkerSpec, &str>,
    before: &LoopWorkerStatus,
    share: &Share,
    generation: i64,
    now: Timestamp,
) -> LoopWorkerStatus {
    let new = match spec {
        Err(error) => {
            let message = format!(
                "this operator cannot read the worker, which takes no runs: {error}; is the definition of another version \
                 than the operator?"
            );
            vec![said(ONLINE, false, "Unreadable", &message), said(ACCEPTED, false, "Unreadable", &message)]
        }
        Ok(spec) => {
            let (draining, reason, message) = match (spec.is_draining(), share.active) {
                (false, _) => (false, "InService", "the worker takes runs"),
                (true, 0) => (true, "Drained", "the worker takes no new runs, and none is left"),
                (true, _) => {
                    (true, "Asked", "the worker takes no new runs; those that it has go on to their end")
                }
            };
            let unused = spec.unused();
            let accepted = if unused.is_empty() {
                said(ACCEPTED, true, "Accepted", "all of the spec is gone by")
            } else {
                let unused = unused.join(", ");
                let message =
                    format!("this version does not go by {unused} yet: what is said there has no effect");
                said(ACCEPTED, true, "FieldsNotUsed", &message)
            };
            let online = said(ONLINE, true, "Seen", "an operator looks after the worker");
            vec![online, said(DRAINING, draining, reason, message), accepted]
        }
    };
    LoopWorkerStatus {
        observed_generation: Some(generation),
        active: share.active as u32,
        queued: share.queued as u32,
        conditions: conditions(&TYPES, &before.conditions, &new, generation, &rfc3339(now.as_millisecond())),
    }
}

/// When a status that follows another is to be written; `last` is how long ago one was.
pub(super) fn due(
    before: &LoopWorkerStatus,
    after: &LoopWorkerStatus,
    last: Option<Duration>,
    pause: Duration,
) -> Due {
    let same =
        before.observed_generation == after.observed_generation && before.conditions == after.conditions;
    if before == after {
        return Due::Never;
    }
    match last.map(|last| pause.saturating_sub(last)) {
        Some(left) if same && !left.is_zero() => Due::In(left),
        _ => Due::Now,
    }
}

#[cfg(test)]
mod tests {
    use loop_api::worker::Drain;

    use super::*;

    const PAUSE: Duration = Duration::from_secs(30);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).expect("a time")
    }

    fn share(active: usize, queued: usize) -> Share {
        Share { worker: "backend".into(), slots: 3, active, queued }
    }

    fn shown(status: &LoopWorkerStatus) -> Vec<String> {
        let conditions = status.conditions.iter();
        conditions.map(|one| format!("{}={}/{}", one.kind, one.status, one.reason)).collect()
    }

    #[test]
    fn a_worker_says_whether_it_is_seen_drained_and_understood() {
        let new = LoopWorkerStatus::default();
        let mut spec = LoopWorkerSpec::default();
        let first = of(Ok(&spec), &new, &share(1, 2), 1, at(10));
        assert_eq!((first.active, first.queued, first.observed_generation), (1, 2, Some(1)));
        assert_eq!(shown(&first), ["Online=True/Seen", "Draining=False/InService", "Accepted=True/Accepted"]);
        spec.drain = Some(Drain { enabled: true, deadline_seconds: Some(60) });
        let drained = of(Ok(&spec), &first, &share(1, 0), 2, at(20));
        assert_eq!(
            shown(&drained),
            ["Online=True/Seen", "Draining=True/Asked", "Accepted=True/FieldsNotUsed"]
        );
        assert!(drained.conditions[2].message.contains("spec.drain.deadlineSeconds"), "{drained:?}");
        assert_eq!(drained.conditions[0].last_transition_time, first.conditions[0].last_transition_time);
        let empty = of(Ok(&spec), &drained, &share(0, 0), 2, at(30));
        assert_eq!(shown(&empty)[1], "Draining=True/Drained");
        let unread = of(Err("invalid type"), &empty, &share(0, 0), 3, at(40));
        assert_eq!(shown(&unread), ["Online=False/Unreadable", "Accepted=False/Unreadable"]);
    }

    #[test]
    fn conditions_are_written_at_once_counts_now_and_then_and_nothing_twice() {
        let spec = LoopWorkerSpec::default();
        let new = LoopWorkerStatus::default();
        let first = of(Ok(&spec), &new, &share(0, 0), 1, at(10));
        assert_eq!(due(&new, &first, Some(Duration::ZERO), PAUSE), Due::Now);
        assert_eq!(due(&first, &of(Ok(&spec), &first, &share(0, 0), 1, at(99)), None, PAUSE), Due::Never);
        let busy = of(Ok(&spec), &first, &share(2, 1), 1, at(20));
        assert_eq!(due(&first, &busy, None, PAUSE), Due::Now);
        assert_eq!(
            due(&first, &busy, Some(Duration::from_secs(10)), PAUSE),
            Due::In(Duration::from_secs(20))
        );
        assert_eq!(due(&first, &busy, Some(PAUSE), PAUSE), Due::Now);
        let changed = of(Ok(&spec), &first, &share(2, 1), 2, at(20));
        assert_eq!(due(&first, &changed, Some(Duration::ZERO), PAUSE), Due::Now);
    }
}
