//! `loopctl inspect`: the summary and the run's timeline.

use loop_api::journal::Record;
use loop_api::run::rfc3339;
use loop_core::machine::State;

use super::{progress, summary};
use crate::runs::Recorded;

/// Lines of a long timeline that are shown at its end.
const MOST: usize = 400;

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
