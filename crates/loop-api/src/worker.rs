//! The `LoopWorker` object: who may run how much on a cluster, and with what (design section 7).
//!
//! It belongs to the platform team; runs name it, or are taken by one that reaches their namespace.

mod policy;
mod selector;
mod status;

pub use policy::{Budget, BudgetScope, Policy};
pub use selector::{LabelRule, LabelRuleOperator, NamespaceSelector};
pub use status::LoopWorkerStatus;

use serde::{Deserialize, Serialize};

use crate::run::{ClaimReference, Defaults, LEASE_SECONDS};

/// Kind of a worker.
pub const KIND: &str = "LoopWorker";

/// Which runs the worker takes, how many of them at once, and what it gives them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, kube::CustomResource, schemars::JsonSchema)]
#[kube(
    group = "agentloop.dev",
    version = "v1alpha1",
    kind = "LoopWorker",
    plural = "loopworkers",
    shortname = "lw",
    category = "agentloop",
    status = "LoopWorkerStatus",
    scale(spec_replicas_path = ".spec.slots", status_replicas_path = ".status.active"),
    doc = "A share of the cluster for runs: which namespaces it takes runs from, how many at once, and what they get.",
    annotation("helm.sh/resource-policy", "keep")
)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct LoopWorkerSpec {
    /// Namespaces whose runs it takes, by their labels; absent = all namespaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<NamespaceSelector>,
    /// Runs that have a pod at the same time; further ones wait. kubectl scale changes it.
    pub slots: u32,
    /// The most slots that the runs of one namespace have at the same time; absent = all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slots_per_namespace: Option<u32>,
    /// The most slots that the runs of one repository have at the same time; absent = all. A repository is told by its
    /// address, however that is written: status.workspace of a run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_runs_per_workspace: Option<u32>,
    /// Which of the waiting runs goes first, among those of equal priority, and of namespaces that have equally many runs
    /// here.
    pub queue_policy: QueuePolicy,
    /// What it offers, such as gpu: it takes a run that asks for something in spec.requires only if all of it is here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
    /// Takes the worker out of service, as kubectl drain does a node: with enabled set to true it takes no new runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drain: Option<Drain>,
    /// Seconds without a word of the API server after which the pod of a run stops by itself, and after which the run may go
    /// on in another.
    pub lease_seconds: u32,
    /// What a run gets where neither it nor its pod template says otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub defaults: Option<Defaults>,
    /// The most that a run may ask for. One that asks for more waits, and says what is too much. What the worker or the
    /// operator gives by default is not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
    /// What its runs may use together in a time.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub budgets: Vec<Budget>,
    /// Claim with mirrors of repositories: bare ones, called HOST/PATH.git, such as git.example/team/app.git. It is looked for
    /// in the namespace of a run, with an access mode for many nodes, and mounted read-only where the repository is cloned, out of
    /// the agent's reach; what the mirror has does not come from the remote. A run for which there is none clones as ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository_cache: Option<ClaimReference>,
}

impl Default for LoopWorkerSpec {
    fn default() -> Self {
        Self {
            namespace_selector: None,
            slots: 3,
            slots_per_namespace: None,
            max_runs_per_workspace: None,
            queue_policy: QueuePolicy::Fifo,
            capabilities: Vec::new(),
            drain: None,
            lease_seconds: LEASE_SECONDS,
            defaults: None,
            policy: None,
            budgets: Vec::new(),
            repository_cache: None,
        }
    }
}

/// In which order waiting runs get their turn; as [`crate::run::QueuePolicy`], in the spelling of Kubernetes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub enum QueuePolicy {
    /// The oldest first.
    #[default]
    Fifo,
    /// The newest first.
    NewestFirst,
}

/// Whether and how a worker is taken out of service.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Drain {
    /// Whether it takes no new runs. Those that it has go on to their end, or to the deadline.
    pub enabled: bool,
    /// Seconds, from when the operator has seen that the worker is drained, after which the pods of its runs are stopped.
    /// What an agent has half done is kept as checkpoint.store of its run says, and the run goes on with another worker; one
    /// that names this worker waits for it, and one whose checkpoint.store is None goes on here to its end. Absent = never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline_seconds: Option<u32>,
}

impl LoopWorkerSpec {
    /// Whether it takes no new runs.
    pub fn is_draining(&self) -> bool {
        self.drain.as_ref().is_some_and(|drain| drain.enabled)
    }

    /// Fields that are set and that this version does not go by.
    pub fn unused(&self) -> Vec<&'static str> {
        if self.budgets.is_empty() { Vec::new() } else { vec!["spec.budgets"] }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_set_and_not_gone_by_is_named() {
        let named = |spec: serde_json::Value| {
            serde_json::from_value::<LoopWorkerSpec>(spec).expect("a spec").unused()
        };
        assert!(named(json!({})).is_empty());
        let used = json!({
            "namespaceSelector": {"matchLabels": {"team": "a"}}, "slots": 5, "slotsPerNamespace": 2,
            "maxRunsPerWorkspace": 1, "queuePolicy": "NewestFirst", "capabilities": ["gpu"], "drain": {"enabled": true, "deadlineSeconds": 60},
            "leaseSeconds": 30, "policy": {"costUSD": "5", "images": ["*"], "runtimeClassNames": ["gvisor"]},
            "defaults": {"agent": {"image": "i"}, "delivery": {"mode": "None"}},
            "repositoryCache": {"claimName": "mirrors"},
        });
        assert!(named(used).is_empty());
        assert_eq!(named(json!({"budgets": [{"costUSD": "5"}]})), ["spec.budgets"]);
    }
}
