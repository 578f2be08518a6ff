//! Output in pieces, put together to lines.

use memchr::memchr;

/// Longest line that is read; a longer one is kept raw and counted only.
const LONGEST: usize = 8 << 20;

/// Puts lines together. Memory is bounded by the longest line that is read.
#[derive(Debug, Default)]
pub struct Lines {
    open: Vec<u8>,
    skipping: bool,
}

impl Lines {
    /// Hands every line that these bytes end to `line`, without its newline; `None` for one that is too long.
    pub fn push(&mut self, mut bytes: &[u8], line: &mut dyn FnMut(Option<&[u8]>)) {
        while let Some(end) = memchr(b'\n', bytes) {
            let (part, rest) = (&bytes[..end], &bytes[end + 1..]);
            bytes = rest;
            if self.open.is_empty() && !self.skipping && part.len() <= LONGEST {
                line(Some(part));
                continue;
            }
            self.keep(part);
            self.end(line);
        }
        self.keep(bytes);
    }

    /// Hands over what stands after the last newline.
    pub fn finish(&mut self, line: &mut dyn FnMut(Option<&[u8]>)) {
        if self.skipping || !self.open.is_empty() {
            self.end(line);
        }
    }

    fn keep(&mut self, part: &[u8]) {
        if self.open.len() + part.len() > LONGEST {
            self.open = Vec::new();
            self.skipping = true;
        }
        if !self.skipping {
            self.open.extend_from_slice(part);
        }
    }

    fn end(&mut self, line: &mut dyn FnMut(Option<&[u8]>)) {
        line((!self.skipping).then_some(self.open.as_slice()));
        self.open.clear();
        self.skipping = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(parts: &[&[u8]]) -> Vec<Option<Vec<u8>>> {
        let (mut lines, mut found) = (Lines::default(), Vec::new());
        let mut take = |line: Option<&[u8]>| found.push(line.map(<[u8]>::to_vec));
        for part in parts {
            lines.push(part, &mut take);
        }
        lines.finish(&mut take);
        found
    }

    proptest! {
        #[test]
        fn lines_are_the_same_however_they_come(text in "[a-c\n]{0,40}", cut in 0_usize..40) {
            let bytes = text.as_bytes();
            let (head, tail) = bytes.split_at(cut.min(bytes.len()));
            let whole: Vec<Option<Vec<u8>>> = text.split_terminator('\n').map(|line| Some(line.into())).collect();
            prop_assert_eq!(read(&[head, tail]), whole);
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_counted_and_the_next_one_read() {
        let long = vec![b'x'; LONGEST - 1];
        assert_eq!(read(&[&long, b"xx", b"\nnext\n"]), [None, Some(b"next".to_vec())]);
        let mut whole = vec![b'x'; LONGEST + 1];
        whole.extend_from_slice(b"\nnext");
        assert_eq!(read(&[&whole]), [None, Some(b"next".to_vec())]);
    }
}
