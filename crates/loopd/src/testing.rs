//! Runs and pods for tests.

use k8s_openapi::api::core::v1::Pod;
use loop_api::crd::LoopRun;
use serde_json::{Value, json};

/// Uid of a run that tests name by a digit.
pub(crate) fn uid(number: u8) -> String {
    format!("abcd{number}000-0000-7000-8000-000000000000")
}

/// A run made in second `number` of its namespace, with this status.
pub(crate) fn run(number: u8, status: &Value) -> LoopRun {
    let mut object = json!({
        "apiVersion": "agentloop.dev/v1alpha1",
        "kind": "LoopRun",
        "metadata": {
            "name": format!("run-{number}"),
            "namespace": "team-a",
            "uid": uid(number),
            "generation": 1,
            "creationTimestamp": format!("2026-01-01T00:00:{number:02}Z"),
        },
        "spec": {
            "repository": {"url": "https://git.example/app.git"},
            "task": {"specPath": "specs/login.md"},
            "gates": [{"name": "test", "run": "make test"}],
        },
    });
    if !status.is_null() {
        object["status"] = status.clone();
    }
    serde_json::from_value(object).expect("a run")
}

/// A pod with this status.
pub(crate) fn pod(status: &Value) -> Pod {
    let pod = json!({"metadata": {"name": "run-1-abcd1-1", "uid": "pod-1"}, "status": status});
    serde_json::from_value(pod).expect("a pod")
}
