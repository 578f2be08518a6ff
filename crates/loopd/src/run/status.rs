//! The operator's part of a run's status, and its conditions.

use std::time::Duration;

use jiff::Timestamp;
use loop_api::phase::RunPhase;
use loop_api::run::{Condition, Defaults, LEASE_SECONDS, LoopRunStatus, LostAttempts, rfc3339};
use serde::Serialize;

/// Conditions that the operator writes, in the order in which they stand.
const TYPES: [&str; 8] = [ADMITTED, RECONCILING, PAUSING, CANCELING, COMPLETE, VERIFIED, FAILED, STALLED];
/// Whether the run was given a slot.
pub(crate) const ADMITTED: &str = "Admitted";
/// Whether something is still to come (kstatus).
pub(crate) const RECONCILING: &str = "Reconciling";
/// Whether the pod is to end because the user has the run pause; its time is when that began.
pub(crate) const PAUSING: &str = "Pausing";
/// The same of a run that is canceled.
pub(crate) const CANCELING: &str = "Canceling";
/// Whether the run ended with its completion granted.
pub(crate) const COMPLETE: &str = "Complete";
/// Whether evidence stands behind the completion.
pub(crate) const VERIFIED: &str = "Verified";
/// Whether the run ended without.
pub(crate) const FAILED: &str = "Failed";
/// Whether nothing will come without somebody's doing (kstatus).
pub(crate) const STALLED: &str = "Stalled";

/// Seconds beyond a lease until another attempt begins: clocks that differ, and an agent that is still being killed.
pub(crate) const LEASE_MARGIN: i64 = 15;

/// What the operator writes; all else in a status is the sidecar's.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Owned {
    /// Generation of the spec that was looked at.
    pub(crate) observed_generation: Option<i64>,
    /// The one word.
    pub(crate) phase: RunPhase,
    /// The operator's conditions.
    pub(crate) conditions: Vec<Condition>,
    /// How often the run was given a pod.
    pub(crate) attempt: u32,
    /// Name of the attempt's pod.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) pod_name: String,
    /// Uid of that pod.
    #[serde(rename = "podUID", skip_serializing_if = "String::is_empty")]
    pub(crate) pod_uid: String,
    /// Seconds that the attempt's lease counts after each word of the API server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lease_seconds: Option<u32>,
    /// Until when a lost attempt may still be at work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lease_expires: Option<String>,
    /// Worker whose slot it has or last had; empty = the operator.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) worker_name: String,
    /// Its repository, however that is addressed.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) workspace: String,
    /// What it got from its worker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) defaults: Option<Defaults>,
    /// Attempts lost in a row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lost: Option<LostAttempts>,
    /// The `spec.retry` that the attempt answers.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) observed_retry: u32,
    /// When the loop began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) start_time: Option<String>,
    /// When the run was seen to have ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) completion_time: Option<String>,
}

impl Owned {
    /// The operator's part of a status that was read.
    pub(crate) fn of(status: &LoopRunStatus) -> Self {
        let mut conditions: Vec<Condition> = Vec::new();
        for kind in TYPES {
            conditions.extend(status.conditions.iter().find(|condition| condition.kind == kind).cloned());
        }
        Self {
            observed_generation: status.observed_generation,
            phase: status.phase,
            conditions,
            attempt: status.attempt,
            pod_name: status.pod_name.clone(),
            pod_uid: status.pod_uid.clone(),
            lease_seconds: status.lease_seconds,
            lease_expires: status.lease_expires.clone(),
            worker_name: status.worker_name.clone(),
            workspace: status.workspace.clone(),
            defaults: status.defaults.clone(),
            lost: status.lost.clone(),
            observed_retry: status.observed_retry,
            start_time: status.start_time.clone(),
            completion_time: status.completion_time.clone(),
        }
    }

    /// Gives the attempt up: its pod is over, gone, or about to be.
    pub(crate) fn release(&mut self) {
        self.pod_name.clear();
        self.pod_uid.clear();
    }

    /// Gives an attempt up that may still be at work where nobody sees it: from now on it can report nothing, it stops by
    /// itself within its lease, and until then no other begins.
    pub(crate) fn revoke(&mut self, now: Timestamp) {
        self.release();
        let seconds = i64::from(self.lease_seconds.unwrap_or(LEASE_SECONDS)) + LEASE_MARGIN;
        let until = now.as_millisecond().saturating_add(seconds * 1000);
        self.lease_expires = Some(rfc3339(until));
    }

    /// How long a lost attempt may still be at work.
    pub(crate) fn leased(&self, now: Timestamp) -> Option<Duration> {
        let until: Timestamp = self.lease_expires.as_ref()?.parse().ok()?;
        u64::try_from(until.as_second() - now.as_second()).ok().map(Duration::from_secs)
    }

