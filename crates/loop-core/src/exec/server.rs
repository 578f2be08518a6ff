//! The far side: runs requests that arrive on standard input, and outlives none of them.
//!
//! It is the parent, or the adopting subreaper, of everything it runs. When its standard input
//! ends, which also happens when the engine is killed, it kills all of that and exits.

mod memory;
mod pump;
mod run;
mod table;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use loop_api::names::CREDENTIAL;
use nix::unistd::{getpid, setsid};
use serde::{Deserialize, Serialize};

use super::frame::{self, Kind};
use super::{Ended, Outcome, command};
use memory::Memory;
use run::Runs;
use table::Table;

/// The far side's first words.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Hello {
    pub(super) pid1: bool,
    pub(super) version: String,
    /// Environment of a container, which is what its commands get; empty elsewhere.
    #[serde(default)]
    pub(super) environment: BTreeMap<String, String>,
    /// Names of the variables that it has for agents alone.
    #[serde(default)]
    pub(super) credentials: Vec<String>,
}

/// What all threads of the far side share.
struct Shared {
    table: Table,
    out: Mutex<File>,
    /// The container's, for what is in one.
    memory: Option<Memory>,
    credentials: BTreeMap<String, String>,
}

impl Shared {
    /// Writes whole frames; the engine being gone is noticed by whoever reads its frames.
    fn send(&self, frames: &[u8]) -> io::Result<()> {
        lock(&self.out).write_all(frames)
    }

    fn done(&self, id: u32, outcome: &Outcome) {
        let mut bytes = Vec::new();
        // An outcome is a flat struct of numbers and text: it always has a JSON form.
        frame::push(&mut bytes, Kind::Done, id, &serde_json::to_vec(outcome).unwrap_or_default());
        let _ = self.send(&bytes);
    }
}

/// Serves the engine on standard input and output until the input ends.
///
/// For a hidden subcommand of the binary that [`super::Client::start`] is given. No other thread
/// may run yet, and nothing may have been read from standard input. In a container the engine is told its environment.
pub fn serve(in_container: bool) -> ExitCode {
    match serve_pipes(in_container) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn serve_pipes(in_container: bool) -> io::Result<()> {
    // A copy of the descriptor, not std's handle: that one buffers and locks.
    let mut control = own(io::stdin().as_fd())?;
    let out = own(io::stdout().as_fd())?;
    let pid1 = getpid().as_raw() == 1;
    protect(pid1)?;
    command::enlarge(&control);
    command::enlarge(&out);

    let memory = in_container.then(Memory::of_container).flatten();
    let (environment, credentials) = if in_container { surroundings() } else { Default::default() };
    let names = credentials.keys().cloned().collect();
    let hello = Hello { pid1, version: env!("CARGO_PKG_VERSION").into(), environment, credentials: names };
    let shared = Arc::new(Shared { table: Table::new(pid1), out: Mutex::new(out), memory, credentials });
    let mut bytes = Vec::new();
    frame::push(&mut bytes, Kind::Hello, 0, &serde_json::to_vec(&hello)?);
    shared.send(&bytes)?;

    let reaper = Arc::clone(&shared);
    thread::Builder::new().name("reaper".into()).spawn(move || reaper.table.reap())?;
    let watched = Arc::clone(&shared);
    // Both end with the process.
    thread::Builder::new().name("memory".into()).spawn(move || {
        if let Some(memory) = &watched.memory {
            memory.watch();
        }
    })?;
    let served = obey(&mut control, &shared);
    shared.table.kill_everything();
    served
}

/// The container's environment, and what of it is for agents. A credential stands for the image's variable of its name.
fn surroundings() -> (BTreeMap<String, String>, BTreeMap<String, String>) {
    let (mut environment, mut credentials) = (BTreeMap::new(), BTreeMap::new());
    for (name, value) in std::env::vars() {
        match name.strip_prefix(CREDENTIAL) {
            Some(name) => credentials.insert(name.to_owned(), value),
            None => environment.insert(name, value),
        };
    }
    environment.retain(|name, _| !credentials.contains_key(name));
    (environment, credentials)
}

/// Carries out frames until there are no more.
fn obey(control: &mut File, shared: &Arc<Shared>) -> io::Result<()> {
    let (mut buffer, runs) = (Vec::new(), Arc::new(Runs::default()));
    while let Some((kind, length)) = frame::read(control, &mut buffer)? {
        let (id, payload) = frame::split_id(&buffer[..length])?;
        match kind {
            Kind::Start => runs.start(shared, id, payload)?,
            Kind::Stdin => runs.stdin(id, Some(payload.to_vec())),
            Kind::StdinEnd => runs.stdin(id, None),
            Kind::Cancel => runs.cancel(id),
            Kind::Sweep => {
                let shared = Arc::clone(shared);
                thread::Builder::new().spawn(move || {
                    let swept = shared.table.sweep();
                    shared.done(id, &Outcome { swept, ..Outcome::new(Ended::Exited) });
                })?;
            }
            Kind::Hello | Kind::Out | Kind::Done | Kind::Killed => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a frame of the other side"));
            }
        }
    }
    Ok(())
}

/// Keeps what runs below from reading this process, and orphans within its reach.
///
/// No parent-death signal is asked for: it would kill this process before it can kill the others.
/// The end of its input comes as surely when the engine is killed.
pub(super) fn protect(pid1: bool) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use nix::sys::prctl;
        prctl::set_dumpable(false)?;
        if !pid1 {
            prctl::set_child_subreaper(true)?;
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = pid1;
    // Out of the terminal's reach: an interrupt is the engine's to handle, and what runs here must
    // not push keystrokes into the user's terminal. Fails when bubblewrap has done it already.
    let _ = setsid();
    Ok(())
}

pub(super) fn own(descriptor: BorrowedFd) -> io::Result<File> {
    Ok(File::from(descriptor.try_clone_to_owned()?))
}

/// A panic elsewhere must not keep the far side from killing what it runs.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
