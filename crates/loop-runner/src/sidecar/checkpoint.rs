//! Checkpoints on the remote: the journal, and what the next step reads beside it, as a commit on top of the run branch.
//! It stands on a ref of its own, which one push moves; so journal and work always belong together.

use std::fs;
use std::path::Path;

use loop_api::journal;
use loop_api::names;
use loop_api::run::CheckpointStatus;
use loop_core::machine::State;
use loop_core::record;
use loop_core::store::{RunDir, Store};

use super::git::Origin;

const JOURNAL: &str = "journal.jsonl";
/// What the gates said, for the next prompt.
const NOTES: &str = "runner-notes.txt";
/// Most bytes of a journal that is kept or brought back.
pub(super) const MOST: usize = 64 << 20;
/// Most bytes of any other file.
const MOST_BESIDE: u64 = 1 << 20;

/// Keeps the checkpoints of one run.
#[derive(Debug)]
pub struct Keeper {
    uid: String,
    /// Bytes of the journal in the last checkpoint.
    kept: usize,
    /// The last checkpoint.
    last: Option<String>,
    /// Nobody goes on from it any more.
    retired: bool,
}

impl Keeper {
    /// For a run, with the checkpoint that its status names.
    pub fn new(uid: &str, last: Option<String>) -> Self {
        Self { uid: uid.to_owned(), kept: 0, last, retired: false }
    }

    /// What the status is to say.
    pub fn status(&self) -> Option<CheckpointStatus> {
        let commit = self.last.clone().filter(|_| !self.retired)?;
        Some(CheckpointStatus { reference: names::checkpoint_ref(&self.uid), commit })
    }

    /// Takes a checkpoint to the remote, if there is anything new beyond the base; says whether there was.
    ///
    /// # Errors
    /// What git says.
    pub fn save(&mut self, origin: &Origin, run: &RunDir) -> Result<bool, String> {
        let Ok(mut bytes) = fs::read(run.journal()) else { return Ok(false) };
        if bytes.len() == self.kept || bytes.len() > MOST {
            return Ok(false);
        }
        let decoded = journal::decode(&bytes).map_err(|error| error.to_string())?;
        bytes.truncate(usize::try_from(decoded.valid_bytes).unwrap_or(bytes.len()));
        let events = decoded.records.iter().map(|record| (&record.ts, &record.event));
        let state = State::replay(events).map_err(|error| error.to_string())?;
        let Some((_, head)) = super::work(&state).filter(|(_, head)| origin.has(head)) else {
            // Nothing to go on from yet, or the engine is about to hand it over.
            return Ok(false);
        };
        let kept = bytes.len();
        let mut files = vec![(JOURNAL.to_owned(), bytes)];
        let tail = state.last_implementation.as_ref().map(|(_, log)| record::tail_name(log));
        for name in [NOTES.to_owned()].into_iter().chain(tail) {
            let path = run.join(&name);
            if fs::metadata(&path).is_ok_and(|facts| facts.len() <= MOST_BESIDE) {
                files.extend(fs::read(&path).ok().map(|bytes| (name, bytes)));
            }
        }
        let parents: Vec<&str> = [head.as_str()].into_iter().chain(self.last.as_deref()).collect();
        let commit = origin.commit(&files, &parents, "Checkpoint\n")?;
        origin.force(&names::checkpoint_ref(&self.uid), &commit)?;
        (self.kept, self.last) = (kept, Some(commit));
        Ok(true)
    }

    /// From here on the status names no checkpoint.
    pub fn retire(&mut self) {
        self.retired = true;
    }

    /// Removes the checkpoints of a run that needs none any more. Best effort: a ref that stays does no harm.
    pub fn forget(&mut self, origin: &Origin) {
        if self.last.take().is_some()
            && let Err(reason) = origin.delete(&names::checkpoint_ref(&self.uid))
        {
            crate::say(&format!("the checkpoints could not be removed: {reason}"));
        }
    }
}

/// Brings the journal of a checkpoint back, for a pod that has none.
///
/// # Errors
/// A sentence, when the remote does not have it.
pub fn restore(
    origin: &Origin,
    store: &Store,
    uid: &str,
    checkpoint: &CheckpointStatus,
) -> Result<(), String> {
    let run = store.run(uid);
    if run.journal().exists() {
        return Ok(());
    }
    let CheckpointStatus { reference, commit } = checkpoint;
    let gone = |reason: String| {
        format!(
            "the run cannot go on from its checkpoint {reference} ({commit}): {reason}; make the run anew, or bring that ref \
             back to the remote"
        )
    };
    origin.fetch(reference).map_err(gone)?;
    if !origin.has(commit) {
        return Err(gone("the remote does not have it any more".into()));
    }
    let failed = |error: std::io::Error| format!("{}: {error}", run.path().display());
    let new = run.path().with_extension("new");
    // What a killed one left.
    let _ = fs::remove_dir_all(&new);
    fs::create_dir_all(&new).map_err(failed)?;
    for name in origin.files(commit)? {
        let plain = Path::new(&name).components().count() == 1 && !name.starts_with('.');
        if plain {
            fs::write(new.join(&name), origin.file(commit, &name)?).map_err(failed)?;
        }
    }
    fs::rename(&new, run.path()).map_err(failed)
}
