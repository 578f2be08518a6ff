//! The record of a run: files that are made from the journal alone, so that they can be made again at any time.

mod summary;

pub use summary::summary;

use loop_api::phase::StepPhase;

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
