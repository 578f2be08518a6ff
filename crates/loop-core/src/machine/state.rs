//! What a journal's events add up to.

use loop_api::journal::{
    Created, Event, Granted, Implemented, Merged, Outcome, Postmortem, Refusal, Reviewed, Verified,
    WorktreeFacts,
};
use loop_api::phase::{ExitReason, RunPhase, StepPhase, WatchdogAction, WatchdogSignal};
use loop_api::run::{Counts, Limits, LoopRunSpec, StepSummary};
use loop_api::usage::Usage;

use super::agents::{OpenAgent, Session};

/// An event that cannot follow from the state it meets.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("illegal transition: {event} while {state}")]
pub struct Transition {
    /// What came.
    pub event: String,
    /// What it met.
    pub state: String,
}

/// A step without an end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenStep {
    /// Its id.
    pub id: String,
    /// Its kind.
    pub phase: StepPhase,
    /// Its iteration; 0 outside the loop.
    pub iteration: u32,
    /// Whether a verification started from an empty checkout.
    pub clean: bool,
}

/// What the iteration in progress has come to.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Iteration {
    /// The implementation's facts.
    pub implemented: Option<Implemented>,
    /// The review, when on.
    pub reviewed: Option<Reviewed>,
    /// The gates.
    pub verified: Option<Verified>,
    /// The refusal recorded in it.
    pub refused: Option<Refusal>,
    /// The watchdog's decision recorded in it.
    pub watched: Option<(WatchdogSignal, WatchdogAction)>,
    /// Whether it is over.
    pub finished: bool,
}

/// A run, derived from its journal.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct State {
    /// First record; `None` before it.
    pub created: Option<Box<Created>>,
    /// Time of the first record.
    pub created_ms: i64,
    /// Time of the last start; 0 before.
    pub started_ms: i64,
    /// Time of the last record.
    pub last_ms: i64,
    /// Where it stands.
    pub phase: RunPhase,
    /// How agent and gates are confined.
    pub isolation: String,
    /// Intent to make the worktree, kept until it is there.
    pub creating: Option<WorktreeFacts>,
    /// Branch and worktree.
    pub worktree: Option<WorktreeFacts>,
    /// Gates on the base commit.
    pub baseline: Option<Verified>,
    /// Number of the iteration in progress, from 1; 0 before.
    pub iteration: u32,
    /// Iterations used before the run was last tried again.
    pub iterations_before: u32,
    /// Iteration in progress.
    pub current: Iteration,
    /// The iteration before it.
    pub previous: Iteration,
    /// Step without an end.
    pub open: Option<OpenStep>,
    /// Starts of the open or last step's phase in this iteration.
    pub attempt: u32,
    /// Rewrites used.
    pub rewrites: u32,
    /// Verifications failed in a row (DOM-28).
    pub failed_verifications: u32,
    /// Reviews failed in a row (DOM-28).
    pub failed_reviews: u32,
    /// How often the last refusal came for the same tree.
    pub same_refusal: u32,
    /// The last refusal.
    pub last_refusal: Option<Refusal>,
    /// The agent step that failed for good.
    pub step_failure: Option<(StepPhase, String, String)>,
    /// The grant.
    pub granted: Option<Granted>,
    /// Time of the grant; 0 before.
    pub granted_ms: i64,
    /// Time of the end; 0 before.
    pub ended_ms: i64,
    /// Gates that stood behind it.
    pub granted_gates: Option<Verified>,
    /// The merge.
    pub merged: Option<Merged>,
    /// How it ended: reason for programs, reason, message.
    pub ended: Option<(ExitReason, String, String)>,
    /// Whether evidence stands behind a completed run.
    pub evidenced: bool,
    /// What became of the worktree at the end: status and message.
    pub cleanup: Option<(String, String)>,
    /// Last known tip of the run branch and snapshot of the worktree.
    pub checkpoint: Option<(String, String)>,
    /// Tip of the run branch before the iteration's own work; of failed ones before it, too.
    pub iteration_base: String,
    /// Last ten steps.
    pub steps: Vec<StepSummary>,
    /// Implementations that ended.
    pub implementations: u32,
    /// Exit code and log of the last implementation that ended.
    pub last_implementation: Option<(i32, String)>,
    /// Process of an agent without an end.
    pub agent: Option<OpenAgent>,
    /// Session of the last implementation, as long as it can be continued.
    pub session: Option<Session>,
    /// Name and version of the CLI that implemented last, by its own word; empty when it says none.
    pub program: String,
    /// What the agents of all steps used.
    pub usage: Usage,
    /// What happened so far.
    pub counts: Counts,
    /// Cost in billionths of a dollar, and tokens, used before the run was last tried again.
    pub used_before: (u64, u64),
    /// Whether the user gave the ended run up.
    pub reset: bool,
    /// Time of the pause that no engine has gone on after; 0 without one.
    pub paused_ms: i64,
    /// Whether an analysis has begun that has no end.
    pub analysing: bool,
    /// The last analysis of this end.
    pub postmortem: Option<Postmortem>,
    /// Time and duration bookkeeping of the open step.
    step_started_ms: i64,
    last_step: (Option<StepPhase>, u32),
}

