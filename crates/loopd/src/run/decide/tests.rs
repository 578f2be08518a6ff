use serde_json::{Value, json};

use super::*;
use crate::testing::{pod, run};

fn now() -> Timestamp {
    "2026-01-01T00:10:00Z".parse().expect("a time")
}

fn decided(status: &Value, pod: Option<&Pod>, able: bool, turn: bool) -> Decision {
    let run = run(1, status);
    decide(&Seen { run: &run, pod, able, turn, slots: 3 }, now())
}

/// Conditions as `Type=Status/Reason`.
fn conditions(decision: &Decision) -> Vec<String> {
    let shown = |condition: &loop_api::run::Condition| {
        format!("{}={}/{}", condition.kind, condition.status, condition.reason)
    };
    decision.status.conditions.iter().map(shown).collect()
}

fn started() -> Value {
    json!({"observedGeneration": 1, "attempt": 1, "phase": "Pending", "podName": "run-1-abcd1-1", "podUID": "pod-1"})
}

fn with(extra: &Value) -> Value {
    let mut status = started();
    status.as_object_mut().expect("fields").extend(extra.as_object().expect("fields").clone());
    status
}

fn running() -> Pod {
    let runner = json!({
        "name": "runner", "image": "", "imageID": "", "ready": true, "restartCount": 0,
        "state": {"running": {"startedAt": "2026-01-01T00:01:00Z"}},
    });
    pod(&json!({"phase": "Running", "containerStatuses": [runner]}))
}

#[test]
fn a_run_waits_until_its_turn_and_says_for_what() {
    let waits = decided(&Value::Null, None, true, false);
    assert_eq!(conditions(&waits), ["Admitted=False/Waiting", "Reconciling=True/Waiting"]);
    assert!(waits.status.conditions[0].message.starts_with("all 3 slots"), "{:?}", waits.status);
    assert_eq!((waits.status.attempt, waits.status.observed_generation), (0, Some(1)));
    assert_eq!(waits.step, Step::Nothing);
    let admitted = decided(&Value::Null, None, true, true);
    assert_eq!(conditions(&admitted), ["Admitted=True/Admitted", "Reconciling=True/PodStarting"]);
    assert_eq!((admitted.status.attempt, admitted.status.pod_name.as_str()), (1, "run-1-abcd1-1"));
    assert_eq!(admitted.step, Step::Start);
}

#[test]
fn without_an_image_a_run_is_refused_whatever_slots_are_free() {
    let refused = decided(&Value::Null, None, false, true);
    assert_eq!(conditions(&refused), ["Admitted=False/NoAgentImage", "Stalled=True/NoAgentImage"]);
    assert_eq!((refused.step, refused.status.attempt), (Step::Nothing, 0));
}

#[test]
fn a_pod_is_made_until_its_uid_is_in_the_status_and_never_again() {
    let unmade = with(&json!({"podUID": ""}));
    assert_eq!(decided(&unmade, None, true, false).step, Step::Start);
    assert_eq!(decided(&unmade, Some(&running()), true, false).step, Step::Start);
    assert_eq!(decided(&started(), Some(&running()), true, false).step, Step::Nothing);
    let gone = decided(&started(), None, true, true);
    assert_eq!((gone.step, gone.status.phase, gone.status.attempt), (Step::Nothing, RunPhase::Failed, 1));
    assert_eq!(conditions(&gone)[2..], ["Failed=True/PodGone", "Stalled=True/PodGone"]);
}

#[test]
fn a_refusal_stays_said_while_it_is_tried_again() {
    let owned = Owned { observed_generation: Some(1), attempt: 1, pod_name: "p".into(), ..Owned::default() };
    let refused = refused(owned, "exceeded quota", now());
    let again = decided(&serde_json::to_value(&refused).expect("JSON"), None, true, false);
    assert_eq!((again.step, again.status), (Step::Start, refused));
}

