//! Where the checkpoints of a run are kept, whichever store that is.

use std::time::Duration;

use anyhow::{Result, anyhow};
use loop_api::names;
use loop_api::run::{Checkpoint, CheckpointStatus, CheckpointStore};
use loop_core::store::RunDir;

use super::bucket::Bucket;
use super::checkpoint::{self, Keeper};
use super::git::Origin;
use super::stored::{Stored, Unfit};
use super::{Refused, Whose, no_place, tried};
use crate::place::Place;
use crate::say;

/// The store of a run.
#[derive(Debug)]
pub(super) enum Keep {
    /// None, or a volume, on which everything is where it is.
    Nothing,
    /// The remote.
    Branch(Keeper),
    /// A bucket.
    Bucket(Box<Stored>),
}

/// Makes the store ready, and brings the journal of the checkpoint back that the status names, unless there is one.
pub(super) async fn set_up(
    wanted: &Checkpoint,
    origin: &Origin,
    (place, whose, begun): (&Place, &Whose, bool),
    run: &RunDir,
    known: Option<CheckpointStatus>,
) -> Result<Keep> {
    let known = known.map(|known| known.commit);
    let missing = known.as_ref().filter(|_| !run.journal().exists());
    if missing.is_some() {
        // Where the run began may be below what was cloned by now.
        tried("cloned", true, || origin.complete()).await?;
    }
    match wanted.store {
        CheckpointStore::None | CheckpointStore::Volume => Ok(Keep::Nothing),
        CheckpointStore::Branch => {
            let reference = names::checkpoint_ref(&whose.uid);
            let tip = tried("asked for its checkpoints", begun, || origin.fetch(&reference)).await?;
            if let Some(commit) = missing {
                if !origin.has(commit) {
                    return Err(Refused(format!(
                        "the run cannot go on from its checkpoint, for the remote no longer has {commit} on {reference}; make \
                         the run anew, or bring that ref back"
                    ))
                    .into());
                }
                checkpoint::restore(origin, run, commit).map_err(|reason| anyhow!(reason))?;
            }
            Ok(Keep::Branch(Keeper::new(&whose.uid, tip, known)))
        }
        CheckpointStore::S3 => {
            // That there is a bucket is the server's to see.
            let s3 = wanted.s3.clone().unwrap_or_default();
            let bucket = Bucket::new(&s3, "spec.checkpoint.s3", names::CHECKPOINT_SECRET, whose);
            let repositories = place.data().join("repos");
            let mut stored = Stored::new(bucket, place.origin(), repositories, known.clone());
            if !place.ready().exists() {
                // One that was good before is waited for.
                match stored.probe(whose.attempt).await {
                    Err(reason) if known.is_none() => return Err(no_place(reason)),
                    done => done.unwrap_or_else(|reason| say(&reason)),
                }
            }
            match (&known, missing) {
                (_, Some(commit)) => match stored.restore(Some(run), commit).await {
                    Err(Unfit::Away(reason)) => {
                        return Err(anyhow!("the checkpoint of the run cannot be had: {reason}"));
                    }
                    Err(Unfit::Gone(reason)) => {
                        let words = format!("the run cannot go on from its checkpoint: {reason}");
                        return Err(Refused(words).into());
                    }
                    Ok(()) => {}
                },
                // In the same pod; without it, a run branch that the agent has rewritten may be taken for another's.
                (Some(commit), None) => {
                    stored.restore(None, commit).await.unwrap_or_else(|unfit| say(&unfit.to_string()));
                }
                (None, None) => {}
            }
            Ok(Keep::Bucket(Box::new(stored)))
        }
    }
}

impl Keep {
    /// Whether there are checkpoints to take.
    pub(super) fn is_some(&self) -> bool {
        !matches!(self, Self::Nothing)
    }

    /// Whether it can be away while the remote is not.
    pub(super) fn is_apart(&self) -> bool {
        matches!(self, Self::Bucket(_))
    }

    /// Takes a checkpoint if there is anything new; says whether there was. `pushed` is the tip of the run branch on the
    /// remote, `time` what an upload may take.
    pub(super) async fn save(
        &mut self,
        origin: &Origin,
        run: &RunDir,
        must: bool,
        (pushed, time): (Option<&str>, Duration),
    ) -> Result<bool, String> {
        match self {
            Self::Nothing => Ok(false),
            Self::Branch(keeper) => keeper.save(origin, run, must),
            Self::Bucket(stored) => stored.save(run, pushed, time).await,
        }
    }

    /// What the status is to say.
    pub(super) fn status(&self) -> Option<CheckpointStatus> {
        match self {
            Self::Nothing => None,
            Self::Branch(keeper) => keeper.status(),
            Self::Bucket(stored) => stored.status(),
        }
    }

    /// Whether the status has to be written before anything else is done.
    pub(super) fn is_unnamed(&self) -> bool {
        matches!(self, Self::Bucket(stored) if stored.is_unnamed())
    }

    /// The status has been written.
    pub(super) async fn named(&mut self) {
        if let Self::Bucket(stored) = self {
            stored.named().await;
        }
    }

    /// Whether another pod would know this tip of the run branch for one of the run's own.
    pub(super) fn covers(&self, head: &str) -> bool {
        match self {
            Self::Nothing | Self::Branch(_) => true,
            Self::Bucket(stored) => stored.covers(head),
        }
    }

    /// Commits in whose history is what earlier pods have pushed.
    pub(super) fn known(&self) -> Vec<&str> {
        match self {
            Self::Nothing => Vec::new(),
            Self::Branch(keeper) => keeper.tip().into_iter().collect(),
            Self::Bucket(stored) => stored.known().collect(),
        }
    }

    /// Removes the checkpoints of a run that needs none any more. Best effort.
    pub(super) async fn forget(&mut self, origin: &Origin) {
        match self {
            Self::Nothing => {}
            Self::Branch(keeper) => keeper.forget(origin),
            Self::Bucket(stored) => stored.forget().await,
        }
    }
}
