//! Files of submodules, in the folders that the superproject's commits name. Agents cannot change them: a commit has the id
//! of a submodule's commit only, and that is protected.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::{Error, HELPER_OUTPUT, HELPER_TIME, Setting, Side, worked};
use crate::git::{self, Git, Trusted};

const FILL: &str = concat!(
    include_str!("submodules.sh"),
    r#"set -eu; export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null
fill_submodules "$1" "${TMPDIR:-/tmp}/submodule.index" tracked"#
);
/// Deepest submodule of a submodule whose objects are looked for.
const MOST_DEPTH: u32 = 16;
/// What keeps a submodule's clone in the git folder of the repository around it.
const CLONES: &str = "modules";

/// Longest that a checkout with submodules may take: they may be as large as repositories get.
const FILL_TIME: Duration = Duration::from_mins(30);

impl Setting {
    /// Longest that showing a commit may take.
    pub(super) fn fill_time(&self) -> Duration {
        if self.submodules.is_some() { FILL_TIME } else { HELPER_TIME }
    }
}

impl Side {
    /// Gives the worktree's submodules their files, before an agent is at work in it.
    pub fn fill_submodules(&self, setting: &Setting) -> Result<(), Error> {
        let Some(submodules) = &setting.submodules else { return Ok(()) };
        let captured = self.helper_with(
            FILL,
            &[&submodules.to_string_lossy()],
            b"",
            &setting.search_path,
            (HELPER_OUTPUT, setting.fill_time()),
        )?;
        worked(&captured, "filling the folders of submodules")
    }
}

/// Makes a repository that borrows the commits of submodules, as `base` names them, from the clones which a user has.
///
/// # Errors
/// A sentence, also when one of them is not there.
pub(crate) fn borrow(user: &Git, base: (&Trusted, &str), place: &Path) -> Result<(), String> {
    let failed = |error: git::Error| format!("submodules cannot be read: {error}");
    let common = user.text(&["rev-parse", "--path-format=absolute", "--git-common-dir"]).map_err(failed)?;
    let bare = Git::bare(place);
    if !place.join("HEAD").exists() {
        bare.run(&["init", "--quiet", "--bare", "--initial-branch=none"]).map_err(failed)?;
    }
    let mut stores = String::new();
    clones(&Path::new(&common).join(CLONES), 0, &mut |store| {
        stores.push_str(&format!("{}\n", store.display()));
    });
    fs::write(place.join("objects/info/alternates"), stores)
        .map_err(|error| format!("{}: {error}", place.display()))?;
    let mut open = vec![(base.0.git().clone(), base.1.to_owned(), String::new())];
    while let Some((git, commit, above)) = open.pop() {
        let listing = git.run(&["ls-tree", "-r", "-z", "--full-tree", &commit]).map_err(failed)?;
        for entry in String::from_utf8_lossy(&listing).split('\0') {
            let Some((commit, path)) =
                entry.strip_prefix("160000 commit ").and_then(|rest| rest.split_once('\t'))
            else {
                continue;
            };
            let path = format!("{above}{path}");
            if bare.commit(commit).map_err(failed)?.is_none() {
                return Err(format!(
                    "commit {commit} of the submodule {path} is not here; run git submodule update --init --recursive in \
                     the repository, or leave repository.checkout.submodules out"
                ));
            }
            open.push((bare.clone(), commit.to_owned(), path + "/"));
        }
    }
    Ok(())
}

/// Object stores of the clones in a folder of them; the name of a submodule may have slashes.
fn clones(folder: &Path, depth: u32, found: &mut dyn FnMut(&Path)) {
    if depth > MOST_DEPTH {
        return;
    }
    for entry in fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
        if entry.join("HEAD").is_file() && entry.join("objects").is_dir() {
            found(&entry.join("objects"));
            clones(&entry.join(CLONES), depth + 1, found);
        } else if entry.is_dir() {
            clones(&entry, depth + 1, found);
        }
    }
}

#[cfg(test)]
mod tests;
