use serde_json::{Value, json};

use super::*;
use crate::testing::{pod, run};

fn now() -> Timestamp {
    "2026-01-01T00:10:00Z".parse().expect("a time")
}

fn decided(status: &Value, pod: Option<&Pod>, able: bool, turn: bool) -> Decision {
    wished(status, pod, turn, able, |_| {})
}

/// With another wish of the user.
fn wished(
    status: &Value,
    pod: Option<&Pod>,
    turn: bool,
    able: bool,
    wish: impl Fn(&mut LoopRun),
) -> Decision {
    let mut run = run(1, status);
    wish(&mut run);
    decide(&Seen { run: &run, pod, able, gap: None, turn: &asked(turn), ttl: Some(3600), leave: None }, now())
}

/// What the scheduler says.
fn asked(turn: bool) -> Turn {
    if turn {
        return Turn::Given {
            worker: "backend".into(),
            workspace: "git.example/app".into(),
            lease_seconds: 60,
            defaults: None,
        };
    }
    let gap = Gap { reason: "SlotsFull", message: "all slots are taken".into() };
    Turn::Refused { gap, stuck: false }
}

fn pausing(run: &mut LoopRun) {
    run.spec.state = RunState::Paused;
}

fn canceling(run: &mut LoopRun) {
    run.spec.state = RunState::Canceled;
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

fn over(code: i32) -> Pod {
    let runner = json!({
        "name": "runner", "image": "", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"terminated": {"exitCode": code, "message": "words"}},
    });
    pod(&json!({"phase": "Failed", "containerStatuses": [runner]}))
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
    assert_eq!(conditions(&waits), ["Admitted=False/SlotsFull", "Reconciling=True/SlotsFull"]);
    assert_eq!(waits.status.conditions[0].message, "all slots are taken");
    assert_eq!(waits.status.reason(ADMITTED), Some("SlotsFull"));
    assert_eq!((waits.status.attempt, waits.status.observed_generation), (0, Some(1)));
    assert_eq!(waits.step, Step::Nothing);
    let admitted = decided(&Value::Null, None, true, true);
    assert_eq!(conditions(&admitted), ["Admitted=True/Admitted", "Reconciling=True/PodStarting"]);
    assert_eq!((admitted.status.attempt, admitted.status.pod_name.as_str()), (1, "run-1-abcd1-1"));
    assert_eq!(admitted.step, Step::Start);
    let status = &admitted.status;
    assert_eq!((status.worker_name.as_str(), status.workspace.as_str()), ("backend", "git.example/app"));
    assert_eq!(status.reason(ADMITTED), None);
}

#[test]
fn a_run_that_waits_for_somebody_is_stalled_and_one_that_nobody_has_judged_is_soon_looked_at() {
    let run = run(1, &Value::Null);
    let seen = |turn: &Turn| {
        decide(&Seen { run: &run, pod: None, able: true, gap: None, turn, ttl: None, leave: None }, now())
    };
    let gap = Gap { reason: "WorkerNotFound", message: "LoopWorker a is not there".into() };
    let stuck = seen(&Turn::Refused { gap, stuck: true });
    assert_eq!(conditions(&stuck), ["Admitted=False/WorkerNotFound", "Stalled=True/WorkerNotFound"]);
    assert_eq!((stuck.step, stuck.again), (Step::Nothing, LATER));
    let unknown = seen(&Turn::Unknown);
    assert_eq!((unknown.step, unknown.again), (Step::Nothing, Duration::from_secs(1)));
    assert_eq!(unknown.status.attempt, 0);
}

