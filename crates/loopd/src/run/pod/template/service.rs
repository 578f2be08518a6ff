//! Services beside a run: a database for its tests, a mock of what the project talks to. Each runs as a native sidecar, so
//! that it is there from before the agent until after the last gate.

use k8s_openapi::api::core::v1::{Capabilities, Container, PodSpec, Probe, SecurityContext};
use serde_json::Value;

/// Seconds that a service may take until it is ready, where it has no startupProbe.
const START_SECONDS: i32 = 300;

/// A container of a template as one of the pod; `taken` are names of ours.
pub(super) fn of(mut wanted: Container, taken: &[String]) -> Result<Container, String> {
    let name = wanted.name.clone();
    if taken.contains(&name) {
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
    if wanted
        .volume_mounts
        .iter()
        .flatten()
        .any(|mount| mount.mount_propagation.as_ref().is_some_and(propagates))
    {
        return refused("a mount that propagates");
    }
    let security = wanted.security_context.take().unwrap_or_default();
    let adds = security.capabilities.as_ref().is_some_and(|capabilities| capabilities.add.is_some());
    let unmasked = security.proc_mount.as_ref().is_some_and(|mount| mount != "Default");
    for (is, what) in [
        (security.privileged == Some(true), "privileged"),
        (security.allow_privilege_escalation == Some(true), "allowPrivilegeEscalation"),
        (adds, "added capabilities"),
        (unmasked, "a procMount"),
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
        capabilities: Some(Capabilities { add: None, drop: Some(vec!["ALL".into()]) }),
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
        "names the Secret {secret}, which holds the credentials of the repository and is for no agent"
    ))
}
