//! What people read, as it is on screens of two widths and in a pipe: compared with files under `tests/screens`, which
//! `UPDATE=1 cargo test -p loopctl` writes anew. The run is the one of a recorded journal, so nothing changes with time.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use loop_api::journal::Event;
use loop_api::phase::{RunPhase, StepPhase};
use loop_api::usage::{Tokens, Usage};
use loop_core::config::Setting;
use loop_core::config::keys::keys;
use loop_core::create::{Origin, Settings, Shown};
use loop_core::engine::Live;
use loop_core::machine::State;
use loop_core::store::{Store, read_journal};
use loop_core::tidy::Worktree;

use crate::commands::prune::{self, Going};
use crate::commands::worktrees;
use crate::runs::{self, Listed, Recorded};
use crate::view::status::Status;
use crate::view::{inspect, progress, settings, summary, table};

/// Widths of screens; `None` is a pipe.
const WIDTHS: [Option<usize>; 3] = [Some(80), Some(200), None];

fn check(name: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/screens").join(format!("{name}.txt"));
    let text = console::strip_ansi_codes(text);
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        fs::write(&file, text.as_bytes()).expect("a file");
    }
    let found = fs::read_to_string(&file).unwrap_or_default();
    assert!(found == text, "{name} is another now; UPDATE=1 cargo test -p loopctl writes it anew:\n{text}");
}

fn checked(name: &str, text: impl Fn(Option<usize>) -> String) {
    for width in WIDTHS {
        let text = text(width);
        let widest = text.lines().map(console::measure_text_width).max().unwrap_or(0);
        assert!(width.is_none_or(|width| widest <= width), "{name} is {widest} wide:\n{text}");
        check(&format!("{name}-{}", width.map_or("pipe".into(), |width| width.to_string())), &text);
    }
}

/// A data directory with the recorded run, and that run.
fn recorded() -> (tempfile::TempDir, Store, Recorded) {
    let journal = Path::new(env!("CARGO_MANIFEST_DIR")).join("../loop-core/tests/golden/v0.1.0.jsonl");
    let (_, state) = read_journal(&journal).expect("a journal");
    let uid = state.created.expect("a run").run_id;
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::at(folder.path());
    let run = store.create_run(&uid).expect("a folder");
    fs::copy(journal, run.journal()).expect("a copy");
    let run = runs::read(&store, &uid).expect("a run").expect("a run");
    (folder, store, run)
}

/// Runs of all kinds, made from the recorded one.
fn listed() -> Vec<Listed> {
    let (_folder, store, _) = recorded();
    let (runs, unreadable) = runs::scan(&store).expect("runs");
    assert!(unreadable.is_empty());
    let first = runs.into_iter().next().expect("a run");
    let like = |name: &str, phase, alive, waiting: Option<&str>, reason: &str| {
        let mut run = first.clone();
        run.row.name = name.into();
        run.row.uid = name.into();
        run.row.phase = phase;
        run.row.step = if alive { "implementation".into() } else { String::new() };
        run.row.reason = reason.into();
        run.row.branch = format!("run/{name}");
        run.row.worktree = format!("/home/dev/src/app.run-{name}");
        run.row.cost = "$1.25".into();
        Listed { alive, waiting: waiting.map(str::to_owned), ..run }
    };
    let full = "3 of 3 runs at once are at work (login-3f9a1, pager-77b02, search-00c4d)";
    let long = "a-spec-with-a-name-that-goes-on-and-on-for-longer-than-names-do-0a1b2";
    vec![
        like("waits-11111", RunPhase::Pending, true, Some(full), ""),
        like("works-22222", RunPhase::Running, true, None, ""),
        like("broken-33333", RunPhase::Running, false, None, ""),
        like("paused-44444", RunPhase::Paused, false, None, ""),
        like("failed-55555", RunPhase::Failed, false, None, "iteration_limit_reached:50"),
        like("canceled-66666", RunPhase::Canceled, false, None, "canceled"),
        like(long, RunPhase::Failed, false, None, "runner_execution_failed:timeout"),
        first,
    ]
}

