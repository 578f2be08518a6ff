//! What the output of one process adds up to.

use std::collections::VecDeque;

use loop_api::journal::AgentRun;
use loop_api::usage::{Tokens, Usage};

use super::Event;
use super::claude::resets_at;

/// Messages whose usage may still be replaced by a later event.
const OPEN_CALLS: usize = 64;
/// Bytes of a final message that are kept, its end.
const MESSAGE: usize = 64 << 10;

/// What went wrong with a process, in the same words for every CLI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// A rate or usage limit.
    RateLimited,
    /// The service failed.
    Overloaded,
    /// The service could not be reached.
    Network,
    /// No login or key, or one that is not accepted.
    Auth,
    /// Nothing left to pay with.
    Billing,
    /// More text than the model takes.
    Context,
    /// The CLI's own limit on turns.
    MaxTurns,
    /// The session to continue does not exist.
    SessionLost,
    /// Anything else.
    Crash,
}

impl Class {
    /// The word for it in the journal.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RateLimited => "rate_limited",
            Self::Overloaded => "overloaded",
            Self::Network => "network",
            Self::Auth => "auth",
            Self::Billing => "billing",
            Self::Context => "context",
            Self::MaxTurns => "max_turns",
            Self::SessionLost => "session_lost",
            Self::Crash => "crash",
        }
    }
}

/// One process, as far as its output was read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reading {
    /// Session, as it was named last.
    pub session: String,
    /// Version of the CLI.
    pub version: String,
    /// Model, as announced.
    pub model: String,
    /// The final message, when there is a result; its end, when it is long.
    pub message: Option<String>,
    /// What went wrong, by the result.
    pub class: Option<Class>,
    /// What went wrong, by the last event about an error, for a process without a result.
    pub error: Option<Class>,
    /// Turns.
    pub turns: u32,
    /// Lines that could not be read.
    pub unread_lines: u64,
    resets_at: Option<i64>,
    counted: Usage,
    calls: VecDeque<(String, String, Tokens)>,
}

impl Reading {
    /// Takes one event in.
    pub fn take(&mut self, event: &Event<'_>) {
        match event {
            Event::Started { session, version, model } => {
                (*session).clone_into(&mut self.session);
                (*version).clone_into(&mut self.version);
                (*model).clone_into(&mut self.model);
            }
            Event::Call { message, model, tokens } => self.call(message, model, *tokens),
            Event::Limit { resets_at } => self.resets_at = Some(*resets_at),
            Event::Error(class) => self.error = Some(*class),
            Event::Retrying { .. } | Event::Text(_) | Event::Tool(_) => {}
            Event::Ended(ended) => {
                if !ended.session.is_empty() {
                    ended.session.clone_into(&mut self.session);
                }
                let mut from = ended.message.len().saturating_sub(MESSAGE);
                while !ended.message.is_char_boundary(from) {
                    from += 1;
                }
                self.message = Some(ended.message[from..].to_owned());
                self.class = ended.class;
                self.turns = ended.turns;
                self.total(&ended.models, ended.cost_nano_usd);
            }
        }
    }

    fn call(&mut self, message: &str, model: &str, tokens: Tokens) {
        if let Some(known) = self.calls.iter_mut().find(|(id, _, _)| id == message) {
            known.2 = tokens;
            return;
        }
        if self.calls.len() == OPEN_CALLS
            && let Some((_, model, tokens)) = self.calls.pop_front()
        {
            self.counted.models.entry(model).or_default().add(tokens);
        }
        self.calls.push_back((message.to_owned(), model.to_owned(), tokens));
    }

    /// A result holds the totals of the whole process, a second one also those of the first.
    fn total(&mut self, models: &[(&str, Tokens)], cost_nano_usd: Option<u64>) {
        self.calls.clear();
        let cost = self.counted.cost_nano_usd.max(cost_nano_usd.unwrap_or(0));
        let mut total = Usage { cost_nano_usd: cost, ..Usage::default() };
        for (model, tokens) in models {
            let name =
                if model.is_empty() { self.model.split('[').next().unwrap_or_default() } else { model };
            total.models.entry(name.to_owned()).or_default().add(*tokens);
        }
        self.counted = total;
    }

    /// What it used. Without a result, what its calls say; their cost is not known then, and the last may be short.
    pub fn usage(&self) -> Usage {
        let mut usage = self.counted.clone();
        for (_, model, tokens) in &self.calls {
            usage.models.entry(model.clone()).or_default().add(*tokens);
        }
        usage.incomplete = u32::from(!self.calls.is_empty() || self.message.is_none() && !usage.is_empty());
        usage
    }

    /// Whether it gave a result that is no error.
    pub fn worked(&self) -> bool {
        self.message.is_some() && self.class.is_none()
    }

    /// Milliseconds until the limit resets that it met, when that is known.
    pub fn reset_ms(&self, now_ms: i64) -> Option<u64> {
        let said = || resets_at(self.message.as_deref().unwrap_or_default(), now_ms);
        let at = self.resets_at.or_else(said)?;
        Some(u64::try_from(at.saturating_mul(1000).saturating_sub(now_ms)).unwrap_or(0))
    }

    /// For the journal; `ending` is how the process ended.
    pub fn record(&self, name: &str, step_id: &str, session: &str, ending: &str) -> AgentRun {
        AgentRun {
            step_id: step_id.to_owned(),
            session: if self.session.is_empty() { session } else { &self.session }.to_owned(),
            program: format!("{name} {}", self.version).trim_end().to_owned(),
            model: self.model.clone(),
            ending: ending.to_owned(),
            turns: self.turns,
            unread_lines: self.unread_lines,
            usage: self.usage(),
        }
    }
}
