//! The journal as a file: appended and synced before anything acts on it.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use loop_api::journal::{self, Decoded, Event, Record};

use super::RunDir;
use crate::machine::{State, Transition};
use crate::record::RunLog;

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file system said no; the run has stopped before acting on what it could not write.
    #[error("cannot write the run's journal: {0}")]
    Io(#[from] io::Error),
    /// Its content is not one of ours.
    #[error(transparent)]
    Format(#[from] journal::Error),
    /// Its events contradict each other.
    #[error("the journal contradicts itself: {0}")]
    Transition(#[from] Transition),
}

/// An open journal with the state it adds up to. Only one exists per run: its owner holds the run's lock.
#[derive(Debug)]
pub struct Journal {
    file: File,
    head: String,
    next_seq: u64,
    state: State,
    log: RunLog,
    fail_after: Option<u64>,
}

/// Reads a journal without the right to append.
pub fn read_journal(path: &Path) -> Result<(Decoded, State), JournalError> {
    let decoded = journal::decode(&std::fs::read(path)?)?;
    let state = State::replay(decoded.records.iter().map(|record| (&record.ts, &record.event)))?;
    Ok((decoded, state))
}

impl Journal {
    /// Opens or begins the journal of a run, replays it, cuts a torn last line off and writes `run.log` anew.
    pub fn open(run: &RunDir) -> Result<Self, JournalError> {
        let path = run.journal();
        let mut file = File::options().create(true).truncate(false).read(true).write(true).open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let decoded = journal::decode(&bytes)?;
        if decoded.valid_bytes < bytes.len() as u64 {
            file.set_len(decoded.valid_bytes)?;
        }
        file.seek(SeekFrom::Start(decoded.valid_bytes))?;
        let state = State::replay(decoded.records.iter().map(|record| (&record.ts, &record.event)))?;
        let log = RunLog::open(run, &decoded.records);
        // A test of the product kills it after the N-th append; nothing else sets this.
        let fail_after = std::env::var("LOOP_TEST_KILL_AT_APPEND").ok().and_then(|text| text.parse().ok());
        let next_seq = decoded.records.len() as u64 + 1;
        Ok(Self { file, head: decoded.head, next_seq, state, log, fail_after })
    }

    /// What the journal adds up to.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Checks that an event may follow, writes it, syncs it, and only then takes it in.
    pub fn append(&mut self, event: Event) -> Result<Record, JournalError> {
        let ts = now_ms().max(self.state.last_ms);
        let mut after = self.state.clone();
        after.apply(ts, &event)?;
        let record = Record { seq: self.next_seq, ts, prev: self.head.clone(), event };
        let line = journal::encode(&record)?;
        self.file.write_all(&line)?;
        self.file.sync_data()?;
        self.head = journal::digest(&line[..line.len() - 1]);
        self.next_seq += 1;
        self.state = after;
        self.log.append(&record);
        if self.fail_after == Some(record.seq) {
            crate::exec::kill_self();
        }
        Ok(record)
    }
}

/// The wall clock in epoch milliseconds.
pub fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
