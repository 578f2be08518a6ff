//! Limits that are changed while the run is under way, as the sidecar of a pod passes them on.

use super::scenario::finish;
use super::waiting::{WAIT, send, started, status, world_where};

#[test]
fn limits_that_were_changed_before_a_kill_count_once_the_run_is_taken_up() {
    let world = world_where(WAIT);
    let mut engine = started(&world, &[]);
    let limits = world.run_folder().join("limits");
    std::fs::write(&limits, r#"{"activeDeadlineSeconds": 4000, "tokens": 7000000}"#)
        .expect("the folder is there");
    send("-KILL", engine.id());
    engine.wait().expect("it ends");
    let said = finish(&world);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert_eq!(status(&world)["phase"], "Completed");
    let journal = world.journal();
    let at = |kind: &str| journal.iter().position(|record| record["kind"] == kind).expect(kind);
    assert!(at("STEP_INTERRUPTED") < at("LIMITS_CHANGED"), "the step that was open has to be closed first");
    let changed = &journal[at("LIMITS_CHANGED")]["limits"];
    assert_eq!((&changed["activeDeadlineSeconds"], &changed["tokens"]), (&4000.into(), &7_000_000.into()));
    assert!(!limits.exists() && !limits.with_extension("taken").exists(), "they were heeded");
}

#[test]
fn a_deadline_that_is_changed_during_a_step_counts_for_that_step() {
    let world = world_where(WAIT);
    let mut engine = started(&world, &[]);
    std::fs::write(world.run_folder().join("limits"), r#"{"activeDeadlineSeconds": 1}"#)
        .expect("the folder is there");
    assert_eq!(engine.wait().expect("it ends").code(), Some(124));
    let reason = status(&world)["result"]["exitReason"].clone();
    assert_eq!(reason, "timed_out", "{}", status(&world));
}
