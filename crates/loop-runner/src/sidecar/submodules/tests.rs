#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::fs;

use super::super::git::tests::commit;
use super::*;

#[test]
fn an_address_may_be_relative_to_the_one_around_it() {
    let cases = [
        ("https://host/team/app.git", "../lib.git", "https://host/team/lib.git"),
        ("https://host/team/app.git/", "../../other/lib.git", "https://host/other/lib.git"),
        ("https://host:8443/app", "../../lib", "https://host:8443/lib"),
        ("https://host/team/app", "./lib", "https://host/team/app/lib"),
        ("git@host:team/app.git", "../lib.git", "git@host:team/lib.git"),
        ("git@host:app.git", "../lib.git", "git@host:lib.git"),
        ("git@host:app.git", "../../lib.git", "git@host:lib.git"),
        ("https://host/app.git", "ssh://git@other/lib.git", "ssh://git@other/lib.git"),
    ];
    for (above, url, expected) in cases {
        assert_eq!(resolved(above, url), expected, "{url} below {above}");
    }
}

#[test]
fn the_credential_goes_to_the_server_of_the_repository_alone_and_no_address_names_a_program() {
    let same = |one: &str, other: &str| server(one) == server(other);
    assert!(same("https://host/app", "https://host/lib"));
    assert!(same("git@host:app", "git@host:team/lib"));
    for other in ["http://host/lib", "https://host:8443/lib", "https://host.evil/lib", "https://host"] {
        assert!(!same("https://host/app", other), "{other}");
    }
    assert!(!same("git@host:app", "root@host:app"));
    for good in ["https://h/x", "git://h/x", "ssh://git@h/x", "git@h:x", "h:x"] {
        assert!(can_be_fetched(good), "{good}");
    }
    for bad in
        ["file:///etc", "/etc", "ext::sh -c id", "x::y", "--upload-pack=x:y", "ssh://-oProxyCommand=x/y", ""]
    {
        assert!(!can_be_fetched(bad), "{bad}");
    }
}

#[test]
fn those_with_an_address_and_a_commit_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    git(at, &["init", "-q", "--initial-branch=main", "."]).unwrap();
    let none = commit(at, "one");
    assert_eq!(named(at, &none, "https://h/app"), Ok(Vec::new()));
    let modules = "[submodule \"a b\"]\n\tpath = libs/a b/\n\turl = ../b.git\n[submodule \"x.y\"]\n\tpath = x\n\turl = \
                   https://o/x\n[submodule \"gone\"]\n\tpath = gone\n\turl = ../gone\n[submodule \"no\"]\n\tpath = no\n";
    fs::write(at.join(".gitmodules"), modules).unwrap();
    for path in ["libs/a b", "x", "no", "unnamed"] {
        git(at, &["update-index", "--add", "--cacheinfo", &format!("160000,{none},{path}")]).unwrap();
    }
    git(at, &["add", ".gitmodules"]).unwrap();
    let author = ["-c", "user.name=T", "-c", "user.email=t@localhost"];
    git(at, &[&author[..], &["commit", "-qm", "two"]].concat()).unwrap();
    let found = named(at, "HEAD", "https://h/app").unwrap();
    let one = |path: &str, url: &str| Submodule { path: path.into(), url: url.into(), commit: none.clone() };
    assert_eq!(found, [one("libs/a b", "https://h/b.git"), one("x", "https://o/x")]);
}

#[test]
fn a_commit_comes_by_its_id_or_with_the_branches() {
    let folder = tempfile::tempdir().unwrap();
    let theirs = folder.path().join("theirs");
    git(folder.path(), &["init", "-q", "--initial-branch=main", "theirs"]).unwrap();
    let first = commit(&theirs, "one");
    let second = commit(&theirs, "two");
    let url = format!("file://{}", theirs.display());
    // An older server gives only what a branch points at.
    let old = Access { settings: vec![("protocol.version".into(), "0".into())], ssh: None };
    for (access, commits) in [(Access::default(), "1"), (old, "2")] {
        let place = folder.path().join(commits);
        git(folder.path(), &["init", "-q", "--bare", &place.to_string_lossy()]).unwrap();
        receive(&place, (&url, &first), &access).unwrap();
        let count = git(&place, &["rev-list", "--all", "--count"]).unwrap();
        assert_eq!(count.trim(), commits);
        assert!(git(&place, &["cat-file", "-e", &second]).is_ok() == (commits == "2"));
        let none = "1".repeat(40);
        assert!(receive(&place, (&url, &none), &access).unwrap_err().contains(&none));
    }
}
