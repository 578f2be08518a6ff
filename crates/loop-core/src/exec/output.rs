//! A step's output on disk: all of it when it is small, else its beginning and its end.

mod ring;

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use ring::Ring;

/// How much of each end of an output is kept when the caller has no other wish.
pub const KEEP: u64 = 64 << 20;

/// What is kept in memory for a message about how it ended.
const TAIL: usize = 64 << 10;

/// An output file that keeps the first and the last bytes of what is written to it (RUN-20).
///
/// It knows nothing of streams: a caller makes one per stream, or one for both together. Until it is
/// finished the last part lies in a sibling file; dropping it without [`OutputFile::finish`] (a step
/// that was cut short) puts the parts together as well, as far as the disk allows.
#[derive(Debug)]
pub struct OutputFile {
    file: File,
    ring: Ring,
    keep: u64,
    counts: Counts,
    newlines: u64,
    tail: Vec<u8>,
    finished: bool,
}

/// How much was written, and how much of it is not in the file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Bytes written.
    pub bytes: u64,
    /// Bytes between the kept beginning and the kept end.
    pub dropped: u64,
    /// Lines written; an unfinished last one counts.
    pub lines: u64,
}

impl OutputFile {
    /// Creates or empties the file at `path`, to keep `keep_each` bytes of each end.
    pub fn create(path: &Path, keep_each: u64) -> io::Result<Self> {
        Ok(Self {
            file: File::create(path)?,
            ring: Ring::beside(path, keep_each),
            keep: keep_each,
            counts: Counts::default(),
            newlines: 0,
            tail: Vec::new(),
            finished: false,
        })
    }

    /// Appends bytes.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let room = self.keep.saturating_sub(self.counts.bytes);
        let (head, rest) = bytes.split_at(bytes.len().min(room as usize));
        self.file.write_all(head)?;
        if !rest.is_empty() {
            self.ring.write(rest)?;
        }
        self.counts.bytes += bytes.len() as u64;
        self.newlines += newlines(bytes);
        self.remember(bytes);
        Ok(())
    }

    /// What has been written so far.
    pub fn counts(&self) -> Counts {
        let open_line = self.tail.last().is_some_and(|byte| *byte != b'\n');
        Counts { dropped: self.ring.dropped(), lines: self.newlines + u64::from(open_line), ..self.counts }
    }

    /// The last 64 KiB as text, from a character's start.
    pub fn tail_text(&self) -> String {
        let mut tail = &self.tail[self.tail.len().saturating_sub(TAIL)..];
        if self.counts.bytes > tail.len() as u64 {
            // A character has at most three bytes that continue it.
            let cut = tail.iter().take(3).take_while(|byte| **byte & 0xC0 == 0x80);
            tail = &tail[cut.count()..];
        }
        String::from_utf8_lossy(tail).into_owned()
    }

    /// Puts the end behind the beginning, with a line between that counts what is missing.
    pub fn finish(&mut self) -> io::Result<Counts> {
        let counts = self.counts();
        if !self.finished {
            self.finished = true;
            if counts.dropped > 0 {
                writeln!(self.file, "\n[... {} bytes dropped ...]", counts.dropped)?;
            }
            self.ring.drain(&mut self.file)?;
        }
        Ok(counts)
    }

    fn remember(&mut self, bytes: &[u8]) {
        if bytes.len() >= TAIL {
            self.tail.clear();
        } else if self.tail.len() + bytes.len() > 2 * TAIL {
            self.tail.drain(..self.tail.len() - TAIL);
        }
        self.tail.extend_from_slice(&bytes[bytes.len().saturating_sub(TAIL)..]);
    }
}

impl Drop for OutputFile {
    fn drop(&mut self) {
        // Nobody is left to tell; the step's own result says that it was cut short.
        let _ = self.finish();
    }
}

// Byte-sized partial sums let the compiler count a vector register at a time.
fn newlines(bytes: &[u8]) -> u64 {
    bytes
        .chunks(255)
        .map(|chunk| u64::from(chunk.iter().map(|byte| u8::from(*byte == b'\n')).sum::<u8>()))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs;

    fn expected(all: &[u8], keep: usize) -> Vec<u8> {
        if all.len() <= 2 * keep {
            return all.to_vec();
        }
        let mut kept = all[..keep].to_vec();
        kept.extend(format!("\n[... {} bytes dropped ...]\n", all.len() - 2 * keep).bytes());
        kept.extend(&all[all.len() - keep..]);
        kept
    }

    proptest! {
        #[test]
        fn both_ends_are_kept(
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20),
            keep in 0_usize..50,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("out.log");
            let mut output = OutputFile::create(&path, keep as u64).unwrap();
            for part in &parts {
                output.write(part).unwrap();
            }
            let all = parts.concat();
            let counts = output.finish().unwrap();
            prop_assert_eq!(fs::read(&path).unwrap(), expected(&all, keep));
            prop_assert_eq!(counts.bytes, all.len() as u64);
            prop_assert_eq!(counts.dropped, all.len().saturating_sub(2 * keep) as u64);
            let lines = all.split_inclusive(|byte| *byte == b'\n').count() as u64;
            prop_assert_eq!(counts.lines, lines);
            prop_assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "the ring is removed");
        }
    }

    #[test]
    fn a_dropped_output_is_put_together() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.log");
        let mut output = OutputFile::create(&path, 4).unwrap();
        output.write(b"0123456789").unwrap();
        drop(output);
        assert_eq!(fs::read(&path).unwrap(), expected(b"0123456789", 4));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_tail_starts_with_a_whole_character() {
        let folder = tempfile::tempdir().unwrap();
        let mut output = OutputFile::create(&folder.path().join("out"), KEEP).unwrap();
        for _ in 0..5 {
            output.write("é".repeat(TAIL / 3).as_bytes()).unwrap();
        }
        output.write(b"x").unwrap();
        let text = output.tail_text();
        assert_eq!(text.len(), TAIL - 1);
        assert!(text.starts_with('é') && text.ends_with("éx"));
        output.write(&[0xFF]).unwrap();
        assert!(output.tail_text().ends_with("x\u{FFFD}"));
    }
}
