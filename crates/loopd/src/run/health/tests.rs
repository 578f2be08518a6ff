use serde_json::{Value, json};

use super::*;
use crate::testing::pod;

fn now() -> Timestamp {
    "2026-01-01T00:10:00Z".parse().expect("a time")
}

fn seen(status: &Value) -> Health {
    of(&pod(status), now())
}

/// A pod with one container status.
fn with(container: &Value) -> Health {
    seen(&json!({"phase": "Pending", "initContainerStatuses": [status(container)]}))
}

fn status(container: &Value) -> Value {
    let mut status =
        json!({"name": "", "image": "example/ci:7", "imageID": "", "ready": false, "restartCount": 0});
    let fields = status.as_object_mut().expect("fields");
    fields.extend(container.as_object().expect("fields").clone());
    status
}

#[track_caller]
fn says(health: &Health, reason: &str, part: &str) {
    let trouble = health.trouble.as_ref().expect("trouble");
    assert_eq!(trouble.reason, reason);
    assert!(trouble.message.contains(part), "{}", trouble.message);
}

#[test]
fn a_pod_runs_from_the_runners_begin() {
    let starting = seen(&json!({"phase": "Pending"}));
    assert_eq!((starting.stage, starting.trouble, starting.started), (Stage::Starting, None, None));
    let runner =
        status(&json!({"name": "runner", "state": {"running": {"startedAt": "2026-01-01T00:01:00Z"}}}));
    let running = seen(&json!({"phase": "Running", "containerStatuses": [runner]}));
    assert_eq!((running.stage, running.trouble.is_none()), (Stage::Running, true));
    assert_eq!(running.started, Some("2026-01-01T00:01:00Z".parse().expect("a time")));
}

#[test]
fn what_keeps_a_pod_from_starting_is_said_with_its_remedy() {
    for reason in ["ErrImagePull", "ImagePullBackOff"] {
        let health =
            with(&json!({"name": "agent", "state": {"waiting": {"reason": reason, "message": "try 7"}}}));
        says(&health, "ImageNotPulled", "cannot pull image example/ci:7; check spec.agent.image");
        assert!(!health.trouble.expect("trouble").message.contains("try 7"), "it changes with each try");
    }
    let waiting = json!({"reason": "CreateContainerConfigError", "message": "secret \"git\" not found"});
    let health = with(&json!({"name": "sidecar", "state": {"waiting": waiting}}));
    says(&health, "CreateContainerConfigError", "secret \"git\" not found");
    let ended = json!({"terminated": {"exitCode": 137}});
    let health = with(
        &json!({"name": "sidecar", "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": ended}),
    );
    says(
        &health,
        "CrashLoopBackOff",
        "last with exit code 137; see why with kubectl logs run-1-abcd1-1 -c sidecar",
    );
    let unplaced =
        json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"});
    says(&seen(&json!({"phase": "Pending", "conditions": [unplaced]})), "Unschedulable", "0/1 nodes");
}

#[test]
fn a_pod_that_should_be_gone_is_given_up_with_its_node() {
    let at = |time: &str, status: &Value| {
        let mut pod = pod(status);
        pod.metadata.deletion_timestamp = Some(serde_json::from_value(json!(time)).expect("a time"));
        pod
    };
    let plain = json!({"phase": "Running"});
    let ending = of(&at("2026-01-01T00:09:31Z", &plain), now());
    assert_eq!((ending.stage, ending.trouble), (Stage::Starting, None), "its node may be at it");
    let lost = of(&at("2026-01-01T00:09:30Z", &plain), now());
    assert_eq!((lost.stage, lost.confirmed), (Stage::Unreachable, false));
    says(&lost, "NodeLost", "does not end pod run-1-abcd1-1");
    // Kubernetes says so at once, before the pod's time to end is over.
    let target = json!({"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager"});
    let tainted = at("2026-01-01T00:11:00Z", &json!({"phase": "Running", "conditions": [target]}));
    assert_eq!(of(&tainted, now()).stage, Stage::Unreachable);
    let evicted = json!({"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"});
    let evicted = at("2026-01-01T00:11:00Z", &json!({"phase": "Running", "conditions": [evicted]}));
    assert_eq!(of(&evicted, now()).stage, Stage::Starting, "its node is at it");
    for (time, abandoned) in [("2026-01-01T00:08:46Z", false), ("2026-01-01T00:08:44Z", true)] {
        assert_eq!(is_abandoned(&at(time, &plain), now()), abandoned, "{time}");
    }
}

