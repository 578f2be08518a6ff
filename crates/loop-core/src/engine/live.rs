//! What an agent does while it works, for who looks on.

use std::time::Duration;

use loop_api::usage::Usage;

/// An agent at work. Nothing of it is believed; it is there to be looked at.
#[derive(Debug, Clone, Copy)]
pub struct Live<'a> {
    /// The last line that it said, as it came: control sequences and broken characters included.
    pub line: &'a str,
    /// What its process used so far, by its own word; what earlier processes used is in the run's state.
    pub usage: &'a Usage,
    /// Since its process began; the limit is the spec's `agentStepSeconds`.
    pub elapsed: Duration,
}
