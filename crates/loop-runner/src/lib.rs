//! What runs in the pod of a `LoopRun` (design section 9).
//!
//! `loop-runner` drives the loop and has no Kubernetes client; `loop-sidecar` holds the API token and the git credential,
//! clones before and publishes after; `loop-exec` executes commands in the containers of agent and gates. Runner and
//! sidecar share a folder and speak through two append-only files in it.

pub mod install;
pub mod mailbox;
pub mod place;
pub mod sidecar;
pub mod toolchain;

/// What the kubelet shows as a container's last words.
const LAST_WORDS: &str = "/dev/termination-log";

/// Writes a line into the container's log.
pub fn say(line: &str) {
    use std::io::Write as _;
    // Nobody to tell when the log is closed.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Says why the container ends, also to the kubelet.
pub fn say_last(words: &str) {
    say(words);
    // Best effort: outside of a pod there is no such file, and stderr has the same.
    let _ = std::fs::write(LAST_WORDS, words);
}
