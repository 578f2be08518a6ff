//! The record of a run: files that are made from the journal alone, so that they can be made again at any time.

mod log_name;
mod summary;

pub use log_name::{log_name, raw_name};
pub use summary::summary;