#[test]
fn an_end_counts_for_certain_when_no_container_is_said_to_run() {
    let runner = |state: &Value| status(&json!({"name": "runner", "state": state}));
    let failed = |state: &Value| seen(&json!({"phase": "Failed", "containerStatuses": [runner(state)]}));
    let target = json!({"type": "DisruptionTarget", "status": "True", "reason": "DeletionByPodGC"});
    assert!(
        !seen(&json!({"phase": "Failed", "conditions": [target]})).confirmed,
        "its node may have begun it"
    );
    assert!(failed(&json!({"terminated": {"exitCode": 137}})).confirmed);
    // As the pods of a Node that was deleted are left.
    assert!(!failed(&json!({"running": {}})).confirmed);
}

#[test]
fn volumes_have_half_a_minute_before_they_are_worth_a_word() {
    let at = |time: &str| {
        seen(&json!({"phase": "Pending", "conditions": [
            {"type": "PodScheduled", "status": "True", "lastTransitionTime": time},
            {"type": "PodReadyToStartContainers", "status": "False"},
        ]}))
    };
    assert_eq!(at("2026-01-01T00:09:31Z").trouble, None);
    says(&at("2026-01-01T00:09:30Z"), "PodNotPrepared", "volumes or network");
}

#[test]
fn the_sidecars_last_words_end_a_run_and_the_agents_only_before_the_loop_began() {
    let words = |name: &str| {
        status(&json!({
            "name": name,
            "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {"terminated": {"exitCode": 2, "message": "no git here\n"}},
        }))
    };
    for (name, reason) in [("sidecar", "SidecarFailed"), ("agent", "AgentFailed")] {
        let health = seen(&json!({"phase": "Pending", "initContainerStatuses": [words(name)]}));
        assert_eq!(health.stage, Stage::Broken);
        says(&health, reason, &format!("{name}: no git here"));
    }
    let runner =
        status(&json!({"name": "runner", "state": {"running": {"startedAt": "2026-01-01T00:01:00Z"}}}));
    let later = |name: &str| {
        let pod = json!({"phase": "Running", "initContainerStatuses": [words(name)], "containerStatuses": [runner]});
        seen(&pod).stage
    };
    assert_eq!(later("agent"), Stage::Running);
    assert_eq!(later("sidecar"), Stage::Broken);
    let sidecar = |state: &Value, ready: bool| {
        let ended = json!({"terminated": {"exitCode": 1, "message": "the API server is away"}});
        let sidecar =
            status(&json!({"name": "sidecar", "state": state, "started": ready, "lastState": ended}));
        seen(&json!({"phase": "Pending", "initContainerStatuses": [sidecar]}))
    };
    // The kubelet starts it again, and nothing is said anew when it does.
    let waits = sidecar(&json!({"waiting": {"reason": "CrashLoopBackOff"}}), false);
    says(
        &waits,
        "CrashLoopBackOff",
        "the API server is away (kubectl logs run-1-abcd1-1 -c sidecar --previous)",
    );
    assert_eq!(waits.stage, Stage::Starting);
    assert_eq!(sidecar(&json!({"running": {}}), false).trouble, waits.trouble);
    assert_eq!(sidecar(&json!({"running": {}}), true).trouble, None);
}

#[test]
fn a_pod_that_is_over_tells_what_its_containers_said() {
    let ended = |name: &str, code: i32, message: &str| {
        status(&json!({"name": name, "state": {"terminated": {"exitCode": code, "message": message}}}))
    };
    let health = seen(&json!({
        "phase": "Failed",
        "initContainerStatuses": [ended("install", 0, ""), ended("agent", 143, ""), ended("sidecar", 1, "push refused")],
        "containerStatuses": [ended("runner", 2, "")],
    }));
    assert_eq!(health.stage, Stage::Over);
    says(&health, "PodFailed", "without a result: sidecar: push refused; runner ended with exit code 2 (");
    let evicted =
        seen(&json!({"phase": "Failed", "reason": "Evicted", "message": "The node was low on memory."}));
    says(&evicted, "Evicted", "The node was low on memory.");
    says(&seen(&json!({"phase": "Succeeded"})), "PodFailed", "its containers say nothing of why");
    assert_eq!((health.outcome, evicted.outcome), (Outcome::Refused, Outcome::Lost));
    for (code, outcome) in
        [(75, Outcome::Paused), (76, Outcome::Lost), (137, Outcome::Lost), (143, Outcome::Lost)]
    {
        let over = seen(&json!({"phase": "Failed", "containerStatuses": [ended("runner", code, "")]}));
        assert_eq!(over.outcome, outcome, "{code}");
    }
}
