use loop_api::journal::{Created, Event, Granted, SCHEMA};
use loop_api::phase::{ExitReason, RunPhase};
use loop_api::run::{Condition, LoopRun, LoopRunSpec};

use super::{condition_reason, loop_run};
use crate::machine::State;
use crate::store::{RunDir, Store};

fn run_dir() -> RunDir {
    Store::at("/data").run("01")
}

fn state(started: bool) -> State {
    let mut state = State::default();
    let created = Created {
        schema: SCHEMA,
        version: "0".into(),
        run_id: "01".into(),
        name: "files-01".into(),
        slug: "files".into(),
        config_digest: String::new(),
        workspace_root: "/repo".into(),
        base_branch: "main".into(),
        base_commit: "c".into(),
        target_branch: "agent/files".into(),
        prompt_file: String::new(),
        context_files: Vec::new(),
        search_path: String::new(),
        queue: loop_api::run::QueueSettings::default(),
        config_source: None,
        log_dir: String::new(),
        spec: LoopRunSpec::default(),
    };
    state.apply(1_000, &Event::RunCreated(Box::new(created))).unwrap();
    if started {
        let (worker_id, isolation) = ("host:1".into(), "none: test".into());
        state.apply(2_000, &Event::RunStarted { worker_id, isolation }).unwrap();
    }
    state
}

fn object(state: &State, alive: bool) -> LoopRun {
    loop_run(state, &run_dir(), alive, None).unwrap()
}

/// What `kubectl wait --for=condition=KIND` looks at.
fn condition(state: &State, alive: bool, kind: &str) -> Option<Condition> {
    object(state, alive).status.unwrap().conditions.into_iter().find(|condition| condition.kind == kind)
}

fn status(state: &State, alive: bool, kind: &str) -> String {
    condition(state, alive, kind).map(|condition| condition.status).unwrap_or_default()
}

fn completed(verified: bool) -> State {
    let mut state = state(true);
    let level = if verified { "FailToPass" } else { "Unverified" }.to_owned();
    state.granted = Some(Granted { level, commit: "c".into(), tree: "t".into(), mode: "plan".into() });
    state.phase = RunPhase::Completed;
    state.evidenced = verified;
    state.ended_ms = 9_000;
    state.ended = Some((ExitReason::CompletePlan, "complete_plan".into(), String::new()));
    state
}

#[test]
fn a_completed_run_meets_complete_and_verified() {
    let state = completed(true);
    assert_eq!(status(&state, false, "Complete"), "True");
    assert_eq!(status(&state, false, "Verified"), "True");
    assert_eq!(status(&state, false, "Failed"), "");
    let complete = condition(&state, false, "Complete").unwrap();
    assert_eq!(
        (complete.reason.as_str(), complete.last_transition_time.as_str()),
        ("CompletePlan", "1970-01-01T00:00:09Z")
    );
    assert!(condition(&state, false, "Verified").unwrap().message.contains("FailToPass"));
}

#[test]
fn a_run_that_was_allowed_to_end_unverified_says_so() {
    let verified = condition(&completed(false), false, "Verified").unwrap();
    assert_eq!((verified.status.as_str(), verified.reason.as_str()), ("False", "AllowUnverified"));
}

#[test]
fn a_failed_run_meets_failed_with_reason_and_message() {
    let mut state = state(true);
    let (reason, message) = ("timed_out:5s".to_owned(), "the deadline passed".to_owned());
    state.apply(3_000, &Event::RunFailed { exit_reason: ExitReason::TimedOut, reason, message }).unwrap();
    let failed = condition(&state, false, "Failed").unwrap();
    assert_eq!((failed.status.as_str(), failed.reason.as_str()), ("True", "TimedOut"));
    assert_eq!(failed.message, "the deadline passed");
    assert_eq!(status(&state, false, "Complete"), "");
    let result = object(&state, false).status.unwrap().result.unwrap();
    assert_eq!(
        (result.exit_reason.as_str(), result.message.as_str()),
        ("timed_out", "timed_out:5s: the deadline passed")
    );
}

#[test]
fn a_canceled_run_is_not_complete() {
    let mut state = state(true);
    state.apply(3_000, &Event::RunCanceled).unwrap();
    let complete = condition(&state, false, "Complete").unwrap();
    assert_eq!((complete.status.as_str(), complete.reason.as_str()), ("False", "Canceled"));
}

#[test]
fn a_run_that_no_engine_works_on_is_interrupted_and_says_how_to_go_on() {
    for started in [false, true] {
        let state = state(started);
        let interrupted = condition(&state, false, "Interrupted").unwrap();
        assert_eq!(interrupted.status, "True");
        assert!(interrupted.message.contains("loopctl resume files-01"), "{}", interrupted.message);
        assert_eq!(object(&state, true).status.unwrap().conditions, [], "an engine works on it");
    }
}

#[test]
fn times_are_absent_until_they_are_known() {
    let pending = object(&state(false), false);
    assert_eq!(pending.metadata.creation_timestamp.as_deref(), Some("1970-01-01T00:00:01Z"));
    let status = pending.status.unwrap();
    assert_eq!((status.start_time, status.completion_time, status.worktree), (None, None, None));
    let status = object(&completed(true), false).status.unwrap();
    assert_eq!(status.start_time.as_deref(), Some("1970-01-01T00:00:02Z"));
    assert_eq!(status.completion_time.as_deref(), Some("1970-01-01T00:00:09Z"));
    assert_eq!(status.artifacts_path, "/data/runs/run-01");
}

#[test]
fn before_the_first_record_there_is_no_object() {
    assert_eq!(loop_run(&State::default(), &run_dir(), true, None), None);
}

#[test]
fn reasons_are_camel_case_words() {
    assert_eq!(condition_reason("iterations_exhausted"), "IterationsExhausted");
    assert_eq!(condition_reason("failed"), "Failed");
    assert_eq!(condition_reason(""), "");
}
