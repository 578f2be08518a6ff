//! What a worker gives to runs that say nothing themselves.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::run::{DeliveryMode, MergeStrategy};

/// What a run gets where neither it nor its pod template says otherwise.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Defaults {
    /// Who implements.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<DefaultAgent>,
    /// Labels of the nodes that pods are placed on.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// Taints of nodes that pods may be placed on all the same.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tolerations: Vec<Toleration>,
    /// Runtime class of pods, such as one of a sandbox.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime_class_name: Option<String>,
    /// Resources of the containers of agent and gates, each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Folders that outlive a run, for what is fetched or built again and again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub caches: Vec<Cache>,
    /// What happens with a verified tree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery: Option<DefaultDelivery>,
}

/// Who implements, where a run does not say.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct DefaultAgent {
    /// The image in which agent and gates work, with the project's toolchain; absent = the operator's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
}

/// What happens with a verified tree, where a run does not say.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct DefaultDelivery {
    /// Whether the target branch is moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<DeliveryMode>,
    /// How.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<MergeStrategy>,
}

/// A taint that does not keep a pod away.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Toleration {
    /// Its key; absent = every taint, with the operator Exists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What is asked of its value; absent = Equal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operator: Option<TolerationOperator>,
    /// Its value, for Equal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Its effect; absent = every effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effect: Option<TolerationEffect>,
    /// Seconds that a pod stays after the taint came, for `NoExecute`; absent = for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub toleration_seconds: Option<u32>,
}

/// What a toleration asks of a taint's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum TolerationOperator {
    /// It is the toleration's.
    Equal,
    /// Nothing.
    Exists,
}

/// What a taint does to pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum TolerationEffect {
    /// New ones stay away.
    NoSchedule,
    /// New ones stay away where there is another node.
    PreferNoSchedule,
    /// Those that are there leave too.
    NoExecute,
}

/// Resources of a container, as quantities by their names.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Resources {
    /// What it is sure to have, such as cpu: "2" and memory: 4Gi; numbers in quotes.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub requests: BTreeMap<String, String>,
    /// The most that it gets. At 95 % of its memory the largest process of an agent is ended, which fails its step.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<String, String>,
}

/// A folder that outlives a run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Cache {
    /// Its name.
    pub name: String,
    /// Where containers see it, such as /cache/cargo.
    pub mount_path: String,
    /// Files of the repository on whose content it depends, such as Cargo.lock.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub key_files: Vec<String>,
}
