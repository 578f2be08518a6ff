//! `loopctl inspect`: the summary and the run's timeline.

use std::collections::BTreeSet;

use loop_api::journal::{Event, Record};
use loop_api::run::{LoopRunSpec, rfc3339};
use loop_core::agent;
use loop_core::machine::State;

use super::{progress, summary, used};
use crate::runs::Recorded;

/// Lines of a long timeline that are shown at its end.
const MOST: usize = 400;

/// Who implements and who reviews, with which model.
fn agents(spec: &LoopRunSpec) -> String {
    let named = |adapter: &str, model: Option<&str>| {
        let usual = agent::adapter(adapter).and_then(|adapter| adapter.default_model);
        model.or(usual).map_or_else(|| adapter.to_owned(), |model| format!("{adapter}, model {model}"))
    };
    let implementer = &spec.agent;
    let mut text = format!("Agent      {}\n", named(&implementer.adapter, implementer.model.as_deref()));
    if spec.review.enabled {
        let adapter = spec.review.adapter.as_deref().unwrap_or(&implementer.adapter);
        // Another agent has models of its own.
        let inherited = implementer.model.as_deref().filter(|_| adapter == implementer.adapter);
        let model = spec.review.model.as_deref().or(inherited);
        text.push_str(&format!("Reviewer   {}\n", named(adapter, model)));
    }
    text
}

/// Sessions that agents began.
fn sessions(records: &[Record]) -> usize {
    let mut seen = BTreeSet::new();
    for record in records {
        let session = match &record.event {
            Event::AgentStarted { session, .. } => session,
            Event::AgentFinished(run) => &run.session,
            _ => continue,
        };
        if !session.is_empty() {
            seen.insert(session.as_str());
        }
    }
    seen.len()
}

/// A run for people.
pub(crate) fn text(run: &Recorded, records: &[Record]) -> String {
    let mut state = State::default();
    let mut timeline = Vec::new();
    for record in records {
        if state.apply(record.ts, &record.event).is_err() {
            break;
        }
        let time = rfc3339(record.ts);
        let time = time.split('T').nth(1).unwrap_or_default().trim_end_matches('Z').to_owned();
        timeline.extend(progress::lines(record, &state).into_iter().map(|line| format!("  {time}  {line}")));
    }
    let mut text = String::new();
    if let Some(created) = &run.state.created {
        text.push_str(&format!("Run        {} ({})\n", created.name, created.run_id));
        text.push_str(&format!("Created    {}\n", rfc3339(run.state.created_ms)));
        text.push_str(&format!("Workspace  {}\n", created.workspace_root));
        text.push_str(&format!("Base       {} at {}\n", created.base_branch, created.base_commit));
        let task = &created.spec.task;
        text.push_str(&format!("Spec       {}\n", task.spec_path.as_deref().unwrap_or("-")));
        text.push_str(&format!("Plan       {}\n", task.plan_path.as_deref().unwrap_or("-")));
        text.push_str(&agents(&created.spec));
        let count = sessions(records);
        if count > 0 {
            text.push_str(&format!("Sessions   {count}\n"));
        }
        if !run.state.usage.is_empty() {
            text.push_str(&format!("Usage      {} (source: reported)\n", used(&run.state.usage)));
        }
        for gate in &created.spec.gates {
            text.push_str(&format!("Gate       {}: {}\n", gate.name, gate.run));
        }
    }
    text.push_str("\nTimeline (UTC)\n");
    if timeline.len() > MOST {
        text.push_str(&format!("  ... {} earlier lines are in the journal\n", timeline.len() - MOST));
    }
    for line in &timeline[timeline.len().saturating_sub(MOST)..] {
        text.push_str(line);
        text.push('\n');
    }
    text + &summary::text(run)
}

#[cfg(test)]
mod tests {
    use loop_api::journal::AgentRun;

    use super::*;

    #[test]
    fn agents_are_named_with_the_model_that_they_use() {
        let mut spec = LoopRunSpec::default();
        spec.agent.adapter = "script".into();
        assert_eq!(agents(&spec), "Agent      script\nReviewer   script\n");
        spec.review.adapter = Some("claude".into());
        spec.agent.model = Some("other".into());
        assert_eq!(agents(&spec), "Agent      script, model other\nReviewer   claude, model opus\n");
        spec.agent.adapter = "claude".into();
        assert_eq!(agents(&spec), "Agent      claude, model other\nReviewer   claude, model other\n");
        spec.review.enabled = false;
        assert_eq!(agents(&spec), "Agent      claude, model other\n");
    }

    #[test]
    fn a_session_that_is_continued_is_one() {
        let record = |event| Record { seq: 1, ts: 0, prev: String::new(), event };
        let started = |session: &str, resumed| {
            record(Event::AgentStarted {
                step_id: "s".into(),
                session: session.into(),
                resumed,
                raw_offset: 0,
            })
        };
        let run = AgentRun { session: "b".into(), ..AgentRun::default() };
        let records = [
            started("a", false),
            started("a", true),
            started("", false),
            record(Event::AgentFinished(Box::new(run))),
        ];
        assert_eq!(sessions(&records), 2);
    }
}
