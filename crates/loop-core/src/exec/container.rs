//! The far side in a container of its own: the container's first process listens on a socket, and starts an executor for
//! the engine, the first that connects. Nobody can connect after it: whoever could would have an executor too, whose
//! processes the engine's does not know and so would not sweep. What an executor that was killed leaves behind is killed.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpid};

use super::{frame, proc, server};

/// Argument with which this program is an executor of a container.
pub const EXECUTOR: &str = "__executor";
/// Argument with which this program carries the frames of an engine to a container and back.
pub const RELAY: &str = "__relay";

/// Longest wait for the processes of a dead executor to be gone.
const SWEEP_TIME: Duration = Duration::from_secs(5);
/// Longest wait for a container to listen.
const CONNECT_TIME: Duration = Duration::from_secs(15);

/// What an engine says first. A probe of the container says nothing.
const ENGINE: u8 = b'E';

/// The executor while it is alive.
type Executor = Arc<Mutex<Option<Serving>>>;

#[derive(Debug)]
struct Serving {
    pid: i32,
    /// To tell the engine what the executor itself no longer can.
    connection: UnixStream,
}

/// Listens until the container is told to end. Programs in the folder `first` are found before all others.
///
/// For the first process of a container, before it has any other thread. It obeys SIGTERM only from outside of its PID
/// namespace, which the kubelet's is: what it runs shares its user and could send one.
///
/// # Errors
/// When the socket or a signal descriptor cannot be made.
pub fn listen(socket: &Path, first: Option<&Path>) -> io::Result<()> {
    let mut awaited = SigSet::empty();
    awaited.add(Signal::SIGTERM);
    awaited.add(Signal::SIGCHLD);
    awaited.thread_block()?;
    server::protect(getpid().as_raw() == 1)?;
    // One that an earlier life of the container left.
    if socket.symlink_metadata().is_ok_and(|facts| facts.file_type().is_socket()) {
        fs::remove_file(socket)?;
    }
    let listener = UnixListener::bind(socket)?;
    let signals = SignalFd::with_flags(&awaited, SfdFlags::SFD_CLOEXEC)?;
    let executor = Executor::default();
    let (started, place, path) = (Arc::clone(&executor), socket.to_owned(), search_path(first));
    thread::Builder::new().name("accept".into()).spawn(move || {
        // One that cannot be served is closed, which its engine notices.
        let engine = listener.incoming().flatten().find(|connection| is_engine(connection).unwrap_or(false));
        // Nobody else from here on, and before anything untrusted can run.
        drop(listener);
        let _ = fs::remove_file(place);
        let _ = engine.map(|connection| serve(connection, &started, &path));
    })?;
    while let Some(signal) = signals.read_signal()? {
        let from_outside = signal.ssi_pid == 0 || getpid().as_raw() != 1;
        if signal.ssi_signo == Signal::SIGTERM as u32 && from_outside {
            if let Some(serving) = &*lock(&executor) {
                let _ = kill(Pid::from_raw(serving.pid), Signal::SIGKILL);
            }
            sweep(&executor);
            // There is none any more when an engine has come.
            let _ = fs::remove_file(socket);
            return Ok(());
        }
        reap(&executor);
    }
    Ok(())
}

/// Whether it is the engine that has connected.
fn is_engine(mut connection: &UnixStream) -> io::Result<bool> {
    connection.set_read_timeout(Some(CONNECT_TIME))?;
    let mut word = [0];
    let said = connection.read(&mut word)?;
    connection.set_read_timeout(None)?;
    Ok(said == 1 && word[0] == ENGINE)
}

/// PATH of the container with a folder before it.
fn search_path(first: Option<&Path>) -> OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all = first.map(Path::to_owned).into_iter().chain(std::env::split_paths(&path));
    // A folder that cannot be part of it is none of ours.
    std::env::join_paths(all).unwrap_or(path)
}

fn serve(connection: UnixStream, executor: &Executor, path: &OsStr) -> io::Result<()> {
    let (input, own) = (OwnedFd::from(connection.try_clone()?), connection.try_clone()?);
    // Held over both, so that it is known before its end can be seen.
    let mut known = lock(executor);
    let child = Command::new("/proc/self/exe")
        .arg(EXECUTOR)
        .env("PATH", path)
        .stdin(Stdio::from(input))
        .stdout(Stdio::from(OwnedFd::from(connection)))
        .spawn()?;
    *known = Some(Serving { pid: child.id() as i32, connection: own });
    Ok(())
}

