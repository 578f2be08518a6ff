//! The thin line: from a spec to a verified merge, through the program as a user starts it.

use loop_tests::{HONEST, PROJECT, World};

fn project(agent: &str) -> World {
    let mut files = PROJECT.to_vec();
    files.push((".loop/agent.sh", agent));
    World::new(&files)
}

#[test]
fn an_honest_agent_is_completed_verified_and_merged() {
    let world = project(HONEST);
    let (said, run) = world.run(&["specs/files.md", "--gate", "check=sh check.sh"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert_eq!(run["kind"], "LoopRun");
    assert_eq!(run["status"]["phase"], "Completed");
    assert_eq!(run["status"]["progress"]["iteration"], 2);
    assert_eq!(world.git(&["show", "agent/files:two.txt"]), "two");
    assert_eq!(world.git(&["log", "--format=%s", "main..agent/files"]).lines().count(), 1);
    assert_eq!(world.git(&["symbolic-ref", "--short", "HEAD"]), "main");
    assert_eq!(world.git(&["status", "--porcelain"]), "", "the user's checkout is untouched");
    let name = run["metadata"]["name"].as_str().unwrap();
    let verified = world.loopctl(&["verify", name]);
    assert_eq!(verified.code, 0, "{}{}", verified.stdout, verified.stderr);
    assert_eq!(world.leftovers(), Vec::<String>::new());
}

#[test]
fn what_name_prints_is_accepted_by_the_other_verbs() {
    let world = project(HONEST);
    let said = world.loopctl(&[
        "run",
        "--local",
        "specs/files.md",
        "--no-review",
        "--gate",
        "check=sh check.sh",
        "-o",
        "name",
    ]);
    let name = said.stdout.trim();
    assert!(name.starts_with("looprun.agentloop.dev/files-"), "{name}");
    assert_eq!(world.loopctl(&["inspect", name]).code, 0);
    assert_eq!(world.loopctl(&["verify", name]).code, 0);
    assert_eq!(world.loopctl(&["resume", name]).code, 2, "a completed run has nothing to resume");
    assert_eq!(world.loopctl(&["cancel", name]).code, 2);
    assert_eq!(world.loopctl(&["inspect", "nothing"]).code, 4);
}

#[test]
fn a_prompt_becomes_spec_and_plan_in_the_first_commit_of_the_run_branch() {
    let agent = r#"#!/bin/sh
set -eu
cat >/dev/null
echo hello > greeting.txt
sed -i 's/- \[ \] Do what/- [x] Do what/' "$LOOP_PLAN_PATH"
git add -A && git commit -qm "Greet"
echo '<promise>COMPLETE</promise>'
"#;
    let world = World::new(&[(".loop/agent.sh", agent)]);
    let (said, run) = world.run(&[
        "--prompt",
        "Write a greeting",
        "--no-review",
        "--gate",
        "greet=grep -q hello greeting.txt",
    ]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert_eq!(run["spec"]["task"]["specPath"], "specs/write-a-greeting.md");
    let base = run["status"]["worktree"]["baseCommit"].as_str().unwrap();
    assert!(
        world.git(&["show", &format!("{base}:specs/write-a-greeting.md")]).contains("> Write a greeting")
    );
    assert_eq!(world.git(&["show", "agent/write-a-greeting:greeting.txt"]), "hello");
}

#[test]
fn a_task_ticked_without_work_is_unticked_where_git_has_no_identity() {
    let ticks = r#"#!/bin/sh
set -eu
cat >/dev/null
[ "$LOOP_ITERATION" = 1 ] || exit 0
sed -i 's/\[ \] Write one.txt/[x] Write one.txt/' "$LOOP_PLAN_PATH"
git commit -qam 'Tick'
"#;
    let world = project(ticks);
    world.run(&["specs/files.md", "--no-review", "--gate", "check=sh check.sh", "--iterations", "1"]);
    let journal = world.journal();
    let done = journal.iter().find(|record| record["outcome"]["result"] == "implemented");
    assert_eq!(done.expect("an implementation")["outcome"]["unticked"][0], "Write one.txt");
    assert!(world.git(&["show", "run/files:specs/planning/files-plan.md"]).contains("[ ] Write one.txt"));
}

#[test]
fn evidence_that_is_moved_to_another_commit_is_found_out_by_anyone() {
    let world = project(HONEST);
    let (said, _) = world.run(&["specs/files.md", "--no-review", "--gate", "check=sh check.sh"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    let evidence = world.run_folder().join("evidence.json");
    let mut statement: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&evidence).unwrap()).unwrap();
    let (file, app) = (world.path("evidence.json"), world.app());
    let arguments = ["verify", "--evidence", file.to_str().unwrap(), "--repository", app.to_str().unwrap()];
    std::fs::copy(&evidence, &file).unwrap();
    assert_eq!(world.loopctl(&arguments).code, 0, "as it is, the evidence holds");
    // A later commit, in which the gate passes too, because it was rewritten.
    world.git(&["checkout", "-q", "run/files"]);
    world.write(&[("check.sh", "#!/bin/sh\nexit 0\n")]);
    world.commit("Rewrite the gate");
    statement["predicate"]["headCommit"] = world.git(&["rev-parse", "HEAD"]).into();
    statement["predicate"]["headTree"] = world.git(&["rev-parse", "HEAD^{tree}"]).into();
    std::fs::write(&file, statement.to_string()).unwrap();
    let said = world.loopctl(&arguments);
    assert_eq!(said.code, 1, "{}", said.stderr);
    assert!(said.stdout.contains("differs: check.sh was changed (gate script of"), "{}", said.stdout);
    assert!(said.stdout.contains("protected files: digest"), "{}", said.stdout);
}
