//! Driving a run in the foreground: signals in, progress out, exit code at the end.

use std::path::Path;

use loop_api::phase::{ExitReason, RunPhase};
use loop_core::control::Signals;
use loop_core::engine::{End, Engine, Host};
use loop_core::exec;
use loop_core::far::Links;
use loop_core::machine::State;
use loop_core::store::Store;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals as SignalStream;

use crate::error::{CANCELED, Error, FAILED, OK, PAUSED, Result, SIGNAL, TIMED_OUT};
use crate::live::View;
use crate::printer::say;
use crate::runs;

/// What this process brings to a run.
pub(crate) fn host(signals: Signals) -> Result<Host> {
    Ok(Host {
        executable: runs::executable()?,
        isolation: exec::probe(),
        signals,
        environment: loop_core::caller_environment(),
        remote: None,
        links: Links::default(),
        lease: None,
    })
}

/// Takes a run up and drives it to its end or to a signal; gives the exit code.
pub(crate) fn to_the_end(store: &Store, uid: &str, quiet: bool) -> Result {
    with_signals(|signals| follow(store, uid, quiet, signals))
}

/// Does something with the signals that this process gets meanwhile.
pub(super) fn with_signals<T>(work: impl FnOnce(Signals) -> Result<T>) -> Result<T> {
    let signals = Signals::default();
    let mut stream = SignalStream::new([SIGINT, SIGTERM, SIGHUP])
        .map_err(|error| Error::failed(format!("signals cannot be watched: {error}")))?;
    let handle = stream.handle();
    let raised = signals.clone();
    let watcher = std::thread::spawn(move || {
        for signal in stream.forever() {
            raised.raise(signal);
        }
    });
    let result = work(signals);
    handle.close();
    // The watcher only stores a number; it cannot have failed in a way that matters now.
    let _ = watcher.join();
    result
}

fn follow(store: &Store, uid: &str, quiet: bool, signals: Signals) -> Result {
    let host = host(signals)?;
    let mut view = View::new(quiet);
    let mut engine = Engine::open(store, uid, &host, &mut view)?;
    let driven = engine.drive();
    let state = engine.state().clone();
    drop(engine);
    // Nothing is said below a line that is still drawn.
    drop(view);
    let name = state.created.as_ref().map(|created| created.name.clone()).unwrap_or_default();
    let ended = driven.map_err(|error| {
        let remedy =
            format!("the run stopped there and keeps its work; put that right, then loopctl resume {name}");
        if error.can_be_put_right() { Error::from(error).remedy(&remedy) } else { error.into() }
    })?;
    match ended {
        End::Interrupted(signal) => {
            say(&format!("interrupted; nothing is lost: {} resume {name}", runs::command(store.root())));
            Ok(code_of(signal))
        }
        End::Paused => {
            say(&format!("paused; {} resume {name} goes on", runs::command(store.root())));
            Ok(PAUSED)
        }
        // Nobody else is given a run of this machine.
        End::Ended | End::Expired => Ok(exit_code(&state)),
    }
}

/// The exit code after a signal.
pub(super) fn code_of(signal: i32) -> u8 {
    SIGNAL.saturating_add(u8::try_from(signal).unwrap_or(0))
}

/// The exit code of an ended run.
pub(crate) fn exit_code(state: &State) -> u8 {
    match (state.phase, &state.ended) {
        (RunPhase::Completed, _) => OK,
        (RunPhase::Canceled, _) => CANCELED,
        (_, Some((ExitReason::TimedOut, _, _))) => TIMED_OUT,
        _ => FAILED,
    }
}

/// The current folder, or why it cannot be had.
pub(crate) fn directory() -> Result<std::path::PathBuf> {
    std::env::current_dir().map_err(|error| {
        Error::usage(format!("the current folder is gone ({error}); change to one that exists"))
    })
}

/// Reads a file, or stdin for `-`.
pub(crate) fn read(name: &str) -> Result<String> {
    if name == "-" {
        let mut text = String::new();
        std::io::Read::read_to_string(&mut std::io::stdin(), &mut text)
            .map_err(|error| Error::usage(format!("stdin cannot be read as text: {error}")))?;
        return Ok(text);
    }
    std::fs::read_to_string(Path::new(name))
        .map_err(|error| Error::usage(format!("{name} cannot be read: {error}; name a readable file")))
}
