//! One test binary for the upper rungs; each module is a theme.

mod bad_input;
mod config;
mod defects;
mod docs;
mod gates;
mod honest;
mod killed;
mod lists;
mod merging;
mod misbehaving;
mod pause;
mod prompt;
mod queue;
mod record;
mod sparse;
mod tail;
mod taken_up;
mod thin_line;
mod tidy;
mod trust;
mod view;
