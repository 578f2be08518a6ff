//! The record of a run: files that are made from the journal alone (and, for what git knows, from the trusted
//! repository), so that they can be made again at any time and a kill in the middle costs nothing.

mod files;
mod git;
mod history;
mod log;
mod log_name;
mod mirror;
mod report;
mod summary;
mod text;
mod tsv;
mod write;

pub use files::{bring_back, copy_folder, file, folder, list};
pub use log::{RunLog, log_line};
pub use log_name::{log_name, raw_name, tail_name};
pub use report::report;
pub use summary::summary;
pub use text::{duration, plain};
pub use tsv::report_tsv;
pub use write::{completed_digest, write};

use loop_api::journal::Created;
use loop_api::phase::StepPhase;

/// Model that is asked in steps of a kind: the one that was asked for, else the adapter's default.
fn model(created: &Created, phase: StepPhase) -> Option<&str> {
    crate::agent::asked(&created.spec, phase).and_then(|(_, model)| model)
}
