#![allow(clippy::unwrap_used, reason = "these are tests")]

use super::*;

/// Commits a file with this text; gives the commit.
pub(in super::super) fn commit(folder: &Path, text: &str) -> String {
    fs::write(folder.join("file"), text).unwrap();
    git(folder, &["add", "."]).unwrap();
    let author = ["-c", "user.name=T", "-c", "user.email=t@localhost"];
    git(folder, &[&author[..], &["commit", "-qm", text]].concat()).unwrap();
    git(folder, &["rev-parse", "HEAD"]).unwrap().trim().to_owned()
}

fn repository(folder: &Path, depth: u32) -> Repository {
    let url = format!("file://{}", folder.display());
    Repository { url, checkout: Checkout { depth, ..Checkout::default() }, ..Repository::default() }
}

#[test]
fn a_shallow_clone_has_every_branch_and_can_push() {
    let folder = tempfile::tempdir().unwrap();
    let theirs = folder.path().join("theirs");
    git(folder.path(), &["init", "-q", "--initial-branch=main", "theirs"]).unwrap();
    for text in ["one", "two", "three"] {
        commit(&theirs, text);
    }
    git(&theirs, &["branch", "other", "main~1"]).unwrap();
    let origin = Origin::new(&repository(&theirs, 1), folder.path().join("origin"));
    origin.set_up("", None).unwrap();
    let ours = &origin.folder;
    assert_eq!(git(ours, &["rev-list", "--count", "main"]).unwrap().trim(), "1");
    assert_eq!(git(ours, &["rev-list", "--count", "other"]).unwrap().trim(), "1");
    let new = commit(ours, "four");
    let push = Push { reference: "refs/heads/new".into(), commit: new, expected: None };
    assert_eq!(origin.push(&push), Ok(Pushed::Done));
    assert_eq!(git(&theirs, &["rev-list", "--count", "new"]).unwrap().trim(), "4");
    for _ in 0..2 {
        origin.complete().unwrap();
        assert_eq!(git(ours, &["rev-list", "--count", "HEAD"]).unwrap().trim(), "4");
    }
}

#[test]
fn a_branch_moves_only_from_where_it_is_expected() {
    let folder = tempfile::tempdir().unwrap();
    let theirs = folder.path().join("theirs");
    git(folder.path(), &["init", "-q", "--initial-branch=main", "theirs"]).unwrap();
    let first = commit(&theirs, "one");
    git(&theirs, &["branch", "agent/old"]).unwrap();
    let origin = Origin::new(&repository(&theirs, 0), folder.path().join("origin"));
    origin.set_up("main", None).unwrap();
    origin.set_up("main", None).unwrap();
    let ours = &origin.folder;
    assert_eq!(git(ours, &["rev-parse", "agent/old"]).unwrap().trim(), first);
    let second = commit(ours, "two");
    let push = |expected: Option<&String>, commit: &str| {
        let (reference, expected) = ("refs/heads/agent/new".to_owned(), expected.cloned());
        origin.push(&Push { reference, commit: commit.to_owned(), expected })
    };
    assert_eq!(push(None, &second), Ok(Pushed::Done));
    assert_eq!(push(None, &second), Ok(Pushed::Done), "it is there already");
    let third = commit(ours, "three");
    assert_eq!(push(None, &third), Ok(Pushed::Moved), "it was not to be there");
    assert_eq!(
        git(ours, &["rev-parse", "agent/new"]).unwrap().trim(),
        second,
        "what the remote has is known"
    );
    assert_eq!(push(Some(&second), &third), Ok(Pushed::Done));
    let before = |reference: &str, ours: &[&str]| origin.pushed_before(reference, ours);
    assert_eq!(before("refs/heads/agent/new", &[&third]), Some(third.clone()));
    assert_eq!(before("refs/heads/agent/new", &[&second]), None, "it is not a part of that");
    assert_eq!(before("refs/heads/agent/new", &[&second, &third]), Some(third.clone()));
    assert_eq!(before("refs/heads/none", &[&third]), None);
    assert_eq!(origin.may_push("refs/heads/agent/new"), Ok(()), "whatever is there");
    git(&theirs, &["branch", "-f", "agent/new", &first]).unwrap();
    assert_eq!(push(Some(&third), &second), Ok(Pushed::Moved));
    fs::remove_dir_all(&theirs).unwrap();
    assert!(push(Some(&second), &third).unwrap_err().starts_with("git "));
}
