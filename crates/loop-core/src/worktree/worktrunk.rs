//! Worktrunk through its own command, `wt`: it is asked for the path, makes the worktree and takes it away (WT-4, WT-13).
//!
//! What it runs itself is git with hooks and file system monitor switched off, as for every git of the engine, and no
//! hook of Worktrunk's. It never opens a worktree in which an agent has run: see [`Worktrunk::forget`].

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use loop_api::run::Worktree;
use serde::Deserialize;

use crate::exec::{self, Captured, Ended};
use crate::git;

/// Longest wait for its version.
const VERSION_TIME: Duration = Duration::from_secs(10);
/// Longest wait for the path of a worktree that is not made yet.
const ASK_TIME: Duration = Duration::from_secs(30);
/// Longest that making, filling or removing a worktree may take.
const WORK_TIME: Duration = Duration::from_secs(600);
/// Most that is read of its output.
const CAPTURE: usize = 1 << 20;
/// Most characters of its own words in a sentence of ours.
const QUOTED: usize = 1000;

/// Stands in for git while it is asked for a path.
const GIT_FOR_ASKING: &str = include_str!("git-for-asking.sh");

/// A `wt` that can be run, for one repository.
#[derive(Debug, Clone)]
pub(crate) struct Worktrunk {
    program: PathBuf,
    config: Option<String>,
    root: PathBuf,
    search_path: String,
    environment: Vec<(String, String)>,
}

/// What `wt switch --format json` answers.
#[derive(Deserialize)]
struct Switched {
    action: String,
    #[serde(default)]
    branch: String,
    path: PathBuf,
}

impl Worktrunk {
    /// Finds the command and tries it; the error is the reason why it cannot be used, without a remedy.
    pub(crate) fn find(settings: &Worktree, root: &Path, search_path: &str) -> Result<Self, String> {
        let name = &settings.worktrunk_bin;
        let program = if name.contains('/') {
            root.join(name)
        } else {
            let runs = |path: &PathBuf| {
                fs::metadata(path)
                    .is_ok_and(|facts| facts.is_file() && facts.permissions().mode() & 0o111 != 0)
            };
            let mut places = std::env::split_paths(search_path).map(|folder| folder.join(name));
            places.find(runs).ok_or_else(|| format!("`{name}` is not in PATH"))?
        };
        let real = program
            .canonicalize()
            .map_err(|error| format!("{} cannot be run: {error}", program.display()))?;
        if real.starts_with(root) {
            // What agents wrote gets there by merges; it must not become a program of the trusted side.
            return Err(format!("{} lies inside the repository and is not run", program.display()));
        }
        let mut environment = git::surroundings_of_others();
        environment.retain(|(name, _)| name != "PATH" && !name.starts_with("WORKTRUNK_DIRECTIVE_"));
        environment.extend([("PATH".into(), search_path.to_owned()), ("NO_COLOR".into(), "1".into())]);
        let found = Self {
            program,
            config: settings.worktrunk_config.clone(),
            root: root.to_owned(),
            search_path: search_path.to_owned(),
            environment,
        };
        found.run(&["--version"], &[], VERSION_TIME)?;
        Ok(found)
    }

    /// The same with one more variable.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Its program.
    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    /// The user's configuration that it is given; none = the one it finds itself.
    pub(crate) fn config(&self) -> Option<&str> {
        self.config.as_deref()
    }

