#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::os::unix::fs::{PermissionsExt as _, symlink};

use loop_api::run::Repository;
use loop_core::delivery::{Push, Pushed};

use super::*;
use crate::sidecar::git::{Origin, tests::commit};

/// A claim with a bare repository `app.git`, and a checkout `work` beside it.
fn claim() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap();
    git(&path, &["init", "-q", "--initial-branch=main", "work"]).unwrap();
    commit(&path.join("work"), "one");
    git(&path, &["clone", "-q", "--bare", "work", "app.git"]).unwrap();
    (folder, path)
}

fn url(path: &Path) -> String {
    format!("file://{}", path.display())
}

fn origin(url: &str, place: PathBuf) -> Origin {
    Origin::new(&Repository { url: url.to_owned(), ..Repository::default() }, place)
}

#[test]
fn a_repository_runs_nothing_that_it_names() {
    let (_folder, path) = claim();
    let (app, ran, program) = (path.join("app.git"), path.join("ran"), path.join("program"));
    fs::write(&program, format!("#!/bin/sh\necho \"$0 $*\" >>{}\n", ran.display())).unwrap();
    let executable = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    executable(&program);
    for folder in [app.join("hooks"), path.join("hooks")] {
        fs::create_dir_all(&folder).unwrap();
        for hook in
            ["pre-receive", "update", "post-receive", "post-update", "reference-transaction", "pre-auto-gc"]
        {
            fs::copy(&program, folder.join(hook)).unwrap();
            executable(&folder.join(hook));
        }
    }
    git(&path, &["init", "-q", "--bare", "other.git"]).unwrap();
    fs::write(app.join("objects/info/alternates"), "../../other.git/objects\n").unwrap();
    let program = program.to_string_lossy().into_owned();
    let hooks = path.join("hooks").to_string_lossy().into_owned();
    let url_of_a_program = format!("ext::{program}");
    for (key, value) in [
        ("core.hooksPath", hooks.as_str()),
        ("core.alternateRefsCommand", &program),
        ("core.fsmonitor", &program),
        ("uploadpack.packObjectsHook", &program),
        ("gc.auto", "1"),
        ("gc.recentObjectsHook", &program),
        ("receive.autogc", "true"),
        ("remote.away.promisor", "true"),
        ("remote.away.url", &url_of_a_program),
        ("protocol.ext.allow", "always"),
    ] {
        git(&app, &["config", key, value]).unwrap();
    }
    // Somebody else's, where these tests may give it away; git then asks whether that is meant.
    let _ = std::process::Command::new("chown").args(["-R", "12345:12345"]).arg(&app).status();
    assert_eq!(open(&url(&app)), Ok(url(&app)));
    let origin = origin(&url(&app), path.join("origin"));
    origin.set_up("", None).unwrap();
    origin.may_push("refs/heads/new").unwrap();
    let new = commit(&path.join("origin"), "two");
    let push = Push { reference: "refs/heads/new".into(), commit: new.clone(), expected: None };
    assert_eq!(origin.push(&push), Ok(Pushed::Done));
    assert_eq!(origin.fetch("refs/heads/new"), Ok(Some(new)));
    origin.delete("refs/heads/new").unwrap();
    // What it says it has and does not have is not fetched from where it says, either.
    let blob = git(&path.join("work"), &["rev-parse", "HEAD:file"]).unwrap();
    fs::remove_file(app.join("objects").join(&blob[..2]).join(blob[2..].trim())).unwrap();
    let again = Origin::new(&Repository { url: url(&app), ..Repository::default() }, path.join("again"));
    assert!(again.set_up("", None).is_err());
    assert!(!ran.exists(), "{}", fs::read_to_string(&ran).unwrap_or_default());
}

#[test]
fn of_a_bundle_a_repository_is_made_once() {
    let (_folder, path) = claim();
    let bundle = path.join("sources.bundle");
    let (work, file) = (path.join("work"), bundle.to_string_lossy().into_owned());
    // Of one branch that nothing says is the one to begin with.
    git(&work, &["branch", "-m", "main", "trunk"]).unwrap();
    git(&work, &["bundle", "create", "-q", &file, "trunk"]).unwrap();
    let made = path.join("sources.git");
    for place in ["first", "second"] {
        assert_eq!(open(&url(&bundle)), Ok(url(&made)));
        let origin = origin(&url(&made), path.join(place));
        origin.set_up("", None).unwrap();
        assert_eq!(git(&path.join(place), &["rev-parse", "--abbrev-ref", "HEAD"]).unwrap(), "trunk\n");
        let new = commit(&path.join(place), place);
        let push = Push { reference: format!("refs/heads/{place}"), commit: new, expected: None };
        assert_eq!(origin.push(&push), Ok(Pushed::Done));
    }
    let heads = git(&made, &["for-each-ref", "--format=%(refname:short)", "refs/heads"]).unwrap();
    assert_eq!(heads, "first\nsecond\ntrunk\n");
    let left = fs::read_dir(&path).unwrap().filter_map(|entry| entry.unwrap().file_name().into_string().ok());
    assert_eq!(left.filter(|name| name.starts_with('.')).count(), 0);
}

#[test]
fn what_cannot_be_used_is_named() {
    let (_folder, path) = claim();
    symlink(path.join("app.git"), path.join("link.git")).unwrap();
    fs::write(path.join("false.bundle"), "no bundle").unwrap();
    fs::write(path.join("file.git"), "").unwrap();
    for (name, words) in [
        ("none.git", "none.git cannot be read: No such file"),
        ("none.bundle", "none.bundle cannot be read: No such file"),
        ("link.git", "and no link is followed: name what it leads to"),
        ("work", "work is no bare repository: make one with git clone --bare, or a bundle"),
        ("file.git", "file.git is no bare repository"),
        ("false.bundle", "git clone: "),
    ] {
        let said = open(&url(&path.join(name))).unwrap_err();
        assert!(said.contains(words), "{name}: {said}");
    }
    assert!(!path.join("false.git").exists());
}
