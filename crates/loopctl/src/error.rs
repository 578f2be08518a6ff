//! What can go wrong, and the one table of exit codes.

use std::process::ExitCode;

use loop_core::{create, engine, store};

/// It worked.
pub(crate) const OK: u8 = 0;
/// The run failed.
pub(crate) const FAILED: u8 = 1;
/// The command was wrong, or the run was refused before it started.
pub(crate) const USAGE: u8 = 2;
/// The run was canceled.
pub(crate) const CANCELED: u8 = 3;
/// There is no such run.
pub(crate) const NOT_FOUND: u8 = 4;
/// The run was paused; it can be resumed.
pub(crate) const PAUSED: u8 = 6;
/// The run's deadline passed.
pub(crate) const TIMED_OUT: u8 = 124;
/// Added to a signal's number when that signal ended the command; the run can be resumed.
pub(crate) const SIGNAL: u8 = 128;

/// A failed command: one sentence and its exit code.
#[derive(Debug)]
pub(crate) struct Error {
    code: u8,
    message: String,
    broken_pipe: bool,
}

/// Result of a command: the exit code.
pub(crate) type Result<T = u8> = std::result::Result<T, Error>;

impl Error {
    /// The command cannot be carried out as given.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { code: USAGE, message: message.into(), broken_pipe: false }
    }

    /// The named run does not exist.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self { code: NOT_FOUND, message: message.into(), broken_pipe: false }
    }

    /// Something failed on the way.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self { code: FAILED, message: message.into(), broken_pipe: false }
    }

    /// Standard output cannot be written; a reader that went away is no error.
    pub(crate) fn output(error: &std::io::Error) -> Self {
        let broken_pipe = error.kind() == std::io::ErrorKind::BrokenPipe;
        Self { code: FAILED, message: format!("standard output cannot be written: {error}"), broken_pipe }
    }

    /// Adds what to do, when the sentence alone does not say it.
    pub(crate) fn remedy(mut self, remedy: &str) -> Self {
        self.message = format!("{}; {remedy}", self.message);
        self
    }

    /// Prints the sentence and gives the exit code. A reader that went away is no error.
    pub(crate) fn report(&self) -> ExitCode {
        if self.broken_pipe {
            return ExitCode::from(OK);
        }
        crate::printer::complain(&format!("error: {}", self.message));
        ExitCode::from(self.code)
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl From<create::Error> for Error {
    fn from(error: create::Error) -> Self {
        let code = match &error {
            create::Error::Refused(_) | create::Error::Config(_) | create::Error::Data { .. } => USAGE,
            create::Error::Git(_) | create::Error::Journal(_) => FAILED,
        };
        Self { code, message: error.to_string(), broken_pipe: false }
    }
}

impl From<engine::Error> for Error {
    fn from(error: engine::Error) -> Self {
        let code = if matches!(error, engine::Error::Locked(_)) { USAGE } else { FAILED };
        Self { code, message: error.to_string(), broken_pipe: false }
    }
}

impl From<store::JournalError> for Error {
    fn from(error: store::JournalError) -> Self {
        Self::failed(error.to_string())
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        let broken_pipe = error.kind() == std::io::ErrorKind::BrokenPipe;
        Self { code: FAILED, message: error.to_string(), broken_pipe }
    }
}
