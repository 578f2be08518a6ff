//! How much of an agent's work is lost with its pod: the real Claude Code works in steps of five seconds, and the scripted
//! model goes on after the last one that it finds in the worktree. What it was asked for twice was lost.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use loop_tests::PROJECT;
use loop_tests::endpoint::{JOURNAL, bash, npm, prompt, says, task, uses};
use serde_json::{Value, json};

use super::claude::{FIRST, REVIEW, SECOND, model};
use super::disk::Disk;
use super::lost::{processes, status};
use super::place::{Place, is_ours, manifest, say, until};
use super::stores::{bucket, store};

/// Seconds of one step.
const STEP: u32 = 5;

/// The most seconds of work that are lost where the pod has its grace, and where it has not.
const EVICTED: u32 = 30;
const KILLED: u32 = 120;

fn step(number: u32) -> String {
    format!("step-{number:03}.")
}

/// A model that has so many steps done, then the tasks.
fn fixtures(steps: u32) -> Value {
    let tokens = (10, 1);
    let next = |number: u32| {
        let step = step(number);
        bash(&format!("sleep {STEP}; echo {step} >>steps.log; tail -n 1 steps.log"))
    };
    let after = |text: &str| json!({"userMessage": FIRST, "toolResultContains": text});
    let mut all = vec![says(&prompt(REVIEW, false), "Good.\n\nAPPROVED", tokens)];
    all.push(uses(&after(&step(steps)), &[task("one", "one")], tokens));
    all.extend((1..steps).rev().map(|number| uses(&after(&step(number)), &[next(number + 1)], tokens)));
    all.push(uses(&after("began"), &[next(1)], tokens));
    all.push(uses(
        &prompt(FIRST, false),
        &[bash("touch steps.log; echo began; tail -n 1 steps.log")],
        tokens,
    ));
    // The task itself says nothing.
    all.push(says(&prompt(FIRST, true), "Wrote one.txt; one task is left.", tokens));
    all.push(uses(&prompt(SECOND, false), &[task("two", "two")], tokens));
    all.push(says(&prompt(SECOND, true), "Wrote two.txt.\n\n<promise>COMPLETE</promise>", tokens));
    json!({"fixtures": all})
}

/// How often the model was asked for each step.
fn calls(place: &Place) -> BTreeMap<String, u32> {
    let path = format!("/api/v1/namespaces/{}/pods/model:8080/proxy{JOURNAL}", place.namespace);
    let journal: Value = serde_json::from_str(&place.must(&["get", "--raw", &path])).expect("a journal");
    let mut calls = BTreeMap::new();
    for entry in journal.as_array().into_iter().flatten() {
        let answer = entry["response"]["fixture"]["response"].to_string();
        if let Some((_, rest)) = answer.split_once("echo step-") {
            *calls.entry(rest[..3].to_owned()).or_default() += 1;
        }
    }
    calls
}

/// A run of which the pod is lost when it has worked for so many seconds; gives the seconds of work that were done again.
fn lost(place: &Place, checkpoint: &str, after: u32, evicted: bool) -> u32 {
    place.git_server(PROJECT);
    let steps = after / STEP + 2;
    model(place, &fixtures(steps));
    let task = format!(
        "  task: {{specPath: specs/files.md}}\n  gates: [{{name: check, run: sh check.sh}}]\n  postmortem: {{enabled: \
         false}}\n{checkpoint}"
    );
    let claude = "adapter: claude, secretRef: {name: model-key}";
    place.apply(&manifest("steps", &task).replace("adapter: script", claude));
    let wanted = (after / STEP) as usize;
    until("it has worked for so long", || calls(place).len() > wanted);
    let (pod, uid) = (status(place, "steps", "/podName"), status(place, "steps", "/podUID"));
    if evicted {
        let eviction = format!(
            "{{\"apiVersion\": \"policy/v1\", \"kind\": \"Eviction\", \"metadata\": {{\"name\": \"{pod}\"}}}}"
        );
        let path = format!("/api/v1/namespaces/{}/pods/{pod}/eviction", place.namespace);
        let (done, said) = place.kubectl(&["create", "--raw", &path, "-f", "-"], &eviction);
        assert!(done, "{said}");
    } else {
        // All at once, as when a machine loses its power.
        let all = ["/usr/local/bin/loop-runner", "/usr/local/bin/loop-sidecar", "/agentloop/bin/loop-exec"];
        let pids: Vec<String> =
            all.iter().flat_map(|name| processes(&uid, name)).map(|pid| pid.to_string()).collect();
        assert!(pids.len() >= 3, "{pids:?}");
        // One may end with another.
        let _ = Command::new("kill").arg("-9").args(&pids).status().expect("kill runs");
    }
    let began = Instant::now();
    place.reaches("steps", "Completed");
    assert_eq!(status(place, "steps", "/attempt"), "2");
    assert_eq!(place.git(&["rev-list", "--count", "main..run/steps"]), "2", "no task was done twice");
    assert_eq!(place.git(&["show", "agent/steps:one.txt"]), "one");
    let calls = calls(place);
    assert_eq!(calls.len(), steps as usize, "{calls:?}");
    let again: u32 = calls.values().map(|times| times - 1).sum();
    say(&format!(
        "{} after {after} s: {} s of work were done again, {} s to the end",
        if evicted { "evicted" } else { "killed" },
        again * STEP,
        began.elapsed().as_secs()
    ));
    again * STEP
}

/// A place for it, if there is all that it needs.
fn with_agents(test: &str) -> Option<Place> {
    let place = Place::new(test)?;
    npm()?;
    if !is_ours() {
        say("skipped: this test brings a volume of the test cluster's own");
        return None;
    }
    Some(place)
}

#[test]
fn of_a_run_on_a_volume_that_is_evicted_little_is_done_again() {
    let Some(place) = with_agents("evicted") else { return };
    let disk = Disk::new(&place, None);
    let again = lost(&place, &disk.checkpoint(), 40, true);
    assert!(again <= EVICTED, "{again} s");
    place.must(&["delete", "looprun", "steps"]);
    until("the pod has left the volume", || place.pods_of("steps").is_empty());
}

/// Each long enough for two snapshots, and so that without any too much would be lost.
#[test]
#[ignore = "takes nine minutes"]
fn of_a_run_on_a_volume_or_in_a_bucket_that_is_evicted_or_killed_little_is_done_again() {
    const AFTER: u32 = 150;
    let once = |volume: bool, evicted: bool| {
        let Some(place) = with_agents("repeats") else { return };
        let disk = volume.then(|| Disk::new(&place, None));
        let checkpoint = disk.as_ref().map_or_else(
            || {
                store(&place);
                format!("  checkpoint: {}\n", bucket("loops", "right"))
            },
            Disk::checkpoint,
        );
        let again = lost(&place, &checkpoint, AFTER, evicted);
        assert!(again <= if evicted { EVICTED } else { KILLED }, "{again} s");
        place.must(&["delete", "looprun", "steps"]);
        until("the pod has left the volume", || place.pods_of("steps").is_empty());
    };
    // All at once would wait for the operator's slots.
    for evicted in [false, true] {
        std::thread::scope(|scope| {
            scope.spawn(|| once(true, evicted));
            std::thread::sleep(Duration::from_secs(10));
            scope.spawn(|| once(false, evicted));
        });
    }
}
