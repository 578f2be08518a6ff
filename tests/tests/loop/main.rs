//! One test binary for the upper rungs; each module is a theme.

mod thin_line;
mod trust;
