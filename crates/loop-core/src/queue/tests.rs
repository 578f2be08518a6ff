use proptest::prelude::*;

use super::*;
use crate::store::Store;

fn entry(number: i64, workspace: &str, running: bool) -> Entry {
    Entry {
        uid: format!("uid-{number}"),
        name: format!("run-{number}"),
        workspace: workspace.into(),
        created_ms: number,
        running,
        reason: String::new(),
        settings: QueueSettings::default(),
    }
}

#[test]
fn a_full_queue_says_who_is_at_work() {
    let running: Vec<Entry> = (1..=3).map(|number| entry(number, "a", true)).collect();
    let said = verdict(&entry(9, "b", false), &running).unwrap_err();
    assert_eq!(said, "3 of 3 runs at once are at work (run-1, run-2, run-3)");
    assert_eq!(verdict(&entry(9, "b", false), &running[1..]), Ok(()));
}

#[test]
fn a_run_held_back_by_its_workspace_is_overtaken() {
    let mut blocked = entry(2, "a", false);
    blocked.settings.max_runs_per_workspace = Some(1);
    let entries = [entry(1, "a", true), blocked.clone(), entry(3, "b", false)];
    assert_eq!(verdict(&blocked, &entries).unwrap_err(), "1 of 1 runs of this workspace are at work (run-1)");
    assert_eq!(verdict(&entries[2], &entries), Ok(()));
}

#[test]
fn the_policy_orders_those_that_wait() {
    let entries = [entry(1, "a", false), entry(2, "a", false)];
    assert_eq!(verdict(&entries[0], &entries), Ok(()));
    assert_eq!(verdict(&entries[1], &entries).unwrap_err(), "run-1 is before it in the queue");
    let newest = |number| {
        let mut entry = entry(number, "a", false);
        entry.settings.policy = QueuePolicy::NewestFirst;
        entry
    };
    let entries = [newest(1), newest(2)];
    assert_eq!(verdict(&entries[1], &entries), Ok(()));
    assert_eq!(verdict(&entries[0], &entries).unwrap_err(), "run-2 is before it in the queue");
}

proptest! {
    /// Whatever order they ask in: caps hold, nobody is lost, and what could run does.
    #[test]
    fn caps_hold_and_every_run_gets_its_turn(
        runs in prop::collection::vec((0_i64..20, 0_usize..3, prop::option::of(1_u32..3)), 1..12),
        slots in 1_u32..4,
        newest in any::<bool>(),
        mut picks in prop::collection::vec(any::<prop::sample::Index>(), 400),
    ) {
        let mut entries: Vec<Entry> = runs
            .iter()
            .enumerate()
            .map(|(at, (created, workspace, cap))| Entry {
                uid: format!("uid-{at}"),
                created_ms: *created,
                settings: QueueSettings {
                    max_concurrency: slots,
                    max_runs_per_workspace: *cap,
                    policy: if newest { QueuePolicy::NewestFirst } else { QueuePolicy::Fifo },
                },
                ..entry(0, ["a", "b", "c"][*workspace], false)
            })
            .collect();
        while !entries.is_empty() {
            let Some(pick) = picks.pop() else { break };
            let at = pick.index(entries.len());
            if entries[at].running {
                entries.remove(at);
                continue;
            }
            if verdict(&entries[at].clone(), &entries).is_ok() {
                entries[at].running = true;
            }
            let running: Vec<&Entry> = entries.iter().filter(|entry| entry.running).collect();
            prop_assert!(running.len() <= slots as usize);
            // Somebody runs, or somebody who waits may.
            let may = entries.iter().any(|entry| !entry.running && verdict(entry, &entries).is_ok());
            prop_assert!(!running.is_empty() || may);
            if let (Some(limit), true) = (entries[at].settings.max_runs_per_workspace, entries[at].running) {
                let here = running.iter().filter(|other| other.workspace == entries[at].workspace).count();
                prop_assert!(here <= limit as usize);
            }
        }
    }
}

#[test]
fn entries_count_as_long_as_their_process_lives() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::at(folder.path());
    let mut first = entry(1, "a", false);
    first.settings.max_concurrency = 1;
    let second = Entry { uid: "uid-2".into(), created_ms: 2, ..first.clone() };
    let (one, two) = (store.create_run(&first.uid).unwrap(), store.create_run(&second.uid).unwrap());
    let held = one.lock().unwrap().unwrap();
    let _second = two.lock().unwrap().unwrap();
    let mut queue = Queue::join(&store, first).unwrap();
    let turn = queue.ask().unwrap().unwrap();
    let mut other = Queue::join(&store, second).unwrap();
    let said = other.ask().unwrap().unwrap_err();
    assert_eq!(said, "1 of 1 runs at once are at work (run-1)");
    assert_eq!(waiting(&store, "uid-2", &two), Some(said));
    assert_eq!(waiting(&store, "uid-1", &one), None);
    // The process dies: its lock is free, its entry is still there.
    std::mem::forget(turn);
    std::mem::forget(queue);
    drop(held);
    let turn = other.ask().unwrap().unwrap();
    assert_eq!(waiting(&store, "uid-2", &two), None);
    drop(turn);
    drop(other);
    let left: Vec<_> = std::fs::read_dir(folder.path().join("queue")).unwrap().collect();
    assert_eq!(left.len(), 1, "only the lock is left: {left:?}");
}