impl State {
    /// Replays a whole journal.
    pub fn replay<'a>(records: impl IntoIterator<Item = (&'a i64, &'a Event)>) -> Result<Self, Transition> {
        let mut state = Self::default();
        for (ts, event) in records {
            state.apply(*ts, event)?;
        }
        Ok(state)
    }

    /// The resolved spec; the default one before the first record.
    pub fn spec(&self) -> LoopRunSpec {
        self.created.as_ref().map(|created| created.spec.clone()).unwrap_or_default()
    }

    /// Iterations that count against the limit.
    pub fn iterations_used(&self) -> u32 {
        self.iteration.saturating_sub(self.iterations_before)
    }

    /// Takes one event in, or says why it cannot follow.
    pub fn apply(&mut self, ts: i64, event: &Event) -> Result<(), Transition> {
        self.check(event)?;
        self.last_ms = ts;
        match event {
            Event::RunCreated(created) => {
                self.created = Some(created.clone());
                self.created_ms = ts;
            }
            Event::RunStarted { isolation, .. } => self.start(ts, isolation),
            Event::RunResumed { again } => self.resume(*again),
            Event::WorktreeCreating(facts) => self.creating = Some(facts.clone()),
            Event::WorktreeCreated(facts) => {
                self.creating = None;
                self.worktree = Some(facts.clone());
                self.checkpoint = Some((facts.base_commit.clone(), facts.base_commit.clone()));
            }
            Event::StepStarted { step_id, phase, iteration, attempt, clean } => {
                self.attempt = *attempt;
                self.counts.step_retries += u32::from(*attempt > 1);
                let step =
                    OpenStep { id: step_id.clone(), phase: *phase, iteration: *iteration, clean: *clean };
                self.start_step(ts, step);
            }
            Event::Checkpoint { head, snapshot, .. } => {
                self.checkpoint = Some((head.clone(), snapshot.clone()));
            }
            Event::CheckpointRestored { head, snapshot } => {
                self.checkpoint = Some((head.clone(), snapshot.clone()));
                // The folder of the agent's CLI, where its sessions are, did not come along.
                self.session = None;
            }
            Event::LimitsChanged { limits } => self.change_limits(limits),
            Event::AgentStarted { step_id, session, raw_offset, .. } => {
                self.start_agent(step_id, session, *raw_offset);
            }
            Event::AgentFinished(run) => self.finish_agent(run),
            Event::StepFinished { duration_ms, outcome, exit_code, output_path, .. } => {
                if self.open.as_ref().is_some_and(|open| open.phase == StepPhase::Implementation) {
                    self.last_implementation = Some((*exit_code, output_path.clone()));
                }
                self.finish_step(*duration_ms, outcome);
            }
            Event::StepInterrupted { .. } => {
                self.open = None;
                self.lose_agent();
                self.note_step("interrupted", u64::try_from(ts - self.step_started_ms).unwrap_or(0), "");
            }
            Event::CompletionRefused(refusal) => {
                let same = self
                    .last_refusal
                    .as_ref()
                    .is_some_and(|last| last.reason == refusal.reason && last.tree == refusal.tree);
                self.same_refusal = if same { self.same_refusal + 1 } else { 1 };
                self.current.refused = Some(refusal.clone());
                self.last_refusal = Some(refusal.clone());
            }
            Event::CompletionGranted(granted) => {
                self.granted_gates = self.current.verified.clone();
                self.granted_ms = ts;
                self.granted = Some(granted.clone());
            }
            Event::WatchdogDecision { signal, action, rewrite_count } => {
                self.current.watched = Some((*signal, *action));
                self.rewrites = *rewrite_count;
                self.counts.rewrites += u32::from(*action == WatchdogAction::Rewrite);
            }
            Event::IterationFinished { .. } => self.current.finished = true,
            Event::RunCompleted { verified, .. } => {
                self.phase = RunPhase::Completed;
                self.ended_ms = ts;
                self.evidenced = *verified;
                self.ended = Some((ExitReason::CompletePlan, "complete_plan".into(), String::new()));
            }
            Event::RunFailed { exit_reason, reason, message } => {
                self.phase = RunPhase::Failed;
                self.ended_ms = ts;
                self.ended = Some((*exit_reason, reason.clone(), message.clone()));
            }
            Event::RunPaused => {
                self.phase = RunPhase::Paused;
                // Paused while it waited to go on after a pause: both count.
                self.paused_ms = if self.paused_ms > 0 { self.paused_ms } else { ts };
            }
            Event::RunCanceled => {
                self.phase = RunPhase::Canceled;
                self.ended_ms = ts;
                self.ended = Some((ExitReason::Canceled, "canceled".into(), "canceled by the user".into()));
            }
            Event::WorktreeRemoved { status, message } => {
                self.cleanup = Some((status.clone(), message.clone()));
            }
            Event::RunReset => self.give_up(),
            Event::PostmortemStart { .. } => self.analysing = true,
            Event::PostmortemEnd(postmortem) => {
                self.analysing = false;
                self.postmortem = Some((**postmortem).clone());
            }
            Event::WorktreeProviderSelected { .. }
            | Event::AgentRetry { .. }
            | Event::LeaseGranted { .. }
            | Event::LeaseExpired { .. } => {}
        }
        Ok(())
    }

    fn give_up(&mut self) {
        self.reset = true;
        self.analysing = false;
        self.cleanup = Some(("reset".into(), String::new()));
    }

    fn start_step(&mut self, ts: i64, step: OpenStep) {
        let OpenStep { phase, iteration, .. } = step;
        if phase == StepPhase::Implementation && iteration > self.iteration {
            // What a failed implementation left is nobody's yet: the next one to end well answers for it.
            if self.iteration == 0 || self.current.implemented.is_some() {
                self.iteration_base =
                    self.checkpoint.as_ref().map(|(head, _)| head.clone()).unwrap_or_default();
            }
            self.iteration = iteration;
            let ended = std::mem::take(&mut self.current);
            // A failed implementation says nothing; the notes of the one before it still hold.
            if ended.implemented.is_some() {
                self.previous = ended;
            }
        }
        self.last_step = (Some(phase), iteration);
        self.step_started_ms = ts;
        self.open = Some(step);
        self.steps.push(StepSummary {
            phase: phase.as_str().into(),
            iteration,
            attempt: self.attempt,
            state: "running".into(),
            ..StepSummary::default()
        });
        if self.steps.len() > 10 {
            self.steps.remove(0);
        }
    }

    fn change_limits(&mut self, limits: &Limits) {
        if let Some(created) = self.created.as_mut() {
            created.spec.limits = limits.clone();
        }
    }

    /// Somebody wants it to go on. Its phase says so at once; its clocks wait for the engine.
    fn resume(&mut self, again: bool) {
        self.phase = RunPhase::Pending;
        if again {
            // Another try starts with fresh limits, or the old counters would end it at once (BUG-22).
            self.started_ms = 0;
            self.paused_ms = 0;
            self.iterations_before = self.iteration;
            self.rewrites = 0;
            self.failed_verifications = 0;
            self.failed_reviews = 0;
            self.same_refusal = 0;
            self.last_refusal = None;
            self.step_failure = None;
            self.ended = None;
            self.used_before = (self.usage.cost_nano_usd, self.usage.tokens().total());
            self.analysing = false;
            self.postmortem = None;
            if self.granted.is_none() && self.iteration > 0 {
                self.current.finished = true;
            }
        }
    }

    fn start(&mut self, ts: i64, isolation: &str) {
        self.phase = RunPhase::Running;
        self.isolation = isolation.into();
        if self.started_ms == 0 {
            self.started_ms = ts;
        } else if self.paused_ms > 0 {
            // A deadline does not run while the user has the run paused, nor while it waits to go on after that.
            self.started_ms += ts - self.paused_ms;
        }
        self.paused_ms = 0;
    }

    fn finish_step(&mut self, duration_ms: u64, outcome: &Outcome) {
        let phase = self.open.take().map(|open| open.phase);
        let (state, message) = match outcome {
            Outcome::Failed { message, .. } => ("failed", message.clone()),
            Outcome::Verified(verified) if !verified.passed() && phase == Some(StepPhase::Verification) => {
                ("failed", "a gate failed".into())
            }
            Outcome::Reviewed(reviewed)
                if reviewed.verdict == loop_api::journal::Verdict::ChangesRequested =>
            {
                ("failed", "changes requested".into())
            }
            _ => ("succeeded", String::new()),
        };
        self.note_step(state, duration_ms, &message);
        match outcome {
            Outcome::Implemented(facts) => {
                self.implementations += 1;
                self.checkpoint = Some((facts.head.clone(), facts.snapshot.clone()));
                self.current.implemented = Some((**facts).clone());
            }
            Outcome::Reviewed(reviewed) => {
                self.failed_reviews = if state == "failed" { self.failed_reviews + 1 } else { 0 };
                self.current.reviewed = Some(reviewed.clone());
            }
            Outcome::Verified(verified) if phase == Some(StepPhase::Baseline) => {
                self.baseline = Some(verified.clone());
            }
            Outcome::Verified(verified) => {
                self.counts.verifications_passed += u32::from(verified.passed());
                self.counts.verifications_failed += u32::from(!verified.passed());
                self.failed_verifications = if state == "failed" { self.failed_verifications + 1 } else { 0 };
                self.current.verified = Some(verified.clone());
            }
            Outcome::Merged(merged) => self.merged = Some(merged.clone()),
            Outcome::Failed { reason, message } => {
                if let Some(phase) = phase {
                    self.step_failure = Some((phase, reason.clone(), message.clone()));
                }
            }
            Outcome::Done if phase == Some(StepPhase::Prepare) => self.counts.worktree_ms = duration_ms,
            Outcome::Done => {}
        }
    }

    fn note_step(&mut self, state: &str, duration_ms: u64, message: &str) {
        if let Some(step) = self.steps.last_mut() {
            step.state = state.into();
            step.duration_ms = duration_ms;
            step.message = message.into();
        }
    }

    /// The attempt number that the next start of this step gets (DOM-18).
    pub fn next_attempt(&self, phase: StepPhase, iteration: u32) -> u32 {
        if self.last_step == (Some(phase), iteration) { self.attempt + 1 } else { 1 }
    }
}
