//! What the tests of this rung have in common: a project, a manifest, and what was used by everybody's account.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use loop_tests::endpoint::{Endpoint, tokens};
pub(crate) use loop_tests::endpoint::{bash, prompt, task};
use loop_tests::{PROJECT, Said, World};
use serde_json::{Value, json};

/// Accepts the first task, and the second one when it is right.
const GATE: &str = "#!/bin/sh
test \"$(cat one.txt)\" = one || exit 1
if [ -e two.txt ] && [ \"$(cat two.txt)\" != two ]; then echo \"two.txt says $(cat two.txt)\"; exit 1; fi
";

/// A repository with two tasks and a gate.
pub(crate) fn world() -> World {
    let world = World::bare();
    world.write(PROJECT);
    world.write(&[("check.sh", GATE)]);
    world.commit("Start");
    world
}

/// Runs [`world`] with Claude Code, one gate, no reviewer and no postmortem, and what this patch on the spec says.
pub(crate) fn arguments(world: &World, patch: &Value) -> Vec<String> {
    let mut spec = json!({
        "task": {"specPath": "specs/files.md"},
        "agent": {"adapter": "claude"},
        "review": {"enabled": false},
        "gates": [{"name": "check", "run": "sh check.sh"}],
        "postmortem": {"enabled": false},
        "loop": {"retryBackoffSeconds": 0},
    });
    for (name, more) in patch.as_object().expect("a patch") {
        for (key, value) in more.as_object().expect("a block") {
            spec[name][key] = value.clone();
        }
    }
    let manifest = json!({"apiVersion": "agentloop.dev/v1alpha1", "kind": "LoopRun", "spec": spec});
    let file = world.path("run.json");
    fs::write(&file, manifest.to_string()).expect("a manifest");
    ["run", "--local", "-f", &file.to_string_lossy()].map(str::to_owned).to_vec()
}

/// Starts such a run and follows it to its end.
pub(crate) fn run(world: &World, patch: &Value) -> Said {
    run_with(world, patch, &[])
}

/// The same with flags, which win over the manifest.
pub(crate) fn run_with(world: &World, patch: &Value, flags: &[&str]) -> Said {
    let arguments = arguments(world, patch);
    let all: Vec<&str> = arguments.iter().map(String::as_str).chain(flags.iter().copied()).collect();
    world.loopctl(&all)
}

/// The only run.
pub(crate) fn object(world: &World) -> Value {
    let mut runs = world.runs();
    assert_eq!(runs.len(), 1, "{runs:?}");
    runs.remove(0)
}

/// Takes the only run up again.
pub(crate) fn resume(world: &World) -> Said {
    world.loopctl(&["resume", object(world)["metadata"]["name"].as_str().expect("a name")])
}

/// Records of one kind.
pub(crate) fn records(world: &World, kind: &str) -> Vec<Value> {
    world.journal().into_iter().filter(|record| record["kind"] == kind).collect()
}

/// One field of records of one kind.
pub(crate) fn fields(world: &World, kind: &str, field: &str) -> Vec<Value> {
    records(world, kind).into_iter().map(|record| record[field].clone()).collect()
}

/// What is matched in a prompt for the so-manieth time, from 0.
pub(crate) fn prompt_at(text: &str, used: bool, time: u32) -> Value {
    json!({"userMessage": text, "hasToolResult": used, "sequenceIndex": time})
}

/// Tokens of a usage block in the journal.
fn journaled(usage: &Value) -> (u64, u64) {
    let models = usage["models"].as_object().expect("models");
    let sum = |name: &str| models.values().filter_map(|tokens| tokens[name].as_u64()).sum();
    (sum("input"), sum("output"))
}

fn nanos(usage: &Value) -> u64 {
    usage["cost_nano_usd"].as_u64().expect("a cost")
}

/// Compares what the endpoint answered with what the journal, the status and the summary for people say, and the cost
/// with the CLI's own word for it. Gives the number of processes without a result.
pub(crate) fn accounted(world: &World, endpoint: &Endpoint) -> u64 {
    let processes = fields(world, "AGENT_FINISHED", "usage");
    let analyses = fields(world, "POSTMORTEM_END", "usage");
    let sum = |list: &[Value]| {
        list.iter().map(journaled).fold((0, 0), |sum, tokens| (sum.0 + tokens.0, sum.1 + tokens.1))
    };
    let (own, looking_back) = (sum(&processes), sum(&analyses));
    let answered = tokens(&endpoint.requests());
    assert_eq!((own.0 + looking_back.0, own.1 + looking_back.1), answered, "the journal and the endpoint");
    let run = object(world);
    let usage = &run["status"]["usage"];
    assert_eq!(usage["tokens"], own.0 + own.1, "{usage}");
    assert_eq!(usage["source"], "reported");
    let cost: u64 = processes.iter().map(nanos).sum();
    assert_eq!(usage["costUSD"], usd(cost), "{usage}");
    let raw = results(world, "iter-");
    assert_eq!(raw, cost, "billionths of a dollar by the raw results and by the journal");
    assert_eq!(results(world, "analysis/"), analyses.iter().map(nanos).sum::<u64>());
    let name = run["metadata"]["name"].as_str().expect("a name");
    let incomplete = usage["incomplete"].as_u64().expect("a number");
    let least = if incomplete > 0 { "at least " } else { "" };
    let shown = world.loopctl(&["inspect", name]).stdout;
    let used =
        format!("  used       {least}{} tokens, ${}, as the agents reported it\n", own.0 + own.1, usd(cost));
    assert!(shown.contains(&used), "{used:?} in {shown}");
    let report = fs::read_to_string(world.run_folder().join("report.md")).expect("a report");
    assert!(report.contains(&format!("{least}${}", usd(cost))), "{report}");
    incomplete
}

/// Billionths of a dollar as dollars.
fn usd(nanos: u64) -> String {
    let text = format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Cost of all processes by their last results, as they stand in the raw logs. A process begins where the last ended.
fn results(world: &World, beginning: &str) -> u64 {
    let folder = world.run_folder();
    let mut sum = 0;
    for path in files(&folder) {
        let name = path.strip_prefix(&folder).expect("below it").to_string_lossy().into_owned();
        if !name.starts_with(beginning)
            || std::path::Path::new(&name).extension().is_none_or(|kind| kind != "jsonl")
        {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a raw log");
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        // With two results of one session in a row, the later one holds the earlier.
        let costs =
            lines.filter(|line| line["type"] == "result").filter_map(|line| line["total_cost_usd"].as_f64());
        sum +=
            costs.map(|usd| format!("{:.0}", usd * 1e9).parse::<u64>().expect("a number")).max().unwrap_or(0);
    }
    sum
}

/// All regular files below a folder.
pub(crate) fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        let facts = fs::symlink_metadata(&path).expect("it exists");
        if facts.is_dir() {
            found.extend(files(&path));
        } else if facts.is_file() {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Waits for something that has to come.
pub(crate) fn until(what: &str, mut come: impl FnMut() -> bool) {
    let began = Instant::now();
    while !come() {
        assert!(began.elapsed() < Duration::from_secs(120), "not within two minutes: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
