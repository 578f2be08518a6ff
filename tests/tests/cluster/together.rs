//! Runs under way at the same time that deliver to the same branch.

use serde_json::Value;

use super::lost::status;
use super::place::{Place, manifest, until};

/// Waits for the tag `go`, then writes the file that its plan names, ticks the task and commits both.
const AGENT: &str = r#"#!/bin/sh
set -eu
cat >/dev/null
if [ "$LOOP_PHASE" = review ]; then echo APPROVED; exit 0; fi
until git ls-remote --exit-code git://demo-git/tally.git refs/tags/go >/dev/null; do sleep 1; done
name=$(sed -n 's/.*\[ \] Write \(.*\)\.txt/\1/p' "$LOOP_PLAN_PATH")
echo "by $(basename "$LOOP_PLAN_PATH")" >"$name.txt"
sed 's/\[ \]/[x]/' "$LOOP_PLAN_PATH" >"$LOOP_PLAN_PATH.new" && mv "$LOOP_PLAN_PATH.new" "$LOOP_PLAN_PATH"
git add -A && git commit -qm "Write $name.txt"
echo '<promise>COMPLETE</promise>'
"#;

/// Runs, the file that each writes, and where it delivers: a branch of its own, or that of the repository itself. Every file
/// is there before.
const RUNS: [(&str, &str, &str); 4] = [
    ("left", "shared", "agent/shared"),
    ("right", "shared", "agent/shared"),
    ("one", "one", "main"),
    ("two", "two", "main"),
];

fn project(place: &Place) {
    let mut files: Vec<(String, String)> = vec![
        (".loop/agent.sh".into(), AGENT.into()),
        ("check.sh".into(), "#!/bin/sh\ngrep -q by shared.txt one.txt two.txt\n".into()),
    ];
    for (run, file, _) in RUNS {
        let spec = format!("# {run}\n\n**Status:** Planned\n\n## 1. Overview\n\nA file.\n");
        let plan = format!(
            "# Plan: {run}\n\nReference: [specs/{run}.md](../{run}.md)\n\n## Phase 1: Files\n\n- [ ] Write {file}.txt\n"
        );
        files.push((format!("specs/{run}.md"), spec));
        files.push((format!("specs/planning/{run}-plan.md"), plan));
        files.push((format!("{file}.txt"), "nobody\n".into()));
    }
    files.sort();
    files.dedup();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    place.git_server(&files);
}

fn begins(place: &Place, run: &str, target: &str) {
    let more = format!(
        "  task: {{specPath: specs/{run}.md}}\n  gates: [{{name: check, run: sh check.sh}}]\n  delivery: {{mode: Merge, \
         targetBranch: {target}}}\n"
    );
    place.apply(&manifest(run, &more));
}

#[test]
fn of_two_runs_that_change_the_same_line_one_lands_and_those_that_do_not_meet_both_land() {
    let Some(place) = Place::new("together") else { return };
    project(&place);
    for pair in RUNS.chunks(2) {
        for (run, _, target) in pair {
            begins(&place, run, target);
        }
        for (run, ..) in pair {
            until("both are at work", || place.log(run).contains("implementation of iteration 1 begins"));
        }
        place.let_go();
        for (run, ..) in pair {
            until(&format!("{run} ends"), || ["Completed", "Failed"].contains(&place.phase(run).as_str()));
        }
        place.git(&["tag", "-d", "go"]);
    }

    let (won, lost) = if place.phase("left") == "Completed" { ("left", "right") } else { ("right", "left") };
    assert_eq!((place.phase(won).as_str(), place.phase(lost).as_str()), ("Completed", "Failed"));
    let message = status(&place, lost, "/result/message");
    assert!(message.contains("MergeConflict") && message.contains("shared.txt"), "{message}");
    assert_eq!(place.git(&["show", "agent/shared:shared.txt"]), format!("by {won}-plan.md"));
    assert_eq!(
        place.git(&["show", &format!("run/{lost}:shared.txt")]),
        format!("by {lost}-plan.md"),
        "its work is kept"
    );
    for run in ["one", "two"] {
        assert_eq!(place.phase(run), "Completed", "{}", place.said(run, "Failed"));
        assert_eq!(place.git(&["show", &format!("main:{run}.txt")]), format!("by {run}-plan.md"));
    }
    let merged: Value = place.get("looprun", "one")["status"]["worktree"]["mergeCommit"].clone();
    let merged = merged.as_str().expect("a commit");
    place.git(&["merge-base", "--is-ancestor", merged, "main"]);
}
