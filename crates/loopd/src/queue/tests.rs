use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::testing::{pod, run, uid};

fn place(status: &Value, pod_phase: Option<&str>, admitted: bool, able: bool) -> Place {
    let pod = pod_phase.map(|phase| pod(&json!({"phase": phase})));
    Entry::of(&run(1, status), pod.as_ref(), admitted, able).place
}

#[test]
fn a_slot_is_held_from_the_admission_until_the_pod_is_over() {
    let admitted = json!({"attempt": 1, "phase": "Pending"});
    let completed = json!({"attempt": 1, "phase": "Completed"});
    let told = json!({"attempt": 1, "phase": "Running", "result": {"exitReason": "failed"}});
    let table = [
        (&Value::Null, None, false, true, Place::Waits),
        (&Value::Null, None, true, true, Place::Holds),
        (&Value::Null, None, false, false, Place::Out),
        (&admitted, None, false, true, Place::Holds),
        (&admitted, Some("Pending"), false, true, Place::Holds),
        (&admitted, Some("Running"), false, true, Place::Holds),
        (&admitted, Some("Failed"), false, true, Place::Out),
        (&completed, Some("Running"), false, true, Place::Holds),
        (&completed, Some("Succeeded"), false, true, Place::Out),
        (&completed, None, false, true, Place::Out),
        (&told, None, false, true, Place::Out),
    ];
    for (status, pod, admitted, able, expected) in table {
        assert_eq!(place(status, pod, admitted, able), expected, "{status} with pod {pod:?}");
    }
}

#[test]
fn the_oldest_go_first_and_a_pod_without_a_run_has_a_slot_too() {
    let entries: Vec<Entry> =
        [3, 1, 2].map(|number| Entry::of(&run(number, &Value::Null), None, false, true)).into();
    assert_eq!(turns(&entries, 2), BTreeSet::from([uid(1), uid(2)]));
    let mut entries = entries;
    entries.push(Entry::orphan("gone"));
    assert_eq!(turns(&entries, 2), BTreeSet::from([uid(1)]));
    assert_eq!(turns(&entries, 0), BTreeSet::new());
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
