//! What is to be done about a run, and what its status is to say: a pure function of what was seen.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use loop_api::crd::LoopRun;
use loop_api::names;
use loop_api::phase::RunPhase;
use loop_api::run::{CheckpointStore, Defaults, LoopRunStatus, RunState, rfc3339};

use super::health::{self, Health, Outcome, Stage};
use super::standing::{self, MOST_LOST, Standing};
use super::status::{ADMITTED, CANCELING, Owned, PAUSING, RECONCILING, said};
pub(crate) use super::verdict::Step;
use super::verdict::{self, GIVEN, LATER, LEAVING, NOT_MADE, SELDOM, Verdict};

/// Seconds that a canceled run has to publish what it came to.
const CANCEL_SECONDS: i64 = 90;
/// Seconds that a run that is to pause has to come to the end of its step; the engine itself stops it after 600.
const PAUSE_SECONDS: i64 = 900;
/// Seconds beyond a run's deadline, which the engine keeps too, to publish what it came to.
const DEADLINE_SLACK: i64 = 180;
/// Seconds that a pod may take to end after it told its result.
const LEAVE_SECONDS: i64 = 300;
/// Reason of a run whose work cannot leave its pod.
const UNPUBLISHED: &str = "WorkNotPublished";
/// Longest that a node may have a pod whose containers crash before its runner begins: the repository may be away for a night.
const CRASH_SECONDS: i64 = 43_200;
/// What a run is told that has no checkpoints.
const UNKEPT: &str =
    "; it keeps no checkpoint (spec.checkpoint.store is None), so that it begins anew if its pod is lost";
/// What a deadline of 0 means in seconds.
const LONGEST: u32 = 86_400;

/// What was seen of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen<'a> {
    /// The run itself.
    pub(crate) run: &'a LoopRun,
    /// The pod of its current attempt.
    pub(crate) pod: Option<&'a Pod>,
    /// Whether there is an image for its agent, once it was admitted.
    pub(crate) able: bool,
    /// Why it may not start, until somebody has put that right.
    pub(crate) gap: Option<&'a Gap>,
    /// What the scheduler says, while it wants a slot.
    pub(crate) turn: &'a Turn,
    /// Seconds until the object of an ended run is deleted, where its spec does not say.
    pub(crate) ttl: Option<u32>,
    /// When it has to leave its worker, which is drained.
    pub(crate) leave: Option<Timestamp>,
}

/// What stands in the way of a start: a word and a sentence with what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gap {
    /// `CamelCase` word.
    pub(crate) reason: &'static str,
    /// What was seen and what to do.
    pub(crate) message: String,
}

/// What the scheduler says of a run that wants a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It was not asked, or has not seen yet that the run wants one.
    Unknown,
    /// The run has a slot.
    Given {
        /// Of this worker; empty = the operator.
        worker: String,
        /// Its repository, by which others wait for it.
        workspace: String,
        /// Seconds that the lease of the attempt counts.
        lease_seconds: u32,
        /// What the worker gives to runs that say nothing themselves.
        defaults: Option<Box<Defaults>>,
    },
    /// It waits.
    Refused {
        /// For what, and what to do.
        gap: Gap,
        /// Whether nothing will come without somebody's doing.
        stuck: bool,
    },
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

