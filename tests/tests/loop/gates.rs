//! Gates: what they report beside their exit code.

use loop_tests::{PROJECT, World};
use serde_json::{Value, json};

/// Runs every file in `t/` and writes a `JUnit` report of them into an ignored folder.
const REPORTING: &str = r#"#!/bin/sh
mkdir -p build/reports
n=0
for test in t/*.sh; do n=$((n + 1)); sh "$test" || exit 1; done
echo "<testsuite name='t' tests='$n' failures='0' errors='0' skipped='0'></testsuite>" > build/reports/t.xml
"#;

/// Does the work in one go, after this shell command.
fn agent(before: &str) -> String {
    format!(
        r#"#!/bin/sh
set -eu
cat >/dev/null
{before}
echo one > one.txt; echo two > two.txt
sed 's/\[ \] Write/[x] Write/' "$LOOP_PLAN_PATH" > plan.new && mv plan.new "$LOOP_PLAN_PATH"
git add -A && git commit -qm "Write both" || :
echo '<promise>COMPLETE</promise>'
"#
    )
}

fn reporting(before: &str) -> (World, Value) {
    let agent = agent(before);
    let mut files = PROJECT.to_vec();
    files.extend([(".loop/agent.sh", agent.as_str()), ("report.sh", REPORTING)]);
    files.extend([("t/first.sh", "true\n"), ("t/second.sh", "true\n")]);
    let world = World::new(&files);
    let manifest = json!({
        "apiVersion": "agentloop.dev/v1alpha1",
        "kind": "LoopRun",
        "spec": {
            "task": {"specPath": "specs/files.md"},
            "review": {"enabled": false},
            "gates": [{"name": "report", "run": "sh report.sh", "junit": "build/**/*.xml"}],
        },
    });
    loop_tests::write(&world.path("looprun.yaml"), &manifest.to_string());
    let file = world.path("looprun.yaml").to_string_lossy().into_owned();
    let (said, run) = world.run(&["-f", &file]);
    assert!(run.is_object(), "{}", said.stderr);
    (world, run)
}

/// The counts of each verification on record.
fn counts(world: &World) -> Vec<Value> {
    let journal = world.journal();
    let gates = journal.iter().map(|record| &record["outcome"]["gates"][0]["counts"]);
    gates.filter(|counts| !counts.is_null()).cloned().collect()
}

#[test]
fn the_tests_in_a_junit_report_are_counted_and_replayed() {
    let (world, run) = reporting("");
    assert_eq!(run["status"]["phase"], "Completed", "{}", run["status"]);
    assert_eq!(counts(&world), [json!([2, 0, 0]), json!([2, 0, 0])]);
    let evidence = std::fs::read_to_string(world.run_folder().join("evidence.json")).unwrap();
    let evidence: Value = serde_json::from_str(&evidence).unwrap();
    assert_eq!(evidence["predicate"]["gates"][0]["junit"], "build/**/*.xml");
    let verified = world.loopctl(&["verify", run["metadata"]["name"].as_str().unwrap()]);
    assert_eq!(verified.code, 0, "{}{}", verified.stdout, verified.stderr);
}

#[test]
fn fewer_tests_in_the_report_than_on_the_base_are_refused() {
    // The file is no test by its name, so only the count tells.
    let (world, run) = reporting("rm -f t/second.sh");
    assert_eq!(run["status"]["result"]["exitReason"], "completion_refused", "{}", run["status"]);
    let message = run["status"]["result"]["message"].as_str().unwrap();
    assert!(message.starts_with("completion_refused:tests_weakened"), "{message}");
    assert!(message.contains("gate report: fewer tests run: 1, before 2"), "{message}");
    assert_eq!(counts(&world)[1], json!([1, 0, 0]));
}

#[test]
fn a_report_that_the_agent_committed_counts_for_nothing() {
    let forged = "<testsuite tests='99'></testsuite>";
    let forge =
        format!("rm -f t/second.sh; mkdir -p build; echo \"{forged}\" > build/x.xml; git add -f build/x.xml");
    let (world, run) = reporting(&forge);
    assert_eq!(run["status"]["result"]["exitReason"], "completion_refused", "{}", run["status"]);
    assert_eq!(counts(&world)[1], json!([1, 0, 0]));
}

#[test]
fn a_report_pattern_that_leaves_the_checkout_is_refused_before_the_start() {
    let world = World::new(PROJECT);
    let manifest = json!({
        "apiVersion": "agentloop.dev/v1alpha1",
        "kind": "LoopRun",
        "spec": {
            "task": {"specPath": "specs/files.md"},
            "gates": [{"name": "report", "run": "true", "junit": "../*.xml"}],
        },
    });
    loop_tests::write(&world.path("looprun.yaml"), &manifest.to_string());
    let said = world.loopctl(&["run", "--local", "-f", &world.path("looprun.yaml").to_string_lossy()]);
    assert_eq!(said.code, 2, "{}", said.stderr);
    assert!(said.stderr.contains("gate report: junit must be a glob below the top"), "{}", said.stderr);
}

#[test]
fn fewer_tests_are_put_before_the_reviewer_who_may_accept_them() {
    let agent = r#"#!/bin/sh
set -eu
prompt=$(cat)
if [ "$LOOP_PHASE" = review ]; then
  printf '%s\n' "$prompt" | grep -q 'fewer tests run: 1, before 2' && echo "The test was about a file that is gone."
  echo APPROVED
  exit 0
fi
echo one > one.txt
echo two > two.txt
sed -i 's/\[ \] Write/[x] Write/' "$LOOP_PLAN_PATH"
git add -A && git commit -qm Work || true
echo '<promise>COMPLETE</promise>'
"#;
    let mut files = loop_tests::PROJECT.to_vec();
    files.push((".loop/agent.sh", agent));
    let world = loop_tests::World::new(&files);
    let gate = "count=if test -f one.txt; then echo '1 passed, 0 failed'; else echo '2 passed, 0 failed'; fi";
    let (said, run) = world.run(&["specs/files.md", "--gate", gate]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert_eq!(run["status"]["progress"]["iteration"], 2, "refused once, then shown and accepted");
    let prompt = std::fs::read_to_string(world.run_folder().join("review-prompt.txt")).unwrap();
    assert!(prompt.contains("- gate count: fewer tests run: 1, before 2"), "{prompt}");
}

#[test]
fn a_file_that_a_gate_only_looks_at_is_the_work_and_not_the_gate() {
    let mut files = loop_tests::PROJECT.to_vec();
    files.extend([(".loop/agent.sh", loop_tests::HONEST), ("one.txt", "zero\n")]);
    let world = loop_tests::World::new(&files);
    let gate = "look=grep -q one one.txt && test -f one.txt && cat one.txt";
    let (said, _) = world.run(&["specs/files.md", "--no-review", "--gate", gate]);
    assert_eq!(said.code, 0, "{}", said.stderr);
}
