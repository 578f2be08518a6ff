//! Where things are in the pod; the same paths in every container that sees them.

use std::path::{Path, PathBuf};

use loop_core::lease::Lease;

/// Shared by runner and sidecar, and read in parts by agent and gates.
pub const RUN: &str = "/run/agentloop";
/// Worktrees.
pub const WORK: &str = "/work";
/// Written by the sidecar, read by the runner.
const LEASE: &str = "/run/agentloop-lease/lease.json";

/// The folder that runner and sidecar share.
#[derive(Debug, Clone)]
pub struct Place {
    folder: PathBuf,
    /// Where the sidecar alone says that it is ready: the shared folder may be older than the pod.
    ready: PathBuf,
    /// The lease of the pod's attempt: it is the pod's own, wherever the shared folder is.
    lease: PathBuf,
}

impl Place {
    /// The folder of the pod.
    pub fn of_pod() -> Self {
        Self { folder: RUN.into(), ready: "/tmp/ready".into(), lease: LEASE.into() }
    }

    /// Another one, for tests.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        Self { ready: folder.join("ready"), lease: folder.join("lease"), folder }
    }

    /// The folder itself.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The clone of the user's repository.
    pub fn origin(&self) -> PathBuf {
        self.folder.join("origin")
    }

    /// The data directory of the run.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// The `LoopRun` as the API server gave it to the sidecar.
    pub fn object(&self) -> PathBuf {
        self.folder.join("looprun.json")
    }

    /// What the engine may work by.
    pub fn lease(&self) -> Lease {
        Lease::at(&self.lease)
    }

    /// Is there when the sidecar has set everything up.
    pub fn ready(&self) -> PathBuf {
        self.ready.clone()
    }
}
