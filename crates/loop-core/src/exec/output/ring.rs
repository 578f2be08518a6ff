//! The last bytes of a stream, in a file of fixed size.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// A ring of `size` bytes; the file exists only once something was written.
#[derive(Debug)]
pub(super) struct Ring {
    path: PathBuf,
    file: Option<File>,
    size: u64,
    written: u64,
}

impl Ring {
    pub(super) fn beside(path: &Path, size: u64) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Self { path: path.with_file_name(format!(".{name}.ring")), file: None, size, written: 0 }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        // What would be overwritten by the rest of the same write is skipped.
        let skipped = (bytes.len() as u64).saturating_sub(self.size);
        self.written += skipped;
        let mut rest = &bytes[skipped as usize..];
        while !rest.is_empty() {
            let at = self.written % self.size;
            let fits = rest.len().min((self.size - at) as usize);
            self.open()?.write_all_at(&rest[..fits], at)?;
            self.written += fits as u64;
            rest = &rest[fits..];
        }
        Ok(())
    }

    pub(super) fn dropped(&self) -> u64 {
        self.written.saturating_sub(self.size)
    }

    /// Appends what the ring holds to `to`, oldest byte first, and removes the ring.
    pub(super) fn drain(&mut self, to: &mut File) -> io::Result<()> {
        let Some(mut file) = self.file.take() else {
            return Ok(());
        };
        let oldest = if self.written > self.size { self.written % self.size } else { 0 };
        let held = self.written.min(self.size);
        let copied = copy(&mut file, oldest, held - oldest, to).and_then(|()| copy(&mut file, 0, oldest, to));
        fs::remove_file(&self.path)?;
        copied
    }

    fn open(&mut self) -> io::Result<&File> {
        if self.file.is_none() {
            let mut options = File::options();
            let options = options.read(true).write(true).create(true).truncate(true);
            self.file = Some(options.open(&self.path)?);
        }
        self.file.as_ref().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

fn copy(from: &mut File, start: u64, length: u64, to: &mut File) -> io::Result<()> {
    from.seek(SeekFrom::Start(start))?;
    io::copy(&mut from.take(length), to)?;
    Ok(())
}
