//! What git knows of an ended run, from the trusted repository alone: `review-diff.json` (ART-15) and a picture of the
//! worktree in `analysis/` (ART-30).

use std::fs;

use loop_api::phase::RunPhase;
use serde::Serialize;

use crate::git::{Git, Trusted};
use crate::machine::State;
use crate::protect::{self, Change, ChangeStatus};
use crate::store::{RunDir, replace_file};

/// Largest `review-diff.json`.
const REVIEW_DIFF: usize = 50 << 20;
/// Largest file of the picture.
const PICTURE: usize = 8 << 20;

/// Options of every diff: no configuration or program of anybody's has a say.
const DIFF: [&str; 4] = ["--no-ext-diff", "--no-textconv", "--no-color", "--full-index"];

/// The work of a completed run.
#[derive(Serialize)]
struct ReviewDiff {
    base_sha: String,
    head_sha: String,
    additions: u64,
    deletions: u64,
    files: Vec<ChangedFile>,
}

#[derive(Serialize)]
struct ChangedFile {
    /// Its name now; that of before when it is gone.
    path: String,
    /// Its name before, when it was renamed; null otherwise.
    old_path: Option<String>,
    /// `added`, `modified`, `deleted`, `renamed` or `type_changed`.
    status: &'static str,
    /// Lines; null for a binary file.
    additions: Option<u64>,
    deletions: Option<u64>,
    patch: String,
}

/// Writes what git knows; each failure is a sentence and costs one file.
pub(super) fn write(run: &RunDir, state: &State, trusted: &Trusted) -> Vec<String> {
    let (Some(facts), Some((head, snapshot))) = (&state.worktree, &state.checkpoint) else {
        return Vec::new();
    };
    let git = trusted.git();
    let mut notes = Vec::new();
    let mut keep = |name: &str, content: Result<Vec<u8>, String>| {
        let path = run.join(name);
        let written = content.and_then(|bytes| {
            path.parent().map_or(Ok(()), fs::create_dir_all).map_err(|error| error.to_string())?;
            replace_file(&path, &bytes).map_err(|error| error.to_string())
        });
        if let Err(error) = written {
            notes.push(format!("{name} could not be written: {error}"));
        }
    };
    let show =
        |more: &[&str]| picture(git, &[&["show", "--format=fuller"], &DIFF[..], more, &[head.as_str()]]);
    keep("analysis/git-status.txt", status(trusted, &facts.run_branch, head, snapshot));
    keep("analysis/git-last-commit.txt", show(&["--stat"]));
    keep("analysis/git-last-commit.patch", show(&["--patch"]));
    keep("analysis/git-diff.patch", picture(git, &[&["diff"], &DIFF[..], &[head, snapshot]]));
    if state.phase == RunPhase::Completed {
        let head = state.granted.as_ref().map_or(head, |granted| &granted.commit);
        match review_diff(git, &facts.base_commit, head) {
            Ok(Some(bytes)) => keep("review-diff.json", Ok(bytes)),
            Ok(None) => {}
            Err(error) => keep("review-diff.json", Err(error)),
        }
    }
    notes
}

/// Output of a command, cut where it is too long, which it then says.
fn picture(git: &Git, parts: &[&[&str]]) -> Result<Vec<u8>, String> {
    let (mut bytes, more) = git.run_capped(&parts.concat(), PICTURE).map_err(|error| error.to_string())?;
    if more {
        bytes.extend(format!("\n[cut off here, after {} MiB]\n", PICTURE >> 20).bytes());
    }
    Ok(bytes)
}

/// The worktree against its commit as `git status --short --branch` has it: nothing is staged in a snapshot, so what is
/// new in it was untracked.
fn status(trusted: &Trusted, branch: &str, head: &str, snapshot: &str) -> Result<Vec<u8>, String> {
    let arguments = ["diff-tree", "-r", "-z", "--no-renames", "--raw", "--no-commit-id", head, snapshot];
    let raw = trusted.git().run(&arguments).map_err(|error| error.to_string())?;
    let mut text = format!("## {branch}\n");
    for change in protect::parse_raw(&raw).map_err(|error| error.to_string())? {
        let code = match change.status {
            ChangeStatus::Added => "??",
            ChangeStatus::Deleted => " D",
            ChangeStatus::TypeChanged => " T",
            ChangeStatus::Modified | ChangeStatus::Renamed => " M",
        };
        if text.len() > PICTURE {
            text.push_str("[cut off here]\n");
            break;
        }
        text.push_str(&format!("{code} {}\n", quoted(&change.path)));
    }
    Ok(text.into_bytes())
}

