//! Which waiting run gets a slot of which worker, and why each other one waits.
//!
//! Pure: values in, values out. What is in use is derived from runs and pods each time and never counted up and down, so
//! that a restart changes no decision and no slot can leak.

mod admissions;
mod entry;
mod pass;
mod policies;
mod pool;
mod refusal;

pub(crate) use admissions::Admissions;
pub(crate) use entry::{Asks, Entry, Place, Pods, Wants, entries, workspace};
pub(crate) use pass::{Pass, Share, Verdict};
pub(crate) use pool::{Cluster, Pool};
pub(crate) use refusal::Refusal;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