    /// What comes before each of its commands.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let mut argv = vec![self.program.to_string_lossy().into_owned()];
        argv.extend(self.config.iter().flat_map(|path| ["--config".to_owned(), path.clone()]));
        argv
    }

    /// Where it would put the worktree of a branch that does not exist yet, by its own configuration (WT-14, WT-31).
    ///
    /// It has no command for that, so it is told to make branch and worktree while a stand-in for git notes what it
    /// would have done. `scratch` is a folder of ours for that; it is made anew and gone afterwards.
    pub(crate) fn place(&self, branch: &str, base: &str, scratch: &Path) -> Result<PathBuf, String> {
        let answer = scratch.join("answer");
        let asked = self.ask(branch, base, scratch, &answer);
        let answered = fs::read(&answer).ok();
        // Scratch only; a folder that stays does no harm.
        let _ = fs::remove_dir_all(scratch);
        let said = asked.map_err(|error| format!("cannot ask in {}: {error}", scratch.display()))?;
        let words = String::from_utf8_lossy(answered.as_deref().unwrap_or_default()).into_owned();
        let path = words.split('\0').skip_while(|word| *word != "--").nth(1).filter(|path| !path.is_empty());
        path.map(PathBuf::from).ok_or_else(|| match said {
            Err(reason) => reason,
            Ok(_) => format!("`{}` made no worktree", self.program.display()),
        })
    }

    fn ask(
        &self,
        branch: &str,
        base: &str,
        scratch: &Path,
        answer: &Path,
    ) -> std::io::Result<Result<Vec<u8>, String>> {
        let stand_in = scratch.join("git");
        if scratch.exists() {
            // An engine was killed while it asked.
            fs::remove_dir_all(scratch)?;
        }
        fs::create_dir(scratch)?;
        fs::write(&stand_in, GIT_FOR_ASKING)?;
        fs::set_permissions(&stand_in, fs::Permissions::from_mode(0o700))?;
        let more = [
            ("PATH", format!("{}:{}", scratch.display(), self.search_path)),
            ("LOOP_ASKED_PATH", self.search_path.clone()),
            ("LOOP_ASKED_ANSWER", answer.to_string_lossy().into_owned()),
        ];
        let arguments =
            ["switch", "--create", branch, "--base", base, "--no-cd", "--no-hooks", "--format", "json"];
        Ok(self.run(&arguments, &more, ASK_TIME))
    }

    /// Makes the worktree of a branch that exists, and says where (WT-13).
    pub(crate) fn make(&self, branch: &str) -> Result<PathBuf, String> {
        let answer =
            self.run(&["switch", branch, "--no-cd", "--no-hooks", "--format", "json"], &[], WORK_TIME)?;
        match serde_json::from_slice::<Switched>(&answer) {
            Ok(made) if made.action == "created" && made.branch == branch => Ok(made.path),
            Ok(other) => Err(format!(
                "it made no worktree for {branch}: {} {} at {}",
                other.action,
                other.branch,
                other.path.display()
            )),
            Err(error) => Err(format!("its answer cannot be read: {error}")),
        }
    }

    /// Copies ignored files of the primary checkout into the worktree of a branch (WT-15, BUG-25).
    pub(crate) fn copy_ignored(&self, branch: &str) -> Result<(), String> {
        self.run(&["step", "copy-ignored", "--to", branch], &[], WORK_TIME).map(drop)
    }

    /// Takes away what is left of a worktree whose folder is gone; waits for it and keeps the branch (WT-20, WT-28).
    ///
    /// The folder has to be gone because `wt remove` asks git for the state of the worktree in the worktree, and what
    /// git does there is the agent's to choose.
    pub(crate) fn forget(&self, branch: &str) -> Result<(), String> {
        self.run(&["remove", branch, "--foreground", "--no-delete-branch", "--no-hooks"], &[], WORK_TIME)
            .map(drop)
    }

    /// Runs it in the repository; the error is a clause that begins with what failed.
    fn run(&self, arguments: &[&str], more: &[(&str, String)], time: Duration) -> Result<Vec<u8>, String> {
        let mut argv = self.arguments();
        argv.extend(arguments.iter().map(|&argument| argument.to_owned()));
        let mut environment = self.environment.clone();
        environment.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        let called = format!("`{} {}`", self.program.display(), arguments[0]);
        let ran = exec::direct(&argv, &self.root, &environment, b"", time, CAPTURE)
            .map_err(|error| format!("{called} cannot be run: {error}"))?;
        let Captured { outcome, stdout, stderr, .. } = ran;
        if outcome.success() {
            return Ok(stdout);
        }
        Err(match (outcome.spawn_error, outcome.ended) {
            (Some(error), _) => format!("{called} cannot be run: {error}"),
            (None, Ended::TimedOut) => format!("{called} did not end within {} s", time.as_secs()),
            (None, _) => format!("{called} failed: {}", words(&stderr)),
        })
    }
}

/// Its words on one line, without their colours.
pub(crate) fn words(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.is_empty() {
        return "it said nothing".into();
    }
    lines.join("; ").chars().filter(|letter| !letter.is_control()).take(QUOTED).collect()
}

#[cfg(test)]
mod tests;
