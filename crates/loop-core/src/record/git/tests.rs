use std::path::Path;
use std::process::Command;

use loop_api::journal::{Granted, WorktreeFacts};
use loop_api::phase::RunPhase;
use serde_json::Value;

use super::*;
use crate::store::Store;

fn git(folder: &Path, arguments: &[&str]) -> String {
    let identity = ["-c", "user.name=Test", "-c", "user.email=test@localhost"];
    let mut command = Command::new("git");
    command.current_dir(folder).args(identity).args(arguments);
    command.env("HOME", folder).env("GIT_CONFIG_NOSYSTEM", "1");
    let output = command.output().expect("git runs");
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn commit(folder: &Path, message: &str) -> String {
    git(folder, &["add", "--all"]);
    git(folder, &["commit", "-q", "-m", message]);
    git(folder, &["rev-parse", "HEAD"])
}

/// Three commits, of base, work and snapshot, in a trusted repository; and the state of a run that ended with them.
fn ended() -> (tempfile::TempDir, RunDir, Trusted, State) {
    let folder = tempfile::tempdir().expect("a folder");
    let app = folder.path().join("app");
    fs::create_dir_all(&app).expect("a folder");
    git(&app, &["init", "-q"]);
    let write = |name: &str, text: &[u8]| fs::write(app.join(name), text).expect("a file");
    let long: String = (0..40).map(|line| format!("line {line}\n")).collect();
    write("moved", long.as_bytes());
    write("changed", b"one\ntwo\n");
    write("gone", b"diff --git a/x b/x\n");
    write("turned", b"a file\n");
    let base = commit(&app, "Base");
    fs::rename(app.join("moved"), app.join("its new => name")).expect("it moves");
    write("its new => name", format!("{long}more\n").as_bytes());
    write("changed", b"one\n2\ndiff --git a/y b/y\n");
    write("new | \"odd\"\nname", b"text\n");
    write("binary", &[0, 159, 146, 150]);
    for name in ["gone", "turned"] {
        fs::remove_file(app.join(name)).expect("it goes");
    }
    std::os::unix::fs::symlink("changed", app.join("turned")).expect("a link");
    let head = commit(&app, "Work | with => signs");
    write("changed", b"uncommitted\n");
    write("untracked file", b"x\n");
    fs::remove_file(app.join("binary")).expect("it goes");
    let snapshot = commit(&app, "Snapshot");
    let store = Store::at(folder.path().join("data"));
    let trusted = Trusted::open(&store.trusted_repository(&app), "01").expect("a repository");
    trusted.import(&app, &snapshot, "snapshot").expect("commits");
    let tree = trusted.tree(&head).expect("a tree");
    let mut state = State::default();
    state.phase = RunPhase::Completed;
    let run_branch = "run/files".into();
    state.worktree = Some(WorktreeFacts { base_commit: base, run_branch, ..WorktreeFacts::default() });
    state.granted = Some(Granted { level: "x".into(), commit: head.clone(), tree, mode: "plan".into() });
    state.checkpoint = Some((head, snapshot));
    let run = store.create_run("01").expect("a folder");
    (folder, run, trusted, state)
}

#[test]
fn bug_21_every_changed_file_has_its_names_its_numbers_and_its_own_patch() {
    let (_folder, run, trusted, state) = ended();
    assert_eq!(write(&run, &state, &trusted), Vec::<String>::new());
    let diff: Value = serde_json::from_slice(&fs::read(run.join("review-diff.json")).unwrap()).unwrap();
    let files = diff["files"].as_array().unwrap();
    let facts: Vec<String> = files
        .iter()
        .map(|file| {
            let [old, path] = ["old_path", "path"].map(|key| file[key].as_str().unwrap_or("-"));
            format!("{} {old} {path} +{} -{}", file["status"], file["additions"], file["deletions"])
        })
        .collect();
    let expected = [
        "\"added\" - binary +null -null",
        "\"modified\" - changed +2 -1",
        "\"deleted\" - gone +0 -1",
        "\"renamed\" moved its new => name +1 -0",
        "\"added\" - new | \"odd\"\nname +1 -0",
        "\"type_changed\" - turned +1 -1",
    ];
    assert_eq!(facts, expected);
    assert_eq!((&diff["additions"], &diff["deletions"]), (&Value::from(5), &Value::from(3)));
    let patch = |at: usize| files[at]["patch"].as_str().unwrap();
    assert!(patch(1).starts_with("diff --git a/changed b/changed\n"), "{}", patch(1));
    assert!(patch(1).ends_with("\n+2\n+diff --git a/y b/y\n"), "{}", patch(1));
    assert!(patch(3).contains("rename from moved\n") && patch(3).ends_with("+more\n"), "{}", patch(3));
    assert_eq!(patch(5).matches("diff --git ").count(), 2, "a link in place of a file goes and comes");
}

#[test]
fn the_picture_shows_the_commit_and_what_lies_beside_it() {
    let (_folder, run, trusted, state) = ended();
    assert_eq!(write(&run, &state, &trusted), Vec::<String>::new());
    let read = |name: &str| fs::read_to_string(run.join("analysis").join(name)).unwrap();
    let status = "## run/files\n D binary\n M changed\n?? \"untracked file\"\n";
    assert_eq!(read("git-status.txt"), status);
    assert!(read("git-last-commit.txt").contains("Work | with => signs"));
    assert!(read("git-last-commit.txt").contains("6 files changed, 5 insertions(+), 3 deletions(-)"));
    assert!(read("git-last-commit.patch").contains("\n+2\n"));
    assert!(read("git-diff.patch").contains("\n+uncommitted\n"));
}

#[test]
fn a_run_without_a_worktree_has_no_picture_and_a_failed_one_no_review_diff() {
    let (_folder, run, trusted, mut state) = ended();
    let mut none = state.clone();
    none.worktree = None;
    assert_eq!(write(&run, &none, &trusted), Vec::<String>::new());
    assert!(!run.join("analysis").exists());
    state.phase = RunPhase::Failed;
    write(&run, &state, &trusted);
    assert!(run.join("analysis/git-status.txt").exists() && !run.join("review-diff.json").exists());
}

#[test]
fn what_is_too_long_is_cut_and_says_so() {
    let (_folder, _run, trusted, state) = ended();
    let (head, _) = state.checkpoint.unwrap();
    let (bytes, more) = trusted.git().run_capped(&["show", &head], 10).unwrap();
    assert_eq!((bytes.len(), more), (10, true));
    let (_, more) = trusted.git().run_capped(&["show", &head], PICTURE).unwrap();
    assert!(!more);
}

#[test]
fn a_commit_that_is_gone_costs_the_files_that_need_it() {
    let (_folder, run, trusted, mut state) = ended();
    state.checkpoint = state.checkpoint.map(|(head, _)| (head, "0".repeat(40)));
    let notes = write(&run, &state, &trusted);
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(notes[0].starts_with("analysis/git-status.txt could not be written: "), "{notes:?}");
    assert!(run.join("review-diff.json").exists());
}
