//! What a worker's status says, and when it is written: pure.

use std::time::Duration;

use jiff::Timestamp;
use loop_api::crd::LoopWorker;
use loop_api::run::{Condition, rfc3339};
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
            let since = drained_since(before).unwrap_or(now);
            let (reason, message) = drain(spec, share, since, now);
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
            vec![online, said(DRAINING, spec.is_draining(), reason, &message), accepted]
        }
    };
    LoopWorkerStatus {
        observed_generation: Some(generation),
        active: share.active as u32,
        queued: share.queued as u32,
        conditions: conditions(&TYPES, &before.conditions, &new, generation, &rfc3339(now.as_millisecond())),
    }
}

/// Reason and message of how far the drain of a worker is that was asked for then.
fn drain(spec: &LoopWorkerSpec, share: &Share, since: Timestamp, now: Timestamp) -> (&'static str, String) {
    if !spec.is_draining() {
        return ("InService", "the worker takes runs".into());
    }
    let no_more = "the worker takes no new runs";
    match (due(spec, since), share.active) {
        (_, 0) => ("Drained", format!("{no_more}, and none is left")),
        (None, _) => ("Asked", format!("{no_more}; those that it has go on to their end")),
        (Some(due), _) if now < due => {
            let due = rfc3339(due.as_millisecond());
            ("Asked", format!("{no_more}; those that it has go on to their end, and not beyond {due}"))
        }
        (Some(_), _) if share.bound => {
            let bound = "those that keep no checkpoint (spec.checkpoint.store is None) cannot go on elsewhere, and go on \
                         here to their end";
            ("RunsCannotMove", format!("{no_more}, and its deadline has passed; {bound}"))
        }
        (Some(_), _) => {
            let stopped = "those that it has are stopped, to go on elsewhere from their checkpoints";
            ("RunsMove", format!("{no_more}, and its deadline has passed; {stopped}"))
        }
    }
}

/// When the runs of a worker that is drained have to have left it.
pub(crate) fn deadline(worker: &LoopWorker) -> Option<Timestamp> {
    due(&worker.spec, drained_since(worker.status.as_ref()?)?)
}

fn due(spec: &LoopWorkerSpec, since: Timestamp) -> Option<Timestamp> {
    let seconds = spec.drain.as_ref().filter(|drain| drain.enabled)?.deadline_seconds?;
    since.checked_add(Duration::from_secs(seconds.into())).ok()
}

/// Since when an operator has known that a worker is drained. It stands in the status, so that a restart changes nothing.
fn drained_since(status: &LoopWorkerStatus) -> Option<Timestamp> {
    let held = |condition: &&Condition| condition.kind == DRAINING && condition.status == "True";
    status.conditions.iter().find(held)?.last_transition_time.parse().ok()
}

