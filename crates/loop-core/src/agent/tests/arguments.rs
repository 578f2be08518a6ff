//! How the CLIs are called.

use crate::agent::{CLAUDE, SCRIPT, Values, adapter, names};

#[test]
fn a_group_without_a_value_is_left_out() {
    let fixed = ["-p", "--output-format", "stream-json", "--verbose", "--dangerously-skip-permissions"];
    assert_eq!(CLAUDE.call(Values::default()), fixed);
    let new = CLAUDE.call(Values { model: Some("opus"), new_session: Some("id"), session: None });
    assert_eq!(new[5..], ["--model", "opus", "--session-id", "id"]);
    let again = CLAUDE.call(Values { model: None, new_session: None, session: Some("id") });
    assert_eq!(again[5..], ["--resume", "id"]);
    assert_eq!(SCRIPT.call(Values { model: Some("opus"), ..Values::default() }), Vec::<String>::new());
}

#[test]
fn adapters_are_found_by_the_names_that_messages_give() {
    for name in names().split(" and ") {
        assert_eq!(adapter(name).map(|adapter| adapter.name), Some(name));
    }
    assert_eq!(adapter(""), None);
    assert!(CLAUDE.reports() && CLAUDE.mapper().is_some());
    assert!(!SCRIPT.reports() && SCRIPT.mapper().is_none());
}
