//! The part of making a worktree that depends on who makes it: git, or Worktrunk (WT-3).

use std::fs;
use std::path::{Path, PathBuf};

use loop_api::journal::{Event, WorktreeFacts};
use loop_api::run::WorktreeHooks;

use super::prepare::worktree_path;
use super::{Engine, Halt};
use crate::exec;
use crate::far::{Hooked, Worktree};
use crate::git;
use crate::worktree::{self, PROJECT_CONFIG, Provided, Worktrunk};

impl Engine<'_> {
    /// Settles who makes the worktree, and records it with the reason when it is not who was preferred (WT-2).
    pub(super) fn provider(&mut self) -> Result<Provided, Halt> {
        let mut provided = self.provided().map_err(|message| Halt::failed("run_error", message))?;
        let selected = Event::WorktreeProviderSelected {
            provider: provided.name().into(),
            reason: provided.reason.clone(),
        };
        self.append(selected).map_err(Halt::Fatal)?;
        provided.reason.clear();
        Ok(provided)
    }

    fn provided(&self) -> Result<Provided, String> {
        let settings = &self.created.spec.worktree;
        let mut provided = worktree::provide(settings, &self.root, &self.created.search_path)?;
        provided.worktrunk =
            provided.worktrunk.map(|found| found.with(exec::ENGINE_MARKER, &self.created.run_id));
        Ok(provided)
    }

    /// Where the worktree of a free branch would go.
    pub(super) fn place(&self, provided: &Provided, branch: &str, base: &str) -> Result<PathBuf, Halt> {
        let failed = |message| Halt::failed("run_error", message);
        let (path, remedy) = if let Some(worktrunk) = &provided.worktrunk {
            let path = worktrunk.place(branch, base, &self.run.join("ask")).map_err(|reason| {
                failed(format!("Worktrunk does not say where the worktree would go: {reason}"))
            })?;
            (path, "set worktree-path in Worktrunk's configuration")
        } else {
            let template = &self.created.spec.worktree.path_template;
            (worktree_path(&self.root, template, branch).map_err(failed)?, "set worktree_path_template")
        };
        let shown = path.display();
        if path.exists() {
            return Err(failed(format!("{shown} is in the way of the worktree; remove it or {remedy}")));
        }
        if path.starts_with(&self.root) {
            return Err(failed(format!("the worktree {shown} would lie inside the repository; {remedy}")));
        }
        Ok(path)
    }

    /// Has the worktree of a branch made at the place that was recorded, with the folders that the run asks for.
    pub(super) fn make(&self, provided: &Provided, facts: &WorktreeFacts) -> Result<(), Halt> {
        self.add(provided, facts)?;
        if self.setting.folders.is_empty() {
            return Ok(());
        }
        let worktree = git::Git::user(Path::new(&facts.worktree_path));
        let folders = self.setting.folders.join("\n");
        worktree.run_with(&["sparse-checkout", "set", "--cone", "--stdin"], folders.as_bytes())?;
        Ok(())
    }

    fn add(&self, provided: &Provided, facts: &WorktreeFacts) -> Result<(), Halt> {
        let failed = |who: &str, said: String| {
            let message = format!(
                "the worktree {} could not be made, {who} says: {said}; put that right, then resume the run",
                facts.worktree_path
            );
            Halt::failed("run_error", message)
        };
        let Some(worktrunk) = &provided.worktrunk else {
            if let Some(parent) = Path::new(&facts.worktree_path).parent() {
                fs::create_dir_all(parent).map_err(|error| {
                    Halt::failed("run_error", format!("cannot make {}: {error}", parent.display()))
                })?;
            }
            let add = ["worktree", "add", "--quiet", &facts.worktree_path, &facts.run_branch];
            return self.user.run(&add).map(drop).map_err(|error| {
                let said = match error {
                    git::Error::Failed { stderr, .. } => stderr.replace('\n', "; "),
                    error => error.to_string(),
                };
                failed("git", said)
            });
        };
        let made = worktrunk.make(&facts.run_branch).map_err(|said| failed("Worktrunk", said))?;
        if made == Path::new(&facts.worktree_path) {
            return Ok(());
        }
        // Its configuration was changed since it was asked. What undo would not find goes now; nobody has used it.
        let path = made.to_string_lossy();
        let _ = self.user.run(&["worktree", "remove", "-f", "-f", &path]);
        Err(failed("Worktrunk", format!("it was made at {path} instead")))
    }

    /// What comes after a new worktree by Worktrunk: ignored files, and the hooks that the user has approved.
    pub(super) fn furnish(&mut self, provided: &Provided, facts: &WorktreeFacts) -> Result<(), Halt> {
        let Some(worktrunk) = &provided.worktrunk else { return Ok(()) };
        if self.created.spec.worktree.copy_ignored
            && let Err(reason) = worktrunk.copy_ignored(&facts.run_branch)
        {
            self.observer
                .note(&format!("warning: ignored files were not copied into the worktree: {reason}"));
        }
        if self.created.spec.worktree.hooks == WorktreeHooks::Approved {
            self.run_hooks(worktrunk, facts)?;
        }
        Ok(())
    }

    /// Runs the project hooks of the base commit on the agent's side, before any agent; what they may do there is what
    /// the agent may do.
    fn run_hooks(&mut self, worktrunk: &Worktrunk, facts: &WorktreeFacts) -> Result<(), Halt> {
        let Some(hooks) = self.trusted.file(&facts.base_commit, PROJECT_CONFIG)? else { return Ok(()) };
        let worktree = Worktree {
            path: facts.worktree_path.clone().into(),
            git_folder: facts.git_folder.clone().into(),
            common: facts.common_folder.clone().into(),
            branch: facts.run_branch.clone(),
        };
        let control = self.control.clone();
        let side = self.setting.hooks(&worktree, worktrunk, &hooks)?;
        let hooked = side.run_hooks(worktrunk, &|| control.stop().is_some());
        // The side ends first, and with it whatever a hook left running.
        drop(side);
        match hooked? {
            Hooked::Ran => {}
            Hooked::NotApproved => self.observer.note(&format!(
                "warning: no hook of {PROJECT_CONFIG} ran for the new worktree, as not all of its pre-start hooks are \
                 approved; look at them and approve them with `wt config approvals add`"
            )),
            Hooked::Failed(said) => {
                return Err(Halt::failed(
                    "run_error",
                    format!(
                        "a pre-start hook of {PROJECT_CONFIG} failed for the new worktree: {said}; put it right, or set \
                         worktree_hooks=skip"
                    ),
                ));
            }
            Hooked::Stopped => {
                return Err(control
                    .stop()
                    .map_or_else(|| Halt::failed("run_error", "stopped".into()), Halt::Stopped));
            }
        }
        Ok(())
    }

    /// Has Worktrunk take away its record of a worktree whose folder is gone, and makes sure that the branch stays
    /// (WT-22).
    pub(super) fn forget(&mut self, facts: &WorktreeFacts, head: &str) -> Result<(), git::Error> {
        let forgotten = match self.provided() {
            Ok(Provided { worktrunk: Some(worktrunk), .. }) => worktrunk.forget(&facts.run_branch),
            Ok(Provided { reason, .. }) | Err(reason) => Err(reason),
        };
        if let Err(reason) = forgotten {
            self.observer.note(&format!("the worktree is removed by git instead of Worktrunk: {reason}"));
        }
        let branch = format!("refs/heads/{}", facts.run_branch);
        if self.user.commit(&branch)?.is_none() {
            self.hand_over(head)?;
            self.user.run(&["update-ref", &branch, head])?;
        }
        Ok(())
    }
}
