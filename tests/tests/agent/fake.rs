//! What the CLI does on its bad days, done by `tests/agents/fake-claude.sh`.

use std::process::Stdio;

use loop_tests::{Said, World, confined};
use serde_json::{Value, json};

use super::scenario::{fields, object, records, run, until, world};

/// A world whose command `claude` is the fake one.
pub(crate) fn world_with(mode: &str) -> World {
    let mut world = world();
    let script = include_str!("../../agents/fake-claude.sh");
    loop_tests::write(&world.path("bin/claude"), script);
    let path = std::env::var("PATH").unwrap_or_default();
    world.environment = vec![
        ("PATH".to_owned(), format!("{}:{path}", world.path("bin").display())),
        ("FAKE_CLAUDE".to_owned(), mode.to_owned()),
    ];
    world
}

/// Runs one in this mode.
fn in_mode(mode: &str, patch: &Value) -> (World, Said) {
    let world = world_with(mode);
    let said = run(&world, patch);
    assert_eq!(world.leftovers(), Vec::<String>::new(), "{mode}");
    (world, said)
}

fn completed(world: &World, said: &Said) {
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert_eq!(object(world)["status"]["phase"], "Completed");
    assert_eq!(world.git(&["show", "agent/files:two.txt"]), "two");
}

/// The run failed, in its first step, with a message that has these words; gives the word for the process's ending.
fn failed(world: &World, said: &Said, words: &[&str]) -> Value {
    assert_eq!(said.code, 1, "{}", said.stderr);
    let status = object(world)["status"].clone();
    assert_eq!(status["phase"], "Failed");
    let message = status["result"]["message"].as_str().unwrap_or_default();
    for word in words {
        assert!(message.contains(word), "{word:?} in {message:?}");
    }
    let endings = fields(world, "AGENT_FINISHED", "ending");
    assert_eq!(endings.len(), 1, "{endings:?}");
    endings[0].clone()
}

/// Two tries more.
fn again() -> Value {
    json!({"loop": {"retries": 2}})
}

#[test]
fn a_result_that_is_cut_is_none_and_the_session_goes_on() {
    let (world, said) = in_mode("truncated", &again());
    completed(&world, &said);
    assert_eq!(fields(&world, "AGENT_FINISHED", "ending"), ["crash", "worked", "worked"]);
    assert_eq!(fields(&world, "AGENT_FINISHED", "unread_lines"), [1, 0, 0]);
    assert_eq!(fields(&world, "AGENT_STARTED", "resumed"), [false, true, false]);
    let usage = &object(&world)["status"]["usage"];
    assert_eq!((&usage["tokens"], &usage["incomplete"]), (&json!(45), &json!(1)), "each call counts once");
    assert_eq!(usage["costUSD"], "0.02", "of the first nothing is known");
}

#[test]
fn of_two_results_the_last_one_counts() {
    let (world, said) = in_mode("two-results", &json!({}));
    completed(&world, &said);
    let usage = &object(&world)["status"]["usage"];
    assert_eq!(
        (&usage["tokens"], &usage["costUSD"]),
        (&json!(60), &json!("0.04")),
        "two processes, not four"
    );
    assert_eq!(usage["incomplete"], 0);
}

#[test]
fn success_with_an_error_is_a_failure() {
    let (world, said) = in_mode("success-with-error", &json!({}));
    assert_eq!(failed(&world, &said, &["something broke"]), "crash");
}

#[test]
fn a_session_that_changes_is_continued_by_its_new_name() {
    let (world, said) = in_mode("session-changes", &again());
    completed(&world, &said);
    let sessions = fields(&world, "AGENT_STARTED", "session");
    assert_eq!(sessions[0], sessions[1]);
    assert_eq!(sessions[2], "another-one");
    assert_eq!(fields(&world, "AGENT_STARTED", "resumed")[..3], [false, true, true]);
}

#[test]
fn a_session_that_is_lost_is_begun_anew() {
    let (world, said) = in_mode("lost", &again());
    completed(&world, &said);
    assert_eq!(fields(&world, "AGENT_FINISHED", "ending")[..3], ["crash", "session_lost", "worked"]);
    let sessions = fields(&world, "AGENT_STARTED", "session");
    assert_eq!(sessions[0], sessions[1]);
    assert_ne!(sessions[1], sessions[2]);
}

#[test]
fn no_output_at_all_is_a_hang_at_the_start() {
    let (world, said) = in_mode("silent", &json!({"limits": {"agentStartSeconds": 1}}));
    assert_eq!(failed(&world, &said, &["no output within 1 s of its start"]), "start_timeout");
}

#[test]
fn silence_after_the_banner_is_idleness() {
    let (world, said) = in_mode("banner", &json!({"limits": {"agentIdleSeconds": 1}}));
    assert_eq!(failed(&world, &said, &["no output for too long"]), "idle");
}

#[test]
fn a_result_counts_though_the_process_stays() {
    let (world, said) = in_mode("lingers", &json!({"limits": {"agentExitSeconds": 1}}));
    completed(&world, &said);
    assert_eq!(fields(&world, "AGENT_FINISHED", "ending"), ["worked", "worked"]);
    assert_eq!(object(&world)["status"]["usage"]["tokens"], 30);
}

