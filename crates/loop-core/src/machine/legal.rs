//! Which event may follow which state; the one table of legal transitions.

use loop_api::journal::{Event, Outcome};
use loop_api::phase::{RunPhase, StepPhase};
use loop_api::run::DeliveryMode;

use super::state::{State, Transition};

impl State {
    /// Says why an event cannot follow, if it cannot.
    pub(super) fn check(&self, event: &Event) -> Result<(), Transition> {
        if self.is_legal(event) {
            return Ok(());
        }
        let event = serde_json::to_value(event)
            .ok()
            .and_then(|value| value["kind"].as_str().map(str::to_owned))
            .unwrap_or_default();
        let open =
            self.open.as_ref().map(|open| format!(", step {} open", open.phase.as_str())).unwrap_or_default();
        Err(Transition { event, state: format!("{}{open}", self.phase.as_str()) })
    }

    fn is_legal(&self, event: &Event) -> bool {
        let ended = self.phase.is_terminal();
        let running = self.phase == RunPhase::Running;
        let deciding = running && self.open.is_none();
        let is_open = |phase| self.open.as_ref().is_some_and(|open| open.phase == phase);
        if self.created.is_none() {
            return matches!(event, Event::RunCreated(_));
        }
        match event {
            Event::RunCreated(_) => false,
            Event::RunStarted { .. } => matches!(self.phase, RunPhase::Pending | RunPhase::Running),
            Event::LeaseGranted { .. } => running,
            // Whatever the run is at, its worker may have to stop.
            Event::LeaseExpired { .. } => true,
            Event::RunResumed { again: false } => self.phase == RunPhase::Paused,
            Event::RunResumed { again: true } => {
                matches!(self.phase, RunPhase::Failed | RunPhase::Canceled) && !self.reset
            }
            Event::RunCanceled => !ended && self.open.is_none(),
            Event::RunPaused => !ended && self.phase != RunPhase::Paused && self.open.is_none(),
            Event::StepStarted { phase, iteration, .. } => {
                self.open.is_none() && self.may_start(*phase, *iteration)
            }
            Event::StepFinished { step_id, outcome, .. } => {
                self.agent.is_none()
                    && self
                        .open
                        .as_ref()
                        .is_some_and(|open| open.id == *step_id && self.fits(open.phase, outcome))
            }
            // Also after the end: the cleanup is a step too, and a cancelled run may have left one open.
            Event::StepInterrupted { step_id } => self.is_step(step_id),
            Event::AgentStarted { step_id, .. } => {
                let asks = is_open(StepPhase::Implementation) || is_open(StepPhase::Review);
                running && asks && self.is_step(step_id) && self.agent.is_none()
            }
            Event::AgentFinished(run) => self.agent.as_ref().is_some_and(|open| open.step_id == run.step_id),
            Event::Checkpoint { step_id, .. } | Event::AgentRetry { step_id, .. } => {
                running && self.is_step(step_id)
            }
            // Of the last checkpoint, whatever the run was at; nothing but the uncommitted can be lost on the way.
            Event::CheckpointRestored { head, .. } => {
                self.checkpoint.as_ref().is_some_and(|(last, _)| last == head)
            }
            Event::WorktreeProviderSelected { .. }
            | Event::WorktreeCreating(_)
            | Event::WorktreeCreated(_) => running && is_open(StepPhase::Prepare) && self.worktree.is_none(),
            Event::WorktreeRemoved { .. } => is_open(StepPhase::Cleanup) && self.cleanup.is_none(),
            Event::CompletionGranted(granted) => {
                let work = self.current.implemented.as_ref();
                deciding
                    && self.granted.is_none()
                    && work.is_some_and(|work| (&work.head, &work.tree) == (&granted.commit, &granted.tree))
            }
            Event::CompletionRefused(_) => {
                deciding && self.granted.is_none() && self.current.refused.is_none()
            }
            Event::RunCompleted { .. } => deciding && self.granted.is_some() && self.is_delivered(),
            Event::WatchdogDecision { .. } => deciding && self.current.watched.is_none(),
            Event::IterationFinished { iteration } => {
                deciding && *iteration == self.iteration && !self.current.finished
            }
            Event::RunFailed { .. } | Event::LimitsChanged { .. } => deciding,
            Event::RunReset => ended && self.open.is_none() && !self.reset,
            Event::PostmortemStart { .. } => ended && self.open.is_none() && !self.analysing,
            Event::PostmortemEnd(_) => ended && self.analysing,
        }
    }

    fn is_step(&self, step_id: &str) -> bool {
        self.open.as_ref().is_some_and(|open| open.id == step_id)
    }

    /// Whether nothing is left to merge.
    pub(super) fn is_delivered(&self) -> bool {
        let merges =
            self.created.as_ref().is_some_and(|created| created.spec.delivery.mode == DeliveryMode::Merge);
        !merges || self.merged.is_some()
    }

    fn may_start(&self, phase: StepPhase, iteration: u32) -> bool {
        if phase == StepPhase::Cleanup {
            return self.phase == RunPhase::Completed && self.cleanup.is_none();
        }
        let current = &self.current;
        self.phase == RunPhase::Running
            && match phase {
                StepPhase::Prepare => self.worktree.is_none(),
                StepPhase::Baseline => self.worktree.is_some() && self.baseline.is_none(),
                StepPhase::Implementation => {
                    let between = self.iteration == 0 || current.finished;
                    let next = if between { self.iteration + 1 } else { self.iteration };
                    self.worktree.is_some() && iteration == next && (between || current.implemented.is_none())
                }
                StepPhase::Review => current.implemented.is_some() && current.reviewed.is_none(),
                StepPhase::Verification => current.implemented.is_some() && current.verified.is_none(),
                StepPhase::Merge => self.granted.is_some() && !self.is_delivered(),
                StepPhase::Cleanup => false,
            }
    }

    /// Whether a step of this kind can come to this; a step that makes something has made it.
    fn fits(&self, phase: StepPhase, outcome: &Outcome) -> bool {
        match (phase, outcome) {
            (StepPhase::Cleanup, outcome) => *outcome == Outcome::Done && self.cleanup.is_some(),
            (StepPhase::Prepare, Outcome::Done) => self.worktree.is_some(),
            (_, Outcome::Failed { .. })
            | (StepPhase::Implementation, Outcome::Implemented(_))
            | (StepPhase::Review, Outcome::Reviewed(_))
            | (StepPhase::Baseline | StepPhase::Verification, Outcome::Verified(_))
            | (StepPhase::Merge, Outcome::Merged(_)) => true,
            _ => false,
        }
    }
}
