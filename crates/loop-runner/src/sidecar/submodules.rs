//! Submodules: their commits, fetched with the repository's credential into one bare repository that every side can read.
//!
//! The addresses are those of a commit that people have let into the repository, and the credential goes to no other
//! server than the repository's own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::credentials::{Access, SECRET, server};
use super::git::{Origin, git, git_to};

/// Most of them, those of submodules too.
const MOST: usize = 256;
/// Longest path of one of them.
const LONGEST: usize = 1024;

/// A submodule, as a commit names it.
#[derive(Debug, PartialEq, Eq)]
struct Submodule {
    path: String,
    url: String,
    commit: String,
}

/// Where submodules are named: a commit of a repository.
struct Above {
    folder: PathBuf,
    commit: String,
    url: String,
    /// Its path from the top, with a slash behind it.
    path: String,
    /// Whether all on the way to it are on the repository's own server: only they are asked with its credential.
    own: bool,
}

/// Gets what the submodules of a commit of the clone have, and those of theirs, begun before `end`; gives how many there
/// are.
///
/// # Errors
/// A sentence that names the submodule.
pub(super) fn fetch(origin: &Origin, place: &Path, commit: &str, end: Instant) -> Result<usize, String> {
    if !place.join("HEAD").exists() {
        let text = place.to_string_lossy();
        git(Path::new("/"), &["init", "--quiet", "--bare", "--template=", "--initial-branch=none", &text])?;
    }
    let (folder, url) = (origin.folder().to_owned(), origin.url().to_owned());
    let mut open = vec![Above { folder, commit: commit.to_owned(), url, path: String::new(), own: true }];
    let mut count = 0;
    while let Some(above) = open.pop() {
        for Submodule { path, url, commit } in named(&above.folder, &above.commit, &above.url)? {
            let path = format!("{}{path}", above.path);
            count += 1;
            if count > MOST || path.len() > LONGEST {
                return Err(format!(
                    "there are more than {MOST} submodules, or one is too deep ({path}); leave \
                     repository.checkout.submodules out"
                ));
            }
            let own = above.own && server(&url) == server(origin.url());
            let got = if Instant::now() < end {
                get(place, (&url, &commit), own)
            } else {
                Err("there is no time left".into())
            };
            got.map_err(|reason| {
                format!(
                    "the submodule {path} cannot be fetched from {url}: {reason}; look at its url in .gitmodules and at the \
                     Secret of spec.repository, or leave repository.checkout.submodules out"
                )
            })?;
            open.push(Above { folder: place.to_owned(), commit, url, path: path + "/", own });
        }
    }
    Ok(count)
}

/// Submodules of a commit that have an address; git too passes over others.
fn named(folder: &Path, commit: &str, above: &str) -> Result<Vec<Submodule>, String> {
    let file = format!("{commit}:.gitmodules");
    if git(folder, &["ls-tree", "--name-only", "--full-tree", commit, "--", ".gitmodules"])?.is_empty() {
        return Ok(Vec::new());
    }
    let listed = git(folder, &["config", "--blob", &file, "--null", "--list"])?;
    let (mut paths, mut urls) = (BTreeMap::new(), BTreeMap::new());
    for (key, value) in listed.split('\0').filter_map(|entry| entry.split_once('\n')) {
        let Some((name, field)) = key.strip_prefix("submodule.").and_then(|key| key.rsplit_once('.')) else {
            continue;
        };
        match field {
            "path" => paths.insert(value.trim_end_matches('/').to_owned(), name.to_owned()),
            "url" => urls.insert(name.to_owned(), value.to_owned()),
            _ => None,
        };
    }
    let mut found = Vec::new();
    for (path, name) in paths {
        let entry = git(folder, &["ls-tree", "-z", "--full-tree", commit, "--", &path])?;
        let entry = entry.strip_prefix("160000 commit ").and_then(|rest| rest.split_once('\t'));
        if let (Some((commit, _)), Some(url)) = (entry, urls.get(&name)) {
            found.push(Submodule { url: resolved(above, url), path, commit: commit.to_owned() });
        }
    }
    Ok(found)
}

