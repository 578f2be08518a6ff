//! What a team adds to the pods of its runs by a core/v1 `PodTemplate`: where they are placed, what agent and gates get, and
//! services beside them. What is not named here is refused, so that nothing is silently without effect and the trust line
//! stays where it is.

mod part;
mod service;
mod volumes;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec, PodTemplateSpec, Toleration};
use serde::Serialize;
use serde_json::Value;

use super::{AGENT, GATE};

/// What a template says of the image of agent or gate that it does not change.
pub(super) const INHERIT: &str = part::INHERIT;
pub(super) use part::ask;

/// Names of containers that are ours, whether or not a pod has them.
pub(crate) const OURS: [&str; 6] = ["install", "sidecar", AGENT, "claude", GATE, "runner"];
/// Begin of labels and annotations that are ours, and of annotations by which a container would lose its confinement.
const OUR_KEYS: &str = "agentloop.dev/";
const CONFINING_KEYS: [&str; 2] = ["container.apparmor.security.", "container.seccomp.security."];
/// Seconds after which a pod leaves a node that is gone, whatever else it tolerates.
const GONE_SECONDS: i64 = 60;

/// Adds a template to a pod. With `named` the run itself names the image of agent and gates, which counts more than those of
/// the template.
///
/// # Errors
/// The first thing in it that the pod of a run cannot have, as the end of a sentence about the template.
pub(crate) fn merge(pod: &mut Pod, template: &PodTemplateSpec, named: bool) -> Result<(), String> {
    metadata(pod, template)?;
    let (Some(spec), Some(mut wanted)) = (pod.spec.as_mut(), template.spec.clone()) else { return Ok(()) };
    // What the sidecar has of the run's is not for others.
    for volume in spec.volumes.iter().flatten() {
        let secret = volume.secret.as_ref().and_then(|secret| secret.secret_name.as_deref());
        service::look_for_secret(&wanted, secret)?;
    }
    let volumes = wanted.volumes.take().unwrap_or_default();
    volumes::look_at_mounts(&wanted.containers, &volumes)?;
    volumes::add(spec, volumes)?;
    let (parts, services): (Vec<Container>, Vec<Container>) = std::mem::take(&mut wanted.containers)
        .into_iter()
        .partition(|container| [AGENT, GATE].contains(&container.name.as_str()));
    place(spec, wanted)?;
    let ours = json(&spec.security_context);
    let containers = spec.init_containers.get_or_insert_default();
    // What is said of the gate counts more there than what is said of the agent.
    for name in [AGENT, GATE] {
        for wanted in parts.iter().filter(|wanted| wanted.name == name) {
            for own in
                containers.iter_mut().filter(|own| own.name == name || (own.name == GATE && name == AGENT))
            {
                part::give(own, wanted.clone(), named, &ours)?;
            }
        }
    }
    let services = services.into_iter().map(service::of).collect::<Result<Vec<_>, _>>()?;
    // They are there before anything that may want them.
    let at = containers.iter().position(|own| own.name == AGENT).unwrap_or(containers.len());
    containers.splice(at..at, services);
    Ok(())
}

/// Takes over labels and annotations that the pod does not have.
fn metadata(pod: &mut Pod, template: &PodTemplateSpec) -> Result<(), String> {
    let Some(wanted) = template.metadata.clone() else { return Ok(()) };
    let add = |own: &mut Option<BTreeMap<String, String>>, more: Option<BTreeMap<String, String>>| {
        let own = own.get_or_insert_default();
        for (key, value) in more.unwrap_or_default() {
            let is_other = own.get(&key).is_some_and(|own| *own != value);
            if key.starts_with(OUR_KEYS) || is_other {
                return Err(format!("has the key {key}, which is one of ours"));
            }
            if CONFINING_KEYS.iter().any(|begin| key.starts_with(begin)) {
                return Err(format!("has the annotation {key}, which no run may have"));
            }
            own.insert(key, value);
        }
        Ok(())
    };
    add(&mut pod.metadata.labels, wanted.labels)?;
    add(&mut pod.metadata.annotations, wanted.annotations)
}

/// Takes over where the pod is placed, and what it is reached by.
fn place(spec: &mut PodSpec, mut wanted: PodSpec) -> Result<(), String> {
    spec.node_selector = wanted.node_selector.take().or(spec.node_selector.take());
    spec.tolerations = wanted.tolerations.take().map(leaving).or(spec.tolerations.take());
    spec.affinity = wanted.affinity.take();
    spec.topology_spread_constraints = wanted.topology_spread_constraints.take();
    spec.priority_class_name = wanted.priority_class_name.take();
    spec.runtime_class_name = wanted.runtime_class_name.take().or(spec.runtime_class_name.take());
    spec.scheduler_name = wanted.scheduler_name.take();
    spec.image_pull_secrets = wanted.image_pull_secrets.take();
    spec.dns_config = wanted.dns_config.take();
    spec.host_aliases = wanted.host_aliases.take();
    spec.dns_policy = wanted.dns_policy.take_if(|policy| policy != "ClusterFirstWithHostNet");
    spec.host_users = wanted.host_users.take_if(|users| !*users);
    // What the API server writes into every template.
    wanted.restart_policy.take_if(|policy| policy == "Always");
    wanted.termination_grace_period_seconds.take_if(|seconds| *seconds == 30);
    nothing_left("", &wanted, &["containers"], &[json(spec)])
}

/// With tolerations of everything a pod would stay on a node that is gone for ever; with these it leaves.
pub(super) fn leaving(mut wanted: Vec<Toleration>) -> Vec<Toleration> {
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        if wanted.iter().all(|toleration| toleration.key.as_deref() != Some(key)) {
            wanted.push(Toleration {
                effect: Some("NoExecute".into()),
                key: Some(key.into()),
                operator: Some("Exists".into()),
                toleration_seconds: Some(GONE_SECONDS),
                value: None,
            });
        }
    }
    wanted
}

fn json(object: &impl Serialize) -> Value {
    serde_json::to_value(object).unwrap_or_default()
}

/// Refuses what has not been taken over, unless one of `ours` says the same already.
fn nothing_left(place: &str, object: &impl Serialize, known: &[&str], ours: &[Value]) -> Result<(), String> {
    let Value::Object(fields) = json(object) else { return Ok(()) };
    for (name, value) in &fields {
        let said =
            |value: &Value, ours: &[Value], name: &str| ours.iter().any(|ours| ours.get(name) == Some(value));
        if known.contains(&name.as_str()) || said(value, ours, name) {
            continue;
        }
        if let (Value::Object(parts), "securityContext") = (value, name.as_str()) {
            // A container's stands on that of the pod, which ours have both.
            let contexts: Vec<Value> =
                ours.iter().map(|ours| ours[name].clone()).chain(ours.to_vec()).collect();
            let other = parts.iter().find(|(part, value)| {
                let is_off = *part == "privileged" && **value == Value::Bool(false);
                !is_off && !said(value, &contexts, part)
            });
            let Some((part, _)) = other else { continue };
            return Err(format!("has {place}{name}.{part}, which the pod of a run does not take over"));
        }
        return Err(format!("has {place}{name}, which the pod of a run does not take over"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
