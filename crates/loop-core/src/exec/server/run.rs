//! One run on the far side: started, watched, stopped, cleaned up after.

use std::collections::HashMap;
use std::io;
use std::process::ExitStatus;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::pump::{self, Input, Progress, Waker};
use super::{Shared, lock};
use crate::exec::{Ended, Limits, Outcome, Request, command};

/// How long a pipe may stay open that somebody out of reach still holds (RUN-22).
const DRAIN: Duration = Duration::from_secs(5);

/// How long a channel is waited on when there is no deadline.
const LONG: Duration = Duration::from_hours(1);

/// What a supervisor waits for.
pub(super) enum Event {
    /// The main process ended; `None` for a signal without a name.
    Ended(Option<ExitStatus>),
    Cancel,
    /// Both output streams reached their end.
    Drained,
}

/// The runs in progress, by the engine's number.
#[derive(Default)]
pub(super) struct Runs(Mutex<HashMap<u32, Handle>>);

struct Handle {
    events: Sender<Event>,
    input: Sender<Input>,
    waker: Waker,
}

impl Runs {
    /// Starts a run in threads of its own; whatever goes wrong becomes its outcome.
    pub(super) fn start(self: &Arc<Self>, shared: &Arc<Shared>, id: u32, payload: &[u8]) -> io::Result<()> {
        let mut request: Request = serde_json::from_slice(payload)?;
        if request.credentials {
            // What the engine says itself counts.
            let missing = shared.credentials.iter().filter(|(name, _)| !has(&request.env, name));
            let missing: Vec<_> = missing.map(|(name, value)| (name.clone(), value.clone())).collect();
            request.env.extend(missing);
        }
        let (events, heard) = channel();
        let (input, typed) = channel();
        let supervised = pump::waker().and_then(|(waker, wakes)| {
            let handle = Handle { events: events.clone(), input, waker: waker.clone() };
            lock(&self.0).insert(id, handle);
            let (runs, shared) = (Arc::clone(self), Arc::clone(shared));
            thread::Builder::new().name(format!("run-{id}")).spawn(move || {
                let run = Run { id, shared: &shared, events, heard, waker };
                let outcome = run.supervise(&request, typed, wakes).unwrap_or_else(Outcome::not_started);
                lock(&runs.0).remove(&id);
                shared.done(id, &outcome);
            })
        });
        if let Err(error) = supervised {
            lock(&self.0).remove(&id);
            shared.done(id, &Outcome::not_started(error.to_string()));
        }
        Ok(())
    }

    /// Gives a run bytes to read, or with `None` the end of them; never waits for it to read.
    pub(super) fn stdin(&self, id: u32, bytes: Input) {
        if let Some(handle) = lock(&self.0).get(&id)
            && handle.input.send(bytes).is_ok()
        {
            handle.waker.wake();
        }
    }

    pub(super) fn cancel(&self, id: u32) {
        if let Some(handle) = lock(&self.0).get(&id) {
            let _ = handle.events.send(Event::Cancel);
        }
    }
}

fn has(environment: &[(String, String)], name: &str) -> bool {
    environment.iter().any(|(known, _)| known == name)
}

struct Run<'a> {
    id: u32,
    shared: &'a Arc<Shared>,
    events: Sender<Event>,
    heard: Receiver<Event>,
    waker: Waker,
}

impl Run<'_> {
    fn supervise(
        self,
        request: &Request,
        input: Receiver<Input>,
        wakes: io::PipeReader,
    ) -> Result<Outcome, String> {
        let mut command = command::build(&request.argv, &request.cwd, &request.env)?;
        let table = &self.shared.table;
        let memory = self.shared.memory.as_ref().map(|memory| (memory, memory.kills()));
        let mut child = table
            .spawn(&mut command, self.events.clone(), request.sweep)
            .map_err(|error| format!("{}: {error}", request.argv[0]))?;
        let (pid, progress) = (child.id() as i32, Arc::new(Progress::new()));
        let pumped = pump::Pump::new(&mut child, input, wakes).and_then(|pump| {
            let (id, events) = (self.id, self.events.clone());
            let (shared, progress) = (Arc::clone(self.shared), Arc::clone(&progress));
            let pump = move || pump.run(id, &shared, &progress, &events);
            thread::Builder::new().name(format!("pump-{id}")).spawn(pump)
        });
        if pumped.is_err() {
            table.signal(pid, Signal::SIGKILL);
        }

        let (mut outcome, mut drained) = self.watch(pid, request.limits, &progress);
        outcome.duration_ms = progress.elapsed_ms();
        outcome.out_of_memory = memory.and_then(|(memory, kills_before)| memory.ran_out(kills_before));
        if request.sweep {
            outcome.swept = table.sweep();
        }
        let pumping = pumped.map_err(|error| error.to_string())?;
        let end = Instant::now() + DRAIN;
        while !drained {
            let left = end.saturating_duration_since(Instant::now());
            match self.heard.recv_timeout(left) {
                Ok(event) => drained = matches!(event, Event::Drained),
                Err(_) => break,
            }
        }
        progress.stop.store(true, Ordering::Release);
        self.waker.wake();
        // The outcome is the last frame of a run: the pump must have sent its own.
        let _ = pumping.join();
        outcome.stdout_bytes = progress.stdout_bytes.load(Ordering::Acquire);
        outcome.stderr_bytes = progress.stderr_bytes.load(Ordering::Acquire);
        Ok(outcome)
    }

    /// Waits for the main process's end, and brings it about when a limit is reached.
    fn watch(&self, pid: i32, limits: Limits, progress: &Progress) -> (Outcome, bool) {
        let total = Instant::now().checked_add(limits.total);
        let (mut stopped, mut kill_at, mut drained) = (None, None, false);
        loop {
            let now = Instant::now();
            let idle = limits.idle.map(|limit| limit.saturating_sub(progress.silence()));
            let reached = if total.is_some_and(|at| at <= now) {
                Some(Ended::TimedOut)
            } else if idle.is_some_and(|left| left.is_zero()) {
                Some(Ended::Idle)
            } else {
                None
            };
            if kill_at.is_some_and(|at: Instant| at <= now) {
                self.shared.table.signal(pid, Signal::SIGKILL);
                kill_at = None;
            }
            let mut wait = match (stopped, kill_at) {
                (None, _) => [idle, total.map(|at| at.saturating_duration_since(now))]
                    .into_iter()
                    .flatten()
                    .min()
                    .unwrap_or(LONG),
                (Some(_), Some(at)) => at.saturating_duration_since(now),
                (Some(_), None) => LONG,
            };
            let mut stop = reached;
            if stopped.is_some() || stop.is_none() {
                wait = wait.min(LONG);
                match self.heard.recv_timeout(wait) {
                    Ok(Event::Ended(status)) => {
                        let mut outcome = Outcome::new(stopped.unwrap_or(Ended::Exited));
                        if let Some(status) = status {
                            command::note_status(&mut outcome, status);
                        }
                        return (outcome, drained);
                    }
                    Ok(Event::Cancel) => stop = Some(Ended::Canceled),
                    Ok(Event::Drained) => drained = true,
                    Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
                }
            }
            if let (None, Some(reason)) = (stopped, stop) {
                self.shared.table.signal(pid, Signal::SIGTERM);
                stopped = Some(reason);
                kill_at = Instant::now().checked_add(limits.term_grace);
            }
        }
    }
}
