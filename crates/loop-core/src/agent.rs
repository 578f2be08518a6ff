//! Agents as data: how a CLI is called, what it needs, and how its output is read.
//!
//! One [`Adapter`] per CLI. What differs between CLIs is a field here; the engine knows none of them by name. What a
//! CLI prints becomes the same few [`Event`]s for all of them. Facts about the CLIs: the comment of each adapter.

use loop_api::phase::StepPhase;
use loop_api::run::LoopRunSpec;

mod claude;
mod event;
mod lines;
mod reading;
mod script;

pub use claude::CLAUDE;
pub use event::{Event, Mapper};
pub use lines::Lines;
pub use reading::{Class, Reading};
pub use script::SCRIPT;

/// An agent CLI.
#[derive(Debug, PartialEq, Eq)]
pub struct Adapter {
    /// What users call it.
    pub name: &'static str,
    /// Command that is looked up in PATH; `None` = the script of the run.
    pub program: Option<&'static str>,
    /// How to get the command, for who has not got it.
    pub install: &'static str,
    /// How to get access, for whom the service refuses.
    pub access: &'static str,
    /// Variables of which it needs one where nobody can have logged in; empty = it needs none.
    pub credentials: &'static [&'static str],
    /// Model when the user names none (CFG-11).
    pub default_model: Option<&'static str>,
    /// Arguments in groups. A group with a `{{variable}}` is left out where the variable has no value. The variables
    /// are `model`, `newSession` (an id that the process is to give its session) and `session` (one to continue).
    pub arguments: &'static [&'static [&'static str]],
    /// Variables that it gets on top of the caller's.
    pub environment: &'static [(&'static str, &'static str)],
    /// Variables that it gets under bubblewrap only.
    pub confined_environment: &'static [(&'static str, &'static str)],
    /// What standard output is.
    pub output: Output,
    /// Whether it prints something as soon as it runs; if so, silence at the start is a hang of its own kind.
    pub announces: bool,
    /// Whether it can be asked to analyse an ended run.
    pub analyses: bool,
    /// The folder in which it keeps settings, login and sessions.
    pub state: Option<StateFolder>,
}

/// What standard output of an agent is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Text for people; its last lines are the final message.
    Text,
    /// JSON lines of Claude Code's `stream-json`.
    StreamJson,
}

/// Where a CLI keeps what it needs between processes, seen from HOME.
#[derive(Debug, PartialEq, Eq)]
pub struct StateFolder {
    /// Variable that moves it.
    pub variable: &'static str,
    /// Where it is without that variable, relative to HOME.
    pub default: &'static str,
    /// Entries that the user made and the agent may read: settings, instructions, skills.
    pub shown: &'static [&'static str],
    /// Files that the CLI has to write for the user, such as a login that is renewed.
    pub shared: &'static [&'static str],
    /// Files that the agent gets a copy of: name in the folder when the variable is set, and its place below HOME
    /// otherwise.
    pub copied: &'static [(&'static str, &'static str)],
    /// Folder of sessions, kept from one process of the run to the next.
    pub sessions: &'static str,
}

/// The adapter of a name; empty is none.
pub fn adapter(name: &str) -> Option<&'static Adapter> {
    [&SCRIPT, &CLAUDE].into_iter().find(|adapter| adapter.name == name)
}

/// Who is asked in a step of this kind, and for which model; `None` for an adapter that this version does not know.
pub fn asked(spec: &LoopRunSpec, phase: StepPhase) -> Option<(&'static Adapter, Option<&str>)> {
    let implementer = &spec.agent;
    let own = spec.review.adapter.as_ref().filter(|_| phase == StepPhase::Review);
    let name = own.unwrap_or(&implementer.adapter);
    let adapter = adapter(name)?;
    let mut model = spec.review.model.as_deref().filter(|_| phase == StepPhase::Review);
    if model.is_none() && *name == implementer.adapter {
        model = implementer.model.as_deref();
    }
    Some((adapter, model.or(adapter.default_model)))
}

/// Names of all adapters, for messages.
pub fn names() -> String {
    [&SCRIPT, &CLAUDE].map(|adapter| adapter.name).join(" and ")
}

/// Values for the variables of [`Adapter::arguments`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Values<'a> {
    /// Model to use.
    pub model: Option<&'a str>,
    /// Id for a new session.
    pub new_session: Option<&'a str>,
    /// Session to continue.
    pub session: Option<&'a str>,
}

impl Adapter {
    /// The arguments for a call.
    pub fn call(&self, values: Values<'_>) -> Vec<String> {
        let value = |name: &str| match name {
            "model" => values.model,
            "newSession" => values.new_session,
            "session" => values.session,
            _ => None,
        };
        let variable =
            |word: &str| word.strip_prefix("{{").and_then(|word| word.strip_suffix("}}")).map(value);
        let fill = |group: &&[&str]| -> Option<Vec<String>> {
            group.iter().map(|word| variable(word).unwrap_or(Some(word)).map(str::to_owned)).collect()
        };
        self.arguments.iter().filter_map(fill).flatten().collect()
    }

    /// A reader of its output; `None` for text.
    pub fn mapper(&self) -> Option<Box<dyn Mapper>> {
        match self.output {
            Output::Text => None,
            Output::StreamJson => Some(Box::new(claude::StreamJson)),
        }
    }

    /// Whether its output says what it does, session and usage included.
    pub fn reports(&self) -> bool {
        self.output != Output::Text
    }
}

#[cfg(test)]
mod tests;
