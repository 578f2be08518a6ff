//! `loopctl prompt`: what a run would be told first, and nothing made for it (CLI-7).

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use loop_tests::{HONEST, PROJECT, World, said};

/// Arguments that both commands take.
const ARGUMENTS: [&str; 4] = ["--agent", "script", "--gate", "check=sh check.sh"];

fn project(more: &[(&str, &str)]) -> World {
    let mut files = PROJECT.to_vec();
    files.push((".loop/agent.sh", HONEST));
    files.extend(more);
    World::new(&files)
}

fn with<'a>(first: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [first, &ARGUMENTS, more].concat()
}

/// What the command prints, after a look that it made nothing.
#[track_caller]
fn printed(world: &World, more: &[&str]) -> String {
    let before = world.git(&["for-each-ref"]);
    let said = world.loopctl(&with(&["prompt"], more));
    assert_eq!((said.code, said.stderr.as_str()), (0, ""));
    assert_eq!(world.git(&["for-each-ref"]), before);
    assert_eq!(world.git(&["status", "--porcelain", "--ignored"]), "");
    assert_eq!(world.git(&["worktree", "list"]).lines().count(), 1);
    assert!(!world.data().exists(), "a data directory was made");
    said.stdout
}

/// What the first iteration of a run with the same arguments is told.
fn told(world: &World, more: &[&str], file: &str) -> String {
    world.loopctl(&with(&["run", "--local", "--iterations", "1"], more));
    fs::read_to_string(world.run_folder().join(file)).expect("the run keeps its prompt")
}

#[test]
fn it_prints_what_a_run_with_the_same_arguments_is_told() {
    let world = project(&[("specs/LEARNINGS.md", "Look twice.\n")]);
    let more = ["specs/files.md", "--completion-mode", "exact"];
    let printed = printed(&world, &[&more[..], &["--local"]].concat());
    assert!(printed.contains("\nWrite one.txt\n"), "{printed}");
    assert_eq!(printed, told(&world, &more, "prompt.txt"));
}

#[test]
fn a_branch_that_is_taken_and_a_prompt_of_ones_own_are_minded() {
    let world = project(&[(".loop/prompt.txt", "Do SPEC_PATH by PLAN_PATH.")]);
    assert!(printed(&world, &["files"]).starts_with("Do specs/files.md by specs/planning/files-plan.md.\n"));
    let world = project(&[]);
    world.git(&["branch", "run/files"]);
    let printed = printed(&world, &["files"]);
    assert!(printed.contains("on branch `run/files-2`"), "{printed}");
    assert_eq!(printed, told(&world, &["files"], "prompt.txt"));
}

#[test]
fn a_task_in_words_works_from_standard_input_too() {
    let world = project(&[]);
    let printed = printed(&world, &["-p", "Write a greeting"]);
    let mut child = world
        .command(&with(&["prompt"], &["-p", "-"]))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("loopctl runs");
    child.stdin.take().expect("a pipe").write_all(b"Write a greeting").expect("it is read");
    assert_eq!(said(&child.wait_with_output().expect("it ends")).stdout, printed);
    assert_eq!(printed, told(&world, &["-p", "Write a greeting"], "prompt.txt"));
}

#[test]
fn the_reviewers_prompt_names_the_commit_that_is_not_there_yet() {
    let world = project(&[]);
    let printed = printed(&world, &["files", "--review"]);
    let real = told(&world, &["files"], "review-prompt.txt");
    let base = world.git(&["rev-parse", "main"]);
    let head = real.split(&format!("git diff {base} ")).nth(1).and_then(|rest| rest.get(..40));
    assert_eq!(printed, real.replace(head.expect("a commit to review"), "HEAD"));
}

#[test]
fn without_a_reviewer_there_is_no_prompt_for_one() {
    let world = project(&[]);
    let said = world.loopctl(&with(&["prompt"], &["files", "--review", "--no-review"]));
    assert_eq!(
        (said.code, said.stderr.as_str()),
        (
            2,
            "error: this run would have no reviewer (--no-review, or reviewer=off in .loop/config); leave --review out\n"
        )
    );
}