#[test]
fn what_the_worker_gives_is_fixed_when_the_run_is_admitted() {
    let admitted = |status: &Value, gives: Value| {
        let run = run(1, status);
        let Turn::Given { worker, workspace, lease_seconds, .. } = asked(true) else { panic!("a turn") };
        let defaults = Some(serde_json::from_value(gives).expect("defaults"));
        let turn = Turn::Given { worker, workspace, lease_seconds, defaults };
        let decided = decide(
            &Seen { run: &run, pod: None, able: true, gap: None, turn: &turn, ttl: None, leave: None },
            now(),
        );
        serde_json::to_value(decided.status).expect("JSON")
    };
    let first = admitted(&Value::Null, json!({"agent": {"image": "a"}, "nodeSelector": {"pool": "a"}}));
    assert_eq!(first["defaults"], json!({"agent": {"image": "a"}, "nodeSelector": {"pool": "a"}}));
    // Nothing but an admission changes it.
    let goes_on = decided(&first, None, true, true);
    assert_eq!(serde_json::to_value(&goes_on.status).expect("JSON")["defaults"], first["defaults"]);
    let mut moved = first;
    moved["podName"] = "".into();
    let second = admitted(&moved, json!({"agent": {"image": "b"}, "nodeSelector": {"pool": "b"}}));
    assert_eq!(second["attempt"], 2);
    assert_eq!(second["defaults"], json!({"agent": {"image": "a"}, "nodeSelector": {"pool": "b"}}));
}

#[test]
fn a_run_whose_image_is_gone_since_it_was_admitted_is_refused() {
    let refused = decided(&with(&json!({"podUID": ""})), None, false, true);
    assert_eq!(conditions(&refused), ["Admitted=True/Admitted", "Stalled=True/NoAgentImage"]);
    assert_eq!((refused.step, refused.status.attempt), (Step::Nothing, 1));
}

#[test]
fn without_the_policies_no_pod_is_made_before_and_after_admission() {
    let barred = |status: &Value, pod: Option<&Pod>| {
        let run = run(1, status);
        let gap = Gap { reason: "PoliciesMissing", message: "policy p is missing".into() };
        decide(
            &Seen { run: &run, pod, able: true, gap: Some(&gap), turn: &asked(true), ttl: None, leave: None },
            now(),
        )
    };
    let waits = barred(&Value::Null, None);
    assert_eq!(conditions(&waits), ["Admitted=False/PoliciesMissing", "Stalled=True/PoliciesMissing"]);
    assert_eq!(waits.status.conditions[1].message, "policy p is missing");
    assert_eq!((waits.step, waits.status.attempt, waits.status.phase), (Step::Nothing, 0, RunPhase::Pending));
    let unmade = barred(&with(&json!({"podUID": ""})), None);
    assert_eq!(conditions(&unmade), ["Admitted=True/Admitted", "Stalled=True/PoliciesMissing"]);
    assert_eq!(unmade.step, Step::Nothing);
    // A run that has its pod goes on.
    let runs = barred(&started(), Some(&running()));
    assert_eq!(conditions(&runs), ["Admitted=True/Admitted", "Reconciling=True/Running"]);
}

#[test]
fn a_pod_is_made_until_its_uid_is_in_the_status_and_never_again() {
    let unmade = with(&json!({"podUID": ""}));
    assert_eq!(decided(&unmade, None, true, false).step, Step::Start);
    assert_eq!(decided(&unmade, Some(&running()), true, false).step, Step::Start);
    assert_eq!(decided(&started(), Some(&running()), true, false).step, Step::Nothing);
}

#[test]
fn a_run_without_checkpoints_is_told_what_a_lost_pod_costs_before_it_starts() {
    let without = |run: &mut LoopRun| run.spec.checkpoint.store = CheckpointStore::None;
    let starts = wished(&Value::Null, None, true, true, without);
    let message = &starts.status.conditions[0].message;
    assert!(message.starts_with("the run has a slot; it keeps no checkpoint"), "{message}");
    let status = serde_json::to_value(&starts.status).expect("JSON");
    assert_eq!(wished(&status, None, true, true, without).status, starts.status, "and once");
    let waits = wished(&Value::Null, None, false, true, without);
    assert!(!waits.status.conditions[0].message.contains("checkpoint"));
}

/// A pod of a node that is not heard of any more.
fn unreachable() -> Pod {
    let mut pod = running();
    let time = json!("2026-01-01T00:09:00Z");
    pod.metadata.deletion_timestamp = Some(serde_json::from_value(time).expect("a time"));
    pod
}

