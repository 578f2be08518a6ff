//! Defects of the forerunner (requirements, section 13.1) that must not come back; each test names its own.

use loop_tests::{HONEST, PROJECT, World};
use serde_json::Value;

const GATE: [&str; 4] = ["specs/files.md", "--no-review", "--gate", "check=sh check.sh"];

fn world(agent: &str) -> World {
    let mut files = PROJECT.to_vec();
    files.push((".loop/agent.sh", agent));
    World::new(&files)
}

fn kinds(world: &World) -> Vec<String> {
    world.journal().iter().filter_map(|record| record["kind"].as_str().map(str::to_owned)).collect()
}

#[test]
fn bug_1_creation_and_start_are_events() {
    let world = world(HONEST);
    assert_eq!(world.run(&GATE).0.code, 0);
    assert_eq!(kinds(&world)[..2], ["RUN_CREATED", "RUN_STARTED"]);
}

#[test]
fn bug_2_the_record_that_is_copied_holds_the_end() {
    let world = world(HONEST);
    assert_eq!(world.run(&GATE).0.code, 0);
    let name = world.run_folder().file_name().unwrap().to_owned();
    let copy = world.app().join("logs/loop").join(name).join("journal.jsonl");
    let text = std::fs::read_to_string(copy).unwrap();
    assert!(text.contains("RUN_COMPLETED"), "{text}");
}

#[test]
fn bug_3_two_runs_of_one_spec_have_branches_and_worktrees_of_their_own() {
    let world = world("#!/bin/sh\nexit 1\n");
    let paths: Vec<Value> = (0..3).map(|_| world.run(&GATE).1["status"]["worktree"].clone()).collect();
    let branches: Vec<&str> = paths.iter().map(|tree| tree["runBranch"].as_str().unwrap()).collect();
    assert_eq!(branches, ["run/files", "run/files-2", "run/files-3"]);
    assert_ne!(paths[0]["path"], paths[1]["path"]);
}

#[test]
fn bug_14_every_step_and_the_run_say_when_they_began_and_how_long_they_took() {
    let world = world(HONEST);
    let (_, run) = world.run(&GATE);
    assert!(run["status"]["startTime"].is_string() && run["status"]["completionTime"].is_string());
    let steps = run["status"]["steps"].as_array().unwrap();
    let implementations = steps.iter().filter(|step| step["phase"] == "implementation");
    assert!(implementations.filter(|step| step["durationMs"].as_u64() > Some(0)).count() == 2, "{steps:?}");
}

#[test]
fn bug_15_a_gate_out_of_time_fails_with_notes_and_the_others_still_run() {
    let world = world(HONEST);
    let manifest = r#"{"apiVersion": "agentloop.dev/v1alpha1", "kind": "LoopRun", "spec": {
        "task": {"specPath": "specs/files.md"}, "review": {"enabled": false}, "loop": {"iterations": 1},
        "gates": [{"name": "slow", "run": "echo began; sleep 60", "timeoutSeconds": 1},
                  {"name": "loud", "run": "yes | head -c 3000000"}]}}"#;
    std::fs::write(world.path("run.json"), manifest).unwrap();
    let (said, _) = world.run(&["-f", &world.path("run.json").to_string_lossy()]);
    assert_eq!(said.code, 1, "{}", said.stderr);
    let verified =
        world.journal().into_iter().rfind(|record| record["outcome"]["result"] == "verified").unwrap();
    let gates = verified["outcome"]["gates"].as_array().unwrap();
    assert_eq!((&gates[0]["timed_out"], &gates[1]["exit_code"]), (&Value::Bool(true), &Value::from(0)));
    let notes = std::fs::read_to_string(world.run_folder().join("runner-notes.txt")).unwrap();
    assert!(notes.contains("### Gate slow: ran out of time") && notes.contains("    began"), "{notes}");
}

