//! How long, how many and how much: every text, list, map and number of a resource has an end.

pub(super) mod run;
pub(super) mod worker;

use serde_json::{Map, Value, json};

use crate::names::WORKER_LIMIT;

/// Bounds of a resource, by the paths of its fields: `spec.gates[].name` is a field of items, `spec.labels{}` the values of
/// a map.
pub(super) struct Tables {
    /// Fields that a user has to give, by the path of their object.
    pub(super) required: &'static [(&'static str, &'static [&'static str])],
    /// Lists whose items are known by one of their fields.
    pub(super) maps: &'static [(&'static str, &'static str)],
    /// Lists that have an item once.
    pub(super) sets: &'static [&'static str],
    /// Characters, items or amounts at most, where the general limit does not fit.
    pub(super) most: &'static [(&'static str, u64)],
    /// Texts that may not be empty, and numbers that start at 1.
    pub(super) from_one: &'static [&'static str],
}

/// The most characters of a text that the tables do not name.
const TEXT: u64 = 1024;
/// The most items of a list or map that the tables do not name.
const ITEMS: u64 = 64;
/// The greatest number of 32 bits that a client of any language can hold.
const COUNT: u64 = 2_147_483_647;
/// The greatest whole number that JSON carries exactly.
const AMOUNT: u64 = 9_007_199_254_740_991;
/// A day in seconds, the most that any time limit allows.
const DAY: u64 = 86_400;
/// The most characters of a worker's name.
const WORKER: u64 = WORKER_LIMIT as u64;
/// The most capabilities that a run requires or a worker offers, and characters of each.
const CAPABILITIES: u64 = 32;
const CAPABILITY: u64 = 63;

/// Conditions of any resource.
const CONDITIONS: &[(&str, u64)] = &[
    ("status.conditions", 16),
    ("status.conditions[].type", 63),
    ("status.conditions[].status", 7),
    ("status.conditions[].reason", 128),
    ("status.conditions[].message", 4096),
    ("status.conditions[].lastTransitionTime", 40),
];

/// Bounds one node of the schema.
pub(super) fn bound(fields: &mut Map<String, Value>, path: &str, tables: &Tables) {
    let mut most = tables.most.iter().chain(CONDITIONS);
    let named = most.find(|(name, _)| *name == path).map(|(_, most)| *most);
    let least = u64::from(tables.from_one.contains(&path));
    match kind(fields).as_deref() {
        Some("string") if !fields.contains_key("enum") => {
            fields.insert("maxLength".into(), json!(named.unwrap_or(TEXT)));
            if least > 0 {
                fields.insert("minLength".into(), json!(least));
            }
        }
        Some("array") => {
            fields.insert("maxItems".into(), json!(named.unwrap_or(ITEMS)));
            if tables.sets.contains(&path) {
                fields.insert("x-kubernetes-list-type".into(), json!("set"));
            }
        }
        Some("object") if fields.contains_key("additionalProperties") => {
            fields.insert("maxProperties".into(), json!(named.unwrap_or(ITEMS)));
        }
        Some("integer") => number(fields, named, least),
        _ => {}
    }
}

/// A server knows no unsigned formats and warns of them.
fn number(fields: &mut Map<String, Value>, named: Option<u64>, least: u64) {
    let format = fields.get("format").and_then(Value::as_str).unwrap_or_default();
    let signed = !format.starts_with('u');
    let most = named.unwrap_or(if format.ends_with("32") { COUNT } else { AMOUNT });
    if signed {
        fields.insert("minimum".into(), json!(-(AMOUNT.min(most) as i64)));
    } else {
        fields.insert("minimum".into(), json!(least));
        fields.insert("format".into(), json!("int64"));
    }
    fields.insert("maximum".into(), json!(most));
}

fn kind(fields: &Map<String, Value>) -> Option<String> {
    fields.get("type").and_then(Value::as_str).map(str::to_owned)
}

/// The paths that tables name, for a test that each of them exists.
#[cfg(test)]
pub(super) fn named(tables: &Tables) -> impl Iterator<Item = &'static str> {
    let most = tables.most.iter().chain(CONDITIONS).map(|(path, _)| *path);
    most.chain(tables.from_one.iter().copied())
        .chain(tables.required.iter().map(|(path, _)| *path))
        .chain(tables.maps.iter().map(|(path, _)| *path))
        .chain(tables.sets.iter().copied())
}
