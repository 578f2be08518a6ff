//! One line of `stream-json`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use loop_api::usage::Tokens;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::agent::event::Ended;
use crate::agent::{Class, Event, Mapper};

/// Longest line that says which tool is used.
const TOOL: usize = 160;
/// Model of messages that the CLI makes up itself, to show an error.
const SYNTHETIC: &str = "<synthetic>";

/// Reads `stream-json` of Claude Code 2.1.
#[derive(Debug)]
pub(in crate::agent) struct StreamJson;

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    subtype: Cow<'a, str>,
    #[serde(borrow, default)]
    session_id: Cow<'a, str>,
    /// Of an `assistant`, by its content; of others, of no interest.
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
    #[serde(borrow, default)]
    parent_tool_use_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    error: Option<Error<'a>>,
    // system/init
    #[serde(borrow, default)]
    model: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    claude_code_version: Option<Cow<'a, str>>,
    // system/api_retry
    #[serde(default)]
    retry_delay_ms: f64,
    // rate_limit_event
    #[serde(borrow, default)]
    rate_limit_info: Option<LimitInfo<'a>>,
    // result
    #[serde(default)]
    is_error: bool,
    #[serde(default)]
    api_error_status: Option<u16>,
    #[serde(default)]
    num_turns: u32,
    #[serde(borrow, default)]
    result: Option<Cow<'a, str>>,
    #[serde(default)]
    total_cost_usd: Option<f64>,
    #[serde(default)]
    usage: Option<Used>,
    #[serde(borrow, default, rename = "modelUsage")]
    model_usage: BTreeMap<Cow<'a, str>, Used>,
    #[serde(borrow, default)]
    errors: Vec<Cow<'a, str>>,
}

/// `error` is a word in most lines, and something else in a few.
#[derive(Deserialize)]
#[serde(untagged)]
enum Error<'a> {
    Word(#[serde(borrow)] Cow<'a, str>),
    Other(serde::de::IgnoredAny),
}

#[derive(Deserialize)]
struct LimitInfo<'a> {
    #[serde(borrow, default)]
    status: Cow<'a, str>,
    #[serde(default, rename = "resetsAt")]
    resets_at: Option<i64>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    id: Cow<'a, str>,
    #[serde(borrow, default)]
    model: Cow<'a, str>,
    #[serde(borrow, default)]
    content: Vec<Block<'a>>,
    #[serde(default)]
    usage: Option<Used>,
}

#[derive(Deserialize)]
struct Block<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    text: Cow<'a, str>,
    #[serde(borrow, default)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
}

/// What of a tool's input says what it is about.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Input<'a> {
    #[serde(borrow)]
    command: Option<Cow<'a, str>>,
    #[serde(borrow)]
    file_path: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pattern: Option<Cow<'a, str>>,
    #[serde(borrow)]
    url: Option<Cow<'a, str>>,
    #[serde(borrow)]
    query: Option<Cow<'a, str>>,
    #[serde(borrow)]
    description: Option<Cow<'a, str>>,
}

/// Tokens, of a call in snake case and of a whole process in camel case.
#[derive(Deserialize, Clone, Copy, Default)]
#[serde(default)]
struct Used {
    #[serde(alias = "input_tokens", alias = "inputTokens")]
    input: Option<u64>,
    #[serde(alias = "output_tokens", alias = "outputTokens")]
    output: Option<u64>,
    #[serde(alias = "cache_read_input_tokens", alias = "cacheReadInputTokens")]
    cache_read: Option<u64>,
    #[serde(alias = "cache_creation_input_tokens", alias = "cacheCreationInputTokens")]
    cache_write: Option<u64>,
}

impl From<Used> for Tokens {
    fn from(used: Used) -> Self {
        Self {
            input: used.input.unwrap_or(0),
            output: used.output.unwrap_or(0),
            cache_read: used.cache_read.unwrap_or(0),
            cache_write: used.cache_write.unwrap_or(0),
        }
    }
}

