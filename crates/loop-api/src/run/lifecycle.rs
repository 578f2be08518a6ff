//! What a user wishes of a run that is on a cluster: that it goes on, rests or ends, and where it can come back from.

use serde::{Deserialize, Serialize};

use super::S3Bucket;

/// What is to become of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum RunState {
    /// It goes on.
    #[default]
    Running,
    /// It stops at the end of its step and gives its slot back; set to Running again it goes on from there.
    Paused,
    /// It ends at once. What it has done so far is kept.
    Canceled,
}

/// Where a run that lost its pod goes on from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Checkpoint {
    /// Where checkpoints are kept.
    pub store: CheckpointStore,
    /// The claim that is made for the store Volume.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume: Option<VolumeRequest>,
    /// The bucket for the store S3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s3: Option<S3Bucket>,
}

/// Where checkpoints are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum CheckpointStore {
    /// On the remote: the run branch, and the journal beside it under refs/agentloop. What is not committed is not kept.
    #[default]
    Branch,
    /// On a volume that follows the run, with everything that is not committed.
    Volume,
    /// In a bucket, with everything that is not committed.
    S3,
    /// Nowhere: a run that loses its pod begins anew.
    None,
}

/// A volume that the cluster is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct VolumeRequest {
    /// How much, as a quantity such as 10Gi; absent = 10Gi.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    /// Name of the storage class; absent = the cluster's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_class_name: Option<String>,
}

/// Fields of a spec that say what becomes of the object on a cluster. A journal does not hold them: they may change while
/// the run is under way.
pub const LIFECYCLE_FIELDS: [&str; 8] = [
    "state",
    "retry",
    "ttlSecondsAfterFinished",
    "checkpoint",
    "podTemplateRef",
    "workerRef",
    "priority",
    "requires",
];
