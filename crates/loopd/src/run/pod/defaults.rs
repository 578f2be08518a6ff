//! What a worker gives to the pods of its runs, where no template says otherwise.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Pod, ResourceRequirements, Toleration};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use loop_api::run::{Defaults, Resources};

use super::template::{ask, leaving};
use super::{AGENT, GATE};

/// Adds it to a pod.
pub(super) fn give(pod: &mut Pod, defaults: &Defaults) {
    let Some(spec) = pod.spec.as_mut() else { return };
    if !defaults.node_selector.is_empty() {
        spec.node_selector = Some(defaults.node_selector.clone());
    }
    if !defaults.tolerations.is_empty() {
        spec.tolerations = Some(leaving(defaults.tolerations.iter().map(toleration).collect()));
    }
    spec.runtime_class_name.clone_from(&defaults.runtime_class_name);
    let Some(wanted) = &defaults.resources else { return };
    for container in spec.init_containers.iter_mut().flatten() {
        if [AGENT, GATE].contains(&container.name.as_str()) {
            let same = container.name == AGENT;
            ask(container.resources.get_or_insert_default(), resources(wanted), same);
        }
    }
}

fn toleration(wanted: &loop_api::run::Toleration) -> Toleration {
    // Both sides write these words in the same way.
    let word = |word: serde_json::Value| word.as_str().map(str::to_owned);
    Toleration {
        effect: word(serde_json::json!(wanted.effect)),
        key: wanted.key.clone(),
        operator: word(serde_json::json!(wanted.operator)),
        toleration_seconds: wanted.toleration_seconds.map(i64::from),
        value: wanted.value.clone(),
    }
}

fn resources(wanted: &Resources) -> ResourceRequirements {
    let quantities = |amounts: &BTreeMap<String, String>| {
        let amounts = amounts.iter().map(|(kind, amount)| (kind.clone(), Quantity(amount.clone())));
        Some(amounts.collect())
    };
    ResourceRequirements {
        limits: quantities(&wanted.limits),
        requests: quantities(&wanted.requests),
        ..ResourceRequirements::default()
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::PodTemplate;
    use serde_json::{Value, json};

    use crate::run::pod::{Supplies, pod, with_template};
    use crate::testing::run;

    const SUPPLIES: Supplies<'static> =
        Supplies { runner: "ours", agent: "theirs", claude: None, mirrors: None };

    /// The spec of a pod with these defaults and this template.
    fn made(defaults: &Value, template: Option<Value>) -> Value {
        let run = run(1, &json!({"attempt": 1, "phase": "Pending", "defaults": defaults}));
        let mut pod = pod(&run, 1, &SUPPLIES);
        if let Some(spec) = template {
            let template: PodTemplate =
                serde_json::from_value(json!({"template": {"spec": spec}})).expect("a template");
            pod = with_template(pod, &run, &template).expect("it fits");
        }
        serde_json::to_value(pod.spec).expect("JSON")
    }

    fn resources(spec: &Value, container: &str) -> Value {
        let mut containers = spec["initContainers"].as_array().expect("containers").iter();
        containers.find(|found| found["name"] == container).expect("it is there")["resources"].clone()
    }

    #[test]
    fn a_worker_says_where_pods_go_unless_their_template_does() {
        let defaults = json!({
            "nodeSelector": {"pool": "agents"}, "runtimeClassName": "gvisor",
            "tolerations": [{"key": "agents", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}],
            "resources": {"requests": {"cpu": "2"}, "limits": {"memory": "4Gi"}},
        });
        let given = made(&defaults, None);
        assert_eq!(given["nodeSelector"], json!({"pool": "agents"}));
        assert_eq!(given["runtimeClassName"], "gvisor");
        assert_eq!(
            given["tolerations"][0],
            json!({"key": "agents", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5})
        );
        assert_eq!(
            given["tolerations"].as_array().map(Vec::len),
            Some(3),
            "it still leaves a node that is gone"
        );
        assert_eq!(
            resources(&given, "agent"),
            json!({"requests": {"cpu": "2"}, "limits": {"memory": "4Gi"}}),
            "what is limited is asked for as much"
        );
        assert_eq!(
            resources(&given, "gate"),
            json!({"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "4Gi"}})
        );
        assert_eq!(resources(&given, "sidecar"), resources(&made(&json!({}), None), "sidecar"));

        let other = json!({
            "nodeSelector": {"pool": "own"},
            "containers": [{"name": "agent", "image": "inherit", "resources": {"limits": {"memory": "1Gi"}}}],
        });
        let both = made(&defaults, Some(other));
        assert_eq!(both["nodeSelector"], json!({"pool": "own"}));
        assert_eq!(both["runtimeClassName"], "gvisor", "of that the template says nothing");
        assert_eq!(both["tolerations"], given["tolerations"]);
        assert_eq!(resources(&both, "agent"), json!({"requests": {"cpu": "2"}, "limits": {"memory": "1Gi"}}));
    }
}
