//! What an untrusted agent must not get past: each test is an attack that once worked.

use loop_tests::{PROJECT, Said, World, write};
use serde_json::Value;

const DONE: &str = "sed -i 's/\\[ \\] Write/[x] Write/' \"$LOOP_PLAN_PATH\"\ngit add -A && git commit -qm Work --allow-empty\n\
                    echo '<promise>COMPLETE</promise>'\n";

/// The project with some more files and an agent that runs these lines.
fn world(lines: &str, more: &[(&str, &str)]) -> World {
    let world = World::bare();
    world.write(PROJECT);
    world.write(more);
    world.write(&[(".loop/agent.sh", &format!("#!/bin/sh\nset -eu\ncat >/dev/null\n{lines}"))]);
    world.commit("Start");
    world
}

fn run(world: &World, gates: &[&str]) -> (Said, Value) {
    let mut arguments = vec!["specs/files.md", "--no-review"];
    arguments.extend(gates.iter().flat_map(|gate| ["--gate", gate]));
    world.run(&arguments)
}

fn assert_refused(world: &World, gates: &[&str], reason: &str) {
    let (said, object) = run(world, gates);
    assert_eq!(said.code, 1, "{}", said.stderr);
    assert_eq!(object["status"]["phase"], "Failed");
    assert!(said.stderr.contains(reason) || said.stdout.contains(reason), "{}{}", said.stderr, said.stdout);
}

#[test]
fn a_token_without_any_change_is_refused_although_the_gates_pass() {
    let world = world("echo '<promise>COMPLETE</promise>'\n", &[("one.txt", "one\n")]);
    world.git(&["rm", "-q", "specs/planning/files-plan.md"]);
    world.commit("No plan");
    assert_refused(&world, &["check=sh check.sh"], "completion_refused:nothing_done");
}

#[test]
fn a_gate_script_behind_a_link_is_protected() {
    let lines = format!("echo 'exit 0' > scripts/real.sh\n{DONE}");
    let world = world(&lines, &[("scripts/real.sh", "test \"$(cat one.txt)\" = one\n")]);
    std::fs::remove_file(world.app().join("check.sh")).unwrap();
    std::os::unix::fs::symlink("scripts/real.sh", world.app().join("check.sh")).unwrap();
    world.commit("Link");
    assert_refused(&world, &["check=sh check.sh"], "completion_refused:protected_paths");
}

#[test]
fn a_gate_script_that_the_base_commit_lacks_cannot_be_written_by_the_agent() {
    let world = world(&format!("echo 'exit 0' > judge.sh\n{DONE}"), &[]);
    assert_refused(&world, &["judge=sh judge.sh"], "completion_refused:protected_paths");
}

#[test]
fn a_gate_cannot_rewrite_what_the_next_gate_reads() {
    let runs = ("runs.sh", "for part in src/*; do sh $part; done\ntrue\n");
    let evil = "echo 'echo exit 0 > check.sh; git update-index --assume-unchanged check.sh' > src/part\n";
    let world = world(&format!("{evil}{DONE}"), &[runs, ("src/part", "true\n")]);
    let (said, object) = run(&world, &["runs=sh runs.sh", "check=sh check.sh"]);
    assert_eq!(said.code, 1, "{}", said.stderr);
    assert_eq!(object["status"]["phase"], "Failed");
}

#[test]
fn what_one_gate_builds_is_there_for_the_next() {
    let lines = format!("echo one > one.txt\n{DONE}");
    let world = world(&lines, &[]);
    let build = "build=mkdir -p out build && cp one.txt out/ && cp one.txt build/";
    let (said, _) =
        run(&world, &[build, "use=cmp one.txt out/one.txt && cmp one.txt build/one.txt && sh check.sh"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
}

#[test]
fn unticking_needs_no_git_identity() {
    let (said, object) = run(&world(DONE, &[]), &["check=sh check.sh"]);
    assert_eq!(said.code, 1, "{}", said.stderr);
    let reason = object["status"]["result"].to_string() + &said.stderr;
    assert!(!reason.contains("run_error"), "{reason}");
}

#[test]
fn a_run_branch_beside_the_users_branches_is_refused_before_the_start() {
    let world = world(DONE, &[]);
    let gate = ["specs/files.md", "--gate", "check=sh check.sh"];
    for more in [["--run-branch-prefix", ""], ["--merge-target", "run/done"]] {
        let (said, _) = world.run(&[&gate[..], &more[..]].concat());
        assert_eq!(said.code, 2, "{}", said.stderr);
    }
    assert!(!world.data().join("runs").exists() || world.runs().is_empty());
}

#[test]
fn the_links_from_worktree_to_repository_cannot_be_replaced() {
    if !loop_tests::confined() {
        return;
    }
    let lines = "folder=$(git rev-parse --absolute-git-dir)\nfor name in gitdir commondir; do\n\
                 rm -f $folder/$name 2>/dev/null && touch replaced || true\n\
                 mv $folder/$name $folder/old 2>/dev/null && touch replaced || true\ndone\n\
                 test ! -e replaced || exit 9\necho one > one.txt\n";
    let (said, _) = run(&world(&format!("{lines}{DONE}"), &[]), &["check=sh check.sh"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
}

#[test]
fn a_tool_on_the_path_that_lies_in_a_writable_part_of_home_cannot_be_replaced() {
    if !loop_tests::confined() {
        return;
    }
    let lines = "echo 'exit 0' 2>/dev/null > $HOME/.cache/venv/bin/judge || true\n";
    let mut world = world(&format!("{lines}{DONE}"), &[]);
    let tools = world.path("home/.cache/venv/bin");
    write(&tools.join("judge"), "#!/bin/sh\nexec sh check.sh\n");
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
    world.environment.push(("PATH".into(), path));
    let (said, _) = run(&world, &["judge=judge"]);
    assert_eq!(said.code, 1, "{}", said.stderr);
    assert!(std::fs::read_to_string(tools.join("judge")).unwrap().contains("check.sh"));
}
