//! Git killed together with the engine, while it makes or removes branch and worktree.

use loop_tests::{World, write};

use super::scenario::{RUN, finishes_as_if_undisturbed, kill_at_append, record_of, world};

/// A world whose engine was killed after the intent to make the worktree, with the run's uid.
fn intended() -> (World, String) {
    let world = world();
    let killed = kill_at_append(&world, RUN, record_of("WORKTREE_CREATING", ""));
    assert_eq!(killed.code, 137, "{}", killed.stderr);
    let uid = world.runs()[0]["metadata"]["uid"].as_str().expect("a uid").to_owned();
    (world, uid)
}

fn lock(world: &World, reference: &str) {
    write(&world.app().join(".git").join(format!("{reference}.lock")), "");
}

#[test]
fn refs_that_were_locked_but_not_made_are_made() {
    let (world, uid) = intended();
    lock(&world, "refs/heads/run/files");
    lock(&world, &format!("refs/agentloop/{uid}"));
    finishes_as_if_undisturbed(&world, "both refs locked");
}

#[test]
fn a_mark_without_its_branch_is_taken_back() {
    let (world, uid) = intended();
    world.git(&["update-ref", &format!("refs/agentloop/{uid}"), "main"]);
    lock(&world, "refs/heads/run/files");
    finishes_as_if_undisturbed(&world, "only the mark was made");
}

#[test]
fn a_half_made_worktree_is_made_again() {
    let (world, uid) = intended();
    world.git(&["update-ref", &format!("refs/agentloop/{uid}"), "main"]);
    world.git(&["branch", "run/files", "main"]);
    let creating = world.journal().into_iter().find(|record| record["kind"] == "WORKTREE_CREATING");
    let path = creating.expect("the intent")["worktree_path"].as_str().expect("a path").to_owned();
    world.git(&["worktree", "add", "-q", "--lock", "--reason", "initializing", &path, "run/files"]);
    std::fs::remove_file(format!("{path}/check.sh")).expect("a file of it");
    finishes_as_if_undisturbed(&world, "half a worktree");
}

#[test]
fn a_half_removed_worktree_is_removed() {
    let world = world();
    let killed = kill_at_append(&world, RUN, record_of("STEP_STARTED", "cleanup"));
    assert_eq!(killed.code, 137, "{}", killed.stderr);
    let path = world.runs()[0]["status"]["worktree"]["path"].as_str().expect("a path").to_owned();
    std::fs::remove_file(format!("{path}/.git")).expect("its link");
    finishes_as_if_undisturbed(&world, "half removed");
    assert!(!std::path::Path::new(&path).exists());
}
