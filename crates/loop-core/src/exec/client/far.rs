//! The far side as a child process, and the thread that hears it.

use std::collections::{BTreeMap, HashMap};
use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::exec::frame::{self, Kind, OUT_HEADER};
use crate::exec::server::Hello;
use crate::exec::{Error, Outcome, Sandbox, Stream, command};

/// How many buffers of output wait for a slow sink before the far side has to wait.
const WAITING: usize = 8;

/// How long the far side may take to come up.
const START: Duration = Duration::from_secs(20);

/// How long it may take to sweep and leave, before it is killed.
const LEAVE: Duration = Duration::from_secs(7);

/// What a run hears.
pub(super) enum Message {
    Out(Stream, Bytes),
    Done(Outcome),
}

/// An output frame's payload in a buffer that is used again.
pub(super) struct Bytes {
    buffer: Vec<u8>,
    end: usize,
}

/// Where a run's bytes start in a payload: behind its id and the stream.
const BYTES: usize = OUT_HEADER - frame::HEADER;

impl Bytes {
    pub(super) fn as_slice(&self) -> &[u8] {
        &self.buffer[BYTES..self.end]
    }
}

#[derive(Debug, Default)]
struct Shared {
    /// `None` once nothing more can come.
    runs: Mutex<Option<HashMap<u32, SyncSender<Message>>>>,
    /// Whether the far side's own parent said that it was killed.
    killed: AtomicBool,
    spare: Mutex<Vec<Vec<u8>>>,
    last_words: Mutex<String>,
}

#[derive(Debug)]
pub(super) struct Far {
    pub(super) pid1: bool,
    pub(super) environment: BTreeMap<String, String>,
    pub(super) credentials: Vec<String>,
    shared: Arc<Shared>,
    child: Mutex<Child>,
    /// Brings one hello, and ends when the far side has.
    left: Mutex<Receiver<Hello>>,
    reader: Option<JoinHandle<()>>,
}

impl Far {
    pub(super) fn start(exe: &Path, sandbox: &Sandbox) -> Result<(Self, ChildStdin), Error> {
        let mut command = sandbox.command(exe).map_err(Error::Start)?;
        command
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if matches!(sandbox, Sandbox::Bubblewrap(_)) {
            // bubblewrap's own outer process must not get the terminal's interrupt either.
            command.process_group(0);
        }
        let shared = Arc::new(Shared { runs: Mutex::new(Some(HashMap::new())), ..Shared::default() });
        let (told, heard) = channel();
        let (hello, left) = channel();
        let for_reader = Arc::clone(&shared);
        // bubblewrap is killed by the kernel when the *thread* that started it ends: this one lives
        // as long as it does.
        let reader = thread::Builder::new().name("exec-reader".into()).spawn(move || {
            let started = command.spawn().map(|mut child| {
                let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
                (child, pipes)
            });
            match started {
                Ok((child, (Some(stdin), Some(stdout), Some(stderr)))) => {
                    let _ = told.send(Ok((child, stdin)));
                    for_reader.live(stdout, stderr, hello);
                }
                Ok(_) => drop(told),
                Err(error) => drop(told.send(Err(error))),
            }
        })?;
        let (child, stdin) = match heard.recv() {
            Ok(started) => started.map_err(|error| Error::Start(error.to_string()))?,
            Err(_) => return Err(Error::Start("its pipes are missing".into())),
        };
        let mut far = Self {
            pid1: false,
            environment: BTreeMap::new(),
            credentials: Vec::new(),
            shared,
            child: Mutex::new(child),
            left: Mutex::new(left),
            reader: Some(reader),
        };
        let answer = lock(&far.left).recv_timeout(START);
        let Ok(hello) = answer else {
            drop(stdin);
            far.kill();
            far.finish();
            return Err(Error::Start(far.words()));
        };
        far.pid1 = hello.pid1;
        far.environment = hello.environment;
        far.credentials = hello.credentials;
        Ok((far, stdin))
    }

    /// Registers a run before its first frame is sent.
    pub(super) fn open(&self, id: u32) -> Receiver<Message> {
        let (sender, receiver) = sync_channel(WAITING);
        if let Some(runs) = lock(&self.shared.runs).as_mut() {
            runs.insert(id, sender);
        }
        receiver
    }

