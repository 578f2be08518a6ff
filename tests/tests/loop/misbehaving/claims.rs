//! Agents that claim more than they did.

use super::{Prepared, misbehave};

#[test]
fn a_token_without_work_is_refused() {
    let ended = misbehave("token").refused("nothing_done");
    assert!(
        ended.record("prompt.txt").contains("Completion was refused: nothing differs from the base commit")
    );
}

#[test]
fn by_default_three_failed_gates_end_a_run_whatever_the_agent_says() {
    let ended = Prepared::new("token", "max_consecutive_verification_failures=3\n").run();
    ended.failed("failed", "max_consecutive_failures:verification:3");
}

#[test]
fn a_changed_spec_is_refused() {
    let ended = misbehave("spec").refused("protected_paths");
    assert!(ended.run["status"]["result"]["message"].as_str().unwrap().contains("specs/files.md (the spec)"));
    assert!(
        ended.record("prompt.txt").contains("Protected files were changed; restore them: specs/files.md")
    );
}

#[test]
fn changed_gate_scripts_configuration_and_agent_are_refused() {
    for mode in ["gate-script", "or-true", "config", "own-program", "attributes"] {
        misbehave(mode).refused("protected_paths");
    }
}

#[test]
fn deleted_skipped_and_emptied_tests_are_refused() {
    for mode in ["deletes-test", "skips-test", "empties-test"] {
        misbehave(mode).refused("tests_weakened");
    }
}

#[test]
fn tasks_ticked_without_work_are_unticked_and_the_agent_is_told() {
    let ended = misbehave("ticks").refused("nothing_done");
    assert!(
        ended.record("prompt.txt").contains("have been unticked: Write one.txt; Write two.txt"),
        "{}",
        ended.record("prompt.txt")
    );
    assert_eq!(ended.run["status"]["progress"]["tasksDone"], 0);
    let plan = ended.world.git(&["show", "run/files:specs/planning/files-plan.md"]);
    assert!(plan.contains("- [ ] Write one.txt\n- [ ] Write two.txt"), "{plan}");
}

#[test]
fn tasks_removed_reworded_or_hidden_are_missed() {
    for mode in ["removes-task", "rewords-task", "hides-task", "removes-plan", "plan-link"] {
        let ended = misbehave(mode).refused("tasks_missing");
        assert!(!ended.record("prompt.txt").contains("root:"), "no link is followed");
    }
}

#[test]
fn a_look_alike_of_the_tick_is_none() {
    misbehave("look-alike").refused("tasks_open");
}

#[test]
fn a_task_called_blocked_is_not_done() {
    misbehave("blocks-task").failed("plan_blocked", "plan_blocked");
}

#[test]
fn a_gate_that_passes_only_in_the_agents_worktree_fails_on_the_commit() {
    for mode in ["fake-ignored", "fake-home", "ignored-work"] {
        let ended = misbehave(mode).refused("gate_failed");
        assert!(
            ended.record("iter-01.log").contains("possible: sh check.sh"),
            "the trick works for the agent"
        );
    }
}

#[test]
fn a_background_process_cannot_work_while_the_gate_runs() {
    misbehave("background").refused("gate_failed");
}

#[test]
fn a_token_that_does_not_stand_last_asks_for_nothing() {
    let ended = misbehave("misplaced-token");
    assert!(ended.records("COMPLETION_REFUSED").is_empty());
    ended.failed("failed", "watchdog_failed:");
}
