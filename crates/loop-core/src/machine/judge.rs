//! What follows from an iteration whose steps are done: limits, grant or refusal, watchdog, next iteration.

use loop_api::journal::Event;
use loop_api::phase::{ExitReason, WatchdogAction};

use super::grant;
use super::state::State;
use super::watchdog;

/// Refusals of the same thing for the same tree that end a run.
const SAME_REFUSALS: u32 = 3;

/// The next decision of an iteration; each is recorded before the next one is asked for.
pub(super) fn judge(state: &State) -> Event {
    let spec = state.spec();
    let settings = &spec.settings;
    let current = &state.current;

    if current.refused.is_none() && grant::is_asked(state) {
        return match grant::decide(state) {
            Ok(granted) => Event::CompletionGranted(granted),
            Err(refusal) => Event::CompletionRefused(refusal),
        };
    }
    let limits = [
        ("verification", state.failed_verifications, settings.max_consecutive_verification_failures),
        ("review", state.failed_reviews, settings.max_consecutive_review_failures),
    ];
    for (phase, failures, limit) in limits {
        if limit > 0 && failures >= limit {
            return Event::RunFailed {
                exit_reason: ExitReason::Failed,
                reason: format!("max_consecutive_failures:{phase}:{limit}"),
                message: format!(
                    "{phase} failed {limit} times in a row; read its last log, then resume the run"
                ),
            };
        }
    }
    if state.same_refusal >= SAME_REFUSALS
        && let Some(refusal) = &current.refused
    {
        return Event::RunFailed {
            exit_reason: ExitReason::CompletionRefused,
            reason: format!("completion_refused:{}", refusal.reason),
            message: format!(
                "completion was refused {SAME_REFUSALS} times for the same tree: {}",
                refusal.message
            ),
        };
    }
    if let Some(facts) = &current.implemented
        && facts.plan.only_blocked
    {
        let blockers = if facts.plan.blockers.is_empty() {
            format!("blocked: {}", facts.plan.blocked.join("; "))
        } else {
            format!("the plan says: {}", facts.plan.blockers)
        };
        return Event::RunFailed {
            exit_reason: ExitReason::PlanBlocked,
            reason: "plan_blocked".into(),
            message: format!("only blocked tasks are left; {blockers}"),
        };
    }
    if current.watched.is_none()
        && let Some(signal) = watchdog::signal(&state.current, &state.previous)
    {
        let action = watchdog::action(signal, state.rewrites, settings.max_rewrites);
        let rewrite_count = state.rewrites + u32::from(action == WatchdogAction::Rewrite);
        return Event::WatchdogDecision { signal, action, rewrite_count };
    }
    if let Some((signal, WatchdogAction::Fail)) = current.watched {
        return Event::RunFailed {
            exit_reason: ExitReason::Failed,
            reason: format!("watchdog_failed:{}", signal.as_str()),
            message: format!(
                "the agent makes no progress ({}) after {} rewritten prompts; read its last log",
                signal.as_str(),
                state.rewrites
            ),
        };
    }
    Event::IterationFinished { iteration: state.iteration }
}
