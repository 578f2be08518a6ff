//! The steps of a run that somebody who listens to its agents wants to know of.

use loop_api::journal::{Event, Record};
use loop_api::phase::StepPhase;
use loop_api::run::LoopRunSpec;
use loop_core::{agent, record};

/// A step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    id: String,
    phase: StepPhase,
    iteration: u32,
    attempt: u32,
    /// Its log by the journal, once it has ended and has one.
    pub(super) output_path: Option<String>,
    /// Whether nothing more comes of it.
    pub(super) over: bool,
}

/// Steps in which agents or gates work, oldest first.
pub(super) fn steps(records: &[Record]) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for record in records {
        match &record.event {
            Event::StepStarted { step_id, phase, iteration, attempt, .. } => {
                if let Some(last) = steps.last_mut() {
                    last.over = true;
                }
                let phases = [StepPhase::Implementation, StepPhase::Review, StepPhase::Verification];
                if phases.contains(phase) {
                    let (phase, iteration, attempt) = (*phase, *iteration, *attempt);
                    let id = step_id.clone();
                    steps.push(Step { id, phase, iteration, attempt, output_path: None, over: false });
                }
            }
            Event::StepFinished { step_id, output_path, .. } => {
                for step in steps.iter_mut().filter(|step| step.id == *step_id) {
                    step.over = true;
                    step.output_path = Some(output_path.clone()).filter(|path| !path.is_empty());
                }
            }
            Event::StepInterrupted { step_id } => {
                for step in steps.iter_mut().filter(|step| step.id == *step_id) {
                    step.over = true;
                }
            }
            _ => {}
        }
    }
    steps
}

/// The agent that works in steps of a kind.
fn agent_of(phase: StepPhase, spec: &LoopRunSpec) -> &str {
    match (phase, &spec.review.adapter) {
        (StepPhase::Review, Some(reviewer)) => reviewer,
        _ => &spec.agent.adapter,
    }
}

/// Whether an agent of this run leaves raw events.
pub(super) fn reports(spec: &LoopRunSpec) -> bool {
    [StepPhase::Implementation, StepPhase::Review].into_iter().any(|phase| reports_in(phase, spec))
}

fn reports_in(phase: StepPhase, spec: &LoopRunSpec) -> bool {
    agent::adapter(agent_of(phase, spec)).is_some_and(agent::Adapter::reports)
}

impl Step {
    /// Whether an agent speaks in it; with `raw`, one that leaves raw events.
    pub(super) fn speaks(&self, spec: &LoopRunSpec, raw: bool) -> bool {
        let agents = matches!(self.phase, StepPhase::Implementation | StepPhase::Review);
        agents && (!raw || reports_in(self.phase, spec))
    }

    /// File with what the agent says, relative to the run's folder.
    pub(super) fn file(&self, raw: bool) -> String {
        let named = || record::log_name(self.phase, self.iteration, self.attempt);
        let log = self.output_path.clone().unwrap_or_else(named);
        if raw { record::raw_name(&log) } else { log }
    }

    /// What it is, for people.
    pub(super) fn heading(&self) -> String {
        let again = if self.attempt > 1 { format!(", attempt {}", self.attempt) } else { String::new() };
        let what = match self.phase {
            StepPhase::Verification => "the gates run",
            phase => phase.as_str(),
        };
        format!("==> iteration {}{again}: {what}", self.iteration)
    }
}

#[cfg(test)]
mod tests {
    use loop_api::journal::{Outcome, Record};

    use super::*;

    fn record(event: Event) -> Record {
        Record { seq: 1, ts: 0, prev: String::new(), event }
    }

    fn started(id: &str, phase: StepPhase, iteration: u32, attempt: u32) -> Record {
        record(Event::StepStarted { step_id: id.into(), phase, iteration, attempt, clean: false })
    }

    fn finished(id: &str, output_path: &str) -> Record {
        record(Event::StepFinished {
            step_id: id.into(),
            exit_code: 0,
            duration_ms: 1,
            output_path: output_path.into(),
            output_bytes: 0,
            output_lines: 0,
            outcome: Outcome::Done,
        })
    }

    #[test]
    fn bug_12_a_step_is_there_from_its_start_and_a_failed_one_stays() {
        let mut records = vec![
            started("a", StepPhase::Prepare, 0, 1),
            finished("a", ""),
            started("b", StepPhase::Implementation, 1, 1),
        ];
        assert_eq!(steps(&records)[0].file(false), "iter-01.log");
        assert!(!steps(&records)[0].over);
        records.push(record(Event::StepInterrupted { step_id: "b".into() }));
        records.push(started("c", StepPhase::Implementation, 1, 2));
        records.push(finished("c", "named-by-the-journal.log"));
        records.push(started("d", StepPhase::Review, 1, 1));
        let steps = steps(&records);
        let files: Vec<String> = steps.iter().map(|step| step.file(false)).collect();
        assert_eq!(files, ["iter-01.log", "named-by-the-journal.log", "iter-01-review.log"]);
        assert_eq!(steps.iter().map(|step| step.over).collect::<Vec<_>>(), [true, true, false]);
        assert_eq!(steps[1].file(true), "named-by-the-journal.jsonl");
        assert_eq!(steps[1].heading(), "==> iteration 1, attempt 2: implementation");
    }

    #[test]
    fn raw_events_are_those_of_agents_that_report() {
        let steps = steps(&[
            started("a", StepPhase::Implementation, 1, 1),
            started("b", StepPhase::Review, 1, 1),
            started("c", StepPhase::Verification, 1, 1),
        ]);
        let mut spec = LoopRunSpec::default();
        spec.agent.adapter = "script".into();
        let who =
            |spec: &LoopRunSpec, raw| steps.iter().map(|step| step.speaks(spec, raw)).collect::<Vec<_>>();
        assert_eq!(who(&spec, false), [true, true, false]);
        assert!(!reports(&spec));
        spec.review.adapter = Some("claude".into());
        assert_eq!(who(&spec, true), [false, true, false]);
        assert!(reports(&spec));
    }
}
