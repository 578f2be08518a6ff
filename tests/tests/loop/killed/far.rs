//! The far side is killed instead of the engine, or both are.

use std::fs;
use std::process::Command;
use std::time::Duration;

use loop_tests::World;

use super::random::{instant, nothing_runs, quiet, seed};
use super::scenario::{RUN, finish, reference, result, two_at_a_time, world};
use super::waiting::{send, started, status, until, world_where};

/// Pids of the far sides that belong to an engine.
fn far_sides(engine: u32) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            let parent: u32 = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
            let line = fs::read_to_string(entry.path().join("cmdline")).ok()?;
            (parent == engine && line.contains("__exec")).then_some(pid)
        })
        .collect()
}

/// The run may fail, but with the reason, without anything left running, and it can be finished.
fn ends_sensibly(world: &World, code: Option<i32>, what: &str) {
    assert!(matches!(code, Some(0 | 1)), "{what}: {code:?}");
    nothing_runs(world, what);
    let status = status(world);
    if code == Some(1) {
        assert_eq!(status["phase"], "Failed", "{what}");
        let message = status["result"]["message"].as_str().unwrap_or_default();
        assert!(message.contains("the executor"), "{what}: {message}");
        let said = finish(world);
        assert_eq!(said.code, 0, "{what}: {}", said.stderr);
    }
    let undisturbed = reference().result.without_iterations();
    assert_eq!(result(world).without_iterations(), undisturbed, "{what}");
}

fn kill_far_sides(isolation: &str, kills: usize) {
    let seed = seed();
    two_at_a_time(kills, &|index| {
        let after = instant(seed, index, reference().duration);
        let what = format!("LOOP_SEED={seed}, number {index}, far side killed after {after:?}");
        let world = world();
        let mut command = world.command(RUN);
        let mut engine = quiet(command.env("LOOP_ISOLATION", isolation)).spawn().expect("loopctl runs");
        std::thread::sleep(after);
        while engine.try_wait().expect("a child").is_none() {
            let sides = far_sides(engine.id());
            if let Some(side) = sides.get(index % sides.len().max(1)) {
                // It may have ended by itself meanwhile.
                let _ = quiet(Command::new("kill").args(["-KILL", &side.to_string()])).status();
                break;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        ends_sensibly(&world, engine.wait().expect("it ends").code(), &what);
    });
}

#[test]
fn a_killed_sandbox_never_completes_a_run_falsely() {
    kill_far_sides("auto", 10);
}

#[test]
fn a_killed_executor_without_isolation_never_completes_a_run_falsely() {
    kill_far_sides("none", 6);
}

#[test]
fn what_engine_and_executor_leave_when_both_are_killed_is_swept_by_the_next_engine() {
    let world = world_where(
        r#"
if [ "$LOOP_ITERATION.$LOOP_ATTEMPT" = 1.1 ]; then
  setsid sleep 300 >/dev/null 2>&1 &
  echo waiting; sleep 300
fi
"#,
    );
    let mut engine = started(&world, &[("LOOP_ISOLATION", "none")]);
    // Stopped first, so that neither can clean up after the other.
    send("-STOP", engine.id());
    let sides = far_sides(engine.id());
    assert!(!sides.is_empty());
    for side in sides {
        send("-KILL", side);
    }
    send("-KILL", engine.id());
    engine.wait().expect("it ends");
    until("the daemon is an orphan", || !world.leftovers().is_empty());
    let said = finish(&world);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert_eq!(world.leftovers(), Vec::<String>::new());
}

#[test]
fn a_sandbox_killed_while_it_starts_is_not_waited_for_for_ever() {
    let world = world();
    // As bubblewrap does when it is killed early: its child stays, with the pipes, and waits.
    let bwrap = "#!/bin/sh\ncase \"$*\" in *__exec) sleep 301 & kill -9 $$ ;; esac\nexit 0\n";
    loop_tests::write(&world.path("bin/bwrap"), bwrap);
    let path = format!("{}:{}", world.path("bin").display(), std::env::var("PATH").expect("a PATH"));
    let mut command = world.command(RUN);
    let said = loop_tests::said(&command.env("PATH", path).output().expect("loopctl runs"));
    assert_eq!(said.code, 1, "{}", said.stderr);
    assert!(said.stderr.contains("cannot start the executor"), "{}", said.stderr);
    let said = finish(&world);
    assert_eq!(said.code, 0, "{}", said.stderr);
}
