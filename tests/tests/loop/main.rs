//! One test binary for the upper rungs; each module is a theme.

mod killed;
mod thin_line;
mod trust;
