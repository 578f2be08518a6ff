//! Bad input: one clear sentence that names the thing, the reason and the remedy, the exit code of the table, and
//! nothing lost or half made. Odd input that is not bad works.

mod branches;
mod gates;
mod manifest;
mod output;
mod records;
mod repository;
mod storage;
mod task;
mod works;

use std::fs;
use std::path::Path;
use std::process::Command;

use loop_tests::{HONEST, PROJECT, Said, World, said};

/// A gate, so that only what a test is about can be refused.
const GATE: [&str; 2] = ["--gate", "check=true"];

/// The project with an honest agent and more files.
fn project(more: &[(&str, &str)]) -> World {
    let mut files = PROJECT.to_vec();
    files.push((".loop/agent.sh", HONEST));
    files.extend(more);
    World::new(&files)
}

/// Everything that a refusal could have left behind: refs, worktrees, status, files and recorded runs.
fn traces(world: &World) -> String {
    let mut text = String::new();
    for arguments in [&["for-each-ref"][..], &["worktree", "list", "--porcelain"], &["stash", "list"]] {
        text.push_str(&said(&git(world, arguments).output().expect("git runs")).stdout);
    }
    // Fails in a bare repository, where there are no files to have a status.
    text.push_str(
        &said(&git(world, &["status", "--porcelain", "--ignored"]).output().expect("git runs")).stdout,
    );
    for folder in ["app", "home"] {
        tree(&world.path(folder), &mut text);
    }
    let parent = world.path("");
    let mut beside: Vec<String> = fs::read_dir(parent)
        .expect("the world's folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .filter(|name| name != "data")
        .collect();
    beside.sort();
    text.push_str(&beside.join(" "));
    text + "\n" + &recorded(world)
}

/// Names of all runs, as a user sees them; the data directory is named, since a test may have bent the environment.
fn recorded(world: &World) -> String {
    let data = world.data();
    let Some(data) = data.to_str().filter(|_| data.is_dir()) else { return String::new() };
    world.loopctl(&["list", "-o", "name", "--data-dir", data]).stdout
}

fn git(world: &World, arguments: &[&str]) -> Command {
    let mut command = Command::new("git");
    command.current_dir(world.app()).args(arguments).env("GIT_OPTIONAL_LOCKS", "0");
    command
}

/// Paths and contents below a folder, without git's own.
fn tree(folder: &Path, text: &mut String) {
    let mut entries: Vec<_> =
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry")).collect();
    entries.sort_by_key(fs::DirEntry::path);
    for entry in entries {
        let (path, kind) = (entry.path(), entry.file_type().expect("a type"));
        if entry.file_name() == ".git" {
            continue;
        }
        text.push_str(&format!("{} {kind:?}\n", path.display()));
        if kind.is_dir() {
            tree(&path, text);
        } else if kind.is_file() {
            text.push_str(&String::from_utf8_lossy(&fs::read(&path).expect("a file")));
        }
    }
}

/// `loopctl run --local --gate check=true` with more arguments is refused with exactly this sentence.
#[track_caller]
fn refused(world: &World, arguments: &[&str], sentence: &str) {
    let mut all = vec!["run", "--local"];
    all.extend(GATE);
    all.extend(arguments);
    refused_command(world, &mut world.command(&all), 2, sentence);
}

/// A command ends with this code and exactly this sentence, and leaves no trace. `[world]` stands for its folder.
#[track_caller]
fn refused_command(world: &World, command: &mut Command, code: i32, sentence: &str) {
    let before = traces(world);
    let said = said(&command.output().expect("the command runs"));
    assert_eq!(complaint(world, &said), format!("error: {sentence}\n"));
    assert_eq!((said.code, said.stdout.as_str()), (code, ""));
    assert_eq!(traces(world), before, "something was left behind");
}

/// What was said on stderr, with the world's folder replaced.
fn complaint(world: &World, said: &Said) -> String {
    let folder = world.path("x");
    let folder = folder.parent().expect("the world's folder").to_string_lossy().into_owned();
    said.stderr.replace(&folder, "[world]")
}

/// A run that goes through although its surroundings are odd.
#[track_caller]
fn completes(world: &World, command: &mut Command) -> Said {
    let said = said(&command.output().expect("loopctl runs"));
    assert_eq!(said.code, 0, "{}{}", complaint(world, &said), said.stdout);
    said
}
