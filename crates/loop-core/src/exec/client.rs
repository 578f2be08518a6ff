//! The engine's end of the far side.

mod far;

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ChildStdin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::frame::{self, Kind, MAX_PAYLOAD};
use super::{Captured, Error, Outcome, Request, Sandbox, Sink, Stream};
use far::{Far, Message};

/// How often a caller is asked whether to stop.
const TICK: Duration = Duration::from_millis(100);

/// What the far side may take beyond a request's own limits: sweep, drain, a slow machine.
const MARGIN: Duration = Duration::from_secs(30);

/// A running far side; dropping it kills everything that still runs there.
#[derive(Debug)]
pub struct Client {
    control: Mutex<Option<ChildStdin>>,
    far: Far,
    next: AtomicU32,
}

impl Client {
    /// Starts `exe` with the argument `__exec`, inside the sandbox.
    pub fn start(exe: &Path, sandbox: &Sandbox) -> Result<Self, Error> {
        let (far, control) = Far::start(exe, sandbox)?;
        super::command::enlarge(&control);
        Ok(Self { control: Mutex::new(Some(control)), far, next: AtomicU32::new(1) })
    }

    /// Whether the far side is the first process of a PID namespace of its own.
    pub fn pid1(&self) -> bool {
        self.far.pid1
    }

    /// Whether nothing more can come from the far side.
    pub fn is_lost(&self) -> bool {
        self.far.is_lost()
    }

    /// Whether that is because the executor was killed in a container that goes on.
    pub fn was_killed(&self) -> bool {
        self.far.was_killed()
    }

    /// The environment of the container that it is in; empty elsewhere.
    pub fn environment(&self) -> &BTreeMap<String, String> {
        &self.far.environment
    }

    /// Names of the variables that a container has for agents alone.
    pub fn credentials(&self) -> &[String] {
        &self.far.credentials
    }

    /// Runs one request; other threads may run others meanwhile.
    ///
    /// `stop` is asked at least every 100 ms, as far as the sink lets it. Runs share one pipe: a sink
    /// that blocks holds up the other runs' output once its own few buffers are full.
    pub fn run(
        &self,
        request: &Request,
        sink: &mut dyn Sink,
        stop: &dyn Fn() -> bool,
    ) -> Result<Outcome, Error> {
        let start = serde_json::to_vec(request).map_err(|error| Error::Request(error.to_string()))?;
        if start.len() + 4 > MAX_PAYLOAD {
            return Err(Error::Request("arguments and environment exceed 1 MiB".into()));
        }
        let (id, messages) = self.open();
        let ended = self
            .begin(id, &start, &request.stdin)
            .and_then(|()| self.follow(id, request, &messages, sink, stop));
        self.far.close(id);
        ended
    }

    /// Runs one request and keeps the first `cap_bytes` of each stream.
    pub fn capture(
        &self,
        request: &Request,
        stop: &dyn Fn() -> bool,
        cap_bytes: usize,
    ) -> Result<Captured, Error> {
        let mut keep = Keep::new(cap_bytes);
        let outcome = self.run(request, &mut keep, stop)?;
        Ok(keep.captured(outcome))
    }

    /// Kills everything on the far side that belongs to no run in progress; says how many.
    pub fn sweep(&self) -> Result<u32, Error> {
        let (id, messages) = self.open();
        let mut frames = Vec::new();
        frame::push(&mut frames, Kind::Sweep, id, b"");
        let swept = self.send(&frames).and_then(|()| match messages.recv_timeout(MARGIN) {
            Ok(Message::Done(outcome)) => Ok(outcome.swept),
            Ok(Message::Out(..)) | Err(RecvTimeoutError::Timeout) => Err(Error::Unresponsive),
            Err(RecvTimeoutError::Disconnected) => Err(self.far.lost()),
        });
        self.far.close(id);
        swept
    }

    fn open(&self) -> (u32, Receiver<Message>) {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        (id, self.far.open(id))
    }

    /// Sends a run's first frames in as few writes as their limit allows.
    fn begin(&self, id: u32, start: &[u8], stdin: &[u8]) -> Result<(), Error> {
        let mut frames = Vec::new();
        frame::push(&mut frames, Kind::Start, id, start);
        for chunk in stdin.chunks(frame::CHUNK) {
            frame::push(&mut frames, Kind::Stdin, id, chunk);
            self.send(&frames)?;
            frames.clear();
        }
        frame::push(&mut frames, Kind::StdinEnd, id, b"");
        self.send(&frames)
    }

    fn follow(
        &self,
        id: u32,
        request: &Request,
        messages: &Receiver<Message>,
        sink: &mut dyn Sink,
        stop: &dyn Fn() -> bool,
    ) -> Result<Outcome, Error> {
        let limits = request.limits;
        let longest = limits.total.saturating_add(limits.term_grace).saturating_add(MARGIN);
        let mut give_up = Instant::now().checked_add(longest);
        let (mut failed, mut canceled, mut ticked) = (None, false, Instant::now());
        loop {
            let mut cancel = false;
            match messages.recv_timeout(TICK.saturating_sub(ticked.elapsed())) {
                Ok(Message::Out(stream, bytes)) => {
                    // After a failed write the rest is only drained, until the run has ended.
                    if failed.is_none()
                        && let Err(error) = sink.write(stream, bytes.as_slice())
                    {
                        failed = Some(error);
                        cancel = true;
                    }
                    self.far.recycle(bytes);
                }
                Ok(Message::Done(outcome)) => {
                    return failed.map_or(Ok(outcome), |error| Err(Error::Sink(error)));
                }
                Err(RecvTimeoutError::Timeout) if give_up.is_some_and(|at| at < Instant::now()) => {
                    self.far.kill();
                    return Err(Error::Unresponsive);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(self.far.lost()),
            }
            if ticked.elapsed() >= TICK {
                ticked = Instant::now();
                sink.tick();
                cancel |= stop();
            }
            if cancel && !canceled {
                canceled = true;
                let mut frames = Vec::new();
                frame::push(&mut frames, Kind::Cancel, id, b"");
                self.send(&frames)?;
                let soon = Instant::now().checked_add(limits.term_grace.saturating_add(MARGIN));
                give_up = give_up.min(soon).or(soon);
            }
        }
    }

    fn send(&self, frames: &[u8]) -> Result<(), Error> {
        let mut control = self.control.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = control.as_mut().map(|pipe| pipe.write_all(frames));
        match sent {
            Some(Ok(())) => Ok(()),
            Some(Err(_)) | None => Err(self.far.lost()),
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // The end of its input is what tells the far side to kill everything and leave.
        *self.control.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.far.finish();
    }
}

/// Keeps the first bytes of each stream.
pub(super) struct Keep {
    cap: usize,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    truncated: bool,
}

impl Keep {
    pub(super) fn new(cap: usize) -> Self {
        Self { cap, stdout: Vec::new(), stderr: Vec::new(), truncated: false }
    }

    pub(super) fn captured(self, outcome: Outcome) -> Captured {
        let Self { stdout, stderr, truncated, .. } = self;
        Captured { outcome, stdout, stderr, truncated }
    }
}

impl Sink for Keep {
    fn write(&mut self, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        let kept = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        let fits = bytes.len().min(self.cap - kept.len());
        kept.extend_from_slice(&bytes[..fits]);
        self.truncated |= fits < bytes.len();
        Ok(())
    }
}
