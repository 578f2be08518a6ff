//! Whatever the end of a run, its record is complete and true.

use std::fs;
use std::path::Path;
use std::process::Command;

use loop_tests::check::check;
use loop_tests::{HONEST, PROJECT, World};
use serde_json::Value;

pub(super) const GATE: [&str; 4] = ["specs/files.md", "--no-review", "--gate", "check=sh check.sh"];

pub(super) fn project(agent: &str) -> World {
    let mut files = PROJECT.to_vec();
    files.push((".loop/agent.sh", agent));
    World::new(&files)
}

/// The copy of the only run's record in the workspace.
pub(super) fn copy_of(world: &World) -> std::path::PathBuf {
    world.app().join("logs/loop").join(world.run_folder().file_name().expect("a name"))
}

/// Checks a folder with the program of that name.
pub(super) fn sums_hold(folder: &Path) -> bool {
    let mut sha256sum = Command::new("sha256sum");
    sha256sum.args(["--check", "--strict", "--quiet", "SHA256SUMS"]).current_dir(folder);
    sha256sum.status().expect("sha256sum runs").success()
}

/// Every file of a folder but those that are no part of the record.
pub(super) fn files(folder: &Path) -> Vec<String> {
    let mut find = Command::new("find");
    find.current_dir(folder).args([".", "-path", "./sandbox", "-prune", "-o", "-type", "f", "-print"]);
    let output = find.output().expect("find runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut names: Vec<String> = text.lines().map(|line| line.trim_start_matches("./").to_owned()).collect();
    names.retain(|name| !["lock", "cancel", "SHA256SUMS"].contains(&name.as_str()));
    names.sort();
    names
}

/// The names that a folder's digests cover.
pub(super) fn summed(folder: &Path) -> Vec<String> {
    let text = fs::read_to_string(folder.join("SHA256SUMS")).expect("digests");
    text.lines().map(|line| line.split_once("  ").expect("two columns").1.to_owned()).collect()
}

/// What holds of the record of every ended run.
pub(super) fn is_complete(world: &World) {
    let folder = world.run_folder();
    assert_eq!(check(&folder), Vec::<String>::new());
    for place in [folder.clone(), copy_of(world)] {
        assert!(sums_hold(&place), "{}", place.display());
        assert_eq!(summed(&place), files(&place), "{}", place.display());
        for name in ["journal.jsonl", "run.log", "report.tsv", "report.md", "summary.json"] {
            assert!(place.join(name).is_file(), "{name} in {}", place.display());
        }
    }
    assert_eq!(files(&folder), files(&copy_of(world)));
    let log = fs::read_to_string(folder.join("run.log")).expect("a log");
    assert!(log.lines().all(|line| line.starts_with('[') && line.contains("Z] [")), "{log}");
}

fn rows(world: &World) -> Vec<Vec<String>> {
    let text = fs::read_to_string(world.run_folder().join("report.tsv")).expect("a table");
    text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

fn summary(world: &World) -> Value {
    let text = fs::read_to_string(world.run_folder().join("summary.json")).expect("a summary");
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn bug_1_and_bug_2_the_table_of_a_run_has_its_start_its_grant_and_its_end() {
    let world = project(HONEST);
    assert_eq!(world.run(&GATE).0.code, 0);
    is_complete(&world);
    let rows = rows(&world);
    assert_eq!(rows[0][..3], ["timestamp_ms", "kind", "iteration"]);
    assert!(rows.iter().all(|row| row.len() == 11), "{rows:?}");
    let kinds: Vec<&str> = rows.iter().skip(1).map(|row| row[1].as_str()).collect();
    let verify = ["VERIFY_START", "VERIFY_CMD_END", "VERIFY_END"];
    let iteration = ["ITERATION_START", "ITERATION_END", "VERIFY_START", "VERIFY_CMD_END", "VERIFY_END"];
    let expected =
        [&["RUN_START"][..], &verify, &iteration, &iteration, &["COMPLETE_DETECTED", "RUN_END"]].concat();
    assert_eq!(kinds, expected);
    let message = "spec=specs/files.md plan=specs/planning/files-plan.md iterations=50 model=- mode=plan";
    assert_eq!(rows[1][8], message);
    assert_eq!(rows[rows.len() - 2][8], "mode=trailing");
    assert_eq!(rows[rows.len() - 1][8], "reason=complete");
    assert_eq!(rows[rows.len() - 1][9..], ["2", "2"]);
    let log = fs::read(world.run_folder().join("iter-01.log")).unwrap();
    let first = rows.iter().find(|row| row[1] == "ITERATION_END").expect("an implementation");
    assert_eq!((first[5].clone(), first[7].as_str()), (log.len().to_string(), "iter-01.log"));
}

#[test]
fn bug_29_a_start_that_fails_leaves_table_summary_and_report() {
    let world = project(HONEST);
    let mut command = world.command(&[&["run", "--local"], &GATE[..]].concat());
    assert!(!command.env("LOOP_TEST_KILL_AT_APPEND", "2").output().unwrap().status.success());
    fs::write(world.path("app.run-files"), "in the way").unwrap();
    let name = world.runs()[0]["metadata"]["name"].as_str().unwrap().to_owned();
    assert_eq!(world.loopctl(&["resume", &name]).code, 1);
    is_complete(&world);
    let summary = summary(&world);
    assert_eq!(summary.as_object().unwrap().len(), 16);
    assert_eq!(summary["exit_reason"], "failed");
    for absent in ["completed_iteration", "last_exit_code", "completion_mode", "prompt_snapshot"] {
        assert_eq!(summary.get(absent), Some(&Value::Null), "{absent}");
    }
    let end = rows(&world).pop().unwrap();
    assert_eq!((end[1].as_str(), end[9].as_str()), ("RUN_END", ""), "no plan is known yet");
    assert!(end[8].starts_with("reason=failed:") && end[8].contains("is in the way"), "{end:?}");
    let report = fs::read_to_string(world.run_folder().join("report.md")).unwrap();
    assert!(report.contains("1. **not completed**: ") && report.contains("is in the way"), "{report}");
}

#[test]
fn a_failed_a_canceled_and_a_late_run_leave_a_complete_record() {
    let failing = project("#!/bin/sh\necho 'stop: </pre><script>'\nexit 3\n");
    assert_eq!(failing.run(&GATE).0.code, 1);
    is_complete(&failing);
    assert_eq!(summary(&failing)["last_exit_code"], 3);
    assert!(failing.run_folder().join("analysis/git-status.txt").exists());
    assert!(!failing.run_folder().join("review-diff.json").exists());

    let slow = project("#!/bin/sh\nsleep 300\n");
    let late = [&GATE[..], &["--deadline", "1"]].concat();
    assert_eq!(slow.run(&late).0.code, 124);
    is_complete(&slow);
    assert_eq!(summary(&slow)["exit_reason"], "timed_out");
    let interrupted: Vec<Vec<String>> =
        rows(&slow).into_iter().filter(|row| row[8] == "interrupted").collect();
    assert_eq!((interrupted.len(), interrupted[0][4].as_str()), (1, "-1"), "{interrupted:?}");

    // A run whose engine is gone is canceled by the verb itself, which writes the record then.
    let dead = project(HONEST);
    let mut command = dead.command(&[&["run", "--local"], &GATE[..]].concat());
    assert!(!command.env("LOOP_TEST_KILL_AT_APPEND", "12").output().unwrap().status.success());
    let name = dead.runs()[0]["metadata"]["name"].as_str().unwrap().to_owned();
    assert!(!dead.run_folder().join("report.tsv").exists());
    assert_eq!(dead.loopctl(&["cancel", &name]).code, 0);
    is_complete(&dead);
    assert_eq!(summary(&dead)["exit_reason"], "canceled");
    assert!(dead.run_folder().join("analysis/git-last-commit.txt").exists());
}

#[test]
fn a_run_that_failed_and_was_tried_again_has_both_ends_in_one_record() {
    // Works only when the run is tried again.
    let again = HONEST.replace("set -eu\n", "set -eu\n[ \"$LOOP_ITERATION\" != 1 ] || exit 9\n");
    let world = project(&again);
    assert_eq!(world.run(&GATE).0.code, 1);
    let failed = rows(&world);
    let name = world.runs()[0]["metadata"]["name"].as_str().unwrap().to_owned();
    assert_eq!(world.loopctl(&["resume", &name]).code, 0);
    is_complete(&world);
    let rows = rows(&world);
    assert_eq!(rows[..failed.len()], failed[..], "what was said stays said");
    assert_eq!(rows.iter().filter(|row| row[1] == "RUN_END").count(), 2);
    assert_eq!(rows.iter().filter(|row| row[0] == "timestamp_ms").count(), 1, "one header");
}
