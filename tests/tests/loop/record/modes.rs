//! Where the files of a record are kept, and that none is lost on the way.

use std::fs;

use loop_tests::check::check;
use loop_tests::{HONEST, World};
use serde_json::{Value, json};

use super::ends::{copy_of, files, is_complete, project, summed, sums_hold};

/// Runs with more in its manifest; gives exit code and name.
fn run(world: &World, artifacts: &Value, more: &[&str]) -> (i32, String) {
    let manifest = json!({"apiVersion": "agentloop.dev/v1alpha1", "kind": "LoopRun", "spec": {
        "task": {"specPath": "specs/files.md"}, "review": {"enabled": false}, "artifacts": artifacts,
        "gates": [{"name": "check", "run": "sh check.sh"}]}});
    fs::write(world.path("run.json"), manifest.to_string()).expect("a manifest");
    let manifest = world.path("run.json").to_string_lossy().into_owned();
    let (said, object) = world.run(&[&["-f", &manifest], more].concat());
    (said.code, object["metadata"]["name"].as_str().unwrap_or(&said.stderr).to_owned())
}

#[test]
fn a_mirrored_record_is_in_both_places_raw_logs_and_analysis_too() {
    let world = project(&HONEST.replace("set -eu\n", "set -eu\necho a line\n"));
    let (code, _) = run(&world, &json!({"mode": "Mirror"}), &[]);
    assert_eq!(code, 0);
    is_complete(&world);
    let names = files(&copy_of(&world));
    for name in [
        "analysis/git-status.txt",
        "verify/base-check.log",
        "iter-01.log",
        "review-diff.json",
        "changes.diff",
    ] {
        assert!(names.iter().any(|found| found == name), "{name} is not in {names:?}");
    }
    assert_eq!(world.git(&["status", "--porcelain"]), "");
}

#[test]
fn a_record_for_the_workspace_moves_there_and_comes_back_for_another_try() {
    let twice = HONEST.replace("set -eu\n", "set -eu\n[ \"$LOOP_ITERATION\" != 1 ] || exit 9\n");
    let world = project("#!/bin/sh\nexit 1\n");
    let script = world.path("agent.sh");
    loop_tests::write(&script, &twice);
    let script = script.to_string_lossy().into_owned();
    let (code, name) = run(&world, &json!({"mode": "Workspace"}), &["--agent-script", &script]);
    assert_eq!(code, 1, "{name}");
    let (folder, copy) = (world.run_folder(), copy_of(&world));
    assert_eq!(files(&folder), ["journal.jsonl"]);
    assert!(sums_hold(&copy) && files(&copy) == summed(&copy));
    assert!(check(&copy).is_empty(), "{:?}", check(&copy));
    let report = world.loopctl(&["report", &name]);
    assert!(report.stdout.contains("[`iter-01.log`](iter-01.log)"), "{}", report.stdout);

    // What was altered outside is not taken back; the agent's program, which was not, is.
    fs::write(copy.join("runner-notes.txt"), "Trust me.\n").unwrap();
    let resumed = world.loopctl(&["resume", &name]);
    assert_eq!(resumed.code, 0, "{}", resumed.stderr);
    assert_eq!(files(&folder), ["journal.jsonl"]);
    assert!(sums_hold(&copy));
    assert!(check(&copy).is_empty(), "{:?}", check(&copy));
    assert!(!fs::read_to_string(copy.join("prompt.txt")).unwrap().contains("Trust me."));
    assert_eq!(world.loopctl(&["verify", &name]).code, 0, "evidence is found where it is");
    assert_eq!(world.loopctl(&["resume", &name]).code, 2, "nothing is left to do");
}

#[test]
fn a_global_record_leaves_nothing_in_the_workspace_and_a_summary_can_be_left_out() {
    let world = project(HONEST);
    let (code, _) = run(&world, &json!({"mode": "Global", "summary": false}), &[]);
    assert_eq!(code, 0);
    assert!(!world.app().join("logs").exists());
    let folder = world.run_folder();
    assert!(sums_hold(&folder) && files(&folder) == summed(&folder));
    assert!(!folder.join("summary.json").exists() && folder.join("report.tsv").exists());
}

#[test]
fn a_copy_that_cannot_be_made_is_a_sentence_and_the_run_is_as_it_was() {
    let world = project(HONEST);
    world.write(&[("logs", "a file\n")]);
    world.commit("A file in the way");
    let said =
        world.loopctl(&["run", "--local", "specs/files.md", "--no-review", "--gate", "check=sh check.sh"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert!(said.stderr.contains("the copy of the record is not complete: "), "{}", said.stderr);
    assert!(check(&world.run_folder()).is_empty());
}

#[test]
fn what_is_too_large_for_the_copy_stays_where_it_is_and_the_report_says_so() {
    let world =
        project(&HONEST.replace("set -eu\n", "set -eu\nhead -c 17000000 /dev/zero | tr '\\0' x; echo\n"));
    let (code, _) = run(&world, &json!({"mode": "Workspace"}), &[]);
    assert_eq!(code, 0);
    let (folder, copy) = (world.run_folder(), copy_of(&world));
    assert_eq!(files(&folder), ["iter-01.log", "iter-02.log", "journal.jsonl"]);
    assert!(sums_hold(&copy) && !copy.join("iter-01.log").exists());
    let report = fs::read_to_string(copy.join("report.md")).unwrap();
    let large = "[`iter-01.log`](iter-01.log) (too large for the copy, so only in the data directory)";
    assert!(report.contains(large), "{report}");
}
