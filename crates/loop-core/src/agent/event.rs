//! What any agent's output says, whatever its own words for it are.

use loop_api::usage::Tokens;

use super::Class;

/// Something that an agent's output says. Everything else in it is only kept raw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<'a> {
    /// The process has begun to work.
    Started {
        /// Its session.
        session: &'a str,
        /// Version of the CLI.
        version: &'a str,
        /// Model.
        model: &'a str,
    },
    /// The agent says something.
    Text(&'a str),
    /// The agent uses a tool; one line that says which and on what.
    Tool(&'a str),
    /// What one call of the model used; a later event for the same message replaces it.
    Call {
        /// Message that the call gave.
        message: &'a str,
        /// Model that answered.
        model: &'a str,
        /// Its tokens.
        tokens: Tokens,
    },
    /// A limit of the service was met.
    Limit {
        /// When it resets, in epoch seconds.
        resets_at: i64,
    },
    /// The CLI tries a call again by itself.
    Retrying {
        /// What went wrong.
        class: Class,
        /// Pause before it in milliseconds.
        wait_ms: u64,
    },
    /// A call failed for good; the result says whether the process did.
    Error(Class),
    /// The process gave its result. With several, the last one counts.
    Ended(Box<Ended<'a>>),
}

/// The result of an agent's process.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ended<'a> {
    /// Its session.
    pub session: &'a str,
    /// What went wrong, if something did.
    pub class: Option<Class>,
    /// Its final message.
    pub message: &'a str,
    /// Turns.
    pub turns: u32,
    /// Tokens of the whole process by model.
    pub models: Vec<(&'a str, Tokens)>,
    /// Cost of the whole process in billionths of a US dollar.
    pub cost_nano_usd: Option<u64>,
}

/// Reads lines of one kind of output.
pub trait Mapper {
    /// Reports what a line says; `false` when it cannot be read.
    fn line(&mut self, line: &[u8], report: &mut dyn FnMut(Event<'_>)) -> bool;
}
