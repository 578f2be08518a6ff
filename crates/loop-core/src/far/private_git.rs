//! The git folder that an agent gets under bubblewrap, in the place of the user's.
//!
//! It is a copy of everything small (refs, configuration, the worktree's entry) over the user's objects, which can be
//! read there and not written. So an agent can stash, tag, branch and rewrite as it likes, and nothing of it reaches
//! the user's repository but the commits of the run branch that the engine took in, checked and published.

use std::fs;
use std::io;
use std::path::Path;

use super::{Error, Worktree, remove};
use crate::exec::Mount;

/// The user's objects, as seen inside.
const OBJECTS: &str = "user-objects";
/// Folders of the user's git folder that are shown as they are, read-only.
const SHOWN: [&str; 3] = ["hooks", "modules", "lfs"];
/// Files of the user's git folder that are copied.
const COPIED: [&str; 5] = ["HEAD", "config", "config.worktree", "packed-refs", "shallow"];
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
    for name in SHOWN.iter().filter(|name| common.join(name).is_dir()) {
        mounts.push(Mount { from: common.join(name), to: common.join(name), writable: false });
    }
    // What leads git from the worktree to its repository; replaced by a pipe, it would make every command wait.
    for name in ["gitdir", "commondir"] {
        let (entry, path) = (entry(worktree, place), worktree.git_folder.join(name));
        mounts.push(Mount { from: entry.join(name), to: path, writable: false });
    }
    Ok(mounts)
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
    for name in [OBJECTS].iter().chain(&SHOWN) {
        fs::create_dir_all(place.join(name))?;
    }
    for name in COPIED {
        copy(&common.join(name), &place.join(name))?;
    }
    tree(&common.join("refs"), &place.join("refs"), 0)?;
    tree(&common.join("info"), &place.join("info"), 0)?;
    tree(&worktree.git_folder, &entry(worktree, place), 0)
}

/// Copies a regular file, if it is there.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    match fs::symlink_metadata(from) {
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
