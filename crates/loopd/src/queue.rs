//! Whose turn it is. Slots in use are derived from runs and pods each time, never counted up and down.

use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use loop_api::crd::LoopRun;

use crate::run::health;
use crate::run::standing::{self, Standing};

/// What the queue knows of a run, or of a pod whose run is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Uid of the run.
    pub(crate) uid: String,
    /// Creation in seconds, then namespace and name: the order of the queue.
    pub(crate) order: (i64, String),
    /// Where it stands.
    pub(crate) place: Place,
}

/// Where a run stands with the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// It waits for a slot.
    Waits,
    /// It has a slot: its pod is alive, or is about to be made.
    Holds,
    /// It needs no slot.
    Out,
}

/// What is seen of a run beside itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Pods {
    /// One of its pods is not over.
    pub(crate) alive: bool,
    /// The pod of its current attempt is there, and is over.
    pub(crate) over: bool,
}

impl Pods {
    /// Of a run with these pods at `now`. One that the run has gone on without counts as long as its lease may.
    pub(crate) fn of(run: &LoopRun, pods: &[&Pod], lease_seconds: u32, now: Timestamp) -> Self {
        let current = run.status.as_ref().map(|status| status.pod_name.as_str()).unwrap_or_default();
        let is_current = |pod: &&&Pod| pod.metadata.name.as_deref() == Some(current);
        let expired = standing::is_expired(run, now);
        let alive = |pod: &&Pod| {
            let gone = health::is_over(pod) || health::is_abandoned(pod, lease_seconds, now);
            !gone && (is_current(&pod) || !expired)
        };
        Self {
            alive: pods.iter().any(alive),
            over: pods.iter().filter(is_current).any(|pod| health::is_over(pod)),
        }
    }
}

impl Entry {
    /// Of a run at `now`. `admitted` says that this process has just admitted it, which what was seen may not show yet;
    /// one that is not `able` to start takes nobody's turn.
    pub(crate) fn of(run: &LoopRun, pods: Pods, admitted: bool, able: bool, now: Timestamp) -> Self {
        let leaving = run.metadata.deletion_timestamp.is_some();
        let place = match standing::of(run, now) {
            _ if pods.alive => Place::Holds,
            _ if leaving => Place::Out,
            _ if admitted => Place::Holds,
            Standing::Attempt if !pods.over => Place::Holds,
            Standing::Wants if able => Place::Waits,
            _ => Place::Out,
        };
        let created = run.creation_timestamp().map_or(0, |time| time.0.as_second());
        let name = format!("{}/{}", run.namespace().unwrap_or_default(), run.name_any());
        Self { uid: run.uid().unwrap_or_default(), order: (created, name), place }
    }

    /// Of a pod that outlives its run.
    pub(crate) fn orphan(uid: &str) -> Self {
        Self { uid: uid.to_owned(), order: (0, String::new()), place: Place::Holds }
    }
}

/// Uids of those that may start now: the oldest of those that wait, as many as slots are free.
pub(crate) fn turns(entries: &[Entry], slots: usize) -> BTreeSet<String> {
    let held = entries.iter().filter(|entry| entry.place == Place::Holds).count();
    let mut waiting: Vec<&Entry> = entries.iter().filter(|entry| entry.place == Place::Waits).collect();
    waiting.sort_by(|one, other| one.order.cmp(&other.order));
    waiting.into_iter().take(slots.saturating_sub(held)).map(|entry| entry.uid.clone()).collect()
}

#[cfg(test)]
mod tests;
