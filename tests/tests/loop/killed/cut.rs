//! The journal of a killed run is cut at a byte: what it still says is enough, or a sentence says why not.

use super::scenario::{RUN, finish, kill_at_append, name, reference, result, two_at_a_time, verifies, world};

/// Cuts in all.
const CUTS: usize = 25;

#[test]
fn a_torn_last_record_is_cut_off_and_the_run_goes_on() {
    two_at_a_time(reference().records.div_ceil(4), &|index| {
        let record = (4 * index + 2).min(reference().records);
        let world = world();
        kill_at_append(&world, RUN, record);
        let path = world.run_folder().join("journal.jsonl");
        let bytes = std::fs::read(&path).expect("a journal");
        let last = bytes[..bytes.len() - 1].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        // What follows from a record never happens before the record is whole on disk.
        std::fs::write(&path, &bytes[..last + (bytes.len() - last) / 2]).expect("a file");
        super::scenario::finishes_as_if_undisturbed(&world, &format!("record {record} torn"));
    });
}

#[test]
fn a_journal_cut_anywhere_is_enough_or_says_why_not() {
    let records = reference().records;
    two_at_a_time(CUTS, &|index| {
        let world = world();
        // Almost done: branch, worktree and logs are ahead of what the cut journal says.
        kill_at_append(&world, RUN, records - 6);
        let name = name(&world);
        let path = world.run_folder().join("journal.jsonl");
        let bytes = std::fs::read(&path).expect("a journal");
        let cut = bytes.len() * index / CUTS;
        let whole = bytes[..cut].split(|byte| *byte == b'\n').count() - 1;
        std::fs::write(&path, &bytes[..cut]).expect("a file");
        let what = format!("cut at {cut} of {}, {whole} whole records", bytes.len());
        let tip = world.git(&["rev-parse", "run/files"]);
        assert_ne!(tip, world.git(&["rev-parse", "main"]), "work was published before the kill");
        let said = world.loopctl(&["resume", &name]);
        let kinds: Vec<String> = String::from_utf8_lossy(&bytes)
            .lines()
            .take(whole)
            .map(|line| {
                line.split("\"kind\":\"")
                    .nth(1)
                    .unwrap_or_default()
                    .chars()
                    .take_while(|c| *c != '"')
                    .collect()
            })
            .collect();
        if whole == 0 {
            assert_eq!(said.code, 1, "{what}: {}", said.stderr);
            assert!(said.stderr.contains("has no whole record any more"), "{what}: {}", said.stderr);
            assert!(world.loopctl(&["list"]).stderr.contains("is left out"), "{what}");
            return;
        } else if !kinds.iter().any(|kind| kind == "WORKTREE_CREATED") {
            // The branch has commits of which the journal knows nothing: they are left alone.
            assert_eq!(said.code, 1, "{what}: {}", said.stderr);
            assert!(said.stderr.contains("lost its end"), "{what}: {}", said.stderr);
            assert_eq!(world.git(&["rev-parse", "run/files"]), tip, "{what}");
        } else {
            assert_eq!(said.code, 0, "{what}: {}", said.stderr);
            assert_eq!(result(&world), reference().result, "{what}");
            if index % 8 == 0 {
                verifies(&world);
            }
        }
        let _ = finish(&world);
        assert_eq!(world.leftovers(), Vec::<String>::new(), "{what}");
    });
}
