//! Pauses: at the end of a step, at once, of runs that wait or have no engine.

use std::time::Duration;

use loop_tests::World;

use super::killed::{WAIT, agent_says, name, send, started, status, until_within, world_where};

const PATIENCE: Duration = Duration::from_secs(60);

/// Waits in the first step until the worktree has a file `go`.
const GATED: &str = r#"
if [ "$LOOP_ITERATION.$LOOP_ATTEMPT" = 1.1 ]; then
  echo waiting; while [ ! -e go ]; do sleep 0.05; done; rm go
fi
"#;

fn go(world: &World) {
    let worktree = status(world)["worktree"]["path"].as_str().expect("a worktree").to_owned();
    std::fs::write(format!("{worktree}/go"), "").expect("the worktree is there");
}

#[test]
fn a_pause_comes_at_the_end_of_the_step_and_resume_goes_on() {
    let world = world_where(GATED);
    let mut engine = started(&world, &[]);
    let name = name(&world);
    let said = world.loopctl(&["pause", &name]);
    let expected = format!(
        "{name} pauses at the end of its implementation, in 10 min at the latest; --now does not wait"
    );
    assert_eq!((said.code, said.stdout.trim()), (0, expected.as_str()), "{}", said.stderr);
    assert_eq!(status(&world)["phase"], "Running");
    go(&world);
    assert_eq!(engine.wait().expect("it ends").code(), Some(6));
    assert_eq!(status(&world)["phase"], "Paused");
    assert_eq!(world.leftovers(), Vec::<String>::new());
    let again = world.loopctl(&["pause", &name]);
    assert_eq!(again.code, 0, "asked twice is no error");
    let steps = status(&world)["steps"].clone();
    assert_eq!(steps.as_array().and_then(|steps| steps.last()).expect("a step")["state"], "succeeded");
    let said = world.loopctl(&["resume", &name]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert_eq!(status(&world)["phase"], "Completed");
    assert_eq!(world.loopctl(&["pause", &name]).code, 2, "it has ended");
}

#[test]
fn a_pause_now_stops_the_agent_at_a_checkpoint() {
    let world = world_where(super::killed::DRAFT);
    let mut engine = started(&world, &[]);
    let name = name(&world);
    until_within(PATIENCE, "the draft is there", || {
        let worktree = status(&world)["worktree"]["path"].as_str().unwrap_or_default().to_owned();
        std::path::Path::new(&worktree).join("draft.txt").exists()
    });
    let said = world.loopctl(&["pause", &name, "--now"]);
    assert_eq!((said.code, said.stdout.contains("paused")), (0, true), "{}{}", said.stdout, said.stderr);
    assert_eq!(engine.wait().expect("it ends").code(), Some(6));
    assert_eq!(status(&world)["phase"], "Paused");
    assert_eq!(world.leftovers(), Vec::<String>::new());
    let said = world.loopctl(&["resume", &name]);
    assert_eq!(said.code, 0, "the draft was kept: {}", said.stderr);
}

#[test]
fn a_pause_can_be_taken_back() {
    let world = world_where(GATED);
    let mut engine = started(&world, &[]);
    let name = name(&world);
    assert_eq!(world.loopctl(&["pause", &name]).code, 0);
    let said = world.loopctl(&["resume", &name]);
    assert_eq!(
        (said.code, said.stdout.trim()),
        (0, format!("{name} goes on; its pause is taken back").as_str())
    );
    go(&world);
    assert_eq!(engine.wait().expect("it ends").code(), Some(0));
    assert_eq!(status(&world)["phase"], "Completed");
}

#[test]
fn an_interrupted_run_can_be_paused_and_then_canceled() {
    let world = world_where(WAIT);
    let mut engine = started(&world, &[]);
    send("-KILL", engine.id());
    engine.wait().expect("it ends");
    let name = name(&world);
    let said = world.loopctl(&["pause", &name]);
    assert_eq!((said.code, said.stdout.contains("paused")), (0, true), "{}{}", said.stdout, said.stderr);
    assert_eq!(status(&world)["phase"], "Paused");
    assert!(!agent_says(&world, "again"));
    let said = world.loopctl(&["cancel", &name]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert_eq!(status(&world)["phase"], "Canceled");
}
