//! Which paths an agent may not change, and what it did to the tests.
//!
//! A *violation* refuses completion: the spec, a gate's script, CI or test-runner configuration was changed without
//! the plan or the user saying so. A *finding* is put before the reviewer: a test was deleted or is skipped now.

mod changes;
mod defaults;
mod findings;
mod globs;
mod named;
mod rules;
mod scripts;
mod semantic;
mod skips;
mod test_path;
mod words;

pub use changes::{Change, ChangeStatus, parse_raw};
pub use findings::{Finding, test_findings};
pub use rules::{Rules, Violation};
pub use semantic::{
    package_runner_changed, package_scripts_changed, pyproject_tests_changed, setup_cfg_tests_changed,
};
pub use test_path::is_test_path;

/// Why rules could not be built or changes not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A pattern of the configuration is not a glob.
    #[error("the pattern `{glob}` cannot be used: {reason}")]
    Glob {
        /// The pattern as written.
        glob: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An entry is none that a diff between two commits has.
    #[error("the list of changes has an entry that cannot be read: `{0}`")]
    Entry(String),
    /// The list of changes ends within an entry.
    #[error("the list of changes is cut short")]
    CutShort,
}

#[cfg(test)]
mod tests;
