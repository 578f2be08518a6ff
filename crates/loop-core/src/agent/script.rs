//! Any program as an agent: `.loop/agent.sh` of the base commit, or the one that the user names.

use super::{Adapter, Output};

/// Reads the prompt from standard input, prints text; the exit code says how it went (`retry::read_script`).
pub static SCRIPT: Adapter = Adapter {
    name: "script",
    program: None,
    install: "",
    access: "",
    credentials: &[],
    default_model: None,
    arguments: &[],
    environment: &[],
    confined_environment: &[],
    output: Output::Text,
    announces: false,
    analyses: false,
    state: None,
};
