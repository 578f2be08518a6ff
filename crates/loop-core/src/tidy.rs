//! Taking away what runs leave: worktrees and branches in the user's repository, refs in the trusted one, records.
//!
//! A worktree is never opened but for its link to the repository, which is compared: git removes it unread (forced), and
//! whether it was changed is told by the file system.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::far;
use crate::git::{Error, Git, Trusted};
use crate::machine::State;
use crate::store::{RunDir, Store};

/// Entries of a folder that are looked at before it counts as changed.
const MOST_ENTRIES: usize = 1_000_000;
/// Longest link from a worktree to its repository that is read.
const MOST_LINK: u64 = 64 << 10;
/// Folders in folders that are followed.
const MOST_DEPTH: usize = 256;
/// What is put before the name of a record that is being removed.
const GOING: &str = "gone-";

/// A worktree of a repository, as git lists it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Worktree {
    /// Absolute.
    pub path: PathBuf,
    /// Branch without `refs/heads/`; `None` for a detached one.
    pub branch: Option<String>,
}

/// The worktrees of a repository, the user's own first (WT-23).
///
/// # Errors
/// When git does not answer, for instance outside of a repository.
pub fn worktrees(root: &Path) -> Result<Vec<Worktree>, Error> {
    let listing = Git::user(root).run(&["worktree", "list", "--porcelain", "-z"])?;
    Ok(parse(&String::from_utf8_lossy(&listing)))
}

fn parse(listing: &str) -> Vec<Worktree> {
    let mut found: Vec<Worktree> = Vec::new();
    for line in listing.split('\0') {
        if let Some(path) = line.strip_prefix("worktree ") {
            found.push(Worktree { path: path.into(), branch: None });
        } else if let (Some(last), Some(branch)) = (found.last_mut(), line.strip_prefix("branch ")) {
            last.branch = Some(branch.trim_start_matches("refs/heads/").to_owned());
        }
    }
    found
}

/// Where the link of a worktree leads, which may be written as relative; the file is read as far as it can be one.
pub(crate) fn entry_of(worktree: &Path) -> Option<PathBuf> {
    let link = worktree.join(".git");
    let small = link.symlink_metadata().is_ok_and(|facts| facts.is_file() && facts.len() <= MOST_LINK);
    let text = if small { fs::read_to_string(&link).ok()? } else { return None };
    text.strip_prefix("gitdir: ").map(|folder| worktree.join(folder.trim_end()))
}

/// Why a folder is not to be taken for a worktree of this repository, though one was made there: it may be the user's.
fn foreign(root: &Path, path: &Path) -> Option<String> {
    let shown = path.display();
    let link = path.join(".git");
    if let Err(error) = link.symlink_metadata()
        && error.kind() == io::ErrorKind::PermissionDenied
    {
        return Some(format!(
            "{shown} cannot be looked into ({error}), so it stays; allow that, then try again"
        ));
    }
    let entry = entry_of(path);
    let back = entry.as_ref().and_then(|entry| fs::read_to_string(entry.join("gitdir")).ok());
    let same = |text: String| Path::new(text.trim_end()).canonicalize().ok() == link.canonicalize().ok();
    let registered = worktrees(root).is_ok_and(|all| {
        all.iter().skip(1).any(|worktree| worktree.path.canonicalize().ok() == path.canonicalize().ok())
    });
    if !registered || !back.is_some_and(same) {
        return Some(format!(
            "{shown} is not the worktree any more that was made there, so it stays; look at it, and remove it yourself"
        ));
    }
    // A creation that was killed is locked, too.
    let locked = entry.and_then(|entry| fs::read_to_string(entry.join("locked")).ok());
    locked
        .filter(|reason| reason.trim() != "initializing")
        .map(|_| format!("{shown} is locked, so it stays; git worktree unlock {shown} unlocks it"))
}

