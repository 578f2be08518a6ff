//! The run that is killed: two tasks, a gate that fails once and is repaired, a review each time, a merge.

use std::io::Write as _;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use loop_tests::{PROJECT, Said, World, said};
use serde_json::Value;

/// Decides from the tree and the prompt alone; its commits carry a fixed date, so that their ids can be compared.
///
/// The second task is done wrong first, and repaired only when the prompt quotes the gate.
const AGENT: &str = r#"#!/bin/sh
set -eu
prompt=$(cat)
if [ "$LOOP_PHASE" = review ]; then echo APPROVED; exit 0; fi
export GIT_AUTHOR_DATE=2026-01-01T00:00:00Z GIT_COMMITTER_DATE=2026-01-01T00:00:00Z
tick() {
  sed "s/\[ \] Write $1.txt/[x] Write $1.txt/" "$LOOP_PLAN_PATH" > plan.new
  cat plan.new > "$LOOP_PLAN_PATH"
  rm plan.new
}
open() { grep -q "\[ \] Write $1.txt" "$LOOP_PLAN_PATH"; }
if open one; then
  echo one > one.txt; tick one; git add -A; git commit -qm 'Write one.txt'
elif open two; then
  echo too > two.txt; tick two; git add -A; git commit -qm 'Write two.txt'
elif [ "$(cat two.txt)" = too ] && printf '%s\n' "$prompt" | grep -q 'two.txt says too'; then
  echo two > two.txt; git add -A; git commit -qm 'Repair two.txt'
fi
if ! open two; then echo '<promise>COMPLETE</promise>'; fi
"#;

const GATE: &str = "#!/bin/sh
test \"$(cat one.txt)\" = one || exit 1
if [ -e two.txt ] && [ \"$(cat two.txt)\" != two ]; then echo \"two.txt says $(cat two.txt)\"; exit 1; fi
";

/// Names the run's arguments.
pub(crate) const RUN: &[&str] = &["run", "--local", "specs/files.md", "--gate", "check=sh check.sh"];

/// What has to be the same however often the run was killed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// Tip of the run branch, a commit id.
    tip: String,
    /// Tree of the target branch.
    merged: String,
    plan: String,
    log: String,
    merges: usize,
    /// All refs; a second run branch or a forgotten one shows here.
    refs: String,
    worktrees: usize,
    phase: Value,
    tasks: (Value, Value),
    level: Value,
    merge_recorded: bool,
    leftovers: Vec<String>,
    locks: String,
}

impl Ended {
    /// The parts that are the same when a run failed on the way and was tried again.
    pub(crate) fn without_iterations(&self) -> (&str, &str, usize, usize, &[String]) {
        (&self.merged, &self.refs, self.merges, self.worktrees, &self.leftovers)
    }
}

/// The undisturbed run.
pub(crate) struct Reference {
    pub(crate) result: Ended,
    pub(crate) iterations: usize,
    pub(crate) records: usize,
    /// Kind and step of each record.
    pub(crate) kinds: Vec<(String, String)>,
    pub(crate) duration: Duration,
}

/// The repository before the run; the same commit id every time.
pub(crate) fn world() -> World {
    world_with(AGENT)
}

/// The same with another agent.
pub(crate) fn world_with(agent: &str) -> World {
    let world = World::bare();
    world.write(PROJECT);
    world.write(&[(".loop/agent.sh", agent), ("check.sh", GATE)]);
    world.git(&["add", "--all"]);
    let commit = ["-c", "user.name=Test", "-c", "user.email=test@localhost", "commit", "-qm", "Start"];
    let mut git = Command::new("git");
    git.current_dir(world.app()).args(commit).env("HOME", world.path("home"));
    for variable in ["GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"] {
        git.env(variable, "2026-01-01T00:00:00Z");
    }
    assert!(git.status().expect("git runs").success());
    world
}

/// The undisturbed run, made once.
pub(crate) fn reference() -> &'static Reference {
    static REFERENCE: OnceLock<Reference> = OnceLock::new();
    REFERENCE.get_or_init(|| {
        let world = world();
        let began = Instant::now();
        let said = world.loopctl(RUN);
        let duration = began.elapsed();
        assert_eq!(said.code, 0, "{}", said.stderr);
        let reference = Reference {
            result: result(&world),
            iterations: iterations(&world),
            records: world.journal().len(),
            kinds: world.journal().iter().map(kind).collect(),
            duration,
        };
        assert_eq!(reference.iterations, 3, "the gate fails once");
        assert_eq!(reference.result.merges, 1);
        say(&format!("undisturbed: {duration:?}, {} records", reference.records));
        reference
    })
}

fn kind(record: &Value) -> (String, String) {
    let text = |name: &str| record[name].as_str().unwrap_or_default().to_owned();
    (text("kind"), text("phase"))
}

