//! The only place that spawns processes.
//!
//! Untrusted commands (agents, gates, hooks) run below a far side, [`server`], which the engine
//! starts through [`Client`] as a child and speaks to over two pipes. The far side is the parent of
//! everything it runs, so it can kill a whole subtree, also when the engine is gone. The engine's
//! own git calls go through [`direct`], without it.

mod background;
mod client;
mod command;
pub mod container;
mod dialog;
mod direct;
mod frame;
mod marker;
mod output;
mod proc;
mod sandbox;
pub mod server;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use background::{background, leave_terminal};
pub use client::Client;
pub use dialog::Dialog;
pub use direct::direct;
pub use marker::{ENGINE_MARKER, MARKER, settle, sweep_marked};
pub use output::{Counts, KEEP, OutputFile};
pub use proc::is_suspended;
pub use sandbox::{Bwrap, Containers, HomeOverlay, Isolation, Mount, Sandbox, probe};

/// One command to run on the far side.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Request {
    /// Program and arguments; a program without a slash is looked up in the request's own `PATH`.
    pub argv: Vec<String>,
    /// The directory it runs in (RUN-8).
    pub cwd: PathBuf,
    /// The whole environment; nothing else is inherited.
    pub env: Vec<(String, String)>,
    /// What it can read; an end of file follows (RUN-17).
    #[serde(skip)]
    pub stdin: Vec<u8>,
    /// When it is stopped.
    pub limits: Limits,
    /// Whether everything it left behind is killed and counted when its main process has ended.
    pub sweep: bool,
    /// Whether it also gets the credentials of its container, which the engine never sees.
    pub credentials: bool,
}

/// When a command is stopped.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Limits {
    /// Real time from start to end (RUN-21).
    pub total: Duration,
    /// Longest silence on both output streams.
    pub idle: Option<Duration>,
    /// Time between SIGTERM and SIGKILL.
    pub term_grace: Duration,
}

/// Why a command is no longer running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// It ended by itself, or never started.
    Exited,
    /// The total limit was reached.
    TimedOut,
    /// It was silent for too long.
    Idle,
    /// The engine stopped it.
    Canceled,
}

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The exit code, if it exited.
    pub exit_code: Option<i32>,
    /// The signal that ended it, if one did.
    pub signal: Option<i32>,
    /// Why it is no longer running.
    pub ended: Ended,
    /// Why it could not be started.
    pub spawn_error: Option<String>,
    /// Real time between start and end of the main process.
    pub duration_ms: u64,
    /// Processes it left behind that a sweep killed.
    pub swept: u32,
    /// Bytes printed on standard output.
    pub stdout_bytes: u64,
    /// Bytes printed on standard error.
    pub stderr_bytes: u64,
    /// Set when the container's memory ran out meanwhile, and processes were killed for it.
    pub out_of_memory: Option<OutOfMemory>,
}

/// The memory of a container that was not enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutOfMemory {
    /// Limit in bytes; without one the node had no more.
    pub limit_bytes: Option<u64>,
}

impl std::fmt::Display for OutOfMemory {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.limit_bytes {
            Some(limit) => write!(to, "the container's limit is {} MiB", limit >> 20),
            None => write!(to, "the container has no limit, the node had no more"),
        }
    }
}

impl Outcome {
    fn new(ended: Ended) -> Self {
        Self {
            exit_code: None,
            signal: None,
            ended,
            spawn_error: None,
            duration_ms: 0,
            swept: 0,
            stdout_bytes: 0,
            stderr_bytes: 0,
            out_of_memory: None,
        }
    }

    fn not_started(reason: String) -> Self {
        Self { spawn_error: Some(reason), ..Self::new(Ended::Exited) }
    }

    /// The exit code, -1 when there is none (RUN-23).
    pub fn code(&self) -> i32 {
        self.exit_code.unwrap_or(-1)
    }

    /// Whether it ended by itself with exit code 0 (RUN-40).
    pub fn success(&self) -> bool {
        self.ended == Ended::Exited && self.exit_code == Some(0)
    }
}

/// Ends this process as a crash would; the kill scenario of the tests uses it, and nothing else.
pub(crate) fn kill_self() {
    // There is no way on if this failed, and no one to tell.
    let _ = nix::sys::signal::kill(nix::unistd::Pid::this(), nix::sys::signal::Signal::SIGKILL);
}

/// One of a command's output streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Where a command's output goes while it runs.
pub trait Sink {
    /// Takes bytes as they come; an error cancels the run and is what [`Client::run`] returns.
    fn write(&mut self, stream: Stream, bytes: &[u8]) -> io::Result<()>;

    /// Called about every 100 ms, whether or not bytes come (RUN-22).
    fn tick(&mut self) {}
}

/// A command's outcome with its output, of which each stream is cut after a cap.
#[derive(Debug, Clone)]
pub struct Captured {
    /// What became of it; its byte counts are of everything printed.
    pub outcome: Outcome,
    /// The first bytes of standard output.
    pub stdout: Vec<u8>,
    /// The first bytes of standard error.
    pub stderr: Vec<u8>,
    /// Whether either stream was cut.
    pub truncated: bool,
}

/// What keeps a command from being run at all; a command that ran badly is an [`Outcome`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The far side did not come up.
    #[error("cannot start the executor: {0}")]
    Start(String),
    /// The far side ended while it was needed.
    #[error("the executor ended unexpectedly: {0}")]
    Lost(String),
    /// The far side did not answer long after every limit had passed.
    #[error("the executor does not answer")]
    Unresponsive,
    /// The request cannot be sent as it is.
    #[error("the command cannot be sent to the executor: {0}")]
    Request(String),
    /// What the run printed could not be kept.
    #[error("cannot keep the command's output: {0}")]
    Sink(#[source] io::Error),
    /// A pipe or thread could not be made.
    #[error("cannot run the command: {0}")]
    Io(#[from] io::Error),
}
