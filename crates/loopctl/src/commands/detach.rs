//! Runs in the background: a process of their own, in a session of its own, that outlives terminal and shell.

use std::time::{Duration, Instant};

use loop_core::exec;
use loop_core::store::Store;

use super::drive;
use crate::error::{Error, OK, Result};
use crate::printer::say;
use crate::{printer, runs};

/// What a process in the background says, in the run's folder.
const LOG: &str = "engine.log";
/// Longest wait until it has taken the run up.
const PATIENCE: Duration = Duration::from_secs(15);

/// Starts a process for the run and waits until it has taken it up.
pub(super) fn start(store: &Store, uid: &str) -> Result<()> {
    let dir = store.run(uid);
    let log = dir.join(LOG);
    let root = store.root().to_string_lossy().into_owned();
    let program = runs::executable()?.to_string_lossy().into_owned();
    let argv = [program.as_str(), "--data-dir", &root, "__drive", uid].map(str::to_owned);
    let mut child = exec::background(&argv, &log)
        .map_err(|error| Error::failed(format!("a process in the background cannot be started: {error}")))?;
    let until = Instant::now() + PATIENCE;
    loop {
        // One that has ended already took it up as well, or says why not.
        if let Some(status) = child.try_wait()? {
            if status.code() == Some(i32::from(OK)) {
                return Ok(());
            }
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
            return Err(Error::failed(format!("the run ended at once: {last}; see {}", log.display())));
        }
        if dir.is_alive() {
            return Ok(());
        }
        if Instant::now() >= until {
            return Err(Error::failed(format!("the run was not taken up in time; see {}", log.display())));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Starts it, and says where it is.
pub(super) fn announce(store: &Store, uid: &str, output: Option<crate::cli::Output>) -> Result {
    start(store, uid)?;
    let recorded = runs::find(store, uid)?;
    if printer::object(&recorded.object, output)? {
        return Ok(OK);
    }
    let name = &recorded.object.metadata.name;
    let loopctl = runs::command(store.root());
    printer::data(&format!("{name}\n"))?;
    say(&format!(
        "runs in the background: {loopctl} tail -f {name}, {loopctl} inspect {name}, {loopctl} cancel {name}"
    ));
    Ok(OK)
}

/// The process in the background itself.
pub(super) fn drive(store: &Store, uid: &str) -> Result {
    exec::leave_terminal();
    drive::to_the_end(store, uid, false)
}
