//! The `LoopRun` object (`agentloop.dev/v1alpha1`): the same for a run on this machine and on a cluster.

mod defaults;
mod lifecycle;
mod queue;
pub(crate) mod spec;
mod status;
mod store;

pub use defaults::{
    DefaultAgent, DefaultDelivery, Defaults, Resources, Toleration, TolerationEffect, TolerationOperator,
};
pub use lifecycle::{Checkpoint, CheckpointStore, LIFECYCLE_FIELDS, RunState, VolumeRequest};
pub use queue::{QueuePolicy, QueueSettings};
pub use spec::{
    Agent, ArtifactMode, Artifacts, Checkout, CompletionMode, Delivery, DeliveryMode, Gate, GateWhen,
    LOG_DIR, Limits, LoopRunSpec, LoopSettings, MergeStrategy, Postmortem, Protect, Provider, Repository,
    Require, Review, SecretReference, Submodules, Task, TemplateReference, WorkerReference, Worktree,
    WorktreeHooks,
};
pub use status::{
    CheckpointStatus, Condition, Counts, LEASE_SECONDS, LoopRunStatus, LostAttempts, ModelUsage,
    PostmortemStatus, Progress, RunResult, StepSummary, UsageStatus, WorktreeStatus,
};
pub use store::{ArtifactStore, ClaimReference, S3Bucket};

use serde::{Deserialize, Serialize};

/// API group and version of every object of this product.
pub const API_VERSION: &str = "agentloop.dev/v1alpha1";
/// Kind of a run.
pub const KIND: &str = "LoopRun";
/// What `-o name` prints before the slash.
pub const RESOURCE: &str = "looprun.agentloop.dev";

/// One run: what is asked for and where it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LoopRun {
    /// Always [`API_VERSION`].
    pub api_version: String,
    /// Always [`KIND`].
    pub kind: String,
    /// Name and identity.
    #[serde(default)]
    pub metadata: Metadata,
    /// What the user asks for.
    pub spec: LoopRunSpec,
    /// What has become of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<LoopRunStatus>,
}

/// The part of Kubernetes' `ObjectMeta` that a local run has too.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// Unique among the runs of this data directory.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Kubernetes namespace; absent for a local run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// `UUIDv7` (DOM-1).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// RFC 3339, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creation_timestamp: Option<String>,
}

/// Several runs, as `kubectl get -o json` would print them.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct List<'a> {
    /// Always `v1`.
    pub api_version: &'static str,
    /// Always `List`.
    pub kind: &'static str,
    /// The runs.
    pub items: &'a [LoopRun],
}

impl<'a> List<'a> {
    /// Wraps runs as a kind `List`.
    pub fn new(items: &'a [LoopRun]) -> Self {
        Self { api_version: "v1", kind: "List", items }
    }
}

/// Whether a field says nothing: what a run on this machine does not have is not written for it.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// An exit reason as the reason of a condition: `iterations_exhausted` as `IterationsExhausted`.
pub fn condition_reason(exit_reason: &str) -> String {
    let word = |word: &str| {
        let mut letters = word.chars();
        let first = letters.next().map(|letter| letter.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    };
    exit_reason.split('_').map(word).collect()
}

/// Epoch milliseconds as RFC 3339 in UTC, or an empty text when out of range.
pub fn rfc3339(milliseconds: i64) -> String {
    jiff::Timestamp::from_millisecond(milliseconds)
        .and_then(|time| time.round(jiff::Unit::Second))
        .map(|time| time.to_string())
        .unwrap_or_default()
}
