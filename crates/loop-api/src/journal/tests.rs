use super::*;
use crate::phase::{ExitReason, StepPhase};

fn journal() -> (Vec<Record>, Vec<u8>) {
    let started = |again| Event::RunStarted {
        worker_id: "host:1".into(),
        isolation: "none: \"why\" \\ ünïcode".into(),
        again,
    };
    let events = [
        started(false),
        Event::StepStarted {
            step_id: "s".into(),
            phase: StepPhase::Implementation,
            iteration: 1,
            attempt: 1,
            clean: false,
        },
        Event::StepFinished {
            step_id: "s".into(),
            exit_code: -1,
            duration_ms: 12,
            output_path: "iter-01.log".into(),
            outcome: Outcome::Failed { reason: "r".into(), message: "two\nlines".into() },
        },
        Event::RunFailed { exit_reason: ExitReason::AgentFailed, reason: "r".into(), message: String::new() },
        started(true),
        Event::RunCanceled,
    ];
    let (mut records, mut bytes, mut prev) = (Vec::new(), Vec::new(), GENESIS.to_owned());
    for (index, event) in events.into_iter().enumerate() {
        let record = Record { seq: index as u64 + 1, ts: 1_700_000_000_000 + index as i64, prev, event };
        let line = encode(&record).unwrap();
        prev = digest(&line[..line.len() - 1]);
        bytes.extend(line);
        records.push(record);
    }
    (records, bytes)
}

#[test]
fn a_journal_cut_at_any_byte_gives_its_whole_records() {
    let (records, bytes) = journal();
    for cut in 0..=bytes.len() {
        let whole = bytes[..cut].iter().filter(|byte| **byte == b'\n').count();
        let end = bytes[..cut].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let decoded = decode(&bytes[..cut]).unwrap();
        assert_eq!(decoded.records, records[..whole], "cut at {cut}");
        assert_eq!(decoded.valid_bytes, end as u64, "cut at {cut}");
        let next = records.get(whole).map_or_else(|| decoded.head.clone(), |record| record.prev.clone());
        assert_eq!(decoded.head, next, "what is appended next chains to the last whole record");
    }
}

#[test]
fn a_changed_byte_before_the_last_record_is_noticed() {
    let (records, bytes) = journal();
    let last = bytes[..bytes.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    for at in 0..bytes.len() {
        for flip in [0x01, 0x20, 0x80, 0xFF, bytes[at] ^ b'\n', bytes[at] ^ b'0'] {
            let mut changed = bytes.clone();
            changed[at] ^= flip;
            if changed == bytes {
                continue;
            }
            let decoded = decode(&changed);
            if at < last {
                assert!(decoded.is_err(), "byte {at} ^ {flip:#x} went unnoticed");
            } else if let Ok(decoded) = decoded {
                // Only the next record's link covers the last one; evidence holds the link of a finished run.
                let before = records.len() - 1;
                assert_eq!(decoded.records[..before], records[..before], "byte {at} ^ {flip:#x}");
                assert_ne!(decoded.head, digest(&bytes[last..bytes.len() - 1]), "byte {at} ^ {flip:#x}");
            }
        }
    }
}

#[test]
fn a_record_removed_doubled_or_swapped_breaks_the_chain() {
    let (_, bytes) = journal();
    let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    for at in 0..lines.len() - 1 {
        let mut removed = lines.clone();
        removed.remove(at);
        let mut doubled = lines.clone();
        doubled.insert(at, lines[at]);
        let mut swapped = lines.clone();
        swapped.swap(at, at + 1);
        for damaged in [removed, doubled, swapped] {
            assert!(matches!(decode(&damaged.concat()), Err(Error::Chain { .. })), "line {at}");
        }
    }
}
