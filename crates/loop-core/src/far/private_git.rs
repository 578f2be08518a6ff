//! The git folder that an agent gets under bubblewrap, in the place of the user's.
//!
//! It is a copy of everything small (refs, configuration, the worktree's entry) over the user's objects, which can be
//! read there and not written. So an agent can stash, tag, branch and rewrite as it likes, and nothing of it reaches
//! the user's repository but the commits of the run branch that the engine took in, checked and published.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::Path;

use super::{Error, Worktree, remove};
use crate::exec::Mount;

/// The user's objects, as seen inside.
const OBJECTS: &str = "user-objects";
/// Folders that the agent gets a copy of, because it has to write them.
const COPIED: [&str; 3] = ["refs", "info", "logs"];
/// What is made anew, or belongs to other checkouts.
const LEFT_OUT: [&str; 3] = ["objects", "worktrees", "index"];
/// Steps from one alternate object store to the next that are followed.
const MOST_ALTERNATES: usize = 16;
/// Deepest folder of refs that is copied; git's own limits on names lie far below.
const MOST_DEPTH: u32 = 64;

/// Makes the folder anew, and says what has to be mounted where.
pub(super) fn make(worktree: &Worktree, place: &Path) -> Result<Vec<Mount>, Error> {
    remove(place)?;
    fill(worktree, place).map_err(|error| Error::Io { path: place.to_owned(), error })?;
    let common = &worktree.common;
    let mut mounts = vec![
        Mount { from: place.to_owned(), to: common.clone(), writable: true },
        Mount { from: common.join("objects"), to: common.join(OBJECTS), writable: false },
    ];
    for name in shown(common).map_err(|error| Error::Io { path: common.clone(), error })? {
        mounts.push(Mount { from: common.join(&name), to: common.join(&name), writable: false });
    }
    mounts.extend(alternates(&common.join("objects")));
    // What leads git from the worktree to its repository; replaced by a pipe, it would make every command wait.
    for name in ["gitdir", "commondir"] {
        let (entry, path) = (entry(worktree, place), worktree.git_folder.join(name));
        mounts.push(Mount { from: entry.join(name), to: path, writable: false });
    }
    Ok(mounts)
}

/// Fills the folder anew that a container has in place of the git folder; the user's objects are mounted in it there.
pub(super) fn refill(worktree: &Worktree, place: &Path) -> Result<(), Error> {
    let failed = |error| Error::Io { path: place.to_owned(), error };
    for entry in fs::read_dir(place).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_name() == OBJECTS {
            continue;
        }
        if entry.file_type().map_err(failed)?.is_dir() {
            remove(&entry.path())?;
        } else {
            fs::remove_file(entry.path()).map_err(failed)?;
        }
    }
    fill(worktree, place).map_err(failed)
}

/// Where the worktree's own entry stands in the private folder.
fn entry(worktree: &Worktree, place: &Path) -> std::path::PathBuf {
    place.join(worktree.git_folder.strip_prefix(&worktree.common).unwrap_or(Path::new("worktrees")))
}

fn fill(worktree: &Worktree, place: &Path) -> io::Result<()> {
    let common = &worktree.common;
    fs::create_dir_all(place.join("objects/info"))?;
    // Relative to the objects, as a path with a newline could not stand there.
    fs::write(place.join("objects/info/alternates"), format!("../{OBJECTS}\n"))?;
    fs::create_dir_all(place.join(OBJECTS))?;
    for name in shown(common)? {
        fs::create_dir_all(place.join(name))?;
    }
    for entry in fs::read_dir(common)? {
        let name = entry?.file_name();
        let plain = name
            .to_str()
            .is_some_and(|name| !LEFT_OUT.contains(&name) && name.strip_suffix(".lock").is_none());
        if plain {
            copy(&common.join(&name), &place.join(&name))?;
        }
    }
    for name in COPIED {
        tree(&common.join(name), &place.join(name), 0)?;
    }
    tree(&worktree.git_folder, &entry(worktree, place), 0)
}

/// Folders of the user's git folder that are shown as they are: hooks, modules, keys of filters and the like.
fn shown(common: &Path) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(common)? {
        let entry = entry?;
        let name = entry.file_name();
        let handled = name.to_str().is_none_or(|name| COPIED.contains(&name) || LEFT_OUT.contains(&name));
        if !handled && entry.path().is_dir() {
            names.push(name);
        }
    }
    Ok(names)
}

/// Object stores that the user's objects borrow from; they may stand where the sandbox shows something else.
fn alternates(objects: &Path) -> Vec<Mount> {
    let mut open = vec![objects.to_owned()];
    let mut found: Vec<Mount> = Vec::new();
    while let Some(store) = open.pop() {
        let text = fs::read_to_string(store.join("info/alternates")).unwrap_or_default();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let Ok(path) = store.join(line).canonicalize() else { continue };
            if found.len() < MOST_ALTERNATES && !found.iter().any(|mount| mount.from == path) {
                open.push(path.clone());
                found.push(Mount { from: path.clone(), to: path, writable: false });
            }
        }
    }
    found
}

/// Copies a regular file, if it is there; the user's own links are followed.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    match fs::metadata(from) {
        Ok(facts) if facts.is_file() => fs::copy(from, to).map(drop),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Copies the regular files of a folder and of those in it.
fn tree(from: &Path, to: &Path, depth: u32) -> io::Result<()> {
    fs::create_dir_all(to)?;
    let entries = match fs::read_dir(from) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let (path, place) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            if depth < MOST_DEPTH {
                tree(&path, &place, depth + 1)?;
            }
        } else if entry.path().extension().is_none_or(|kind| kind != "lock") {
            copy(&path, &place)?;
        }
    }
    Ok(())
}
