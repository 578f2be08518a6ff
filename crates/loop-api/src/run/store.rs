//! Where a run on a cluster keeps what outlives its pods: buckets and claims of the user's.

use serde::{Deserialize, Serialize};

use super::SecretReference;

/// A bucket behind the interface of S3, and the folder of it that runs write to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct S3Bucket {
    /// Name of the bucket, which has to exist.
    pub bucket: String,
    /// Folder in it, such as `agentloop/team-a`; absent = its top. Each run has a folder of its own below, NAMESPACE/NAME/UID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Where the service is, such as `https://minio.example:9000`; with http:// nothing is encrypted on its way. Absent =
    /// Amazon's of the region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Region of the bucket; absent = us-east-1, which most services other than Amazon's take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Secret with the keys `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, and where they are needed `AWS_SESSION_TOKEN`
    /// and `ca.crt`, the certificates of a private authority. Only the container that keeps things gets it. Absent = requests
    /// are not signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretReference>,
}

/// Where the record of an ended run is kept, beside the excerpts in its two `ConfigMaps`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum ArtifactStore {
    /// Nowhere else.
    #[default]
    ConfigMap,
    /// On a volume of the user's, with journal and logs.
    Volume,
    /// In a bucket, with journal and logs.
    S3,
}

/// A volume claim in the namespace of the run, which has to exist.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ClaimReference {
    /// Its name. User or group 1000 must be able to write there; to read is enough for mirrors of repositories.
    pub claim_name: String,
}
