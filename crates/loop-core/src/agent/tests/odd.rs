//! What no CLI should print, and every now and then one does.

use super::{fixture, read};
use crate::agent::Class;

const INIT: &str =
    r#"{"type":"system","subtype":"init","session_id":"s-1","model":"m[1m]","claude_code_version":"9"}"#;

fn lines(lines: &[&str]) -> Vec<u8> {
    lines.iter().flat_map(|line| [line.as_bytes(), b"\n"]).flatten().copied().collect()
}

fn call(id: &str, output: u64) -> String {
    format!(
        r#"{{"type":"assistant","message":{{"id":"{id}","model":"m","content":[],"usage":{{"input_tokens":1,"output_tokens":{output}}}}},"session_id":"s-1"}}"#
    )
}

fn result(more: &str) -> String {
    format!(r#"{{"type":"result","subtype":"success","session_id":"s-1","result":"Done.",{more}}}"#)
}

#[test]
fn a_last_line_that_is_cut_is_no_result() {
    let whole = fixture("worked");
    let read = read([&whole[..whole.len() - 20]]);
    assert_eq!((read.unread, read.reading.message.is_none(), read.reading.worked()), (1, true, false));
    let usage = read.reading.usage();
    assert_eq!((usage.incomplete, usage.cost_nano_usd), (1, 0));
    assert_eq!(usage.tokens().input, 220, "what its calls said counts");
}

#[test]
fn success_with_is_error_is_a_failure() {
    let read = read([lines(&[INIT, &result(r#""is_error":true"#)]).as_slice()]);
    assert_eq!((read.reading.class, read.reading.worked()), (Some(Class::Crash), false));
}

#[test]
fn the_event_about_an_error_names_what_the_result_leaves_open() {
    let error = r#"{"type":"assistant","error":"rate_limit","message":{"id":"x","model":"<synthetic>","content":[]}}"#;
    let failed = result(r#""is_error":true"#);
    let class = |all: &[&str]| read([lines(all).as_slice()]).reading.class;
    assert_eq!(class(&[INIT, error, &failed]), Some(Class::RateLimited));
    assert_eq!(
        class(&[INIT, error, &call("a", 1), &failed]),
        Some(Class::Crash),
        "it went on after the error"
    );
    let of_sub_agent = error.replace(r#""error""#, r#""parent_tool_use_id":"t","error""#);
    assert_eq!(class(&[INIT, &of_sub_agent, &failed]), Some(Class::Crash));
}

#[test]
fn a_session_that_changes_is_the_last_one_named() {
    let other = result(r#""is_error":false"#).replace("s-1", "s-2");
    assert_eq!(read([lines(&[INIT, &other]).as_slice()]).reading.session, "s-2");
}

#[test]
fn what_cannot_be_a_session_is_none() {
    for odd in ["--dangerous", "", "a b", "a/../b", &"x".repeat(129)] {
        let other = result(r#""is_error":false"#).replace("s-1", odd);
        assert_eq!(read([lines(&[INIT, &other]).as_slice()]).reading.session, "s-1", "{odd}");
    }
}

#[test]
fn sub_agents_are_counted_and_not_heard() {
    let read = read([fixture("sub-agent").as_slice()]);
    assert_eq!(read.texts, ["It is 42."]);
    assert!(read.tools.iter().any(|tool| tool == "Bash echo 42"), "{:?}", read.tools);
    assert_eq!(read.reading.usage().tokens().output, 125, "two calls of its own and three of the sub-agent");
}

#[test]
fn unknown_events_are_passed_over() {
    let read = read([
        lines(&[INIT, r#"{"type":"dance","steps":[1,{"x":null}]}"#, r#"{"type":"system"}"#]).as_slice()
    ]);
    assert_eq!((read.unread, read.reading.session.as_str()), (0, "s-1"));
}

#[test]
fn what_is_no_json_is_counted_and_harms_nothing() {
    let long = "x".repeat(9 << 20);
    let all =
        lines(&["npm warn", "[]", "{}", r#"{"type":7}"#, &long, INIT, "", &result(r#""is_error":false"#)]);
    let read = read([all.as_slice()]);
    assert_eq!(read.unread, 6);
    assert!(read.reading.worked());
}

#[test]
fn a_line_with_bytes_that_are_no_utf_8_is_read() {
    let mut bytes = lines(&[INIT, &result(r#""is_error":false"#)]);
    let at = bytes.windows(4).position(|part| part == b"Done").unwrap();
    bytes[at] = 0xff;
    let read = read([bytes.as_slice()]);
    assert_eq!(read.reading.message.as_deref(), Some("\u{fffd}one."));
}

#[test]
fn half_a_surrogate_pair_costs_no_result() {
    let cut = result(r#""is_error":false"#).replace("Done.", r"Done \ud83d");
    let read = read([lines(&[INIT, &cut]).as_slice()]);
    assert!(read.reading.worked());
    assert!(read.reading.message.unwrap().starts_with("Done "));
}

#[test]
fn fields_of_another_kind_than_expected_cost_no_result() {
    let odd = result(
        r#""is_error":false,"num_turns":"many","total_cost_usd":null,"errors":[{"message":"x"}],"usage":7,"modelUsage":{"m":{"inputTokens":"x"}},"terminal_reason":{},"api_error_status":"429""#,
    );
    let read = read([lines(&[INIT, &call("a", 3), &odd]).as_slice()]);
    assert_eq!((read.unread, read.reading.worked()), (0, true));
    let usage = read.reading.usage();
    assert_eq!((usage.tokens().output, usage.incomplete), (3, 1), "the calls stand in for the totals");
}

#[test]
fn a_call_that_a_result_holds_is_not_counted_again() {
    let totals =
        r#""is_error":false,"total_cost_usd":0.5,"modelUsage":{"m[1m]":{"inputTokens":1,"outputTokens":9}}"#;
    let all = lines(&[INIT, &call("a", 3), &result(totals), &call("a", 4)]);
    let usage = read([all.as_slice()]).reading.usage();
    assert_eq!((usage.tokens().output, usage.incomplete), (9, 0));
    let all = lines(&[INIT, &call("a", 3), &result(totals), &call("b", 4)]);
    let usage = read([all.as_slice()]).reading.usage();
    assert_eq!((usage.tokens().output, usage.incomplete, usage.cost_usd()), (13, 1, "0.5".to_owned()));
}

#[test]
fn totals_never_go_down() {
    let more = r#""is_error":false,"total_cost_usd":0.5,"modelUsage":{"m":{"outputTokens":9},"n":{"outputTokens":2}}"#;
    let less = r#""is_error":false,"total_cost_usd":0.1,"modelUsage":{"m":{"outputTokens":1}}"#;
    let usage = read([lines(&[INIT, &result(more), &result(less)]).as_slice()]).reading.usage();
    assert_eq!((usage.tokens().output, usage.cost_usd()), (11, "0.5".to_owned()));
}

#[test]
fn names_and_models_without_end_stay_small() {
    let mut reading = String::from(INIT).replace("\"9\"", &format!("\"{}\"", "9".repeat(100_000)));
    let models: Vec<String> =
        (0..1000).map(|number| format!(r#""m{number}{}":{{"outputTokens":1}}"#, "x".repeat(1000))).collect();
    reading.push('\n');
    reading.push_str(&result(&format!(r#""is_error":false,"modelUsage":{{{}}}"#, models.join(","))));
    let read = read([reading.as_bytes()]);
    let record = serde_json::to_string(&read.reading.record("claude", "step", "", "worked")).unwrap();
    assert!(record.len() < 10_000, "{}", record.len());
    assert_eq!(read.reading.usage().tokens().output, 1000);
}

#[test]
fn a_limit_that_is_said_by_its_sentence_alone_is_one() {
    let said = |sentence: &str| {
        let failed = result(r#""is_error":true"#).replace("Done.", sentence);
        read([lines(&[INIT, &failed]).as_slice()]).reading
    };
    let reading = said("Claude AI usage limit reached|1795377600");
    assert_eq!((reading.class, reading.reset_ms(1_795_377_599_000)), (Some(Class::RateLimited), Some(1000)));
    let reading = said("You've hit your Opus limit · resets 8pm (UTC)");
    assert_eq!(
        (reading.class, reading.reset_ms(1_795_377_599_000)),
        (Some(Class::RateLimited), Some(61_000))
    );
    assert_eq!(said("You're out of usage credits").class, Some(Class::Billing));
    assert_eq!(said("I've hit your limit").class, Some(Class::Crash));
}
