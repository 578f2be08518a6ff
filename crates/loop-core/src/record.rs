//! The record of a run: files that are made from the journal alone, so that they can be made again at any time.

mod summary;

pub use summary::summary;
