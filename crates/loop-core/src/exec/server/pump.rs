//! Moves one run's bytes: from its output pipes to the engine, and from the engine to its input.

use std::collections::VecDeque;
use std::io::{self, PipeReader, PipeWriter, Read, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::Shared;
use super::run::Event;
use crate::exec::command;
use crate::exec::frame::{self, CHUNK, Kind, OUT_HEADER};

/// Bytes for a run to read, or the end of them.
pub(super) type Input = Option<Vec<u8>>;

/// What the supervisor sees of a pump, and how it ends one.
pub(super) struct Progress {
    start: Instant,
    heard_ms: AtomicU64,
    forwarding: AtomicBool,
    pub(super) stdout_bytes: AtomicU64,
    pub(super) stderr_bytes: AtomicU64,
    pub(super) stop: AtomicBool,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            heard_ms: AtomicU64::new(0),
            forwarding: AtomicBool::new(false),
            stdout_bytes: AtomicU64::new(0),
            stderr_bytes: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        }
    }

    pub(super) fn elapsed_ms(&self) -> u64 {
        self.start.elapsed().as_millis() as u64
    }

    /// How long the run has printed nothing; a slow engine is not the run's silence.
    pub(super) fn silence(&self) -> Duration {
        if self.forwarding.load(Ordering::Acquire) {
            return Duration::ZERO;
        }
        let heard = Duration::from_millis(self.heard_ms.load(Ordering::Acquire));
        self.start.elapsed().saturating_sub(heard)
    }

    fn heard(&self, forwarding: bool) {
        self.heard_ms.store(self.elapsed_ms(), Ordering::Release);
        self.forwarding.store(forwarding, Ordering::Release);
    }
}

/// Interrupts a pump's wait.
#[derive(Clone)]
pub(super) struct Waker(Arc<PipeWriter>);

impl Waker {
    pub(super) fn wake(&self) {
        // A full pipe wakes as well.
        let _ = self.0.as_ref().write(&[0]);
    }
}

/// Makes a waker and what it wakes.
pub(super) fn waker() -> io::Result<(Waker, PipeReader)> {
    let (reader, writer) = io::pipe()?;
    command::nonblocking(&reader)?;
    command::nonblocking(&writer)?;
    Ok((Waker(Arc::new(writer)), reader))
}

/// The pipes of one run.
pub(super) struct Pump {
    stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    input: Receiver<Input>,
    wakes: PipeReader,
    queue: VecDeque<Vec<u8>>,
    written: usize,
    input_ended: bool,
    buffer: Vec<u8>,
}

impl Pump {
    pub(super) fn new(child: &mut Child, input: Receiver<Input>, wakes: PipeReader) -> io::Result<Self> {
        let pump = Self {
            stdin: child.stdin.take(),
            stdout: child.stdout.take(),
            stderr: child.stderr.take(),
            input,
            wakes,
            queue: VecDeque::new(),
            written: 0,
            input_ended: false,
            buffer: vec![0; OUT_HEADER + CHUNK],
        };
        let pipes = [
            pump.stdin.as_ref().map(ChildStdin::as_fd),
            pump.stdout.as_ref().map(ChildStdout::as_fd),
            pump.stderr.as_ref().map(ChildStderr::as_fd),
        ];
        for pipe in pipes.into_iter().flatten() {
            command::nonblocking(pipe)?;
            command::enlarge(pipe);
        }
        Ok(pump)
    }

    /// Moves bytes until it is told to stop, or the engine is gone.
    pub(super) fn run(mut self, id: u32, shared: &Shared, progress: &Progress, events: &Sender<Event>) {
        let mut told = false;
        while !progress.stop.load(Ordering::Acquire) {
            if !told && self.stdout.is_none() && self.stderr.is_none() {
                told = true;
                let _ = events.send(Event::Drained);
            }
            let Ready { wake, stdin, stdout, stderr } = self.wait();
            if wake {
                self.take_input();
            }
            if stdin {
                self.feed();
            }
            let mut forward = Forward { id, shared, progress, buffer: &mut self.buffer };
            let sent = (!stdout || forward.from(&mut self.stdout, 1))
                && (!stderr || forward.from(&mut self.stderr, 2));
            if !sent {
                return;
            }
        }
    }

