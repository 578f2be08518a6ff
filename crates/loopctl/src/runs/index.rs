//! What lists show of runs, kept in one file, so that ten thousand journals are not read to print a table.
//!
//! A row counts for a journal of exactly the size and time that it was made from. The file can be removed or damaged at
//! any time: what is missing is read from the journals again, and whoever did so writes the file anew, as a whole.

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io::Read as _;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use loop_api::phase::RunPhase;
use loop_core::object;
use loop_core::store::{Store, replace_file};
use serde::{Deserialize, Serialize};

use super::Recorded;
use crate::view::{clean, table};

const FILE: &str = "index.jsonl";
const LOCK: &str = "index.lock";
/// First line; a file that begins otherwise is of another version and is not read.
const HEADER: &str = concat!("{\"rows\":1,\"program\":\"", env!("CARGO_PKG_VERSION"), "\"}");
/// Largest index that is read: far more than a data directory has runs.
const MOST_BYTES: u64 = 256 << 20;
/// Longest row that is read.
const MOST_LINE: usize = 64 << 10;
/// Characters that are kept of a reason.
const MOST_REASON: usize = 200;
/// A journal that was written just now may be written again without its time being another.
const SETTLED: Duration = Duration::from_secs(2);

/// What lists show of a run: all of it follows from the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    /// Its uid.
    pub(crate) uid: String,
    /// Its name.
    pub(crate) name: String,
    /// Absolute top level of its repository.
    pub(crate) workspace: String,
    /// Absolute; empty before there is one, and again when it was cleaned up.
    pub(crate) worktree: String,
    /// Branch of the run; empty before there is one.
    pub(crate) branch: String,
    /// Where it stands.
    pub(crate) phase: RunPhase,
    /// Epoch milliseconds.
    pub(crate) created_ms: i64,
    /// Epoch milliseconds of the last thing that happened.
    pub(crate) last_ms: i64,
    /// The open step; empty without one.
    pub(crate) step: String,
    /// Implementations begun.
    pub(crate) iteration: u32,
    /// Plan tasks done.
    pub(crate) done: u32,
    /// Plan tasks in all.
    pub(crate) total: u32,
    /// What it cost, as the table shows it.
    pub(crate) cost: String,
    /// Why it ended; empty before.
    pub(crate) reason: String,
    /// Whether its branch and worktree were given up.
    pub(crate) reset: bool,
}

impl Row {
    /// The row of a run that was just read; `None` for one without its first record.
    pub(super) fn of(run: &Recorded) -> Option<Self> {
        let state = &run.state;
        let created = state.created.as_ref()?;
        let (done, total) = object::tasks(state);
        let facts = state.worktree.as_ref().or(state.creating.as_ref());
        let gone = state.reset || state.cleanup.as_ref().is_some_and(|(status, _)| status == "cleaned");
        let reason = state.ended.as_ref().map_or("", |(_, reason, _)| reason);
        Some(Self {
            uid: run.uid.clone(),
            name: created.name.clone(),
            workspace: created.workspace_root.clone(),
            worktree: facts.filter(|_| !gone).map(|facts| facts.worktree_path.clone()).unwrap_or_default(),
            branch: facts.map(|facts| facts.run_branch.clone()).unwrap_or_default(),
            phase: state.phase,
            created_ms: state.created_ms,
            last_ms: state.last_ms,
            step: state.open.as_ref().map(|open| open.phase.as_str().to_owned()).unwrap_or_default(),
            iteration: state.iteration,
            done,
            total,
            cost: table::cost(&state.usage),
            reason: clean::line(reason).chars().take(MOST_REASON).collect(),
            reset: state.reset,
        })
    }
}

/// A row with the size and time of the journal that it was made from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Entry {
    bytes: u64,
    nanoseconds: u64,
    row: Row,
}

/// The rows of a data directory.
#[derive(Debug, Default)]
pub(super) struct Index {
    before: HashMap<String, Entry>,
    after: Vec<Entry>,
    changed: bool,
}

