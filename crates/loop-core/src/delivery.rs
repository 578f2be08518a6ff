//! Where verified work goes beyond the repository that the engine works on: on a cluster, the remote that it was cloned
//! from. Who pushes there holds the credential; the engine does not.

use crate::control::Stop;

/// A branch of the remote that is to move.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Push {
    /// Full name, such as `refs/heads/agent/login`.
    pub reference: String,
    /// What it is to point at; the user's repository has it.
    pub commit: String,
    /// What it has to point at before; `None` when it must not be there.
    pub expected: Option<String>,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pushed {
    /// The remote has it, perhaps since an earlier try.
    Done,
    /// It pointed elsewhere. The user's repository has what the remote has now.
    Moved,
}

/// A remote that moves branches by compare-and-swap only.
pub trait Remote: std::fmt::Debug + Send + Sync {
    /// Moves a branch. A remote that is away, or does not let anybody in, is waited for, but not once `stop` says so.
    ///
    /// # Errors
    /// A sentence, when the remote refuses, or is not waited for any longer.
    fn push(&self, push: &Push, stop: &dyn Fn() -> Option<Stop>) -> Result<Pushed, String>;

    /// Gets the files of the submodules of a commit, and of theirs, to [`Store::submodules`](crate::store::Store::submodules).
    ///
    /// # Errors
    /// A sentence, when one of them cannot be had, or `stop` says that nobody waits for them.
    fn submodules(&self, commit: &str, stop: &dyn Fn() -> Option<Stop>) -> Result<(), String>;
}
