//! The run branch in the user's repository follows what the engine has taken in.

use std::time::{Duration, Instant};

use super::Engine;
use crate::git::Error;

/// Shortest time between two updates while a run is under way; a fast loop is not slowed by them.
const PAUSE: Duration = Duration::from_secs(2);

impl Engine<'_> {
    /// Moves the run branch, unless that was done a moment ago.
    pub(super) fn publish_now_and_then(&mut self) {
        if self.published.is_none_or(|last| last.elapsed() >= PAUSE) {
            self.publish();
        }
    }

    /// Moves the run branch to the last checkpoint. It is for people to look at: what is believed is in the trusted
    /// repository, so a failure is said and no more.
    pub(super) fn publish(&mut self) {
        self.published = Some(Instant::now());
        match self.try_publish() {
            Ok(None) => {}
            Ok(Some(note)) => self.observer.note(&note),
            Err(error) => self.observer.note(&format!("the run branch could not be updated: {error}")),
        }
    }

    /// Copies a commit from the trusted repository into the user's; no ref moves.
    pub(super) fn hand_over(&self, commit: &str) -> Result<(), Error> {
        let source = self.trusted.directory().to_string_lossy().into_owned();
        self.user.run(&["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", &source, commit]).map(drop)
    }

    fn try_publish(&self) -> Result<Option<String>, Error> {
        let (Some(facts), Some((head, _))) = (&self.state().worktree, &self.state().checkpoint) else {
            return Ok(None);
        };
        let reference = format!("refs/heads/{}", facts.run_branch);
        let now = self.user.commit(&reference)?;
        if now.as_deref() == Some(head) {
            return Ok(None);
        }
        // Also where the branch stays: on a cluster the sidecar takes it to the remote from here.
        self.hand_over(head)?;
        // Whatever the engine ever published is in the trusted repository; anything else is somebody's own commit.
        if let Some(foreign) = &now
            && self.trusted.git().commit(foreign)?.is_none()
        {
            let branch = &facts.run_branch;
            return Ok(Some(format!(
                "{branch} was moved by somebody else and is left as it is, at {foreign}"
            )));
        }
        let old = now.unwrap_or_else(|| "0".repeat(head.len()));
        let message = format!("loop: run {}", self.created.run_id);
        self.user.run(&["update-ref", "-m", &message, &reference, head, &old])?;
        // The worktree's index is the user's view of it; it is written without a look at the files.
        let folder = format!("--git-dir={}", facts.git_folder);
        if std::path::Path::new(&facts.git_folder).is_dir() {
            self.user.run(&[&folder, "read-tree", head])?;
        }
        Ok(None)
    }
}
