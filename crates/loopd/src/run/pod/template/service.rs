//! Services beside a run: a database for its tests, a mock of what the project talks to. Each runs as a native sidecar, so
//! that it is there from before the agent until after the last gate.

use k8s_openapi::api::core::v1::{Capabilities, Container, PodSpec, Probe, SecurityContext};
use serde_json::Value;

use super::{OURS, json};

/// Seconds that a service may take until it is ready, where it has no startupProbe.
const START_SECONDS: i32 = 300;

/// What the security context of a service may say; each of them takes something away, or says who it runs as.
const SECURITY: [&str; 8] = [
    "allowPrivilegeEscalation",
    "capabilities",
    "privileged",
    "readOnlyRootFilesystem",
    "runAsGroup",
    "runAsNonRoot",
    "runAsUser",
    "seccompProfile",
];

/// A container of a template as one of the pod.
pub(super) fn of(mut wanted: Container) -> Result<Container, String> {
    let name = wanted.name.clone();
    if OURS.contains(&name.as_str()) {
        return Err(format!("has a container {name}, which is a name of ours"));
    }
    let refused = |what: &str| Err(format!("has a container {name} with {what}, which no run may have"));
    if wanted.ports.iter().flatten().any(|port| port.host_port.is_some()) {
        return refused("a hostPort");
    }
    if wanted.volume_devices.is_some() {
        return refused("volumeDevices");
    }
    let propagates = |mode: &String| mode != "None";
    let mut mounts = wanted.volume_mounts.iter().flatten();
    if mounts.any(|mount| mount.mount_propagation.as_ref().is_some_and(propagates)) {
        return refused("a mount that propagates");
    }
    let security = wanted.security_context.take().unwrap_or_default();
    if let Value::Object(fields) = json(&security)
        && let Some(field) = fields.keys().find(|field| !SECURITY.contains(&field.as_str()))
    {
        return refused(&format!("securityContext.{field}"));
    }
    let harmless = |capability: &String| capability == "NET_BIND_SERVICE";
    let added = security.capabilities.as_ref().and_then(|capabilities| capabilities.add.clone());
    for (is, what) in [
        (security.privileged == Some(true), "privileged"),
        (security.allow_privilege_escalation == Some(true), "allowPrivilegeEscalation"),
        (!added.iter().flatten().all(harmless), "added capabilities"),
        (security.run_as_user == Some(0) || security.run_as_non_root == Some(false), "root as its user"),
        (
            security.seccomp_profile.as_ref().is_some_and(|profile| profile.type_ == "Unconfined"),
            "seccomp off",
        ),
    ] {
        if is {
            return refused(what);
        }
    }
    wanted.security_context = Some(SecurityContext {
        allow_privilege_escalation: Some(false),
        capabilities: Some(Capabilities { add: added, drop: Some(vec!["ALL".into()]) }),
        ..security
    });
    // What waits for it goes on when it is ready.
    if wanted.startup_probe.is_none() {
        wanted.startup_probe = wanted.readiness_probe.clone().map(|ready| Probe {
            failure_threshold: Some(START_SECONDS / ready.period_seconds.unwrap_or(10).max(1)),
            success_threshold: None,
            ..ready
        });
    }
    wanted.restart_policy = Some("Always".into());
    Ok(wanted)
}

/// Refuses a template that names the Secret with the credentials of the repository: no container but the sidecar gets it.
pub(super) fn look_for_secret(template: &PodSpec, secret: Option<&str>) -> Result<(), String> {
    fn names(value: &Value, secret: &str) -> bool {
        const KEYS: [&str; 4] = ["secret", "secretRef", "secretKeyRef", "nodePublishSecretRef"];
        match value {
            Value::Object(fields) => fields.iter().any(|(key, value)| {
                let name = value["secretName"].as_str().or(value["name"].as_str());
                (KEYS.contains(&key.as_str()) && name == Some(secret)) || names(value, secret)
            }),
            Value::Array(items) => items.iter().any(|item| names(item, secret)),
            _ => false,
        }
    }
    let (Some(secret), Ok(template)) = (secret, serde_json::to_value(template)) else { return Ok(()) };
    if !names(&template, secret) {
        return Ok(());
    }
    Err(format!(
        "names the Secret {secret}, which holds what only the sidecar may have, such as the credentials of the repository"
    ))
}
