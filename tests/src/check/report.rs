//! `report.md`, section by section: the lines of each are derived from the journal and compared.

mod lines;
mod sections;

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::history::History;
use super::words::{quoted, text};
use lines::{Section, parse};

const FIRST: &str = "What to look at first";
const FILES: &str = "Files of the record";

/// What is wrong with the report.
pub(super) fn check(report: &str, history: &History<'_>, folder: &Path) -> Vec<String> {
    let (sections, mut wrong) = parse(report);
    let title = format!("# Run {}", quoted(text(history.created, "name")));
    if sections.first().map(|section| section.title.as_str()) != Some(title.as_str()) {
        wrong.push(format!("report.md begins otherwise than with {title:?}"));
    }
    let expected = sections::all(history);
    let known: Vec<&str> = expected.iter().map(|(title, _)| *title).chain([FIRST, FILES]).collect();
    for section in sections.iter().skip(1) {
        if !known.contains(&section.title.as_str()) {
            wrong.push(format!("report.md has an unknown section {:?}", section.title));
        }
    }
    let found = |title: &str| sections.iter().find(|section| section.title == title);
    for (title, lines) in &expected {
        match found(title) {
            None => wrong.push(format!("report.md has no section {title:?}")),
            Some(section) => compare(title, &section.lines, lines, &mut wrong),
        }
    }
    match found(FIRST) {
        None => wrong.push(format!("report.md has no section {FIRST:?}")),
        Some(section) => first(section, history, &mut wrong),
    }
    match found(FILES) {
        None => wrong.push(format!("report.md has no section {FILES:?}")),
        Some(section) => files(section, folder, &mut wrong),
    }
    wrong
}

fn compare(title: &str, found: &[String], expected: &[String], wrong: &mut Vec<String>) {
    for at in 0..found.len().max(expected.len()) {
        let (found, expected) = (found.get(at), expected.get(at));
        if found != expected {
            wrong.push(format!("report.md, {title}: {found:?}, by the journal {expected:?}"));
        }
    }
}

/// The list has the items that the rules give, with their counts; what else it says are words of its own, without a
/// digit, and quotations from the journal.
fn first(section: &Section, history: &History<'_>, wrong: &mut Vec<String>) {
    let expected: Vec<String> = sections::first(history)
        .into_iter()
        .enumerate()
        .map(|(at, (name, count))| match count {
            Some(count) => format!("{}. **{name}** ({count})", at + 1),
            None => format!("{}. **{name}**", at + 1),
        })
        .collect();
    let heads: Vec<String> =
        section.own.iter().map(|line| line.split(": ").next().unwrap_or_default().to_owned()).collect();
    compare(FIRST, &heads, &expected, wrong);
    let mut known = BTreeSet::new();
    history.records.iter().for_each(|record| texts(record, &mut known));
    // The end of a canceled run has words of its own.
    known.extend(["canceled", "canceled by the user"].map(str::to_owned));
    for (own, parts) in section.own.iter().zip(&section.parts) {
        let sentence = own.split_once(": ").map_or("", |(_, sentence)| sentence);
        if sentence.contains(|sign: char| sign.is_ascii_digit()) {
            wrong.push(format!("report.md, {FIRST}: a number of unknown origin in {own:?}"));
        }
        for part in parts.iter().filter(|part| !known.contains(*part)) {
            wrong.push(format!("report.md, {FIRST}: {part:?} is not in the journal"));
        }
    }
}

/// Every text of a record, as it is quoted.
fn texts(value: &Value, known: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => {
            known.insert(quoted(text));
        }
        Value::Array(values) => values.iter().for_each(|value| texts(value, known)),
        Value::Object(fields) => fields.values().for_each(|value| texts(value, known)),
        _ => {}
    }
}

fn files(section: &Section, folder: &Path, wrong: &mut Vec<String>) {
    let mut some = false;
    for (own, names) in section.items.iter().zip(&section.parts) {
        let mut own = own.clone();
        for name in names {
            some = true;
            let link = format!("]({name})");
            if !own.contains(&link) || !folder.join(name).is_file() {
                wrong.push(format!("report.md names {name}, which is not there or not linked"));
            }
            own = own.replacen(&link, "", 1);
        }
        if own.contains(|sign: char| sign.is_ascii_digit()) {
            wrong.push(format!("report.md, {FILES}: a number of unknown origin in {own:?}"));
        }
    }
    if !some {
        wrong.push("report.md names no file".into());
    }
}
