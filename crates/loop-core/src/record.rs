//! The record of a run: files that are made from the journal alone (and, for what git knows, from the trusted
//! repository), so that they can be made again at any time and a kill in the middle costs nothing.

mod files;
mod git;
mod history;
mod log;
mod mirror;
mod report;
mod summary;
mod text;
mod tsv;
mod write;

pub use files::{bring_back, file, folder};
pub use log::{RunLog, log_line};
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

/// Name of the file with the last lines of a log (ART-11).
pub fn tail_name(log: &str) -> String {
    log.replace(".log", ".tail.txt")
}

/// Name of a step's log, relative to the run's folder (ART-10): `iter-02.log`, `iter-02-review.log`, and with the
/// attempt from the second one on, so that the log of an interrupted attempt stays: `iter-02A03.log`.
pub fn log_name(phase: StepPhase, iteration: u32, attempt: u32) -> String {
    let attempt = if attempt > 1 { format!("A{attempt:02}") } else { String::new() };
    let kind = match phase {
        StepPhase::Review => "-review",
        StepPhase::Verification => "-verify",
        _ => "",
    };
    format!("iter-{iteration:02}{attempt}{kind}.log")
}