#[test]
fn bug_17_a_merge_conflict_names_its_files_and_a_merge_by_hand_is_verified_and_completes() {
    let world = world(HONEST);
    let gate = "check=test \"$(cat one.txt)\" != none";
    // Killed right after the grant, so that the target can move before the merge.
    let granted = records_until(&world, gate, "COMPLETION_GRANTED");
    let mut command = world.command(&["run", "--local", "specs/files.md", "--no-review", "--gate", gate]);
    command.env("LOOP_TEST_KILL_AT_APPEND", granted.to_string());
    assert!(!command.output().unwrap().status.success());
    world.git(&["checkout", "-q", "-b", "agent/files"]);
    world.write(&[("one.txt", "theirs\n")]);
    world.commit("Move the target");
    world.git(&["checkout", "-q", "main"]);
    let name = world.runs()[0]["metadata"]["name"].as_str().unwrap().to_owned();
    let said = world.loopctl(&["resume", &name]);
    assert_eq!(said.code, 1, "{}", said.stderr);
    assert!(said.stderr.contains("merge_failed:MergeConflict"), "{}", said.stderr);
    assert!(said.stderr.contains("conflicts in one.txt"), "{}", said.stderr);
    let branch = world.runs()[0]["status"]["worktree"]["runBranch"].as_str().unwrap().to_owned();
    assert_eq!(world.git(&["show", &format!("{branch}:one.txt")]), "one", "the run branch is kept");
    // What the sentence says to do.
    world.git(&["checkout", "-q", "agent/files"]);
    world.git(&["merge", "-q", "-X", "theirs", &branch, "-m", "By hand"]);
    let by_hand = world.git(&["rev-parse", "HEAD"]);
    world.git(&["checkout", "-q", "main"]);
    let said = world.loopctl(&["resume", &name, "-o", "json"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    let run: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(run["status"]["worktree"]["mergeCommit"].as_str(), Some(by_hand.as_str()));
}

/// Number of the first record of a kind in a run that is left to itself, in a copy of the world.
fn records_until(world: &World, gate: &str, kind: &str) -> usize {
    let copy = World::bare();
    copy.git(&[
        "fetch",
        "-q",
        &world.app().to_string_lossy(),
        "+refs/heads/*:refs/heads/*",
        "--update-head-ok",
    ]);
    copy.git(&["reset", "-q", "--hard"]);
    let said = copy.loopctl(&["run", "--local", "specs/files.md", "--no-review", "--gate", gate]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    kinds(&copy).iter().position(|found| found == kind).expect("a record of that kind") + 1
}

#[test]
fn bug_19_the_records_of_earlier_runs_do_not_make_the_working_tree_dirty() {
    let world = world("#!/bin/sh\nexit 1\n");
    for _ in 0..2 {
        let (said, run) = world.run(&GATE);
        assert_eq!((said.code, &run["status"]["phase"]), (1, &Value::from("Failed")), "{}", said.stderr);
        assert!(world.app().join("logs/loop/.gitignore").exists());
        assert_eq!(world.git(&["status", "--porcelain"]), "");
    }
}

#[test]
fn bug_31_the_worktree_of_a_failed_run_stays_and_that_of_a_merged_one_goes() {
    let failing = world("#!/bin/sh\necho draft > draft.txt\nexit 1\n");
    let (_, run) = failing.run(&GATE);
    let path = run["status"]["worktree"]["path"].as_str().unwrap().to_owned();
    assert_eq!(std::fs::read_to_string(format!("{path}/draft.txt")).unwrap(), "draft\n");
    let merged = world(HONEST);
    let (_, run) = merged.run(&GATE);
    assert!(!std::path::Path::new(run["status"]["worktree"]["path"].as_str().unwrap()).exists());
    assert_eq!(run["status"]["worktree"]["cleanup"], "cleaned");
}

#[test]
fn bug_29_a_start_that_fails_ends_with_a_reason_a_time_and_a_copied_record() {
    let world = world(HONEST);
    // Past the checks before the start: the place is taken once the run is made and has been killed.
    let mut command = world.command(&[&["run", "--local"], &GATE[..]].concat());
    assert!(!command.env("LOOP_TEST_KILL_AT_APPEND", "2").output().unwrap().status.success());
    let place = world.path("app.run-files");
    std::fs::write(&place, "in the way").unwrap();
    let name = world.runs()[0]["metadata"]["name"].as_str().unwrap().to_owned();
    let said = world.loopctl(&["resume", &name, "-o", "json"]);
    assert_eq!(said.code, 1, "{}", said.stderr);
    let run: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(run["status"]["result"]["exitReason"], "failed");
    assert!(run["status"]["result"]["message"].as_str().unwrap().contains("is in the way"), "{run}");
    assert!(run["status"]["completionTime"].is_string());
    let copy = world.app().join("logs/loop").join(world.run_folder().file_name().unwrap());
    assert!(std::fs::read_to_string(copy.join("journal.jsonl")).unwrap().contains("RUN_FAILED"));
    std::fs::remove_file(place).unwrap();
    assert_eq!(world.loopctl(&["resume", &name]).code, 0, "and it goes on when the way is free");
}

#[test]
fn bug_4_and_30_killed_runs_are_taken_up_in_any_order_and_none_keeps_a_step_open() {
    let world = world(HONEST);
    for name in ["first", "second"] {
        let more = ["--name", name, "--merge-target", name];
        let mut command = world.command(&[&["run", "--local"], &GATE[..], &more[..]].concat());
        assert!(!command.env("LOOP_TEST_KILL_AT_APPEND", "9").output().unwrap().status.success());
    }
    let names: Vec<String> =
        world.runs().iter().map(|run| run["metadata"]["name"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names.len(), 2);
    for name in &names {
        assert_eq!(world.loopctl(&["resume", name]).code, 0, "{name}, the newest first");
    }
    for run in world.runs() {
        assert_eq!(run["status"]["phase"], "Completed");
        let steps = run["status"]["steps"].as_array().unwrap();
        assert!(steps.iter().all(|step| step["state"] != "running"), "{steps:?}");
    }
}

/// Cancels a run as soon as its record holds a word, and gives its last records.
fn canceled_at(world: &World, arguments: &[&str], word: &str) -> Vec<Value> {
    let mut all = vec!["run", "--local", "specs/files.md"];
    all.extend(arguments);
    let quiet = std::process::Stdio::null;
    let mut engine = world.command(&all).stdout(quiet()).stderr(quiet()).spawn().expect("loopctl starts");
    let reached = || {
        let folders = std::fs::read_dir(world.data().join("runs")).into_iter().flatten().flatten();
        folders.into_iter().any(|folder| {
            let text = std::fs::read_to_string(folder.path().join("journal.jsonl")).unwrap_or_default();
            text.lines().last().is_some_and(|line| line.contains(word))
        })
    };
    for _ in 0..600 {
        if reached() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let name = world.runs()[0]["metadata"]["name"].as_str().expect("a name").to_owned();
    assert_eq!(world.loopctl(&["cancel", &name]).code, 0);
    assert_eq!(engine.wait().expect("it ends").code(), Some(3), "{word}");
    assert_eq!(world.runs()[0]["status"]["phase"], "Canceled");
    assert_eq!(world.leftovers(), Vec::<String>::new());
    world.journal()
}

#[test]
fn bug_6_a_cancel_in_a_review_a_gate_or_a_wait_is_a_cancel_and_no_failure() {
    let review = "#!/bin/sh\nif [ \"$LOOP_PHASE\" = review ]; then sleep 300; fi\n";
    let busy = "#!/bin/sh\necho 'Retry-After: 300'\nexit 75\n";
    let cases: [(&str, &[&str], &str); 3] = [
        (review, &["--gate", "check=true"], "\"phase\":\"review\""),
        ("#!/bin/sh\n", &["--no-review", "--gate", "slow=sleep 300"], "\"phase\":\"baseline\""),
        (busy, &["--no-review", "--gate", "check=true"], "AGENT_RETRY"),
    ];
    for (agent, arguments, word) in cases {
        let records = canceled_at(&world(agent), arguments, word);
        let last: Vec<&str> =
            records.iter().rev().take(2).filter_map(|record| record["kind"].as_str()).collect();
        assert_eq!(last, ["RUN_CANCELED", "STEP_INTERRUPTED"], "{word}");
        assert!(!records.iter().any(|record| record["outcome"]["result"] == "failed"), "{word}");
    }
}
