//! A run that is taken up finds its worktree as the last checkpoint left it. What somebody else did there meanwhile is
//! no part of the run, but it is somebody's work: it is kept beside.

use std::fs;
use std::path::{Path, PathBuf};

use loop_api::journal::WorktreeFacts;
use loop_api::phase::StepPhase;

use super::{Engine, Halt};
use crate::tidy;

/// Names for what is kept that are tried.
const MOST_NAMES: u32 = 1000;

impl Engine<'_> {
    /// The agent's side, with the worktree as the last checkpoint left it when this engine has just taken the run up.
    pub(super) fn agent_side(&mut self) -> Result<(), Halt> {
        if self.agent.is_some() && !self.restore {
            return Ok(());
        }
        let facts = self.facts()?;
        let (head, snapshot) = self.state().checkpoint.clone().unwrap_or_default();
        self.have_submodules()?;
        if self.restore {
            self.make_way(&facts)?;
        }
        let path = Path::new(&facts.worktree_path);
        let missing = !path.exists();
        if missing {
            self.make_again(&facts, &head)?;
        }
        let worktree = self.worktree()?;
        if self.agent.is_none() {
            self.place_agent_program(&facts)?;
            let (adapter, _) = self.asked(StepPhase::Implementation)?;
            self.agent = Some(self.setting.agent(&worktree, adapter)?);
        }
        if self.restore {
            if !missing {
                self.keep_changes(&snapshot);
            }
            let side =
                self.agent.as_ref().ok_or_else(|| Halt::failed("run_error", "no agent side".into()))?;
            side.restore(&self.setting, &worktree, (&head, &snapshot))?;
            self.restore = false;
        }
        if let Some(side) = &self.agent {
            side.fill_submodules(&self.setting)?;
        }
        Ok(())
    }

    fn make_again(&self, facts: &WorktreeFacts, head: &str) -> Result<(), Halt> {
        self.user.run(&["worktree", "prune"])?;
        let branch = format!("refs/heads/{}", facts.run_branch);
        if self.user.commit(&branch)?.is_none() {
            self.hand_over(head)?;
            self.user.run(&["update-ref", &branch, head])?;
        }
        let (path, branch) = (&facts.worktree_path, &facts.run_branch);
        self.user.run(&["worktree", "add", "--quiet", "--no-checkout", "-f", path, branch])?;
        if is_ours(facts) {
            return Ok(());
        }
        // Git keeps it under another name, as the old one is taken by a worktree that was moved.
        let _ = self.user.run(&["worktree", "remove", "-f", "-f", path]);
        Err(Halt::failed(
            "run_error",
            format!(
                "the worktree of the run was moved away from {path}; git worktree list says where to; move it back or \
                 remove it, then resume the run"
            ),
        ))
    }

    /// Puts aside what stands in the place of the worktree and is not the worktree.
    ///
    /// The agent can damage its worktree too, which the restore puts right. But the end of an implementation leaves it
    /// whole, so whatever comes after is somebody else's.
    fn make_way(&mut self, facts: &WorktreeFacts) -> Result<(), Halt> {
        let path = Path::new(&facts.worktree_path);
        let Ok(kind) = path.symlink_metadata() else { return Ok(()) };
        let mut steps = self.state().steps.iter().rev().skip(1);
        let last = steps.find(|step| step.phase == StepPhase::Implementation.as_str());
        let by_agent = last.is_some_and(|step| step.state != "succeeded");
        if kind.is_dir() && (by_agent || is_ours(facts)) {
            return Ok(());
        }
        let shown = path.display();
        let moved = free(|number| PathBuf::from(numbered(&format!("{shown}.aside"), number)))
            .ok_or_else(|| std::io::Error::other("there is no free name"))
            .and_then(|aside| fs::rename(path, &aside).map(|()| aside));
        match moved {
            Ok(aside) => {
                self.observer.note(&format!(
                    "warning: what stands at {shown} is not the worktree of the run; it was moved to {}",
                    aside.display()
                ));
                Ok(())
            }
            Err(error) => Err(Halt::failed(
                "run_error",
                format!(
                    "what stands at {shown} is not the worktree of the run, and cannot be moved aside ({error}); move \
                     it yourself, then resume the run"
                ),
            )),
        }
    }

    /// Keeps what the worktree has beyond the last checkpoint: as a diff in the run's record, and as a commit in the
    /// trusted repository. Best effort, since a damaged worktree may not tell.
    fn keep_changes(&mut self, snapshot: &str) {
        let (Some(side), Ok(worktree)) = (&self.agent, self.worktree()) else { return };
        let known = self.known();
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let Ok(found) = side.collect(&self.setting, &worktree, &self.trusted, &known, true) else { return };
        let tree = |commit: &str| self.trusted.tree(commit).ok();
        if tree(&found.snapshot) == tree(snapshot) {
            return;
        }
        let place = |number| self.run.join(numbered("set-aside", number)).with_extension("diff");
        let kept = free(place).and_then(|path| {
            let name = path.file_stem()?.to_str()?.to_owned();
            self.trusted.keep(&[(&name, &found.snapshot)]).ok()?;
            let diff = ["diff", "--binary", "--no-ext-diff", snapshot, &found.snapshot];
            let diff = self.trusted.git().run(&diff).ok()?;
            crate::store::replace_file(&path, &diff).ok()?;
            Some(path)
        });
        let what = "what was changed in the worktree since the last checkpoint is no part of the run";
        let trusted = self.trusted.directory().display();
        self.observer.note(&match kept {
            Some(path) => format!("{what}; it is kept as {}", path.display()),
            None => format!("{what}; it is kept as commit {} in {trusted}", found.snapshot),
        });
    }
}

/// Whether a worktree still leads to its own entry in the repository.
fn is_ours(facts: &WorktreeFacts) -> bool {
    let real = |path: &Path| path.canonicalize().ok();
    let entry = tidy::entry_of(Path::new(&facts.worktree_path)).and_then(|entry| real(&entry));
    entry.is_some() && entry == real(Path::new(&facts.git_folder))
}

fn numbered(name: &str, number: u32) -> String {
    if number == 1 { name.to_owned() } else { format!("{name}-{number}") }
}

/// The first place that nothing stands at.
fn free(place: impl Fn(u32) -> PathBuf) -> Option<PathBuf> {
    (1..=MOST_NAMES).map(place).find(|path| path.symlink_metadata().is_err())
}
