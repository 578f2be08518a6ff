//! Checkpoints on the remote: the journal, and what the next step reads beside it, as a commit on top of the run branch.
//! It stands on a ref of its own, which one push moves; so journal and work always belong together.

use std::fs;
use std::path::Path;

use loop_api::journal;
use loop_api::names;
use loop_api::run::CheckpointStatus;
use loop_core::delivery::{Push, Pushed};
use loop_core::machine::State;
use loop_core::record;
use loop_core::store::RunDir;

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
    reference: String,
    /// Bytes of the journal in the last checkpoint.
    kept: usize,
    /// The checkpoint that the status is to name.
    last: Option<String>,
    /// What the ref points at on the remote. It may be newer than `last`: a pod can be lost before the status names it.
    tip: Option<String>,
}

impl Keeper {
    /// For a run, with what its ref points at and the checkpoint that its status names.
    pub fn new(uid: &str, tip: Option<String>, last: Option<String>) -> Self {
        Self { reference: names::checkpoint_ref(uid), kept: 0, last, tip }
    }

    /// What the status is to say.
    pub fn status(&self) -> Option<CheckpointStatus> {
        let commit = self.last.clone()?;
        Some(CheckpointStatus { reference: self.reference.clone(), commit })
    }

    /// What the ref points at: whatever pods of this run have ever pushed is in its history.
    pub fn tip(&self) -> Option<&str> {
        self.tip.as_deref()
    }

    /// Takes a checkpoint to the remote, if there is anything new beyond the base; says whether there was.
    ///
    /// # Errors
    /// What git says; or that the clone does not have the work yet, if it `must`.
    pub fn save(&mut self, origin: &Origin, run: &RunDir, must: bool) -> Result<bool, String> {
        let Some(material) = material(run, self.kept)? else { return Ok(false) };
        let Material { length, state, files } = material;
        // Without work there is nothing to go on from.
        let Some((_, head)) = super::work(&state) else { return Ok(false) };
        if !origin.has(&head) {
            // The engine hands it over a moment after it has taken it in.
            return if must { Err(format!("the clone does not have {head} yet")) } else { Ok(false) };
        }
        let parents: Vec<&str> = [head.as_str()].into_iter().chain(self.tip()).collect();
        let commit = origin.commit(&files, &parents, "Checkpoint\n")?;
        let push =
            Push { reference: self.reference.clone(), commit: commit.clone(), expected: self.tip.clone() };
        if origin.swap(&push)? == Pushed::Moved {
            // By an earlier pod of the run that is still about. What it has is kept below the next one of ours.
            self.tip = origin.fetch(&self.reference)?;
            return Err(format!("{} was moved meanwhile", self.reference));
        }
        self.kept = length;
        self.tip = Some(commit.clone());
        self.last = Some(commit);
        Ok(true)
    }

    /// Removes the checkpoints of a run that needs none any more. Best effort: a ref that stays does no harm.
    pub fn forget(&mut self, origin: &Origin) {
        if self.tip.take().is_some()
            && let Err(reason) = origin.delete(&self.reference)
        {
            crate::say(&format!("the checkpoints could not be removed: {reason}"));
        }
    }
}

/// What a checkpoint of any store holds beside the work.
#[derive(Debug)]
pub(super) struct Material {
    /// Bytes of the journal.
    pub(super) length: usize,
    /// The run as that journal tells it.
    pub(super) state: State,
    /// The journal, and what the next step reads beside it.
    pub(super) files: Vec<(String, Vec<u8>)>,
}

/// Reads it, if the journal is another one than that of so many bytes.
pub(super) fn material(run: &RunDir, kept: usize) -> Result<Option<Material>, String> {
    let Ok(mut bytes) = fs::read(run.journal()) else { return Ok(None) };
    if bytes.len() == kept {
        return Ok(None);
    }
    if bytes.len() > MOST {
        return Err(format!("the journal has {} bytes, more than a checkpoint can hold", bytes.len()));
    }
    let decoded = journal::decode(&bytes).map_err(|error| error.to_string())?;
    bytes.truncate(usize::try_from(decoded.valid_bytes).unwrap_or(bytes.len()));
    let events = decoded.records.iter().map(|record| (&record.ts, &record.event));
    let state = State::replay(events).map_err(|error| error.to_string())?;
    let length = bytes.len();
    let mut files = vec![(JOURNAL.to_owned(), bytes)];
    let tail = state.last_implementation.as_ref().map(|(_, log)| record::tail_name(log));
    for name in [NOTES.to_owned()].into_iter().chain(tail) {
        let path = run.join(&name);
        if fs::metadata(&path).is_ok_and(|facts| facts.len() <= MOST_BESIDE) {
            files.extend(fs::read(&path).ok().map(|bytes| (name, bytes)));
        }
    }
    Ok(Some(Material { length, state, files }))
}

/// Brings the journal of a checkpoint back, for a pod that has none.
///
/// # Errors
/// When the clone cannot be read or the folder cannot be written.
pub fn restore(origin: &Origin, run: &RunDir, commit: &str) -> Result<(), String> {
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
