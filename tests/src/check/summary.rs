//! `summary.json`, field by field.

use std::path::Path;

use serde_json::{Value, json};

use super::history::History;
use super::words::{number, text};

/// What is wrong with the summary of an ended run.
pub(super) fn check(summary: &str, history: &History<'_>, folder: &Path) -> Vec<String> {
    let found: Value = match serde_json::from_str(summary) {
        Ok(found) => found,
        Err(error) => return vec![format!("summary.json is no JSON: {error}")],
    };
    let expected = expected(history, folder);
    let (Some(found), Some(expected)) = (found.as_object(), expected.as_object()) else {
        return vec!["summary.json is no object".into()];
    };
    let mut names: Vec<&String> = found.keys().chain(expected.keys()).collect();
    names.sort();
    names.dedup();
    let differs = names.into_iter().filter(|name| found.get(*name) != expected.get(*name));
    differs
        .map(|name| {
            format!("summary.json {name}: {:?}, by the journal {:?}", found.get(name), expected.get(name))
        })
        .collect()
}

fn expected(history: &History<'_>, folder: &Path) -> Value {
    let created = history.created;
    let (start, end) = (number(created, "ts"), history.ended.map_or(0, |record| number(record, "ts")));
    let implementations = || history.steps.iter().filter(|step| step.phase() == "implementation");
    let done = implementations().filter(|step| step.result("implemented").is_some()).count() as i64;
    let last = implementations().filter(|step| !step.interrupted()).filter_map(|step| step.end).next_back();
    let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let log = last.map(|end| text(end, "output_path")).filter(|log| !log.is_empty());
    let granted = history.last("COMPLETION_GRANTED");
    let exit = match history.ended.map(|record| text(record, "kind")) {
        Some("RUN_COMPLETED") => "complete_plan",
        Some("RUN_CANCELED") => "canceled",
        _ => history.ended.map_or("", |record| text(record, "exit_reason")),
    };
    json!({
        "run_id": created["run_id"],
        "start_ms": start,
        "end_ms": end,
        "total_duration_ms": end - start,
        "iterations_run": done,
        "completed_iteration": granted.map(|_| history.iterations),
        "avg_duration_ms": if done == 0 { 0 } else { (end - start) / done },
        "last_exit_code": last.map(|end| number(end, "exit_code")),
        "completion_mode": granted.map(|granted| text(granted, "mode")),
        "model": history.model(false),
        "exit_reason": exit,
        "run_log": path("run.log"),
        "run_report": path("report.tsv"),
        "prompt_snapshot": (history.iterations > 0).then(|| path("prompt.txt")),
        "last_iteration_tail": log.map(|log| path(&log.replace(".log", ".tail.txt"))),
        "last_iteration_log": log.map(path),
    })
}
