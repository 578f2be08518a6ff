//! `loopctl cancel`.

use std::time::Duration;

use loop_api::journal::Event;
use loop_api::phase::RunPhase;
use loop_core::engine::unfinished;
use loop_core::machine::State;
use loop_core::store::{Journal, Store, read_journal};
use loop_core::{exec, record};

use super::wait::{Wait, engine};
use crate::cli::One;
use crate::error::{Error, OK, Result};
use crate::{printer, runs};

/// Longest wait for a running engine to stop: kill, checkpoint, record.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn run(store: &Store, arguments: &One) -> Result {
    let recorded = runs::find(store, &arguments.run)?;
    let name = recorded.object.metadata.name.clone();
    match recorded.state.phase {
        // Asked twice is no error (RUN-76).
        RunPhase::Canceled => {}
        RunPhase::Completed | RunPhase::Failed => {
            let phase = recorded.state.phase.as_str();
            return Err(Error::usage(format!(
                "{name} has ended already ({phase}); there is nothing to cancel"
            )));
        }
        _ => stop(store, &recorded.uid)?,
    }
    let recorded = runs::find(store, &recorded.uid)?;
    if !printer::object(&recorded.object, arguments.output)? {
        printer::data(&format!("{name} {}\n", recorded.state.phase.as_str().to_lowercase()))?;
    }
    Ok(OK)
}

/// Cancels a run, whether an engine has it or not.
pub(super) fn stop(store: &Store, uid: &str) -> Result<()> {
    let dir = store.run(uid);
    dir.request_cancel()?;
    let mut wait = Wait::new(&dir, PATIENCE);
    loop {
        if let Some(_lock) = dir.lock()? {
            let mut journal = Journal::open(&dir)?;
            if !journal.state().phase.is_terminal() {
                exec::sweep_marked(uid, Duration::from_secs(10));
                for event in unfinished(&dir, journal.state()) {
                    journal.append(event)?;
                }
                journal.append(Event::RunCanceled)?;
                write_record(store, uid, journal.state());
            }
            dir.clear_cancel();
            return Ok(());
        }
        // The engine may still have a postmortem made; that is no part of the run.
        if read_journal(&dir.journal()).is_ok_and(|(_, state)| state.phase.is_terminal()) {
            return Ok(());
        }
        if !wait.go_on() {
            let engine = engine(&dir);
            return Err(Error::failed(format!(
                "not canceled yet, which is for {engine}; it will do so as soon as it can"
            )));
        }
    }
}

/// What an engine would have written at the end; best effort, as there.
fn write_record(store: &Store, uid: &str, state: &State) {
    let Some(created) = &state.created else { return };
    let trusted = runs::trusted(store, created.workspace_root.as_ref(), uid).ok().flatten();
    for note in record::write(&store.run(uid), trusted.as_ref(), true) {
        printer::say(&note);
    }
}
