//! Git through its own binary: the engine's bare repository, and the user's repository with hooks switched off.

mod objects;
mod trusted;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use trusted::{Identity, MergeTree, Trusted};

use crate::exec::{self, Captured};

/// Longest that a git command on a repository of ours may take.
const TIMEOUT: Duration = Duration::from_secs(600);
/// Most that is read of a command's output.
const CAPTURE: usize = 64 << 20;

/// What git is told in the user's repository, whatever their configuration says: no hook, no file system monitor, no
/// housekeeping in the background, and what is written is on the disk.
const OURS: [&str; 5] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "core.fsync=all",
];

/// A git command that did not work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not be run.
    #[error("cannot run git: {0}")]
    Exec(#[from] exec::Error),
    /// It said no.
    #[error("git {command} failed: {stderr}")]
    Failed {
        /// Its arguments without ours.
        command: String,
        /// What it printed, first lines.
        stderr: String,
    },
    /// There is no git, or it may not be run.
    #[error("git cannot be run: {0}; install git 2.38 or newer, or put it on PATH")]
    Missing(String),
    /// It answered something else than expected.
    #[error("git answered something unexpected to {0}")]
    Unexpected(String),
}

/// One repository as seen by the engine.
#[derive(Debug, Clone)]
pub struct Git {
    directory: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

impl Git {
    /// The user's repository: their configuration, but no hook and no file system monitor.
    pub fn user(root: &Path) -> Self {
        let mut arguments = settings(&OURS);
        arguments.extend(settings(&["core.quotePath=false", "advice.detachedHead=false"]));
        let environment = surroundings();
        Self { directory: root.to_owned(), arguments, environment }
    }