    /// Adds to what is said of a condition that holds.
    pub(crate) fn note(&mut self, kind: &str, text: &str) {
        let held = |condition: &&mut Condition| condition.kind == kind && condition.status == "True";
        if let Some(condition) = self.conditions.iter_mut().find(held) {
            condition.message = clip(&format!("{}{text}", condition.message));
        }
    }

    /// Reason of a condition that does not hold.
    pub(crate) fn reason(&self, kind: &str) -> Option<&str> {
        let refused = |condition: &&Condition| condition.kind == kind && condition.status == "False";
        Some(&self.conditions.iter().find(refused)?.reason)
    }

    /// A condition that holds.
    fn held(&self, kind: &str) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.kind == kind && condition.status == "True")
    }

    /// Whether a condition holds for this reason.
    pub(crate) fn has_reason(&self, kind: &str, reason: &str) -> bool {
        self.held(kind).is_some_and(|condition| condition.reason == reason)
    }

    /// Since when a condition holds.
    pub(crate) fn since(&self, kind: &str) -> Option<Timestamp> {
        self.held(kind)?.last_transition_time.parse().ok()
    }

    /// Puts new conditions in the place of all old ones. Where a status stays what it was, so does its time.
    pub(crate) fn set(&mut self, new: &[Said], generation: i64, now: &str) {
        self.conditions = conditions(&TYPES, &self.conditions, new, generation, now);
    }
}

/// New conditions in the place of old ones, in this order.
pub(crate) fn conditions(
    order: &[&str],
    old: &[Condition],
    new: &[Said],
    generation: i64,
    now: &str,
) -> Vec<Condition> {
    let condition = |kind: &&str| {
        let said = new.iter().find(|said| said.kind == *kind)?;
        let status = if said.holds { "True" } else { "False" };
        let since = old.iter().find(|condition| condition.kind == *kind && condition.status == status);
        Some(Condition {
            kind: said.kind.to_owned(),
            status: status.to_owned(),
            reason: said.reason.clone(),
            message: clip(&said.message),
            last_transition_time: since
                .map_or_else(|| now.to_owned(), |condition| condition.last_transition_time.clone()),
            observed_generation: Some(generation),
        })
    };
    order.iter().filter_map(condition).collect()
}

// Serde wants a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// A condition without its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    kind: &'static str,
    holds: bool,
    reason: String,
    message: String,
}

/// A condition that is to be written.
pub(crate) fn said(kind: &'static str, holds: bool, reason: &str, message: &str) -> Said {
    Said { kind, holds, reason: reason.to_owned(), message: message.to_owned() }
}

/// Messages of others may be long; the definition takes 4096 characters.
pub(crate) fn clip(message: &str) -> String {
    const MOST: usize = 1000;
    if message.chars().count() <= MOST {
        return message.to_owned();
    }
    message.chars().take(MOST).chain(" ...".chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_moves_only_when_the_status_flips() {
        let mut owned = Owned::default();
        owned.set(&[said(RECONCILING, true, "Waiting", "waits")], 1, "early");
        owned.set(
            &[said(RECONCILING, true, "Running", "works"), said(ADMITTED, true, "Admitted", "")],
            2,
            "late",
        );
        let shown: Vec<_> = owned
            .conditions
            .iter()
            .map(|condition| {
                (condition.kind.as_str(), condition.reason.as_str(), condition.last_transition_time.as_str())
            })
            .collect();
        assert_eq!(shown, [("Admitted", "Admitted", "late"), ("Reconciling", "Running", "early")]);
        owned.set(&[said(RECONCILING, false, "CompletePlan", "done")], 2, "last");
        assert_eq!(owned.conditions.len(), 1);
        assert_eq!(owned.conditions[0].last_transition_time, "last");
    }

    #[test]
    fn conditions_of_others_are_not_taken_for_ours() {
        let mut status = LoopRunStatus::default();
        status.conditions = ["Foreign", STALLED, ADMITTED]
            .map(|kind| Condition {
                kind: kind.into(),
                status: "True".into(),
                reason: "Because".into(),
                message: String::new(),
                last_transition_time: "early".into(),
                observed_generation: None,
            })
            .into();
        let kinds: Vec<_> =
            Owned::of(&status).conditions.into_iter().map(|condition| condition.kind).collect();
        assert_eq!(kinds, [ADMITTED, STALLED]);
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        assert_eq!(clip("short"), "short");
        assert_eq!(clip(&"\u{20ac}".repeat(2000)).chars().count(), 1004);
    }
}