#[test]
fn what_a_run_refuses_is_refused_in_the_same_words() {
    let world = project(&[(".loop/config", "model=opus\n")]);
    let refusals: [&[&str]; 7] = [
        &["nothing"],
        &[],
        &["files", "-p", ""],
        &["-p", "  "],
        &["files", "--max-cost", "1e3"],
        &["files", "--model", "--yolo"],
        &["files", "--base-branch", "nowhere"],
    ];
    for more in refusals {
        let run = world.loopctl(&with(&["run", "--local"], more));
        let prompt = world.loopctl(&with(&["prompt"], more));
        assert_eq!((run.code, prompt.code), (2, 2), "{more:?}: {}", prompt.stderr);
        // Usage lines name the command.
        let first = |text: &str| text.lines().next().unwrap_or_default().to_owned();
        assert_eq!(first(&prompt.stderr), first(&run.stderr), "{more:?}");
        assert!(first(&run.stderr).starts_with("error: "), "{more:?}: {}", run.stderr);
    }
    world.write(&[("check.sh", "changed")]);
    let said = world.loopctl(&with(&["prompt"], &["files"]));
    assert_eq!(said.code, 2);
    assert!(said.stderr.contains("check.sh; commit or stash them first"), "{}", said.stderr);
}

#[test]
fn amounts_and_models_that_cannot_be_used_are_refused_from_anywhere() {
    let world = project(&[]);
    let said = |more: &[&str]| {
        let said = world.loopctl(&with(&["prompt"], more));
        assert_eq!(said.code, 2, "{}", said.stderr);
        said.stderr
    };
    assert_eq!(
        said(&["files", "--max-cost", "-1"]),
        "error: spec.limits.costUSD must be an amount of US dollars such as 25 or 0.5, with at most nine digits after \
         the point, found \"-1\"\n"
    );
    assert_eq!(
        said(&["files", "--review-model", ""]),
        "error: spec.review.model is empty; leave it out to use the agent's default model\n"
    );
    let manifest = world.path("run.yaml");
    fs::write(
        &manifest,
        "apiVersion: agentloop.dev/v1alpha1\nkind: LoopRun\nspec: {limits: {costUSD: '1,5'}}\n",
    )
    .expect("a manifest");
    let file = manifest.to_str().expect("a plain path");
    assert!(said(&["files", "-f", file]).contains("spec.limits.costUSD must be an amount of US dollars"));
    world.write(&[(".loop/config", "max_cost_usd=many\n")]);
    world.commit("Configure");
    assert!(said(&["files"]).starts_with("error: .loop/config line 1: max_cost_usd must be an amount"));
}

#[test]
fn flags_and_keys_reach_the_runs_object() {
    let world = project(&[(
        ".loop/config",
        "model=haiku\nreview_model=sonnet\nmax_cost_usd=3\nmax_tokens=7\nartifact_mode=global\nsummary_json=off\n",
    )]);
    let (said, run) = world.run(&with(
        &["files", "--no-review", "--iterations", "1"],
        &["--model", "opus", "--max-cost", "2.5", "--no-postmortem", "--review-agent", "script"],
    ));
    assert!(!said.stderr.contains("no effect"), "{}", said.stderr);
    let spec = &run["spec"];
    assert_eq!((&spec["agent"]["adapter"], &spec["agent"]["model"]), (&"script".into(), &"opus".into()));
    assert_eq!((&spec["review"]["adapter"], &spec["review"]["model"]), (&"script".into(), &"sonnet".into()));
    assert_eq!((&spec["limits"]["costUSD"], &spec["limits"]["tokens"]), (&"2.5".into(), &7.into()));
    assert_eq!(spec["postmortem"]["enabled"], false);
    assert_eq!(
        (&spec["artifacts"]["mode"], &spec["artifacts"]["summary"]),
        (&"Global".into(), &false.into())
    );
}
