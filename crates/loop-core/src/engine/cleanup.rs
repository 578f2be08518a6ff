//! The worktree of a merged run is removed once its diff is saved; nothing here can fail the run (WT-20).

use std::path::Path;

use loop_api::journal::{Event, Outcome};

use super::{Engine, Finished, Halt};
use crate::far;
use crate::worktree::WORKTRUNK;

impl Engine<'_> {
    pub(super) fn clean_up(&mut self) -> Result<Finished, Halt> {
        let looked = self.look_before_removal();
        self.agent = None;
        self.gate = None;
        let (status, message) = if self.created.spec.worktree.cleanup {
            match looked.and_then(|()| self.remove_worktree()) {
                Ok(()) => ("cleaned", String::new()),
                Err(message) => ("failed", message),
            }
        } else {
            ("skipped", "worktree_cleanup is off".to_owned())
        };
        self.append(Event::WorktreeRemoved { status: status.into(), message }).map_err(Halt::Fatal)?;
        Ok(Finished::new(Outcome::Done))
    }

    /// Keeps what somebody changed in the worktree while no engine had the run, if no step has done so yet.
    fn look_before_removal(&mut self) -> Result<(), String> {
        let there =
            self.state().worktree.as_ref().is_some_and(|facts| Path::new(&facts.worktree_path).exists());
        if !(self.restore && there && self.created.spec.worktree.cleanup) {
            return Ok(());
        }
        self.agent_side().map_err(|_| "what it holds could not be looked at, so it stays".to_owned())
    }

    fn remove_worktree(&mut self) -> Result<(), String> {
        let facts = self.state().worktree.clone().ok_or("no worktree")?;
        let (head, snapshot) = self.state().checkpoint.clone().unwrap_or_default();
        let base = &facts.base_commit;
        for (name, old, new) in [("changes.diff", base, &head), ("uncommitted.diff", &head, &snapshot)] {
            if old == new {
                continue;
            }
            let diff = self.trusted.git().run(&["diff", "--binary", "--no-ext-diff", old, new]);
            let diff =
                diff.map_err(|error| format!("the diff could not be saved, so the worktree stays: {error}"))?;
            self.write(name, &diff)
                .map_err(|_| format!("{name} could not be written, so the worktree stays"))?;
        }
        self.publish();
        let path = Path::new(&facts.worktree_path);
        if facts.provider == WORKTRUNK {
            // The files first: `wt remove` would ask git in the worktree, where the agent may have set a trap for it.
            far::remove(path).map_err(|error| error.to_string())?;
            self.forget(&facts, &head).map_err(|error| error.to_string())?;
        }
        // Forced, because what is not committed has just been saved; the branch stays (WT-22).
        let removed = self.user.run(&["worktree", "remove", "-f", "-f", &facts.worktree_path]);
        if path.exists()
            && let Err(error) = removed
        {
            // Git leaves alone what has lost its link to the repository, as a removal that was killed has.
            if path.join(".git").symlink_metadata().is_ok() {
                return Err(error.to_string());
            }
            far::remove(path).map_err(|error| error.to_string())?;
        }
        self.user.run(&["worktree", "prune"]).map_err(|error| error.to_string())?;
        // The mark said whose a half-made worktree was; the run branch keeps the base commit from here on.
        self.user.run(&["update-ref", "-d", &self.mark()]).map(drop).map_err(|error| error.to_string())
    }
}