/// Gets one commit, unless it is there.
fn get(place: &Path, (url, commit): (&str, &str), own: bool) -> Result<(), String> {
    if is_whole(place, commit) {
        return Ok(());
    }
    if !can_be_fetched(url) {
        return Err("an address of this kind is not followed, but https, http, ssh and git ones".into());
    }
    let secret = Path::new(if own { SECRET } else { "/nonexistent" });
    let mut access = Access::read(url, secret, &std::env::temp_dir())?;
    // A token would go along to wherever the server sends it.
    access.settings.push(("http.followRedirects".into(), "false".into()));
    receive(place, (url, commit), &access)
}

/// What a commit that has come whole is kept by.
fn kept(commit: &str) -> String {
    format!("refs/submodules/{commit}")
}

/// Whether a commit has come with all that belongs to it: git sets a ref only then.
fn is_whole(place: &Path, commit: &str) -> bool {
    git(place, &["rev-parse", "--quiet", "--verify", &kept(commit)]).is_ok()
}

/// Fetches a commit by its id; where a server gives branches only, with all of those.
fn receive(place: &Path, (url, commit): (&str, &str), access: &Access) -> Result<(), String> {
    let fetch = [
        "-c",
        "gc.auto=0",
        "-c",
        "fetch.unpackLimit=1",
        "fetch",
        "--quiet",
        "--no-tags",
        "--no-write-fetch-head",
    ];
    let by_id = format!("+{commit}:{}", kept(commit));
    let by_id = git_to(access, place, &[&fetch[..], &["--depth", "1", "--", url, &by_id]].concat());
    let Err(reason) = by_id else { return Ok(()) };
    let all = format!("+refs/heads/*:refs/branches/{commit}/*");
    git_to(access, place, &[&fetch[..], &["--", url, &all]].concat()).map_err(|_| reason)?;
    let heads = format!("refs/branches/{commit}");
    let there = git(place, &["for-each-ref", "--contains", commit, "--format=%(refname)", &heads]);
    if there.is_ok_and(|found| !found.is_empty()) {
        return git(place, &["update-ref", &kept(commit), commit]).map(drop);
    }
    Err(format!("no branch there leads to its commit {commit}"))
}

/// As the custom resource has it of `spec.repository.url`, but nothing on this machine.
fn can_be_fetched(url: &str) -> bool {
    match url.split_once("://") {
        Some((scheme, rest)) => ["https", "http", "ssh", "git"].contains(&scheme) && !rest.starts_with('-'),
        None => url.split_once(':').is_some_and(|(host, path)| {
            let plain = |letter: char| letter.is_ascii_alphanumeric() || "@._-".contains(letter);
            host.starts_with(|first: char| first.is_ascii_alphanumeric())
                && host.chars().all(plain)
                && !path.starts_with(':')
        }),
    }
}

/// An address that may be relative to that of the repository around it, as git reads it.
fn resolved(above: &str, url: &str) -> String {
    if !url.starts_with("./") && !url.starts_with("../") {
        return url.to_owned();
    }
    let (mut base, mut rest) = (above.trim_end_matches('/'), url);
    loop {
        if let Some(after) = rest.strip_prefix("./") {
            rest = after;
        } else if let Some(after) = rest.strip_prefix("../") {
            (base, rest) = (parent(base), after);
        } else {
            let gap = if base.ends_with(':') { "" } else { "/" };
            return format!("{base}{gap}{rest}");
        }
    }
}

/// An address without its last part, up to the host and not beyond.
fn parent(url: &str) -> &str {
    match url.find("://").map(|at| at + 3) {
        Some(host) => url[host..].rfind('/').map_or(url, |at| &url[..host + at]),
        None => match url.rfind(['/', ':']) {
            Some(at) if url[at..].starts_with(':') => &url[..=at],
            Some(at) => &url[..at],
            None => url,
        },
    }
}

#[cfg(test)]
mod tests;
