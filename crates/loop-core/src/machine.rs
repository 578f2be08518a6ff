//! The loop as a pure state machine: the journal's events make the state, the state and the time make the next move.
//!
//! [`State::apply`] never decides and [`next`] never remembers; the driver appends what [`next`] decided before it
//! acts on it, so that replaying a journal cannot come to another decision than the run did.

pub mod grant;
mod judge;
mod legal;
mod next;
mod state;
pub mod watchdog;

pub use next::{Next, Step, next};
pub use state::{Iteration, OpenStep, State, Transition};

#[cfg(test)]
mod tests;
