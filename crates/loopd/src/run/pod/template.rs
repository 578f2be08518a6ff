//! What a team adds to the pods of its runs by a core/v1 `PodTemplate`: where they are placed, what agent and gates get, and
//! services beside them. What is not named here is refused, so that nothing is silently without effect and the trust line
//! stays where it is.

mod service;
mod volumes;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Container, Pod, PodSpec, PodTemplateSpec, ResourceRequirements, VolumeMount,
};
use serde::Serialize;
use serde_json::Value;

use super::{AGENT, GATE};

/// Begin of variables that are ours, and others that a far side cannot do without.
const OURS: &str = "LOOP_";
const NEEDED: [&str; 3] = ["HOME", "TMPDIR", "GIT_CONFIG_GLOBAL"];
/// Begin of labels and annotations that are ours.
const OUR_KEYS: &str = "agentloop.dev/";

/// What of a run its template may not name, for it is out of the agent's reach.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Kept<'a> {
    /// The Secret with the credentials of the repository.
    pub(crate) secret: Option<&'a str>,
    /// The claim with the run's own files.
    pub(crate) claim: Option<&'a str>,
}

/// Adds a template to a pod. With `named` the run itself names the image of agent and gates, which counts more than those of
/// the template.
///
/// # Errors
/// The first thing in it that the pod of a run cannot have, as the end of a sentence about the template.
pub(crate) fn merge(
    pod: &mut Pod,
    template: &PodTemplateSpec,
    named: bool,
    kept: Kept<'_>,
) -> Result<(), String> {
    metadata(pod, template)?;
    let (Some(spec), Some(mut wanted)) = (pod.spec.as_mut(), template.spec.clone()) else { return Ok(()) };
    service::look_for_secret(&wanted, kept.secret)?;
    volumes::add(spec, wanted.volumes.take().unwrap_or_default(), kept)?;
    let (parts, services): (Vec<Container>, Vec<Container>) = std::mem::take(&mut wanted.containers)
        .into_iter()
        .partition(|container| [AGENT, GATE].contains(&container.name.as_str()));
    place(spec, wanted)?;
    let containers = spec.init_containers.get_or_insert_default();
    // What is said of the gate counts more there than what is said of the agent.
    for name in [AGENT, GATE] {
        for part in parts.iter().filter(|part| part.name == name) {
            for own in
                containers.iter_mut().filter(|own| own.name == name || (own.name == GATE && name == AGENT))
            {
                let mut part = part.clone();
                let ours = [json(&spec.security_context), json(&own.security_context)];
                part.security_context.take_if(|context| is_said(&ours, context));
                give(own, part, named)?;
            }
        }
    }
    let mut taken: Vec<String> = containers.iter().map(|own| own.name.clone()).collect();
    taken.extend(spec.containers.iter().map(|own| own.name.clone()));
    let services =
        services.into_iter().map(|wanted| service::of(wanted, &taken)).collect::<Result<Vec<_>, _>>()?;
    // They are there before anything that may want them.
    let at = containers.iter().position(|own| own.name == AGENT).unwrap_or(containers.len());
    containers.splice(at..at, services);
    Ok(())
}

/// Takes over labels and annotations that the pod does not have.
fn metadata(pod: &mut Pod, template: &PodTemplateSpec) -> Result<(), String> {
    let Some(wanted) = template.metadata.clone() else { return Ok(()) };
    let add = |own: &mut Option<BTreeMap<String, String>>, more: Option<BTreeMap<String, String>>| {
        for (key, value) in more.unwrap_or_default() {
            if key.starts_with(OUR_KEYS) {
                return Err(format!("has the key {key}, which is one of ours"));
            }
            own.get_or_insert_default().entry(key).or_insert(value);
        }
        Ok(())
    };
    add(&mut pod.metadata.labels, wanted.labels)?;
    add(&mut pod.metadata.annotations, wanted.annotations)
}

