//! Money and tokens run out between two steps, and a resumed run gets as much again.

use serde_json::json;

use super::fake::world_with;
use super::scenario::{object, records, resume, run, run_with};

/// Each of the two iterations uses 15 tokens and a cent, so the first already reaches the limit.
fn exceeded(flags: &[&str]) {
    let world = world_with("");
    let said = run_with(&world, &json!({}), flags);
    assert_eq!(said.code, 1, "{}", said.stderr);
    let status = object(&world)["status"].clone();
    assert_eq!(status["phase"], "Failed");
    assert_eq!(status["result"]["exitReason"], "budget_exceeded", "{}", status["result"]);
    assert_eq!((&status["usage"]["tokens"], &status["usage"]["costUSD"]), (&json!(15), &json!("0.01")));
    let said = resume(&world);
    assert_eq!(said.code, 0, "{}", said.stderr);
    let status = object(&world)["status"].clone();
    assert_eq!((&status["usage"]["tokens"], &status["usage"]["costUSD"]), (&json!(30), &json!("0.02")));
    assert_eq!(records(&world, "AGENT_STARTED").len(), 2, "no work was done twice");
}

#[test]
fn a_limit_of_cost_ends_the_run_between_steps() {
    exceeded(&["--max-cost", "0.01"]);
}

#[test]
fn a_limit_of_tokens_ends_the_run_between_steps() {
    exceeded(&["--max-tokens", "15"]);
}

#[test]
fn who_stays_below_both_is_not_stopped() {
    let world = world_with("");
    let said = run(&world, &json!({"limits": {"costUSD": "0.03", "tokens": 31}}));
    assert_eq!(said.code, 0, "{}", said.stderr);
}
