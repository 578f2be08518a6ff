//! The queue, an operator that is killed, and one that keeps the time where the engine does not.

use std::process::Command;
use std::time::{Duration, Instant};

use super::lost::{processes, status};
use super::place::{PATIENCE, Place, is_ours, kubectl, say, until, work};

/// One test, since the slots are those of the whole cluster.
#[test]
fn a_fourth_run_waits_and_says_why_and_all_complete_though_the_operator_is_killed() {
    let Some(place) = Place::new("lifecycle") else { return };
    place.held_project();
    let names = ["one", "two", "three", "four"];
    for name in names {
        place.run(name, &work(name));
    }
    until("one of them waits for a slot", || {
        names
            .iter()
            .any(|name| place.said(name, "Admitted").contains("all 3 slots of the operator are taken"))
    });
    until("one is under way", || names.iter().any(|name| place.phase(name) == "Running"));
    // Killed in the middle; the kubelet starts it again, and it knows nothing but what it finds.
    let mut kill = kubectl();
    let killed = kill
        .args(["--namespace", "agentloop", "delete", "pod", "-l", "app.kubernetes.io/component=operator"])
        .args(["--force", "--grace-period=0"])
        .output()
        .expect("kubectl runs");
    assert!(killed.status.success(), "{}", String::from_utf8_lossy(&killed.stderr));
    place.let_go();
    for name in names {
        until("it completes", || {
            let phase = place.phase(name);
            assert!(phase != "Failed", "{name}: {}", place.said(name, "Failed"));
            phase == "Completed"
        });
        assert_eq!(place.git(&["show", &format!("agent/{name}:two.txt")]), "two");
    }
    let pods = place.must(&["get", "pods", "-l", "app.kubernetes.io/name=agentloop", "-o", "name"]);
    assert_eq!(pods.lines().count(), 4, "one each: {pods}");
}

/// By the operator's own clock, three minutes later than the engine would end it: for the engine stands still.
#[test]
#[ignore = "takes four minutes"]
fn a_run_whose_engine_stands_still_is_ended_by_the_operator() {
    let Some(place) = Place::new("deadline") else { return };
    if !is_ours() {
        say("skipped: only processes of pods on this machine are stopped");
        return;
    }
    place.held_project();
    let began = Instant::now();
    place.run("stuck", &format!("{}  limits: {{activeDeadlineSeconds: 40}}\n", work("stuck")));
    until("its agent works", || place.log("stuck").contains("implementation of iteration 1 begins"));
    let uid = status(&place, "stuck", "/podUID");
    for runner in processes(&uid, "/usr/local/bin/loop-runner") {
        let stopped = Command::new("kill").args(["-STOP", &runner.to_string()]).status().expect("kill runs");
        assert!(stopped.success());
    }
    until("the operator ends it", || place.phase("stuck") == "Failed");
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(220) && took < PATIENCE, "{took:?}");
    assert_eq!(status(&place, "stuck", "/result"), "null", "nobody else told an end");
    let said = place.said("stuck", "Failed");
    assert!(said.contains("did not end by itself at its deadline of 40 s"), "{said}");
    until("its pod is over", || {
        place.get("pod", &status(&place, "stuck", "/podName"))["status"]["phase"] != "Running"
    });
}
