use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::testing::{run, uid};

const ALIVE: Pods = Pods { alive: true, over: false };
const OVER: Pods = Pods { alive: false, over: true };
const NONE: Pods = Pods { alive: false, over: false };

fn entry(number: u8, status: &Value, pods: Pods, admitted: bool, able: bool) -> Entry {
    Entry::of(&run(number, status), pods, admitted, able, Timestamp::UNIX_EPOCH)
}

#[test]
fn a_slot_is_held_from_the_admission_until_the_pod_is_over() {
    let admitted = json!({"attempt": 1, "phase": "Pending", "podName": "p"});
    let completed = json!({"attempt": 1, "phase": "Completed", "podName": "p"});
    let told = json!({"attempt": 1, "phase": "Running", "podName": "p", "result": {"exitReason": "failed", "attempt": 1}});
    let between = json!({"attempt": 1, "phase": "Pending"});
    let table = [
        (&Value::Null, NONE, false, true, Place::Waits),
        (&Value::Null, NONE, true, true, Place::Holds),
        (&Value::Null, NONE, false, false, Place::Out),
        (&admitted, NONE, false, true, Place::Holds),
        (&admitted, ALIVE, false, true, Place::Holds),
        (&admitted, OVER, false, true, Place::Out),
        (&between, NONE, false, true, Place::Waits),
        (&between, ALIVE, false, true, Place::Holds),
        (&between, NONE, true, true, Place::Holds),
        (&completed, ALIVE, false, true, Place::Holds),
        (&completed, OVER, false, true, Place::Out),
        (&completed, NONE, false, true, Place::Out),
        (&told, NONE, false, true, Place::Out),
    ];
    for (status, pods, admitted, able, expected) in table {
        assert_eq!(entry(1, status, pods, admitted, able).place, expected, "{status} with {pods:?}");
    }
}

#[test]
fn the_oldest_go_first_and_a_pod_without_a_run_has_a_slot_too() {
    let entries: Vec<Entry> = [3, 1, 2].map(|number| entry(number, &Value::Null, NONE, false, true)).into();
    assert_eq!(turns(&entries, 2), BTreeSet::from([uid(1), uid(2)]));
    let mut entries = entries;
    entries.push(Entry::orphan("gone"));
    assert_eq!(turns(&entries, 2), BTreeSet::from([uid(1)]));
    assert_eq!(turns(&entries, 0), BTreeSet::new());
}

#[test]
fn a_pod_that_its_run_has_gone_on_without_holds_a_slot_as_long_as_its_lease_may() {
    let old = testing_pod("p-1");
    let status = |expires: &str| json!({"attempt": 1, "phase": "Pending", "leaseExpires": expires});
    let now = "2026-01-01T00:10:00Z".parse().expect("a time");
    let place = |run: &LoopRun| Entry::of(run, Pods::of(run, &[&old], 60, now), false, true, now).place;
    assert_eq!(place(&run(1, &status("2026-01-01T00:10:01Z"))), Place::Holds);
    assert_eq!(place(&run(1, &status("2026-01-01T00:10:00Z"))), Place::Waits);
    let current = json!({"attempt": 1, "podName": "p-1", "leaseExpires": "2026-01-01T00:01:00Z"});
    assert_eq!(place(&run(1, &current)), Place::Holds);
}

fn testing_pod(name: &str) -> Pod {
    let mut pod = crate::testing::pod(&json!({"phase": "Running"}));
    pod.metadata.name = Some(name.to_owned());
    pod
}

proptest! {
    #[test]
    fn slots_are_never_exceeded_never_left_empty_and_never_given_out_of_turn(
        places in prop::collection::vec((0_i64..5, prop::sample::select(vec![Place::Waits, Place::Holds, Place::Out])), 0..40),
        slots in 0_usize..8,
    ) {
        let entries: Vec<Entry> = places
            .iter()
            .enumerate()
            .map(|(index, (created, place))| {
                let name = format!("{index:03}");
                Entry { uid: name.clone(), order: (*created, name), place: *place }
            })
            .collect();
        let chosen = turns(&entries, slots);
        let held = entries.iter().filter(|entry| entry.place == Place::Holds).count();
        let waiting: Vec<&Entry> = entries.iter().filter(|entry| entry.place == Place::Waits).collect();
        prop_assert_eq!(chosen.len(), waiting.len().min(slots.saturating_sub(held)));
        for one in &waiting {
            for other in &waiting {
                let passed_over = !chosen.contains(&one.uid) && chosen.contains(&other.uid);
                prop_assert!(!(passed_over && one.order < other.order));
            }
        }
    }
}