    /// A bare repository of ours: no configuration but its own and what is given here.
    pub fn bare(directory: &Path) -> Self {
        let mut arguments = vec!["--git-dir".to_owned(), directory.to_string_lossy().into_owned()];
        arguments.extend(settings(&[
            "core.hooksPath=/dev/null",
            "core.fsmonitor=false",
            "gc.auto=0",
            "maintenance.auto=false",
        ]));
        arguments.extend(settings(&["core.fsync=all", "core.quotePath=false", "fetch.fsckObjects=true"]));
        // Larger files pass through in pieces, also those that a small pack unfolds to.
        arguments.extend(settings(&["core.bigFileThreshold=16m"]));
        let mut environment: Vec<(String, String)> = ["PATH", "HOME", "TMPDIR"]
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?)))
            .collect();
        environment.extend(
            [
                ("GIT_CONFIG_NOSYSTEM", "1"),
                ("GIT_CONFIG_GLOBAL", "/dev/null"),
                ("GIT_NO_REPLACE_OBJECTS", "1"),
                ("LC_ALL", "C"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        // The current folder plays no part: the repository is named by `--git-dir`.
        Self { directory: PathBuf::from("/"), arguments, environment }
    }

    /// The same repository with one more variable.
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut other = self.clone();
        other.environment.push((name.to_owned(), value.to_owned()));
        other
    }

    fn argv(&self, before: &[&str], arguments: &[&str]) -> Vec<String> {
        let mut argv: Vec<String> = before.iter().map(|&word| word.to_owned()).collect();
        argv.push("git".to_owned());
        argv.extend(self.arguments.iter().cloned());
        argv.extend(arguments.iter().map(|&argument| argument.to_owned()));
        argv
    }

    fn execute(&self, arguments: &[&str], input: &[u8]) -> Result<Captured, Error> {
        let argv = self.argv(&[], arguments);
        Ok(exec::direct(&argv, &self.directory, &self.environment, input, TIMEOUT, CAPTURE)?)
    }

    /// Starts a command that stays and is asked again and again.
    pub(crate) fn dialog(&self, arguments: &[&str]) -> Result<exec::Dialog, Error> {
        Ok(exec::Dialog::start(&self.argv(&[], arguments), &self.directory, &self.environment)?)
    }

    /// Runs a command with input and gives its output, or its complaint as an error.
    pub fn run_with(&self, arguments: &[&str], input: &[u8]) -> Result<Vec<u8>, Error> {
        output(arguments, self.execute(arguments, input)?)
    }

    /// Runs a command with a file as its input, which may be larger than memory should hold.
    pub fn run_from(&self, file: &Path, arguments: &[&str]) -> Result<Vec<u8>, Error> {
        let file = file.to_string_lossy();
        let argv = self.argv(&["sh", "-c", r#"exec "$@" < "$0""#, &file], arguments);
        output(arguments, exec::direct(&argv, &self.directory, &self.environment, b"", TIMEOUT, CAPTURE)?)
    }
    /// Runs a command and gives its output.
    pub fn run(&self, arguments: &[&str]) -> Result<Vec<u8>, Error> {
        self.run_with(arguments, b"")
    }

    /// Runs a command and gives the first bytes of its output, and whether there was more.
    pub fn run_capped(&self, arguments: &[&str], most: usize) -> Result<(Vec<u8>, bool), Error> {
        let argv = self.argv(&[], arguments);
        let captured = exec::direct(&argv, &self.directory, &self.environment, b"", TIMEOUT, most)?;
        let more = captured.truncated;
        Ok((output(arguments, Captured { truncated: false, ..captured })?, more))
    }

    /// Runs a command and gives its output as trimmed text.
    pub fn text(&self, arguments: &[&str]) -> Result<String, Error> {
        Ok(String::from_utf8_lossy(&self.run(arguments)?).trim().to_owned())
    }

    /// Runs a command whose exit code is the answer: 0 yes, 1 no, anything else an error.
    pub fn ask(&self, arguments: &[&str]) -> Result<bool, Error> {
        let captured = self.execute(arguments, b"")?;
        match captured.outcome.exit_code {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            _ => Err(Error::Failed {
                command: arguments.join(" "),
                stderr: String::from_utf8_lossy(&captured.stderr).trim().to_owned(),
            }),
        }
    }

    /// The commit that a name stands for, if it stands for one.
    pub fn commit(&self, name: &str) -> Result<Option<String>, Error> {
        let captured = self.execute(
            &["rev-parse", "--quiet", "--verify", "--end-of-options", &format!("{name}^{{commit}}")],
            b"",
        )?;
        if !captured.outcome.success() {
            return Ok(None);
        }
        Ok(Some(String::from_utf8_lossy(&captured.stdout).trim().to_owned()))
    }
}

fn output(arguments: &[&str], captured: Captured) -> Result<Vec<u8>, Error> {
    if captured.outcome.success() && !captured.truncated {
        return Ok(captured.stdout);
    }
    if let Some(error) = captured.outcome.spawn_error {
        return Err(Error::Missing(error));
    }
    let command = arguments.iter().copied().take(4).collect::<Vec<_>>().join(" ");
    let mut stderr = String::from_utf8_lossy(&captured.stderr).trim().to_owned();
    if stderr.is_empty() {
        stderr = String::from_utf8_lossy(&captured.stdout).trim().chars().take(2000).collect();
    }
    Err(Error::Failed { command, stderr: stderr.chars().take(2000).collect() })
}

fn settings(pairs: &[&str]) -> Vec<String> {
    pairs.iter().flat_map(|pair| ["-c".to_owned(), (*pair).to_owned()]).collect()
}

/// This process's environment for a git command on the user's repository.
fn surroundings() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| !is_repository_variable(name))
        .chain([("LC_ALL".to_owned(), "C".to_owned()), ("GIT_TERMINAL_PROMPT".into(), "0".into())])
        .collect()
}

/// The same for a program that runs git itself: what git is told stands in variables.
pub(crate) fn surroundings_of_others() -> Vec<(String, String)> {
    let mut environment = surroundings();
    environment.push(("GIT_CONFIG_COUNT".into(), OURS.len().to_string()));
    for (index, setting) in OURS.iter().enumerate() {
        let (key, value) = setting.split_once('=').unwrap_or((setting, ""));
        environment.push((format!("GIT_CONFIG_KEY_{index}"), key.to_owned()));
        environment.push((format!("GIT_CONFIG_VALUE_{index}"), value.to_owned()));
    }
    environment
}

/// Variables by which a caller's environment would point git at another repository, or run a program.
pub(crate) fn is_repository_variable(name: &str) -> bool {
    name.starts_with("GIT_")
        && !matches!(
            name,
            "GIT_CONFIG_GLOBAL" | "GIT_CONFIG_NOSYSTEM" | "GIT_CONFIG_SYSTEM" | "GIT_EXEC_PATH"
        )
        || name == "LC_ALL"
}
