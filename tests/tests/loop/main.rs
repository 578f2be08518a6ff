//! One test binary for the upper rungs; each module is a theme.

mod bad_input;
mod gates;
mod killed;
mod thin_line;
mod trust;
