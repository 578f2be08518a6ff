//! What a template has for the containers of agent and gates.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, ResourceRequirements, VolumeMount};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde_json::Value;

use super::{json, nothing_left};

/// Begin of variables that are ours, and others that a far side cannot do without.
const OURS: &str = "LOOP_";
const NEEDED: [&str; 3] = ["HOME", "TMPDIR", "GIT_CONFIG_GLOBAL"];
/// Image that says nothing: a server takes no template whose containers have none.
pub(super) const INHERIT: &str = "inherit";
/// What every container has of a node; anything else is for the one that is named.
const USUAL: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];

/// Gives a container of ours what a template's has: variables, mounts, resources and, unless the run has `named` one, image.
/// `pod` is the security context of the whole pod.
pub(super) fn give(
    own: &mut Container,
    mut wanted: Container,
    named: bool,
    pod: &Value,
) -> Result<(), String> {
    let name = std::mem::take(&mut wanted.name);
    let same = own.name == name;
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
    if same {
        mounts.iter().try_for_each(|mount| apart(own, mount))?;
        own.volume_mounts.get_or_insert_default().extend(mounts);
    }
    if let Some(resources) = wanted.resources.take() {
        if resources.claims.is_some() {
            return Err(format!(
                "has container {name}: resources.claims, which the pod of a run does not take over"
            ));
        }
        ask(own.resources.get_or_insert_default(), resources, same);
    }
    let (image, policy) =
        (wanted.image.take().filter(|image| image != INHERIT), wanted.image_pull_policy.take());
    if !named && image.is_some() {
        (own.image, own.image_pull_policy) = (image, policy);
    }
    (wanted.termination_message_path, wanted.termination_message_policy) = (None, None);
    let ours =
        [json(own), Value::Object([("securityContext".to_owned(), pod.clone())].into_iter().collect())];
    nothing_left(&format!("container {name}: "), &wanted, &["name"], &ours)
}

/// Puts what a team asks for over what we do. Where it has a limit only, that is also the request, as everywhere. Gates and
/// agent take turns, so that what is asked for the agent is the limit of both and the request of one.
pub(in crate::run::pod) fn ask(own: &mut ResourceRequirements, wanted: ResourceRequirements, same: bool) {
    let usual = |amounts: Option<BTreeMap<String, Quantity>>| {
        let amounts = amounts.unwrap_or_default().into_iter();
        amounts.filter(|(kind, _)| same || USUAL.contains(&kind.as_str())).collect::<BTreeMap<_, _>>()
    };
    let limits = usual(wanted.limits);
    if same {
        let requests = own.requests.get_or_insert_default();
        requests.retain(|kind, _| !limits.contains_key(kind));
        requests.extend(wanted.requests.unwrap_or_default());
    }
    if !limits.is_empty() {
        own.limits.get_or_insert_default().extend(limits);
    }
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
