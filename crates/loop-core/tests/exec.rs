//! The far side as the engine sees it, plain, in a container and under bubblewrap.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "these are tests")]

mod exec {
    mod container;
    mod limits;
    mod output;
    mod sandbox;
    mod subtree;
    mod support;
}
