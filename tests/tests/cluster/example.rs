//! `examples/looprun.yaml`, applied as it is.

use std::collections::BTreeSet;

use serde_json::Value;

use super::place::{Place, example};

#[test]
fn the_example_completes_as_it_is() {
    let Some(place) = Place::new("example") else { return };
    place.apply(&example());
    let mut lines = BTreeSet::new();
    let phases = place.phases("tally", |_| {
        lines.insert(place.must(&["get", "lr", "tally", "--no-headers"]));
    });
    assert_eq!(phases, ["Pending", "Running", "Completed"]);
    place.must(&["wait", "--for=condition=Complete", "looprun/tally", "--timeout=10s"]);

    // The work is on the server: the run branch with a commit for each step, and the target with one.
    assert_eq!(place.git(&["log", "-1", "--format=%s", "agent/tally"]), "Squash run/tally: tally");
    assert_eq!(
        place.git(&["rev-parse", "agent/tally^{tree}"]),
        place.git(&["rev-parse", "run/tally^{tree}"])
    );
    assert!(place.git(&["rev-list", "--count", "main..run/tally"]).parse::<u32>().expect("a number") > 3);

    let run = place.get("looprun", "tally");
    let status = &run["status"];
    assert_eq!(status["result"]["exitReason"], "complete_plan");
    assert_eq!(status["worktree"]["headCommit"], place.git(&["rev-parse", "run/tally"]));
    assert_eq!(status["worktree"]["mergeCommit"], place.git(&["rev-parse", "agent/tally"]));
    assert_eq!((&status["progress"]["tasksDone"], &status["progress"]["tasksTotal"]), (&5.into(), &5.into()));
    assert!(place.said("tally", "Verified").contains("FailToPass"), "{status}");
    assert!(serde_json::to_vec(&run).expect("JSON").len() < 32 << 10, "a run stays small");

    // The record tells of this run and no other.
    let map = place.get("configmap", "tally-summary");
    let text = |name: &str| map["data"][name].as_str().unwrap_or_default().to_owned();
    let evidence: Value = serde_json::from_str(&text("evidence.json")).expect("evidence");
    assert_eq!(evidence["predicate"]["run"], run["metadata"]["uid"]);
    assert_eq!(evidence["predicate"]["headCommit"], status["worktree"]["headCommit"]);
    assert_eq!(evidence["predicate"]["isolation"], "containers");
    let summary: Value = serde_json::from_str(&text("summary.json")).expect("a summary");
    assert_eq!(summary["exit_reason"], "complete_plan");
    assert!(text("report.md").starts_with("# Run `tally`"), "{}", text("report.md"));
    assert!(place.get("configmap", "tally-postmortem").is_object());
    for line in lines {
        assert!(line.starts_with("tally "), "{line}");
    }
}
