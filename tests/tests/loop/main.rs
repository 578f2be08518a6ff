//! One test binary for the upper rungs; each module is a theme.

mod bad_input;
mod defects;
mod gates;
mod honest;
mod killed;
mod lists;
mod merging;
mod misbehaving;
mod prompt;
mod tail;
mod thin_line;
mod tidy;
mod trust;
mod view;
