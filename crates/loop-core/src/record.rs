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

pub use files::{OPINIONS, bring_back, file, folder};
pub use log::{RunLog, log_line};
pub use report::report;
pub use summary::summary;
pub use text::{duration, plain};
pub use tsv::report_tsv;
pub use write::{completed_digest, write};

use loop_api::journal::Created;

/// Model of the implementer: the one that was asked for, else the adapter's default.
fn model(created: &Created) -> Option<String> {
    let agent = &created.spec.agent;
    let default = || crate::agent::adapter(&agent.adapter)?.default_model.map(str::to_owned);
    agent.model.clone().or_else(default)
}
