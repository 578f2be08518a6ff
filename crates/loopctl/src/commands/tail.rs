//! `loopctl tail`: what the agents of a run say, from the logs that they are written to as they say it.

mod log;
mod steps;

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::Duration;

use loop_api::journal::Record;
use loop_api::phase::RunPhase;
use loop_core::machine::State;
use loop_core::queue;
use loop_core::store::{Store, read_journal};

use self::log::Log;
use self::steps::{Step, steps};
use crate::cli::Tail;
use crate::error::{Error, OK, Result};
use crate::printer;
use crate::printer::{BAD, BOLD, DIM, GOOD, paint, say};
use crate::runs::{self, Recorded};
use crate::view::{self, clean};

/// Pause between two looks at journal and log.
const PAUSE: Duration = Duration::from_millis(100);
/// Looks that find no engine before the run counts as interrupted: one that was made is not taken up at once.
const DEAD: u32 = 10;

/// A run that is watched.
struct Watched<'a> {
    store: &'a Store,
    run: Recorded,
    raw: bool,
    /// Bytes of the journal when it was read.
    length: u64,
    steps: Vec<Step>,
    /// Why nothing happens, as it was said last.
    standing: Option<String>,
}

pub(super) fn run(store: &Store, arguments: &Tail) -> Result {
    let recorded = runs::find(store, &arguments.run)?;
    let mut watched =
        Watched { store, run: recorded, raw: arguments.raw, length: 0, steps: Vec::new(), standing: None };
    watched.look()?;
    if arguments.raw && !steps::reports(&watched.state().spec()) {
        return Err(Error::usage(format!(
            "the agents of {} leave no raw events, only text; leave --raw out",
            watched.name()
        )));
    }
    let tidy = std::io::stdout().is_terminal();
    // Raw events are handed on as they are, but never to a terminal, which they could steer.
    let log = Log::new(!arguments.raw || tidy, arguments.lines);
    if arguments.follow { watched.follow(log, tidy) } else { watched.show(log, tidy) }
}

impl Watched<'_> {
    fn state(&self) -> &State {
        &self.run.state
    }

    fn name(&self) -> &str {
        &self.run.object.metadata.name
    }

    /// Reads the journal, when it has grown.
    fn look(&mut self) -> Result<()> {
        let path = self.run.dir.journal();
        let length = std::fs::metadata(&path)
            .map_err(|error| Error::failed(format!("the run's journal is gone: {error}")))?
            .len();
        if length != self.length {
            let (decoded, state) = read_journal(&path)?;
            let records: Vec<Record> = decoded.records;
            self.steps = steps(&records);
            self.run.state = state;
            self.length = length;
        }
        Ok(())
    }

    /// The last step in which an agent speaks.
    fn last(&self) -> Option<usize> {
        let spec = self.state().spec();
        self.steps.iter().rposition(|step| step.speaks(&spec, self.raw))
    }

    /// Where a file of the record may lie: in the run's folder, or in the workspace when the run has ended.
    fn places(&self, name: &str) -> Vec<PathBuf> {
        runs::places(&self.run, name)
    }

    /// Prints the last log as far as there is one.
    fn show(&mut self, mut log: Log, tidy: bool) -> Result {
        let Some(at) = self.last() else {
            say(&format!("no agent of {} has said anything yet", self.name()));
            self.say_standing();
            return Ok(OK);
        };
        let step = &self.steps[at];
        let places = self.places(&step.file(self.raw));
        if !log.open(&places)? && step.over {
            let shown: Vec<String> = places.iter().map(|place| runs::shown(place)).collect();
            return Err(Error::failed(format!(
                "the log of that step is gone; it should be {}",
                shown.join(" or ")
            )));
        }
        let mut out = std::io::stdout().lock();
        log.drain(&mut out)?;
        log.finish(&mut out, tidy)?;
        drop(out);
        self.say_standing();
        Ok(OK)
    }

    /// Prints log after log, until the run ends or is found without an engine.
    fn follow(&mut self, log: Log, tidy: bool) -> Result {
        let spec = self.state().spec();
        let mut next = self.last().unwrap_or(0);
        let (mut first, mut current) = (Some(log), None::<(usize, Log)>);
        let mut dead = 0;
        loop {
            // Before the log: what ends a step or the run is written after the last byte of it.
            let alive = self.run.dir.is_alive();
            self.look()?;
            self.run.alive = alive;
            self.run.waiting = queue::waiting(self.store, &self.run.uid, &self.run.dir);
            if let Some((at, log)) = &mut current {
                let step = &self.steps[*at];
                log.open(&self.places(&step.file(self.raw)))?;
                let mut out = std::io::stdout().lock();
                log.drain(&mut out)?;
                if step.over {
                    log.finish(&mut out, tidy)?;
                    current = None;
                } else {
                    log.explain_silence();
                }
            }
            if current.is_none() {
                if let Some(step) = self.steps.get(next) {
                    say(&paint(DIM, &step.heading()));
                    if step.speaks(&spec, self.raw) {
                        let clean = !self.raw || tidy;
                        current = Some((next, first.take().unwrap_or_else(|| Log::new(clean, None))));
                    }
                    next += 1;
                    continue;
                }
                if self.state().phase.is_terminal() {
                    self.say_the_end();
                    return Ok(OK);
                }
            }
            dead = if alive { 0 } else { dead + 1 };
            if dead >= DEAD {
                if let Some((_, log)) = &mut current {
                    log.finish(&mut std::io::stdout().lock(), tidy)?;
                }
                self.say_standing();
                return Ok(OK);
            }
            // One without an engine was perhaps just made.
            if alive {
                self.say_standing();
            }
            printer::reader()?;
            std::thread::sleep(PAUSE);
        }
    }

    fn say_the_end(&self) {
        let state = self.state();
        let style = if state.phase == RunPhase::Completed { GOOD } else { BAD };
        say(&format!("{} {}", paint(BOLD, self.name()), paint(style, state.phase.as_str())));
        let Some((_, reason, message)) = state.ended.as_ref().filter(|_| state.phase != RunPhase::Completed)
        else {
            return;
        };
        say(&format!("  why  {}", clean::text(reason)));
        if !message.is_empty() && message != reason {
            say(&format!("       {}", clean::text(message)));
        }
    }

    /// Says why nothing happens in a run that has not ended, unless that was said last.
    fn say_standing(&mut self) {
        let standing = view::standing(&self.run, &runs::command(self.store.root()));
        if self.standing != standing {
            if let Some(standing) = &standing {
                say(standing);
            }
            self.standing = standing;
        }
    }
}
