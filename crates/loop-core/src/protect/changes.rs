//! Reading `git diff-tree -r -z -M --raw`: the one parser of git's lists of changes.

use super::Error;

/// Mode of another repository in a tree.
const NESTED: &[u8] = b"160000";

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

/// One changed path. Bytes of a name that are not UTF-8 are replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What happened.
    pub status: ChangeStatus,
    /// The path, by its new name if it was renamed.
    pub path: String,
    /// The old name of a renamed file.
    pub old_path: Option<String>,
    /// What stands there now is another repository.
    pub nested: bool,
}

/// Reads the output of `git diff-tree -r -z -M --raw`.
pub fn parse_raw(bytes: &[u8]) -> Result<Vec<Change>, Error> {
    // Every field ends with a NUL, so output that does not was cut off.
    let Some(bytes) = bytes.strip_suffix(b"\0") else {
        return if bytes.is_empty() { Ok(Vec::new()) } else { Err(Error::CutShort) };
    };
    let mut fields = bytes.split(|byte| *byte == 0);
    let mut changes = Vec::new();
    while let Some(facts) = fields.next() {
        // `:MODE MODE BLOB BLOB STATUS`, and then one path, or two for a rename.
        let unknown = || Error::Entry(String::from_utf8_lossy(facts).chars().take(200).collect());
        let mut words = facts.strip_prefix(b":").ok_or_else(unknown)?.split(|byte| *byte == b' ');
        let (Some(mode), Some(code)) = (words.nth(1), words.nth(2)) else { return Err(unknown()) };
        let mut path = || {
            let raw = fields.next().filter(|raw| !raw.is_empty()).ok_or(Error::CutShort)?;
            Ok(String::from_utf8_lossy(raw).into_owned())
        };
        let (status, old_path) = match code.first() {
            Some(b'A') => (ChangeStatus::Added, None),
            // An unmerged path cannot come from two commits; taken as modified it is checked all the same.
            Some(b'M' | b'U') => (ChangeStatus::Modified, None),
            Some(b'D') => (ChangeStatus::Deleted, None),
            Some(b'T') => (ChangeStatus::TypeChanged, None),
            Some(b'R') => (ChangeStatus::Renamed, Some(path()?)),
            Some(b'C') => {
                path()?;
                (ChangeStatus::Added, None)
            }
            _ => return Err(unknown()),
        };
        changes.push(Change { status, path: path()?, old_path, nested: mode == NESTED });
    }
    Ok(changes)
}
