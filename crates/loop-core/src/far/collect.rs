//! What an agent left in its worktree: reported by the far side, believed only as objects that the trusted repository checked.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use super::{Error, HELPER_OUTPUT, HELPER_TIME, Setting, Side, worked};
use crate::exec::{Limits, Sink, Stream};
use crate::git::Trusted;

const COLLECT: &str = include_str!("collect.sh");
const RESTORE: &str = include_str!("restore.sh");
/// Repairs that are kept of what the far side reports.
const MOST_REPAIRS: usize = 10;
/// Longest that a look at the worktree may take while the agent works, or on the way out of a stopped step.
const WATCH_TIME: std::time::Duration = std::time::Duration::from_secs(20);
/// Most bytes of a pack; beyond it the step's result is refused.
const MAX_PACK: u64 = 2 << 30;

/// A worktree of the user's repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worktree {
    /// Where it is.
    pub path: PathBuf,
    /// Its own git folder (`.git/worktrees/NAME`).
    pub git_folder: PathBuf,
    /// The repository's common git folder.
    pub common: PathBuf,
    /// The run branch.
    pub branch: String,
}

/// What was taken in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Collected {
    /// Tip of the run branch.
    pub head: String,
    /// Commit whose tree is the worktree.
    pub snapshot: String,
    /// Whether the worktree holds more than the tip.
    pub uncommitted: bool,
    /// What was put right.
    pub repairs: Vec<String>,
}

impl Side {
    /// Looks at the worktree after a step, or while the agent still works, and takes its objects into the trusted repository.
    pub fn collect(
        &self,
        setting: &Setting,
        worktree: &Worktree,
        trusted: &Trusted,
        known: &[&str],
        repair: bool,
    ) -> Result<Collected, Error> {
        let last = known.first().copied().unwrap_or_default();
        let mode = if repair { "repair" } else { "watch" };
        let (git_folder, common) = (worktree.git_folder.to_string_lossy(), worktree.common.to_string_lossy());
        let folders = setting.folders.join("\n");
        let arguments =
            [&git_folder, &common, worktree.branch.as_str(), last, mode, &self.temporary, &folders];
        let bounds = (HELPER_OUTPUT, if repair { HELPER_TIME } else { WATCH_TIME });
        let captured = self.helper_with(COLLECT, &arguments, b"", &setting.search_path, bounds)?;
        let text = String::from_utf8_lossy(&captured.stdout).into_owned();
        let collected = parse(&text).filter(|_| captured.outcome.success()).ok_or_else(|| Error::Helper {
            what: "reading the worktree",
            detail: format!("{} {}", text.trim(), String::from_utf8_lossy(&captured.stderr).trim()),
        })?;
        self.fetch(setting, trusted, &collected, known)?;
        Ok(collected)
    }

    /// Streams the new objects over and has them checked (`index-pack --strict`).
    fn fetch(
        &self,
        setting: &Setting,
        trusted: &Trusted,
        collected: &Collected,
        known: &[&str],
    ) -> Result<(), Error> {
        let wanted: Vec<&str> = [&*collected.head, &*collected.snapshot]
            .into_iter()
            .filter(|commit| !known.contains(commit))
            .collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let mut revisions = wanted.join("\n");
        for commit in known {
            revisions.push_str("\n^");
            revisions.push_str(commit);
        }
        revisions.push('\n');
        let argv =
            ["git", "-c", "core.fsmonitor=false", "pack-objects", "--revs", "--stdout", "--thin", "-q"]
                .map(str::to_owned)
                .to_vec();
        let limits = Limits { total: HELPER_TIME * 5, idle: None, term_grace: Duration::from_secs(2) };
        let mut request =
            self.request(argv, &[("PATH", self.path(&setting.search_path))], revisions.into_bytes(), limits);
        request.sweep = false;
        let pack = setting.sandboxes.join("incoming.pack");
        let failed = |error| Error::Io { path: pack.clone(), error };
        let mut sink =
            PackFile { file: File::create(&pack).map_err(failed)?, written: 0, complaint: Vec::new() };
        let outcome = self.client().run(&request, &mut sink, &|| false)?;
        if !outcome.success() {
            let detail = String::from_utf8_lossy(&sink.complaint).trim().to_owned();
            return Err(Error::Helper { what: "packing the agent's commits", detail });
        }
        let indexed = trusted.index_pack(&pack).map_err(|error| Error::Helper {
            what: "checking the agent's commits",
            detail: error.to_string(),
        });
        fs::remove_file(&pack).map_err(failed)?;
        indexed
    }

    /// Puts the worktree back to a checkpoint, also when what is there is damaged.
    pub fn restore(
        &self,
        setting: &Setting,
        worktree: &Worktree,
        checkpoint: (&str, &str),
    ) -> Result<(), Error> {
        let (git_folder, common) = (worktree.git_folder.to_string_lossy(), worktree.common.to_string_lossy());
        let (trusted, folders) = (setting.trusted.to_string_lossy(), setting.folders.join("\n"));
        let (head, snapshot) = checkpoint;
        let arguments = [&git_folder, &common, worktree.branch.as_str(), head, snapshot, &trusted, &folders];
        let captured = self.helper(RESTORE, &arguments, b"", &setting.search_path)?;
        worked(&captured, "restoring the worktree")
    }

    /// Commits one file of the worktree with new content, on the far side.
    pub fn commit_file(
        &self,
        path: &str,
        content: &str,
        message: &str,
        search_path: &str,
    ) -> Result<(), Error> {
        const SCRIPT: &str = r#"rm -f -- "$1" && cat > "$1" && git -c core.hooksPath=/dev/null add --sparse -- "$1" \
            && git -c user.name=loop -c user.email=loop@localhost -c core.hooksPath=/dev/null -c commit.gpgSign=false commit -q --no-verify -m "$2" -- "$1""#;
        let captured = self.helper(SCRIPT, &[path, message], content.as_bytes(), search_path)?;
        worked(&captured, "unticking the plan")
    }
}

fn parse(text: &str) -> Option<Collected> {
    let mut collected = Collected::default();
    for line in text.lines() {
        match line.split_once(' ')? {
            ("repair", what) if collected.repairs.len() < MOST_REPAIRS => {
                collected.repairs.push(what.chars().take(300).collect());
            }
            ("repair", _) => {}
            ("head", commit) => collected.head = object_id(commit)?,
            ("snapshot", commit) => collected.snapshot = object_id(commit)?,
            ("uncommitted", flag) => collected.uncommitted = flag == "1",
            _ => return None,
        }
    }
    (!collected.head.is_empty() && !collected.snapshot.is_empty()).then_some(collected)
}

/// The far side's words go into git's arguments, so nothing but an object id passes.
fn object_id(text: &str) -> Option<String> {
    let plain = matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    plain.then(|| text.to_owned())
}

struct PackFile {
    file: File,
    written: u64,
    complaint: Vec<u8>,
}

impl Sink for PackFile {
    fn write(&mut self, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        if matches!(stream, Stream::Stderr) {
            let room = 4096_usize.saturating_sub(self.complaint.len()).min(bytes.len());
            self.complaint.extend_from_slice(&bytes[..room]);
            return Ok(());
        }
        self.written += bytes.len() as u64;
        if self.written > MAX_PACK {
            return Err(io::Error::other("the agent's commits are larger than 2 GiB"));
        }
        self.file.write_all(bytes)
    }
}

#[cfg(test)]
mod tests;
