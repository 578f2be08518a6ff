//! One test binary for the upper rungs; each module is a theme.

mod bad_input;
mod defects;
mod gates;
mod honest;
mod killed;
mod merging;
mod misbehaving;
mod record;
mod thin_line;
mod trust;
