//! What a process used whose engine was killed: read from the raw log, which the engine wrote itself.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};

use loop_api::journal::Event;

use crate::agent::{self, Lines, Reading};
use crate::exec::KEEP;
use crate::machine::State;
use crate::record::{log_name, raw_name};
use crate::store::RunDir;

/// What a dead engine left open, brought to an end: events to append, in this order, before one that needs no open step.
pub fn unfinished(run: &RunDir, state: &State) -> Vec<Event> {
    let interrupted = state.open.as_ref().map(|open| Event::StepInterrupted { step_id: open.id.clone() });
    account(run, state).into_iter().chain(interrupted).collect()
}

/// The end of the process that the journal holds without one, so that what it used is counted, and counted once.
///
/// What stands in the log's later half when it was cut in the middle of a long output is not read; a process without a
/// result is counted as incomplete anyway.
pub(in crate::engine) fn account(run: &RunDir, state: &State) -> Option<Event> {
    let (process, step) = (state.agent.as_ref()?, state.open.as_ref()?);
    let spec = &state.created.as_ref()?.spec;
    let (adapter, _) = agent::asked(spec, step.phase)?;
    let mut mapper = adapter.mapper()?;
    let (mut lines, mut reading) = (Lines::default(), Reading::default());
    let log = run.join(raw_name(&log_name(step.phase, step.iteration, state.attempt)));
    let mut take = |line: Option<&[u8]>| {
        reading.line(mapper.as_mut(), line, &mut |_| {});
    };
    // A log that cannot be read says nothing; the process is then counted as one that did not.
    if let Ok(mut file) = File::open(log)
        && file.seek(SeekFrom::Start(process.raw_offset)).is_ok()
    {
        let mut file = file.take(KEEP.saturating_sub(process.raw_offset));
        let mut buffer = vec![0; 64 << 10];
        while let Ok(read @ 1..) = file.read(&mut buffer) {
            lines.push(&buffer[..read], &mut take);
        }
        lines.finish(&mut take);
    }
    let mut record = reading.record(adapter.name, &process.step_id, &process.session, "interrupted");
    if !reading.worked() {
        record.usage.incomplete = 1;
    }
    Some(Event::AgentFinished(Box::new(record)))
}
