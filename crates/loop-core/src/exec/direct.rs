//! Trusted commands, straight below the engine.

use std::io::{self, Read, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::Path;
use std::process::{Child, ChildStdin};
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::client::Keep;
use super::frame::CHUNK;
use super::{Captured, Ended, Error, Outcome, Sink as _, Stream, command};

/// How long a wait for output may last before it is checked who still holds the pipes.
const LOOK: Duration = Duration::from_millis(50);

/// Runs a trusted command with exactly this environment and keeps the first `cap` bytes of each
/// stream.
///
/// For git on the engine's own repository, never for what an agent wrote: there is no
/// far side in between, and so nothing that would kill a child which leaves its process group.
pub fn direct(
    argv: &[String],
    cwd: &Path,
    env: &[(String, String)],
    stdin: &[u8],
    timeout: Duration,
    cap: usize,
) -> Result<Captured, Error> {
    let start = Instant::now();
    let keep = Keep::new(cap);
    let spawned = command::build(argv, cwd, env)
        .and_then(|mut command| command.spawn().map_err(|error| format!("{}: {error}", argv[0])));
    let mut child = match spawned {
        Ok(child) => child,
        Err(reason) => return Ok(keep.captured(Outcome::not_started(reason))),
    };
    let mut job = Job {
        group: Pid::from_raw(child.id() as i32),
        end: start.checked_add(timeout),
        keep,
        outcome: Outcome::new(Ended::Exited),
    };
    let talked = job.talk(&mut child, stdin);
    if talked.is_err() {
        job.kill(Ended::Exited);
    }
    let status = job.reap(&mut child)?;
    talked?;
    command::note_status(&mut job.outcome, status);
    job.outcome.duration_ms = start.elapsed().as_millis() as u64;
    Ok(job.keep.captured(job.outcome))
}

struct Job {
    group: Pid,
    end: Option<Instant>,
    keep: Keep,
    outcome: Outcome,
}

impl Job {
    /// Feeds and reads the child until both its outputs have ended, or it has.
    fn talk(&mut self, child: &mut Child, stdin: &[u8]) -> io::Result<()> {
        let (mut stdout, mut stderr) = (child.stdout.take(), child.stderr.take());
        let (mut typed, mut rest) = (child.stdin.take(), stdin);
        if let Some(pipe) = &typed {
            command::nonblocking(pipe)?;
        }
        feed(&mut typed, &mut rest);
        let mut buffer = Vec::new();
        while stdout.is_some() || stderr.is_some() {
            if self.late() {
                self.kill(Ended::TimedOut);
                return Ok(());
            }
            let ends: [(Option<BorrowedFd>, PollFlags); 3] = [
                (typed.as_ref().map(|pipe| pipe.as_fd()), PollFlags::POLLOUT),
                (stdout.as_ref().map(|pipe| pipe.as_fd()), PollFlags::POLLIN),
                (stderr.as_ref().map(|pipe| pipe.as_fd()), PollFlags::POLLIN),
            ];
            let mut polled: Vec<PollFd> =
                ends.iter().filter_map(|(pipe, flags)| Some(PollFd::new((*pipe)?, *flags))).collect();
            let wait = self.left().map_or(LOOK, |left| left.min(LOOK));
            let wait = PollTimeout::from(wait.as_millis() as u16 + 1);
            let count = poll(&mut polled, wait).unwrap_or(0);
            let mut answers = polled.iter().map(|end| count > 0 && end.any().unwrap_or(true));
            let [feeding, out, err] = ends.map(|(pipe, _)| pipe.is_some() && answers.next().unwrap_or(false));
            if feeding {
                feed(&mut typed, &mut rest);
            }
            if out {
                self.read(&mut stdout, Stream::Stdout, &mut buffer)?;
            }
            if err {
                self.read(&mut stderr, Stream::Stderr, &mut buffer)?;
            }
            // Somebody it left behind holds its pipes and says nothing: not worth waiting for.
            if count == 0 && child.try_wait()?.is_some() {
                break;
            }
        }
        Ok(())
    }

    fn read(&mut self, pipe: &mut Option<impl Read>, stream: Stream, buffer: &mut Vec<u8>) -> io::Result<()> {
        buffer.resize(CHUNK, 0);
        let Some(open) = pipe else { return Ok(()) };
        match open.read(buffer) {
            Ok(0) => *pipe = None,
            Ok(count) => {
                match stream {
                    Stream::Stdout => self.outcome.stdout_bytes += count as u64,
                    Stream::Stderr => self.outcome.stderr_bytes += count as u64,
                }
                self.keep.write(stream, &buffer[..count])?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Waits for the end of a child that is, but for a few microseconds, ending already.
    fn reap(&mut self, child: &mut Child) -> io::Result<std::process::ExitStatus> {
        let mut pause = Duration::from_micros(20);
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            if self.late() {
                self.kill(Ended::TimedOut);
                return child.wait();
            }
            thread::sleep(pause);
            // One that closed its outputs and lives on is asked ever more seldom.
            pause = (pause * 2).min(LOOK);
        }
    }

    /// Kills the process group; its leader has not been reaped, so the number is still its own.
    fn kill(&mut self, why: Ended) {
        self.outcome.ended = why;
        let _ = killpg(self.group, Signal::SIGKILL);
    }

    fn left(&self) -> Option<Duration> {
        self.end.map(|end| end.saturating_duration_since(Instant::now()))
    }

    fn late(&self) -> bool {
        self.left().is_some_and(|left| left.is_zero())
    }
}

/// Writes what the pipe takes; closes it at the end, or when nobody reads it.
fn feed(pipe: &mut Option<ChildStdin>, rest: &mut &[u8]) {
    while let Some(open) = pipe {
        if rest.is_empty() {
            *pipe = None;
            return;
        }
        match open.write(rest) {
            Ok(count) => *rest = &rest[count..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => *pipe = None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, stdin: &[u8], timeout: Duration, cap: usize) -> Captured {
        let argv = ["sh", "-c", script].map(String::from);
        let env = [("PATH".to_owned(), std::env::var("PATH").unwrap())];
        direct(&argv, Path::new("/"), &env, stdin, timeout, cap).unwrap()
    }

    const LONG: Duration = Duration::from_mins(1);

    #[test]
    fn code_and_both_streams_come_back() {
        let ran = sh("cat; echo err >&2; exit 3", b"in", LONG, 100);
        assert_eq!((ran.outcome.code(), ran.stdout.as_slice()), (3, b"in".as_slice()));
        assert_eq!((ran.stderr.as_slice(), ran.truncated), (b"err\n".as_slice(), false));
        assert_eq!(sh("kill -9 $$", b"", LONG, 0).outcome.signal, Some(9));
        assert!(sh("", b"", LONG, 0).outcome.success());
    }

    #[test]
    fn the_environment_is_the_given_one() {
        let path = std::env::var("PATH").unwrap();
        let ran = sh("env | grep -v -e ^PWD= -e ^_= -e ^SHLVL=", b"", LONG, 10_000);
        assert_eq!(String::from_utf8(ran.stdout).unwrap(), format!("PATH={path}\n"));
    }

    #[test]
    fn output_is_cut_and_counted() {
        let ran = sh("head -c 300000 /dev/zero", b"", LONG, 1000);
        assert_eq!((ran.stdout.len(), ran.outcome.stdout_bytes), (1000, 300_000));
        assert!(ran.truncated);
    }

    #[test]
    fn large_input_is_read_or_ignored() {
        let big = vec![b'x'; 5_000_000];
        assert_eq!(sh("wc -c", &big, LONG, 100).stdout.trim_ascii(), b"5000000");
        assert!(sh("true", &big, LONG, 100).outcome.success());
    }

    #[test]
    fn time_is_limited_with_and_without_open_pipes() {
        for script in ["sleep 60", "exec >&- 2>&-; sleep 60", "trap '' TERM; sleep 60"] {
            let ran = sh(script, b"", Duration::from_millis(200), 100);
            assert_eq!((ran.outcome.ended, ran.outcome.signal), (Ended::TimedOut, Some(9)));
            assert!(ran.outcome.duration_ms < 10_000);
        }
    }

    #[test]
    fn a_daemon_that_holds_the_pipes_is_not_waited_for() {
        let ran = sh("sleep 20 & echo $!", b"", LONG, 100);
        assert!(ran.outcome.success() && ran.outcome.duration_ms < 10_000);
        let pid = String::from_utf8(ran.stdout).unwrap();
        let _ = std::process::Command::new("kill").arg(pid.trim()).status();
    }

    #[test]
    fn what_cannot_start_says_why() {
        let env = [("PATH".to_owned(), "/usr/bin:/bin".to_owned())];
        let try_run = |argv: &[&str], cwd: &str| {
            let argv: Vec<String> = argv.iter().map(|part| (*part).to_owned()).collect();
            let ran = direct(&argv, Path::new(cwd), &env, b"", LONG, 0).unwrap();
            assert!(!ran.outcome.success() && ran.outcome.code() == -1);
            ran.outcome.spawn_error.unwrap()
        };
        assert_eq!(try_run(&["no-such-program"], "/"), "no-such-program: command not found");
        assert_eq!(try_run(&["true"], "/nowhere"), "/nowhere: not a directory");
        assert!(try_run(&["/nowhere/x"], "/").contains("No such file"));
        assert_eq!(try_run(&[], "/"), "the command is empty");
    }
}
