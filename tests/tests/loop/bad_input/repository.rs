//! The repository itself.

use std::fs;
use std::process::Command;

use loop_tests::World;

use super::{GATE, completes, project, refused, refused_command};

fn run_in(world: &World, folder: &str) -> Command {
    let mut command = world.command(&["run", "--local", "specs/files.md", GATE[0], GATE[1]]);
    command.current_dir(world.path(folder));
    command
}

#[test]
fn a_folder_without_repository_or_without_files_is_refused() {
    let world = project(&[]);
    fs::create_dir(world.path("plain")).unwrap();
    world.git(&["clone", "-q", "--bare", ".", "../bare.git"]);
    let table = [
        ("plain", "[world]/plain is not in a git repository; run `git init` there, commit, and try again"),
        (
            "bare.git",
            "[world]/bare.git is in a bare repository, which has no files; run this in a checkout of it",
        ),
        (
            "app/.git",
            "[world]/app/.git is inside a repository's .git folder; run this where the repository's files are",
        ),
    ];
    for (folder, sentence) in table {
        refused_command(&world, &mut run_in(&world, folder), 2, sentence);
    }
}

#[test]
fn a_repository_without_a_commit_is_refused() {
    let world = World::bare();
    refused(
        &world,
        &["specs/files.md"],
        "the repository has no commit yet; commit spec, plan and code first",
    );
}

#[test]
fn a_detached_head_needs_a_base_branch() {
    let world = project(&[]);
    let commit = world.git(&["rev-parse", "HEAD"]);
    world.git(&["checkout", "-q", "--detach"]);
    let sentence = format!(
        "HEAD is detached at {}, so there is no branch to start from; say which with --base-branch",
        &commit[..12]
    );
    refused(&world, &["specs/files.md"], &sentence);
    refused(
        &world,
        &["specs/files.md", "--base-branch", "nope"],
        "base branch nope does not exist; `git branch -a` lists those that do, and --base-branch names one",
    );
    let arguments = ["run", "--local", "specs/files.md", "--base-branch", "main", GATE[0], GATE[1]];
    completes(&world, &mut world.command(&arguments));
}

#[test]
fn without_git_the_sentence_says_so() {
    let world = project(&[]);
    let empty = world.path("empty");
    fs::create_dir(&empty).unwrap();
    let mut command = run_in(&world, "app");
    command.env("PATH", empty);
    let before = super::traces(&world);
    let said = loop_tests::said(&command.output().unwrap());
    assert_eq!((said.code, said.stdout.as_str()), (2, ""));
    let sentence = said.stderr.trim();
    assert!(sentence.starts_with("error: git cannot be run: "), "{sentence}");
    assert!(sentence.ends_with("; install git 2.38 or newer, or put it on PATH"), "{sentence}");
    assert_eq!(super::traces(&world), before);
}

#[test]
fn a_current_folder_that_is_gone_is_named() {
    let world = project(&[]);
    let mut command = Command::new("sh");
    command.current_dir(world.path("")).env("HOME", world.path("home")).args([
        "-c",
        "mkdir gone && cd gone && rmdir ../gone && exec \"$0\" run --local specs/files.md --data-dir /nonexistent",
    ]);
    command.arg(loop_tests::loopctl());
    refused_command(
        &world,
        &mut command,
        2,
        "the current folder is gone (No such file or directory (os error 2)); change to one that exists",
    );
}

#[test]
fn a_worktree_that_cannot_be_filled_leaves_no_branch_and_is_made_by_the_resumed_run() {
    let world = project(&[("data.bin", "pointer\n"), (".gitattributes", "*.bin filter=big\n")]);
    world.git(&["config", "filter.big.required", "true"]);
    world.git(&["config", "filter.big.clean", "cat"]);
    world.git(&["config", "filter.big.smudge", "exit 1 # no such program"]);
    let before = world.git(&["for-each-ref"]);
    let (said, run) = world.run(&["specs/files.md", GATE[0], GATE[1]]);
    assert_eq!(said.code, 1, "{}", said.stderr);
    let message = run["status"]["result"]["message"].as_str().unwrap();
    assert!(message.contains("app.run-files could not be made, git says: "), "{message}");
    assert!(message.contains("data.bin: smudge filter big failed"), "{message}");
    assert!(message.ends_with("; put that right, then resume the run"), "{message}");
    assert_eq!(world.git(&["for-each-ref"]), before);
    assert_eq!(world.git(&["worktree", "list"]).lines().count(), 1);
    assert!(!world.path("app.run-files").exists());

    world.git(&["config", "filter.big.smudge", "cat"]);
    let name = run["metadata"]["name"].as_str().unwrap();
    let said = world.loopctl(&["resume", name]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert_eq!(world.git(&["show", "agent/files:two.txt"]), "two");
}

#[test]
fn repositories_that_a_run_would_fail_on_half_way_are_refused_before_the_start() {
    let refused = |world: &World, part: &str| {
        let said = world.loopctl(&["run", "--local", "specs/files.md", "--gate", "check=true"]);
        assert_eq!(said.code, 2, "{}", said.stderr);
        assert!(said.stderr.contains(part), "{}", said.stderr);
        assert!(!world.data().join("runs").exists());
    };
    let world = project(&[]);
    world.git(&["config", "remote.origin.promisor", "true"]);
    refused(&world, "is a partial clone");
    world.git(&["config", "--unset", "remote.origin.promisor"]);
    let mut inside = project(&[]);
    let data = inside.app().join(".git/loop");
    inside.environment.push(("LOOP_DATA_DIR".into(), data.to_string_lossy().into_owned()));
    refused(&inside, "lies in the repository's .git");
}
