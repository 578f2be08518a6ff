//! Killed at random instants: 60, or as many as `LOOP_KILLS` says; `LOOP_SEED` repeats a series.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use loop_tests::World;

use super::scenario::{RUN, finishes_as_if_undisturbed, reference, say, two_at_a_time, world};

/// Longest wait for processes of a dead engine to be gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// A number from the environment.
pub(crate) fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// The seed of this series, said aloud.
pub(crate) fn seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_secs());
    let seed = setting("LOOP_SEED").unwrap_or(now);
    say(&format!("LOOP_SEED={seed}"));
    seed
}

/// The `index`-th instant of a series, within a duration.
pub(crate) fn instant(seed: u64, index: usize, within: Duration) -> Duration {
    let bits = loop_tests::random(seed, index as u64);
    Duration::from_nanos(bits % u64::try_from(within.as_nanos()).unwrap_or(u64::MAX).max(1))
}

/// Waits until no process of the world's runs is left.
pub(crate) fn nothing_runs(world: &World, what: &str) {
    let end = Instant::now() + PATIENCE;
    loop {
        let left = world.leftovers();
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < end, "{what}: still there: {left:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_kill_at_any_instant_changes_nothing_and_leaves_no_agent() {
    let seed = seed();
    let kills = setting("LOOP_KILLS").unwrap_or(60);
    let began = Instant::now();
    two_at_a_time(usize::try_from(kills).expect("a count"), &|index| {
        let after = instant(seed, index, reference().duration);
        let what = format!("LOOP_SEED={seed}, number {index}, killed after {after:?}");
        let world = world();
        let mut engine = quiet(&mut world.command(RUN)).spawn().expect("loopctl runs");
        std::thread::sleep(after);
        engine.kill().expect("a child can be killed");
        engine.wait().expect("and waited for");
        nothing_runs(&world, &what);
        finishes_as_if_undisturbed(&world, &what);
    });
    say(&format!("{kills} kills: {:?}", began.elapsed()));
}

/// A command that prints nothing.
pub(crate) fn quiet(command: &mut Command) -> &mut Command {
    command.stdout(Stdio::null()).stderr(Stdio::null())
}