/// Number of the first record of a kind, and of a step where that matters.
pub(crate) fn record_of(kind: &str, step: &str) -> usize {
    let is = |(a_kind, a_step): &(String, String)| a_kind == kind && (step.is_empty() || a_step == step);
    1 + reference().kinds.iter().position(is).expect("the undisturbed run has it")
}

/// What a finished run has come to.
pub(crate) fn result(world: &World) -> Ended {
    let mut runs = world.runs();
    assert_eq!(runs.len(), 1, "{runs:?}");
    let run = runs.remove(0);
    let uid = run["metadata"]["uid"].as_str().expect("a uid").to_owned();
    let trailer = format!("--grep=^Loop-Run: {uid}$");
    let refs = world.git(&["for-each-ref", "--format=%(refname)"]).replace(&uid, "UID");
    let evidence = std::fs::read(world.run_folder().join("evidence.json")).expect("evidence");
    let evidence: Value = serde_json::from_slice(&evidence).expect("evidence is JSON");
    let status = &run["status"];
    let branch = status["worktree"]["runBranch"].as_str().expect("a run branch");
    let target = world.git(&["rev-parse", "agent/files"]);
    let locks = Command::new("find").arg(world.app().join(".git")).args(["-name", "*.lock"]).output();
    Ended {
        tip: world.git(&["rev-parse", branch]),
        merged: world.git(&["rev-parse", "agent/files^{tree}"]),
        plan: world.git(&["show", "agent/files:specs/planning/files-plan.md"]),
        log: world.git(&["log", "--format=%s", &format!("main..{branch}")]),
        merges: world.git(&["log", "--format=%H", &trailer, "agent/files"]).lines().count(),
        refs,
        worktrees: world.git(&["worktree", "list", "--porcelain"]).matches("worktree ").count(),
        phase: status["phase"].clone(),
        tasks: (status["progress"]["tasksDone"].clone(), status["progress"]["tasksTotal"].clone()),
        level: evidence["predicate"]["level"].clone(),
        merge_recorded: status["worktree"]["mergeCommit"] == target.as_str()
            && evidence["predicate"]["mergeCommit"] == target.as_str(),
        leftovers: world.leftovers(),
        locks: String::from_utf8_lossy(&locks.expect("find runs").stdout).into_owned(),
    }
}

/// Implementations that ended.
pub(crate) fn iterations(world: &World) -> usize {
    world.journal().iter().filter(|record| record["outcome"]["result"] == "implemented").count()
}

/// Takes the run up until it has ended; where none was made, starts it.
pub(crate) fn finish(world: &World) -> Said {
    let runs = world.runs();
    match runs.first().and_then(|run| run["metadata"]["name"].as_str()) {
        None => world.loopctl(RUN),
        Some(name) => world.loopctl(&["resume", name]),
    }
}

/// Finishes a killed run and compares it with the undisturbed one.
pub(crate) fn finishes_as_if_undisturbed(world: &World, what: &str) {
    let journal = world.data().join("runs");
    let said = finish(world);
    let nothing_left = said.code == 2 && said.stderr.contains("nothing left to resume");
    assert!(said.code == 0 || nothing_left, "{what}: {} {}\n{}", said.code, said.stderr, journal.display());
    assert_eq!(result(world), reference().result, "{what}");
    assert_eq!(iterations(world), reference().iterations, "{what}");
    let again = finish(world);
    assert_eq!(again.code, 2, "{what}: nothing is left to resume, {}", again.stderr);
}

/// The name of the only run.
pub(crate) fn name(world: &World) -> String {
    world.runs()[0]["metadata"]["name"].as_str().expect("a name").to_owned()
}

/// Replays the evidence of the only run.
pub(crate) fn verifies(world: &World) {
    let verified = world.loopctl(&["verify", &name(world)]);
    assert_eq!(verified.code, 0, "{}{}", verified.stdout, verified.stderr);
}

/// Runs `loopctl` in a world whose engine kills itself after a record.
pub(crate) fn kill_at_append(world: &World, arguments: &[&str], record: usize) -> Said {
    let mut command = world.command(arguments);
    let output: Output =
        command.env("LOOP_TEST_KILL_AT_APPEND", record.to_string()).output().expect("loopctl runs");
    said(&output)
}

/// Does something for each number, two at a time, and tells of all that failed.
pub(crate) fn two_at_a_time(count: usize, job: &(dyn Fn(usize) + Sync)) {
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| job(number))).is_err() {
                        failed.lock().unwrap_or_else(PoisonError::into_inner).push(number);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    assert!(failed.is_empty(), "{} of {count} failed: {failed:?}", failed.len());
}

/// Says something that is worth reading of a test that passes too: a seed, a time.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
