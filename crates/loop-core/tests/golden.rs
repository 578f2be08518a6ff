//! Journals recorded by released versions: they are read and mean the same for ever.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use loop_api::journal::{Event, GENESIS, Record, decode, digest, encode};
use loop_api::phase::RunPhase;
use loop_core::machine::{Next, State, next};
use serde_json::Value;

const DEMO: &[u8] = include_bytes!("golden/v0.1.0.jsonl");

/// A journal with one folder of the recording machine renamed, everything else of that machine made neutral, and the
/// chain computed anew.
fn neutral(bytes: &[u8], folder: &str, renamed: &str) -> Vec<u8> {
    fn rename(value: &mut Value, from: &str, to: &str) {
        match value {
            Value::String(text) => *text = text.replace(from, to),
            Value::Array(values) => values.iter_mut().for_each(|value| rename(value, from, to)),
            Value::Object(values) => values.values_mut().for_each(|value| rename(value, from, to)),
            _ => {}
        }
    }
    let mut prev = GENESIS.to_owned();
    let mut result = Vec::new();
    for record in decode(bytes).unwrap().records {
        let mut event = serde_json::to_value(&record.event).unwrap();
        rename(&mut event, folder, renamed);
        for (key, value) in [("search_path", "/usr/bin:/bin"), ("worker_id", "demo:1")] {
            if event.get(key).is_some() {
                event[key] = value.into();
            }
        }
        let event: Event = serde_json::from_value(event).unwrap();
        let line = encode(&Record { prev, event, ..record }).unwrap();
        prev = digest(&line[..line.len() - 1]);
        result.extend(line);
    }
    result
}

/// Records a new golden journal: `LOOP_GOLDEN_JOURNAL` is a run's journal, `LOOP_GOLDEN_FOLDER` the demo's folder.
#[test]
#[ignore = "writes a golden journal; run it by name when a version is released"]
fn record() {
    let journal = std::env::var("LOOP_GOLDEN_JOURNAL").expect("the journal to take");
    let folder = std::env::var("LOOP_GOLDEN_FOLDER").expect("the folder to rename");
    let bytes = neutral(&std::fs::read(journal).unwrap(), &folder, "/demo");
    let name = format!("v{}.jsonl", env!("CARGO_PKG_VERSION"));
    let place = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    std::fs::write(place, bytes).unwrap();
}

#[test]
fn renaming_a_folder_keeps_the_record_but_for_its_names() {
    let renamed = neutral(DEMO, "/demo", "/somewhere/else");
    assert_ne!(renamed, DEMO);
    // Compared as this version writes it, with fields that came later.
    assert_eq!(neutral(&renamed, "/somewhere/else", "/demo"), neutral(DEMO, "/demo", "/demo"));
}

#[test]
fn the_demo_of_0_1_0_is_read_and_ends_as_it_did() {
    let decoded = decode(DEMO).unwrap();
    assert_eq!(decoded.valid_bytes, DEMO.len() as u64);
    let events = decoded.records.iter().map(|record| (&record.ts, &record.event));
    let state = State::replay(events).unwrap();
    assert_eq!(state.phase, RunPhase::Completed);
    assert_eq!(next(&state, i64::MAX), Next::Finish);
    assert_eq!((state.iteration, state.implementations, state.rewrites), (7, 7, 0));
    let plan = &state.current.implemented.as_ref().unwrap().plan;
    assert_eq!((plan.done, plan.total), (5, 5));
    let granted = state.granted.as_ref().unwrap();
    assert_eq!((granted.level.as_str(), granted.mode.as_str()), ("FailToPass", "trailing"));
    assert_eq!(granted.tree, state.current.implemented.as_ref().unwrap().tree);
    assert!(state.granted_gates.as_ref().unwrap().passed());
    assert_eq!(state.granted_gates.as_ref().unwrap().gates.len(), 3);
    assert!(!state.baseline.as_ref().unwrap().passed());
    assert_eq!(state.merged.as_ref().unwrap().target, "agent/tally");
    assert_eq!(state.cleanup, Some(("cleaned".into(), String::new())));
    assert_eq!(state.worktree.as_ref().unwrap().worktree_path, "/demo/tally.run-tally");
    assert!(state.evidenced && state.ended.is_some() && state.open.is_none());
}

#[test]
fn every_decision_of_the_demo_of_0_1_0_is_decided_again() {
    let records = decode(DEMO).unwrap().records;
    let mut state = State::default();
    let mut decisions = 0;
    for record in &records {
        let expected = match &record.event {
            Event::CompletionGranted(_)
            | Event::CompletionRefused(_)
            | Event::WatchdogDecision { .. }
            | Event::IterationFinished { .. }
            | Event::RunCompleted { .. } => Some(Next::Record(record.event.clone())),
            _ => None,
        };
        let decided = next(&state, record.ts);
        if let Some(expected) = expected {
            assert_eq!(decided, expected, "record {}", record.seq);
            decisions += 1;
        }
        if let Event::StepStarted { phase, iteration, attempt, clean, .. } = record.event {
            let step = loop_core::machine::Step { phase, iteration, attempt, clean };
            assert_eq!(decided, Next::Run(step), "record {}", record.seq);
            decisions += 1;
        }
        state.apply(record.ts, &record.event).unwrap();
    }
    assert!(decisions > 30, "{decisions} decisions were compared");
}
