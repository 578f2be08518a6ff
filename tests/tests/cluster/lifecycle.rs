//! The queue, and an operator that is killed.

use super::place::{Place, kubectl, until, work};

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
