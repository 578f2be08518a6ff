//! Agents that reach for what is not theirs, or make their worktree hard to handle.

use std::fs;
use std::path::Path;

use loop_tests::confined;

use super::{Prepared, misbehave};

#[test]
fn nothing_outside_the_worktree_can_be_written() {
    if !confined() {
        return;
    }
    let ended = misbehave("outside").completed();
    for path in ["/etc/loop-test-mischief", "/dev/shm/loop-test-mischief"] {
        assert!(!Path::new(path).exists(), "{path}");
    }
    assert!(!ended.world.data().join("new").exists());
    assert_eq!(ended.world.git(&["for-each-ref", "--format=%(refname)", "refs/agentloop/x"]), "");
    // A journal that somebody else wrote to is not read any more.
    assert_eq!(ended.world.runs().len(), 1);
}

#[test]
fn the_record_cannot_be_read() {
    if !confined() {
        return;
    }
    let ended = misbehave("reads-record").completed();
    let log = ended.record("iter-01.log");
    assert!(log.starts_with("refused: cat ") && !log.contains("RUN_CREATED"), "{log}");
}

#[test]
fn no_other_process_can_be_seen() {
    if !confined() {
        return;
    }
    let ended = misbehave("reads-others").completed();
    let log = ended.record("iter-01.log");
    assert!(log.contains("agent.sh") && !log.contains("--local"), "{log}");
}

#[test]
fn a_worktree_cannot_be_replaced_by_a_link_to_another_place() {
    if !confined() {
        return;
    }
    let ended = misbehave("replaces-worktree").completed();
    assert!(ended.record("iter-01.log").starts_with("refused: mv "));
}

#[test]
fn an_emptied_worktree_still_has_its_commits() {
    misbehave("empties-worktree").completed();
}

#[test]
fn a_huge_file_that_is_not_committed_does_not_cost_the_commits() {
    let ended = misbehave("sparse-file").completed();
    assert!(ended.repairs().contains("files over 256 MiB were left out"), "{}", ended.repairs());
}

#[test]
fn files_that_cannot_be_read_or_removed_do_not_cost_the_commits() {
    for mode in ["unreadable", "read-only"] {
        misbehave(mode).completed();
    }
}

#[test]
fn a_plan_of_ten_thousand_tasks_is_worked_through() {
    let prepared = Prepared::new("setsid", "");
    let tasks: String = (0..9_998).map(|number| format!("- [ ] Write line {number} of nothing\n")).collect();
    let path = "specs/planning/files-plan.md";
    let plan = fs::read_to_string(prepared.world.app().join(path)).unwrap();
    let plan = plan.replace("- [ ] Write two.txt\n", &format!("- [ ] Write two.txt\n{tasks}"));
    prepared.world.write(&[(path, &plan)]);
    prepared.world.commit("Plan more");
    let ended = prepared.run().completed();
    assert_eq!(ended.run["status"]["progress"]["tasksDone"], 10_000);
    assert!(ended.said.stdout.len() < 32 << 10, "the object stays small");
}
