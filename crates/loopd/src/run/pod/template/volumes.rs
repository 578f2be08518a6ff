//! Volumes of a template.

use k8s_openapi::api::core::v1::{PodSpec, Volume};
use serde_json::Value;

use super::Kept;

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
pub(super) fn add(spec: &mut PodSpec, wanted: Vec<Volume>, kept: Kept<'_>) -> Result<(), String> {
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
        let claim = volume.persistent_volume_claim.as_ref().map(|claim| claim.claim_name.as_str());
        if claim.is_some() && claim == kept.claim {
            return Err(format!("has a volume {name} of the claim on which the run keeps its own files"));
        }
        own.push(volume);
    }
    Ok(())
}
