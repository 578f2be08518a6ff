//! The record of a run as an analyst sees it: where it is on this machine, and as copies in a container, which sees none
//! of the engine's files.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use super::{Error, Setting, Side, worked};

/// Folder in that of an analyst with copies of the record.
pub(super) const FOLDER: &str = "record";
/// Writes its input to a file.
const SHOW: &str = r#"mkdir -p -- "${1%/*}" && cat >"$1""#;
/// Most bytes of one file that are copied.
const MOST: u64 = 8 << 20;

impl Setting {
    /// Where an analyst finds the record of a run that is in `run`.
    pub fn shown_record(&self, run: &Path) -> PathBuf {
        self.containers().map_or_else(|| run.to_owned(), |at| at.far.join("analysis").join(FOLDER))
    }
}

impl Side {
    /// Copies files of a record to where the side can read them, if it cannot read the record itself; of a large one
    /// the end.
    ///
    /// # Errors
    /// When the side cannot be reached, or a file cannot be written there.
    pub fn show_record(&self, setting: &Setting, run: &Path, names: &[String]) -> Result<(), Error> {
        if !self.contained {
            return Ok(());
        }
        for name in names {
            // What was not written is not there for who looks on this machine either.
            let Ok(content) = end(&run.join(name)) else { continue };
            let place = setting.shown_record(run).join(name);
            let captured = self.helper(SHOW, &[&place.to_string_lossy()], &content, &setting.search_path)?;
            worked(&captured, "showing the record")?;
        }
        Ok(())
    }
}

/// The last bytes of a file.
fn end(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(file.metadata()?.len().saturating_sub(MOST)))?;
    let mut content = Vec::new();
    file.take(MOST).read_to_end(&mut content)?;
    Ok(content)
}
