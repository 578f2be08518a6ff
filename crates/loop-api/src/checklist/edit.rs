//! Setting boxes in a plan's text without touching anything else.

use std::collections::HashSet;

use super::task;

/// The text with the boxes of these tasks set back to `[ ]`, whatever they were; all other bytes stay.
pub fn untick(text: &str, identities: &[String]) -> String {
    set(text, identities, " ")
}

/// The text with the boxes of these tasks set to `[x]`; all other bytes stay.
pub fn tick(text: &str, identities: &[String]) -> String {
    set(text, identities, "x")
}

fn set(text: &str, identities: &[String], marker: &str) -> String {
    let wanted: HashSet<&str> = identities.iter().map(String::as_str).collect();
    let mut changed = String::with_capacity(text.len());
    let mut copied = 0;
    for found in task::found(text).filter(|found| wanted.contains(found.task.identity.as_str())) {
        changed.push_str(&text[copied..found.marker.start]);
        changed.push_str(marker);
        copied = found.marker.end;
    }
    changed.push_str(&text[copied..]);
    changed
}