#[test]
fn an_attempt_that_may_still_be_at_work_is_revoked_and_the_next_waits_for_its_lease() {
    let begun = json!({"leaseSeconds": 30});
    let mut left = over(0);
    let statuses = left.status.as_mut().and_then(|status| status.container_statuses.as_mut());
    statuses.expect("one")[0].state = Some(serde_json::from_value(json!({"running": {}})).expect("a state"));
    for pod in [None, Some(unreachable()), Some(left)] {
        let lost = decided(&with(&begun), pod.as_ref(), true, true);
        assert_eq!((lost.step, lost.status.phase), (Step::Nothing, RunPhase::Pending));
        assert_eq!(
            (lost.status.pod_name.as_str(), lost.status.pod_uid.as_str()),
            ("", ""),
            "it can report nothing"
        );
        assert_eq!(lost.status.lease_expires.as_deref(), Some("2026-01-01T00:10:45Z"));
        assert_eq!(lost.again.as_secs(), 45);
        let message = &lost.status.conditions[0].message;
        assert!(message.ends_with("in 45 s, when the lease of the lost one has run out"), "{message}");
        let status = serde_json::to_value(&lost.status).expect("JSON");
        let waits = decided(&status, None, true, true);
        assert_eq!((waits.step, waits.again.as_secs(), &waits.status), (Step::Nothing, 45, &lost.status));
        let run = run(1, &status);
        let turn = asked(true);
        let seen = Seen { run: &run, pod: None, able: true, gap: None, turn: &turn, ttl: None, leave: None };
        let next = decide(&seen, "2026-01-01T00:10:45Z".parse().expect("a time"));
        assert_eq!((next.step, next.status.attempt, next.status.lease_seconds), (Step::Start, 2, Some(60)));
    }
}

#[test]
fn a_run_that_rests_or_ends_with_such_an_attempt_waits_for_its_lease_when_it_is_to_go_on() {
    let begun = started();
    let wishes = [
        (pausing as fn(&mut LoopRun), RunPhase::Paused, Step::Remove),
        (canceling, RunPhase::Canceled, Step::Nothing),
    ];
    for (wish, phase, step) in wishes {
        let ended = wished(&begun, Some(&unreachable()), true, true, wish);
        assert_eq!((ended.step, ended.status.phase), (step, phase));
        assert_eq!(ended.status.lease_expires.as_deref(), Some("2026-01-01T00:11:15Z"));
        let status = serde_json::to_value(&ended.status).expect("JSON");
        let again = wished(&status, None, true, true, |run| run.spec.retry = 1);
        assert_eq!(
            (again.step, again.status.attempt, again.again.as_secs()),
            (Step::Nothing, 1, 75),
            "{phase:?}"
        );
    }
}

#[test]
fn a_lost_pod_gives_the_attempt_up_and_the_next_one_follows_until_too_many_were_lost() {
    let killed = over(137);
    let lost = decided(&started(), Some(&killed), true, true);
    assert_eq!((lost.step, lost.status.phase, lost.status.attempt), (Step::Nothing, RunPhase::Pending, 1));
    assert_eq!(conditions(&lost), ["Admitted=False/PodFailed", "Reconciling=True/PodFailed"]);
    assert!(lost.status.conditions[0].message.contains("attempt 2 begins anew"), "{:?}", lost.status);
    assert_eq!((lost.status.pod_name.as_str(), lost.status.pod_uid.as_str()), ("", ""));
    let kept = lost.status.lost.as_ref().expect("it stays said");
    assert!(kept.attempts == 1 && lost.status.conditions[0].message.contains(&kept.message), "{kept:?}");
    assert_eq!(lost.status.lease_expires, None, "it is known to be over");
    let next = decided(&serde_json::to_value(&lost.status).expect("JSON"), None, true, true);
    assert_eq!((next.step, next.status.attempt), (Step::Start, 2));
    assert_eq!(next.status.pod_name, "run-1-abcd1-2");
    let often = |attempts: u32| with(&json!({"lost": {"attempts": attempts, "iteration": 0}}));
    let second = decided(&often(1), Some(&killed), true, true);
    assert!(second.status.conditions[0].message.ends_with("after 10 s"), "{:?}", second.status);
    let waits = decided(&serde_json::to_value(&second.status).expect("JSON"), None, true, true);
    assert_eq!((waits.step, waits.again.as_secs()), (Step::Nothing, 10));
    assert_eq!(waits.status, second.status, "what was said stays said");
    let last = decided(&often(MOST_LOST - 1), Some(&killed), true, true);
    assert_eq!((last.step, last.status.phase), (Step::Nothing, RunPhase::Failed));
    assert_eq!(conditions(&last)[2..], ["Failed=True/AttemptsLost", "Stalled=True/AttemptsLost"]);
}

