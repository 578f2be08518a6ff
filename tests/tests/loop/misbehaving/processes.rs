//! Agents that do not end, or leave something running.

use super::{Prepared, misbehave};

#[test]
fn an_agent_that_never_ends_is_stopped_at_its_limit_and_keeps_its_commits() {
    let ended = Prepared::new("never-ends", "agent_timeout_sec=1\n").run();
    let ended = ended.failed("agent_failed", "runner_execution_failed:timeout");
    assert_eq!(ended.world.git(&["show", "run/files:one.txt"]), "one");
}

#[test]
fn silence_is_limited_and_chatter_does_not_extend_the_whole_time() {
    let ended = Prepared::new("never-ends", "agent_idle_timeout_sec=1\n").run();
    ended.failed("agent_failed", "runner_execution_failed:no output for too long");
    let ended = Prepared::new("chatters", "agent_idle_timeout_sec=1\nagent_timeout_sec=2\n").run();
    ended.failed("agent_failed", "runner_execution_failed:timeout");
}

#[test]
fn an_agent_that_ignores_sigterm_is_killed() {
    let ended = Prepared::new("ignores-term", "agent_timeout_sec=1\n").run();
    ended.failed("agent_failed", "runner_execution_failed:timeout");
}

#[test]
fn what_left_the_session_or_the_environment_ends_with_the_step() {
    for mode in ["setsid", "new-environment"] {
        misbehave(mode).completed();
    }
}

#[test]
fn a_process_that_holds_the_output_open_does_not_hold_up_the_run() {
    misbehave("holds-output").completed();
}

#[test]
fn an_agent_cannot_end_or_stop_what_watches_it() {
    if !loop_tests::confined() {
        return;
    }
    for mode in ["kills", "kills-parent", "stops-parent"] {
        let ended = misbehave(mode);
        if mode == "kills-parent" {
            ended.refused("nothing_done");
        } else {
            ended.completed();
        }
    }
}
