//! One line of `stream-json`.

use std::collections::BTreeMap;

use loop_api::usage::Tokens;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::text::{Text, lenient, said};
use crate::agent::event::Ended;
use crate::agent::{Class, Event, Mapper};

/// Longest line that says which tool is used.
const TOOL: usize = 160;
/// Model of messages that the CLI makes up itself, to show an error.
const SYNTHETIC: &str = "<synthetic>";
/// How sentences begin that say that there is nothing left to pay with.
const OUT_OF_CREDITS: &[&str] = &["You're out of", "Your org is out of", "Your seat type doesn't include"];
/// How sentences begin that say that a usage limit is reached.
const LIMIT_REACHED: &[&str] = &[
    "You've hit your",
    "You've reached your",
    "Claude AI usage limit reached",
    "Claude usage limit reached",
];

/// Reads `stream-json` of Claude Code 2.1.
#[derive(Debug)]
pub(in crate::agent) struct StreamJson;

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(rename = "type", borrow)]
    kind: Text<'a>,
    #[serde(borrow, default)]
    subtype: Option<Text<'a>>,
    #[serde(borrow, default)]
    session_id: Option<Text<'a>>,
    /// Of an `assistant`, by its content; of others, of no interest.
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
    #[serde(default)]
    parent_tool_use_id: Option<IgnoredAny>,
    /// A word in most lines, and something else in a few.
    #[serde(borrow, default, deserialize_with = "lenient")]
    error: Option<Text<'a>>,
    // system/init
    #[serde(borrow, default, deserialize_with = "lenient")]
    model: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    claude_code_version: Option<Text<'a>>,
    // system/api_retry
    #[serde(default, deserialize_with = "lenient")]
    retry_delay_ms: f64,
    // rate_limit_event
    #[serde(borrow, default, deserialize_with = "lenient")]
    rate_limit_info: Option<LimitInfo<'a>>,
    // result
    #[serde(default, deserialize_with = "lenient")]
    is_error: bool,
    #[serde(default, deserialize_with = "lenient")]
    api_error_status: Option<u16>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    terminal_reason: Option<Text<'a>>,
    #[serde(default, deserialize_with = "lenient")]
    num_turns: u32,
    #[serde(borrow, default, deserialize_with = "lenient")]
    result: Option<Text<'a>>,
    #[serde(default, deserialize_with = "lenient")]
    total_cost_usd: Option<f64>,
    #[serde(default, deserialize_with = "lenient")]
    usage: Option<Used>,
    #[serde(borrow, default, rename = "modelUsage", deserialize_with = "lenient")]
    model_usage: BTreeMap<Text<'a>, Used>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    errors: Vec<Text<'a>>,
}

#[derive(Deserialize)]
struct LimitInfo<'a> {
    #[serde(borrow, default)]
    status: Option<Text<'a>>,
    #[serde(default, rename = "resetsAt")]
    resets_at: Option<i64>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    id: Option<Text<'a>>,
    #[serde(borrow, default)]
    model: Option<Text<'a>>,
    #[serde(borrow, default)]
    content: Vec<Block<'a>>,
    #[serde(default, deserialize_with = "lenient")]
    usage: Option<Used>,
}

#[derive(Deserialize)]
struct Block<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Option<Text<'a>>,
    #[serde(borrow, default)]
    text: Option<Text<'a>>,
    #[serde(borrow, default)]
    name: Option<Text<'a>>,
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
}

/// What of a tool's input says what it is about.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Input<'a> {
    #[serde(borrow, deserialize_with = "lenient")]
    command: Option<Text<'a>>,
    #[serde(borrow, deserialize_with = "lenient")]
    file_path: Option<Text<'a>>,
    #[serde(borrow, deserialize_with = "lenient")]
    pattern: Option<Text<'a>>,
    #[serde(borrow, deserialize_with = "lenient")]
    url: Option<Text<'a>>,
    #[serde(borrow, deserialize_with = "lenient")]
    query: Option<Text<'a>>,
    #[serde(borrow, deserialize_with = "lenient")]
    description: Option<Text<'a>>,
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
    fn line(&mut self, bytes: &[u8], report: &mut dyn FnMut(Event<'_>)) -> bool {
        match std::str::from_utf8(bytes) {
            Ok(text) => read(text, report),
            Err(_) => read(&String::from_utf8_lossy(bytes), report),
        }
    }
}

