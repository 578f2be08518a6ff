//! Waiting for the run's turn, when others are at work on this machine.

use std::time::Duration;

use loop_api::journal::Event;
use loop_api::phase::RunPhase;

use super::{End, Engine, Error, unfinished};
use crate::control::Stop;
use crate::queue::{Entry, Queue};

/// Between two looks at the queue.
const LOOK: Duration = Duration::from_millis(200);

impl Engine<'_> {
    /// Waits until the run may go on; gives an end when it is stopped before.
    ///
    /// A completed run only has something to tidy up, for which it waits for nobody.
    pub(super) fn take_turn(&mut self) -> Result<Option<End>, Error> {
        let phase = self.state().phase;
        if phase == RunPhase::Completed {
            return Ok(None);
        }
        // Before the turn: who is killed while it waits still wants to go on.
        if phase.is_terminal() || phase == RunPhase::Paused {
            self.append(Event::RunResumed { again: phase.is_terminal() })?;
        }
        let folder = self.store.root().join("queue");
        let failed = |error| Error::Io { path: folder.clone(), error };
        let me = Entry {
            uid: self.created.run_id.clone(),
            name: self.created.name.clone(),
            workspace: self.created.workspace_root.clone(),
            created_ms: self.state().created_ms,
            running: false,
            reason: String::new(),
            settings: self.created.queue,
        };
        let mut queue = Queue::join(&self.store, me).map_err(failed)?;
        let mut said = String::new();
        loop {
            if let Some(stop) = self.control.stop_at_boundary() {
                if !matches!(stop, Stop::Signal(_) | Stop::Lease) {
                    for event in unfinished(&self.run, self.state()) {
                        self.append(event)?;
                    }
                }
                if let Some(end) = self.stopped(stop, None)? {
                    return Ok(Some(end));
                }
                if self.state().ended.is_some() {
                    self.record_end();
                    self.finish();
                    return Ok(Some(End::Ended));
                }
            }
            match queue.ask().map_err(failed)? {
                Ok(turn) => {
                    self.turn = Some(turn);
                    return Ok(None);
                }
                Err(reason) => {
                    if reason != said {
                        self.observer.note(&format!("waiting: {reason}"));
                        said = reason;
                    }
                    std::thread::sleep(LOOK);
                }
            }
        }
    }
}
