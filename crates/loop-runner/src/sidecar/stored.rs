//! Checkpoints in a bucket: each is one object of its own name, with the journal, the work, and the last snapshot of the
//! worktree. It counts when the status names it, and only then those before it go.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use loop_api::run::CheckpointStatus;
use loop_core::store::RunDir;

use super::bucket::Bucket;
use super::bundle::Scratch;
use super::checkpoint::{self, Material};
use crate::say;

/// Folder of the checkpoints in that of the run.
const FOLDER: &str = "checkpoints";
/// Most bytes of a checkpoint: what one transfer from the agent may bring.
const MOST: u64 = 2 << 30;
/// Longest that it may be on its way: while it is waited for, nothing else is done.
const TIME: Duration = Duration::from_secs(120);
/// The same for one that a run goes on from.
const BRING_TIME: Duration = Duration::from_secs(300);

/// Why a checkpoint cannot be gone on from.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unfit {
    /// The bucket was not reached, or does not let anybody in now.
    #[error("{0}")]
    Away(String),
    /// It is not there, or is another one.
    #[error("{0}")]
    Gone(String),
}

/// Keeps the checkpoints of one run.
#[derive(Debug)]
pub(super) struct Stored {
    bucket: Bucket,
    /// The clone.
    clone: PathBuf,
    /// Folder of the engine's own repositories.
    repositories: PathBuf,
    /// Bytes of the journal in the last checkpoint.
    kept: usize,
    /// Tip of the run branch in the last checkpoint.
    head: Option<String>,
    /// The checkpoint that the status is to name.
    last: Option<String>,
    /// Whether it does.
    told: bool,
    /// Those before, one of which it may name instead.
    older: Vec<String>,
    /// What the checkpoint of an earlier life of this process, or of another pod, stands on.
    known: Vec<String>,
}

impl Stored {
    /// For a run with the checkpoint that its status names.
    pub(super) fn new(bucket: Bucket, clone: PathBuf, repositories: PathBuf, named: Option<String>) -> Self {
        Self {
            bucket,
            clone,
            repositories,
            kept: 0,
            head: None,
            last: named,
            told: true,
            older: Vec::new(),
            known: Vec::new(),
        }
    }

    /// Does everything once that is done with checkpoints, before there are others; leaves the one behind that counts.
    ///
    /// # Errors
    /// A sentence, when the bucket will not do.
    pub(super) async fn probe(&self, attempt: u32) -> Result<(), String> {
        // First, for some servers make a bucket that is not there when something is written to it.
        self.bucket.list(FOLDER).await?;
        let probe = format!("{FOLDER}/probe-{attempt}");
        self.bucket.put(&probe, b"probe".to_vec()).await?;
        self.bucket.download(&probe, &self.file(), MOST, TIME).await?;
        self.clean().await
    }

    /// Learns what the checkpoint that the status names stands on; for a pod that has no journal, `run`, brings all of it back.
    ///
    /// # Errors
    /// A sentence.
    pub(super) async fn restore(&mut self, run: Option<&RunDir>, commit: &str) -> Result<(), Unfit> {
        let (name, file) = (name(commit), self.file());
        let again = "make the run anew, or bring it back";
        if !self.bucket.download(&name, &file, MOST, BRING_TIME).await.map_err(Unfit::Away)? {
            return Err(Unfit::Gone(format!("{} is no longer there; {again}", self.bucket.address(&name))));
        }
        let scratch = self.scratch().map_err(Unfit::Away)?;
        let brought = scratch.read(&file, commit).and_then(|()| scratch.bring(commit, &self.clone, run));
        let _ = fs::remove_file(&file);
        self.known = brought
            .map_err(|reason| Unfit::Gone(format!("{}: {reason}; {again}", self.bucket.address(&name))))?;
        Ok(())
    }

    /// Commits in whose history is what earlier lives of this process have pushed.
    pub(super) fn known(&self) -> impl Iterator<Item = &str> {
        self.known.iter().map(String::as_str)
    }

    /// What the status is to say.
    pub(super) fn status(&self) -> Option<CheckpointStatus> {
        let commit = self.last.clone()?;
        Some(CheckpointStatus { reference: self.bucket.address(&name(&commit)), commit })
    }

