//! Several runs at once: in the background, in turn, killed and resumed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use loop_tests::{HONEST, PROJECT, World};
use serde_json::Value;

use super::killed::{send, until_within};

/// Longest that ten runs may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(240);

/// An honest agent that takes its time.
fn slow(seconds: &str) -> String {
    let (reviewer, rest) = HONEST.split_once("exit 0; fi\n").expect("it reviews first");
    format!("{reviewer}exit 0; fi\nsleep {seconds}\n{rest}")
}

fn world(agent: &str) -> World {
    let mut files = PROJECT.to_vec();
    files.push((".loop/agent.sh", agent));
    World::new(&files)
}

/// A second repository of the same content.
fn second(world: &World) -> PathBuf {
    let other = world.path("other");
    let made = std::process::Command::new("git")
        .args(["clone", "--quiet"])
        .args([&world.app(), &other])
        .status()
        .expect("git runs");
    assert!(made.success());
    other
}

/// Starts a run in the background and gives its name.
fn detached(world: &World, repository: &Path, name: &str, more: &[&str]) -> String {
    let target = format!("agent/{name}");
    let mut arguments = vec!["run", "--local", "specs/files.md", "--detach", "--gate", "one=sh check.sh"];
    arguments.extend(["--name", name, "--merge-target", &target]);
    arguments.extend(more);
    let output = world.command(&arguments).current_dir(repository).output().expect("loopctl runs");
    let said = loop_tests::said(&output);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert!(said.stderr.contains("runs in the background"), "{}", said.stderr);
    said.stdout.trim().to_owned()
}

fn phase(world: &World, name: &str) -> String {
    let said = world.loopctl(&["inspect", name, "-o", "json"]);
    let run: Value = serde_json::from_str(&said.stdout).expect("an object");
    run["status"]["phase"].as_str().unwrap_or_default().to_owned()
}

fn completed(world: &World) -> usize {
    world.runs().iter().filter(|run| run["status"]["phase"] == "Completed").count()
}

/// Runs of this world whose implementer is alive, as seen from outside.
fn agents(world: &World) -> BTreeSet<String> {
    let data = world.data();
    let uids: Vec<String> = std::fs::read_dir(data.join("runs"))
        .map(|runs| {
            runs.filter_map(|run| run.ok()?.file_name().into_string().ok())
                .map(|name| name.trim_start_matches("run-").to_owned())
                .collect()
        })
        .unwrap_or_default();
    let found = Mutex::new(BTreeSet::new());
    loop_tests::processes(|environment| {
        let value = |name: &str| {
            environment
                .split('\0')
                .find_map(|entry| entry.strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
        };
        if value("LOOP_PHASE").as_deref() == Some("implementation")
            && let Some(uid) = value("LOOP_RUN_ID").filter(|uid| uids.contains(uid))
        {
            found.lock().expect("no panic").insert(uid);
        }
        false
    });
    found.into_inner().expect("no panic")
}

/// Time of the first start of a run's work, by its journal.
fn begun(world: &World, name: &str) -> i64 {
    let uid = uid(world, name);
    let text = std::fs::read_to_string(world.data().join(format!("runs/run-{uid}/journal.jsonl")))
        .expect("a journal");
    text.lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("a record"))
        .find(|record| record["kind"] == "RUN_STARTED")
        .and_then(|record| record["ts"].as_i64())
        .expect("it was started")
}

fn uid(world: &World, name: &str) -> String {
    let runs = world.runs();
    let run = runs.iter().find(|run| run["metadata"]["name"] == name).expect("it is recorded");
    run["metadata"]["uid"].as_str().expect("a uid").to_owned()
}

/// Process that drives a run in the background.
fn engine(world: &World, name: &str) -> Option<u32> {
    let uid = uid(world, name);
    let lines = loop_tests::processes(|_| true);
    lines
        .iter()
        .find(|line| line.contains("__drive") && line.contains(&uid))
        .and_then(|line| line.split_whitespace().next()?.rsplit('/').next()?.parse().ok())
}

