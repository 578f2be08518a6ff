//! `loopctl pause`.

use std::time::Duration;

use loop_api::journal::Event;
use loop_api::phase::RunPhase;
use loop_core::engine::unfinished;
use loop_core::exec;
use loop_core::store::{Journal, RunDir, Store, read_journal};

use super::wait::{Wait, engine, is_suspended};
use crate::cli::Pause;
use crate::error::{Error, OK, Result};
use crate::runs::{self, Recorded};
use crate::{printer, view};

/// Longest wait for an engine that is to stop its agent at once: kill, checkpoint, record.
const PATIENCE: Duration = Duration::from_secs(40);
/// Time in which an engine between two steps has taken note.
const GLANCE: Duration = Duration::from_secs(1);

pub(super) fn run(store: &Store, arguments: &Pause) -> Result {
    let recorded = runs::find(store, &arguments.one.run)?;
    let name = recorded.object.metadata.name.clone();
    if recorded.state.phase.is_terminal() {
        let phase = view::word(&recorded);
        return Err(Error::usage(format!("{name} has ended already ({phase}); there is nothing to pause")));
    }
    // Asked twice is no error (RUN-76).
    if recorded.state.phase != RunPhase::Paused {
        recorded.dir.request_pause(arguments.now)?;
        wait(&recorded, if arguments.now { PATIENCE } else { GLANCE })?;
    }
    let recorded = runs::find(store, &recorded.uid)?;
    if printer::object(&recorded.object, arguments.one.output)? {
        return Ok(OK);
    }
    let paused = recorded.state.phase == RunPhase::Paused;
    if !paused && recorded.alive && (arguments.now || is_suspended(&recorded.dir)) {
        return Err(Error::failed(format!(
            "not paused yet, which is for {}; it will do so as soon as it can",
            engine(&recorded.dir)
        )));
    }
    let loopctl = runs::command(store.root());
    let said = match (&recorded.state.open, recorded.state.phase) {
        (_, RunPhase::Paused) => format!("{name} paused; {loopctl} resume {name} goes on\n"),
        (Some(open), _) => format!(
            "{name} pauses at the end of its {}, in 10 min at the latest; --now does not wait\n",
            open.phase.as_str()
        ),
        (None, _) => format!("{name} {}\n", view::word(&recorded).to_lowercase()),
    };
    printer::data(&said)?;
    Ok(OK)
}

/// Waits a while for the engine to take note; where there is none, notes it.
fn wait(recorded: &Recorded, patience: Duration) -> Result<()> {
    let dir = &recorded.dir;
    let mut wait = Wait::new(dir, patience);
    loop {
        let paused = |state: &loop_core::machine::State| {
            state.phase != RunPhase::Running && state.phase != RunPhase::Pending
        };
        if read_journal(&dir.journal()).is_ok_and(|(_, state)| paused(&state)) {
            return Ok(());
        }
        if let Some(_lock) = dir.lock()? {
            return note(dir, &recorded.uid);
        }
        if !wait.go_on() {
            return Ok(());
        }
    }
}

fn note(dir: &RunDir, uid: &str) -> Result<()> {
    let mut journal = Journal::open(dir)?;
    if !journal.state().phase.is_terminal() && journal.state().phase != RunPhase::Paused {
        exec::sweep_marked(uid, Duration::from_secs(10));
        for event in unfinished(dir, journal.state()) {
            journal.append(event)?;
        }
        journal.append(Event::RunPaused)?;
    }
    dir.clear_pause();
    Ok(())
}
