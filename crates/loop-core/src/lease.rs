//! For how long an engine may drive its run, where somebody else decides that: on a cluster one attempt at a run holds its
//! lease (SCH-16..21, design section 8). Who can ask the API server extends the lease in a file; the engine reads it.

use std::cmp::Ordering;
use std::fs;
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The file of a lease. One that cannot be read is no lease: the engine stops rather than go on by a guess.
#[derive(Debug, Clone)]
pub struct Lease(PathBuf);

/// What stands in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Grant {
    /// The attempt that holds it.
    pub attempt: u32,
    /// Seconds that it counts after each word of the API server.
    pub seconds: u32,
    /// Until when, by [`boot_ms`].
    pub until_ms: u64,
    /// Whether somebody else has been given the run: then it never comes back.
    #[serde(default)]
    pub revoked: bool,
}

/// How a lease stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// The engine may work.
    Held,
    /// Nothing was heard for too long; it may come back.
    Lapsed,
    /// The run is somebody else's.
    Revoked,
}

/// What the API server says of who has a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Word {
    /// This attempt.
    Ours,
    /// Another attempt, or nobody any more.
    Theirs,
    /// Something older than this attempt, from a cache.
    Old,
}

impl Word {
    /// Of a run at this attempt, with the pod of the attempt `named` in its status, to the pod of `ours`.
    pub fn of(attempt: u64, named: bool, ours: u32) -> Self {
        match attempt.cmp(&u64::from(ours)) {
            Ordering::Less => Self::Old,
            Ordering::Equal if named => Self::Ours,
            _ => Self::Theirs,
        }
    }
}

impl Grant {
    /// Takes note of a word. What was asked for at `asked`, of [`boot_ms`], is new; what a watch brings may be old, and only
    /// ever takes the lease away.
    pub fn hear(&mut self, word: Word, asked: Option<u64>) {
        match (word, asked) {
            (Word::Ours, Some(asked)) => {
                self.until_ms = self.until_ms.max(asked.saturating_add(u64::from(self.seconds) * 1000));
            }
            (Word::Theirs, _) => self.revoked = true,
            _ => {}
        }
    }

    /// How it stands at a time of [`boot_ms`].
    pub fn hold(&self, now_ms: u64) -> Hold {
        match (self.revoked, now_ms < self.until_ms) {
            (true, _) => Hold::Revoked,
            (false, true) => Hold::Held,
            (false, false) => Hold::Lapsed,
        }
    }
}

impl Lease {
    /// In this file.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Writes it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, grant: &Grant) -> io::Result<()> {
        crate::store::replace_file(&self.0, &serde_json::to_vec(grant)?)
    }

    /// Reads it; `None` when it is not there or is no lease.
    pub fn read(&self) -> Option<Grant> {
        serde_json::from_slice(&fs::read(&self.0).ok()?).ok()
    }

    /// How it stands now.
    pub fn hold(&self) -> Hold {
        self.read().map_or(Hold::Lapsed, |grant| grant.hold(boot_ms()))
    }
}

/// Milliseconds since the machine was started, the same in all its containers; sleep counts, and nobody sets this clock.
pub fn boot_ms() -> u64 {
    #[cfg(target_os = "linux")]
    const CLOCK: nix::time::ClockId = nix::time::ClockId::CLOCK_BOOTTIME;
    #[cfg(not(target_os = "linux"))]
    const CLOCK: nix::time::ClockId = nix::time::ClockId::CLOCK_MONOTONIC;
    // There is always such a clock; a time beyond all leases would end the work and not prolong it.
    nix::time::clock_gettime(CLOCK).map_or(u64::MAX, |time| {
        let (seconds, nanoseconds) = (time.tv_sec().unsigned_abs(), time.tv_nsec().unsigned_abs());
        seconds.saturating_mul(1000).saturating_add(nanoseconds / 1_000_000)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "these are tests")]

    use super::*;

    #[test]
    fn a_lease_counts_until_its_time_and_never_again_once_it_is_somebody_elses() {
        let grant = Grant { attempt: 1, seconds: 60, until_ms: 1000, revoked: false };
        assert_eq!([999, 1000].map(|now| grant.hold(now)), [Hold::Held, Hold::Lapsed]);
        assert_eq!(Grant { revoked: true, ..grant }.hold(0), Hold::Revoked);
    }

    #[test]
    fn a_file_that_is_no_lease_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let lease = Lease::at(folder.path().join("lease"));
        assert_eq!(lease.hold(), Hold::Lapsed, "it is not there");
        let grant = Grant { attempt: 2, seconds: 60, until_ms: boot_ms() + 60_000, revoked: false };
        lease.write(&grant).unwrap();
        assert_eq!((lease.hold(), lease.read()), (Hold::Held, Some(grant)));
        fs::write(folder.path().join("lease"), "{").unwrap();
        assert_eq!(lease.hold(), Hold::Lapsed);
    }
}
