//! `examples/looprun.yaml`, applied as it is.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::place::{Place, example};

#[test]
fn the_example_completes_as_it_is() {
    let Some(place) = Place::new("example") else { return };
    place.apply(&example());
    let mut lines = BTreeSet::new();
    let phases = place.phases("tally", |_| {
        lines.insert(place.must(&["get", "lr", "tally"]));
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
    let mut told = false;
    for line in &lines {
        let shown = columns(line);
        let of = |name: &str| shown[name];
        let number = |name: &str| of(name).parse::<u32>();
        assert_eq!(of("NAME"), "tally", "{line}");
        assert!(["", "Pending", "Running", "Completed"].contains(&of("PHASE")), "{line}");
        assert!(!of("AGE").is_empty(), "{line}");
        if of("PHASE") == "Completed" {
            assert_eq!((number("DONE"), number("TASKS")), (Ok(5), Ok(5)), "{line}");
        }
        if !of("STEP").is_empty() {
            assert!(number("ITER").is_ok_and(|at| (0..=9).contains(&at)), "{line}");
            assert!(number("DONE").is_ok_and(|done| number("TASKS").is_ok_and(|all| done <= all)), "{line}");
            told |= of("PHASE") == "Running";
        }
    }
    assert!(told, "it tells what it is doing: {lines:?}");
    let completed = ["get", "lr", "-o", "name", "--field-selector"];
    let found = |of: &str| place.must(&[&completed[..], &[of]].concat());
    assert_eq!(found("status.phase=Completed").trim(), "looprun.agentloop.dev/tally");
    assert_eq!(found("status.phase=Running"), "");
}

/// The row of a table by the names of its columns; a cell may be empty.
fn columns(table: &str) -> BTreeMap<&str, &str> {
    let (head, row) = table.trim_end().split_once('\n').expect("a head and a row");
    let names = head.match_indices(' ').map(|(at, _)| at + 1).filter(|at| !head[*at..].starts_with(' '));
    let begins: Vec<usize> = [0].into_iter().chain(names).collect();
    let ends = begins.iter().skip(1).copied().chain([usize::MAX]);
    begins.iter().zip(ends).map(|(&from, to)| (cell(head, from, to), cell(row, from, to))).collect()
}

fn cell(line: &str, from: usize, to: usize) -> &str {
    line.get(from..to.min(line.len())).unwrap_or_default().trim()
}
