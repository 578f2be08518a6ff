//! The verified tree moves the target branch, without touching any checkout and only by compare-and-swap.

use std::path::Path;

use loop_api::journal::{Granted, Merged, Outcome, Verified};
use loop_api::run::MergeStrategy;

use super::{Engine, Finished, Halt};
use crate::control::first;
use crate::delivery::{Push, Pushed};
use crate::git::MergeTree;

/// Times that a moving target is followed.
const MOST_TRIES: u32 = 5;

impl Engine<'_> {
    pub(super) fn merge(&mut self) -> Result<Finished, Halt> {
        let granted = self
            .state()
            .granted
            .clone()
            .ok_or_else(|| Halt::failed("run_error", "nothing was granted".into()))?;
        for _ in 0..MOST_TRIES {
            if let Some(merged) = self.try_merge(&granted)? {
                return Ok(Finished::new(Outcome::Merged(merged)));
            }
        }
        Err(Halt::failed(
            "merge_failed",
            format!("{} kept moving; resume the run to try again", self.created.target_branch),
        ))
    }

    /// `None` when the target moved between reading and writing it.
    fn try_merge(&mut self, granted: &Granted) -> Result<Option<Merged>, Halt> {
        let target = self.created.target_branch.clone();
        let reference = format!("refs/heads/{target}");
        let tip = self.user.commit(&reference)?;
        if let Some(tip) = &tip {
            self.trusted.import(&self.root, tip, "target")?;
            if let Some(commit) = self.already_there(tip)? {
                return Ok(Some(Merged { commit, target, verified: None }));
            }
            if self.trusted.descends(&granted.commit, tip)? {
                // Somebody merged the run branch by hand, as a conflict asks for; what came of it is judged like ours.
                let verified = self.verify_merge(tip, &self.trusted.tree(tip)?, granted)?;
                return Ok(Some(Merged { commit: tip.clone(), target, verified }));
            }
        }
        let parent = tip.clone().unwrap_or_else(|| self.created.base_commit.clone());
        let tree = self.merged_tree(&parent, granted)?;
        if let Some(tip) = tip.as_ref().filter(|_| self.is_merged(&parent, &tree)) {
            // An earlier engine of this run merged it, and was lost before it could say so.
            let verified = self.verify_merge(tip, &tree, granted)?;
            return Ok(Some(Merged { commit: tip.clone(), target, verified }));
        }
        let commit = self.merge_commit(&parent, &tree, granted)?;
        self.trusted.keep(&[("merge", &commit)])?;
        let verified = self.verify_merge(&commit, &tree, granted)?;
        // Behind a remote the clone is nobody's checkout.
        if self.remote.is_none()
            && let Some(place) = checked_out(&self.user, &target)?
        {
            let message = format!(
                "{target} is checked out in {place}; switch that checkout to another branch, then resume"
            );
            return Err(Halt::failed("merge_failed", message));
        }
        self.hand_over(&commit)?;
        self.hand_over(&granted.commit)?;
        if let Some(remote) = &self.remote {
            // First there: what stands in the user's repository is believed to be delivered.
            let push = Push { reference: reference.clone(), commit: commit.clone(), expected: tip.clone() };
            // A wait is no work that a pause would let come to its end.
            let stop = first(|| self.control.stop_at_boundary());
            let pushed = remote.push(&push, &stop).map_err(|reason| match stop() {
                // Whether it was pushed is seen by whoever goes on.
                Some(stop) => Halt::Stopped(stop),
                None => Halt::failed("merge_failed", format!("{target} could not be pushed: {reason}")),
            })?;
            if pushed == Pushed::Moved {
                return Ok(None);
            }
        }
        let old = tip.unwrap_or_else(|| "0".repeat(commit.len()));
        let message = format!("loop: run {}", self.created.run_id);
        if let Err(error) = self.user.run(&["update-ref", "-m", &message, &reference, &commit, &old]) {
            let now = self.user.commit(&reference)?;
            let moved = now.is_some_and(|now| now != old);
            return if moved { Ok(None) } else { Err(error.into()) };
        }
        Ok(Some(Merged { commit, target, verified }))
    }

    /// Runs the gates again when the merge gave another tree than the one that was granted.
    fn verify_merge(
        &mut self,
        commit: &str,
        tree: &str,
        granted: &Granted,
    ) -> Result<Option<Verified>, Halt> {
        if tree == granted.tree || self.created.spec.gates.is_empty() {
            return Ok(None);
        }
        let gates = self.gates_on(commit, true, "merge")?;
        if gates.verified.passed() {
            return Ok(Some(gates.verified));
        }
        Err(Halt::Failed {
            reason: "merge_failed:GatesFailed".into(),
            message: format!(
                "the gates pass on the run branch but fail on its merge with {}, which has moved; {}",
                self.created.target_branch,
                self.by_hand()?
            ),
        })
    }

    /// What a person can do about a merge that the engine cannot make.
    fn by_hand(&self) -> Result<String, Halt> {
        let branch = self.facts()?.run_branch;
        let target = &self.created.target_branch;
        Ok(format!(
            "merge {branch} into {target} by hand (git merge {branch}), then resume the run to have that verified"
        ))
    }

    /// The merge that this run made before it was killed, if the target has it. Known by its id, which the trusted
    /// repository keeps: what a commit says of itself is the agent's to write.
    fn already_there(&self, tip: &str) -> Result<Option<String>, Halt> {
        let Some(ours) = self.trusted.git().commit(&self.trusted.reference("merge"))? else {
            return Ok(None);
        };
        Ok(self.trusted.descends(&ours, tip)?.then_some(ours))
    }

    fn merged_tree(&self, parent: &str, granted: &Granted) -> Result<String, Halt> {
        if self.trusted.descends(parent, &granted.commit)? {
            return Ok(granted.tree.clone());
        }
        match self.trusted.merge_tree(parent, &granted.commit)? {
            MergeTree::Clean(tree) => Ok(tree),
            MergeTree::Conflict(files) => Err(Halt::Failed {
                reason: "merge_failed:MergeConflict".into(),
                message: format!(
                    "merging into {} conflicts in {}; the run branch is kept: {}",
                    self.created.target_branch,
                    files.join(", "),
                    self.by_hand()?
                ),
            }),
        }
    }

    fn merge_commit(&self, parent: &str, tree: &str, granted: &Granted) -> Result<String, Halt> {
        let facts = self.facts()?;
        let strategy = self.created.spec.delivery.strategy;
        let verb = if strategy == MergeStrategy::Squash { "Squash" } else { "Merge" };
        let message = format!(
            "{verb} {branch}: {slug}\n\nVerified at {commit}, evidence level {level}.\n\nLoop-Run: {uid}\n",
            branch = facts.run_branch,
            slug = self.created.slug,
            commit = granted.commit,
            level = granted.level,
            uid = self.created.run_id,
        );
        let parents: Vec<&str> = match strategy {
            MergeStrategy::Squash => vec![parent],
            MergeStrategy::Merge => vec![parent, &granted.commit],
        };
        Ok(self.trusted.commit_tree(tree, &parents, &message, &self.identity, self.state().granted_ms)?)
    }
}

/// The worktree in which a branch is checked out, if it is.
pub(crate) fn checked_out(user: &crate::git::Git, branch: &str) -> Result<Option<String>, crate::git::Error> {
    let listing = user.text(&["worktree", "list", "--porcelain"])?;
    let wanted = format!("branch refs/heads/{branch}");
    let mut place = None;
    for line in listing.lines() {
        if let Some(path) = line.strip_prefix("worktree ") {
            place = Some(path.to_owned());
        } else if line == wanted {
            return Ok(place.filter(|path| Path::new(path).exists()));
        }
    }
    Ok(None)
}