impl Index {
    /// Reads the file as far as it can be read.
    pub(super) fn read(store: &Store) -> Self {
        let before = text(&store.root().join(FILE)).map(|text| entries(&text)).unwrap_or_default();
        Self { before, ..Self::default() }
    }

    /// The row of a run whose journal is as it was.
    pub(super) fn row(&self, uid: &str, journal: &Metadata) -> Option<&Row> {
        let entry = self.before.get(uid)?;
        ((entry.bytes, Some(entry.nanoseconds)) == (journal.len(), nanoseconds(journal)))
            .then_some(&entry.row)
    }

    /// Keeps a row that was found here.
    pub(super) fn keep(&mut self, uid: &str) {
        self.after.extend(self.before.remove(uid));
    }

    /// Takes in a row that was made from a journal; one that is about to be another is left out.
    pub(super) fn add(&mut self, row: &Row, journal: &Metadata) {
        let settled =
            journal.modified().ok().and_then(|time| time.elapsed().ok()).is_some_and(|age| age >= SETTLED);
        let Some(nanoseconds) = nanoseconds(journal).filter(|_| settled) else { return };
        self.after.push(Entry { bytes: journal.len(), nanoseconds, row: row.clone() });
        self.changed = true;
    }

    /// Writes the file when its rows are others now. Best effort: nothing rests on it.
    pub(super) fn write(self, store: &Store) {
        if !self.changed && self.before.is_empty() {
            return;
        }
        let Ok(lock) = File::options().create(true).truncate(false).write(true).open(store.root().join(LOCK))
        else {
            return;
        };
        // Somebody else is writing the same just now.
        if lock.try_lock().is_err() {
            return;
        }
        let mut bytes = format!("{HEADER}\n").into_bytes();
        for entry in &self.after {
            if serde_json::to_writer(&mut bytes, entry).is_err() {
                return;
            }
            bytes.push(b'\n');
        }
        let _ = replace_file(&store.root().join(FILE), &bytes);
    }
}

/// Removes the file, when it was found to say something else than a journal.
pub(super) fn forget(store: &Store) {
    let _ = fs::remove_file(store.root().join(FILE));
}

fn text(path: &Path) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    let file = File::open(path).ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    file.take(MOST_BYTES).read_to_end(&mut text).ok()?;
    Some(text)
}

fn entries(text: &[u8]) -> HashMap<String, Entry> {
    let mut lines = text.split(|byte| *byte == b'\n');
    if lines.next() != Some(HEADER.as_bytes()) {
        return HashMap::new();
    }
    lines
        .filter(|line| line.len() <= MOST_LINE)
        .filter_map(|line| serde_json::from_slice::<Entry>(line).ok())
        .map(|entry| (entry.row.uid.clone(), entry))
        .collect()
}

fn nanoseconds(journal: &Metadata) -> Option<u64> {
    let time: SystemTime = journal.modified().ok()?;
    u64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_nanos()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(uid: &str) -> String {
        let row = Row {
            uid: uid.into(),
            name: format!("name-{uid}"),
            workspace: "/w".into(),
            worktree: String::new(),
            branch: String::new(),
            phase: RunPhase::Failed,
            created_ms: 1,
            last_ms: 2,
            step: String::new(),
            iteration: 3,
            done: 1,
            total: 2,
            cost: "-".into(),
            reason: "r".into(),
            reset: false,
        };
        serde_json::to_string(&Entry { bytes: 5, nanoseconds: 7, row }).expect("a row")
    }

    #[test]
    fn damage_costs_the_damaged_rows_and_no_more() {
        let long = line(&"x".repeat(MOST_LINE));
        let text = format!("{HEADER}\n{}\n{{\"half\n{long}\n\0\u{fffd}\n{}", line("a"), line("b"));
        let read = entries(text.as_bytes());
        let mut uids: Vec<&str> = read.keys().map(String::as_str).collect();
        uids.sort_unstable();
        assert_eq!(uids, ["a", "b"]);
        assert_eq!(read["a"].row.name, "name-a");
    }

    #[test]
    fn an_index_of_another_version_is_not_read() {
        let text = format!("{{\"rows\":0}}\n{}\n", line("a"));
        assert!(entries(text.as_bytes()).is_empty());
    }
}
