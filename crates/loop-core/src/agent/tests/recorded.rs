//! Recorded output, each against the file beside it that says what it comes to. `UPDATE=1` writes those files anew.

use serde_json::{Value, json};

use super::{Read, fixture, fixtures, read};
use crate::agent::Class;

fn shown(read: &Read) -> Value {
    let reading = &read.reading;
    let usage = reading.usage();
    json!({
        "session": reading.session,
        "version": reading.version,
        "model": reading.model,
        "texts": read.texts,
        "tools": read.tools,
        "message": reading.message,
        "class": reading.class.map(Class::as_str),
        "worked": reading.worked(),
        "turns": reading.turns,
        "retries": read.retries,
        "unread": read.unread,
        "tokens": usage.models,
        "costUSD": usage.cost_usd(),
        "incomplete": usage.incomplete,
    })
}

#[test]
fn each_recorded_output_is_read_as_the_file_beside_it_says() {
    for (name, bytes) in fixtures() {
        let file = format!("{}/tests/fixtures/claude/{name}.expected.json", env!("CARGO_MANIFEST_DIR"));
        let shown = shown(&read([bytes.as_slice()]));
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&file, serde_json::to_string_pretty(&shown).unwrap() + "\n").unwrap();
        }
        let expected: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        assert_eq!(shown, expected, "{name}");
    }
}

/// The classes once more by hand, since retries and waits hang on them.
#[test]
fn each_kind_of_failure_has_its_class() {
    let classes = [
        ("error-429", Class::RateLimited),
        ("limit-session", Class::RateLimited),
        ("limit-week", Class::RateLimited),
        ("error-500", Class::Overloaded),
        ("error-529", Class::Overloaded),
        ("network", Class::Network),
        ("error-401", Class::Auth),
        ("error-403", Class::Auth),
        ("not-logged-in", Class::Auth),
        ("error-402", Class::Billing),
        ("error-400-billing", Class::Billing),
        ("error-400-prompt-too-long", Class::Context),
        ("max-turns", Class::MaxTurns),
        ("session-lost", Class::SessionLost),
        ("error-404-model", Class::Crash),
    ];
    for (name, class) in classes {
        let read = read([fixture(name).as_slice()]);
        assert_eq!((read.reading.class, read.reading.worked()), (Some(class), false), "{name}");
    }
    for name in ["worked", "resumed", "sub-agent", "background-two-results", "limit-allowed"] {
        assert!(read([fixture(name).as_slice()]).reading.worked(), "{name}");
    }
}

/// The totals of a second result hold those of the first, as a process does that waits for a background command.
#[test]
fn a_second_result_replaces_the_first() {
    let text = String::from_utf8(fixture("background-two-results")).unwrap();
    let results: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|line: &Value| line["type"] == "result")
        .collect();
    assert_eq!(results.len(), 2);
    let read = read([text.as_bytes()]);
    assert_eq!(read.reading.message.as_deref(), Some("Second."));
    let usage = read.reading.usage();
    assert_eq!(usage.cost_usd(), results[1]["total_cost_usd"].to_string());
    assert_eq!(
        usage.tokens().output,
        results[1]["modelUsage"]["claude-opus-4-8"]["outputTokens"].as_u64().unwrap()
    );
}

/// What the recording's own clock said is when the limit resets, and not what the sentence says in minutes.
#[test]
fn a_limit_says_when_it_resets() {
    let now = 1_795_375_757_000;
    let of = |name: &str| read([fixture(name).as_slice()]).reading.reset_ms(now);
    assert_eq!(of("limit-session"), Some(3_600_000));
    assert_eq!(of("error-429"), None, "it does not say");
    let text = String::from_utf8(fixture("limit-week")).unwrap();
    let without: String = text
        .lines()
        .filter(|line| !line.contains("rate_limit_event"))
        .flat_map(|line| [line, "\n"])
        .collect();
    let (event, sentence) =
        (of("limit-week").unwrap(), read([without.as_bytes()]).reading.reset_ms(now).unwrap());
    assert!((event..event + 60_000).contains(&sentence), "{event} {sentence}");
}
