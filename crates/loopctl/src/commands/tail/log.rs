//! One log as it grows: read in pieces of one size, however large it is.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};

use loop_core::exec::KEEP;

use crate::error::{Error, Result};
use crate::printer::{DIM, paint, say};
use crate::view::clean::Cleaner;

/// Bytes that are read at once.
const PIECE: usize = 64 << 10;

/// A log that is printed from a place on.
pub(super) struct Log {
    file: Option<File>,
    offset: u64,
    /// `None` hands bytes on as they are.
    cleaner: Option<Cleaner>,
    lines: Option<u64>,
    in_line: bool,
    held_back: bool,
}

impl Log {
    /// A log of which nothing was read yet; `lines` begins that many lines before its end.
    pub(super) fn new(clean: bool, lines: Option<u64>) -> Self {
        let cleaner = clean.then(Cleaner::default);
        Self { file: None, offset: 0, cleaner, lines, in_line: false, held_back: false }
    }

    /// Opens the first of these files that is there; `false` while none is.
    pub(super) fn open(&mut self, places: &[PathBuf]) -> Result<bool> {
        if self.file.is_none() {
            for place in places {
                self.file = open(place).map_err(|error| unreadable(place, &error))?;
                let Some(file) = &mut self.file else { continue };
                if let Some(lines) = self.lines.take() {
                    self.offset = last_lines(file, lines).map_err(|error| unreadable(place, &error))?;
                }
                break;
            }
        }
        Ok(self.file.is_some())
    }

    /// Prints what is there and was not printed yet.
    pub(super) fn drain(&mut self, out: &mut dyn Write) -> Result<()> {
        let failed = |error: io::Error| Error::failed(format!("the log cannot be read: {error}"));
        let Some(file) = &mut self.file else { return Ok(()) };
        if file.metadata().map_err(failed)?.len() < self.offset {
            // Begun anew by another process of the same step.
            self.offset = 0;
            self.cleaner = self.cleaner.as_ref().map(|_| Cleaner::default());
        }
        file.seek(SeekFrom::Start(self.offset)).map_err(failed)?;
        let mut piece = vec![0; PIECE];
        loop {
            let read = file.read(&mut piece).map_err(failed)?;
            if read == 0 {
                break;
            }
            self.offset += read as u64;
            let bytes = &piece[..read];
            match &mut self.cleaner {
                Some(cleaner) => put(out, cleaner.push(bytes).as_bytes(), &mut self.in_line)?,
                None => put(out, bytes, &mut self.in_line)?,
            }
        }
        out.flush().map_err(|error| Error::output(&error))
    }

    /// Says once why nothing comes although the agent prints: past this place the end is kept elsewhere until then.
    pub(super) fn explain_silence(&mut self) {
        if self.offset == KEEP && !std::mem::replace(&mut self.held_back, true) {
            say(&paint(DIM, "==> more than 64 MiB; the last 64 MiB of it are shown when the step ends"));
        }
    }

    /// Prints what was held back; nothing more comes. With `line`, an open line is ended too.
    pub(super) fn finish(&mut self, out: &mut dyn Write, line: bool) -> Result<()> {
        if let Some(cleaner) = &mut self.cleaner {
            put(out, cleaner.finish().as_bytes(), &mut self.in_line)?;
        }
        if line && self.in_line {
            put(out, b"\n", &mut self.in_line)?;
        }
        out.flush().map_err(|error| Error::output(&error))
    }
}

fn put(out: &mut dyn Write, bytes: &[u8], in_line: &mut bool) -> Result<()> {
    if let Some(last) = bytes.last() {
        *in_line = *last != b'\n';
        out.write_all(bytes).map_err(|error| Error::output(&error))?;
    }
    Ok(())
}

/// Opens a regular file; `None` when there is none. Links and pipes are not followed: they are nobody's log.
fn open(path: &Path) -> io::Result<Option<File>> {
    match fs::symlink_metadata(path) {
        Ok(facts) if facts.is_file() => {}
        Ok(_) => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    }
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Error {
    Error::failed(format!("{} cannot be read: {error}", path.display()))
}

/// Where the last lines of a file begin. An unfinished line at its end is one of them.
fn last_lines(file: &mut File, lines: u64) -> io::Result<u64> {
    let length = file.seek(SeekFrom::End(0))?;
    if lines == 0 {
        return Ok(length);
    }
    let mut piece = vec![0; PIECE];
    let (mut end, mut seen) = (length, 0);
    while end > 0 {
        let begin = end.saturating_sub(PIECE as u64);
        let part = &mut piece[..(end - begin) as usize];
        file.seek(SeekFrom::Start(begin))?;
        file.read_exact(part)?;
        for (at, byte) in part.iter().enumerate().rev() {
            let place = begin + at as u64;
            if *byte == b'\n' && place + 1 < length {
                seen += 1;
                if seen == lines {
                    return Ok(place + 1);
                }
            }
        }
        end = begin;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        fs::write(&path, bytes).expect("a file");
        (folder, path)
    }

    fn printed(log: &mut Log, path: &Path) -> String {
        let mut out = Vec::new();
        assert!(log.open(&[path.with_extension("gone"), path.to_owned()]).unwrap());
        log.drain(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn it_begins_at_the_last_lines() {
        let long = "x".repeat(PIECE - 1);
        let text = format!("one\n{long}\ntwo\nthree");
        let (_folder, path) = file(text.as_bytes());
        for (lines, expected) in
            [(0, ""), (1, "three"), (2, "two\nthree"), (3, &text[4..]), (4, &text), (9, &text)]
        {
            assert!(printed(&mut Log::new(true, Some(lines)), &path) == expected, "{lines}");
        }
        let (_folder, path) = file(b"one\ntwo\n");
        assert_eq!(printed(&mut Log::new(true, Some(1)), &path), "two\n");
    }

    #[test]
    fn what_is_added_is_printed_and_a_log_that_begins_anew_from_its_start() {
        let (_folder, path) = file(b"caf\xc3");
        let mut log = Log::new(true, None);
        assert_eq!(printed(&mut log, &path), "caf");
        let mut writer = File::options().append(true).open(&path).unwrap();
        writer.write_all(b"\xa9 \x1b[3").unwrap();
        assert_eq!(printed(&mut log, &path), "\u{e9} ");
        writer.write_all(b"1mred\n").unwrap();
        assert_eq!(printed(&mut log, &path), "red\n");
        fs::write(&path, b"new\n").unwrap();
        assert_eq!(printed(&mut log, &path), "new\n");
    }

    #[test]
    fn a_pipe_or_a_link_is_no_log() {
        let (folder, path) = file(b"secret");
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(!Log::new(true, None).open(&[link, folder.path().to_owned()]).unwrap());
    }
}
