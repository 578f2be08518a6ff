//! All files of a record, written in one go. Best effort: whatever fails is a sentence and never changes the run
//! (RUN-68).

use std::io;

use loop_api::journal::{Decoded, Event};

use super::{git, mirror, report_tsv, summary};
use crate::git::Trusted;
use crate::machine::State;
use crate::postmortem;
use crate::store::{RunDir, read_journal, replace_file};

/// Writes what the journal of a run adds up to: table, summary, report, digests and copy; with a trusted repository
/// also what git knows. `last` says that nothing is left to be done for the run, so that its files may move (ART-2).
/// Gives a sentence for each file that could not be written.
pub fn write(run: &RunDir, trusted: Option<&Trusted>, last: bool) -> Vec<String> {
    let (decoded, state) = match read_journal(&run.journal()) {
        Ok(read) => read,
        Err(error) => return vec![format!("the record could not be written: {error}")],
    };
    let Some(created) = state.created.as_ref() else { return Vec::new() };
    let mut notes = trusted.map(|trusted| git::write(run, &state, trusted)).unwrap_or_default();
    let mut keep = |name: &str, written: io::Result<()>| {
        if let Err(error) = written {
            notes.push(format!("{name} could not be written: {error}"));
        }
    };
    let records = &decoded.records;
    keep("report.tsv", replace_file(&run.join("report.tsv"), report_tsv(records).as_bytes()));
    if created.spec.artifacts.summary {
        keep("summary.json", write_summary(run, &state));
    }
    keep("report.md", replace_file(&run.join("report.md"), super::report(records, run).as_bytes()));
    if state.phase.is_terminal() {
        keep("the prompts of the analysis", postmortem::write_prompts(run, &state));
    }
    if let Err(error) = mirror::mirror(run, created, last) {
        notes.push(format!("the copy of the record is not complete: {error}"));
    }
    notes
}

fn write_summary(run: &RunDir, state: &State) -> io::Result<()> {
    let Some(summary) = summary(state, run) else { return Ok(()) };
    let mut bytes = serde_json::to_vec_pretty(&summary)?;
    bytes.push(b'\n');
    replace_file(&run.join("summary.json"), &bytes)
}

/// Digest of the record that completed a run; what comes after it, cleanup and postmortem, is no part of the evidence.
pub fn completed_digest(decoded: &Decoded) -> Option<String> {
    let completed = |event: &Event| matches!(event, Event::RunCompleted { .. });
    let at = decoded.records.iter().rposition(|record| completed(&record.event))?;
    Some(decoded.records.get(at + 1).map_or(&decoded.head, |next| &next.prev).clone())
}
