//! What the output of one process adds up to.

use std::collections::VecDeque;

use loop_api::journal::AgentRun;
use loop_api::usage::{Tokens, Usage};

use super::claude::resets_at;
use super::{Event, Mapper};

/// Messages whose usage may still be replaced by a later event.
const OPEN_CALLS: usize = 64;
/// Models that are told apart; the rest is one.
const MODELS: usize = 32;
/// Bytes of a name that an agent says: session, version, model.
const NAME: usize = 128;
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
    /// By results.
    total: Usage,
    /// By calls since the last result that are not open any more.
    closed: Usage,
    calls: VecDeque<Call>,
}

/// What one call of the model used.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Call {
    message: String,
    model: String,
    tokens: Tokens,
    /// Whether a result holds it already.
    settled: bool,
}

impl Reading {
    /// Takes one line of output in, and shows the events in it; says whether it could be read. `None` is a line too long
    /// to be read; a blank one says nothing.
    pub fn line(
        &mut self,
        mapper: &mut dyn Mapper,
        line: Option<&[u8]>,
        show: &mut dyn FnMut(&Event<'_>),
    ) -> bool {
        let mut take = |event: Event<'_>| {
            self.take(&event);
            show(&event);
        };
        let readable =
            line.is_some_and(|line| line.iter().all(u8::is_ascii_whitespace) || mapper.line(line, &mut take));
        self.unread_lines += u64::from(!readable);
        readable
    }

    /// Takes one event in.
    pub fn take(&mut self, event: &Event<'_>) {
        match event {
            Event::Started { session, version, model } => {
                self.name_session(session);
                short(version).clone_into(&mut self.version);
                short(model).clone_into(&mut self.model);
            }
            Event::Call { message, model, tokens } => {
                self.error = None;
                self.call(short(message), short(model), *tokens);
            }
            Event::Limit { resets_at } => self.resets_at = Some(*resets_at),
            Event::Error(class) => self.error = Some(*class),
            Event::Retrying { .. } | Event::Text(_) | Event::Tool(_) => {}
            Event::Ended(ended) => {
                self.name_session(ended.session);
                let mut from = ended.message.len().saturating_sub(MESSAGE);
                while !ended.message.is_char_boundary(from) {
                    from += 1;
                }
                self.message = Some(ended.message[from..].to_owned());
                // The event about the error knows more than a result that only says that there was one.
                self.class = match ended.class {
                    Some(Class::Crash) => self.error.or(Some(Class::Crash)),
                    class => class,
                };
                self.turns = self.turns.max(ended.turns);
                self.total(&ended.models, ended.cost_nano_usd);
            }
        }
    }

    /// A session becomes an argument of the process that continues it, so only what can be an id is one.
    fn name_session(&mut self, session: &str) {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
        if !session.is_empty()
            && session.len() <= NAME
            && !session.starts_with('-')
            && session.bytes().all(fits)
        {
            session.clone_into(&mut self.session);
        }
    }

    fn call(&mut self, message: &str, model: &str, tokens: Tokens) {
        if let Some(known) = self.calls.iter_mut().find(|call| call.message == message) {
            known.tokens = tokens;
            return;
        }
        if self.calls.len() == OPEN_CALLS
            && let Some(call) = self.calls.pop_front().filter(|call| !call.settled)
        {
            add(&mut self.closed, &call.model, call.tokens);
        }
        let (message, model) = (message.to_owned(), model.to_owned());
        self.calls.push_back(Call { message, model, tokens, settled: false });
    }

    /// A result holds the totals of the whole process, a second one also those of the first. One without any says
    /// nothing about what was called.
    fn total(&mut self, models: &[(&str, Tokens)], cost_nano_usd: Option<u64>) {
        self.total.cost_nano_usd = self.total.cost_nano_usd.max(cost_nano_usd.unwrap_or(0));
        if models.is_empty() {
            return;
        }
        self.calls.iter_mut().for_each(|call| call.settled = true);
        self.closed = Usage::default();
        let announced = self.model.split('[').next().unwrap_or_default().to_owned();
        let mut said = Usage::default();
        for (model, tokens) in models {
            add(&mut said, if model.is_empty() { &announced } else { short(model) }, *tokens);
        }
        for (model, new) in said.models {
            let known = entry(&mut self.total, &model);
            known.input = known.input.max(new.input);
            known.output = known.output.max(new.output);
            known.cache_read = known.cache_read.max(new.cache_read);
            known.cache_write = known.cache_write.max(new.cache_write);
        }
    }

    /// What it used. Without a result, what its calls say; their cost is not known then, and the last may be short.
    pub fn usage(&self) -> Usage {
        let mut usage = self.total.clone();
        let mut open = !self.closed.is_empty();
        for (model, tokens) in &self.closed.models {
            add(&mut usage, model, *tokens);
        }
        for call in self.calls.iter().filter(|call| !call.settled) {
            open = true;
            add(&mut usage, &call.model, call.tokens);
        }
        usage.incomplete = u32::from(open);
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

fn add(usage: &mut Usage, model: &str, tokens: Tokens) {
    entry(usage, model).add(tokens);
}

/// Tokens of a model, or of all others when there are too many.
fn entry<'a>(usage: &'a mut Usage, model: &str) -> &'a mut Tokens {
    let known = usage.models.len() < MODELS || usage.models.contains_key(model);
    usage.models.entry(if known { model } else { "other" }.to_owned()).or_default()
}

/// The beginning of a name, as much as is kept.
fn short(name: &str) -> &str {
    let mut end = name.len().min(NAME);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}