    pub(super) fn close(&self, id: u32) {
        if let Some(runs) = lock(&self.shared.runs).as_mut() {
            runs.remove(&id);
        }
    }

    pub(super) fn recycle(&self, bytes: Bytes) {
        lock(&self.shared.spare).push(bytes.buffer);
    }

    pub(super) fn is_lost(&self) -> bool {
        lock(&self.shared.runs).is_none()
    }

    pub(super) fn was_killed(&self) -> bool {
        self.shared.killed.load(Ordering::SeqCst)
    }

    pub(super) fn lost(&self) -> Error {
        Error::Lost(self.words())
    }

    pub(super) fn kill(&self) {
        let mut child = lock(&self.child);
        // Its group too: bubblewrap killed while it starts leaves a child that waits for it for ever.
        let _ = killpg(Pid::from_raw(child.id() as i32), Signal::SIGKILL);
        let _ = child.kill();
    }

    /// Waits for the far side to leave, its input being closed, and reaps it.
    pub(super) fn finish(&mut self) {
        while let Ok(Hello { .. }) = lock(&self.left).recv_timeout(LEAVE) {}
        let Some(reader) = self.reader.take() else { return };
        if !reader.is_finished() {
            self.kill();
            let _ = lock(&self.left).recv_timeout(LEAVE);
        }
        let _ = lock(&self.child).wait();
        // Whoever still holds its pipes is not waited for.
        if reader.is_finished() {
            let _ = reader.join();
        }
    }

    fn words(&self) -> String {
        let words = lock(&self.shared.last_words);
        match words.trim() {
            "" if self.was_killed() => "it was killed, most likely by what it ran".into(),
            "" => "it said nothing".into(),
            text => text.into(),
        }
    }
}

impl Shared {
    /// Hears everything the far side says until it has left.
    fn live(&self, stdout: ChildStdout, stderr: ChildStderr, hello: Sender<Hello>) {
        thread::scope(|scope| {
            let words = thread::Builder::new().name("exec-stderr".into());
            let _ = words.spawn_scoped(scope, || self.keep_words(stderr));
            command::enlarge(&stdout);
            self.hear(stdout, &hello);
        });
        drop(hello);
    }

    fn hear(&self, mut from: ChildStdout, hello: &Sender<Hello>) {
        let mut buffer = Vec::new();
        while let Ok(Some((kind, end))) = frame::read(&mut from, &mut buffer) {
            let Ok((id, rest)) = frame::split_id(&buffer[..end]) else { break };
            match (kind, rest.first()) {
                (Kind::Hello, _) => match serde_json::from_slice(rest) {
                    Ok(words) => drop(hello.send(words)),
                    Err(_) => break,
                },
                (Kind::Done, _) => match serde_json::from_slice(rest) {
                    Ok(outcome) => self.pass(id, Message::Done(outcome)),
                    Err(_) => break,
                },
                (Kind::Killed, _) => {
                    self.killed.store(true, Ordering::SeqCst);
                    break;
                }
                (Kind::Out, Some(stream @ 1..=2)) => {
                    let stream = if *stream == 1 { Stream::Stdout } else { Stream::Stderr };
                    let next = lock(&self.spare).pop().unwrap_or_default();
                    let buffer = std::mem::replace(&mut buffer, next);
                    self.pass(id, Message::Out(stream, Bytes { buffer, end }));
                }
                _ => break,
            }
        }
        // Whoever waits learns now that nothing more will come.
        *lock(&self.runs) = None;
        // After nonsense the far side still has to be heard, so that it can leave in order.
        let _ = std::io::copy(&mut from, &mut std::io::sink());
    }

    /// Hands a message to its run, waiting while the run has enough of them; without one it is lost.
    fn pass(&self, id: u32, message: Message) {
        let run = lock(&self.runs).as_ref().and_then(|runs| runs.get(&id).cloned());
        if let Some(run) = run {
            let _ = run.send(message);
        }
    }

    fn keep_words(&self, mut from: ChildStderr) {
        let mut buffer = [0; 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let mut words = lock(&self.last_words);
            if words.len() < 4 * buffer.len() {
                words.push_str(&String::from_utf8_lossy(&buffer[..count]));
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