#[test]
fn a_run_is_running_with_the_time_of_its_runner() {
    let decision = decided(&started(), Some(&running()), true, false);
    assert_eq!(decision.status.phase, RunPhase::Running);
    assert_eq!(decision.status.start_time.as_deref(), Some("2026-01-01T00:01:00Z"));
    assert_eq!(decision.status.completion_time, None);
    assert_eq!(conditions(&decision), ["Admitted=True/Admitted", "Reconciling=True/Running"]);
}

#[test]
fn a_result_ends_the_run_whatever_the_pod_does() {
    let table = [
        (
            json!({"exitReason": "complete_plan", "evidence": "FailToPass"}),
            RunPhase::Completed,
            ["Complete=True/CompletePlan", "Verified=True/Granted"],
        ),
        (
            json!({"exitReason": "complete_plan", "evidence": "Unverified"}),
            RunPhase::Completed,
            ["Complete=True/CompletePlan", "Verified=False/AllowUnverified"],
        ),
        (
            json!({"exitReason": "complete_plan"}),
            RunPhase::Completed,
            ["Complete=True/CompletePlan", "Verified=False/NoEvidence"],
        ),
        (
            json!({"exitReason": "canceled", "message": "canceled"}),
            RunPhase::Canceled,
            ["Complete=False/Canceled", "Verified=False/Canceled"],
        ),
        (
            json!({"exitReason": "iterations_exhausted", "message": "50 iterations"}),
            RunPhase::Failed,
            ["Failed=True/IterationsExhausted", "Stalled=True/IterationsExhausted"],
        ),
    ];
    for (result, phase, last) in table {
        for pod in [None, Some(running()), Some(pod(&json!({"phase": "Failed"})))] {
            let decision = decided(&with(&json!({"result": result})), pod.as_ref(), true, false);
            assert_eq!((decision.status.phase, decision.step), (phase, Step::Nothing), "{result}");
            assert_eq!(conditions(&decision)[2..], last, "{result}");
            assert!(conditions(&decision)[1].starts_with("Reconciling=False/"));
            assert_eq!(decision.status.completion_time.as_deref(), Some("2026-01-01T00:10:00Z"));
        }
    }
}

#[test]
fn a_pod_that_would_be_started_for_ever_is_stopped_and_the_run_has_failed() {
    let sidecar = json!({
        "name": "sidecar", "image": "", "imageID": "", "ready": false, "restartCount": 1,
        "lastState": {"terminated": {"exitCode": 1, "message": "the repository cannot be cloned"}},
    });
    let broken = pod(&json!({"phase": "Pending", "initContainerStatuses": [sidecar]}));
    let decision = decided(&started(), Some(&broken), true, false);
    assert_eq!((decision.step, decision.status.phase), (Step::Stop, RunPhase::Failed));
    assert_eq!(decision.status.conditions[2].message, "sidecar: the repository cannot be cloned");
    let ended = serde_json::to_value(&decision.status).expect("JSON");
    assert_eq!(decided(&ended, Some(&broken), true, false).step, Step::Stop);
    assert_eq!(decided(&ended, Some(&pod(&json!({"phase": "Failed"}))), true, false).step, Step::Nothing);
}

#[test]
fn what_was_decided_is_decided_again_so_that_nothing_is_written_twice() {
    let later: Timestamp = "2026-01-01T01:00:00Z".parse().expect("a time");
    let over = pod(&json!({"phase": "Failed"}));
    let result = json!({"result": {"exitReason": "complete_plan", "evidence": "NoRegression"}});
    for (status, pod, turn) in [
        (Value::Null, None, false),
        (started(), Some(pod(&json!({"phase": "Pending"}))), false),
        (started(), Some(running()), false),
        (started(), Some(over), false),
        (started(), None, false),
        (with(&result), Some(running()), false),
    ] {
        let first = decided(&status, pod.as_ref(), true, turn);
        let mut written = serde_json::to_value(&first.status).expect("JSON");
        if let Some(result) = status.get("result") {
            written["result"] = result.clone();
        }
        let run = run(1, &written);
        let again = decide(&Seen { run: &run, pod: pod.as_ref(), able: true, turn, slots: 3 }, later);
        assert_eq!(again.status, first.status);
        assert_eq!(Owned::of(run.status.as_ref().expect("a status")), again.status);
    }
}
