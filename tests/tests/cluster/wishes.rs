//! What a user wishes of a run: that it rests, goes on, ends, is tried again, or is gone.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::operator::Operator;
use super::place::{Place, until, work};

/// Longest until a run that is canceled or deleted is.
const SOON: Duration = Duration::from_secs(30);

fn attempt(place: &Place, run: &str) -> u64 {
    place.get("looprun", run)["status"]["attempt"].as_u64().unwrap_or_default()
}

#[track_caller]
fn soon(what: &str, is: impl Fn() -> bool) {
    let began = Instant::now();
    until(what, is);
    assert!(began.elapsed() < SOON, "{what} took {:?}", began.elapsed());
}

/// Iterations, as a summary counts them.
fn summary(place: &Place, run: &str) -> Value {
    let map = place.get("configmap", &format!("{run}-summary"));
    serde_json::from_str(map["data"]["summary.json"].as_str().unwrap_or("null")).expect("a summary")
}

#[test]
fn a_run_rests_and_goes_on_ends_and_is_tried_again_as_its_user_wishes() {
    let Some(place) = Place::new("wishes") else { return };
    place.held_project();
    place.run("rests", &work("rests"));
    place.run("ends", &work("ends"));
    place.run("leaves", &work("leaves"));
    for run in ["rests", "ends", "leaves"] {
        until("its agent works", || place.log(run).contains("implementation of iteration 1 begins"));
    }

    // A deleted run leaves nothing behind.
    let began = Instant::now();
    place.must(&["delete", "looprun", "leaves"]);
    until("its pod is gone", || place.pods_of("leaves").is_empty());
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());

    // Canceled at once, with a summary, and tried again from where it was.
    place.patch("ends", "{\"state\":\"Canceled\"}");
    soon("it is canceled", || place.phase("ends") == "Canceled");
    assert_eq!(summary(&place, "ends")["exit_reason"], "canceled");
    let (worked, said) = place.kubectl(
        &["patch", "looprun", "ends", "--type=merge", "-p", "{\"spec\":{\"state\":\"Running\"}}"],
        "",
    );
    assert!(!worked && said.contains("a canceled run stays canceled"), "{said}");
    place.patch("ends", "{\"state\":\"Running\",\"retry\":1}");

    // Paused at the end of its step: no pod, no slot, nothing lost.
    place.patch("rests", "{\"state\":\"Paused\"}");
    place.let_go();
    place.reaches("rests", "Paused");
    until("its pod is gone", || place.pods_of("rests").is_empty());
    let first = place.git(&["rev-parse", "run/rests"]);
    assert!(place.said("rests", "Reconciling").contains("set spec.state to Running"));
    assert_eq!(attempt(&place, "rests"), 1);
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(place.phase("rests"), "Paused");
    place.patch("rests", "{\"state\":\"Running\"}");
    for run in ["rests", "ends"] {
        until(&format!("{run} completes"), || {
            let phase = place.phase(run);
            assert!(phase != "Failed", "{run}: {}", place.said(run, "Failed"));
            phase == "Completed"
        });
        assert_eq!(attempt(&place, run), 2);
        assert_eq!(place.git(&["show", &format!("agent/{run}:two.txt")]), "two");
    }
    place.git(&["merge-base", "--is-ancestor", &first, "run/rests"]);
    assert_eq!(place.git(&["rev-list", "--count", "main..run/rests"]), "2", "no step was done twice");
    assert_eq!(summary(&place, "rests")["iterations_run"], 2);
    until("no checkpoint outlives a completed run", || {
        place.git(&["for-each-ref", "--format=%(refname)", "refs/agentloop"]).is_empty()
    });

    // What nobody has started ends without a pod; what has ended is deleted when its time has come.
    place.run("never", &format!("{}  state: Paused\n", work("never")));
    place.reaches("never", "Paused");
    place.patch("never", "{\"state\":\"Canceled\",\"ttlSecondsAfterFinished\":5}");
    place.reaches("never", "Canceled");
    assert!(place.pods_of("never").is_empty());
    until("it is deleted", || place.get("looprun", "never").is_null());
}

#[test]
fn runs_and_namespaces_are_deleted_though_there_is_no_operator() {
    let Some(place) = Place::new("alone") else { return };
    place.held_project();
    for run in ["one", "two"] {
        place.run(run, &work(run));
        until("its agent works", || place.log(run).contains("implementation of iteration 1 begins"));
    }
    let operator = Operator::settled();
    operator.scale(0);
    let began = Instant::now();
    place.must(&["delete", "looprun", "one"]);
    until("its pod is gone", || place.pods_of("one").is_empty());
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    // It takes its time, and is none of ours.
    place.must(&["delete", "pod", "demo-git", "--force", "--grace-period=0"]);
    let began = Instant::now();
    place.must(&["delete", "namespace", &place.namespace, "--timeout=120s"]);
    // Kubernetes looks after five seconds whether the pods are gone, and then only after half a minute again.
    assert!(began.elapsed() < SOON * 3, "{:?}", began.elapsed());
}

#[test]
fn a_deadline_ends_a_run_unless_it_is_raised_in_time() {
    let Some(place) = Place::new("limits") else { return };
    place.held_project();
    for run in ["late", "raised"] {
        place.run(run, &format!("{}  limits: {{activeDeadlineSeconds: 60}}\n", work(run)));
    }
    until("its agent works", || place.log("raised").contains("implementation of iteration 1 begins"));
    place.patch("raised", "{\"limits\":{\"activeDeadlineSeconds\":600}}");
    until("the other one has ended", || place.phase("late") == "Failed");
    assert!(
        place.said("late", "Failed").contains("deadline of 60 s passed"),
        "{}",
        place.said("late", "Failed")
    );
    // Its step goes on, and what follows goes by the new one.
    place.let_go();
    place.reaches("raised", "Completed");
    let log = place.log("raised");
    assert!(log.contains("limits changed: deadline 600 s") && !log.contains("interrupted"), "{log}");
}
