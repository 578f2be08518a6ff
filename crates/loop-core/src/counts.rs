//! How many tests a gate ran: read from its output or from a `JUnit` report, and compared with the base commit's.

use std::fmt;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

mod junit;
mod line;
mod spread;
mod tap;
mod text;

pub use junit::{from_junit, from_reports};
pub use text::from_output;

/// Tests of one gate run, each counted once.
///
/// A test whose failure was expected (xfail, todo) counts as skipped: it can no longer fail the gate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestCounts {
    /// Tests that ran and passed.
    pub passed: u64,
    /// Tests that ran and failed, errors and time-outs among them.
    pub failed: u64,
    /// Tests that were known and not run.
    pub skipped: u64,
}

impl TestCounts {
    /// All tests known to the gate.
    pub fn total(&self) -> u64 {
        self.run().saturating_add(self.skipped)
    }

    /// Tests that really ran.
    pub fn run(&self) -> u64 {
        self.passed.saturating_add(self.failed)
    }

    /// Counts from a runner that reports a total together with what did not pass.
    fn of_total(total: u64, failed: u64, skipped: u64) -> Self {
        Self { passed: total.saturating_sub(failed).saturating_sub(skipped), failed, skipped }
    }
}

impl AddAssign for TestCounts {
    fn add_assign(&mut self, other: Self) {
        self.passed = self.passed.saturating_add(other.passed);
        self.failed = self.failed.saturating_add(other.failed);
        self.skipped = self.skipped.saturating_add(other.skipped);
    }
}

/// A change of the counts that a reviewer must accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum CountFinding {
    /// Fewer tests ran than on the base commit.
    FewerRun {
        /// Tests run on the base commit.
        before: u64,
        /// Tests run now.
        after: u64,
    },
    /// More tests are skipped than on the base commit.
    MoreSkipped {
        /// Tests skipped on the base commit.
        before: u64,
        /// Tests skipped now.
        after: u64,
    },
}

impl fmt::Display for CountFinding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FewerRun { before, after } => write!(out, "fewer tests run: {after}, before {before}"),
            Self::MoreSkipped { before, after } => {
                write!(out, "more tests skipped: {after}, before {before}")
            }
        }
    }
}

/// What got worse between a gate's counts on the base commit and now.
///
/// A test that fails now and passed before is no finding here: the gate itself says that.
pub fn findings(before: &TestCounts, after: &TestCounts) -> Vec<CountFinding> {
    let mut found = Vec::new();
    if after.run() < before.run() {
        found.push(CountFinding::FewerRun { before: before.run(), after: after.run() });
    }
    if after.skipped > before.skipped {
        found.push(CountFinding::MoreSkipped { before: before.skipped, after: after.skipped });
    }
    found
}

#[cfg(test)]
mod tests;