/// Reaps what ended; the end of the executor is that of everything it ran. What runs below it can stop it as well, and would
/// let the engine wait for its limits: that is an end, too. The engine is told of it, as the container goes on.
fn reap(executor: &Executor) {
    let mut left = None;
    loop {
        let mut known = lock(executor);
        let is_known = |pid: Pid| known.as_ref().is_some_and(|serving| serving.pid == pid.as_raw());
        match waitpid(Pid::from_raw(-1), Some(WaitPidFlag::WNOHANG | WaitPidFlag::WUNTRACED)) {
            Ok(WaitStatus::Exited(pid, _)) if is_known(pid) => left = known.take().map(|_| None),
            Ok(WaitStatus::Signaled(pid, ..)) if is_known(pid) => {
                left = known.take().map(|serving| Some(serving.connection));
            }
            Ok(WaitStatus::Stopped(pid, _)) if is_known(pid) => {
                let _ = kill(pid, Signal::SIGKILL);
            }
            Ok(WaitStatus::StillAlive) | Err(_) => break,
            Ok(_) => {}
        }
    }
    let Some(killed) = left else { return };
    sweep(executor);
    if let Some(mut connection) = killed {
        let mut frames = Vec::new();
        frame::push(&mut frames, frame::Kind::Killed, 0, b"");
        // It may be gone, and need not know then.
        let _ = connection.write_all(&frames);
    }
}

/// Kills what is below this process and not below a living executor: it belonged to one that is dead.
fn sweep(executor: &Executor) {
    let (me, end) = (getpid().as_raw(), Instant::now() + SWEEP_TIME);
    loop {
        let alive = lock(executor).as_ref().map(|serving| serving.pid);
        let orphans = proc::descendants(me, alive.as_slice());
        if orphans.is_empty() || Instant::now() >= end {
            return;
        }
        for pid in orphans {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        while let Ok(WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, ..)) =
            waitpid(Pid::from_raw(-1), Some(WaitPidFlag::WNOHANG))
        {
            lock(executor).take_if(|serving| serving.pid == pid.as_raw());
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Serves one engine, on standard input and output, in the container's own environment.
pub fn executor() -> ExitCode {
    // Blocked signals are inherited, and what runs here has to get them.
    let unblocked = SigSet::empty().thread_set_mask();
    if unblocked.is_err() { ExitCode::FAILURE } else { server::serve(true) }
}

/// Carries frames between standard input and output and the socket of a container, until either side ends.
pub fn relay(socket: &Path) -> ExitCode {
    match carry(socket) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The engine quotes it.
            let words = format!("{}: {error}\n", socket.display());
            let _ = io::stderr().write_all(words.as_bytes());
            ExitCode::FAILURE
        }
    }
}

fn carry(socket: &Path) -> io::Result<()> {
    let end = Instant::now() + CONNECT_TIME;
    let stream = loop {
        match UnixStream::connect(socket) {
            Ok(stream) => break stream,
            Err(error) if Instant::now() >= end => return Err(error),
            Err(_) => thread::sleep(Duration::from_millis(50)),
        }
    };
    let mut up = stream.try_clone()?;
    up.write_all(&[ENGINE])?;
    // Not joined: it may wait for an engine that has nothing more to say.
    thread::Builder::new().name("up".into()).spawn(move || {
        let _ = server::own(io::stdin().as_fd()).and_then(|mut from| pass(&mut from, &mut up));
        let _ = up.shutdown(std::net::Shutdown::Write);
    })?;
    let mut out = server::own(io::stdout().as_fd())?;
    pass(&mut &stream, &mut out)
}

/// Hands on whatever comes as soon as it comes; `io::copy` lets the kernel splice, which waits for more.
fn pass(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut buffer = vec![0; frame::CHUNK];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => to.write_all(&buffer[..read])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Whether somebody listens on a socket, as a probe of the container asks before the engine comes.
pub fn is_listening(socket: &Path) -> bool {
    UnixStream::connect(socket).is_ok()
}

fn lock(executor: &Executor) -> MutexGuard<'_, Option<Serving>> {
    executor.lock().unwrap_or_else(PoisonError::into_inner)
}