fn read(text: &str, report: &mut dyn FnMut(Event<'_>)) -> bool {
    let Ok(line) = serde_json::from_str::<Line<'_>>(text) else { return false };
    match (line.kind.as_str(), said(line.subtype.as_ref())) {
        ("system", "init") => report(Event::Started {
            session: said(line.session_id.as_ref()),
            version: said(line.claude_code_version.as_ref()),
            model: said(line.model.as_ref()),
        }),
        ("system", "api_retry") => report(Event::Retrying {
            class: word(said(line.error.as_ref())),
            wait_ms: line.retry_delay_ms.max(0.0) as u64,
        }),
        ("assistant", _) => return assistant(&line, report),
        ("rate_limit_event", _) => {
            let info = line.rate_limit_info.as_ref().filter(|info| said(info.status.as_ref()) == "rejected");
            if let Some(resets_at) = info.and_then(|info| info.resets_at) {
                report(Event::Limit { resets_at });
            }
        }
        ("result", _) => result(&line, report),
        _ => {}
    }
    true
}

fn assistant(line: &Line<'_>, report: &mut dyn FnMut(Event<'_>)) -> bool {
    let Some(message) = line.message.and_then(|raw| serde_json::from_str::<Message<'_>>(raw.get()).ok())
    else {
        return false;
    };
    // What a sub-agent says is said to the agent, and so are its errors.
    let own = line.parent_tool_use_id.is_none();
    for block in &message.content {
        match said(block.kind.as_ref()) {
            "text" if own => report(Event::Text(said(block.text.as_ref()))),
            "tool_use" => report(Event::Tool(&tool(block))),
            _ => {}
        }
    }
    let name = said(message.model.as_ref());
    if let Some(usage) = message.usage.filter(|_| name != SYNTHETIC) {
        report(Event::Call { message: said(message.id.as_ref()), model: model(name), tokens: usage.into() });
    }
    if let Some(error) = line.error.as_ref().filter(|_| own) {
        report(Event::Error(word(error.as_str())));
    }
    true
}

fn tool(block: &Block<'_>) -> String {
    let input: Input<'_> =
        block.input.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
    let Input { command, file_path, pattern, url, query, description } = input;
    let about = command.or(file_path).or(pattern).or(url).or(query).or(description);
    let mut text =
        format!("{} {}", said(block.name.as_ref()), said(about.as_ref()).lines().next().unwrap_or_default());
    if let Some((at, _)) = text.char_indices().nth(TOOL) {
        text.truncate(at);
        text.push_str("...");
    }
    text.trim_end().to_owned()
}

fn result(line: &Line<'_>, report: &mut dyn FnMut(Event<'_>)) {
    let message = line.result.as_ref().or(line.errors.first()).map(Text::as_str).unwrap_or_default();
    let mut models: Vec<(&str, Tokens)> =
        line.model_usage.iter().map(|(name, usage)| (model(name.as_str()), (*usage).into())).collect();
    let whole = line.usage.map(Tokens::from).unwrap_or_default();
    if models.is_empty() && whole != Tokens::default() {
        models.push(("", whole));
    }
    let failed = line.is_error || said(line.subtype.as_ref()) != "success";
    report(Event::Ended(Box::new(Ended {
        session: said(line.session_id.as_ref()),
        class: failed.then(|| class(line, message)),
        message,
        turns: line.num_turns,
        models,
        cost_nano_usd: line.total_cost_usd.map(|usd| (usd.max(0.0) * 1e9).round() as u64),
    })));
}

/// The kind of a failed result. The message is looked at last and only by its beginning.
fn class(line: &Line<'_>, message: &str) -> Class {
    let begins = |beginnings: &[&str]| beginnings.iter().any(|beginning| message.starts_with(beginning));
    match (said(line.subtype.as_ref()), line.api_error_status) {
        ("error_max_turns", _) => Class::MaxTurns,
        ("error_during_execution", _) if begins(&["No conversation found"]) => Class::SessionLost,
        // Also said with 429; waiting brings nothing where no reset is named.
        _ if begins(OUT_OF_CREDITS) && !message.contains("resets ") => Class::Billing,
        (_, Some(429)) => Class::RateLimited,
        (_, Some(401 | 403)) => Class::Auth,
        (_, Some(402)) => Class::Billing,
        (_, Some(413)) => Class::Context,
        (_, Some(500..=599)) => Class::Overloaded,
        _ if said(line.terminal_reason.as_ref()) == "prompt_too_long" => Class::Context,
        _ if begins(&["Not logged in", "Invalid API key"]) => Class::Auth,
        _ if begins(&["Credit balance is too low"]) => Class::Billing,
        _ if begins(&["Prompt is too long"]) => Class::Context,
        _ if begins(&["API Error: Unable to connect"]) => Class::Network,
        _ if begins(LIMIT_REACHED) => Class::RateLimited,
        _ => Class::Crash,
    }
}

fn word(error: &str) -> Class {
    match error {
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
