//! What runs in the pod of a `LoopRun` (design section 9).
//!
//! `loop-runner` drives the loop and has no Kubernetes client; `loop-sidecar` holds the API token and the git credential,
//! clones before and publishes after; `loop-exec` executes commands in the containers of agent and gates. Runner and
//! sidecar share a folder and speak through two append-only files in it.

pub mod mailbox;
pub mod place;
pub mod sidecar;
