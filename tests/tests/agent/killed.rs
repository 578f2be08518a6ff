//! Killed in the middle of a session of the real CLI, and taken up again: the same session goes on, and what was used
//! counts once.

use std::process::{Child, Stdio};

use loop_tests::endpoint::{Endpoint, fails, says, uses};
use loop_tests::{World, processes};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::scenario::{
    accounted, arguments, bash, fields, object, prompt, records, resume, task, until, world,
};

const FIRST: &str = "## Selected task\n\nWrite one.txt";

/// The first process sleeps in its shell; the one that goes on has to come with what was said before.
fn endpoint() -> Option<Endpoint> {
    let goes_on = |used| json!({"userMessage": "You were cut short", "hasToolResult": used, "turnIndex": if used { 2 } else { 1 }});
    Endpoint::start(&[
        uses(&goes_on(false), &[task("one", "one"), task("two", "two")], (30, 3)),
        says(&goes_on(true), "Done.\n\n<promise>COMPLETE</promise>", (40, 4)),
        uses(&prompt(FIRST, false), &[bash("echo begun > begun.txt; sleep 300")], (10, 1)),
        // When its shell is killed first, it may still ask; it gets nothing that it could use.
        fails(&prompt(FIRST, true), 500, "api_error", "gone"),
    ])
}

fn started(world: &World, patch: &Value) -> Child {
    let mut command = world.command(&arguments(world, patch).iter().map(String::as_str).collect::<Vec<_>>());
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("loopctl starts");
    let begun = world.path("app.run-files/begun.txt");
    until("the agent's shell works", || begun.exists());
    child
}

fn signal(pid: u32, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(pid).expect("a pid")), signal).expect("it is alive");
}

/// Both processes are one session, and everybody counts alike.
fn went_on(world: &World, endpoint: &Endpoint) {
    let started = records(world, "AGENT_STARTED");
    assert_eq!(started.len(), 2, "{started:?}");
    assert_eq!(started[0]["session"], started[1]["session"]);
    assert_eq!((&started[0]["resumed"], &started[1]["resumed"]), (&json!(false), &json!(true)));
    let run = object(world);
    assert_eq!(run["status"]["phase"], "Completed");
    assert_eq!(run["status"]["progress"]["iteration"], 1);
    assert_eq!(world.git(&["show", "agent/files:two.txt"]), "two");
    assert_eq!(loop_tests::check::check(&world.run_folder()), Vec::<String>::new());
    assert_eq!(accounted(world, endpoint), 1, "the process that was killed could not say all");
    assert_eq!(world.leftovers(), Vec::<String>::new());
}

#[test]
fn a_killed_engine_goes_on_in_the_same_session() {
    let Some(endpoint) = endpoint() else { return };
    let mut world = world();
    world.environment = endpoint.environment();
    let mut engine = started(&world, &json!({}));
    signal(engine.id(), Signal::SIGKILL);
    engine.wait().expect("it is reaped");
    until("everything below the engine ended", || world.leftovers().is_empty());
    let said = resume(&world);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert_eq!(fields(&world, "AGENT_FINISHED", "ending"), ["interrupted", "worked"]);
    went_on(&world, &endpoint);
}

#[test]
fn a_terminated_engine_goes_on_in_the_same_session() {
    let Some(endpoint) = endpoint() else { return };
    let mut world = world();
    world.environment = endpoint.environment();
    let mut engine = started(&world, &json!({}));
    signal(engine.id(), Signal::SIGTERM);
    assert_eq!(engine.wait().expect("it ends").code(), Some(143));
    assert_eq!(world.leftovers(), Vec::<String>::new());
    let said = resume(&world);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert_eq!(fields(&world, "AGENT_FINISHED", "ending"), ["stopped", "worked"]);
    went_on(&world, &endpoint);
}

#[test]
fn a_killed_cli_is_tried_again_in_the_same_session() {
    let Some(endpoint) = endpoint() else { return };
    let mut world = world();
    world.environment = endpoint.environment();
    let mut engine = started(&world, &json!({"loop": {"retries": 1}}));
    let mark = format!("LOOP_DATA_DIR={}", world.data().display());
    let all = processes(|environment| {
        environment.split('\0').any(|entry| entry == mark) || environment.contains("LOOP_RUN_MARKER")
    });
    let pids: Vec<u32> = all
        .iter()
        .filter(|line| {
            line.contains("/claude -p ") && line.contains(&opened(&world)) && !line.contains("bwrap")
        })
        .filter_map(|line| line.strip_prefix("/proc/")?.split(' ').next()?.parse().ok())
        .collect();
    assert_eq!(pids.len(), 1, "{all:?}");
    signal(pids[0], Signal::SIGKILL);
    assert_eq!(engine.wait().expect("it ends").code(), Some(0));
    assert_eq!(fields(&world, "AGENT_FINISHED", "ending"), ["crash", "worked"]);
    assert_eq!(records(&world, "AGENT_RETRY").len(), 1);
    went_on(&world, &endpoint);
}

/// The session of the process at work.
fn opened(world: &World) -> String {
    let sessions = fields(world, "AGENT_STARTED", "session");
    sessions[0].as_str().expect("a session").to_owned()
}