/// Removes the worktree of a run, with whatever is in it; its branch stays. One that is gone is no error.
///
/// # Errors
/// A sentence, when it is still there afterwards: what stands there is something else, or is locked.
pub fn remove_worktree(root: &Path, path: &Path) -> Result<(), String> {
    if path.symlink_metadata().is_ok()
        && let Some(reason) = foreign(root, path)
    {
        return Err(reason);
    }
    let user = Git::user(root);
    // Forced twice, for one that is locked since its creation was killed; forced, git does not read it.
    let removed = user.run(&["worktree", "remove", "-f", "-f", &path.to_string_lossy()]);
    if path.symlink_metadata().is_ok() {
        removed.map_err(|error| error.to_string())?;
    }
    if root.exists() {
        user.run(&["worktree", "prune"]).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Deletes the branch of a run, if all its commits are in the trusted repository, so that none is lost.
///
/// # Errors
/// A sentence, when it stays.
pub fn delete_branch(root: &Path, branch: &str, trusted: &Trusted) -> Result<(), String> {
    let said = |error: Error| error.to_string();
    let user = Git::user(root);
    let reference = format!("refs/heads/{branch}");
    let Some(tip) = user.commit(&reference).map_err(said)? else { return Ok(()) };
    if trusted.git().commit(&tip).map_err(said)?.is_none() {
        return Err(format!(
            "{branch} has commits that are not the run's; git branch -D {branch} deletes it"
        ));
    }
    // Refuses a branch that somebody has checked out.
    user.run(&["branch", "-D", "--", branch]).map(drop).map_err(said)
}

/// Removes the mark that a run has in the user's repository.
///
/// # Errors
/// When git says no.
pub fn unmark(root: &Path, uid: &str) -> Result<(), Error> {
    Git::user(root).run(&["update-ref", "-d", &format!("refs/agentloop/{uid}")]).map(drop)
}

/// Removes the refs of a run from the trusted repository; [`shrink`] collects what only they kept.
///
/// # Errors
/// When git says no.
pub fn remove_refs(trusted: &Trusted) -> Result<(), Error> {
    let names = trusted.git().text(&["for-each-ref", "--format=%(refname)", &trusted.reference("")])?;
    let lines: String = names.lines().map(|name| format!("delete {name}\n")).collect();
    trusted.git().run_with(&["update-ref", "--stdin"], lines.as_bytes()).map(drop)
}

/// What would be lost with the worktree of a run: a sentence, or `None` when all of it is committed. `since` is the time
/// of the last checkpoint in epoch milliseconds.
pub fn uncommitted(state: &State, trusted: Option<&Trusted>, since: i64) -> Option<String> {
    let facts = state.worktree.as_ref()?;
    let path = Path::new(&facts.worktree_path);
    if path.symlink_metadata().is_err() {
        return None;
    }
    let (head, snapshot) = state.checkpoint.clone()?;
    let trees = trusted.map(|trusted| (trusted.tree(&head), trusted.tree(&snapshot)));
    match trees {
        Some((Ok(head), Ok(snapshot))) if head == snapshot => {}
        Some((Ok(_), Ok(_))) => return Some("it has changes that are not committed".into()),
        _ => {
            return Some(
                "the engine's repository does not say whether it has changes that are not committed".into(),
            );
        }
    }
    let changed = changed_since(path, since)?;
    Some(format!("{} was changed after the run's last commit", changed.display()))
}

/// The first thing in a folder that was changed after a time; the folder itself when it has too much in it.
fn changed_since(folder: &Path, since: i64) -> Option<PathBuf> {
    let mut left = MOST_ENTRIES;
    let mut open = vec![(folder.to_owned(), 0)];
    while let Some((path, depth)) = open.pop() {
        let Ok(facts) = path.symlink_metadata() else { continue };
        // The change of anything counts, also that of its name or rights; what was removed changed its folder.
        if facts.ctime() * 1000 + facts.ctime_nsec() / 1_000_000 > since {
            return Some(path);
        }
        if facts.is_dir() {
            if depth == MOST_DEPTH {
                return Some(path);
            }
            for entry in fs::read_dir(&path).into_iter().flatten().flatten() {
                left -= 1;
                if left == 0 {
                    return Some(folder.to_owned());
                }
                open.push((entry.path(), depth + 1));
            }
        }
    }
    None
}

/// Bytes that a file or folder takes up on its disk; links are not followed.
pub fn size(path: &Path) -> u64 {
    let mut bytes = 0;
    let mut open = vec![(path.to_owned(), 0)];
    while let Some((path, depth)) = open.pop() {
        let Ok(facts) = path.symlink_metadata() else { continue };
        bytes += facts.blocks() * 512;
        if facts.is_dir() && depth < MOST_DEPTH {
            open.extend(
                fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| (entry.path(), depth + 1)),
            );
        }
    }
    bytes
}

/// Removes the record of a run. It is out of every list at once; a kill leaves a folder that [`sweep`] removes.
///
/// # Errors
/// When the file system says no.
pub fn remove_record(store: &Store, uid: &str, run: &RunDir) -> io::Result<()> {
    let going = store.root().join("runs").join(format!("{GOING}{uid}"));
    fs::rename(run.path(), &going)?;
    far::remove(&going).map_err(io::Error::other)
}

/// Removes the copy of a record; one that is not there is no error.
///
/// # Errors
/// When the file system says no.
pub fn remove_copy(copy: &Path) -> io::Result<()> {
    far::remove(copy).map_err(io::Error::other)
}

/// Has git give back what no run of a trusted repository needs any more. What came in during the last day stays, since an
/// engine may be about to refer to it.
///
/// # Errors
/// When git says no, or is not done in time.
pub fn shrink(repository: &Path) -> Result<(), Error> {
    if !repository.exists() {
        return Ok(());
    }
    Git::bare(repository).run(&["gc", "--quiet", "--prune=1.day.ago"]).map(drop)
}

/// Removes what a killed removal left.
pub fn sweep(store: &Store) {
    for entry in fs::read_dir(store.root().join("runs")).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(GOING) {
            // What cannot be removed now, the next one removes.
            let _ = far::remove(&entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worktrees_are_read_as_git_prints_them() {
        let listing = "worktree /a\0HEAD 1\0branch refs/heads/main\0\0worktree /b c\0HEAD 2\0detached\0\0";
        let expected = [("/a", Some("main")), ("/b c", None)]
            .map(|(path, branch)| Worktree { path: path.into(), branch: branch.map(str::to_owned) });
        assert_eq!(parse(listing), expected);
    }

    #[test]
    fn a_change_anywhere_below_is_seen_and_links_are_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a/b");
        fs::create_dir_all(&deep).unwrap();
        fs::write(deep.join("file"), "x").unwrap();
        std::os::unix::fs::symlink("/", deep.join("link")).unwrap();
        let now = crate::store::now_ms();
        assert_eq!(changed_since(folder.path(), now + 1000), None);
        assert!(changed_since(folder.path(), now - 10_000).is_some());
        assert!(size(folder.path()) < 1 << 20, "the link was followed");
    }
}
