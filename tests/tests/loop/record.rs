//! The record that a run leaves: complete, derived from the journal and nothing else, and where it should be.

mod checked;
mod ends;
mod generate;
mod modes;
mod rewritten;
mod verb;