/// Takes over where the pod is placed, and what it is reached by.
fn place(spec: &mut PodSpec, mut wanted: PodSpec) -> Result<(), String> {
    spec.node_selector = wanted.node_selector.take();
    spec.tolerations = wanted.tolerations.take();
    spec.affinity = wanted.affinity.take();
    spec.topology_spread_constraints = wanted.topology_spread_constraints.take();
    spec.priority_class_name = wanted.priority_class_name.take();
    spec.runtime_class_name = wanted.runtime_class_name.take();
    spec.scheduler_name = wanted.scheduler_name.take();
    spec.image_pull_secrets = wanted.image_pull_secrets.take();
    spec.dns_config = wanted.dns_config.take();
    spec.host_aliases = wanted.host_aliases.take();
    // What the API server writes into every template.
    wanted.restart_policy.take_if(|policy| policy == "Always");
    wanted.dns_policy.take_if(|policy| policy == "ClusterFirst");
    wanted.termination_grace_period_seconds.take_if(|seconds| *seconds == 30);
    wanted.security_context.take_if(|context| is_said(&[json(&spec.security_context)], context));
    nothing_left("", &wanted, &["containers"])
}

/// Gives a container of ours what a template's has: variables, mounts, resources and, unless the run has `named` one, image.
fn give(own: &mut Container, mut wanted: Container, named: bool) -> Result<(), String> {
    let name = std::mem::take(&mut wanted.name);
    let env = wanted.env.take().unwrap_or_default();
    let is_ours = |name: &str| name.starts_with(OURS) || NEEDED.contains(&name);
    if let Some(variable) = env.iter().find(|variable| is_ours(&variable.name)) {
        return Err(format!("sets {} of container {name}, which is a variable of ours", variable.name));
    }
    let all = own.env.get_or_insert_default();
    all.retain(|known| env.iter().all(|variable| variable.name != known.name));
    all.extend(env);
    if let Some(more) = wanted.env_from.take() {
        own.env_from.get_or_insert_default().extend(more);
    }
    let mounts = wanted.volume_mounts.take().unwrap_or_default();
    // Gates work where no file of the agent's is.
    if own.name == name {
        mounts.iter().try_for_each(|mount| apart(own, mount))?;
        own.volume_mounts.get_or_insert_default().extend(mounts);
    }
    if let Some(resources) = wanted.resources.take() {
        ask(own.resources.get_or_insert_default(), resources);
    }
    let (image, policy) = (wanted.image.take(), wanted.image_pull_policy.take());
    if !named && image.is_some() {
        (own.image, own.image_pull_policy) = (image, policy);
    }
    (wanted.termination_message_path, wanted.termination_message_policy) = (None, None);
    nothing_left(&format!("container {name}: "), &wanted, &["name"])
}

/// Puts what a team asks for over what we do. Where it has a limit only, that is also the request, as everywhere.
fn ask(own: &mut ResourceRequirements, wanted: ResourceRequirements) {
    let requests = own.requests.get_or_insert_default();
    requests.retain(|kind, _| !wanted.limits.iter().any(|limits| limits.contains_key(kind)));
    requests.extend(wanted.requests.unwrap_or_default());
    if let Some(limits) = wanted.limits {
        own.limits.get_or_insert_default().extend(limits);
    }
    own.claims = wanted.claims;
}

/// A mount neither covers one of ours nor is below one.
fn apart(own: &Container, wanted: &VolumeMount) -> Result<(), String> {
    let parts = |path: &str| -> Vec<String> {
        path.split('/').filter(|part| !part.is_empty() && *part != ".").map(str::to_owned).collect()
    };
    let path = parts(&wanted.mount_path);
    let touches = |mount: &&VolumeMount| {
        let other = parts(&mount.mount_path);
        path.starts_with(&other) || other.starts_with(&path)
    };
    if path.iter().any(|part| part == "..") {
        return Err(format!("mounts {}, which is no plain path", wanted.mount_path));
    }
    match own.volume_mounts.iter().flatten().find(touches) {
        Some(mount) => Err(format!("mounts {}, where {} of ours is", wanted.mount_path, mount.mount_path)),
        None => Ok(()),
    }
}

fn json(object: &impl Serialize) -> Value {
    serde_json::to_value(object).unwrap_or_default()
}

/// Whether `wanted` asks for nothing but what is so already, as a template does that Pod Security is not to warn of.
fn is_said(ours: &[Value], wanted: &impl Serialize) -> bool {
    let Value::Object(wanted) = json(wanted) else { return false };
    wanted.iter().all(|(key, value)| ours.iter().any(|ours| ours.get(key) == Some(value)))
}

/// Refuses what has not been taken over.
fn nothing_left(place: &str, object: &impl Serialize, known: &[&str]) -> Result<(), String> {
    let Value::Object(fields) = json(object) else { return Ok(()) };
    match fields.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(format!("has {place}{name}, which the pod of a run does not take over")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
