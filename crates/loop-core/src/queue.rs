//! Several runs on one machine without a daemon: each has a process of its own, and they agree on whose turn it is.
//!
//! Every process that drives a run or waits to do so has an entry in the data directory, which counts only as long as
//! the run's lock is held. So nothing has to be given back: a process that is killed is out of the queue at once.
//! [`verdict`] decides from the entries alone; [`Queue`] reads and writes them.

mod folder;

pub use folder::{Queue, Turn, waiting};

use loop_api::run::{QueuePolicy, QueueSettings};
use serde::{Deserialize, Serialize};

/// A run that has its turn, or waits for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its uid.
    pub uid: String,
    /// Its name, for messages.
    pub name: String,
    /// Its workspace's root.
    pub workspace: String,
    /// When it was created, in epoch milliseconds.
    pub created_ms: i64,
    /// Whether it has its turn.
    pub running: bool,
    /// What it waits for; empty when it runs.
    pub reason: String,
    /// What it asks of the queue.
    pub settings: QueueSettings,
}

/// Whether a waiting run may go on, or the sentence that says what it waits for.
///
/// A run that is held back by its own limits never holds up another (SCH-4).
pub fn verdict(me: &Entry, entries: &[Entry]) -> Result<(), String> {
    let others: Vec<&Entry> = entries.iter().filter(|entry| entry.uid != me.uid).collect();
    let running: Vec<&Entry> = others.iter().copied().filter(|entry| entry.running).collect();
    held_back(me, &running)?;
    let before = |other: &Entry| {
        let key = |entry: &Entry| (entry.created_ms, entry.uid.clone());
        match me.settings.policy {
            QueuePolicy::Fifo => key(other) < key(me),
            QueuePolicy::NewestFirst => key(other) > key(me),
        }
    };
    let first =
        others.iter().find(|other| !other.running && before(other) && held_back(other, &running).is_ok());
    first.map_or(Ok(()), |first| Err(format!("{} is before it in the queue", first.name)))
}

fn held_back(entry: &Entry, running: &[&Entry]) -> Result<(), String> {
    let full = |count: usize, limit: u32| count >= usize::try_from(limit).unwrap_or(usize::MAX);
    let limit = entry.settings.max_concurrency;
    if full(running.len(), limit) {
        return Err(format!("{} of {limit} runs at once are at work ({})", running.len(), names(running)));
    }
    let here: Vec<&Entry> =
        running.iter().copied().filter(|other| other.workspace == entry.workspace).collect();
    match entry.settings.max_runs_per_workspace {
        Some(limit) if full(here.len(), limit) => {
            Err(format!("{} of {limit} runs of this workspace are at work ({})", here.len(), names(&here)))
        }
        _ => Ok(()),
    }
}

fn names(entries: &[&Entry]) -> String {
    const MOST: usize = 3;
    let mut names: Vec<&str> = entries.iter().take(MOST).map(|entry| entry.name.as_str()).collect();
    if entries.len() > MOST {
        names.push("...");
    }
    names.join(", ")
}

#[cfg(test)]
mod tests;
