//! The journal: one JSON record a line, hash-chained, never rewritten.
//!
//! Decisions are events, so replay never decides again (design section 5). A torn last line is
//! dropped; anything else that does not parse, or does not chain, stops with a sentence.

mod event;

pub use event::{
    AgentRun, ConfigPlace, ConfigSource, Created, Event, GateOutcome, Granted, Implemented, Merged, Outcome,
    PlanFacts, Postmortem, Refusal, Reviewed, Verdict, Verified, Violation, WorktreeFacts,
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Version of the record format; a reader refuses a journal of another one.
pub const SCHEMA: u32 = 1;

/// What the first record chains to.
pub const GENESIS: &str = "0000000000000000";

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Counts from 1 without gaps.
    pub seq: u64,
    /// Epoch milliseconds.
    pub ts: i64,
    /// First 16 hex digits of the SHA-256 of the line before, without its newline.
    pub prev: String,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// Why a journal cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// Written by another version of the format, or damaged.
    #[error("journal line {line}: {reason}; it was written by another version of loopctl, or was damaged")]
    Line {
        /// Counts from 1.
        line: usize,
        /// What does not parse.
        reason: String,
    },
    /// A line was changed, removed or put in.
    #[error("journal line {line} does not follow from the line before it: the journal was altered")]
    Chain {
        /// Counts from 1.
        line: usize,
    },
    /// An event that cannot be written as JSON.
    #[error("an event cannot be written as JSON: {0}")]
    Encode(String),
}

/// What a journal's bytes hold.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Decoded {
    /// All whole records in order.
    pub records: Vec<Record>,
    /// Bytes that they fill; what follows is a torn line to cut off before the next append.
    pub valid_bytes: u64,
    /// Digest for the next record's `prev`.
    pub head: String,
}

/// Chain digest of a line without its newline.
pub fn digest(line: &[u8]) -> String {
    let mut hex = hex(&Sha256::digest(line));
    hex.truncate(16);
    hex
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]])
        .map(char::from)
        .collect()
}

/// SHA-256 in lower-case hex.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// A record as its line, newline included.
pub fn encode(record: &Record) -> Result<Vec<u8>, Error> {
    let mut line = serde_json::to_vec(record).map_err(|error| Error::Encode(error.to_string()))?;
    line.push(b'\n');
    Ok(line)
}

/// Reads a whole journal. A last line without newline is torn and left out.
pub fn decode(bytes: &[u8]) -> Result<Decoded, Error> {
    let mut decoded = Decoded { head: GENESIS.into(), ..Decoded::default() };
    let mut start = 0;
    while let Some(length) = bytes[start..].iter().position(|byte| *byte == b'\n') {
        let line = &bytes[start..start + length];
        let number = decoded.records.len() + 1;
        let record: Record = serde_json::from_slice(line)
            .map_err(|error| Error::Line { line: number, reason: error.to_string() })?;
        if record.prev != decoded.head || record.seq != number as u64 {
            return Err(Error::Chain { line: number });
        }
        if let Event::RunCreated(created) = &record.event
            && created.schema != SCHEMA
        {
            return Err(Error::Line {
                line: number,
                reason: format!("schema {} instead of {SCHEMA}", created.schema),
            });
        }
        decoded.head = digest(line);
        decoded.records.push(record);
        start += length + 1;
        decoded.valid_bytes = start as u64;
    }
    Ok(decoded)
}

#[cfg(test)]
mod tests;
