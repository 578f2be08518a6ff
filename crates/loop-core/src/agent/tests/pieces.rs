//! However the bytes come, and wherever they end, the reading is that of the lines that are whole.

use proptest::prelude::*;

use super::{Read, fixtures, read};

/// One of the recorded outputs, and places to cut it at.
fn cuts() -> impl Strategy<Value = (Vec<u8>, Vec<usize>)> {
    let all = fixtures();
    (0..all.len()).prop_flat_map(move |number| {
        let bytes = all[number].1.clone();
        let most = bytes.len();
        (Just(bytes), prop::collection::vec(0..=most, 0..20))
    })
}

fn in_pieces(bytes: &[u8], cuts: &[usize]) -> Read {
    let mut cuts = cuts.to_vec();
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    read(cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]))
}

/// Recorded lines in any order and number, as no process would print them.
fn shuffled() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let lines: Vec<Vec<u8>> = fixtures()
        .iter()
        .flat_map(|(_, bytes)| bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec))
        .collect();
    prop::collection::vec(prop::sample::select(lines), 0..200)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_pieces_read_the_same((bytes, cuts) in cuts()) {
        prop_assert_eq!(in_pieces(&bytes, &cuts), read([bytes.as_slice()]));
    }

    #[test]
    fn any_end_reads_as_its_whole_lines((bytes, cuts) in cuts()) {
        let end = cuts.first().copied().unwrap_or(bytes.len());
        let whole = bytes[..end].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let (cut, lines) = (read([&bytes[..end]]), read([&bytes[..whole]]));
        // What stands after the last newline is a line when it is one, and is counted when not.
        if cut.unread > lines.unread {
            prop_assert_eq!(cut.reading, lines.reading);
            prop_assert_eq!(cut.texts, lines.texts);
        }
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let read = read([bytes.as_slice()]);
        prop_assert!(read.unread <= bytes.len() + 1);
    }

    #[test]
    fn no_change_of_a_byte_panics((bytes, cuts) in cuts(), byte in any::<u8>()) {
        let mut bytes = bytes;
        for at in cuts {
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
        }
        let found = read([bytes.as_slice()]);
        prop_assert!(found.reading.message.is_some() || !found.reading.worked());
    }

    /// Lines that come twice, results that come back: a message counts once, and totals are high-water marks.
    #[test]
    fn saying_all_again_adds_nothing(lines in shuffled()) {
        let once: Vec<u8> = lines.iter().flat_map(|line| [line.as_slice(), b"\n"]).flatten().copied().collect();
        let twice: Vec<u8> =
            lines.iter().flat_map(|line| [line.as_slice(), b"\n", line, b"\n"]).flatten().copied().collect();
        prop_assert_eq!(read([once.as_slice()]).reading.usage(), read([twice.as_slice()]).reading.usage());
    }
}
