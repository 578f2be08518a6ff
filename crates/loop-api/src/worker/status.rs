//! `LoopWorker.status`: what the operator makes of a worker.

use serde::{Deserialize, Serialize};

use crate::run::Condition;

/// How a worker stands. Counts may be half a minute old.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct LoopWorkerStatus {
    /// Generation of the spec that this status is about; -1 before an operator has seen the worker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Runs that have a slot.
    pub active: u32,
    /// Runs that wait and that it would take. One that several workers would take counts with each of them.
    pub queued: u32,
    /// Online: an operator looks after it. Draining: it takes no new runs. Accepted: what of its spec has no effect.
    pub conditions: Vec<Condition>,
}
