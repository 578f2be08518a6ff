//! What can stop an engine from outside: signals, a cancel request, the run's deadline.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use crate::store::{RunDir, now_ms};

/// Why a step was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// A signal; the run stays resumable (RUN-80).
    Signal(i32),
    /// Somebody canceled the run (RUN-73).
    Cancel,
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
    /// Epoch milliseconds; `None` without a deadline.
    pub deadline: Option<i64>,
}

impl Control {
    /// Whether something wants the run to stop now.
    pub fn stop(&self) -> Option<Stop> {
        if let Some(signal) = self.signals.raised() {
            return Some(Stop::Signal(signal));
        }
        if self.run.cancel_requested() {
            return Some(Stop::Cancel);
        }
        self.deadline.filter(|deadline| now_ms() >= *deadline).map(|_| Stop::Deadline)
    }
}
