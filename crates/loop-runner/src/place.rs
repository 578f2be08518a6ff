//! Where things are in the pod; the same paths in every container that sees them.

use std::path::{Path, PathBuf};

/// Shared by runner and sidecar, and read in parts by agent and gates.
pub const RUN: &str = "/run/agentloop";
/// Worktrees.
pub const WORK: &str = "/work";

/// The folder that runner and sidecar share.
#[derive(Debug, Clone)]
pub struct Place(PathBuf);

impl Place {
    /// The folder of the pod.
    pub fn of_pod() -> Self {
        Self::at(RUN)
    }

    /// Another one, for tests.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self(folder.into())
    }

    /// The folder itself.
    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// The clone of the user's repository.
    pub fn origin(&self) -> PathBuf {
        self.0.join("origin")
    }

    /// The data directory of the run.
    pub fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    /// The `LoopRun` as the API server gave it to the sidecar.
    pub fn object(&self) -> PathBuf {
        self.0.join("looprun.json")
    }

    /// Is there when the sidecar has set everything up.
    pub fn ready(&self) -> PathBuf {
        self.0.join("ready")
    }
}
