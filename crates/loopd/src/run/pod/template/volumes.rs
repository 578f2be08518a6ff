//! Volumes of a template.

use k8s_openapi::api::core::v1::{Container, PodSpec, Volume};
use loop_api::names;
use serde_json::Value;

use super::{AGENT, GATE};

/// Kinds of volumes that Pod Security `restricted` allows too.
const KINDS: [&str; 9] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
];
/// What may be projected: no token, by which somebody would speak to the API server.
const SOURCES: [&str; 4] = ["clusterTrustBundle", "configMap", "downwardAPI", "secret"];

/// Adds volumes to a pod.
pub(super) fn add(spec: &mut PodSpec, wanted: Vec<Volume>) -> Result<(), String> {
    let own = spec.volumes.get_or_insert_default();
    for volume in wanted {
        let name = &volume.name;
        if own.iter().any(|own| own.name == *name) {
            return Err(format!("has a volume {name}, which is a name of ours"));
        }
        let Ok(Value::Object(fields)) = serde_json::to_value(&volume) else { continue };
        if let Some(kind) = fields.keys().find(|key| *key != "name" && !KINDS.contains(&key.as_str())) {
            return Err(format!("has a volume {name} of kind {kind}, which no run may have"));
        }
        let sources = fields.get("projected").and_then(|projected| projected["sources"].as_array());
        let kinds =
            sources.into_iter().flatten().filter_map(Value::as_object).flat_map(|source| source.keys());
        if let Some(kind) = kinds.into_iter().find(|kind| !SOURCES.contains(&kind.as_str())) {
            return Err(format!("has a volume {name} with a {kind}, which no run may have"));
        }
        let made = fields.get("ephemeral").map(|made| &made["volumeClaimTemplate"]["spec"]);
        if made.is_some_and(|spec| spec.get("dataSource").is_some() || spec.get("dataSourceRef").is_some()) {
            return Err(format!("has a volume {name} that is a copy of another one, which no run may have"));
        }
        let ours = |wanted: &str| names::is_claim(wanted) || own.iter().any(|own| claim(own) == Some(wanted));
        if claim(&volume).is_some_and(ours) {
            return Err(format!("has a volume {name} of a claim on which a run keeps its own files"));
        }
        own.push(volume);
    }
    Ok(())
}

fn claim(volume: &Volume) -> Option<&str> {
    volume.persistent_volume_claim.as_ref().map(|claim| claim.claim_name.as_str())
}

/// Mounts are of the template's own volumes, and no gate reads what the agent of the run can write.
pub(super) fn look_at_mounts(containers: &[Container], volumes: &[Volume]) -> Result<(), String> {
    let mounts = || {
        containers.iter().flat_map(|container| {
            container.volume_mounts.iter().flatten().map(|mount| (container.name.as_str(), mount))
        })
    };
    if let Some((_, mount)) =
        mounts().find(|(_, mount)| volumes.iter().all(|volume| volume.name != mount.name))
    {
        return Err(format!("mounts a volume {} that it does not have", mount.name));
    }
    // Two volumes may be of one claim.
    let what = |name: &str| {
        let volume = volumes.iter().find(|volume| volume.name == name);
        volume.and_then(claim).map_or_else(|| format!("volume {name}"), |claim| format!("claim {claim}"))
    };
    let written: Vec<String> = mounts()
        .filter(|(container, mount)| *container == AGENT && mount.read_only != Some(true))
        .map(|(_, mount)| what(&mount.name))
        .collect();
    match mounts().find(|(container, mount)| *container == GATE && written.contains(&what(&mount.name))) {
        Some((_, mount)) => Err(format!(
            "mounts {} in both agent and gate, so that the agent could write what a gate reads; give each a volume of its \
             own, or mount it readOnly in the agent",
            what(&mount.name)
        )),
        None => Ok(()),
    }
}
