mod events;

use proptest::prelude::*;

use super::*;
use events::any_events;

fn journal(events: &[(i64, Event)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut prev = GENESIS.to_owned();
    for (index, (ts, event)) in events.iter().enumerate() {
        let record = Record { seq: index as u64 + 1, ts: *ts, prev, event: event.clone() };
        let line = encode(&record).unwrap();
        prev = digest(&line[..line.len() - 1]);
        bytes.extend(line);
    }
    bytes
}

fn canceled(count: usize) -> Vec<u8> {
    journal(&vec![(1, Event::RunCanceled); count])
}

proptest! {
    #[test]
    fn bug_28_what_is_written_is_read_again(events in any_events()) {
        let bytes = journal(&events);
        let decoded = decode(&bytes).unwrap();
        let read: Vec<_> = decoded.records.iter().map(|record| (record.ts, record.event.clone())).collect();
        prop_assert_eq!(read, events);
        prop_assert_eq!(decoded.valid_bytes, bytes.len() as u64);
        let written: Vec<u8> = decoded.records.iter().flat_map(|record| encode(record).unwrap()).collect();
        prop_assert_eq!(written, bytes);
    }

    #[test]
    fn a_journal_goes_on_where_its_head_says(events in any_events(), at in any::<prop::sample::Index>()) {
        let at = at.index(events.len());
        let decoded = decode(&journal(&events[..at])).unwrap();
        let whole = decode(&journal(&events)).unwrap();
        prop_assert_eq!(&whole.records[at].prev, &decoded.head);
        prop_assert_eq!(whole.records[at].seq, decoded.records.len() as u64 + 1);
    }

    #[test]
    fn a_changed_byte_before_the_last_line_is_noticed(
        events in any_events(),
        at in any::<prop::sample::Index>(),
        change in 1..=255_u8,
    ) {
        let mut bytes = journal(&events);
        let end = bytes[..bytes.len() - 1].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        prop_assume!(end > 0);
        let at = at.index(end);
        bytes[at] ^= change;
        prop_assert!(decode(&bytes).is_err(), "byte {}", at);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), events in any_events()) {
        let _ = decode(&bytes);
        let mut longer = journal(&events);
        let whole = longer.len() as u64;
        longer.extend(bytes.iter().filter(|byte| **byte != b'\n'));
        prop_assert_eq!(decode(&longer).unwrap().valid_bytes, whole, "an unfinished line is left out");
    }
}

#[test]
fn a_journal_cut_at_any_byte_keeps_exactly_its_whole_lines() {
    let events = events::one_of_each();
    let bytes = journal(&events);
    let whole = decode(&bytes).unwrap();
    let mut lines = 0;
    for cut in 0..=bytes.len() {
        if cut > 0 && bytes[cut - 1] == b'\n' {
            lines += 1;
        }
        let decoded = decode(&bytes[..cut]).unwrap();
        assert_eq!(decoded.records, whole.records[..lines], "cut at {cut}");
        let kept = decoded.valid_bytes as usize;
        assert!(kept == 0 || bytes[kept - 1] == b'\n', "cut at {cut}");
        assert!(!bytes[kept..cut].contains(&b'\n'), "cut at {cut}");
    }
    assert_eq!(lines, events.len());
}

#[test]
fn a_line_that_is_removed_repeated_or_moved_is_noticed() {
    let bytes = journal(&events::one_of_each());
    let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    for index in 0..lines.len() - 1 {
        let mut removed = lines.clone();
        removed.remove(index);
        assert_eq!(decode(&removed.concat()), Err(Error::Chain { line: index + 1 }));
        let mut repeated = lines.clone();
        repeated.insert(index, lines[index]);
        assert_eq!(decode(&repeated.concat()), Err(Error::Chain { line: index + 2 }));
        let mut moved = lines.clone();
        moved.swap(index, index + 1);
        assert_eq!(decode(&moved.concat()), Err(Error::Chain { line: index + 1 }));
    }
}

#[test]
fn a_record_with_another_number_or_predecessor_is_noticed() {
    let good = String::from_utf8(canceled(1)).unwrap();
    assert_eq!(good, format!("{{\"seq\":1,\"ts\":1,\"prev\":\"{GENESIS}\",\"kind\":\"RUN_CANCELED\"}}\n"));
    for bad in [good.replace("\"seq\":1", "\"seq\":2"), good.replace(GENESIS, "0000000000000001")] {
        assert_eq!(decode(bad.as_bytes()), Err(Error::Chain { line: 1 }));
    }
}

#[test]
fn an_unknown_kind_stops_with_a_sentence() {
    let text = String::from_utf8(canceled(1)).unwrap().replace("RUN_CANCELED", "RUN_ELOPED");
    let error = decode(text.as_bytes()).unwrap_err().to_string();
    assert!(error.starts_with("journal line 1: unknown variant `RUN_ELOPED`"), "{error}");
    assert!(error.ends_with("it was written by another version of loopctl, or was damaged"), "{error}");
}

#[test]
fn another_schema_is_refused() {
    let mut events = events::one_of_each();
    let Event::RunCreated(created) = &mut events[0].1 else { panic!("a run begins with its creation") };
    created.schema = SCHEMA + 1;
    let error = decode(&journal(&events)).unwrap_err().to_string();
    assert!(error.starts_with("journal line 1: schema 2 instead of 1; "), "{error}");
}

#[test]
fn an_empty_journal_is_one_without_records() {
    let empty = decode(b"").unwrap();
    assert_eq!((empty.records.len(), empty.valid_bytes, empty.head.as_str()), (0, 0, GENESIS));
    assert!(decode(b"\n").is_err(), "an empty line is no record");
}
