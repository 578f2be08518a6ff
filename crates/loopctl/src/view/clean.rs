//! Text of agents, made fit for a terminal: whole characters, and nothing that steers the terminal.

use anstyle_parse::{Parser, Perform};

/// Longest that is looked at of one line.
const LINE: usize = 4096;

/// Cleans a stream of bytes that comes in pieces. What it gives does not depend on where they were cut.
///
/// Broken UTF-8 becomes U+FFFD. Control sequences are dropped, and so is every control character but newline and tab.
/// A sequence ends with its line at the latest, so that one without an end hides no more than that.
#[derive(Debug, Default)]
pub(crate) struct Cleaner {
    /// The beginning of a character, at most three bytes.
    open: Vec<u8>,
    // A byte at a time: what anstream's adapters leave out depends on where its input was cut.
    parser: Parser,
}

/// What a terminal would show.
struct Shown<'a>(&'a mut String);

impl Perform for Shown<'_> {
    fn print(&mut self, letter: char) {
        if !letter.is_control() {
            self.0.push(letter);
        }
    }

    fn execute(&mut self, byte: u8) {
        if byte == b'\t' {
            self.0.push('\t');
        }
    }
}

impl Cleaner {
    /// The text in these bytes, as far as its characters are complete.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> String {
        let mut text = String::with_capacity(bytes.len());
        let joined;
        let mut rest = bytes;
        if !self.open.is_empty() {
            joined = [std::mem::take(&mut self.open).as_slice(), bytes].concat();
            rest = &joined;
        }
        while let Err(error) = std::str::from_utf8(rest) {
            let (valid, broken) = rest.split_at(error.valid_up_to());
            self.take(valid, &mut text);
            let Some(length) = error.error_len() else {
                self.open = broken.to_vec();
                return text;
            };
            self.take("\u{FFFD}".as_bytes(), &mut text);
            rest = &broken[length..];
        }
        self.take(rest, &mut text);
        text
    }

    /// What is left when nothing more comes.
    pub(crate) fn finish(&mut self) -> String {
        let mut text = String::new();
        if !std::mem::take(&mut self.open).is_empty() {
            self.take("\u{FFFD}".as_bytes(), &mut text);
        }
        self.parser = Parser::default();
        text
    }

    /// Takes whole characters: in broken ones the parser would not show a letter for each.
    fn take(&mut self, characters: &[u8], text: &mut String) {
        for byte in characters {
            if *byte == b'\n' {
                // Past the parser, since a sequence would swallow it.
                self.parser = Parser::default();
                text.push('\n');
            } else {
                self.parser.advance(&mut Shown(text), *byte);
            }
        }
    }
}

/// A whole text, cleaned.
pub(crate) fn text(text: &str) -> String {
    let mut cleaner = Cleaner::default();
    // It has whole characters, so nothing is held back.
    cleaner.push(text.as_bytes())
}

/// One line for people: cleaned, its blanks made plain, the end of a long one left out.
pub(crate) fn line(text: &str) -> String {
    let mut end = text.len().min(LINE);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut cleaner = Cleaner::default();
    let clean = cleaner.push(&text.as_bytes()[..end]);
    clean.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn clean(parts: &[&[u8]]) -> String {
        let mut cleaner = Cleaner::default();
        let mut text: String = parts.iter().map(|part| cleaner.push(part)).collect();
        text.push_str(&cleaner.finish());
        text
    }

    /// Bytes of which many are the beginning, the middle or the end of something.
    fn odd_bytes() -> impl Strategy<Value = Vec<u8>> {
        let pieces: Vec<&[u8]> = vec![
            b"\x1b",
            b"\x1b[",
            b"\x1b[31m",
            b"\x1b]0;title",
            b"\x1b]8;;http://x\x1b\\",
            b"\x07",
            b"\x1b\\",
            b"\x1bP1$q",
            b"\x1b_x",
            b"\x1b[?1049h",
            b"\x9b31m",
            "\u{9b}31m".as_bytes(),
            "\u{9c}".as_bytes(),
            b"\n",
            b"\r\n",
            b"\t",
            b"\x08",
            b"\x7f",
            b"\x00",
            b"m",
            b"[2J",
            b";",
            "é".as_bytes(),
            "✓".as_bytes(),
            "🦀".as_bytes(),
            b"\xc3",
            b"\xe2\x9c",
            b"\xf0\x9f\xa6",
            b"\x9c",
            b"\xff",
            b"\xed\xa0\x80",
            b"plain words ",
        ];
        let piece = prop_oneof![
            4 => prop::sample::select(pieces).prop_map(<[u8]>::to_vec),
            1 => prop::collection::vec(any::<u8>(), 0..4),
        ];
        prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn bug_12_it_is_the_same_text_wherever_it_is_cut(
            bytes in odd_bytes(),
            cuts in prop::collection::vec(0_usize..200, 0..12),
        ) {
            let mut places: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            places.sort_unstable();
            let mut parts = Vec::new();
            let mut from = 0;
            for place in places.into_iter().chain([bytes.len()]) {
                parts.push(&bytes[from..place]);
                from = place;
            }
            let whole = clean(&[&bytes]);
            prop_assert_eq!(&clean(&parts), &whole);
            prop_assert!(whole.chars().all(|letter| letter == '\n' || letter == '\t' || !letter.is_control()));
            let newlines = |text: &[u8]| text.split(|byte| *byte == b'\n').count();
            prop_assert_eq!(newlines(whole.as_bytes()), newlines(&bytes), "no line is lost");
        }

        #[test]
        fn text_without_controls_is_left_alone(text in "[^\\p{Cc}]{0,60}") {
            prop_assert_eq!(clean(&[text.as_bytes()]), text);
        }
    }

    #[test]
    fn what_steers_a_terminal_is_gone_and_the_rest_is_there() {
        for (bytes, text) in [
            (&b"\x1b[31mred\x1b[0m"[..], "red"),
            (b"\x1b]0;title\x07after", "after"),
            (b"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
            (b"\x1b]52;c;ZXZpbA==\nnext", "\nnext"),
            (b"\x1bPq#0\x1b\\after", "after"),
            (b"\x1bcafter", "after"),
            (b"10%\r20%\r\n", "10%20%\n"),
            (b"\xc3\x1b[2Jafter", "\u{FFFD}after"),
            (b"a\x9b2Jb", "a\u{FFFD}2Jb"),
            ("a\u{9b}2Jb\u{85}".as_bytes(), "a2Jb"),
            (b"caf\xc3", "caf\u{FFFD}"),
        ] {
            assert_eq!(clean(&[bytes]), text, "{bytes:?}");
        }
    }

    #[test]
    fn a_line_is_one_line_and_bounded() {
        assert_eq!(line("  a\tb\r\nc \x1b[1md\x1b[0m "), "a b c d");
        assert!(line(&"é".repeat(1 << 20)).len() <= LINE);
    }
}
