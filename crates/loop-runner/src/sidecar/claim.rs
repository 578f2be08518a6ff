//! A repository on a claim of the user's: a bare one, or a git bundle, of which a bare one is made beside it.
//!
//! Git itself is the remote here, started by the sidecar's own git beside the token of the API. So whatever that repository
//! says of programs to run, in its configuration or as hooks, is overruled in the call.

use std::fs;
use std::path::{Path, PathBuf};

use super::git::git;

/// What a file URL begins with.
const SCHEME: &str = "file://";
/// What a bundle ends in.
const BUNDLE: &str = ".bundle";
/// Folders of a repository that a push writes to.
const WRITTEN: [&str; 2] = ["objects", "refs/heads"];

/// Settings on the command line, which count more than those of the repository: it may belong to anybody, and runs nothing.
const SETTINGS: [&str; 8] = [
    "safe.directory=*",
    "core.hooksPath=/dev/null",
    "core.alternateRefsCommand=true",
    "core.fsmonitor=false",
    "receive.autogc=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "receive.denyCurrentBranch=refuse",
];

/// Whether git would be the remote itself.
pub(super) fn is_local(url: &str) -> bool {
    url.starts_with(SCHEME)
}

/// How git is to be called at the other end, as a word of a shell: `upload-pack` or `receive-pack`.
pub(super) fn called(service: &str) -> String {
    let settings: String = SETTINGS.iter().map(|setting| format!(" -c '{setting}'")).collect();
    // What is missing there is fetched from nowhere.
    format!("GIT_NO_LAZY_FETCH=1 GIT_ALLOW_PROTOCOL=none git{settings} {service}")
}

/// URL of the bare repository that another one names: its own, or the one beside a bundle, which is made if it is not there.
///
/// # Errors
/// Why there is none that can be used, with what to do.
pub(super) fn open(url: &str) -> Result<String, String> {
    let path = PathBuf::from(url.strip_prefix(SCHEME).unwrap_or(url));
    let shown = path.display();
    let real = fs::canonicalize(&path).map_err(|error| format!("{shown} cannot be read: {error}"))?;
    if real != path {
        return Err(format!(
            "{shown} leads to {}, and no link is followed: name what it leads to",
            real.display()
        ));
    }
    let Some(name) = url.strip_suffix(BUNDLE) else {
        look_at(&path)?;
        return Ok(url.to_owned());
    };
    let beside = PathBuf::from(format!("{}.git", name.strip_prefix(SCHEME).unwrap_or(name)));
    if beside.symlink_metadata().is_ok() {
        crate::say(&format!("{} is there already, and {shown} is not looked at", beside.display()));
    } else {
        unbundle(&path, &beside)?;
    }
    open(&format!("{name}.git"))
}

/// Whether it is a bare repository that can be written.
fn look_at(path: &Path) -> Result<(), String> {
    let shown = path.display();
    if !path.join("HEAD").is_file() || !path.join("objects").is_dir() {
        return Err(format!("{shown} is no bare repository: make one with git clone --bare, or a bundle"));
    }
    for folder in WRITTEN {
        let probe = path.join(folder).join(format!("agentloop-{}", who()));
        fs::write(&probe, b"").and_then(|()| fs::remove_file(&probe)).map_err(|error| {
            format!(
                "{} cannot be written, {error}: give group 1000 the right to",
                path.join(folder).display()
            )
        })?;
    }
    Ok(())
}

/// Makes a bare repository of a bundle, whole or not at all.
fn unbundle(bundle: &Path, place: &Path) -> Result<(), String> {
    let folder = bundle.parent().unwrap_or(Path::new("/"));
    let failed = |error: std::io::Error| format!("{} cannot be made: {error}", place.display());
    let new = folder.join(format!(".agentloop-{}", who()));
    // What a sidecar of this pod left that was killed.
    let _ = fs::remove_dir_all(&new);
    let made = fill(bundle, &new).and_then(|()| match fs::rename(&new, place) {
        // Another run made it meanwhile.
        Err(_) if place.is_dir() => Ok(()),
        done => done.map_err(failed),
    });
    // Gone, unless it was not needed or is half made.
    let _ = fs::remove_dir_all(&new);
    made
}

fn fill(bundle: &Path, new: &Path) -> Result<(), String> {
    let (from, to) = (bundle.to_string_lossy(), new.to_string_lossy());
    git(Path::new("/"), &["clone", "--quiet", "--bare", "--template=", "--", &from, &to])?;
    if git(new, &["rev-parse", "--quiet", "--verify", "HEAD^{commit}"]).is_err() {
        // A bundle of a single branch does not say that it is the one to begin with.
        let heads = git(new, &["for-each-ref", "--format=%(refname)", "refs/heads"])?;
        if let [only] = heads.lines().collect::<Vec<_>>()[..] {
            git(new, &["symbolic-ref", "HEAD", only])?;
        }
    }
    Ok(())
}

/// The pod, so that no two of them write to the same place.
fn who() -> String {
    std::env::var("POD_NAME").unwrap_or_else(|_| std::process::id().to_string())
}

#[cfg(test)]
mod tests;
