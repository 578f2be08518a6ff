//! Volumes of a run's pod: what two containers do not share, neither can write behind the other's back.

use k8s_openapi::api::core::v1::{
    ConfigMapProjection, DownwardAPIProjection, DownwardAPIVolumeFile, EmptyDirVolumeSource, KeyToPath,
    ObjectFieldSelector, PersistentVolumeClaimVolumeSource, ProjectedVolumeSource, SecretVolumeSource,
    ServiceAccountTokenProjection, Volume, VolumeMount, VolumeProjection,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// The run's own files, out of the far sides' reach.
pub(super) const RUN: &str = "/run/agentloop";
/// Folder of the lease, which the sidecar writes and the runner reads. In memory: no disk that is full can end it.
pub(super) const LEASE: &str = "/run/agentloop-lease";
/// Folder of the agent's socket.
pub(super) const AGENT: &str = "/run/agentloop-agent";
/// Folder of the gate's socket.
pub(super) const GATE: &str = "/run/agentloop-gate";

/// Folders that live as long as the pod.
const EMPTY: [&str; 10] = [
    "bin",
    "work",
    "run",
    "agent-git",
    "program",
    "far-agent",
    "far-gate",
    "socket-agent",
    "socket-gate",
    "tmp",
];
/// Room for the lease.
const LEASE_SIZE: &str = "1Mi";
/// Life of a token in seconds; the kubelet renews it.
const TOKEN_SECONDS: i64 = 3600;
/// Owner and group may read, nobody may write.
const READ_ONLY: i32 = 0o440;

/// All volumes; `secret` names the one with the repository's credentials, `claim` what the run keeps its files on beyond
/// the pod.
pub(super) fn all(secret: Option<&str>, claim: Option<&str>) -> Vec<Volume> {
    let empty = |name: &str| Volume {
        name: name.into(),
        empty_dir: Some(EmptyDirVolumeSource::default()),
        ..Default::default()
    };
    let mut volumes: Vec<Volume> = EMPTY.into_iter().map(empty).collect();
    if let Some(run) = volumes.iter_mut().find(|volume| volume.name == "run")
        && let Some(claim) = claim
    {
        run.empty_dir = None;
        run.persistent_volume_claim =
            Some(PersistentVolumeClaimVolumeSource { claim_name: claim.into(), read_only: None });
    }
    volumes.push(token());
    let memory =
        EmptyDirVolumeSource { medium: Some("Memory".into()), size_limit: Some(Quantity(LEASE_SIZE.into())) };
    volumes.push(Volume { name: "lease".into(), empty_dir: Some(memory), ..Default::default() });
    volumes.extend(secret.map(|name| self::secret("git", name)));
    volumes
}

/// What a client in the pod finds where it looks for a service account, for one container only.
fn token() -> Volume {
    let file = |path: &str, field: &str| DownwardAPIVolumeFile {
        path: path.into(),
        field_ref: Some(ObjectFieldSelector { api_version: Some("v1".into()), field_path: field.into() }),
        ..Default::default()
    };
    let sources = vec![
        VolumeProjection {
            service_account_token: Some(ServiceAccountTokenProjection {
                expiration_seconds: Some(TOKEN_SECONDS),
                path: "token".into(),
                ..Default::default()
            }),
            ..Default::default()
        },
        VolumeProjection {
            config_map: Some(ConfigMapProjection {
                items: Some(vec![KeyToPath { key: "ca.crt".into(), path: "ca.crt".into(), mode: None }]),
                name: "kube-root-ca.crt".into(),
                optional: None,
            }),
            ..Default::default()
        },
        VolumeProjection {
            downward_api: Some(DownwardAPIProjection {
                items: Some(vec![file("namespace", "metadata.namespace")]),
            }),
            ..Default::default()
        },
    ];
    Volume {
        name: "token".into(),
        projected: Some(ProjectedVolumeSource { default_mode: Some(READ_ONLY), sources: Some(sources) }),
        ..Default::default()
    }
}

/// A volume of this name with the keys of a Secret.
pub(super) fn secret(name: &str, of: &str) -> Volume {
    Volume {
        name: name.into(),
        secret: Some(SecretVolumeSource {
            default_mode: Some(READ_ONLY),
            secret_name: Some(of.into()),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// A volume at a place.
pub(super) fn at(name: &str, place: &str) -> VolumeMount {
    VolumeMount { name: name.into(), mount_path: place.into(), ..Default::default() }
}

/// A volume at a place where it cannot be written.
pub(super) fn read_only(name: &str, place: &str) -> VolumeMount {
    VolumeMount { read_only: Some(true), ..at(name, place) }
}

/// A folder of a volume at a place.
pub(super) fn part(name: &str, folder: &str, place: &str) -> VolumeMount {
    VolumeMount { sub_path: Some(folder.into()), ..at(name, place) }
}