#[test]
fn what_somebody_has_to_put_right_ends_the_run_and_is_not_tried_again() {
    let old = json!({"type": "Admitted", "status": "True", "reason": "Admitted", "message": "", "lastTransitionTime": "2025-12-31T00:00:00Z"});
    let refused = decided(&with(&json!({"conditions": [old]})), Some(&over(2)), true, true);
    assert_eq!((refused.step, refused.status.phase), (Step::Nothing, RunPhase::Failed));
    assert!(refused.status.conditions[2].message.contains("raise spec.retry by one"), "{:?}", refused.status);
    let ended = serde_json::to_value(&refused.status).expect("JSON");
    assert_eq!(decided(&ended, Some(&over(2)), true, true).step, Step::Nothing);
    let again = wished(&ended, Some(&over(2)), true, true, |run| run.spec.retry = 1);
    assert_eq!((again.step, again.status.attempt, again.status.observed_retry), (Step::Start, 2, 1));
    assert_eq!((again.status.phase, again.status.completion_time.as_ref()), (RunPhase::Pending, None));
    let admitted = &again.status.conditions[0];
    assert_eq!(admitted.last_transition_time, "2026-01-01T00:10:00Z", "its deadline begins anew");
    let waits = wished(&ended, Some(&over(2)), false, true, |run| run.spec.retry = 1);
    assert_eq!((waits.step, waits.status.attempt, waits.status.observed_retry), (Step::Nothing, 1, 0));
    assert_eq!((waits.status.phase, waits.status.pod_name.as_str()), (RunPhase::Pending, ""));
    let waiting = serde_json::to_value(&waits.status).expect("JSON");
    let still = wished(&waiting, None, false, true, |run| run.spec.retry = 1);
    assert_eq!(still.status, waits.status, "its old pod no longer speaks for it");
    let alive = wished(&ended, Some(&running()), true, true, |run| run.spec.retry = 1);
    assert_eq!(alive.step, Step::Stop, "its pod has to end first");
}

#[test]
fn a_paused_run_gives_its_pod_back_and_goes_on_when_it_may() {
    let never = wished(&Value::Null, None, true, true, pausing);
    assert_eq!((never.step, never.status.phase, never.status.attempt), (Step::Nothing, RunPhase::Paused, 0));
    let unmade = with(&json!({"podUID": ""}));
    assert_eq!(wished(&unmade, None, true, true, pausing).step, Step::Discard);
    let starting = pod(&json!({"phase": "Pending"}));
    assert_eq!(wished(&started(), Some(&starting), true, true, pausing).step, Step::Discard);
    let asked = wished(&started(), Some(&running()), true, true, pausing);
    assert_eq!((asked.step, asked.status.phase), (Step::Nothing, RunPhase::Running));
    assert_eq!(conditions(&asked)[2], "Pausing=True/Asked");
    let rests = wished(&started(), Some(&over(75)), true, true, pausing);
    assert_eq!((rests.step, rests.status.phase), (Step::Remove, RunPhase::Paused));
    assert_eq!(conditions(&rests), ["Admitted=False/Paused", "Reconciling=True/Paused"]);
    let rested = serde_json::to_value(&rests.status).expect("JSON");
    let still = wished(&rested, None, true, true, pausing);
    assert_eq!((still.step, still.status), (Step::Nothing, rests.status));
    let goes_on = decided(&rested, None, true, true);
    assert_eq!((goes_on.step, goes_on.status.attempt), (Step::Start, 2));
    let changed_its_mind = decided(&started(), Some(&over(75)), true, true);
    assert_eq!((changed_its_mind.status.phase, changed_its_mind.status.lost), (RunPhase::Pending, None));
    assert_eq!(changed_its_mind.status.pod_name, "");
}

