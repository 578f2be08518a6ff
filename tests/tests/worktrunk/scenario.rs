//! A project with an honest agent, and a `wt` in PATH: the real one, or a script in front of it.

use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use loop_tests::{HONEST, PROJECT, World, write};
use serde_json::Value;

/// The run of these tests.
pub(crate) const RUN: &[&str] = &["specs/files.md", "--gate", "check=sh check.sh"];

/// The real `wt`; without one the test says so and passes, unless every rung is required.
pub(crate) fn real_wt() -> Option<PathBuf> {
    let named = std::env::var_os("LOOP_TEST_WT").map(PathBuf::from).filter(|path| path.is_file());
    let required = std::env::var("LOOP_REQUIRE").is_ok_and(|value| value == "all");
    assert!(named.is_some() || !required, "LOOP_TEST_WT names no wt, and every rung is required");
    if named.is_none() {
        let _ = writeln!(std::io::stderr(), "MISSING: a wt in LOOP_TEST_WT; this test did nothing");
    }
    named
}

/// The project with these files more, and an empty folder that comes first in PATH.
pub(crate) fn world(files: &[(&str, &str)]) -> World {
    let mut world = World::bare();
    world.write(PROJECT);
    world.write(&[(".loop/agent.sh", HONEST)]);
    world.write(files);
    world.commit("Start");
    let bin = world.path("bin");
    std::fs::create_dir_all(&bin).expect("a folder");
    let path = std::env::var("PATH").expect("PATH");
    world.environment.push(("PATH".into(), format!("{}:{path}", bin.display())));
    world
}

/// The same with the real `wt` in that folder.
pub(crate) fn world_with(wt: &Path, files: &[(&str, &str)]) -> World {
    let world = world(files);
    symlink(wt, world.path("bin/wt")).expect("a link");
    world
}

/// Puts a script in the place of `wt`.
pub(crate) fn put_wt(world: &World, script: &str) {
    let place = world.path("bin/wt");
    let _ = std::fs::remove_file(&place);
    write(&place, &format!("#!/bin/sh\n{script}\n"));
}

/// Asks a `wt` in the repository, as the user of this world would.
pub(crate) fn ask(world: &World, wt: &Path, folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(wt);
    command.args(arguments).current_dir(folder).env("HOME", world.path("home"));
    command.env("GIT_CONFIG_NOSYSTEM", "1").output().expect("wt runs")
}

/// Whether `wt` itself would have each worktree where it is.
pub(crate) fn wt_agrees(world: &World, wt: &Path, config: &[&str]) {
    let mut arguments = config.to_vec();
    arguments.extend(["step", "relocate", "--dry-run", "--format", "json"]);
    let output = ask(world, wt, &world.app(), &arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(answer["entries"].as_array().map(Vec::len), Some(0), "{answer}");
}

/// Provider and path in a run's status.
pub(crate) fn worktree(run: &Value) -> (&str, PathBuf) {
    let status = &run["status"]["worktree"];
    (status["provider"].as_str().unwrap_or_default(), status["path"].as_str().unwrap_or_default().into())
}
