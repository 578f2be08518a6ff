//! A run that is taken up again: what somebody did to its worktree meanwhile, and what is said while it waits.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use loop_tests::{PROJECT, World};

use super::killed::{RUN, WAIT, agent_says, name, quiet, send, started, status, until_within, world_where};

const PATIENCE: Duration = Duration::from_secs(60);

/// One file an iteration; the first one is done when the worktree has a file `go`.
const TWO_STEPS: &str = r#"#!/bin/sh
set -eu
if [ "$LOOP_PHASE" = review ]; then echo APPROVED; exit 0; fi
task=one; grep -q '\[ \] Write one.txt' "$LOOP_PLAN_PATH" || task=two
if [ $task = one ]; then echo waiting; while [ ! -e go ]; do sleep 0.05; done; rm go; fi
echo $task > $task.txt
sed "s/\[ \] Write $task.txt/[x] Write $task.txt/" "$LOOP_PLAN_PATH" > plan.new
cat plan.new > "$LOOP_PLAN_PATH"; rm plan.new
git add -A; git commit -qm "Write $task.txt"
"#;

fn worktree(world: &World) -> PathBuf {
    status(world)["worktree"]["path"].as_str().expect("a worktree").into()
}

fn paused_between_steps() -> World {
    let mut files = PROJECT.to_vec();
    files.push((".loop/agent.sh", TWO_STEPS));
    files.push(("check.sh", "#!/bin/sh\ntrue\n"));
    let world = World::new(&files);
    let mut engine = started(&world, &[]);
    assert_eq!(world.loopctl(&["pause", &name(&world)]).code, 0);
    fs::write(worktree(&world).join("go"), "").expect("the worktree is there");
    assert_eq!(engine.wait().expect("it ends").code(), Some(6));
    world
}

fn set_aside(world: &World) -> String {
    fs::read_to_string(world.run_folder().join("set-aside.diff")).expect("the changes were kept")
}