#[test]
fn exit_0_without_a_result_is_a_failure() {
    let (world, said) = in_mode("no-result", &json!({}));
    assert_eq!(failed(&world, &said, &["exit code 0 without giving a result"]), "crash");
}

#[test]
fn exit_1_after_a_good_result_is_none() {
    let (world, said) = in_mode("exit-1", &json!({}));
    completed(&world, &said);
    assert_eq!(fields(&world, "AGENT_FINISHED", "ending"), ["worked", "worked"]);
}

#[test]
fn a_limit_is_waited_out_and_costs_no_retry() {
    let (world, said) = in_mode("limit", &json!({"loop": {"retries": 0}}));
    completed(&world, &said);
    assert_eq!(fields(&world, "AGENT_FINISHED", "ending")[..2], ["rate_limited", "worked"]);
    let retry = records(&world, "AGENT_RETRY").remove(0);
    let wait = retry["wait_ms"].as_u64().unwrap();
    assert!((1000..=4000).contains(&wait), "{retry}");
    assert!(retry["reason"].as_str().is_some_and(|reason| reason.contains("session limit")), "{retry}");
}

#[test]
fn who_is_not_logged_in_is_told_so_in_the_words_of_the_cli() {
    let (world, said) = in_mode("no-login", &json!({"loop": {"retries": 3}}));
    let words = ["Not logged in · Please run /login", "log in with `claude`, or set ANTHROPIC_API_KEY"];
    assert_eq!(failed(&world, &said, &words), "auth");
    assert!(records(&world, "AGENT_RETRY").is_empty(), "trying again brings no login");
}

#[test]
fn the_user_s_settings_are_seen_and_a_renewed_login_reaches_the_user() {
    if !confined() {
        return;
    }
    let world = world_with("state");
    let of = |name: &str| world.path("home/.claude").join(name);
    loop_tests::write(&of("settings.json"), "settings of the user\n");
    loop_tests::write(&of("CLAUDE.md"), "instructions of the user\n");
    loop_tests::write(&of("skills/deploy/SKILL.md"), "a skill of the user\n");
    loop_tests::write(&of(".credentials.json"), "old login\n");
    loop_tests::write(&of("history.jsonl"), "what the user asked elsewhere\n");
    let said = run(&world, &json!({}));
    completed(&world, &said);
    let log = std::fs::read_to_string(world.run_folder().join("iter-01.log")).unwrap();
    for seen in ["settings of the user", "instructions of the user", "a skill of the user", "old login"] {
        assert!(log.contains(seen), "{seen} in {log}");
    }
    assert!(!log.contains("what the user asked elsewhere"), "{log}");
    let now = |name: &str| std::fs::read_to_string(of(name)).unwrap();
    assert_eq!(now(".credentials.json"), "renewed login\n");
    assert_eq!(now("settings.json"), "settings of the user\n");
    assert!(!of("projects").exists(), "sessions of the run are not the user's");
}

#[test]
fn a_command_that_is_missing_is_said_before_anything_is_made() {
    let mut world = world();
    let without: Vec<String> = std::env::var("PATH")
        .unwrap_or_default()
        .split(':')
        .filter(|entry| !std::path::Path::new(entry).join("claude").exists())
        .map(str::to_owned)
        .collect();
    world.environment = vec![("PATH".to_owned(), without.join(":"))];
    let refs = world.git(&["for-each-ref"]);
    let said = run(&world, &json!({}));
    assert_eq!(said.code, 2, "{}", said.stderr);
    assert!(said.stderr.contains("`claude`, which is not in PATH"), "{}", said.stderr);
    assert!(said.stderr.contains("npm install -g @anthropic-ai/claude-code"), "{}", said.stderr);
    assert_eq!(world.git(&["for-each-ref"]), refs);
    assert!(!world.path("app.run-files").exists());
    assert_eq!(world.runs(), Vec::<Value>::new());
}

#[test]
fn a_dead_run_that_is_canceled_says_what_its_last_process_used() {
    let world = world_with("stuck");
    let arguments = super::scenario::arguments(&world, &json!({}));
    let mut engine = world
        .command(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("the agent says what it used", || {
        let found = std::fs::read_dir(world.data().join("runs")).into_iter().flatten().flatten();
        let raw = found.map(|entry| std::fs::read_to_string(entry.path().join("iter-01.jsonl")));
        raw.flatten().any(|text| text.contains("\"m1\"") && text.ends_with('\n'))
    });
    engine.kill().unwrap();
    engine.wait().unwrap();
    let said = world.loopctl(&["cancel", object(&world)["metadata"]["name"].as_str().unwrap()]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert_eq!(world.leftovers(), Vec::<String>::new());
    assert_eq!(fields(&world, "AGENT_FINISHED", "ending"), ["interrupted"]);
    let status = object(&world)["status"].clone();
    assert_eq!(status["phase"], "Canceled");
    assert_eq!((&status["usage"]["tokens"], &status["usage"]["incomplete"]), (&json!(15), &json!(1)));
}
