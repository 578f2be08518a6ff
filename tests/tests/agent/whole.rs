//! A whole run with the real CLI: it edits and commits through its own tools, is reviewed by itself, repairs what a
//! gate found, is granted, merged and looked back at.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use loop_tests::check::check;
use loop_tests::endpoint::{Endpoint, KEY, says, uses};
use loop_tests::{World, confined};
use serde_json::{Value, json};

use super::scenario::{accounted, bash, fields, files, object, prompt, prompt_at, records, task, world};

const FIRST: &str = "## Selected task\n\nWrite one.txt";
const SECOND: &str = "## Selected task\n\nWrite two.txt";
const REVIEW: &str = "You are a senior engineer who reviews";
const FINDING: &str = "notes.txt is missing, in which the files are explained";

/// The model: what it is asked decides what it answers, and what it is asked twice is answered differently.
fn fixtures(worktree: &str) -> Vec<Value> {
    let plan = format!("{worktree}/specs/planning/files-plan.md");
    let tick =
        json!({"file_path": plan, "old_string": "- [ ] Write one.txt", "new_string": "- [x] Write one.txt"});
    let write = ("Write", json!({"file_path": format!("{worktree}/one.txt"), "content": "one\n"}));
    let explain = "echo 'two files' > notes.txt && git add -A && git commit -qm 'Explain the files'";
    vec![
        uses(&prompt_at(REVIEW, false, 0), &[bash("git log --oneline && cat one.txt")], (50, 5)),
        says(&prompt(REVIEW, true), &format!("I looked.\n\nCHANGES REQUESTED\n- {FINDING}\n"), (60, 6)),
        says(&prompt(REVIEW, false), "Good.\n\nAPPROVED", (70, 7)),
        // What the notes ask for comes before the selected task.
        uses(&prompt(FINDING, false), &[bash(explain)], (80, 8)),
        says(&prompt(FINDING, true), "Explained the files; one task is left.", (90, 9)),
        uses(
            &prompt("two.txt says too", false),
            &[bash("echo two > two.txt && git commit -qam 'Repair two.txt'")],
            (100, 10),
        ),
        says(
            &prompt("two.txt says too", true),
            "Repaired two.txt.\n\n<promise>COMPLETE</promise>",
            (110, 11),
        ),
        uses(&prompt(FIRST, false), &[write, ("Read", json!({"file_path": plan}))], (120, 12)),
        uses(&prompt_at(FIRST, true, 0), &[("Edit", tick)], (130, 13)),
        uses(&prompt_at(FIRST, true, 1), &[bash("git add -A && git commit -qm 'Write one.txt'")], (140, 14)),
        says(&prompt_at(FIRST, true, 2), "Wrote one.txt; one task is left.", (150, 15)),
        uses(&prompt(SECOND, false), &[task("two", "too")], (160, 16)),
        says(&prompt(SECOND, true), "Wrote two.txt.\n\n<promise>COMPLETE</promise>", (170, 17)),
        says(
            &prompt("Does the work do what the spec says?", false),
            "It does.\n\nVerdict: pass\n",
            (180, 18),
        ),
        says(&prompt("How did the run go?", false), "With one detour.\n", (190, 19)),
        says(&prompt("What follows from the two reports?", false), "Root cause: spec gap\n", (200, 20)),
    ]
}

/// Content of all files of HOME.
fn home(world: &World) -> BTreeMap<PathBuf, Vec<u8>> {
    files(&world.path("home"))
        .into_iter()
        .map(|path| (path.clone(), fs::read(&path).expect("a file")))
        .collect()
}

