//! The same without bubblewrap: lies are still found, and processes still ended.

use super::{Ended, Prepared};

fn misbehave(mode: &str, settings: &str) -> Ended {
    let mut prepared = Prepared::new(mode, settings);
    prepared.world.environment.push(("LOOP_ISOLATION".to_owned(), "none".to_owned()));
    let ended = prepared.run();
    let isolation = ended.records("RUN_STARTED")[0]["isolation"].to_string();
    assert!(isolation.starts_with("\"none"), "{isolation}");
    ended
}

#[test]
fn unconfined_a_token_without_work_is_refused() {
    misbehave("token", "").refused("nothing_done");
}

#[test]
fn unconfined_a_background_process_is_swept_before_the_gate() {
    misbehave("background", "").refused("gate_failed");
}

#[test]
fn unconfined_an_agent_that_never_ends_is_stopped() {
    let ended = misbehave("never-ends", "agent_timeout_sec=1\n");
    ended.failed("agent_failed", "runner_execution_failed:timeout");
}

#[test]
fn unconfined_what_left_the_session_or_the_environment_is_swept() {
    for mode in ["setsid", "new-environment", "holds-output"] {
        misbehave(mode, "").completed();
    }
}

#[test]
fn unconfined_a_fake_tool_in_an_ignored_folder_fools_nobody() {
    misbehave("fake-ignored", "").refused("gate_failed");
}

#[test]
fn unconfined_an_agent_that_kills_its_executor_fails_its_step() {
    let ended = misbehave("kills-parent", "");
    ended.failed("agent_failed", "");
}

#[test]
fn unconfined_a_detached_head_and_a_missing_link_are_repaired() {
    for mode in ["detaches", "git-link", "fifo-head"] {
        misbehave(mode, "").completed();
    }
}
