//! The watchdog: four signals by priority, two rewrites, advice (RUN-49..61 as settled in design section 5).

use loop_api::completion::Token;
use loop_api::phase::{WatchdogAction, WatchdogSignal};

use super::state::Iteration;

/// Percent of equal lines above which two outputs count as the same (RUN-51).
const SAME_OUTPUT: u8 = 85;

/// The strongest signal of an iteration (RUN-54). Progress is judged by the tree, never by phrases alone.
pub fn signal(current: &Iteration, previous: &Iteration) -> Option<WatchdogSignal> {
    if current.verified.as_ref().is_some_and(|verified| !verified.passed()) {
        return Some(WatchdogSignal::VerificationFailed);
    }
    let facts = current.implemented.as_ref()?;
    let still = facts.changed_files == 0;
    let still_before = previous.implemented.as_ref().is_some_and(|before| before.changed_files == 0);
    if still && (facts.stalled || still_before) {
        return Some(WatchdogSignal::NoProgress);
    }
    if still && facts.similarity > SAME_OUTPUT && previous.implemented.is_some() {
        return Some(WatchdogSignal::RepeatedTask);
    }
    (facts.token == Token::Malformed).then_some(WatchdogSignal::MalformedComplete)
}

/// What is done about a signal. A failed gate is bounded by its own limit, never by the rewrites (BUG-16).
pub fn action(signal: WatchdogSignal, rewrites: u32, max_rewrites: u32) -> WatchdogAction {
    match signal {
        WatchdogSignal::VerificationFailed => WatchdogAction::Continue,
        _ if rewrites >= max_rewrites => WatchdogAction::Fail,
        _ => WatchdogAction::Rewrite,
    }
}

/// Advice for the next prompt (RUN-58).
pub fn advice(signal: WatchdogSignal) -> &'static str {
    match signal {
        WatchdogSignal::VerificationFailed => {
            "Read the notes below and repair what fails before any new work."
        }
        WatchdogSignal::NoProgress => {
            "The committed tree did not change. Break the task into small concrete steps, finish one of them and \
             commit it. If it cannot be done, mark it `[~]` and say why under Blockers Discovered."
        }
        WatchdogSignal::RepeatedTask => {
            "Your output was the same as in the iteration before. Look at what is already done, then take another \
             approach."
        }
        WatchdogSignal::MalformedComplete => {
            "Your last message named the completion token, but not in its exact form or place. Print \
             <promise>COMPLETE</promise> alone on the last line, and only when every task is done."
        }
    }
}

/// Whether an output speaks of being stuck (RUN-52). Only read together with a tree that stands still.
pub fn speaks_of_stalling(output: &str) -> bool {
    const PHRASES: [&str; 7] = [
        "lack information",
        "cannot proceed",
        "i am stuck",
        "unable to",
        "cannot determine",
        "waiting for clarification",
        "need more context",
    ];
    let output = output.to_lowercase();
    PHRASES.iter().any(|phrase| output.contains(phrase))
}

/// Percent of lines equal at the same position, over the longer line count (RUN-51). Two empty outputs are equal.
pub fn similarity(one: &str, other: &str) -> u8 {
    let longer = one.lines().count().max(other.lines().count());
    if longer == 0 {
        return 100;
    }
    let equal = one.lines().zip(other.lines()).filter(|(left, right)| left == right).count();
    // Rounded up, so that a share above the limit is never cut down to it.
    u8::try_from((equal * 100).div_ceil(longer)).unwrap_or(100)
}
