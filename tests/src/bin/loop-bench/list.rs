//! How long lists take, and finding one run, in a data directory with ten thousand.

use std::io::Write;
use std::time::{Duration, Instant};

use loop_tests::many::multiply;
use loop_tests::{HONEST, PROJECT, World};

/// Recorded runs.
const RUNS: usize = 10_000;
/// Measurements; the median stands.
const TIMES: usize = 11;

pub(crate) fn report(out: &mut impl Write) {
    let mut files = PROJECT.to_vec();
    files.push((".loop/agent.sh", HONEST));
    let world = World::new(&files);
    let (said, _) = world.run(&["specs/files.md", "--gate", "check=sh check.sh"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    let names = multiply(&world, RUNS - 1);
    // What was made just now is not kept in the index yet.
    std::thread::sleep(Duration::from_secs(3));
    let index = world.data().join("index.jsonl");
    let timed = |arguments: &[&str]| {
        let began = Instant::now();
        let said = world.loopctl(arguments);
        assert_eq!(said.code, 0, "{}", said.stderr);
        began.elapsed().as_secs_f64() * 1000.0
    };
    let cold = timed(&["list"]);
    let size = index.metadata().expect("an index").len() >> 10;
    let warm = |arguments: &[&str]| super::median((0..TIMES).map(|_| timed(arguments)).collect());
    let list = warm(&["list"]);
    let filtered = warm(&["list", "--phase", "failed"]);
    let found = warm(&["inspect", &names[RUNS / 2], "-o", "name"]);
    writeln!(
        out,
        "{RUNS} runs: list {list:.0} ms, with a filter {filtered:.0} ms, one found by its name {found:.0} ms; \
         without the index {cold:.0} ms; the index has {size} KiB"
    )
    .expect("stdout");
}
