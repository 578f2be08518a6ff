//! The next move of a run.

use loop_api::journal::{Event, Postmortem};
use loop_api::phase::{ExitReason, RunPhase, StepPhase};

use super::budget;
use super::grant;
use super::judge::judge;
use super::state::State;
use crate::agent;

/// A step for the driver to execute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Its kind.
    pub phase: StepPhase,
    /// Its iteration; 0 outside the loop.
    pub iteration: u32,
    /// Attempt within the iteration, from 1.
    pub attempt: u32,
    /// For a verification: start from an empty checkout and run the final gates too.
    pub clean: bool,
}

/// What to do now.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "one value at a time, on the stack")]
pub enum Next {
    /// Execute a step and append its events.
    Run(Step),
    /// Append this decision.
    Record(Event),
    /// Have an agent analyse the ended run, for this reason (ART-37).
    Analyze(String),
    /// Nothing is left to do.
    Finish,
}

/// Decides the next move from the state and the time alone.
pub fn next(state: &State, now: i64) -> Next {
    let Some(created) = &state.created else { return Next::Finish };
    let spec = &created.spec;
    if let Some(open) = &state.open {
        return Next::Record(Event::StepInterrupted { step_id: open.id.clone() });
    }
    let run = |phase, iteration, clean| {
        Next::Run(Step { phase, iteration, attempt: state.next_attempt(phase, iteration), clean })
    };
    if state.phase == RunPhase::Paused {
        return Next::Finish;
    }
    if state.ended.is_some() {
        if state.analysing {
            let message = "the engine was killed while the agent was at it; loopctl analyze asks again";
            return Next::Record(Event::PostmortemEnd(Box::new(Postmortem {
                status: "failed".into(),
                message: message.into(),
                ..Postmortem::default()
            })));
        }
        let analyses = agent::adapter(&spec.agent.adapter).is_some_and(|adapter| adapter.analyses);
        if spec.postmortem.enabled && analyses && state.postmortem.is_none() {
            return Next::Analyze(super::end_label(state));
        }
        let clean_up =
            state.phase == RunPhase::Completed && state.merged.is_some() && state.cleanup.is_none();
        return if clean_up { run(StepPhase::Cleanup, 0, false) } else { Next::Finish };
    }
    if let Some(granted) = state.granted.as_ref().filter(|_| state.is_delivered()) {
        // Before the deadline: what has been merged is complete, however late it is.
        return Next::Record(Event::RunCompleted {
            mode: granted.mode.clone(),
            verified: granted.level != grant::UNVERIFIED,
        });
    }
    if let Some(seconds) = spec.limits.active_deadline_seconds
        && now - state.started_ms >= i64::from(seconds) * 1000
    {
        return Next::Record(Event::RunFailed {
            exit_reason: ExitReason::TimedOut,
            reason: format!("timed_out:{seconds}s"),
            message: format!(
                "the run's deadline of {seconds} s passed; resume it to give it another {seconds} s"
            ),
        });
    }
    if let Some((phase, reason, message)) = &state.step_failure {
        // An engine's own trouble in an agent step is not the agent's.
        let asks = matches!(phase, StepPhase::Implementation | StepPhase::Review);
        let agents = asks && reason.starts_with("runner_execution_failed");
        let exit_reason = if agents { ExitReason::AgentFailed } else { ExitReason::Failed };
        return Next::Record(Event::RunFailed {
            exit_reason,
            reason: reason.clone(),
            message: message.clone(),
        });
    }
    if state.worktree.is_none() {
        return run(StepPhase::Prepare, 0, false);
    }
    if state.baseline.is_none() && !spec.gates.is_empty() {
        return run(StepPhase::Baseline, 0, true);
    }
    if state.granted.is_some() {
        return run(StepPhase::Merge, 0, true);
    }
    let current = &state.current;
    if state.iteration == 0 || current.finished {
        // Tested before an implementation only, so that the last one allowed is reviewed and verified too (BUG-9).
        let limit = spec.settings.iterations;
        if state.iterations_used() >= limit {
            return Next::Record(Event::RunFailed {
                exit_reason: ExitReason::IterationsExhausted,
                reason: format!("iteration_limit_reached:{limit}"),
                message: format!(
                    "{limit} iterations were not enough; resume the run to give it as many again"
                ),
            });
        }
    }
    let asks = if state.iteration == 0 || current.finished {
        Some((StepPhase::Implementation, state.iteration + 1))
    } else if current.implemented.is_none() {
        Some((StepPhase::Implementation, state.iteration))
    } else if spec.review.enabled && current.reviewed.is_none() {
        Some((StepPhase::Review, state.iteration))
    } else {
        None
    };
    if let Some((phase, iteration)) = asks {
        // Before agents only: gates cost nothing, and may be all that is missing for the grant.
        return budget::exceeded(state).map_or_else(|| run(phase, iteration, false), Next::Record);
    }
    if !spec.gates.is_empty() && current.verified.is_none() {
        // A request that everything but the gates would grant is verified from scratch, so the grant rests on it.
        return run(StepPhase::Verification, state.iteration, grant::may_grant(state));
    }
    Next::Record(judge(state))
}
