//! Every number of the record follows from the journal; found out by a checker that knows only the journal.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use loop_core::store::Store;
use loop_tests::check::check;

use super::generate::{BENTS, Made, make};

/// Runs that are made up; each bent has as many of them.
const RUNS: u64 = 20 * BENTS.len() as u64;

fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::at(folder.path().canonicalize().expect("it exists"));
    (folder, store)
}

#[test]
fn every_number_of_the_record_follows_from_the_journal() {
    let (_folder, store) = store();
    let runs: Vec<Made> = (0..RUNS).map(|seed| make(&store, seed)).collect();
    assert!(runs.len() > 200);
    for run in &runs {
        let wrong = check(&run.folder);
        assert!(wrong.is_empty(), "{:?} {}:\n{}", run.bent, run.folder.display(), wrong.join("\n"));
    }
    // Nothing is proved about what did not happen.
    let seen: BTreeSet<&str> = runs.iter().flat_map(|run| &run.seen).map(String::as_str).collect();
    for kind in [
        "RUN_COMPLETED",
        "RUN_CANCELED",
        "run_error",
        "runner_execution_failed",
        "merge_failed",
        "iteration_limit_reached",
        "completion_refused",
        "plan_blocked",
        "budget_exceeded",
        "timed_out",
        "watchdog_failed",
        "max_consecutive_failures",
        "STEP_INTERRUPTED",
        "AGENT_RETRY",
        "CHECKPOINT",
        "POSTMORTEM_START",
        "POSTMORTEM_END",
        "WORKTREE_REMOVED",
        "COMPLETION_GRANTED",
        "WATCHDOG_DECISION",
    ] {
        assert!(seen.contains(kind), "no run has {kind}: {seen:?}");
    }
    let with = |wanted: &dyn Fn(&Made) -> bool| runs.iter().filter(|run| wanted(run)).count();
    let ends = |run: &Made| {
        run.seen
            .iter()
            .filter(|kind| kind.starts_with("RUN_") && *kind != "RUN_CREATED" && *kind != "RUN_STARTED")
            .count()
    };
    assert!(with(&|run| ends(run) > 1) > 20, "runs that were tried again and ended again");
    assert!(
        with(&|run| !run.seen.iter().any(|kind| kind == "WORKTREE_CREATED")) > 5,
        "runs that failed at the start"
    );
}

/// The first run that has all of these in its record, with its folder copied for alterations.
fn rich(store: &Store) -> Made {
    let wanted = ["RUN_COMPLETED", "AGENT_RETRY", "STEP_INTERRUPTED", "COMPLETION_GRANTED", "AGENT_FINISHED"];
    (0..RUNS * 4)
        .map(|seed| make(store, seed))
        .find(|run| {
            wanted.iter().all(|kind| run.seen.iter().any(|seen| seen == kind))
                && fs::read_to_string(run.folder.join("report.md"))
                    .is_ok_and(|text| text.contains("| `gate-0` | after |"))
        })
        .expect("a run that has everything")
}

/// Alters each number of a file in turn and counts those that the checker does not complain about.
fn unnoticed(folder: &Path, name: &str) -> Vec<String> {
    let path = folder.join(name);
    let original = fs::read_to_string(&path).expect("a file of the record");
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let mut missed = Vec::new();
    let mut at = 0;
    while let Some(found) = original[at..].find(|sign: char| sign.is_ascii_digit()) {
        let start = at + found;
        let length = digits(&original[start..]);
        let last = original.as_bytes()[start + length - 1];
        let other = if last == b'9' { '0' } else { char::from(last + 1) };
        let altered = format!("{}{other}{}", &original[..start + length - 1], &original[start + length..]);
        fs::write(&path, altered).expect("it is written");
        if check(folder).is_empty() {
            let line = original[..start].rfind('\n').map_or(0, |line| line + 1);
            missed.push(original[line..].lines().next().unwrap_or_default().to_owned());
        }
        at = start + length;
    }
    fs::write(&path, &original).expect("it is written");
    assert_eq!(check(folder), Vec::<String>::new());
    missed
}

#[test]
fn no_number_can_be_altered_without_the_checker_seeing_it() {
    let (_folder, store) = store();
    let run = rich(&store);
    assert_eq!(check(&run.folder), Vec::<String>::new());
    for name in ["report.tsv", "summary.json", "report.md"] {
        assert_eq!(unnoticed(&run.folder, name), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn what_is_left_out_or_added_is_seen_too() {
    let (_folder, store) = store();
    let run = rich(&store);
    let complaints = |name: &str, change: &dyn Fn(&str) -> String| {
        let path = run.folder.join(name);
        let original = fs::read_to_string(&path).unwrap();
        let changed = change(&original);
        assert_ne!(changed, original, "{name}");
        fs::write(&path, changed).unwrap();
        let wrong = check(&run.folder);
        fs::write(&path, original).unwrap();
        wrong.join("\n")
    };
    let without_last = |text: &str| {
        text.trim_end().rsplit_once('\n').map_or_else(String::new, |(rest, _)| format!("{rest}\n"))
    };
    assert!(complaints("report.tsv", &without_last).contains("rows, by the journal"));
    let renamed = complaints("summary.json", &|text| text.replace("\"model\"", "\"modell\""));
    assert!(
        renamed.contains("summary.json model: None") && renamed.contains("summary.json modell:"),
        "{renamed}"
    );
    let told = complaints("report.md", &|text| text.replacen("- phase: ", "- mood: 7\n- phase: ", 1));
    assert!(told.contains("report.md, Outcome: Some(\"mood: 7\")"), "{told}");
    let prose = complaints("report.md", &|text| format!("{text}\nAbout 80 percent were fine.\n"));
    assert!(prose.contains("a number outside of items and tables"), "{prose}");
    let html = complaints("report.md", &|text| format!("{text}\n<b>bold</b>\n"));
    assert!(html.contains("markup outside of quotations"), "{html}");
}
