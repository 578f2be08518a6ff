use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::Trusted;

/// Runs git in a folder and gives what it prints.
fn git(folder: &Path, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(["-c", "user.name=a", "-c", "user.email=a@b"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "git {arguments:?}");
    output.stdout
}

fn id(printed: Vec<u8>) -> String {
    String::from_utf8(printed).unwrap().trim().to_owned()
}

/// Mode, name and object of an entry of a tree.
type Entry<'a> = (&'a str, &'a str, &'a str);

/// Writes a tree of these, whatever they say.
fn tree(folder: &Path, entries: &[Entry<'_>]) -> String {
    let mut bytes = Vec::new();
    for (mode, name, object) in entries {
        bytes.extend(format!("{mode} {name}\0").bytes());
        bytes.extend((0..40).step_by(2).map(|at| u8::from_str_radix(&object[at..at + 2], 16).unwrap()));
    }
    id(git(folder, &["hash-object", "-t", "tree", "-w", "--stdin", "--literally"], &bytes))
}

/// Whether a commit of this tree is taken in.
fn taken_in(folder: &Path, tree: &str) -> bool {
    let commit = id(git(folder, &["commit-tree", tree, "-m", "Crafted"], b""));
    let pack = git(
        folder,
        &["pack-objects", "--revs", "--stdout", "--thin", "-q"],
        format!("{commit}\n").as_bytes(),
    );
    let place = folder.join("incoming.pack");
    std::fs::write(&place, pack).unwrap();
    let trusted = Trusted::open(&folder.join(format!("trusted-{tree}.git")), "01").unwrap();
    let taken = trusted.index_pack(&place).is_ok();
    assert_eq!(trusted.git().commit(&commit).unwrap().is_some(), taken, "all of it or nothing");
    taken
}

#[test]
fn commits_with_trees_that_no_git_would_write_are_refused() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    git(folder, &["init", "-q", "."], b"");
    let blob = |content: &[u8]| id(git(folder, &["hash-object", "-w", "--stdin"], content));
    let (file, modules) = (blob(b"x\n"), blob(b"[submodule \"x\"]\n\tpath = x\n\turl = -u./x\n"));
    let (file, modules) = (file.as_str(), modules.as_str());
    let inner = tree(folder, &[("100755", "post-checkout", file)]);
    let inner = inner.as_str();
    let refused: &[(&str, &[Entry<'_>])] = &[
        ("a git folder", &[("40000", ".git", inner)]),
        ("one in other letters", &[("40000", ".GiT", inner)]),
        ("its short name on Windows", &[("40000", "git~1", inner)]),
        ("one with a letter that file systems drop", &[("40000", ".g\u{200c}it", inner)]),
        ("a link in its place", &[("120000", ".git", file)]),
        ("the folder above", &[("40000", "..", inner)]),
        ("this folder", &[("40000", ".", inner)]),
        ("a path for a name", &[("100644", "a/../../b", file)]),
        ("a name twice", &[("100644", "a", file), ("100644", "a", file)]),
        ("names in disorder", &[("100644", "b", file), ("100644", "a", file)]),
        ("modules behind a link", &[("120000", ".gitmodules", file)]),
        ("a module whose address is an option", &[("100644", ".gitmodules", modules)]),
    ];
    for (what, entries) in refused {
        assert!(!taken_in(folder, &tree(folder, entries)), "{what}");
    }
    // What is odd but may be: a module without its address, a link to anywhere, a large file of few bytes.
    let large = blob(&vec![0; 40 << 20]);
    let fine = [("100644", "a", large.as_str()), ("160000", "b", file), ("120000", "c", file)];
    assert!(taken_in(folder, &tree(folder, &fine)));
}
