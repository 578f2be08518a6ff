//! A journal as the history that people ask about: its steps, and what was decided between them.

use loop_api::journal::{Event, Implemented, Outcome, Record, Refusal, Reviewed, Verified};
use loop_api::phase::{StepPhase, WatchdogAction, WatchdogSignal};
use loop_api::usage::Usage;

use crate::machine::State;

/// One step, as far as it came.
pub(super) struct Step {
    pub(super) id: String,
    pub(super) phase: StepPhase,
    pub(super) iteration: u32,
    pub(super) started_ms: i64,
    pub(super) end: Option<End>,
    /// Reasons and pauses, in milliseconds, of further tries within it.
    pub(super) retries: Vec<(String, u64)>,
    /// What its agent used.
    pub(super) usage: Usage,
}

/// How a step ended.
pub(super) enum End {
    /// With an outcome, after so many milliseconds.
    Finished(u64, Outcome),
    /// Without; found after so many milliseconds.
    Interrupted(u64),
}

/// A run, step by step.
#[derive(Default)]
pub(super) struct History {
    pub(super) state: State,
    pub(super) steps: Vec<Step>,
    /// With their iterations.
    pub(super) refusals: Vec<(u32, Refusal)>,
    pub(super) watched: Vec<(u32, WatchdogSignal, WatchdogAction)>,
    /// Reason of the last analysis.
    pub(super) analysis: String,
    /// Engines that took the run up.
    pub(super) starts: u32,
    /// Further tries of an ended run.
    pub(super) tries: u32,
    agent: bool,
}

impl History {
    /// Reads a journal; what does not follow ends it, as for every other reader.
    pub(super) fn read(records: &[Record]) -> Self {
        let mut history = Self::default();
        for record in records {
            if history.state.apply(record.ts, &record.event).is_err() {
                break;
            }
            history.take(record);
        }
        history
    }

    fn take(&mut self, record: &Record) {
        let iteration = self.state.iteration;
        match &record.event {
            Event::RunStarted { .. } => self.starts += 1,
            Event::RunResumed { again } => self.tries += u32::from(*again),
            Event::StepStarted { step_id, phase, iteration, .. } => self.steps.push(Step {
                id: step_id.clone(),
                phase: *phase,
                iteration: *iteration,
                started_ms: record.ts,
                end: None,
                retries: Vec::new(),
                usage: Usage::default(),
            }),
            Event::AgentRetry { step_id, reason, wait_ms } => {
                if let Some(step) = self.step(step_id) {
                    step.retries.push((reason.clone(), *wait_ms));
                }
            }
            Event::AgentStarted { .. } => self.agent = true,
            Event::AgentFinished(run) => {
                self.agent = false;
                if let Some(step) = self.step(&run.step_id) {
                    step.usage.add(&run.usage);
                }
            }
            Event::StepFinished { step_id, duration_ms, outcome, .. } => {
                if let Some(step) = self.step(step_id) {
                    step.end = Some(End::Finished(*duration_ms, outcome.clone()));
                }
            }
            Event::StepInterrupted { step_id } => {
                let lost = u32::from(std::mem::take(&mut self.agent));
                if let Some(step) = self.step(step_id) {
                    step.usage.incomplete += lost;
                    step.end = Some(End::Interrupted(
                        u64::try_from(record.ts.saturating_sub(step.started_ms)).unwrap_or(0),
                    ));
                }
            }
            Event::CompletionRefused(refusal) => self.refusals.push((iteration, refusal.clone())),
            Event::WatchdogDecision { signal, action, .. } => {
                self.watched.push((iteration, *signal, *action));
            }
            Event::PostmortemStart { reason } => self.analysis.clone_from(reason),
            _ => {}
        }
    }

    fn step(&mut self, id: &str) -> Option<&mut Step> {
        self.steps.iter_mut().rev().find(|step| step.id == id)
    }

    /// Numbers of all iterations that began.
    pub(super) fn iterations(&self) -> impl Iterator<Item = u32> {
        1..=self.state.iteration
    }

    /// The steps of an iteration.
    pub(super) fn steps_of(&self, iteration: u32) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(move |step| step.iteration == iteration && iteration > 0)
    }

    /// What the last implementation of an iteration came to.
    pub(super) fn implemented(&self, iteration: u32) -> Option<&Implemented> {
        self.steps_of(iteration).filter_map(Step::implemented).last()
    }

    /// What the last implementation of all came to.
    pub(super) fn last_implemented(&self) -> Option<&Implemented> {
        self.steps.iter().filter_map(Step::implemented).next_back()
    }

    /// The last review of an iteration.
    pub(super) fn reviewed(&self, iteration: u32) -> Option<&Reviewed> {
        self.steps_of(iteration).filter_map(Step::reviewed).last()
    }

    /// The last gates of an iteration.
    pub(super) fn verified(&self, iteration: u32) -> Option<&Verified> {
        self.steps_of(iteration).filter_map(Step::verified).last()
    }

    /// The last gates of any iteration.
    pub(super) fn last_verified(&self) -> Option<&Verified> {
        let verifications = self.steps.iter().filter(|step| step.phase == StepPhase::Verification);
        verifications.filter_map(Step::verified).next_back()
    }
}

impl Step {
    fn outcome(&self) -> Option<&Outcome> {
        match &self.end {
            Some(End::Finished(_, outcome)) => Some(outcome),
            _ => None,
        }
    }

    /// Milliseconds; 0 while it is open.
    pub(super) fn duration_ms(&self) -> u64 {
        match self.end {
            Some(End::Finished(time, _) | End::Interrupted(time)) => time,
            None => 0,
        }
    }

    pub(super) fn is_interrupted(&self) -> bool {
        matches!(self.end, Some(End::Interrupted(_)))
    }

    fn implemented(&self) -> Option<&Implemented> {
        match self.outcome() {
            Some(Outcome::Implemented(facts)) => Some(facts),
            _ => None,
        }
    }

    pub(super) fn reviewed(&self) -> Option<&Reviewed> {
        match self.outcome() {
            Some(Outcome::Reviewed(review)) => Some(review),
            _ => None,
        }
    }

    fn verified(&self) -> Option<&Verified> {
        match self.outcome() {
            Some(Outcome::Verified(verified)) => Some(verified),
            _ => None,
        }
    }
}