/// A path on a line of its own, in quotes where git would put them.
fn quoted(path: &str) -> String {
    if path.chars().any(|sign| sign.is_control() || matches!(sign, ' ' | '"' | '\\')) {
        format!("\"{}\"", path.escape_default())
    } else {
        path.to_owned()
    }
}

/// The difference of two commits; `None` when it is too large.
fn review_diff(git: &Git, base: &str, head: &str) -> Result<Option<Vec<u8>>, String> {
    let run = |what: &[&str]| {
        let parts: [&[&str]; 4] = [&["diff", "-M"], &DIFF, what, &[base, head]];
        git.run_capped(&parts.concat(), REVIEW_DIFF).map_err(|error| error.to_string())
    };
    let ((raw, more_raw), (numbers, more_numbers)) = (run(&["-z", "--raw"])?, run(&["-z", "--numstat"])?);
    let (patches, more_patches) = run(&["--patch"])?;
    if more_raw || more_numbers || more_patches {
        return Ok(None);
    }
    let changes = protect::parse_raw(&raw).map_err(|error| error.to_string())?;
    let numbers = numstat(&numbers)?;
    let mut patches = split(&patches).into_iter();
    let mut files = Vec::new();
    for (change, (additions, deletions)) in changes.iter().zip(&numbers) {
        // A file that became a link, or the other way round, goes and comes.
        let parts = if change.status == ChangeStatus::TypeChanged { 2 } else { 1 };
        let patch: Vec<u8> = patches.by_ref().take(parts).flatten().copied().collect();
        files.push(file(change, *additions, *deletions, &patch));
    }
    if numbers.len() != changes.len() || patches.next().is_some() {
        return Err("git's lists of changes do not fit together".into());
    }
    let sum = |of: fn(&ChangedFile) -> Option<u64>| files.iter().filter_map(of).sum();
    let diff = ReviewDiff {
        base_sha: base.to_owned(),
        head_sha: head.to_owned(),
        additions: sum(|file| file.additions),
        deletions: sum(|file| file.deletions),
        files,
    };
    let mut bytes = serde_json::to_vec_pretty(&diff).map_err(|error| error.to_string())?;
    bytes.push(b'\n');
    Ok(Some(bytes).filter(|bytes| bytes.len() <= REVIEW_DIFF))
}

fn file(change: &Change, additions: Option<u64>, deletions: Option<u64>, patch: &[u8]) -> ChangedFile {
    ChangedFile {
        path: change.path.clone(),
        old_path: change.old_path.clone(),
        status: match change.status {
            ChangeStatus::Added => "added",
            ChangeStatus::Modified => "modified",
            ChangeStatus::Deleted => "deleted",
            ChangeStatus::Renamed => "renamed",
            ChangeStatus::TypeChanged => "type_changed",
        },
        additions,
        deletions,
        patch: String::from_utf8_lossy(patch).into_owned(),
    }
}

/// Lines added and deleted.
type Numbers = (Option<u64>, Option<u64>);

/// Lines added and deleted of each file, from `git diff -z --numstat`; `None` for binary ones.
fn numstat(bytes: &[u8]) -> Result<Vec<Numbers>, String> {
    let mut fields = bytes.split(|byte| *byte == 0);
    let mut numbers = Vec::new();
    while let Some(field) = fields.next().filter(|field| !field.is_empty()) {
        let text = String::from_utf8_lossy(field);
        let mut words = text.splitn(3, '\t');
        let (Some(added), Some(deleted), Some(path)) = (words.next(), words.next(), words.next()) else {
            return Err("git diff --numstat answered something unexpected".into());
        };
        // A renamed file has both its names in fields of their own.
        if path.is_empty() {
            fields.nth(1);
        }
        numbers.push((added.parse().ok(), deleted.parse().ok()));
    }
    Ok(numbers)
}

/// One patch per file, in the order of the lists. Lines of content begin with a sign of their own and never look like
/// the line that begins a patch.
fn split(patches: &[u8]) -> Vec<&[u8]> {
    const BEGIN: &[u8] = b"diff --git ";
    let mut starts: Vec<usize> = Vec::new();
    let mut at = 0;
    for line in patches.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(BEGIN) {
            starts.push(at);
        }
        at += line.len();
    }
    let ends = starts.iter().skip(1).copied().chain([patches.len()]);
    starts.iter().zip(ends).map(|(start, end)| &patches[*start..end]).collect()
}

#[cfg(test)]
mod tests;