    /// Whether the status does not name the last one yet.
    pub(super) fn is_unnamed(&self) -> bool {
        !self.told
    }

    /// Whether another pod would know this tip of the run branch for one of the run's own.
    pub(super) fn covers(&self, head: &str) -> bool {
        self.head.as_deref() == Some(head) && !self.is_unnamed()
    }

    /// The status has been written; what it does not name goes. Best effort: an object that stays does no harm.
    pub(super) async fn named(&mut self) {
        if !self.is_unnamed() {
            return;
        }
        self.told = true;
        for older in std::mem::take(&mut self.older) {
            if let Err(reason) = self.bucket.remove(&name(&older)).await {
                say(&format!("a checkpoint that is no longer needed stays: {reason}"));
            }
        }
    }

    /// Takes a checkpoint, if there is anything new since the worktree was made; says whether there was. `pushed` is the tip
    /// of the run branch on the remote, `time` what its way there may take.
    ///
    /// # Errors
    /// A sentence.
    pub(super) async fn save(
        &mut self,
        run: &RunDir,
        pushed: Option<&str>,
        time: Duration,
    ) -> Result<bool, String> {
        let Some(material) = checkpoint::material(run, self.kept)? else { return Ok(false) };
        let Material { length, state, files } = material;
        let (Some(facts), Some((head, snapshot))) = (&state.worktree, &state.checkpoint) else {
            return Ok(false);
        };
        let scratch = self.scratch()?;
        let mut parents = vec![head.as_str(), snapshot.as_str()];
        // So that the next pod knows it for one of the run's own, also when the agent has rewritten its branch.
        // Before this one has pushed anything, what the checkpoint before stands on says so.
        let before = self.known.iter().map(String::as_str).filter(|_| pushed.is_none());
        for commit in pushed.into_iter().chain(before) {
            if !parents.contains(&commit) && scratch.origin.has(commit) {
                parents.push(commit);
            }
        }
        let commit = scratch.origin.commit(&files, &parents, "Checkpoint\n")?;
        let file = self.file();
        let size = scratch.write(&commit, &facts.base_commit, &file)?;
        // One that arrives although nobody hears of it goes with the others.
        self.older.push(commit.clone());
        let sent = if size > MOST {
            Err(format!("the checkpoint has {size} bytes, and no more than {MOST} are kept"))
        } else {
            self.bucket.upload(&name(&commit), &file, TIME.min(time)).await
        };
        let _ = fs::remove_file(&file);
        sent?;
        self.kept = length;
        self.head = Some(head.clone());
        self.older.retain(|older| *older != commit);
        self.older.extend(self.last.replace(commit));
        self.told = false;
        Ok(true)
    }

    /// Removes the checkpoints of a run that needs none any more. Best effort.
    pub(super) async fn forget(&mut self) {
        self.last = None;
        if let Err(reason) = self.clean().await {
            say(&format!("the checkpoints could not be removed: {reason}"));
        }
    }

    /// Removes everything but the checkpoint that the status names: a pod may have been lost before it could.
    async fn clean(&self) -> Result<(), String> {
        let last = self.last.as_deref().map(name);
        for there in self.bucket.list(FOLDER).await? {
            if Some(&there) != last.as_ref() {
                self.bucket.remove(&there).await?;
            }
        }
        Ok(())
    }

    fn scratch(&self) -> Result<Scratch, String> {
        let mut over = vec![self.clone.join(".git")];
        let failed = |error: std::io::Error| format!("{}: {error}", self.repositories.display());
        for entry in fs::read_dir(&self.repositories).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            over.extend(path.join("HEAD").exists().then_some(path));
        }
        Scratch::make(&self.beside("checkpoint.git"), &over)
    }

    fn file(&self) -> PathBuf {
        self.beside("checkpoint.bundle")
    }

    /// A path on the volume that the agent does not see.
    fn beside(&self, name: &str) -> PathBuf {
        self.clone.parent().unwrap_or(Path::new("/tmp")).join(name)
    }
}

/// Name of a checkpoint: no two are the same, and it says what has to be in there.
fn name(commit: &str) -> String {
    format!("{FOLDER}/{commit}.bundle")
}

#[cfg(test)]
mod tests;
