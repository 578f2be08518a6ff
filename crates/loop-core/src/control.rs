//! What can stop an engine from outside: signals, a cancel request, the run's deadline.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use crate::lease::{Hold, Lease};
use crate::store::{RunDir, now_ms};

/// How long a pause waits for the end of a step (design section 5).
pub const PAUSE_PATIENCE: Duration = Duration::from_mins(10);

/// Why a step was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// A signal; the run stays resumable (RUN-80).
    Signal(i32),
    /// The run is another attempt's by now, or may be: nothing was heard for longer than the lease.
    Lease,
    /// Somebody canceled the run (RUN-73).
    Cancel,
    /// Somebody paused the run, and it did not come to the end of its step in time, or is not to wait for it.
    Pause,
    /// The run's deadline passed.
    Deadline,
}

/// The last signal that this process got; 0 for none. Filled by the caller's signal handler.
#[derive(Debug, Clone, Default)]
pub struct Signals(Arc<AtomicI32>);

impl Signals {
    /// Notes a signal.
    pub fn raise(&self, signal: i32) {
        self.0.store(signal, Ordering::SeqCst);
    }

    /// The last signal.
    pub fn raised(&self) -> Option<i32> {
        Some(self.0.load(Ordering::SeqCst)).filter(|signal| *signal != 0)
    }
}

/// What is watched while a step runs.
#[derive(Debug, Clone)]
pub struct Control {
    /// Signals to this process.
    pub signals: Signals,
    /// Folder in which a cancel request appears.
    pub run: RunDir,
    /// When the run began, in epoch milliseconds.
    pub started: i64,
    /// How long it may take; `None` without a deadline.
    pub deadline_seconds: Option<u32>,
    /// What the engine may work by, where it needs that.
    pub lease: Option<Lease>,
}

impl Control {
    /// The same between two steps, where a pause is due at once.
    pub fn stop_at_boundary(&self) -> Option<Stop> {
        self.stop().or_else(|| self.run.pause_requested().map(|_| Stop::Pause))
    }

    /// The deadline that the user wants by now: one that is changed during a step counts for that step too.
    fn deadline(&self) -> Option<u32> {
        let wanted = || {
            let limits: serde_json::Value = serde_json::from_slice(&self.run.limits_requested()?).ok()?;
            u32::try_from(limits["activeDeadlineSeconds"].as_u64()?).ok()
        };
        wanted().or(self.deadline_seconds)
    }

    /// Whether something wants the run to stop now.
    pub fn stop(&self) -> Option<Stop> {
        if let Some(signal) = self.signals.raised() {
            return Some(Stop::Signal(signal));
        }
        if self.lease.as_ref().is_some_and(|lease| lease.hold() != Hold::Held) {
            return Some(Stop::Lease);
        }
        if self.run.cancel_requested() {
            return Some(Stop::Cancel);
        }
        if self.run.pause_requested().is_some_and(|since| since >= PAUSE_PATIENCE) {
            return Some(Stop::Pause);
        }
        let deadline = self.deadline()?;
        (now_ms() >= self.started + i64::from(deadline) * 1000).then_some(Stop::Deadline)
    }
}

/// Asks until there is a reason to stop, and stays with that one: it may be gone when what was stopped has answered.
pub fn first(ask: impl Fn() -> Option<Stop>) -> impl Fn() -> Option<Stop> {
    let found = Cell::new(None);
    move || {
        found.set(found.get().or_else(&ask));
        found.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_to_stop_stays_though_it_is_gone_later() {
        let asked = Cell::new(0);
        let stop = first(|| {
            asked.set(asked.get() + 1);
            [None, Some(Stop::Pause), None][asked.get() - 1]
        });
        assert_eq!([stop(), stop(), stop()], [None, Some(Stop::Pause), Some(Stop::Pause)]);
    }
}