    /// Waits until something can be moved.
    fn wait(&self) -> Ready {
        let feeding = self.stdin.as_ref().filter(|_| !self.queue.is_empty());
        let ends: [(Option<BorrowedFd>, PollFlags); 4] = [
            (Some(self.wakes.as_fd()), PollFlags::POLLIN),
            (feeding.map(|pipe| pipe.as_fd()), PollFlags::POLLOUT),
            (self.stdout.as_ref().map(|pipe| pipe.as_fd()), PollFlags::POLLIN),
            (self.stderr.as_ref().map(|pipe| pipe.as_fd()), PollFlags::POLLIN),
        ];
        let mut polled: Vec<PollFd> =
            ends.iter().filter_map(|(pipe, flags)| Some(PollFd::new((*pipe)?, *flags))).collect();
        // An interrupted wait finds nothing ready, and is done again.
        let some = poll(&mut polled, PollTimeout::NONE).is_ok();
        let mut answers = polled.iter().map(|end| some && end.any().unwrap_or(true));
        let [wake, stdin, stdout, stderr] =
            ends.map(|(pipe, _)| pipe.is_some() && answers.next().unwrap_or(false));
        Ready { wake, stdin, stdout, stderr }
    }

    fn take_input(&mut self) {
        let mut scrap = [0; 64];
        while matches!(self.wakes.read(&mut scrap), Ok(1..)) {}
        while let Ok(input) = self.input.try_recv() {
            match input {
                Some(bytes) if self.stdin.is_some() => self.queue.push_back(bytes),
                Some(_) => {}
                None => self.input_ended = true,
            }
        }
        self.close_input();
    }

    /// Writes what the run's input takes; one that nobody reads any more is closed and forgotten.
    fn feed(&mut self) {
        while let (Some(stdin), Some(bytes)) = (&mut self.stdin, self.queue.front()) {
            match stdin.write(&bytes[self.written..]) {
                Ok(count) => {
                    self.written += count;
                    if self.written == bytes.len() {
                        self.queue.pop_front();
                        self.written = 0;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    self.stdin = None;
                    self.queue.clear();
                }
            }
        }
        self.close_input();
    }

    fn close_input(&mut self) {
        if self.input_ended && self.queue.is_empty() {
            self.stdin = None;
        }
    }
}

// Four ends, each ready or not.
#[allow(clippy::struct_excessive_bools)]
struct Ready {
    wake: bool,
    stdin: bool,
    stdout: bool,
    stderr: bool,
}

struct Forward<'a> {
    id: u32,
    shared: &'a Shared,
    progress: &'a Progress,
    buffer: &'a mut [u8],
}

impl Forward<'_> {
    /// Sends what one read gives, in place behind its header; false when the engine is gone.
    fn from(&mut self, pipe: &mut Option<impl Read>, stream: u8) -> bool {
        let Some(open) = pipe else { return true };
        let count = match open.read(&mut self.buffer[OUT_HEADER..]) {
            Ok(count) => count,
            Err(error)
                if matches!(
                    error.raw_os_error().map(Errno::from_raw),
                    Some(Errno::EAGAIN | Errno::EINTR)
                ) =>
            {
                return true;
            }
            Err(_) => 0,
        };
        if count == 0 {
            *pipe = None;
            return true;
        }
        let total = if stream == 1 { &self.progress.stdout_bytes } else { &self.progress.stderr_bytes };
        total.fetch_add(count as u64, Ordering::AcqRel);
        let frame = &mut self.buffer[..OUT_HEADER + count];
        frame::put_header(frame, Kind::Out, 5 + count);
        frame[frame::HEADER..OUT_HEADER - 1].copy_from_slice(&self.id.to_le_bytes());
        frame[OUT_HEADER - 1] = stream;
        self.progress.heard(true);
        let sent = self.shared.send(frame);
        self.progress.heard(false);
        sent.is_ok()
    }
}