fn read(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn claude_works_is_reviewed_repairs_and_is_merged() {
    let mut world = world();
    let settings = world.path("home").join(".claude/settings.json");
    loop_tests::write(&settings, "{\"includeCoAuthoredBy\": false}\n");
    loop_tests::write(&world.path("home").join(".claude.json"), "{\"numStartups\": 3}\n");
    let worktree = world.path("app.run-files");
    let Some(endpoint) = Endpoint::start(&fixtures(&worktree.to_string_lossy())) else { return };
    world.environment = endpoint.environment();
    let before = home(&world);
    let said = world.loopctl(&[
        "run",
        "--local",
        "specs/files.md",
        "--agent",
        "claude",
        "--gate",
        "check=sh check.sh",
    ]);
    assert_eq!(said.code, 0, "{}", said.stderr);

    let run = object(&world);
    assert_eq!(run["status"]["phase"], "Completed");
    assert_eq!(run["status"]["progress"]["iteration"], 4);
    let evidence: Value =
        serde_json::from_str(&read(&world.run_folder(), "evidence.json")).expect("evidence");
    let program = evidence["predicate"]["program"].as_str().unwrap_or_default();
    assert!(program.starts_with("claude 2."), "{program:?}");
    assert_eq!(world.git(&["show", "agent/files:two.txt"]), "two");
    assert_eq!(world.git(&["show", "agent/files:notes.txt"]), "two files");
    let verified = world.loopctl(&["verify", run["metadata"]["name"].as_str().unwrap()]);
    assert_eq!(verified.code, 0, "{}{}", verified.stdout, verified.stderr);
    assert_eq!(world.leftovers(), Vec::<String>::new());

    assert_eq!(accounted(&world, &endpoint), 0, "every process said what it used");
    the_journal_is_true(&world);
    the_artifacts_are_true(&world);
    the_postmortem_is_an_opinion(&world);
    assert_eq!(check(&world.run_folder()), Vec::<String>::new(), "every number follows from the journal");
    if confined() {
        assert_eq!(home(&world), before, "HOME is as it was");
    }
    for path in files(&world.run_folder()).into_iter().chain(files(&world.app().join("logs"))) {
        let content = fs::read(&path).unwrap();
        let found = content.windows(KEY.len()).any(|part| part == KEY.as_bytes());
        assert!(!found, "the key is in {}", path.display());
    }
}

fn the_journal_is_true(world: &World) {
    let started = records(world, "AGENT_STARTED");
    let finished = records(world, "AGENT_FINISHED");
    assert_eq!((started.len(), finished.len()), (8, 8), "four implementations and four reviews");
    for (start, end) in started.iter().zip(&finished) {
        assert_eq!(start["session"], end["session"]);
        assert_eq!((&start["resumed"], &start["raw_offset"]), (&json!(false), &json!(0)));
        assert_eq!((&end["ending"], &end["unread_lines"]), (&json!("worked"), &json!(0)));
        assert!(end["program"].as_str().is_some_and(|program| program.starts_with("claude 2.")), "{end}");
        assert!(end["model"].as_str().is_some_and(|model| model.starts_with("claude-opus")), "{end}");
    }
    let mut sessions: Vec<String> = started.iter().map(|start| start["session"].to_string()).collect();
    sessions.sort();
    sessions.dedup();
    assert_eq!(sessions.len(), 8, "each process has a session of its own");
    let findings: Vec<Value> = world
        .journal()
        .iter()
        .map(|record| record["outcome"]["findings"][0].clone())
        .filter(Value::is_string)
        .collect();
    assert_eq!(findings, [FINDING]);
    assert_eq!(fields(world, "COMPLETION_REFUSED", "reason"), ["gate_failed"]);
}

fn the_artifacts_are_true(world: &World) {
    let folder = world.run_folder();
    let log = read(&folder, "iter-01.log");
    let tools: Vec<&str> =
        log.lines().filter_map(|line| line.strip_prefix("> ")?.split_whitespace().next()).collect();
    assert_eq!(tools, ["Write", "Read", "Edit", "Bash"], "{log}");
    assert!(log.contains("Wrote one.txt; one task is left."), "{log}");
    assert!(read(&folder, "iter-01-review.log").contains(&format!("- {FINDING}")));
    for name in ["iter-01.jsonl", "iter-01-review.jsonl", "iter-04.jsonl", "analysis/summary.jsonl"] {
        let kinds: Vec<Value> = read(&folder, name)
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("raw output is JSON")["type"].clone())
            .collect();
        assert_eq!((&kinds[0], &kinds[kinds.len() - 1]), (&json!("system"), &json!("result")), "{name}");
    }
    assert!(read(&folder, "iter-04.tail.txt").contains("Repaired two.txt."));
    let summary = object(world)["status"]["summary"].clone();
    for name in ["run_log", "run_report", "prompt_snapshot", "last_iteration_tail", "last_iteration_log"] {
        let path = summary[name].as_str().unwrap_or_default();
        assert!(fs::metadata(path).is_ok_and(|facts| facts.len() > 0), "{name}: {path}");
    }
    assert_eq!(serde_json::from_str::<Value>(&read(&folder, "summary.json")).expect("a summary"), summary);
    assert!(read(&folder, "prompt.txt").contains("two.txt says too"));
    assert!(read(&folder, "review-prompt.txt").contains(REVIEW));
}

fn the_postmortem_is_an_opinion(world: &World) {
    let folder = world.run_folder();
    for (name, words) in [
        ("spec-compliance", "It does."),
        ("run-quality", "With one detour."),
        ("summary", "Root cause: spec gap"),
    ] {
        assert!(read(&folder, &format!("analysis/{name}.md")).contains(words), "{name}");
        assert!(
            read(&folder, &format!("analysis/{name}-prompt.txt")).contains("You look back at a finished run")
        );
    }
    let status = &object(world)["status"]["postmortem"];
    assert_eq!((&status["verdict"], &status["rootCause"]), (&json!("pass"), &json!("spec gap")), "{status}");
    assert_eq!(fields(world, "POSTMORTEM_START", "reason"), ["run_completed"]);
    assert_eq!(fields(world, "POSTMORTEM_END", "status"), ["ok"]);
}

/// An analysis that fails says so, and changes nothing about the run.
#[test]
fn a_postmortem_that_fails_leaves_the_run_completed() {
    let mut world = world();
    let answers = [
        uses(&prompt(FIRST, false), &[task("one", "one"), task("two", "two")], (10, 1)),
        says(&prompt(FIRST, true), "Done.\n\n<promise>COMPLETE</promise>", (20, 2)),
        loop_tests::endpoint::fails(&prompt("You look back", false), 403, "permission_error", "forbidden"),
    ];
    let Some(endpoint) = Endpoint::start(&answers) else { return };
    world.environment = endpoint.environment();
    let said = super::scenario::run(&world, &json!({"postmortem": {"enabled": true}}));
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert_eq!(object(&world)["status"]["phase"], "Completed");
    let end = records(&world, "POSTMORTEM_END").remove(0);
    assert_eq!(end["status"], "failed", "{end}");
    assert!(end["message"].as_str().is_some_and(|message| message.contains("403")), "{end}");
    accounted(&world, &endpoint);
}
