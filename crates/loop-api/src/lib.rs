//! The contract of Agentloop: the `LoopRun` object, the journal's wire form, evidence,
//! the plan checklist and the names that every other part agrees on.
//!
//! No input or output happens here, and no client lives here.

pub mod checklist;
pub mod completion;
#[cfg(feature = "crd")]
pub mod crd;
pub mod evidence;
pub mod journal;
pub mod names;
pub mod naming;
pub mod phase;
pub mod run;
pub mod spec_file;
pub mod summary;
pub mod usage;
#[cfg(feature = "crd")]
pub mod worker;