#[test]
fn a_canceled_run_has_a_while_to_say_so_and_then_its_pod_is_ended() {
    let never = wished(&Value::Null, None, true, true, canceling);
    assert_eq!((never.step, never.status.phase), (Step::Nothing, RunPhase::Canceled));
    let asked = wished(&started(), Some(&running()), true, true, canceling);
    assert_eq!((asked.step, conditions(&asked)[2].as_str()), (Step::Nothing, "Canceling=True/Asked"));
    let at = |since: &str| {
        let mut status = serde_json::to_value(&asked.status).expect("JSON");
        status["conditions"][2]["lastTransitionTime"] = since.into();
        wished(&status, Some(&running()), true, true, canceling).step
    };
    assert_eq!(at("2026-01-01T00:08:31Z"), Step::Nothing);
    assert_eq!(at("2026-01-01T00:08:30Z"), Step::Stop);
    let ended = wished(&started(), Some(&over(137)), true, true, canceling);
    assert_eq!((ended.step, ended.status.phase), (Step::Nothing, RunPhase::Canceled));
    assert_eq!(conditions(&ended)[1..], ["Complete=False/Canceled", "Verified=False/Canceled"]);
}

#[test]
fn the_operator_keeps_the_deadline_too() {
    let at = |since: &str, limit: u32| {
        let admitted = json!({"type": "Admitted", "status": "True", "reason": "Admitted", "message": "", "lastTransitionTime": since});
        let status = with(&json!({"conditions": [admitted]}));
        wished(&status, Some(&running()), true, true, |run| {
            run.spec.limits.active_deadline_seconds = Some(limit);
        })
    };
    let late = at("2026-01-01T00:06:00Z", 60);
    assert_eq!((late.step, late.status.phase), (Step::Stop, RunPhase::Failed));
    assert_eq!(conditions(&late)[2], "Failed=True/TimedOut");
    let soon = at("2026-01-01T00:06:01Z", 60);
    assert_eq!((soon.step, soon.again.as_secs()), (Step::Nothing, 1));
    assert_eq!(at("2025-12-31T00:06:00Z", 0).step, Step::Stop, "0 is a day");
}

