//! A trusted helper that stays: asked often, it answers without the cost of a new process each time.

use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::{Error, command};

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(120);
/// Longest answer that is read.
const MOST: usize = 1 << 30;
/// Bytes read at a time.
const CHUNK: usize = 64 << 10;

/// A helper process with a pipe in each direction; it ends when this is dropped.
#[derive(Debug)]
pub struct Dialog {
    child: Child,
    input: Option<ChildStdin>,
    output: ChildStdout,
    pending: Vec<u8>,
    read: usize,
}

impl Dialog {
    /// Starts the helper with exactly this environment; what it prints on standard error is dropped.
    pub fn start(argv: &[String], cwd: &Path, env: &[(String, String)]) -> Result<Self, Error> {
        let mut command = command::build(argv, cwd, env).map_err(Error::Start)?;
        let mut child =
            command.stderr(Stdio::null()).spawn().map_err(|error| Error::Start(error.to_string()))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Error::Start("the helper has no pipes".into()));
        };
        Ok(Self { child, input: Some(input), output, pending: Vec::new(), read: 0 })
    }

    /// Asks a question; it has to fit a pipe's buffer, as nothing is read meanwhile.
    pub fn ask(&mut self, question: &[u8]) -> Result<(), Error> {
        let input = self.input.as_mut().ok_or_else(|| Error::Lost("the helper's pipe is closed".into()))?;
        input.write_all(question)?;
        Ok(input.flush()?)
    }

    /// The next line of the answer, without its end.
    pub fn line(&mut self) -> Result<String, Error> {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(length) = self.pending[self.read..].iter().position(|byte| *byte == b'\n') {
                let line = String::from_utf8_lossy(&self.pending[self.read..self.read + length]).into_owned();
                self.read += length + 1;
                return Ok(line);
            }
            self.fill(end)?;
        }
    }

    /// The next bytes of the answer.
    pub fn bytes(&mut self, count: usize) -> Result<Vec<u8>, Error> {
        if count > MOST {
            return Err(Error::Request(format!("an answer of {count} bytes is too long")));
        }
        let end = Instant::now() + PATIENCE;
        while self.pending.len() - self.read < count {
            self.fill(end)?;
        }
        let bytes = self.pending[self.read..self.read + count].to_vec();
        self.read += count;
        Ok(bytes)
    }

    fn fill(&mut self, end: Instant) -> Result<(), Error> {
        let left = end.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
        let mut ready = [PollFd::new(self.output.as_fd(), PollFlags::POLLIN)];
        if poll(&mut ready, timeout).map_err(std::io::Error::from)? == 0 {
            return Err(Error::Unresponsive);
        }
        self.pending.drain(..self.read);
        self.read = 0;
        let before = self.pending.len();
        self.pending.resize(before + CHUNK, 0);
        let count = self.output.read(&mut self.pending[before..])?;
        self.pending.truncate(before + count);
        if count == 0 {
            return Err(Error::Lost("the helper ended".into()));
        }
        Ok(())
    }
}

impl Drop for Dialog {
    fn drop(&mut self) {
        self.input = None;
        // It may be in the middle of an answer that nobody reads; both calls only fail when it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argv(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    fn path() -> Vec<(String, String)> {
        vec![("PATH".into(), std::env::var("PATH").unwrap())]
    }

    #[test]
    fn lines_and_bytes_come_back_in_order() {
        let mut cat = Dialog::start(&argv(&["cat"]), Path::new("/"), &path()).unwrap();
        cat.ask(b"one\ntwo and more\n").unwrap();
        assert_eq!(cat.line().unwrap(), "one");
        assert_eq!(cat.bytes(3).unwrap(), b"two");
        assert_eq!(cat.line().unwrap(), " and more");
    }

    #[test]
    fn a_helper_that_ends_is_an_error_and_not_a_wait() {
        let mut gone = Dialog::start(&argv(&["true"]), Path::new("/"), &path()).unwrap();
        assert!(matches!(gone.line(), Err(Error::Lost(_))));
    }
}
