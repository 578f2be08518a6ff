//! Which repository a folder belongs to, without asking git: the folder may be one that an agent can write.

use std::path::{Path, PathBuf};

use super::Listed;

/// The top level of the repository that a folder is in; for a run's worktree that of the run. `None` outside of any.
pub(crate) fn workspace_of(folder: &Path, runs: &[Listed]) -> Option<PathBuf> {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    folder.ancestors().find_map(|place| {
        let is = |path: &str| !path.is_empty() && Path::new(path) == place;
        if runs.iter().any(|run| is(&run.row.workspace)) {
            return Some(place.to_owned());
        }
        let own = runs.iter().find(|run| is(&run.row.worktree));
        own.map(|run| PathBuf::from(&run.row.workspace))
            .or_else(|| place.join(".git").exists().then(|| place.to_owned()))
    })
}
