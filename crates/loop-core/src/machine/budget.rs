//! Limits on what the agents of a run may use, checked between their steps.

use loop_api::journal::Event;
use loop_api::phase::ExitReason;
use loop_api::usage;

use super::state::State;

/// The end of a run that used what it may; another try gets as much again, like iterations (BUG-22).
pub(super) fn exceeded(state: &State) -> Option<Event> {
    let limits = &state.created.as_ref()?.spec.limits;
    let (cost_before, tokens_before) = state.used_before;
    let cost = state.usage.cost_nano_usd.saturating_sub(cost_before);
    let tokens = state.usage.tokens().total().saturating_sub(tokens_before);
    let (what, used, limit) = match (limits.cost_usd.as_deref().and_then(usage::nanos), limits.tokens) {
        (Some(limit), _) if cost >= limit => {
            ("cost", format!("${}", usage::usd(cost)), format!("${}", usage::usd(limit)))
        }
        (_, Some(limit)) if tokens >= limit => {
            ("tokens", format!("{tokens} tokens"), format!("{limit} tokens"))
        }
        _ => return None,
    };
    Some(Event::RunFailed {
        exit_reason: ExitReason::BudgetExceeded,
        reason: format!("budget_exceeded:{what}"),
        message: format!("the agents used {used} of {limit}; resume the run to give it as much again"),
    })
}