#[test]
fn an_ended_run_is_deleted_when_its_time_has_come_unless_others_look_after_it() {
    let ended =
        |since: &str| json!({"phase": "Failed", "attempt": 1, "podName": "p", "completionTime": since});
    let step = |since: &str, wish: &dyn Fn(&mut LoopRun)| wished(&ended(since), None, true, true, wish).step;
    assert_eq!(step("2025-12-31T23:10:00Z", &|_| {}), Step::Expire);
    assert_eq!(step("2025-12-31T23:10:01Z", &|_| {}), Step::Nothing);
    assert_eq!(
        step("2026-01-01T00:09:00Z", &|run| run.spec.ttl_seconds_after_finished = Some(60)),
        Step::Expire
    );
    let again = wished(&ended("2026-01-01T00:09:30Z"), None, true, true, |run| {
        run.spec.ttl_seconds_after_finished = Some(60);
    });
    assert_eq!(again.again.as_secs(), 30);
    let tracked = |run: &mut LoopRun| {
        run.labels_mut().insert("kustomize.toolkit.fluxcd.io/name".into(), "apps".into());
    };
    assert_eq!(step("2025-12-31T00:00:00Z", &tracked), Step::Nothing);
    let released = |run: &mut LoopRun| {
        run.annotations_mut().insert("meta.helm.sh/release-name".into(), "runs".into());
    };
    assert_eq!(step("2025-12-31T00:00:00Z", &released), Step::Nothing);
    let completed =
        json!({"attempt": 1, "podName": "p", "result": {"exitReason": "complete_plan", "attempt": 1}});
    let just = wished(&completed, None, true, true, |run| run.spec.ttl_seconds_after_finished = Some(0));
    assert_eq!(just.step, Step::Nothing, "its end is written before it goes");
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
fn a_pod_whose_sidecar_never_comes_up_is_given_up_after_a_night() {
    let sidecar = json!({
        "name": "sidecar", "image": "", "imageID": "", "ready": false, "restartCount": 9,
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": {"exitCode": 1, "message": "the repository cannot be cloned"}},
    });
    let placed = |since: &str, sidecar: &Value| {
        let pod = pod(&json!({"phase": "Pending", "startTime": since, "initContainerStatuses": [sidecar]}));
        decided(&with(&json!({"attempt": 2})), Some(&pod), true, true)
    };
    let waits = placed("2025-12-31T12:10:01Z", &sidecar);
    assert_eq!((waits.status.phase, waits.step), (RunPhase::Pending, Step::Nothing));
    assert!(conditions(&waits).contains(&"Reconciling=True/CrashLoopBackOff".to_owned()));
    let said = waits.status.conditions.iter().find(|condition| condition.kind == RECONCILING);
    let said = said.map(|condition| condition.message.as_str()).unwrap_or_default();
    assert!(said.ends_with("--previous); it is tried again by itself"), "{said}");
    // One that is at work may get there.
    let mut works = sidecar.clone();
    works["state"] = json!({"running": {}});
    works["started"] = json!(false);
    assert_eq!(placed("2025-12-31T12:10:00Z", &works).status.conditions, waits.status.conditions);
    let over = placed("2025-12-31T12:10:00Z", &sidecar);
    assert_eq!((over.status.phase, over.step), (RunPhase::Failed, Step::Stop));
    assert!(over.status.conditions.iter().any(|said| said.message.contains("cannot be cloned")));
}

#[test]
fn a_run_whose_work_cannot_leave_its_pod_says_so_while_it_goes_on() {
    let error = "the repository cannot be pushed to, git push: fatal: Authentication failed";
    let hindered = decided(&with(&json!({"publishError": error})), Some(&running()), true, true);
    assert_eq!(conditions(&hindered), ["Admitted=True/Admitted", "Reconciling=True/WorkNotPublished"]);
    let message = &hindered.status.conditions[1].message;
    assert!(message.contains(error) && message.contains("tried again by itself"), "{message}");
    assert_eq!((hindered.status.phase, hindered.step), (RunPhase::Running, Step::Nothing));
    let over = decided(&started(), Some(&running()), true, true);
    assert_eq!(conditions(&over)[1], "Reconciling=True/Running");
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
            let mut result = result.clone();
            result["attempt"] = 1.into();
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
        "lastState": {"terminated": {"exitCode": 2, "message": "the repository cannot be cloned"}},
    });
    let broken = pod(&json!({"phase": "Pending", "initContainerStatuses": [sidecar]}));
    let decision = decided(&started(), Some(&broken), true, false);
    assert_eq!((decision.step, decision.status.phase), (Step::Stop, RunPhase::Failed));
    assert!(decision.status.conditions[2].message.starts_with("sidecar: the repository cannot be cloned; "));
    let ended = serde_json::to_value(&decision.status).expect("JSON");
    assert_eq!(decided(&ended, Some(&broken), true, false).step, Step::Stop);
    assert_eq!(decided(&ended, Some(&pod(&json!({"phase": "Failed"}))), true, false).step, Step::Nothing);
}

#[test]
fn what_was_decided_is_decided_again_so_that_nothing_is_written_twice() {
    let later: Timestamp = "2026-01-01T01:00:00Z".parse().expect("a time");
    let result = json!({"result": {"exitReason": "complete_plan", "evidence": "NoRegression", "attempt": 1}});
    for (status, pod, turn) in [
        (Value::Null, None, false),
        (started(), Some(pod(&json!({"phase": "Pending"}))), false),
        (started(), Some(running()), false),
        (started(), Some(over(2)), false),
        (with(&result), Some(running()), false),
    ] {
        let first = decided(&status, pod.as_ref(), true, turn);
        let mut written = serde_json::to_value(&first.status).expect("JSON");
        if let Some(result) = status.get("result") {
            written["result"] = result.clone();
        }
        let run = run(1, &written);
        let again = Seen {
            run: &run,
            pod: pod.as_ref(),
            able: true,
            gap: None,
            turn: &asked(turn),
            ttl: None,
            leave: None,
        };
        let again = decide(&again, later);
        assert_eq!(again.status, first.status);
        assert_eq!(Owned::of(run.status.as_ref().expect("a status")), again.status);
    }
}

