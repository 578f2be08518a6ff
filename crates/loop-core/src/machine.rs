//! The loop as a pure state machine: the journal's events make the state, the state and the time make the next move.
//!
//! [`State::apply`] never decides and [`next`] never remembers; the driver appends what [`next`] decided before it
//! acts on it, so that replaying a journal cannot come to another decision than the run did.

mod agents;
mod budget;
pub mod grant;
mod judge;
mod legal;
mod next;
mod state;
pub mod watchdog;

pub use agents::{OpenAgent, Session};
pub use next::{Next, Step, next};
pub use state::{Iteration, OpenStep, State, Transition};

/// How a run ended, in the words of the analysis (ART-37).
pub fn end_label(state: &State) -> String {
    use loop_api::phase::ExitReason;
    let Some((exit, reason, _)) = &state.ended else { return "manual".into() };
    let kind = reason.split(':').next().unwrap_or_default();
    match exit {
        ExitReason::CompletePlan => "run_completed".into(),
        ExitReason::Canceled => "run_canceled".into(),
        ExitReason::Failed if !kind.is_empty() => kind.into(),
        other => other.as_str().into(),
    }
}

#[cfg(test)]
mod tests;
