//! What a `LoopWorker` gives to runs that say nothing themselves.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{DeliveryMode, LoopRunSpec, MergeStrategy};

/// What a run gets where neither it nor its pod template says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
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
    /// Resources of the container of the agent; the gates, which take turns with it, have its limits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// What happens with a verified tree. It counts more than .loop/config of the base commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery: Option<DefaultDelivery>,
}

impl Defaults {
    /// What of a worker's defaults counts for an attempt at a run; `before` is what counted for the one before, if there was
    /// one. Where pods are placed is the worker's to say each time. In what the gates judge, and what becomes of the work,
    /// stays what it was: a run that moves is not to be judged or delivered by other rules half way.
    pub fn given(worker: Option<&Self>, run: &LoopRunSpec, before: Option<Option<&Self>>) -> Option<Self> {
        let mut given = worker.cloned().unwrap_or_default();
        if let Some(before) = before {
            let kept = before.cloned().unwrap_or_default();
            (given.agent, given.delivery) = (kept.agent, kept.delivery);
        }
        given.agent = given.agent.filter(|agent| agent.image.is_some() && run.agent.image.is_none());
        given.delivery = given.delivery.filter(|delivery| *delivery != DefaultDelivery::default());
        given.resources = given.resources.filter(|resources| *resources != Resources::default());
        Some(given).filter(|given| *given != Self::default())
    }

    /// The image in which agent and gates work.
    pub fn image(&self) -> Option<&str> {
        self.agent.as_ref()?.image.as_deref()
    }
}

/// Who implements, where a run does not say.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct DefaultAgent {
    /// The image in which agent and gates work, with the project's toolchain; absent = the operator's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
}

/// What happens with a verified tree, where a run does not say.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
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
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum TolerationOperator {
    /// It is the toleration's.
    Equal,
    /// Nothing.
    Exists,
}

/// What a taint does to pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum TolerationEffect {
    /// New ones stay away.
    NoSchedule,
    /// New ones stay away where there is another node.
    PreferNoSchedule,
    /// Those that are there leave too.
    NoExecute,
}

/// Resources of a container, as quantities by their names.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Resources {
    /// What it is sure to have, such as cpu: "2" and memory: 4Gi; numbers in quotes.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub requests: BTreeMap<String, String>,
    /// The most that it gets. At 95 % of its memory the largest process of an agent is ended, which fails its step.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<String, String>,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn defaults(value: &Value) -> Defaults {
        serde_json::from_value(value.clone()).expect("defaults")
    }

    fn given(worker: &Value, run: &Value, before: Option<&Value>) -> Value {
        let run: LoopRunSpec = serde_json::from_value(run.clone()).expect("a spec");
        let before = before.map(|before| (!before.is_null()).then(|| defaults(before)));
        let before = before.as_ref().map(Option::as_ref);
        let given = Defaults::given(Some(&defaults(worker)), &run, before);
        serde_json::to_value(given).expect("JSON")
    }

    #[test]
    fn what_a_run_says_itself_counts_more_and_what_it_began_with_stays() {
        let whole = json!({
            "agent": {"image": "a/image"}, "nodeSelector": {"pool": "a"}, "delivery": {"mode": "None"},
            "runtimeClassName": "gvisor",
        });
        let none = json!({});
        assert_eq!(given(&whole, &none, None), whole);
        let named = json!({"agent": {"image": "own/image"}});
        assert_eq!(
            given(&whole, &named, None),
            json!({"nodeSelector": {"pool": "a"}, "delivery": {"mode": "None"}, "runtimeClassName": "gvisor"})
        );
        let other = json!({"agent": {"image": "b/image"}, "nodeSelector": {"pool": "b"}, "delivery": {"mode": "Merge"}});
        let moved = json!({"agent": {"image": "a/image"}, "nodeSelector": {"pool": "b"}, "delivery": {"mode": "None"}});
        assert_eq!(given(&other, &none, Some(&whole)), moved);
        // Its first worker gave nothing, and so does none after it.
        assert_eq!(given(&other, &none, Some(&Value::Null)), json!({"nodeSelector": {"pool": "b"}}));
        assert_eq!(given(&json!({"agent": {}, "delivery": {}, "resources": {}}), &none, None), Value::Null);
    }
}
