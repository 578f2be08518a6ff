//! The loop: machine, driver, executor, git, gates and evidence. No Kubernetes.

pub mod agent;
pub mod config;
pub mod control;
pub mod counts;
pub mod create;
pub mod delivery;
pub mod engine;
mod environment;
pub mod exec;
pub mod far;
pub mod git;
pub mod lease;
pub mod machine;
mod notes;
pub mod object;
pub mod postmortem;
mod prompt;
pub mod protect;
pub mod queue;
pub mod record;
pub mod replay;
mod retry;
pub mod store;
pub mod tidy;
mod worktree;

pub use environment::of_caller as caller_environment;

/// A new time-ordered id (DOM-1).
pub fn new_uid() -> String {
    uuid::Uuid::now_v7().to_string()
}
