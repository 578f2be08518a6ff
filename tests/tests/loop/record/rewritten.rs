//! Killed between its terminal event and its end, a run leaves the same record once it was taken up again.

use std::fs;

use loop_tests::HONEST;
use loop_tests::check::check;
use serde_json::Value;

use super::ends::{GATE, is_complete, project};

#[test]
fn a_kill_after_the_terminal_event_costs_nothing_of_the_record() {
    let whole = project(HONEST);
    assert_eq!(whole.run(&GATE).0.code, 0);
    let records = whole.journal();
    let completed = 1 + records.iter().position(|record| record["kind"] == "RUN_COMPLETED").unwrap();
    assert!(records.len() > completed, "cleanup comes after the end");
    let names = super::ends::files(&whole.run_folder());
    for last in completed..=records.len() {
        let world = project(HONEST);
        let mut command = world.command(&[&["run", "--local"], &GATE[..]].concat());
        assert!(
            !command.env("LOOP_TEST_KILL_AT_APPEND", last.to_string()).output().unwrap().status.success()
        );
        let folder = world.run_folder();
        if last == completed {
            assert!(!folder.join("report.tsv").exists(), "the end comes first");
        } else {
            // All that tells of the end was there before the cleanup began.
            let wrong = check(&folder);
            assert!(wrong.iter().all(|wrong| wrong.starts_with("report.md, ")), "{wrong:?}");
            assert!(folder.join("evidence.json").exists());
        }
        let name = world.runs()[0]["metadata"]["name"].as_str().unwrap().to_owned();
        assert_eq!(world.loopctl(&["resume", &name]).code, 0, "killed at {last}");
        is_complete(&world);
        assert_eq!(super::ends::files(&folder), names, "killed at {last}");
        assert_eq!(world.loopctl(&["verify", &name]).code, 0);
    }
}

#[test]
fn the_log_for_people_loses_no_line_to_a_kill() {
    let world = project(HONEST);
    let mut command = world.command(&[&["run", "--local"], &GATE[..]].concat());
    assert!(!command.env("LOOP_TEST_KILL_AT_APPEND", "10").output().unwrap().status.success());
    let log = world.run_folder().join("run.log");
    let before = fs::read_to_string(&log).unwrap();
    fs::write(&log, &before[..before.len() / 2]).unwrap();
    let name = world.runs()[0]["metadata"]["name"].as_str().unwrap().to_owned();
    assert_eq!(world.loopctl(&["resume", &name]).code, 0);
    let after = fs::read_to_string(&log).unwrap();
    assert!(after.starts_with(&before) && after.contains("[WARN] the open step was interrupted"), "{after}");
    assert!(after.contains("[INFO] run completed (trailing), verified"), "{after}");
}

#[test]
fn the_evidence_names_the_record_that_completed_the_run() {
    let world = project(HONEST);
    assert_eq!(world.run(&GATE).0.code, 0);
    let records = world.journal();
    let at = records.iter().position(|record| record["kind"] == "RUN_COMPLETED").unwrap();
    let evidence = fs::read_to_string(world.run_folder().join("evidence.json")).unwrap();
    let evidence: Value = serde_json::from_str(&evidence).unwrap();
    assert_eq!(evidence["predicate"]["journalHead"], records[at + 1]["prev"]);
    assert_eq!(evidence["predicate"]["usage"], Value::Null, "scripts report none");
}
