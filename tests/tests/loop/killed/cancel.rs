//! Canceling from another process, and two engines for one run.

use super::random::nothing_runs;
use super::scenario::{finish, name, result};
use super::waiting::{WAIT, agent_says, is_interrupted, send, started, status, until, world_where};

#[test]
fn bug_6_a_canceled_run_stops_its_agent_and_can_be_resumed() {
    let world = world_where(WAIT);
    let mut engine = started(&world, &[]);
    let name = name(&world);
    let canceled = world.loopctl(&["cancel", &name]);
    assert_eq!(canceled.code, 0, "{}", canceled.stderr);
    assert_eq!(world.leftovers(), Vec::<String>::new());
    assert_eq!(engine.wait().expect("it ends").code(), Some(3));
    assert_eq!(status(&world)["phase"], "Canceled");
    assert_eq!(world.loopctl(&["cancel", &name]).code, 0, "asked twice is no error");
    let said = finish(&world);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert_eq!(status(&world)["phase"], "Completed");
    assert_eq!(world.git(&["show", "agent/files:two.txt"]), "two");
    assert_eq!(world.loopctl(&["cancel", &name]).code, 2, "a completed run cannot be canceled");
}

#[test]
fn an_interrupted_run_can_be_canceled_and_then_resumed() {
    let world = world_where(WAIT);
    let mut engine = started(&world, &[]);
    engine.kill().expect("a child can be killed");
    engine.wait().expect("and waited for");
    nothing_runs(&world, "killed");
    assert!(is_interrupted(&world), "{:?}", status(&world));
    let name = name(&world);
    for _ in 0..2 {
        let canceled = world.loopctl(&["cancel", &name]);
        assert_eq!(canceled.code, 0, "{}", canceled.stderr);
        assert_eq!(status(&world)["phase"], "Canceled");
    }
    let said = finish(&world);
    assert_eq!(said.code, 0, "{}", said.stderr);
    let ended = result(&world);
    let (_, _, merges, worktrees, leftovers) = ended.without_iterations();
    assert_eq!((merges, worktrees, leftovers), (1, 1, &[][..]));
}

#[test]
fn a_run_has_one_engine() {
    let world = world_where(
        r#"
if [ "$LOOP_ITERATION.$LOOP_ATTEMPT" = 1.1 ]; then echo waiting; sleep 300; fi
if [ "$LOOP_ITERATION.$LOOP_ATTEMPT" = 1.2 ]; then
  echo again; while [ ! -e go ]; do sleep 0.05; done; rm go
fi
"#,
    );
    let mut engine = started(&world, &[]);
    send("-KILL", engine.id());
    engine.wait().expect("it ends");
    let name = name(&world);
    let mut resumed = world.command(&["resume", &name]);
    let mut resumed = super::random::quiet(&mut resumed).spawn().expect("loopctl runs");
    until("the agent is at it again", || agent_says(&world, "again"));
    let refused = world.loopctl(&["resume", &name]);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(refused.stderr.contains("another process"), "{}", refused.stderr);
    let worktree = status(&world)["worktree"]["path"].as_str().expect("a worktree").to_owned();
    std::fs::write(format!("{worktree}/go"), "").expect("the worktree is there");
    assert_eq!(resumed.wait().expect("it ends").code(), Some(0));
}

#[test]
fn of_two_engines_that_start_together_one_is_refused() {
    let world = world_where(WAIT);
    let mut engine = started(&world, &[]);
    send("-KILL", engine.id());
    engine.wait().expect("it ends");
    let name = name(&world);
    let mut both: Vec<_> = (0..2)
        .map(|_| {
            let mut command = world.command(&["resume", &name]);
            super::random::quiet(&mut command).spawn().expect("loopctl runs")
        })
        .collect();
    let mut codes: Vec<_> = both.iter_mut().map(|one| one.wait().expect("it ends").code()).collect();
    codes.sort_unstable();
    assert_eq!(codes, [Some(0), Some(2)]);
    let ended = result(&world);
    let (_, _, merges, worktrees, leftovers) = ended.without_iterations();
    assert_eq!((merges, worktrees, leftovers), (1, 1, &[][..]));
}
