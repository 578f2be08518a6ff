//! Branch and worktree: intended in the journal, made atomically, undone when a kill left them half made.

use std::fs;
use std::path::{Path, PathBuf};

use loop_api::checklist::Plan;
use loop_api::journal::{Event, Outcome, WorktreeFacts};
use loop_api::naming;
use loop_api::phase::StepPhase;

use super::{Engine, Finished, Halt};
use crate::control::first;
use crate::far::borrow_submodules;
use crate::worktree::Provided;

/// Branch names tried before giving up (WT-7).
pub(crate) const MOST_BRANCHES: u32 = 1000;

impl Engine<'_> {
    pub(super) fn prepare(&mut self) -> Result<Finished, Halt> {
        let made = self.user.commit(&self.mark())?.is_some();
        match self.state().creating.clone() {
            Some(creating) => self.undo(&creating)?,
            // Nothing is made before the intent is on disk, so the record of it has been there.
            None if made => return Err(self.lost_its_end()),
            None => {}
        }
        fs::create_dir_all(&self.setting.sandboxes)
            .map_err(|error| Halt::io(&self.setting.sandboxes, error))?;
        self.trusted.import(&self.root, &self.created.base_commit, "start")?;
        let provided = self.provider()?;
        let task = WorktreeFacts { provider: provided.name().into(), ..self.base_facts()? };
        self.warm_up(&task.base_commit);
        for attempt in 1..=MOST_BRANCHES {
            let suffix = if attempt == 1 { String::new() } else { format!("-{attempt}") };
            let prefix = &self.created.spec.worktree.run_branch_prefix;
            let run_branch = format!("{prefix}{}{suffix}", self.created.slug);
            if self.user.commit(&format!("refs/heads/{run_branch}"))?.is_some() {
                continue;
            }
            let path = self.place(&provided, &run_branch, &task.base_commit)?;
            let worktree_path = path.to_string_lossy().into_owned();
            let facts = WorktreeFacts { worktree_path, run_branch, ..task.clone() };
            self.append(Event::WorktreeCreating(facts.clone())).map_err(Halt::Fatal)?;
            let created = match self.create(&provided, facts.clone()) {
                Ok(created) => created,
                Err(halt) => {
                    // Nothing half made stays: neither branch nor mark. What cannot be undone now, the next try undoes.
                    let _ = self.undo(&facts);
                    return Err(halt);
                }
            };
            let Some(facts) = created else { continue };
            self.append(Event::WorktreeCreated(facts)).map_err(Halt::Fatal)?;
            return Ok(Finished::new(Outcome::Done));
        }
        Err(Halt::failed("run_error", "no free name for the run branch was found".into()))
    }

    /// The base commit, its plan and its paths; for a prompt, the commit that adds spec and plan.
    fn base_facts(&self) -> Result<WorktreeFacts, Halt> {
        let task = &self.created.spec.task;
        let mut facts = WorktreeFacts {
            provider: String::new(),
            worktree_path: String::new(),
            run_branch: String::new(),
            git_folder: String::new(),
            common_folder: String::new(),
            base_commit: self.created.base_commit.clone(),
            base_tree: String::new(),
            spec_path: task.spec_path.clone().unwrap_or_default(),
            plan_path: task.plan_path.clone().unwrap_or_default(),
            tasks_done: 0,
            tasks_total: 0,
        };
        if let Some(prompt) = &task.prompt {
            let [spec, plan] = prompt_files(prompt, &facts.spec_path);
            let files =
                [(facts.spec_path.as_str(), spec.as_bytes()), (facts.plan_path.as_str(), plan.as_bytes())];
            let tree = self.trusted.tree_with(&self.created.base_commit, &files, &self.setting.sandboxes)?;
            let message = "Add spec and plan from the run's prompt\n";
            let parents = [self.created.base_commit.as_str()];
            let time = self.state().created_ms;
            facts.base_commit = self.trusted.commit_tree(&tree, &parents, message, &self.identity, time)?;
            self.trusted.keep(&[("base", &facts.base_commit)])?;
            self.hand_over(&facts.base_commit)?;
        }
        facts.base_tree = self.trusted.tree(&facts.base_commit)?;
        if !facts.plan_path.is_empty() {
            let text = self.trusted.file(&facts.base_commit, &facts.plan_path)?.unwrap_or_default();
            let progress = Plan::parse(&String::from_utf8_lossy(&text)).progress();
            facts.tasks_done = u32::try_from(progress.done).unwrap_or(u32::MAX);
            facts.tasks_total = u32::try_from(progress.total).unwrap_or(u32::MAX);
        }
        Ok(facts)
    }

    /// Makes branch, owner mark and worktree; `None` when somebody else took the branch name meanwhile.
    fn create(
        &mut self,
        provided: &Provided,
        mut facts: WorktreeFacts,
    ) -> Result<Option<WorktreeFacts>, Halt> {
        let branch = format!("refs/heads/{}", facts.run_branch);
        let transaction = format!(
            // The mark first: a git that is killed between the two leaves no branch without its owner.
            "start\ncreate {mark} {base}\ncreate {branch} {base}\ncommit\n",
            mark = self.mark(),
            base = facts.base_commit
        );
        if let Err(error) = self.user.run_with(&["update-ref", "--stdin"], transaction.as_bytes()) {
            if self.user.commit(&branch)?.is_some() {
                return Ok(None);
            }
            return Err(error.into());
        }
        self.make(provided, &facts)?;
        if let Ok(real) = fs::canonicalize(&facts.worktree_path) {
            // As git registers it: a path through a link would be another one on the far side.
            facts.worktree_path = real.to_string_lossy().into_owned();
        }
        // The last time that the engine opens the worktree itself: no agent has run in it yet.
        let worktree = crate::git::Git::user(Path::new(&facts.worktree_path));
        let on = worktree.text(&["symbolic-ref", "--short", "HEAD"])?;
        if on != facts.run_branch {
            return Err(Halt::failed(
                "run_error",
                format!("the new worktree is on {on} instead of {}", facts.run_branch),
            ));
        }
        facts.git_folder = worktree.text(&["rev-parse", "--absolute-git-dir"])?;
        facts.common_folder = worktree.text(&["rev-parse", "--path-format=absolute", "--git-common-dir"])?;
        self.furnish(provided, &facts)?;
        Ok(Some(facts))
    }

    /// Has the commits of submodules brought, if sides are to have their files.
    pub(super) fn have_submodules(&mut self) -> Result<(), Halt> {
        let Some(place) = self.setting.submodules.as_ref().filter(|_| !self.submodules_are_here) else {
            return Ok(());
        };
        let stop = first(|| self.control.stop());
        match &self.remote {
            Some(remote) => remote.submodules(&self.created.base_commit, &stop),
            None => borrow_submodules(&self.user, (&self.trusted, &self.created.base_commit), place),
        }
        .map_err(|reason| stop().map_or_else(|| Halt::failed("run_error", reason), Halt::Stopped))?;
        self.submodules_are_here = true;
        Ok(())
    }

    /// Ref that says which run made a branch; it also keeps the base commit.
    pub(super) fn mark(&self) -> String {
        format!("refs/agentloop/{}", self.created.run_id)
    }

    /// Undoes a creation that has no end. Without our mark nothing of ours is there.
    fn undo(&self, facts: &WorktreeFacts) -> Result<(), Halt> {
        let branch = format!("refs/heads/{}", facts.run_branch);
        if self.user.commit(&self.mark())?.is_none() {
            return self.unlock(&branch);
        }
        let tip = self.user.commit(&branch)?;
        if tip.as_ref().is_some_and(|tip| *tip != facts.base_commit) {
            return Err(self.lost_its_end());
        }
        // A worktree whose creation was killed is locked, hence -f twice; it may also not be registered at all.
        let remove = ["worktree", "remove", "-f", "-f", &facts.worktree_path];
        let _ = self.user.run(&remove);
        let path = Path::new(&facts.worktree_path);
        // Hooks may have filled it.
        crate::far::remove(path)?;
        // A folder that has no link to its entry yet is not removed, and the lock keeps the entry from being pruned.
        let _ = self.user.run(&remove);
        self.user.run(&["worktree", "prune"])?;
        self.unlock(&branch)?;
        // The mark goes last, and one after the other: git does not undo half a transaction when it is killed.
        if let Some(tip) = tip {
            self.user.run(&["update-ref", "-d", &branch, &tip])?;
        }
        self.user.run(&["update-ref", "-d", &self.mark()])?;
        Ok(())
    }

    /// Removes the locks that a killed git left on this run's own refs.
    fn unlock(&self, branch: &str) -> Result<(), Halt> {
        let common = self.user.text(&["rev-parse", "--path-format=absolute", "--git-common-dir"])?;
        for reference in [branch, &self.mark()] {
            let lock = Path::new(&common).join(format!("{reference}.lock"));
            match fs::remove_file(&lock) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Halt::io(&lock, error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn lost_its_end(&self) -> Halt {
        let message = format!(
            "the journal of this run has lost its end: its branch ({} marks it) was made already and may hold work; \
             keep what you need of it, delete both, and start a new run",
            self.mark()
        );
        Halt::failed("run_error", message)
    }

    pub(super) fn place_agent_program(&self, facts: &WorktreeFacts) -> Result<(), Halt> {
        use std::os::unix::fs::PermissionsExt as _;
        let asked = [self.asked(StepPhase::Implementation)?, self.asked(StepPhase::Review)?];
        if asked.iter().all(|(adapter, _)| adapter.program.is_some()) {
            return Ok(());
        }
        let frozen = self.run.join("agent-script");
        let program = if frozen.exists() {
            fs::read(&frozen).map_err(|error| Halt::io(&frozen, error))?
        } else {
            self.trusted.file(&facts.base_commit, crate::create::AGENT_SCRIPT)?.ok_or_else(|| {
                Halt::failed(
                    "run_error",
                    format!("{} is gone from the base commit", crate::create::AGENT_SCRIPT),
                )
            })?
        };
        let place = self.setting.agent_program();
        crate::store::replace_file(&place, &program).map_err(|error| Halt::io(&place, error))?;
        fs::set_permissions(&place, fs::Permissions::from_mode(0o755))
            .map_err(|error| Halt::io(&place, error))
    }
}

/// Where a worktree goes: the template, relative to the repository (WT-9, WT-10).
pub(crate) fn worktree_path(root: &Path, template: &str, run_branch: &str) -> Result<PathBuf, String> {
    let repository = root.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let path = naming::worktree_path(template, &repository, run_branch).map_err(|error| error.to_string())?;
    let mut absolute = PathBuf::new();
    for part in root.join(path).components() {
        match part {
            std::path::Component::ParentDir => {
                absolute.pop();
            }
            std::path::Component::CurDir => {}
            other => absolute.push(other),
        }
    }
    Ok(absolute)
}

/// Spec and plan made from a prompt.
pub(crate) fn prompt_files(prompt: &str, spec_path: &str) -> [String; 2] {
    let title: String = prompt
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("Task")
        .trim()
        .chars()
        .take(72)
        .collect();
    let quoted: String = prompt.lines().map(|line| format!("> {line}\n")).collect();
    let spec = format!(
        "# {title}\n\n**Status:** In Progress\n\n## 1. Overview\n\nWhat was asked for, word for word:\n\n{quoted}"
    );
    let plan = format!(
        "# Plan: {title}\n\nReference: [{spec_path}]({spec_path})\n\nLegend: `[ ]` open, `[x]` done, `[~]` blocked.\n\n\
         ## Phase 1: Do what is asked\n\n- [ ] Do what section 1 of the spec asks for, with a test where one makes sense\n\n\
         ## Blockers Discovered\n"
    );
    [spec, plan]
}

#[cfg(test)]
mod tests;
