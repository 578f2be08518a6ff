//! The benchmark: what the loop costs over doing the same by hand, as ratios within one run.
//!
//! `cargo run --release -p loop-tests --bin loop-bench [overhead] [output] [stream] [list]`; build loopctl first.

mod list;
mod stream;

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use loop_tests::{World, loopctl};

/// Iterations per measurement; the median stands.
const ITERATIONS: usize = 15;
/// An agent that only commits.
const AGENT: &str = "#!/bin/sh\necho \"$LOOP_ITERATION\" > counter.txt\ngit add counter.txt && git commit -qm \"iteration $LOOP_ITERATION\"\n";

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let on = |name: &str| wanted.is_empty() || wanted.iter().any(|given| given == name);
    let mut out = std::io::stdout();
    if on("overhead") {
        let mut first: Option<(f64, f64)> = None;
        for files in [1_000, 10_000, 50_000] {
            let (engine, bare, status) = overhead(files);
            let extra = engine - bare;
            let line = format!(
                "{files:>6} files: engine {engine:6.1} ms, bare {bare:6.1} ms, overhead {extra:+6.1} ms an iteration; git status {status:6.1} ms"
            );
            let growth = match first {
                None => String::new(),
                Some((base, status_base)) => format!(
                    "; overhead grew {:.1} times, git status {:.1} times",
                    extra / base,
                    status / status_base
                ),
            };
            first.get_or_insert((extra, status));
            writeln!(out, "{line}{growth}").expect("stdout");
        }
    }
    if on("output") {
        // The first round warms the disk cache; the medians of the others stand.
        let rounds: Vec<_> = (0..4).map(|_| output()).skip(1).collect();
        let ours = median(rounds.iter().map(|round| round.0).collect());
        let cat = median(rounds.iter().map(|round| round.1).collect());
        let resident = rounds.iter().map(|round| round.2).max().unwrap_or(0);
        let line = format!(
            "1 GiB of agent output: {ours:.2} s, `cat file | cat > file` {cat:.2} s, speed ratio {:.2}; engine resident at most {resident} MiB",
            cat / ours
        );
        writeln!(out, "{line}").expect("stdout");
    }
    if on("list") {
        list::report(&mut out);
    }
    if on("stream") {
        stream::report(&mut out);
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Milliseconds an iteration with the engine and by hand, and of `git status`; in turns, so that noise hits all alike.
fn overhead(files: usize) -> (f64, f64, f64) {
    let world = World::bare();
    world.write(&[("specs/t.md", "# T\n"), (".loop/agent.sh", AGENT)]);
    for number in 0..files {
        let path = world.app().join(format!("src/{:03}/{number}.txt", number % 500));
        loop_tests::write(&path, &format!("file {number}\n"));
    }
    world.commit("Start");
    let plain = world.path("plain");
    world.git(&["clone", "--quiet", ".", &plain.to_string_lossy()]);
    start(&world, ITERATIONS).wait().expect("loopctl ends");
    let engine = median(iterations(&world));
    let bare = median((1..=ITERATIONS).map(|number| by_hand(&plain, number)).collect());
    let status =
        median((0..ITERATIONS).map(|_| timed(&plain, "git status --porcelain >/dev/null")).collect());
    (engine, bare, status)
}

/// Starts a run with a gate that always passes.
fn start(world: &World, iterations: usize) -> Child {
    let limit = iterations.to_string();
    let arguments = [
        "run",
        "--local",
        "specs/t.md",
        "--no-review",
        "--gate",
        "g=true",
        "--iterations",
        &limit,
        "-o",
        "name",
    ];
    world.command(&arguments).stderr(Stdio::null()).stdout(Stdio::null()).spawn().expect("loopctl starts")
}

/// From one IMPLEMENTATION start to the next, by the journal.
fn iterations(world: &World) -> Vec<f64> {
    let starts: Vec<f64> = world
        .journal()
        .iter()
        .filter(|record| record["kind"] == "STEP_STARTED" && record["phase"] == "implementation")
        .filter_map(|record| record["ts"].as_f64())
        .collect();
    starts.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

fn by_hand(folder: &Path, number: usize) -> f64 {
    timed(folder, &format!("LOOP_ITERATION={number} ./.loop/agent.sh </dev/null && sh -c true"))
}

fn timed(folder: &Path, script: &str) -> f64 {
    let began = Instant::now();
    let identity = ["GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"];
    let status = Command::new("sh")
        .args(["-c", script])
        .current_dir(folder)
        .envs(identity.map(|name| (name, "bench")))
        .status()
        .expect("sh");
    assert!(status.success(), "{script}");
    began.elapsed().as_secs_f64() * 1000.0
}

/// Seconds for 1 GiB through an agent step and through two cats, and the engine's peak memory in MiB.
fn output() -> (f64, f64, u64) {
    let world = World::bare();
    // HOME can be read on the far side; the temp folder is a private one there.
    let big = world.path("home").join("big");
    let mut file = File::create(&big).expect("a file");
    let line = [b"a line of output that an agent could have printed, over and over again\n".as_slice(); 1000]
        .concat();
    for _ in 0..(1 << 30) / line.len() {
        file.write_all(&line).expect("space for 1 GiB");
    }
    let agent = format!("#!/bin/sh\ncat {}\n", big.display());
    world.write(&[("specs/t.md", "# T\n"), (".loop/agent.sh", &agent)]);
    world.commit("Start");
    let copy = world.path("copy");
    let script = format!("cat {} | cat > {}", big.display(), copy.display());
    let cat = timed(&world.app(), &script) / 1000.0;
    let resident = resident(&mut start(&world, 1));
    let duration = implementation(&world);
    fs::remove_file(copy).expect("the copy");
    assert!(loopctl().exists());
    (duration, cat, resident)
}

/// Follows `loopctl` to its end; gives its peak memory in MiB.
fn resident(child: &mut Child) -> u64 {
    let status = format!("/proc/{}/status", child.id());
    let mut resident = 0;
    while child.try_wait().expect("loopctl").is_none() {
        let mut text = String::new();
        if File::open(&status).and_then(|mut file| file.read_to_string(&mut text)).is_ok() {
            resident = peak(&text).unwrap_or(resident);
        }
        thread::sleep(Duration::from_millis(10));
    }
    resident
}

/// Seconds of the first implementation, by the journal.
fn implementation(world: &World) -> f64 {
    let journal = world.journal();
    let of = |kind: &str| {
        let found = journal.iter().filter(|record| record["kind"] == kind);
        found.filter_map(|record| Some((record["step_id"].as_str()?.to_owned(), record))).collect::<Vec<_>>()
    };
    let (id, _) = of("STEP_STARTED")
        .into_iter()
        .find(|(_, record)| record["phase"] == "implementation")
        .expect("an implementation");
    let ended = of("STEP_FINISHED").into_iter().find(|(step, _)| *step == id).expect("its end").1;
    ended["duration_ms"].as_f64().expect("a duration") / 1000.0
}

/// `VmHWM` in MiB.
fn peak(status: &str) -> Option<u64> {
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1024)
}
