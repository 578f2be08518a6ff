//! What is seen of an agent while it works.

use std::time::Duration;

use loop_api::usage::Usage;

/// A look at an agent at work.
#[derive(Debug, Clone, Copy)]
pub struct Live<'a> {
    /// Last line that it said, as it said it: not to be trusted with a terminal.
    pub line: &'a str,
    /// What its process has reported so far.
    pub usage: &'a Usage,
    /// Since its process was started.
    pub elapsed: Duration,
}
