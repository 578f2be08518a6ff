//! `report.md`: a run for people, made from its journal alone. What agents or the repository wrote stands in code spans
//! only, one line each, so that it can neither break the page nor put links or HTML into it.

mod asked;
mod first;
mod told;
mod used;
mod work;

use std::collections::BTreeMap;

use loop_api::journal::Record;
use loop_api::run::ArtifactMode;

use super::files::{COPIED, copy_folder, list, meaning};
use super::history::History;
use super::text::code;
use crate::postmortem::Report;
use crate::store::RunDir;

/// The report of a run as it stands now; it may still be under way. Empty for a journal without records.
pub fn report(records: &[Record], run: &RunDir) -> String {
    let history = History::read(records);
    let Some(created) = history.state.created.as_deref() else { return String::new() };
    let mut page = Page { text: format!("# Run {}\n", code(&created.name)) };
    if history.state.phase.is_terminal() {
        page.say("Made from the journal of the run; every number here can be derived from it again.");
    } else {
        page.say("This run is under way: what follows is how it stood at its last event.");
    }
    first::write(&mut page, &history);
    asked::write(&mut page, &history, created);
    work::write(&mut page, &history);
    told::write(&mut page, &history);
    used::write(&mut page, &history);
    files(&mut page, &history, run);
    page.text
}

/// The page as it grows.
struct Page {
    text: String,
}

impl Page {
    fn section(&mut self, title: &str) {
        self.text.push_str(&format!("\n## {title}\n\n"));
    }

    fn say(&mut self, sentence: &str) {
        self.text.push_str(&format!("\n{sentence}\n"));
    }

    /// `- key: value`; the value is safe, or made so by [`code`].
    fn item(&mut self, key: &str, value: &str) {
        self.text.push_str(&format!("- {key}: {value}\n"));
    }

    /// An item, unless the text is empty.
    fn quote(&mut self, key: &str, text: &str) {
        if !text.trim().is_empty() {
            self.item(key, &code(text));
        }
    }

    fn nothing(&mut self, sentence: &str) {
        self.text.push_str(&format!("{sentence}\n"));
    }

    /// Cells are ours: numbers and words, nothing that others wrote.
    fn table<const N: usize>(&mut self, header: [&str; N], rows: &[[String; N]]) {
        let line = |cells: Vec<&str>| format!("| {} |\n", cells.join(" | "));
        self.text.push_str(&line(header.to_vec()));
        self.text.push_str(&line(header.iter().map(|_| "---").collect()));
        for row in rows {
            self.text.push_str(&line(row.iter().map(String::as_str).collect()));
        }
    }
}

/// A number, or a dash for none.
fn or_dash<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".into(), |value| value.to_string())
}

/// The files of the record, wherever they are.
fn files(page: &mut Page, history: &History, run: &RunDir) {
    let Some(created) = history.state.created.as_deref() else { return };
    page.section("Files of the record");
    let copy = copy_folder(created);
    let mode = created.spec.artifacts.mode;
    let mut found: BTreeMap<String, u64> = BTreeMap::new();
    if mode == ArtifactMode::Workspace {
        found.extend(list(&copy).unwrap_or_default());
    }
    found.extend(list(run.path()).unwrap_or_default());
    if history.state.phase.is_terminal() {
        for name in ["report.md", "report.tsv", "SHA256SUMS"] {
            found.entry(name.into()).or_default();
        }
        if created.spec.artifacts.summary {
            found.entry("summary.json".into()).or_default();
        }
    }
    // One line for all files of a kind, in the order of their first.
    let mut kinds: Vec<(&str, Vec<String>)> = Vec::new();
    for (name, size) in &found {
        let large = mode != ArtifactMode::Global && *size > COPIED;
        let more = if large { " (too large for the copy, so only in the data directory)" } else { "" };
        let (kind, shown) = (meaning(name), format!("{}{more}", link(name)));
        match kinds.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, files)) => files.push(shown),
            None => kinds.push((kind, vec![shown])),
        }
    }
    for (kind, files) in kinds {
        page.item(kind, &files.join(", "));
    }
    if history.state.phase == loop_api::phase::RunPhase::Completed && !found.contains_key("review-diff.json")
    {
        let why = "not written; where the work is too large for it, ask git for the difference of the commits above";
        page.item("the work as a list of changed files with their patches", why);
    }
}

/// A link to a file of the record, when its name can be one; names of gates are part of some.
fn link(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'/');
    if name.bytes().all(plain) { format!("[`{name}`]({name})") } else { code(name) }
}

/// Links to the reports of an analysis that were made.
fn opinions(reports: &[String]) -> String {
    let known = Report::ALL.iter().map(|report| report.path()).filter(|path| reports.contains(path));
    known.map(|path| link(&path)).collect::<Vec<_>>().join(", ")
}
