//! The queue of one machine; on a cluster a `LoopWorker` has these settings.

use serde::{Deserialize, Serialize};

/// In which order waiting runs get their turn (DOM-39).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueuePolicy {
    /// The oldest first.
    #[default]
    Fifo,
    /// The newest first.
    NewestFirst,
}

/// What a run asks of the queue (SCH-1, SCH-2, SCH-5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueueSettings {
    /// Runs at once, in this data directory.
    pub max_concurrency: u32,
    /// Runs at once in this workspace; `None` = no limit of its own.
    pub max_runs_per_workspace: Option<u32>,
    /// Whose turn it is among those that wait.
    pub policy: QueuePolicy,
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self { max_concurrency: 3, max_runs_per_workspace: None, policy: QueuePolicy::Fifo }
    }
}