#[test]
fn lists() {
    let runs = listed();
    checked("list", |width| table::runs(&runs, false, width));
    checked("list-wide", |width| table::runs(&runs, true, width));
}

#[test]
fn worktrees_and_what_prune_removes() {
    let runs = listed();
    let worktree =
        |path: &str, branch: Option<&str>| Worktree { path: path.into(), branch: branch.map(str::to_owned) };
    let mut found =
        vec![worktree("/home/dev/src/app", Some("main")), worktree("/home/dev/src/looked-at-by-hand", None)];
    found.extend(
        runs.iter()
            .filter(|run| !run.row.worktree.is_empty())
            .map(|run| worktree(&run.row.worktree, Some(&run.row.branch))),
    );
    checked("worktrees", |width| worktrees::text(&found, &runs, width));
    let ended = runs.into_iter().filter(|run| run.row.phase.is_terminal());
    let going: Vec<Going> = ended
        .zip([5 << 20, 3_400, 7 << 30, 0])
        .map(|(run, bytes)| Going { worktree: bytes > 4096, copy: None, run, bytes })
        .collect();
    checked("prune", |width| prune::text(&going, width));
}

#[test]
fn one_run() {
    let (folder, _, run) = recorded();
    let (decoded, _) = read_journal(&run.dir.journal()).expect("a journal");
    let neutral = |text: String| text.replace(&folder.path().display().to_string(), "DATA");
    check("inspect", &neutral(inspect::text(&run, &decoded.records)));
    check("summary", &neutral(summary::text(&run)));
    check("report", &neutral(loop_core::record::report(&decoded.records, &run.dir)));
}

#[test]
fn while_a_run_is_driven() {
    let (_folder, _, run) = recorded();
    let (decoded, _) = read_journal(&run.dir.journal()).expect("a journal");
    let (mut state, mut status) = (State::default(), Status::default());
    let (began, mut said) = (Instant::now(), String::new());
    for record in &decoded.records {
        state.apply(record.ts, &record.event).expect("it follows");
        said.extend(progress::lines(record, &state).iter().map(|line| format!("{line}\n")));
        // The line at the bottom of a terminal, as it was in the last implementation.
        if matches!(record.event, Event::StepStarted { phase: StepPhase::Implementation, .. }) {
            status.record(record, &state, began);
        }
    }
    check("progress", &said);
    let tokens = Tokens { input: 120_000, output: 4_000, ..Tokens::default() };
    let usage = Usage { models: [("m".into(), tokens)].into(), cost_nano_usd: 1_250_000_000, incomplete: 0 };
    let line =
        "Reading the tests of the parser first, since the spec asks that none of them is changed or skipped";
    status.agent(&Live { line, usage: &usage, elapsed: Duration::from_secs(95) });
    let now = began + Duration::from_secs(95);
    checked("status-line", |width| status.line(now, width.unwrap_or(usize::MAX)));
}

#[test]
fn settings_and_where_they_come_from() {
    let mut values: Vec<Shown> = keys()
        .map(|key| {
            let value = Some(key.default.to_owned()).filter(|text| !text.is_empty());
            Shown { key, value, origin: Origin::Default }
        })
        .collect();
    let place = Setting { text: "claude".into(), file: ".loop/config of main".into(), line: 3 };
    for (name, value, origin) in [
        ("agent", "claude", Origin::File(place)),
        ("iterations", "12", Origin::Flag),
        ("model", "opus", Origin::Manifest),
    ] {
        let shown = values.iter_mut().find(|shown| shown.key.name == name).expect("it is a key");
        (shown.value, shown.origin) = (Some(value.into()), origin);
    }
    let (sources, read) = (Vec::new(), ".loop/config of main".to_owned());
    check("config-show", &settings::text(&Settings { sources, read, values, warnings: Vec::new() }));
}