/// Decides at `now`.
pub(crate) fn decide(seen: &Seen<'_>, now: Timestamp) -> Decision {
    let before = seen.run.status.clone().unwrap_or_default();
    let mut status = seen.run.status.as_ref().map(Owned::of).unwrap_or_default();
    let generation = seen.run.metadata.generation.unwrap_or_default();
    let time = rfc3339(now.as_millisecond());
    status.observed_generation = Some(generation);
    let health = seen.pod.map(|pod| health::of(pod, now));
    if status.start_time.is_none() {
        let started = health.as_ref().and_then(|health| health.started);
        status.start_time = started.map(|started| rfc3339(started.as_millisecond()));
    }
    let verdict = verdict(seen, &before, &mut status, health.as_ref(), now);
    status.phase = verdict.phase;
    if let Some(conditions) = verdict.conditions {
        status.set(&conditions, generation, &time);
        if !standing::keeps(seen.run) {
            status.note(ADMITTED, UNKEPT);
        }
    }
    if !status.phase.is_terminal() {
        status.completion_time = None;
    } else if status.completion_time.is_none() {
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

fn verdict(
    seen: &Seen<'_>,
    before: &LoopRunStatus,
    status: &mut Owned,
    health: Option<&Health>,
    now: Timestamp,
) -> Verdict {
    if standing::has_ended(before) {
        return ended(seen, before, status, health, now);
    }
    if before.pod_name.is_empty() {
        return between(seen, status, now);
    }
    match (health, before.pod_uid.is_empty()) {
        (_, true) if seen.run.spec.state != RunState::Running || has_to_leave(seen, now) => {
            Verdict::unchanged(status.phase, Step::Discard, verdict::SOON)
        }
        // The pod may be there all the same: its making is repeated until its uid is in the status.
        (_, true) if seen.able && seen.gap.is_none() => {
            let verdict = verdict::making(&status.pod_name);
            // What was refused stays said until it is no longer refused: a status that went to and fro would wake the
            // operator with each of its own writes.
            let refused = status.conditions.iter().any(|condition| condition.reason == NOT_MADE);
            Verdict { conditions: verdict.conditions.filter(|_| !refused), ..verdict }
        }
        (_, true) => barred(seen),
        (Some(health), false) => follow(seen, before, status, health, now),
        (None, false) => {
            let message = format!("pod {} was deleted before the run had ended", status.pod_name);
            // By force, perhaps: its containers go on until their node hears of it, and may have begun unseen.
            over(seen, before, status, (Outcome::Lost, false), ("PodGone", &message), now)
        }
    }
}

/// A run that has ended: it goes on if its user wants it to, and it is deleted when its time has come.
fn ended(
    seen: &Seen<'_>,
    before: &LoopRunStatus,
    status: &mut Owned,
    health: Option<&Health>,
    now: Timestamp,
) -> Verdict {
    let alive = health.is_some_and(|health| !matches!(health.stage, Stage::Over | Stage::Unreachable));
    if let (true, Standing::Later(due)) = (!alive, standing::of(seen.run, now)) {
        let left = seconds((due.as_second() - now.as_second()).max(1));
        let message = "the attempt before may still be at work; the run goes on when its lease has run out";
        return verdict::waiting("LeaseHeld", message, left);
    }
    if standing::is_retried(seen.run, before) && !alive {
        let verdict = admission(seen, status);
        if verdict.step != Step::Start {
            // It waits like any other, and its old pod no longer speaks for it.
            status.release();
        }
        return verdict;
    }
    let told = standing::result(before).map(verdict::ended);
    let verdict = told.unwrap_or_else(|| Verdict::unchanged(status.phase, Step::Nothing, verdict::HARDLY));
    let since = status.completion_time.as_deref().and_then(|time| time.parse::<Timestamp>().ok());
    let since = since.map_or(0, |since| now.as_second() - since.as_second());
    if alive {
        // One that told its result ends by itself; any other may go on for ever.
        let stop = standing::result(before).is_none() || since > LEAVE_SECONDS;
        let step = if stop { Step::Stop } else { Step::Nothing };
        return Verdict { step, again: LATER, ..verdict };
    }
    let ttl = seen.run.spec.ttl_seconds_after_finished.or(seen.ttl).filter(|_| !is_tracked(seen.run));
    match ttl.map(|ttl| i64::from(ttl) - since) {
        // What was just written has to be seen before it goes.
        Some(left) if left <= 0 && before.completion_time.is_some() => {
            Verdict { step: Step::Expire, again: LATER, ..verdict }
        }
        Some(left) => Verdict { again: verdict.again.min(seconds(left.max(1))), ..verdict },
        None => verdict,
    }
}

/// Whether Flux, Argo CD or Helm look after an object; they would make it anew, and it would run again.
fn is_tracked(run: &LoopRun) -> bool {
    const LABELS: [&str; 3] =
        ["kustomize.toolkit.fluxcd.io/name", "helm.toolkit.fluxcd.io/name", "app.kubernetes.io/instance"];
    LABELS.iter().any(|label| run.labels().contains_key(*label))
        || ["argocd.argoproj.io/tracking-id", "meta.helm.sh/release-name"]
            .iter()
            .any(|annotation| run.annotations().contains_key(*annotation))
}

/// A run that has no attempt.
fn between(seen: &Seen<'_>, status: &mut Owned, now: Timestamp) -> Verdict {
    match (seen.run.spec.state, standing::of(seen.run, now)) {
        (RunState::Canceled, _) => verdict::canceled("canceled while it had no pod", Step::Nothing),
        (RunState::Paused, _) => verdict::paused("the run is paused", Step::Nothing),
        // What was said of the loss stays said.
        (_, Standing::Later(due)) => {
            let left = seconds((due.as_second() - now.as_second()).max(1));
            Verdict::unchanged(RunPhase::Pending, Step::Nothing, left)
        }
        _ => admission(seen, status),
    }
}

fn admission(seen: &Seen<'_>, status: &mut Owned) -> Verdict {
    if let Some(gap) = seen.gap {
        return verdict::barred(gap.reason, &gap.message, false, verdict::SOON);
    }
    let (worker, workspace, lease_seconds, defaults) = match seen.turn {
        Turn::Given { worker, workspace, lease_seconds, defaults } => {
            (worker, workspace, lease_seconds, defaults.as_deref())
        }
        Turn::Refused { gap, stuck: true } => {
            return verdict::barred(gap.reason, &gap.message, false, LATER);
        }
        Turn::Refused { gap, stuck: false } => return verdict::waiting(gap.reason, &gap.message, LATER),
        Turn::Unknown => return Verdict::unchanged(status.phase, Step::Nothing, Duration::from_secs(1)),
    };
    if seen.run.spec.retry > status.observed_retry {
        status.observed_retry = seen.run.spec.retry;
        status.lost = None;
    }
    let before = (status.attempt > 0).then_some(status.defaults.as_ref());
    status.defaults = Defaults::given(defaults, &seen.run.spec, before);
    status.attempt += 1;
    status.lease_seconds = Some(*lease_seconds);
    status.worker_name.clone_from(worker);
    status.workspace.clone_from(workspace);
    status.pod_uid.clear();
    // Its time is that of this attempt's admission.
    status.conditions.retain(|condition| condition.kind != ADMITTED);
    status.pod_name = names::pod(&seen.run.name_any(), &seen.run.uid().unwrap_or_default(), status.attempt);
    verdict::making(&status.pod_name)
}

/// A run that was admitted and may not start, for a reason that somebody has to see to.
fn barred(seen: &Seen<'_>) -> Verdict {
    match seen.gap {
        Some(gap) if seen.able => verdict::barred(gap.reason, &gap.message, true, verdict::SOON),
        _ => verdict::no_image(),
    }
}

/// A run whose pod is there.
fn follow(
    seen: &Seen<'_>,
    before: &LoopRunStatus,
    status: &mut Owned,
    health: &Health,
    now: Timestamp,
) -> Verdict {
    let trouble = health.trouble.as_ref().map(|trouble| (trouble.reason.as_str(), trouble.message.as_str()));
    let wish = seen.run.spec.state;
    match health.stage {
        Stage::Over | Stage::Broken | Stage::Unreachable => {
            let outcome = (health.outcome, health.confirmed || health.stage == Stage::Broken);
            let trouble = trouble.unwrap_or(("PodFailed", "its pod failed"));
            let verdict = over(seen, before, status, outcome, trouble, now);
            if health.stage == Stage::Broken {
                Verdict { step: Step::Stop, again: LATER, ..verdict }
            } else {
                verdict
            }
        }
        // Nothing has begun, so nothing is lost.
        Stage::Starting if wish != RunState::Running => {
            Verdict::unchanged(status.phase, Step::Discard, verdict::SOON)
        }
        Stage::Starting => {
            let starts = format!("pod {} starts", status.pod_name);
            let (reason, message) = trouble.unwrap_or(("PodStarting", &starts));
            let mut message = message.to_owned();
            if reason == health::CRASHES {
                let since = health.crashes.map_or(0, |since| now.as_second() - since.as_second());
                if since >= CRASH_SECONDS {
                    return verdict::failed(reason, &message, Step::Stop);
                }
                message.push_str("; it is tried again by itself");
            }
            let going = verdict::going(RunPhase::Pending, reason, &message, Step::Nothing);
            leaving(seen, status, bounded(seen, status, going, now), now)
        }
        Stage::Running => {
            let runs = format!("the loop runs in pod {}", status.pod_name);
            let (word, words) = match before.publish_error.as_str() {
                "" => ("Running", runs),
                error => (UNPUBLISHED, format!("{runs}, but {error}; it is tried again by itself")),
            };
            let (reason, message) = trouble.unwrap_or((word, &words));
            let going = verdict::going(RunPhase::Running, reason, message, Step::Nothing);
            leaving(seen, status, bounded(seen, status, going, now), now)
        }
    }
}

/// Whether a run has to leave its worker by now.
fn has_to_leave(seen: &Seen<'_>, now: Timestamp) -> bool {
    seen.leave.is_some_and(|due| due <= now)
}

/// A run whose worker is drained has until the deadline of that, unless it is about to end or rest. One that has begun and
/// keeps no checkpoint would have to do it all again: it stays to its end.
fn leaving(seen: &Seen<'_>, status: &Owned, verdict: Verdict, now: Timestamp) -> Verdict {
    let moves = standing::keeps(seen.run) || verdict.phase == RunPhase::Pending;
    let Some(due) = seen.leave.filter(|_| moves && seen.run.spec.state == RunState::Running) else {
        return verdict;
    };
    let left = due.as_second() - now.as_second();
    if left > 0 || verdict.step != Step::Nothing {
        return Verdict { again: verdict.again.min(seconds(left.max(1))), ..verdict };
    }
    let worker = &status.worker_name;
    let message = format!(
        "LoopWorker {worker} is drained, and its deadline has passed: the loop stops, and goes on elsewhere"
    );
    Verdict { again: LATER, ..verdict::going(verdict.phase, LEAVING, &message, Step::Stop) }
}

/// A run under way has until its deadline, and until then or a little while to obey its user.
fn bounded(seen: &Seen<'_>, status: &Owned, mut verdict: Verdict, now: Timestamp) -> Verdict {
    let left = |since: Option<Timestamp>, limit: i64| {
        since.map_or(limit, |since| since.as_second() + limit - now.as_second())
    };
    let wish = match seen.run.spec.state {
        RunState::Running => None,
        RunState::Paused => Some((PAUSING, PAUSE_SECONDS, "the loop stops at the end of its step")),
        RunState::Canceled => {
            Some((CANCELING, CANCEL_SECONDS, "the loop stops, and publishes what it came to"))
        }
    };
    if let Some((kind, limit, message)) = wish {
        let left = left(status.since(kind), limit);
        let asked = said(kind, true, "Asked", message);
        verdict.conditions.get_or_insert_default().push(asked);
        verdict.again = verdict.again.min(seconds(left.max(1)));
        if left <= 0 {
            // Its end is then that of a pod which the user wanted to end.
            return Verdict { step: Step::Stop, again: LATER, ..verdict };
        }
    }
    let Some(limit) = seen.run.spec.limits.active_deadline_seconds else { return verdict };
    let limit = if limit == 0 { LONGEST } else { limit };
    let left = left(status.since(ADMITTED), i64::from(limit) + DEADLINE_SLACK);
    if left <= 0 {
        let message = format!("the run did not end by itself at its deadline of {limit} s, and was ended");
        return verdict::failed("TimedOut", &message, Step::Stop);
    }
    Verdict { again: verdict.again.min(seconds(left)), ..verdict }
}

/// A run whose pod has ended, or is gone, without a result; what nobody has `confirmed` may still be at work.
fn over(
    seen: &Seen<'_>,
    before: &LoopRunStatus,
    status: &mut Owned,
    (outcome, confirmed): (Outcome, bool),
    (reason, message): (&str, &str),
    now: Timestamp,
) -> Verdict {
    if !confirmed {
        status.revoke(now);
    }
    match (seen.run.spec.state, outcome) {
        (_, Outcome::Refused) => verdict::failed(reason, message, Step::Nothing),
        (RunState::Canceled, _) => verdict::canceled(&format!("canceled; {message}"), Step::Nothing),
        (RunState::Paused, Outcome::Paused) => {
            status.release();
            verdict::paused("the run is paused", Step::Remove)
        }
        (RunState::Paused, Outcome::Lost) => {
            status.release();
            verdict::paused(&format!("the run is paused at its last checkpoint: {message}"), Step::Remove)
        }
        (RunState::Running, Outcome::Paused) => {
            status.release();
            verdict::waiting("Waiting", "the run was paused, and is to go on", Duration::from_secs(1))
        }
        (RunState::Running, Outcome::Lost) if status.has_reason(RECONCILING, LEAVING) => {
            moved(seen, before, status, now)
        }
        (RunState::Running, Outcome::Lost) => lost(seen, before, status, (reason, message), now),
    }
}

/// An attempt that was stopped because its worker is drained: nothing was lost, so nothing counts and nothing is waited for
/// but another worker.
fn moved(seen: &Seen<'_>, before: &LoopRunStatus, status: &mut Owned, now: Timestamp) -> Verdict {
    status.release();
    status.lost = None;
    let leased = taken_back(before, status, now);
    let (worker, attempt) = (&status.worker_name, status.attempt);
    let from = origin(seen.run, before);
    let message = format!(
        "attempt {attempt} was stopped because LoopWorker {worker} is drained; attempt {} {from}",
        attempt + 1
    );
    verdict::waiting(LEAVING, &message, leased.unwrap_or_default().max(Duration::from_secs(1)))
}

/// How long the lease of an attempt counts that was taken back just now.
fn taken_back(before: &LoopRunStatus, status: &Owned, now: Timestamp) -> Option<Duration> {
    if status.lease_expires == before.lease_expires { None } else { status.leased(now) }
}

/// What the next attempt goes on from.
fn origin(run: &LoopRun, before: &LoopRunStatus) -> &'static str {
    match (run.spec.checkpoint.store, before.checkpoint.is_some()) {
        (CheckpointStore::Volume, _) => "goes on from its volume",
        (CheckpointStore::Branch | CheckpointStore::S3, true) => "goes on from the last checkpoint",
        (CheckpointStore::Branch | CheckpointStore::S3, false) => {
            "begins anew, as there is no checkpoint yet"
        }
        (CheckpointStore::None, _) => "begins anew, as spec.checkpoint.store is None",
    }
}

/// An attempt that lost its pod: the next one goes on from the last checkpoint, after a pause if it is not the first.
fn lost(
    seen: &Seen<'_>,
    before: &LoopRunStatus,
    status: &mut Owned,
    (reason, message): (&str, &str),
    now: Timestamp,
) -> Verdict {
    let store = seen.run.spec.checkpoint.store;
    let keeps = store == CheckpointStore::Volume || before.checkpoint.is_some();
    let lost = standing::one_more(before, keeps, message);
    status.lost = Some(lost.clone());
    if lost.attempts >= MOST_LOST {
        let message = format!(
            "{MOST_LOST} attempts in a row were lost in iteration {}, the last one: {message}",
            lost.iteration
        );
        return verdict::failed("AttemptsLost", &message, Step::Nothing);
    }
    status.release();
    let leased = taken_back(before, status, now);
    let from = origin(seen.run, before);
    let pause = standing::pause(lost.attempts).max(leased.unwrap_or_default());
    let after = match leased {
        Some(leased) => format!(" in {} s, when the lease of the lost one has run out", leased.as_secs()),
        None if pause.is_zero() => String::new(),
        None => format!(" after {} s", pause.as_secs()),
    };
    let attempt = status.attempt;
    let message = format!("attempt {attempt} was lost: {message}; attempt {} {from}{after}", attempt + 1);
    verdict::waiting(reason, &message, pause.clamp(Duration::from_secs(1), SELDOM))
}

fn seconds(seconds: i64) -> Duration {
    Duration::from_secs(seconds.max(0).unsigned_abs())
}

#[cfg(test)]
mod tests;
