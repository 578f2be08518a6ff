//! Runs that show only some folders of the repository: to the agent, the reviewer and the gates, never to what judges.

use loop_tests::{PROJECT, World};
use serde_json::{Value, json};

/// Sees what is shown; one task an iteration, in the first of which it breaks its index, and in the second it looks around.
const AGENT: &str = r#"#!/bin/sh
set -eu
cat >/dev/null
test -e src/app/a && test -e src/top && test -e specs/files.md && ! test -e src/other
if [ "$LOOP_PHASE" = review ]; then ! test -e tools; echo APPROVED; exit 0; fi
if grep -q "\[ \] Write one.txt" "$LOOP_PLAN_PATH"; then name=one; else name=two; fi
echo "$name" > "$name.txt"
if [ $name = one ]; then mkdir tools; echo new > tools/new; git add --sparse tools/new; else git sparse-checkout disable; echo more >> tools/big; fi
sed "s/\[ \] Write $name.txt/[x] Write $name.txt/" "$LOOP_PLAN_PATH" > plan.new && mv plan.new "$LOOP_PLAN_PATH"
git add -A && git commit -qm "Write $name.txt"
if [ $name = one ]; then rm "$(git rev-parse --git-dir)/index"; else echo '<promise>COMPLETE</promise>'; fi
"#;

/// A run that shows these folders.
fn run(folders: &Value) -> (World, loop_tests::Said, Value) {
    let mut files = PROJECT.to_vec();
    files.push((".loop/agent.sh", AGENT));
    files.extend(["src/app/a", "src/other/b", "src/top", "tools/big"].map(|name| (name, "there\n")));
    let world = World::new(&files);
    let gate = "sh check.sh && test -e src/app/a && ! test -e src/other && ! test -e tools/big";
    let manifest = json!({
        "apiVersion": "agentloop.dev/v1alpha1",
        "kind": "LoopRun",
        "spec": {
            "repository": {"checkout": {"sparsePaths": folders}},
            "task": {"specPath": "specs/files.md"},
            "gates": [{"name": "check", "run": gate}, {"name": "again", "run": gate}],
        },
    });
    loop_tests::write(&world.path("looprun.yaml"), &manifest.to_string());
    let file = world.path("looprun.yaml").to_string_lossy().into_owned();
    let (said, run) = world.run(&["-f", &file]);
    (world, said, run)
}

#[test]
fn what_is_not_shown_stays_as_it_is_and_is_judged_all_the_same() {
    let (world, said, run) = run(&json!(["src/app"]));
    assert_eq!(run["status"]["phase"], "Completed", "{} {}", run["status"], said.stderr);
    assert!(said.stderr.contains("index was damaged and has been made again"), "{}", said.stderr);
    let changed = world.git(&["diff", "--name-status", "main", "agent/files"]);
    let changed: Vec<&str> = changed.lines().collect();
    let expected =
        ["A\tone.txt", "M\tspecs/planning/files-plan.md", "M\ttools/big", "A\ttools/new", "A\ttwo.txt"];
    assert_eq!(changed, expected);
    assert_eq!(world.git(&["status", "--porcelain"]), "");
    assert!(world.app().join("tools/big").exists(), "the user's own checkout shows what it did");
    let verified = world.loopctl(&["verify", run["metadata"]["name"].as_str().unwrap()]);
    assert_eq!(verified.code, 0, "{}{}", verified.stdout, verified.stderr);
}

#[test]
fn a_folder_that_is_not_there_is_refused() {
    for folder in ["src/ap", "check.sh", "../app", ""] {
        let (_, said, _) = run(&json!([folder]));
        assert_eq!(said.code, 2, "{}", said.stderr);
        assert!(
            said.stderr.contains(&format!("sparsePaths names {folder:?}, which is no folder in main")),
            "{}",
            said.stderr
        );
    }
}
