//! `summary.json`: how a run ended, in sixteen fields that programs of the forerunner read (ART-23, ART-24).

use serde::{Deserialize, Serialize};

/// The summary of an ended run. What is unknown is `null`, never left out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// `UUIDv7`.
    pub run_id: String,
    /// Creation, epoch milliseconds.
    pub start_ms: i64,
    /// End, epoch milliseconds.
    pub end_ms: i64,
    /// `end_ms - start_ms`.
    pub total_duration_ms: i64,
    /// Implementations that ended.
    pub iterations_run: u32,
    /// Iteration whose tree was granted.
    pub completed_iteration: Option<u32>,
    /// `total_duration_ms / iterations_run`, 0 without any.
    pub avg_duration_ms: i64,
    /// Exit code of the last agent process of an implementation.
    pub last_exit_code: Option<i32>,
    /// What asked for the completion that was granted: `exact`, `trailing` or `plan`.
    pub completion_mode: Option<String>,
    /// Model of the implementer.
    pub model: Option<String>,
    /// Wire form of an exit reason.
    pub exit_reason: String,
    /// Path of `run.log`.
    pub run_log: String,
    /// Path of `report.tsv`.
    pub run_report: String,
    /// Path of `prompt.txt`; `null` when no prompt was ever made.
    pub prompt_snapshot: Option<String>,
    /// Path of the last implementation's last lines.
    pub last_iteration_tail: Option<String>,
    /// Path of the last implementation's log.
    pub last_iteration_log: Option<String>,
}
