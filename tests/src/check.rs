//! A second opinion on a run's record: reads `journal.jsonl` as plain JSON, derives every number of `report.tsv`,
//! `summary.json` and `report.md` again, and says where they differ. It shares no code and no type with the program.

mod history;
mod report;
mod summary;
mod table;
mod words;

use std::fs;
use std::path::Path;

use serde_json::Value;

use history::History;

/// Everything in the record of a folder that does not follow from its journal; empty when all of it does.
///
/// # Panics
///
/// When the journal cannot be read: then there is nothing to compare with.
pub fn check(folder: &Path) -> Vec<String> {
    let text = fs::read_to_string(folder.join("journal.jsonl")).expect("a journal");
    let records: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("a record")).collect();
    let history = History::of(&records);
    let mut wrong = Vec::new();
    let mut read = |name: &str| {
        let found = fs::read_to_string(folder.join(name));
        found.map_err(|error| wrong.push(format!("{name} cannot be read: {error}"))).ok()
    };
    let (tsv, report) = (read("report.tsv"), read("report.md"));
    let summary = if history.ended.is_some() { read("summary.json") } else { None };
    wrong.extend(tsv.map(|text| table::check(&text, &records)).unwrap_or_default());
    wrong.extend(summary.map(|text| summary::check(&text, &history, folder)).unwrap_or_default());
    wrong.extend(report.map(|text| report::check(&text, &history, folder)).unwrap_or_default());
    wrong
}
