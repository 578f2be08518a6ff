//! A run that is taken up in another clone than the one it began in, as on a cluster after its pod was lost: journal and
//! run branch were brought there, and everything else is made again.

use loop_api::journal::Event;
use loop_api::phase::RunPhase;

use super::{Engine, Error};

impl Engine<'_> {
    /// Gives the engine's own repository what the journal speaks of, unless it has it: where the run has been before,
    /// there is nothing to do.
    pub(super) fn bring_here(&mut self) -> Result<(), Error> {
        let Some(facts) = self.state().worktree.clone() else { return Ok(()) };
        if self.state().phase == RunPhase::Completed {
            // It only has something to tidy up.
            return Ok(());
        }
        let Some((head, snapshot)) = self.state().checkpoint.clone() else { return Ok(()) };
        let is_here = |commit: &str| self.trusted.git().commit(commit).map(|found| found.is_some());
        if is_here(&head)? && is_here(&snapshot)? {
            return Ok(());
        }
        if self.user.commit(&head)?.is_none() {
            return Err(Error::Elsewhere { commit: head, branch: facts.run_branch });
        }
        std::fs::create_dir_all(&self.setting.sandboxes)
            .map_err(|error| Error::Io { path: self.setting.sandboxes.clone(), error })?;
        // Known by their ids, so it does not matter who brought them. What was not committed may have come along or not.
        self.trusted.import(&self.root, &head, "head")?;
        let snapshot = if self.user.commit(&snapshot)?.is_some() { snapshot } else { head.clone() };
        self.trusted.import(&self.root, &snapshot, "snapshot")?;
        self.trusted.keep(&[("start", &self.created.base_commit), ("base", &facts.base_commit)])?;
        let branch = format!("refs/heads/{}", facts.run_branch);
        let refs = format!("update {branch} {head}\nupdate {} {}\n", self.mark(), facts.base_commit);
        self.user.run_with(&["update-ref", "--stdin"], refs.as_bytes())?;
        self.append(Event::CheckpointRestored { head, snapshot })
    }

    /// Whether the target is what a merge into it would give.
    pub(super) fn is_merged(&self, tip: &str, tree: &str) -> bool {
        self.trusted.tree(tip).is_ok_and(|there| there == tree)
    }
}
