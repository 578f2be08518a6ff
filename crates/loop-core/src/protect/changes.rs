//! Reading `git diff --name-status -z -M`.

use super::Error;

/// What happened to a file between two commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeStatus {
    /// The file is new; a copy of another file counts as new too.
    Added,
    /// The content or the mode changed.
    Modified,
    /// The file is gone.
    Deleted,
    /// The file has another name now.
    Renamed,
    /// A file became a link or a submodule, or the other way round.
    TypeChanged,
}

/// One changed path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What happened.
    pub status: ChangeStatus,
    /// The path, by its new name if it was renamed.
    pub path: String,
    /// The old name of a renamed file.
    pub old_path: Option<String>,
    /// A name was not UTF-8; the bytes that were not are replaced in the paths here.
    pub lossy: bool,
}

/// Reads the output of `git diff --name-status -z -M`.
pub fn parse_name_status(bytes: &[u8]) -> Result<Vec<Change>, Error> {
    // Every field ends with a NUL, so output that does not was cut off.
    let Some(bytes) = bytes.strip_suffix(b"\0") else {
        return if bytes.is_empty() { Ok(Vec::new()) } else { Err(Error::CutShort) };
    };
    let mut fields = bytes.split(|byte| *byte == 0);
    let mut changes = Vec::new();
    while let Some(code) = fields.next() {
        let letter = code.first().copied().unwrap_or(b' ');
        let mut lossy = false;
        let mut path = || {
            let raw = fields.next().filter(|raw| !raw.is_empty()).ok_or(Error::CutShort)?;
            let text = String::from_utf8_lossy(raw);
            lossy |= matches!(text, std::borrow::Cow::Owned(_));
            Ok(text.into_owned())
        };
        let (status, old_path) = match letter {
            b'A' => (ChangeStatus::Added, None),
            // An unmerged path cannot come from two commits; taken as modified it is checked all the same.
            b'M' | b'U' => (ChangeStatus::Modified, None),
            b'D' => (ChangeStatus::Deleted, None),
            b'T' => (ChangeStatus::TypeChanged, None),
            b'R' => (ChangeStatus::Renamed, Some(path()?)),
            b'C' => {
                path()?;
                (ChangeStatus::Added, None)
            }
            _ => return Err(Error::Status(String::from_utf8_lossy(code).chars().take(40).collect())),
        };
        let path = path()?;
        changes.push(Change { status, path, old_path, lossy });
    }
    Ok(changes)
}
