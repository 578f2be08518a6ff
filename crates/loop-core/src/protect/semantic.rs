//! Files of which only a part is protected: the scripts of package.json, the test tables of pyproject.toml.

use serde_json::Value;
use toml_edit::{DocumentMut, Item};

/// Keys of package.json that configure a test runner.
const RUNNER_KEYS: [&str; 6] = ["jest", "mocha", "ava", "tap", "vitest", "jasmine"];

/// Whether the `scripts` of a package.json differ; text that is not JSON differs from any other text.
pub fn package_scripts_changed(before: &str, after: &str) -> bool {
    package_keys_changed(before, after, &["scripts"])
}

/// Whether a test runner's settings within a package.json differ.
pub fn package_runner_changed(before: &str, after: &str) -> bool {
    package_keys_changed(before, after, &RUNNER_KEYS)
}

fn package_keys_changed(before: &str, after: &str, keys: &[&str]) -> bool {
    if before == after {
        return false;
    }
    // An absent manifest has no scripts; an emptied one is not JSON and must not pass for that.
    let (Some(before), Some(after)) = (object(before), object(after)) else { return true };
    keys.iter().any(|key| part(&before, key) != part(&after, key))
}

fn object(text: &str) -> Option<Value> {
    serde_json::from_str::<Value>(text).ok().filter(Value::is_object)
}

/// An empty object says as much as an absent one.
fn part<'a>(manifest: &'a Value, key: &str) -> Option<&'a Value> {
    manifest.get(key).filter(|value| value.as_object().is_none_or(|object| !object.is_empty()))
}

/// The command behind a script's name.
pub(super) fn package_script(manifest: &str, name: &str) -> Option<String> {
    object(manifest)?.get("scripts")?.get(name)?.as_str().map(str::to_owned)
}

/// Whether the tables of pytest, tox or nox in a pyproject.toml differ; text that is not TOML differs from any other.
pub fn pyproject_tests_changed(before: &str, after: &str) -> bool {
    if before == after {
        return false;
    }
    let (Ok(before), Ok(after)) = (before.parse::<DocumentMut>(), after.parse::<DocumentMut>()) else {
        return true;
    };
    ["pytest", "tox", "nox"].iter().any(|tool| {
        let table =
            |document: &DocumentMut| document.get("tool").and_then(|tools| tools.get(tool)).map(canonical);
        table(&before) != table(&after)
    })
}

/// A form in which two tables are equal when they say the same, whatever the order and spelling of their keys.
fn canonical(item: &Item) -> Value {
    if let Some(table) = item.as_table_like() {
        return table.iter().map(|(key, item)| (key.to_owned(), canonical(item))).collect();
    }
    if let Some(tables) = item.as_array_of_tables() {
        return tables.iter().map(|table| canonical(&Item::Table(table.clone()))).collect();
    }
    match item.as_value() {
        Some(toml_edit::Value::Array(array)) => {
            array.iter().map(|value| canonical(&Item::Value(value.clone()))).collect()
        }
        Some(toml_edit::Value::String(text)) => Value::String(text.value().clone()),
        Some(value) => Value::String(value.clone().decorated("", "").to_string()),
        None => Value::Null,
    }
}

/// Whether the sections of pytest or tox in a setup.cfg differ.
pub fn setup_cfg_tests_changed(before: &str, after: &str) -> bool {
    runner_sections(before) != runner_sections(after)
}

fn runner_sections(text: &str) -> Vec<&str> {
    let mut inside = false;
    let mut lines = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[') {
            inside = ["tool:pytest", "pytest", "tox"].iter().any(|name| section.starts_with(name));
        }
        if inside && !line.is_empty() && !line.starts_with(['#', ';']) {
            lines.push(line);
        }
    }
    lines
}