/// Says that something is over when it goes.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn ten_runs_of_two_repositories_take_turns_and_survive_kills() {
    let world = world(&slow("0.4"));
    let other = second(&world);
    let names: Vec<String> = (0..10)
        .map(|number| {
            let repository = if number % 2 == 0 { world.app() } else { other.clone() };
            detached(&world, &repository, &format!("n{number}"), &[])
        })
        .collect();
    let (done, most) = (AtomicBool::new(false), Mutex::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                let alive = agents(&world).len();
                let mut most = most.lock().expect("no panic");
                *most = alive.max(*most);
                drop(most);
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        // Also when something fails here: a test that fails must end.
        let _over = Over(&done);
        // Five of them are killed, each while it is at work, and taken up again.
        let mut killed = BTreeSet::new();
        let end = Instant::now() + PATIENCE;
        while killed.len() < 5 {
            assert!(Instant::now() < end, "only {killed:?} could be killed");
            let open = names.iter().filter(|name| !killed.contains(*name));
            let working = open.clone().find(|name| phase(&world, name) == "Running");
            if let Some(name) = working
                && let Some(pid) = engine(&world, name)
            {
                send("-KILL", pid);
                killed.insert(name.clone());
                until_within(PATIENCE, "the slot of the killed is free", || engine(&world, name).is_none());
                // A process that is killed is gone for those who look a moment before its lock is.
                until_within(PATIENCE, "the killed has let go of its run", || {
                    let said = world.loopctl(&["resume", name, "--detach"]);
                    assert!(said.code == 0 || said.stderr.contains("is running already"), "{}", said.stderr);
                    said.code == 0
                });
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        until_within(PATIENCE, "all are completed", || completed(&world) == 10);
    });
    let most = *most.lock().expect("no panic");
    assert!((1..=3).contains(&most), "{most} agents were alive at once");
    let mut order: Vec<&String> = names.iter().collect();
    order.sort_by_key(|name| begun(&world, name));
    // Of the first three none had to wait, so each began as soon as its process came to it.
    order[..3].sort();
    assert_eq!(order, names.iter().collect::<Vec<_>>(), "the oldest first");
    until_within(PATIENCE, "the engines have left", || {
        names.iter().all(|name| engine(&world, name).is_none())
    });
    assert_eq!(world.leftovers(), Vec::<String>::new());
    for name in &names {
        let slug = name.rsplit_once('-').expect("a name").0;
        let repository =
            if slug[1..].parse::<u32>().expect("a number") % 2 == 0 { world.app() } else { other.clone() };
        let shown = std::process::Command::new("git")
            .args(["-C", &repository.to_string_lossy(), "show", &format!("agent/{slug}:two.txt")])
            .output()
            .expect("git runs");
        assert_eq!(String::from_utf8_lossy(&shown.stdout).trim(), "two", "{name}");
    }
}

#[test]
fn newest_first_and_a_cap_of_the_workspace() {
    let world = world(&slow("1"));
    let other = second(&world);
    let one = ["--max-concurrency", "1", "--queue-policy", "newest_first"];
    let first = detached(&world, &world.app(), "n0", &one);
    let waiting: Vec<String> =
        (1..4).map(|number| detached(&world, &world.app(), &format!("n{number}"), &one)).collect();
    until_within(PATIENCE, "the others say why they wait", || {
        let table = world.loopctl(&["list", "-o", "wide"]).stdout;
        table.lines().filter(|line| line.contains("Waiting") && line.contains("1 of 1 runs at once")).count()
            == 3
    });
    let said = world.loopctl(&["inspect", &waiting[0]]).stdout;
    assert!(said.contains(&format!("1 of 1 runs at once are at work ({first})")), "{said}");
    until_within(PATIENCE, "all are completed", || completed(&world) == 4);
    let mut order = waiting.clone();
    order.sort_by_key(|name| std::cmp::Reverse(begun(&world, name)));
    assert_eq!(order, waiting, "the newest first");

    // A run that its workspace holds back is overtaken by one of another workspace.
    let cap = ["--max-runs-per-workspace", "1"];
    let busy = detached(&world, &world.app(), "n5", &cap);
    let blocked = detached(&world, &world.app(), "n6", &cap);
    let free = detached(&world, &other, "n7", &cap);
    until_within(PATIENCE, "all are completed", || completed(&world) == 7);
    assert!(begun(&world, &free) < begun(&world, &blocked));
    assert!(begun(&world, &busy) < begun(&world, &blocked));
}

#[test]
fn a_run_in_the_background_outlives_its_caller_and_can_be_canceled_while_it_waits() {
    let world = world(&slow("3"));
    let one = ["--max-concurrency", "1"];
    let first = detached(&world, &world.app(), "n0", &one);
    let second = detached(&world, &world.app(), "n1", &one);
    let pid = engine(&world, &first).expect("it is at work");
    let session = |pid: u32| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it is alive");
        let fields = text.rsplit_once(')').expect("a name").1.split_whitespace().map(str::to_owned);
        fields.collect::<Vec<_>>()[3].clone()
    };
    assert_eq!(session(pid), pid.to_string(), "it leads a session of its own");
    until_within(PATIENCE, "the second waits", || {
        world.loopctl(&["list"]).stdout.lines().any(|line| line.contains("n1-") && line.contains("Waiting"))
    });
    let said = world.loopctl(&["cancel", &second]);
    assert_eq!(
        (said.code, said.stdout.trim()),
        (0, format!("{second} canceled").as_str()),
        "{}",
        said.stderr
    );
    assert_eq!(phase(&world, &second), "Canceled");
    assert_eq!(world.loopctl(&["resume", &first]).code, 2, "it has an engine");
    until_within(PATIENCE, "the first is completed", || completed(&world) == 1);
    let log = world.data().join(format!("runs/run-{}/engine.log", uid(&world, &first)));
    assert!(std::fs::read_to_string(log).expect("its words").contains("\ncompleted\n"));
    let said = world.loopctl(&["retry", &second, "--detach", "-o", "name"]);
    assert_eq!((said.code, said.stdout.trim()), (0, format!("looprun.agentloop.dev/{second}").as_str()));
    until_within(PATIENCE, "the second is completed, too", || completed(&world) == 2);
    assert_eq!(world.loopctl(&["retry", &second]).code, 2, "a completed run is not tried again");
}