/// A run of a worker that is drained, which has to have left it at `due`.
fn drained(status: &Value, pod: Option<&Pod>, due: &str, wish: impl Fn(&mut LoopRun)) -> Decision {
    let mut run = run(1, status);
    wish(&mut run);
    let leave = Some(due.parse().expect("a time"));
    decide(&Seen { run: &run, pod, able: true, gap: None, turn: &asked(true), ttl: None, leave }, now())
}

const DUE: &str = "2026-01-01T00:10:00Z";

#[test]
fn a_run_leaves_a_drained_worker_at_the_deadline_and_goes_on_without_a_lost_attempt() {
    let lost = json!({"attempts": 9, "iteration": 0, "message": "of another time"});
    let before = with(&json!({"workerName": "backend", "lost": lost, "checkpoint": {"commit": "c"}}));
    let early = drained(&before, Some(&running()), "2026-01-01T00:10:07Z", |_| {});
    assert_eq!((early.step, early.again.as_secs()), (Step::Nothing, 7));
    let due = drained(&before, Some(&running()), DUE, |_| {});
    assert_eq!((due.step, due.status.phase), (Step::Stop, RunPhase::Running));
    assert_eq!(conditions(&due), ["Admitted=True/Admitted", "Reconciling=True/WorkerDrained"]);
    let mut status = serde_json::to_value(&due.status).expect("JSON");
    status["checkpoint"] = before["checkpoint"].clone();
    let still = drained(&status, Some(&running()), DUE, |_| {});
    assert_eq!((still.step, &still.status), (Step::Stop, &due.status), "nothing is written twice");

    let left = drained(&status, Some(&over(143)), DUE, |_| {});
    assert_eq!((left.step, left.status.phase), (Step::Nothing, RunPhase::Pending));
    assert_eq!((left.status.lost.as_ref(), left.status.lease_expires.as_ref()), (None, None));
    assert_eq!((left.status.pod_name.as_str(), left.status.observed_retry), ("", 0));
    let message = &left.status.conditions[0].message;
    assert_eq!(
        message,
        "attempt 1 was stopped because LoopWorker backend is drained; attempt 2 goes on from the last checkpoint"
    );
    let next = decided(&serde_json::to_value(&left.status).expect("JSON"), None, true, true);
    assert_eq!((next.step, next.status.attempt), (Step::Start, 2), "at once");
    // What nobody has seen to end may still be at work.
    let gone = drained(&status, None, DUE, |_| {});
    assert_eq!(gone.status.lease_expires.as_deref(), Some("2026-01-01T00:11:15Z"));
    assert_eq!((gone.status.lost.as_ref(), gone.again.as_secs()), (None, 75));
    // It is lost as always when it is not the drain that has ended it.
    assert!(drained(&before, Some(&over(137)), DUE, |_| {}).status.lost.is_some());
}

#[test]
fn a_run_that_cannot_move_or_is_about_to_end_stays_on_a_drained_worker() {
    let begun = with(&json!({"workerName": "backend"}));
    let without = |run: &mut LoopRun| run.spec.checkpoint.store = CheckpointStore::None;
    for wish in [&without as &dyn Fn(&mut LoopRun), &pausing, &canceling] {
        let stays = drained(&begun, Some(&running()), DUE, wish);
        assert_eq!((stays.step, conditions(&stays)[1].as_str()), (Step::Nothing, "Reconciling=True/Running"));
    }
    // Nothing has begun, so nothing would have to be done again.
    let starting = pod(&json!({"phase": "Pending"}));
    let leaves = drained(&begun, Some(&starting), DUE, without);
    assert_eq!((leaves.step, leaves.status.phase), (Step::Stop, RunPhase::Pending));
    let unmade = with(&json!({"podUID": "", "workerName": "backend"}));
    assert_eq!(drained(&unmade, None, DUE, without).step, Step::Discard);
    assert_eq!(drained(&unmade, None, "2026-01-01T00:10:01Z", without).step, Step::Start);
    let late = |run: &mut LoopRun| run.spec.limits.active_deadline_seconds = Some(1);
    let admitted = json!({"type": "Admitted", "status": "True", "reason": "Admitted", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"});
    let over = drained(&with(&json!({"conditions": [admitted]})), Some(&running()), DUE, late);
    assert_eq!((over.step, over.status.phase), (Step::Stop, RunPhase::Failed), "its own deadline counts");
}
