//! Project hooks of Worktrunk: none by default, those of the base commit when asked for and approved (WT-24, WT-29).

use std::path::{Path, PathBuf};

use loop_tests::{Said, World, confined, write};

use super::scenario::{RUN, real_wt, worktree, world_with};

const HOOK: &str = "mkdir -p build && echo {{ branch }} > build/hooked";
const APPROVED: &str = "worktree_cleanup=off\nworktree_hooks=approved\n";

/// A project whose base commit has hooks, and what its configuration of runs says.
fn hooked(wt: &Path, config: &str, hooks: &str) -> World {
    world_with(wt, &[(".loop/config", config), (".config/wt.toml", hooks)])
}

/// Approves commands as `wt config approvals add` would.
fn approve(world: &World, commands: &[&str]) {
    let commands: Vec<String> = commands.iter().map(|command| format!("'''{command}'''")).collect();
    let project = world.app();
    let text =
        format!("[projects.\"{}\"]\napproved-commands = [{}]\n", project.display(), commands.join(", "));
    write(&world.path("home/.config/worktrunk/approvals.toml"), &text);
}

fn run(world: &World, more: &[&str]) -> (Said, PathBuf) {
    let (said, run) = world.run(&[RUN, more].concat());
    assert_eq!(said.code, 0, "{}", said.stderr);
    let (provider, path) = worktree(&run);
    assert_eq!(provider, "worktrunk");
    (said, path)
}

#[test]
fn an_approved_hook_runs_only_when_hooks_are_asked_for() {
    let Some(wt) = real_wt() else { return };
    for (config, runs) in [("worktree_cleanup=off\n", false), (APPROVED, true)] {
        let world = hooked(&wt, config, &format!("pre-start = '''{HOOK}'''\n"));
        approve(&world, &[HOOK]);
        let (said, path) = run(&world, &[]);
        assert!(!said.stderr.contains("warning"), "{}", said.stderr);
        let left = std::fs::read_to_string(path.join("build/hooked"));
        assert_eq!(left.ok().as_deref(), runs.then_some("run/files\n"), "{config}");
    }
}

#[test]
fn a_hook_that_is_not_approved_does_not_run_and_that_is_said() {
    let Some(wt) = real_wt() else { return };
    let world =
        hooked(&wt, APPROVED, &format!("[pre-start]\none = '''{HOOK}'''\ntwo = \"echo > build/two\"\n"));
    approve(&world, &[HOOK]);
    let (said, path) = run(&world, &[]);
    assert!(
        said.stderr.contains("warning: no hook of .config/wt.toml ran for the new worktree"),
        "{}",
        said.stderr
    );
    assert!(said.stderr.contains("`wt config approvals add`"), "{}", said.stderr);
    assert!(!path.join("build").exists());
}

#[test]
fn the_hooks_are_those_of_the_base_commit() {
    let Some(wt) = real_wt() else { return };
    let world = hooked(&wt, APPROVED, &format!("pre-start = '''{HOOK}'''\n"));
    world.git(&["branch", "old"]);
    let other = "mkdir -p build && echo > build/other";
    world.write(&[(".config/wt.toml", &format!("pre-start = '''{other}'''\n"))]);
    world.commit("Another hook");
    approve(&world, &[HOOK, other]);
    let (_, path) = run(&world, &["--base-branch", "old"]);
    assert!(path.join("build/hooked").exists() && !path.join("build/other").exists());
}

#[test]
fn hooks_run_confined_and_what_they_leave_running_ends() {
    let Some(wt) = real_wt() else { return };
    let hook = "(sleep 1000 >/dev/null 2>&1 &) ; mkdir -p build && echo > build/hooked; echo > \"$HOME/escaped\"; \
                cat \"$LOOP_DATA_DIR\"/runs/*/journal.jsonl > build/journal || true";
    let world = hooked(&wt, APPROVED, &format!("pre-start = '''{hook}'''\n"));
    approve(&world, &[hook]);
    let (_, path) = run(&world, &[]);
    assert!(path.join("build/hooked").exists());
    assert_eq!(world.leftovers(), Vec::<String>::new());
    if confined() {
        assert!(!world.path("home/escaped").exists());
        assert_eq!(std::fs::read_to_string(path.join("build/journal")).expect("what was read"), "");
    }
}

#[test]
fn a_hook_that_fails_fails_the_run_and_nothing_stays() {
    let Some(wt) = real_wt() else { return };
    let hook = "echo no network >&2; exit 7";
    let world = hooked(&wt, APPROVED, &format!("pre-start = '''{hook}'''\n"));
    approve(&world, &[hook]);
    let (said, run) = world.run(RUN);
    assert_eq!(said.code, 1, "{}", said.stderr);
    let message = run["status"]["result"]["message"].as_str().expect("a message");
    assert!(
        message.contains("a pre-start hook of .config/wt.toml failed for the new worktree: "),
        "{message}"
    );
    assert!(message.contains("no network") && message.ends_with("or set worktree_hooks=skip"), "{message}");
    assert_eq!(world.git(&["for-each-ref", "--format=%(refname)"]), "refs/heads/main");
    assert_eq!(world.git(&["worktree", "list"]).lines().count(), 1);
    assert!(!world.path("app.run-files").exists());
}
