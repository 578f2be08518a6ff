//! The processes of agents that report: which one is at work, which session can be continued, what they used.

use loop_api::journal::AgentRun;
use loop_api::phase::StepPhase;

use super::State;

/// A session of an agent, by which a later process can go on where an earlier one was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// As the CLI names it.
    pub id: String,
    /// Iteration whose implementation it belongs to.
    pub iteration: u32,
}

/// A process of an agent without an end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenAgent {
    /// Its step.
    pub step_id: String,
    /// Its session.
    pub session: String,
    /// Where its raw output begins in the step's `.jsonl`, in bytes.
    pub raw_offset: u64,
}

impl State {
    pub(super) fn start_agent(&mut self, step_id: &str, session: &str, raw_offset: u64) {
        self.note_session(session);
        self.agent = Some(OpenAgent { step_id: step_id.to_owned(), session: session.to_owned(), raw_offset });
    }

    /// Nobody could say any more what the process used.
    pub(super) fn lose_agent(&mut self) {
        if self.agent.take().is_some() {
            self.usage.incomplete += 1;
        }
    }

    fn note_session(&mut self, session: &str) {
        let implementing = self.open.as_ref().filter(|open| open.phase == StepPhase::Implementation);
        if let Some(open) = implementing.filter(|_| !session.is_empty()) {
            self.session = Some(Session { id: session.to_owned(), iteration: open.iteration });
        }
    }

    pub(super) fn finish_agent(&mut self, run: &AgentRun) {
        self.agent = None;
        self.usage.add(&run.usage);
        let implementing = self.open.as_ref().is_some_and(|open| open.phase == StepPhase::Implementation);
        if implementing && !run.program.is_empty() {
            self.program.clone_from(&run.program);
        }
        self.note_session(&run.session);
        // Nothing is left to continue, or it would fail in the same way again.
        if ["session_lost", "context"].contains(&run.ending.as_str()) {
            self.session = None;
        }
    }

    /// The session that an implementation of this iteration goes on with.
    pub fn session_of(&self, iteration: u32) -> Option<&str> {
        self.session
            .as_ref()
            .filter(|session| session.iteration == iteration)
            .map(|session| session.id.as_str())
    }
}
