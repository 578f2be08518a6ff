//! Files of submodules, in the folders that the superproject's commits name. Agents cannot change them: a commit has the id
//! of a submodule's commit only, and that is protected.

use std::fs;
use std::path::Path;

use super::{Error, Setting, Side};
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

impl Side {
    /// Gives the worktree's submodules their files, before an agent is at work in it.
    pub fn fill_submodules(&self, setting: &Setting) -> Result<(), Error> {
        let Some(submodules) = &setting.submodules else { return Ok(()) };
        let arguments = [&*submodules.to_string_lossy()];
        self.write_files(setting, FILL, &arguments, "filling the folders of submodules")
    }
}

/// Makes a repository that borrows the commits of submodules, as `base` names them, from the clones which a user has.
///
/// # Errors
/// A sentence, also when one of them is not there.
pub(crate) fn borrow(user: &Git, (trusted, base): (&Trusted, &str), place: &Path) -> Result<(), String> {
    let failed = |error: git::Error| format!("submodules cannot be read: {error}");
    let common = user.text(&["rev-parse", "--path-format=absolute", "--git-common-dir"]).map_err(failed)?;
    let borrowed = Trusted::open(place, "submodules").map_err(failed)?;
    let mut stores = String::new();
    clones(&Path::new(&common).join(CLONES), 0, &mut |store| {
        stores.push_str(&format!("{}\n", store.display()));
    });
    fs::write(place.join("objects/info/alternates"), stores)
        .map_err(|error| format!("{}: {error}", place.display()))?;
    let mut open = vec![(trusted, base.to_owned(), String::new())];
    while let Some((repository, commit, above)) = open.pop() {
        let listed = repository.list(&commit).map_err(failed)?;
        for (path, _, commit) in listed.into_iter().filter(|(_, mode, _)| mode == "160000") {
            let path = format!("{above}{path}");
            if borrowed.git().commit(&commit).map_err(failed)?.is_none() {
                return Err(format!(
                    "commit {commit} of the submodule {path} is not here; run git submodule update --init --recursive in \
                     the repository, or leave repository.checkout.submodules out"
                ));
            }
            open.push((&borrowed, commit, path + "/"));
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
