//! What happens between a grant and the target branch, when that branch has a life of its own.

use loop_tests::{HONEST, PROJECT, Said, World};
use serde_json::Value;

const GATE: &str = "check=sh check.sh && ! grep -qs broken extra.txt";

fn world() -> World {
    let mut files = PROJECT.to_vec();
    files.push((".loop/agent.sh", HONEST));
    World::new(&files)
}

fn arguments<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["specs/files.md", "--no-review", "--gate", GATE], more].concat()
}

/// Runs until the grant is on record and is killed there.
fn granted(world: &World) -> String {
    let copy = self::world();
    assert_eq!(copy.run(&arguments(&[])).0.code, 0);
    let at =
        copy.journal().iter().position(|record| record["kind"] == "COMPLETION_GRANTED").expect("a grant") + 1;
    let mut command = world.command(&[&["run", "--local"], &arguments(&[])[..]].concat());
    assert!(
        !command
            .env("LOOP_TEST_KILL_AT_APPEND", at.to_string())
            .output()
            .expect("loopctl runs")
            .status
            .success()
    );
    world.runs()[0]["metadata"]["name"].as_str().expect("a name").to_owned()
}

/// Commits a file on the target branch, which is made if it is not there.
fn move_target(world: &World, file: &str, content: &str) {
    if world.git(&["branch", "--list", "agent/files"]).is_empty() {
        world.git(&["branch", "agent/files"]);
    }
    world.git(&["checkout", "-q", "agent/files"]);
    world.write(&[(file, content)]);
    world.commit("Move the target");
    world.git(&["checkout", "-q", "main"]);
}

fn resume(world: &World, name: &str) -> (Said, Value) {
    let said = world.loopctl(&["resume", name, "-o", "json"]);
    let run = serde_json::from_str(&said.stdout).unwrap_or_default();
    (said, run)
}

#[test]
fn a_merge_commit_has_both_parents_and_the_runs_trailer() {
    let world = world();
    let (said, _) = world.run(&arguments(&["--merge-strategy", "merge"]));
    assert_eq!(said.code, 0, "{}", said.stderr);
    let parents = world.git(&["show", "-s", "--format=%P", "agent/files"]);
    let expected =
        format!("{} {}", world.git(&["rev-parse", "main"]), world.git(&["rev-parse", "run/files"]));
    assert_eq!(parents, expected);
    assert!(
        world
            .git(&["show", "-s", "--format=%(trailers:key=Loop-Run)", "agent/files"])
            .starts_with("Loop-Run: ")
    );
}

#[test]
fn a_target_that_moved_meanwhile_keeps_its_own_work_and_the_merged_tree_is_verified() {
    let world = world();
    let name = granted(&world);
    move_target(&world, "extra.txt", "fine\n");
    let (said, run) = resume(&world, &name);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert_eq!(world.git(&["show", "agent/files:extra.txt"]), "fine");
    assert_eq!(world.git(&["show", "agent/files:two.txt"]), "two");
    let merged = world.journal().into_iter().rfind(|record| record["outcome"]["result"] == "merged").unwrap();
    assert_eq!(merged["outcome"]["verified"]["commit"], run["status"]["worktree"]["mergeCommit"]);
    assert_eq!(merged["outcome"]["verified"]["clean"], true);
}

#[test]
fn a_merge_on_which_the_gates_fail_moves_nothing_until_it_was_merged_by_hand() {
    let world = world();
    let name = granted(&world);
    move_target(&world, "extra.txt", "broken\n");
    let before = world.git(&["rev-parse", "agent/files"]);
    let (said, run) = resume(&world, &name);
    assert_eq!(said.code, 1, "{}", said.stderr);
    let message = run["status"]["result"]["message"].as_str().unwrap();
    assert!(message.starts_with("merge_failed:GatesFailed: "), "{message}");
    assert!(message.contains("git merge run/files"), "{message}");
    assert_eq!(world.git(&["rev-parse", "agent/files"]), before);
    // By hand, but not repaired: judged like the engine's own merge.
    world.git(&["checkout", "-q", "agent/files"]);
    world.git(&["merge", "-q", "run/files", "-m", "By hand"]);
    assert_eq!(resume(&world, &name).0.code, 1);
    world.write(&[("extra.txt", "repaired\n")]);
    world.commit("Repair");
    world.git(&["checkout", "-q", "main"]);
    let (said, run) = resume(&world, &name);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert_eq!(run["status"]["worktree"]["mergeCommit"], world.git(&["rev-parse", "agent/files"]));
}

#[test]
fn a_target_that_was_checked_out_meanwhile_is_not_touched() {
    let world = world();
    let name = granted(&world);
    world.git(&["branch", "agent/files"]);
    world.git(&["checkout", "-q", "agent/files"]);
    let (said, run) = resume(&world, &name);
    assert_eq!(said.code, 1, "{}", said.stderr);
    let message = run["status"]["result"]["message"].as_str().unwrap();
    assert!(message.contains("agent/files is checked out in "), "{message}");
    assert!(!world.app().join("one.txt").exists());
    world.git(&["checkout", "-q", "main"]);
    assert_eq!(resume(&world, &name).0.code, 0);
}

#[test]
fn a_second_run_starts_from_the_target_of_the_first_and_says_so() {
    let world = world();
    let prompt = ["--prompt", "Write the files", "--no-review", "--gate", "check=true", "--iterations", "1"];
    let agent = "#!/bin/sh\ncat >/dev/null\ndate +%N >> log.txt\ngit add -A\n\
                 sed -i 's/- \\[ \\] Do/- [x] Do/' \"$LOOP_PLAN_PATH\"\ngit add -A && git commit -qm Work\n";
    world.write(&[(".loop/agent.sh", agent)]);
    world.commit("Agent");
    let (first, run) = world.run(&prompt);
    assert_eq!(first.code, 0, "{}", first.stderr);
    assert_eq!(run["spec"]["task"]["specPath"], "specs/write-the-files.md");
    let (second, run) = world.run(&prompt);
    assert_eq!(second.code, 0, "{}", second.stderr);
    assert!(second.stderr.contains("agent/write-the-files exists; the run starts from it instead of main"));
    assert_eq!(run["spec"]["task"]["specPath"], "specs/write-the-files-2.md");
    assert_eq!(world.git(&["show", "agent/write-the-files:log.txt"]).lines().count(), 2);
}
