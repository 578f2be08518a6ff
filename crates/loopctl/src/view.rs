//! What people read: pure functions from a run to text.

pub(crate) mod clean;
pub(crate) mod columns;
pub(crate) mod inspect;
pub(crate) mod progress;
pub(crate) mod settings;
pub(crate) mod status;
pub(crate) mod summary;
pub(crate) mod table;

use loop_api::phase::RunPhase;
use loop_api::usage::Usage;
use loop_core::object::is_interrupted;

use crate::runs::{Listed, Recorded};

/// Whether a completed run was killed before its worktree was cleaned up and its evidence written.
///
/// The sandboxes go last of all, so that their presence says it.
pub(crate) fn is_unfinished(run: &Recorded) -> bool {
    let state = &run.state;
    let cleaned = state.merged.is_none() || state.cleanup.is_some();
    let written = run.evidence().is_some() && !run.dir.join("sandbox").exists();
    state.phase == RunPhase::Completed && !(cleaned && written)
}

/// The one word for a run, with the one that the journal cannot know.
pub(crate) fn word(run: &Recorded) -> &'static str {
    match run.waiting {
        Some(_) => "Waiting",
        None if is_interrupted(&run.state, run.alive) => "Interrupted",
        None => run.state.phase.as_str(),
    }
}

/// Why nothing happens in a run that has not ended, and what to do; `None` while it is worked on, and after its end.
/// `loopctl` is how to call this program.
pub(crate) fn standing(run: &Recorded, loopctl: &str) -> Option<String> {
    let name = &run.object.metadata.name;
    match (&run.waiting, run.state.phase) {
        (Some(reason), _) => Some(format!("{name} waits for its turn: {reason}")),
        (None, RunPhase::Paused) => Some(format!("{name} is paused; {loopctl} resume {name} goes on")),
        _ if is_interrupted(&run.state, run.alive) => {
            Some(format!("{name} is interrupted: no engine works on it; {loopctl} resume {name}"))
        }
        _ => None,
    }
}

/// [`word`] for a run of a list.
pub(crate) fn listed_word(run: &Listed) -> &'static str {
    match (&run.waiting, run.row.phase) {
        (Some(_), _) => "Waiting",
        (None, RunPhase::Pending | RunPhase::Running) if !run.alive => "Interrupted",
        (None, phase) => phase.as_str(),
    }
}

pub(crate) use loop_core::record::duration;

/// The first digits of a commit, as git shows them.
pub(crate) fn short(commit: &str) -> &str {
    commit.get(..10).unwrap_or(commit)
}

/// A number with its word in the right form.
pub(crate) fn count(number: usize, word: &str) -> String {
    if number == 1 { format!("1 {word}") } else { format!("{number} {word}s") }
}

/// A size as people say it.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let (mut whole, mut tenths, mut unit) = (bytes / 1024, bytes % 1024 * 10 / 1024, 0);
    while whole >= 1024 && unit + 1 < UNITS.len() {
        (tenths, whole) = (whole % 1024 * 10 / 1024, whole / 1024);
        unit += 1;
    }
    format!("{whole}.{tenths} {}", UNITS[unit])
}

/// Tokens and cost as people say them.
pub(crate) fn used(usage: &Usage) -> String {
    let least = if usage.incomplete > 0 { "at least " } else { "" };
    format!("{least}{} tokens, ${}", usage.tokens().total(), usage.cost_usd())
}
