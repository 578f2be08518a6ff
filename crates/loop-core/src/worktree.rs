//! Who makes a run's worktree: Worktrunk, where its `wt` can be run, or git (WT-1 to WT-3).

mod worktrunk;

use std::path::Path;

use loop_api::run::{Provider, Worktree};

pub(crate) use worktrunk::{Worktrunk, words};

/// Name of the provider that is Worktrunk, in journal and status.
pub(crate) const WORKTRUNK: &str = "worktrunk";
/// Name of the provider that is git.
pub(crate) const GIT: &str = "git";
/// Worktrunk's own file of project hooks, in a commit.
pub(crate) const PROJECT_CONFIG: &str = ".config/wt.toml";

/// Who makes the worktree, settled anew each time one is to be made.
pub(crate) struct Provided {
    /// Worktrunk; git where there is none.
    pub(crate) worktrunk: Option<Worktrunk>,
    /// Why it is git although Worktrunk was preferred; empty otherwise.
    pub(crate) reason: String,
}

impl Provided {
    /// Name of the provider.
    pub(crate) fn name(&self) -> &'static str {
        if self.worktrunk.is_some() { WORKTRUNK } else { GIT }
    }
}

/// Settles who makes a worktree in this repository; the error is a sentence with the remedy.
pub(crate) fn provide(settings: &Worktree, root: &Path, search_path: &str) -> Result<Provided, String> {
    let none = |reason| Provided { worktrunk: None, reason };
    if settings.provider == Provider::Git {
        return Ok(none(String::new()));
    }
    match Worktrunk::find(settings, root, search_path) {
        Ok(found) => Ok(Provided { worktrunk: Some(found), reason: String::new() }),
        Err(reason) if settings.provider == Provider::Auto => Ok(none(reason)),
        Err(reason) => Err(format!(
            "the worktree provider is worktrunk, but {reason}; install Worktrunk (cargo install worktrunk), name its \
             command with --worktrunk-bin, or choose another provider with --worktree-provider"
        )),
    }
}
