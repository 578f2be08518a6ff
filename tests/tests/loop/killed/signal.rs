//! Signals to the engine in the middle of an agent's step, and checkpoints while it works.

use super::random::nothing_runs;
use super::scenario::{finish, name};
use super::waiting::{DRAFT, is_interrupted, send, started, status, until, world_where};

fn interrupted_and_resumed(signal: &str, code: i32) {
    let world = world_where(DRAFT);
    let mut engine = started(&world, &[]);
    send(signal, engine.id());
    assert_eq!(engine.wait().expect("it ends").code(), Some(code));
    assert_eq!(world.leftovers(), Vec::<String>::new());
    assert!(is_interrupted(&world), "{:?}", status(&world));
    let listed = world.loopctl(&["list"]);
    assert!(listed.stdout.contains("Interrupted"), "{}", listed.stdout);
    let said = finish(&world);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert_eq!(world.git(&["show", "agent/files:two.txt"]), "two");
}

#[test]
fn bug_7_a_terminated_engine_keeps_uncommitted_work_and_can_be_resumed() {
    interrupted_and_resumed("-TERM", 143);
}

#[test]
fn an_interrupted_engine_keeps_uncommitted_work_and_can_be_resumed() {
    interrupted_and_resumed("-INT", 130);
}

#[test]
fn a_checkpoint_in_the_middle_of_a_step_survives_a_kill() {
    let world = world_where(DRAFT);
    let mut engine = started(&world, &[("LOOP_CHECKPOINT_SECONDS", "1")]);
    until("a checkpoint was taken", || {
        std::fs::read_to_string(world.run_folder().join("journal.jsonl"))
            .is_ok_and(|journal| journal.contains("\"CHECKPOINT\""))
    });
    engine.kill().expect("a child can be killed");
    engine.wait().expect("and waited for");
    nothing_runs(&world, "killed after a checkpoint");
    let said = finish(&world);
    assert_eq!(said.code, 0, "{}", said.stderr);
}

#[test]
fn work_of_an_interrupted_attempt_still_counts_for_its_task() {
    // The first attempt commits the work, the second one only has the box left to tick.
    let agent = r#"
if [ "$LOOP_ITERATION.$LOOP_ATTEMPT" = 1.1 ]; then
  echo one > one.txt; git add -A; git commit -qm 'Write one.txt'
  echo waiting; sleep 300
fi
"#;
    let world = world_where(agent);
    let mut engine = started(&world, &[]);
    send("-TERM", engine.id());
    assert_eq!(engine.wait().expect("it ends").code(), Some(143));
    let said = world.loopctl(&["resume", &name(&world)]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    let journal = world.journal();
    let first = journal.iter().find(|record| record["outcome"]["result"] == "implemented");
    let facts = &first.expect("an implementation")["outcome"];
    assert_eq!(facts["unticked"], serde_json::json!([]), "{facts}");
    assert_eq!(facts["changed_files"], 1, "{facts}");
    assert_eq!(status(&world)["progress"]["iteration"], 2);
}