impl Mapper for StreamJson {
    fn line(&mut self, line: &[u8], report: &mut dyn FnMut(Event<'_>)) -> bool {
        let Ok(line) = serde_json::from_slice::<Line<'_>>(line) else { return false };
        match (&*line.kind, &*line.subtype) {
            ("system", "init") => report(Event::Started {
                session: &line.session_id,
                version: line.claude_code_version.as_deref().unwrap_or_default(),
                model: line.model.as_deref().unwrap_or_default(),
            }),
            ("system", "api_retry") => report(Event::Retrying {
                class: line.error.as_ref().map_or(Class::Crash, word),
                wait_ms: line.retry_delay_ms.max(0.0) as u64,
            }),
            ("assistant", _) => return assistant(&line, report),
            ("rate_limit_event", _) => {
                let info = line.rate_limit_info.as_ref().filter(|info| info.status == "rejected");
                if let Some(resets_at) = info.and_then(|info| info.resets_at) {
                    report(Event::Limit { resets_at });
                }
            }
            ("result", _) => result(&line, report),
            _ => {}
        }
        true
    }
}

fn assistant(line: &Line<'_>, report: &mut dyn FnMut(Event<'_>)) -> bool {
    let Some(message) = line.message.and_then(|raw| serde_json::from_str::<Message<'_>>(raw.get()).ok())
    else {
        return false;
    };
    for block in &message.content {
        match &*block.kind {
            // What a sub-agent says is said to the agent.
            "text" if line.parent_tool_use_id.is_none() => report(Event::Text(&block.text)),
            "tool_use" => report(Event::Tool(&tool(block))),
            _ => {}
        }
    }
    if let Some(error) = &line.error {
        report(Event::Error(word(error)));
    }
    if let Some(usage) = message.usage.filter(|_| message.model != SYNTHETIC) {
        report(Event::Call { message: &message.id, model: model(&message.model), tokens: usage.into() });
    }
    true
}

fn tool(block: &Block<'_>) -> String {
    let input: Input<'_> =
        block.input.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
    let Input { command, file_path, pattern, url, query, description } = input;
    let about = command.or(file_path).or(pattern).or(url).or(query).or(description).unwrap_or_default();
    let mut text = format!("{} {}", block.name, about.lines().next().unwrap_or_default());
    if let Some((at, _)) = text.char_indices().nth(TOOL) {
        text.truncate(at);
        text.push_str("...");
    }
    text.trim_end().to_owned()
}

fn result(line: &Line<'_>, report: &mut dyn FnMut(Event<'_>)) {
    let message = match &line.result {
        Some(text) => text.as_ref(),
        None => line.errors.first().map(Cow::as_ref).unwrap_or_default(),
    };
    let mut models: Vec<(&str, Tokens)> =
        line.model_usage.iter().map(|(name, usage)| (model(name), (*usage).into())).collect();
    let whole = line.usage.map(Tokens::from).unwrap_or_default();
    if models.is_empty() && whole != Tokens::default() {
        models.push(("", whole));
    }
    let failed = line.is_error || line.subtype != "success";
    report(Event::Ended(Box::new(Ended {
        session: &line.session_id,
        class: failed.then(|| class(line, message)),
        message,
        turns: line.num_turns,
        models,
        cost_nano_usd: line.total_cost_usd.map(|usd| (usd.max(0.0) * 1e9).round() as u64),
    })));
}

/// The kind of a failed result. The message is looked at last and only by its beginning.
fn class(line: &Line<'_>, message: &str) -> Class {
    match (&*line.subtype, line.api_error_status) {
        ("error_max_turns", _) => Class::MaxTurns,
        ("error_during_execution", _) if message.starts_with("No conversation found") => Class::SessionLost,
        (_, Some(429)) => Class::RateLimited,
        (_, Some(401 | 403)) => Class::Auth,
        (_, Some(402)) => Class::Billing,
        (_, Some(413)) => Class::Context,
        (_, Some(500..=599)) => Class::Overloaded,
        _ if message.starts_with("Not logged in") || message.starts_with("Invalid API key") => Class::Auth,
        _ if message.starts_with("Credit balance is too low") => Class::Billing,
        _ if message.starts_with("Prompt is too long") => Class::Context,
        _ if message.starts_with("API Error: Unable to connect") => Class::Network,
        _ => Class::Crash,
    }
}

fn word(error: &Error<'_>) -> Class {
    let Error::Word(word) = error else { return Class::Crash };
    match word.as_ref() {
        "rate_limit" => Class::RateLimited,
        "overloaded" | "server_error" => Class::Overloaded,
        "authentication_failed" => Class::Auth,
        "billing_error" => Class::Billing,
        _ => Class::Crash,
    }
}

/// The model without the mark of its context window, by which it has two names in one stream.
fn model(name: &str) -> &str {
    name.split('[').next().unwrap_or(name)
}
