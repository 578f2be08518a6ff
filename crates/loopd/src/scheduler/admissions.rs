//! Slots that this process has given and that the cache does not show yet. What it does not remember after a restart is in
//! the status of the runs by then, or was never written.

use std::collections::BTreeMap;

use jiff::Timestamp;
use loop_api::crd::LoopRun;

use crate::run::standing::{self, Standing};

/// Slots that were given, by the uid of the run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Admissions(BTreeMap<String, Admission>);

#[derive(Debug, Clone)]
struct Admission {
    attempt: u32,
    /// Whose; empty = the operator's.
    worker: String,
}

fn attempt(run: &LoopRun) -> u32 {
    run.status.as_ref().map_or(0, |status| status.attempt)
}

impl Admissions {
    /// A slot of this worker is given to the next attempt of a run.
    pub(crate) fn give(&mut self, run: &LoopRun, worker: &str) {
        let Some(uid) = run.metadata.uid.clone() else { return };
        self.0.insert(uid, Admission { attempt: attempt(run) + 1, worker: worker.to_owned() });
    }

    /// The run has its slot no longer.
    pub(crate) fn take_back(&mut self, uid: &str) {
        self.0.remove(uid);
    }

    /// Whose slot a run was given.
    pub(crate) fn worker(&self, uid: &str) -> Option<&str> {
        self.0.get(uid).map(|admission| admission.worker.as_str())
    }

    /// Forgets what the cache shows by now, and what it shows that was not written, since the user was faster.
    pub(crate) fn tidy<'a>(&mut self, runs: impl IntoIterator<Item = &'a LoopRun>, now: Timestamp) {
        if self.0.is_empty() {
            return;
        }
        let known: BTreeMap<&str, &LoopRun> =
            runs.into_iter().filter_map(|run| Some((run.metadata.uid.as_deref()?, run))).collect();
        self.0.retain(|uid, admission| {
            known.get(uid.as_str()).is_some_and(|run| {
                attempt(run) < admission.attempt && standing::of(run, now) != Standing::Rests
            })
        });
    }
}
