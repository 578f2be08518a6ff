//! Worktrunk's project hooks, run where the agent will work and confined as it will be (WT-24, WT-29).

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use super::{Error, HELPER_OUTPUT, Setting, Side, Worktree, private_git, remove};
use crate::exec::{Bwrap, Containers, Ended, Isolation, Limits};
use crate::worktree::{Worktrunk, words};

/// Longest that all hooks of a new worktree may take.
const HOOKS_TIME: Duration = Duration::from_secs(1800);

/// Worktrunk's command as a pod's init container puts it beside the executor.
const CONTAINED: &str = "/agentloop/bin/wt";

/// What became of the hooks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Hooked {
    /// All ran and worked, or there is none.
    Ran,
    /// None ran, as the user has not approved every one of them.
    NotApproved,
    /// One failed; the end of what was said.
    Failed(String),
    /// The caller wanted them to stop.
    Stopped,
}

impl Setting {
    /// The side on which they run; `hooks` is Worktrunk's project configuration in the base commit.
    pub(crate) fn hooks(
        &self,
        worktree: &Worktree,
        worktrunk: &Worktrunk,
        hooks: &[u8],
    ) -> Result<Side, Error> {
        if let Some(at) = self.containers() {
            return self.contained_hooks(at, worktree, hooks);
        }
        remove(&self.sandboxes.join("hooks"))?;
        let home = self.home(self.folder(&["hooks", "home"])?)?;
        // Instead of the file in the worktree, so that it is the base commit's without doubt.
        let file = self.folder(&["hooks"])?.join("wt.toml");
        std::fs::write(&file, hooks).map_err(|error| Error::Io { path: file.clone(), error })?;
        let mut environment = crate::environment::for_agent(&self.caller);
        environment.insert("PATH".into(), self.search_path.clone());
        environment.insert("WORKTRUNK_PROJECT_CONFIG_PATH".into(), file.to_string_lossy().into_owned());
        let mut mounts = Vec::new();
        if matches!(self.isolation, Isolation::Bubblewrap { .. }) {
            mounts = private_git::make(worktree, &self.folder(&["hooks"])?.join("git"))?;
        }
        let mut readable = vec![file, worktrunk.program().to_owned()];
        if let Some(config) = worktrunk.config().map(Path::new) {
            // Worktrunk keeps the user's approvals beside it.
            readable.extend([config.to_owned(), config.with_file_name("approvals.toml")]);
        }
        let writable = vec![worktree.path.clone()];
        let wanted = Bwrap { home, hidden: self.hidden(), readable, writable, mounts, ..Bwrap::default() };
        self.start("hooks", &worktree.path, environment, wanted)
    }

    /// In a pod they run in the agent's container, never beside the engine. Whoever wrote the `LoopRun` stands for them:
    /// there is nobody there who could have approved them before.
    fn contained_hooks(&self, at: &Containers, worktree: &Worktree, hooks: &[u8]) -> Result<Side, Error> {
        private_git::refill(worktree, &at.git_folder)?;
        // The agent's container cannot write there.
        let file = at.program.join("wt.toml");
        std::fs::write(&file, hooks).map_err(|error| Error::Io { path: file.clone(), error })?;
        let home = at.far.join("hooks/home");
        let more = BTreeMap::from([
            ("HOME".to_owned(), home.to_string_lossy().into_owned()),
            ("WORKTRUNK_PROJECT_CONFIG_PATH".to_owned(), file.to_string_lossy().into_owned()),
        ]);
        self.contain(&at.agent, worktree.path.clone(), (&[], &[&home]), more)
    }
}

/// A hook as `wt hook show --format json` lists it.
#[derive(Deserialize)]
struct Shown {
    source: String,
    needs_approval: bool,
}

impl Side {
    /// Has Worktrunk run the project's hooks for a new worktree, if the user has approved all of them.
    ///
    /// Of the hooks of a creation those that block: `pre-start`. The others are for somebody who switches there, or
    /// stay in the background, where a run has no place for them.
    pub(crate) fn run_hooks(&self, worktrunk: &Worktrunk, stop: &dyn Fn() -> bool) -> Result<Hooked, Error> {
        let listed = self.wt(worktrunk, &["hook", "show", "pre-start", "--format", "json"], stop)?;
        let hooks: Vec<Shown> = match listed {
            Ok(listed) => match serde_json::from_slice(&listed) {
                Ok(hooks) => hooks,
                Err(error) => return Ok(Hooked::Failed(format!("their list cannot be read: {error}"))),
            },
            Err(other) => return Ok(other),
        };
        let mut project = hooks.iter().filter(|hook| hook.source == "project").peekable();
        if project.peek().is_none() {
            return Ok(Hooked::Ran);
        }
        if !self.contained && project.any(|hook| hook.needs_approval) {
            return Ok(Hooked::NotApproved);
        }
        let mut run = vec!["hook", "pre-start", "project:"];
        run.extend(self.contained.then_some("--yes"));
        Ok(self.wt(worktrunk, &run, stop)?.err().unwrap_or(Hooked::Ran))
    }

    /// What `wt` prints here, or what became of it instead.
    fn wt(
        &self,
        worktrunk: &Worktrunk,
        arguments: &[&str],
        stop: &dyn Fn() -> bool,
    ) -> Result<Result<Vec<u8>, Hooked>, Error> {
        let mut argv = if self.contained { vec![CONTAINED.to_owned()] } else { worktrunk.arguments() };
        argv.extend(arguments.iter().map(|&argument| argument.to_owned()));
        let limits = Limits { total: HOOKS_TIME, idle: None, term_grace: Duration::from_secs(2) };
        let more = [("NO_COLOR", "1".to_owned()), ("GIT_TERMINAL_PROMPT", "0".to_owned())];
        let ran = self.client.capture(&self.request(argv, &more, Vec::new(), limits), stop, HELPER_OUTPUT)?;
        Ok(match (ran.outcome.success(), ran.outcome.ended) {
            (true, _) => Ok(ran.stdout),
            (false, Ended::Canceled) => Err(Hooked::Stopped),
            (false, Ended::TimedOut) => {
                Err(Hooked::Failed(format!("they did not end within {} s", HOOKS_TIME.as_secs())))
            }
            (false, _) => Err(Hooked::Failed(ran.outcome.spawn_error.unwrap_or_else(|| words(&ran.stderr)))),
        })
    }
}
