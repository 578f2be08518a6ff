//! An agent that waits in its first step until it is stopped, and then finds what it left.

use std::fs;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use loop_tests::World;
use serde_json::Value;

use super::random::quiet;
use super::scenario::{RUN, world_with};

/// Longest wait for something that comes soon.
const PATIENCE: Duration = Duration::from_secs(30);

/// Writes a draft without committing it and waits; the next attempt fails unless the draft is there.
pub(crate) const DRAFT: &str = r#"
if [ "$LOOP_ITERATION.$LOOP_ATTEMPT" = 1.1 ]; then
  echo draft > draft.txt
  echo waiting; sleep 300
fi
if [ "$LOOP_ITERATION.$LOOP_ATTEMPT" = 1.2 ]; then
  test "$(cat draft.txt)" = draft || { echo 'the draft is lost'; exit 1; }
  rm draft.txt
fi
"#;

/// Waits in the first attempt of the first step, with nothing to show for it.
pub(crate) const WAIT: &str = r#"
if [ "$LOOP_ITERATION.$LOOP_ATTEMPT" = 1.1 ]; then echo waiting; sleep 300; fi
"#;

/// A world whose agent does something before it implements.
pub(crate) fn world_where(first: &str) -> World {
    let (reviewer, rest) = loop_tests::HONEST.split_once("exit 0; fi\n").expect("it reviews first");
    world_with(&format!("{reviewer}exit 0; fi\n{first}{rest}"))
}

/// Starts the run and waits until its agent has said so.
pub(crate) fn started(world: &World, variables: &[(&str, &str)]) -> Child {
    let mut command = world.command(RUN);
    command.envs(variables.iter().copied());
    let engine = quiet(&mut command).spawn().expect("loopctl runs");
    until("the agent waits", || agent_says(world, "waiting"));
    engine
}

/// Whether the agent's first log holds a word.
pub(crate) fn agent_says(world: &World, word: &str) -> bool {
    let Ok(runs) = fs::read_dir(world.data().join("runs")) else { return false };
    runs.filter_map(Result::ok)
        .flat_map(|run| ["iter-01.log", "iter-01A02.log"].map(|name| run.path().join(name)))
        .filter_map(|log| fs::read_to_string(log).ok())
        .any(|log| log.contains(word))
}

/// Waits until something is so.
pub(crate) fn until(what: &str, is: impl Fn() -> bool) {
    until_within(PATIENCE, what, is);
}

/// The same for something that takes longer.
pub(crate) fn until_within(patience: Duration, what: &str, is: impl Fn() -> bool) {
    let end = Instant::now() + patience;
    while !is() {
        assert!(Instant::now() < end, "not so: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Sends a signal to one process.
pub(crate) fn send(signal: &str, pid: u32) {
    let sent = Command::new("kill").args([signal, &pid.to_string()]).status();
    assert!(sent.expect("kill runs").success());
}

/// Status of the only run.
pub(crate) fn status(world: &World) -> Value {
    world.runs()[0]["status"].clone()
}

/// Whether the only run is shown as interrupted, with a remedy.
pub(crate) fn is_interrupted(world: &World) -> bool {
    let conditions = status(world)["conditions"].as_array().cloned().unwrap_or_default();
    conditions.iter().any(|condition| {
        condition["type"] == "Interrupted"
            && condition["message"].as_str().is_some_and(|message| message.contains("loopctl resume"))
    })
}