/// When a status that follows another is to be written; `last` is how long ago one was.
pub(super) fn to_write(
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
    use loop_api::run::Defaults;
    use loop_api::worker::{Budget, Drain};

    use super::*;

    const PAUSE: Duration = Duration::from_secs(30);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).expect("a time")
    }

    fn share(active: usize, queued: usize) -> Share {
        Share { worker: "backend".into(), slots: 3, active, queued, bound: false }
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
        spec.defaults = Some(Defaults::default());
        spec.budgets = vec![Budget::default()];
        let unused = of(Ok(&spec), &first, &share(1, 0), 2, at(20));
        assert_eq!(shown(&unused)[2], "Accepted=True/FieldsNotUsed");
        assert!(unused.conditions[2].message.contains("spec.budgets"), "{unused:?}");
        assert_eq!(unused.conditions[0].last_transition_time, first.conditions[0].last_transition_time);
        let unread = of(Err("invalid type"), &unused, &share(0, 0), 3, at(40));
        assert_eq!(shown(&unread), ["Online=False/Unreadable", "Accepted=False/Unreadable"]);
    }

    #[test]
    fn a_drain_is_counted_from_when_it_was_seen_and_says_what_is_left() {
        let mut spec = LoopWorkerSpec::default();
        let bound = Share { bound: true, ..share(1, 0) };
        let said = |spec: &LoopWorkerSpec, before: &LoopWorkerStatus, share: &Share, now: i64| {
            let status = of(Ok(spec), before, share, 2, at(now));
            let message = status.conditions[1].message.clone();
            (shown(&status)[1].clone(), message, status)
        };
        let asked = |deadline| Some(Drain { enabled: true, deadline_seconds: deadline });
        spec.drain = asked(None);
        let (shown, message, _) = said(&spec, &LoopWorkerStatus::default(), &bound, 20);
        assert_eq!(shown, "Draining=True/Asked");
        assert!(message.ends_with("those that it has go on to their end"), "{message}");

        spec.drain = asked(Some(60));
        let (shown, message, status) = said(&spec, &LoopWorkerStatus::default(), &bound, 20);
        assert_eq!(shown, "Draining=True/Asked");
        assert!(message.ends_with("not beyond 1970-01-01T00:01:20Z"), "{message}");
        let after = |share: &Share, now| said(&spec, &status, share, now).0;
        assert_eq!(said(&spec, &status, &bound, 79).2.conditions, status.conditions, "nothing to write");
        assert_eq!(after(&share(1, 0), 80), "Draining=True/RunsMove");
        assert_eq!(after(&bound, 80), "Draining=True/RunsCannotMove");
        assert_eq!(after(&share(0, 0), 80), "Draining=True/Drained");
        assert_eq!(after(&share(0, 0), 79), "Draining=True/Drained");

        let worker = |spec: &LoopWorkerSpec, status: &LoopWorkerStatus| {
            let mut worker = LoopWorker::new("backend", spec.clone());
            worker.status = Some(status.clone());
            deadline(&worker)
        };
        assert_eq!(worker(&spec, &status), Some(at(80)));
        assert_eq!(worker(&spec, &LoopWorkerStatus::default()), None, "nobody has seen it");
        for spared in [asked(None), None, Some(Drain { enabled: false, deadline_seconds: Some(60) })] {
            let spec = LoopWorkerSpec { drain: spared, ..LoopWorkerSpec::default() };
            assert_eq!(worker(&spec, &status), None);
        }
        // One that was back in service meanwhile is drained anew.
        let back = of(Ok(&LoopWorkerSpec::default()), &status, &bound, 3, at(70));
        assert_eq!(worker(&spec, &back), None);
        assert_eq!(worker(&spec, &said(&spec, &back, &bound, 75).2), Some(at(135)));
    }

    #[test]
    fn conditions_are_written_at_once_counts_now_and_then_and_nothing_twice() {
        let spec = LoopWorkerSpec::default();
        let new = LoopWorkerStatus::default();
        let first = of(Ok(&spec), &new, &share(0, 0), 1, at(10));
        assert_eq!(to_write(&new, &first, Some(Duration::ZERO), PAUSE), Due::Now);
        assert_eq!(
            to_write(&first, &of(Ok(&spec), &first, &share(0, 0), 1, at(99)), None, PAUSE),
            Due::Never
        );
        let busy = of(Ok(&spec), &first, &share(2, 1), 1, at(20));
        assert_eq!(to_write(&first, &busy, None, PAUSE), Due::Now);
        assert_eq!(
            to_write(&first, &busy, Some(Duration::from_secs(10)), PAUSE),
            Due::In(Duration::from_secs(20))
        );
        assert_eq!(to_write(&first, &busy, Some(PAUSE), PAUSE), Due::Now);
        let changed = of(Ok(&spec), &first, &share(2, 1), 2, at(20));
        assert_eq!(to_write(&first, &changed, Some(Duration::ZERO), PAUSE), Due::Now);
    }
}