#[test]
fn what_somebody_changed_in_a_paused_run_is_kept_and_no_part_of_the_run() {
    let world = paused_between_steps();
    let place = worktree(&world);
    fs::write(place.join("one.txt"), "mine\n").expect("written");
    fs::write(place.join("notes.txt"), "remember\n").expect("written");
    let said = world.loopctl(&["resume", &name(&world)]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert!(said.stderr.contains("is no part of the run; it is kept as "), "{}", said.stderr);
    let diff = set_aside(&world);
    assert!(diff.contains("+mine") && diff.contains("+remember"), "{diff}");
    assert_eq!(world.git(&["show", "agent/files:one.txt"]), "one");
    assert!(!world.git(&["ls-tree", "--name-only", "agent/files"]).contains("notes.txt"));
}

#[test]
fn what_somebody_changed_is_kept_also_when_no_agent_works_any_more() {
    let world = world_where(
        "if [ $LOOP_ITERATION = 1 ]; then echo waiting; while [ ! -e go ]; do sleep 0.05; done; rm go; fi\n",
    );
    let mut engine = started(&world, &[]);
    assert_eq!(world.loopctl(&["pause", &name(&world)]).code, 0);
    fs::write(worktree(&world).join("go"), "").expect("the worktree is there");
    assert_eq!(engine.wait().expect("it ends").code(), Some(6));
    fs::write(worktree(&world).join("notes.txt"), "remember\n").expect("written");
    let said = world.loopctl(&["resume", &name(&world)]);
    assert_eq!(
        (said.code, &status(&world)["worktree"]["cleanup"]),
        (0, &"cleaned".into()),
        "{}",
        said.stderr
    );
    assert!(set_aside(&world).contains("+remember"));
    assert!(!world.git(&["ls-tree", "--name-only", "agent/files"]).contains("notes.txt"));
}

#[test]
fn another_folder_in_the_place_of_the_worktree_is_moved_aside() {
    let world = paused_between_steps();
    let place = worktree(&world);
    let elsewhere = world.path("elsewhere");
    fs::rename(&place, &elsewhere).expect("moved");
    fs::create_dir(&place).expect("made");
    fs::write(place.join("precious.txt"), "mine").expect("written");
    let said = world.loopctl(&["resume", &name(&world)]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    let aside = PathBuf::from(format!("{}.aside", place.display()));
    assert!(said.stderr.contains(&format!("it was moved to {}", aside.display())), "{}", said.stderr);
    assert_eq!(fs::read_to_string(aside.join("precious.txt")).expect("it is there"), "mine");
    assert_eq!(world.git(&["show", "agent/files:two.txt"]), "two");
    assert!(elsewhere.join("one.txt").exists(), "nor is anything done to what was moved");
}

#[test]
fn a_link_in_the_place_of_the_worktree_is_not_followed() {
    let world = paused_between_steps();
    let place = worktree(&world);
    let elsewhere = world.path("elsewhere");
    fs::rename(&place, &elsewhere).expect("moved");
    std::os::unix::fs::symlink(&elsewhere, &place).expect("linked");
    let said = world.loopctl(&["resume", &name(&world)]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    let aside = PathBuf::from(format!("{}.aside", place.display()));
    assert_eq!(fs::read_link(aside).expect("a link"), elsewhere);
    assert!(elsewhere.join("one.txt").exists() && !elsewhere.join("two.txt").exists());
}

#[test]
fn an_agent_that_loses_its_link_and_its_engine_goes_on() {
    let world = world_where(
        r#"
if [ "$LOOP_ITERATION.$LOOP_ATTEMPT" = 1.1 ]; then rm -f .git; git init -q; echo waiting; sleep 300; fi
"#,
    );
    let mut engine = started(&world, &[]);
    send("-KILL", engine.id());
    engine.wait().expect("it ends");
    let said = world.loopctl(&["resume", &name(&world)]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert!(!said.stderr.contains("moved to"), "{}", said.stderr);
    assert!(!Path::new(&format!("{}.aside", worktree(&world).display())).exists());
}

#[test]
fn an_engine_that_is_suspended_is_named_to_who_waits_for_it() {
    let world = world_where(WAIT);
    let mut engine = started(&world, &[]);
    let pid = engine.id();
    send("-STOP", pid);
    let sentence = format!("process {pid}, which is suspended (kill -CONT {pid} wakes it");
    let said = world.loopctl(&["pause", &name(&world)]);
    assert_eq!((said.code, said.stderr.contains(&sentence)), (1, true), "{}", said.stderr);
    let mut cancel = world.command(&["cancel", &name(&world)]);
    let cancel = cancel.stderr(std::process::Stdio::piped()).stdout(std::process::Stdio::null());
    let mut cancel = cancel.spawn().expect("loopctl runs");
    let mut words = std::io::BufReader::new(cancel.stderr.take().expect("a pipe"));
    let mut line = String::new();
    std::io::BufRead::read_line(&mut words, &mut line).expect("a line");
    assert!(line.starts_with("waiting for the engine of the run") && line.contains(&sentence), "{line}");
    send("-CONT", pid);
    assert_eq!(cancel.wait().expect("it ends").code(), Some(0));
    assert_eq!(engine.wait().expect("it ends").code(), Some(3));
    assert!(!agent_says(&world, "again"));
}

#[test]
fn a_run_that_waits_to_be_tried_again_is_not_called_by_its_old_end() {
    let world = world_where("if [ ! -e go ]; then echo waiting; sleep 300; fi\n");
    let mut first = started(&world, &[]);
    let busy = name(&world);
    // Another one is canceled, and is to be tried again while the first has the only place.
    let one = ["--max-concurrency", "1", "--name", "other", "--merge-target", "agent/other", "--detach"];
    let said = world.loopctl(&[RUN, &one].concat());
    assert_eq!(said.code, 0, "{}", said.stderr);
    let other = said.stdout.trim().to_owned();
    assert_eq!(world.loopctl(&["cancel", &other]).code, 0);
    let mut retry = world.command(&["retry", &other]);
    let mut retry = quiet(&mut retry).spawn().expect("loopctl runs");
    let shown = |word: &str| {
        let list = world.loopctl(&["list"]).stdout;
        list.lines().any(|line| line.starts_with(&other) && line.contains(word))
    };
    until_within(PATIENCE, "it waits", || shown("Waiting"));
    let waits = format!("{other} waits for its turn: 1 of 1 runs at once are at work ({busy})");
    for verb in ["report", "tail"] {
        let said = world.loopctl(&[verb, &other]);
        assert!(said.stderr.contains(&waits) && !said.stdout.contains("Canceled"), "{}", said.stderr);
    }
    send("-KILL", retry.id());
    retry.wait().expect("it ends");
    until_within(PATIENCE, "it is interrupted", || shown("Interrupted"));
    let said = world.loopctl(&["report", &other]);
    assert!(said.stderr.contains(&format!("resume {other}")), "{}", said.stderr);
    // One that waits can be paused, and says so; then it is canceled for good.
    let said = world.loopctl(&["pause", &other]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    let said = world.loopctl(&["tail", "-f", &other]);
    assert!(said.stderr.contains(&format!("{other} is paused")), "{}", said.stderr);
    assert_eq!(world.loopctl(&["cancel", &other]).code, 0);
    assert!(shown("Canceled"));
    assert_eq!(world.loopctl(&["cancel", &busy]).code, 0);
    first.wait().expect("it ends");
}
