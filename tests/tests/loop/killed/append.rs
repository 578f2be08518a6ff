//! Killed right after each record, once and twice.

use super::scenario::{
    RUN, finishes_as_if_undisturbed, kill_at_append, name, reference, two_at_a_time, verifies, world,
};

#[test]
fn a_kill_after_any_record_changes_nothing() {
    two_at_a_time(reference().records, &|index| {
        let record = index + 1;
        let world = world();
        let killed = kill_at_append(&world, RUN, record);
        assert_eq!(killed.code, 137, "record {record}: {}", killed.stderr);
        finishes_as_if_undisturbed(&world, &format!("killed at record {record}"));
        if index % 10 == 0 {
            verifies(&world);
        }
    });
}

#[test]
fn a_resumed_run_may_be_killed_again() {
    let records = reference().records;
    two_at_a_time(records / 2, &|index| {
        let record = 2 * index + 1;
        let world = world();
        let killed = kill_at_append(&world, RUN, record);
        assert_eq!(killed.code, 137, "record {record}: {}", killed.stderr);
        // The resumed engine writes two records before it goes on: started, and the interruption.
        let again = kill_at_append(&world, &["resume", &name(&world)], record + 3);
        let ended = record + 3 > records;
        assert!(again.code == 137 || (ended && again.code != 1), "record {record}: {}", again.stderr);
        finishes_as_if_undisturbed(&world, &format!("killed at record {record} and again"));
    });
}
