//! Where the files of a record are, and what each of them is.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use loop_api::journal::Created;
use loop_api::run::{ArtifactMode, LOG_DIR};

use super::mirror;
use crate::postmortem::Report;
use crate::store::RunDir;

/// Largest file of a record that is copied.
pub(super) const COPIED: u64 = 16 << 20;

/// Folder of a run's copy, in the workspace unless the run's `log_dir` is elsewhere (ART-1).
pub fn copy_folder(created: &Created) -> PathBuf {
    logs(created).join(format!("run-{}", created.run_id))
}

/// The folder that holds such copies (CFG-9).
pub(super) fn logs(created: &Created) -> PathBuf {
    let folder = Some(created.log_dir.as_str()).filter(|folder| !folder.is_empty()).unwrap_or(LOG_DIR);
    Path::new(&created.workspace_root).join(folder)
}

/// Folder in which the files of an ended run are to be looked for (ART-2).
pub fn folder(created: &Created, run: &RunDir) -> PathBuf {
    match created.spec.artifacts.mode {
        ArtifactMode::Workspace => copy_folder(created),
        ArtifactMode::Mirror | ArtifactMode::Global => run.path().to_owned(),
    }
}

/// A file of a record, in the data directory or, when it is not there, in the workspace (ART-4).
pub fn file(run: &RunDir, created: &Created, name: &str) -> Option<PathBuf> {
    [run.join(name), copy_folder(created).join(name)].into_iter().find(|path| path.is_file())
}

/// Takes what an earlier end moved into the workspace back, before the run is gone on with. A file that was altered
/// there stays there.
pub fn bring_back(run: &RunDir, created: &Created) {
    if created.spec.artifacts.mode == ArtifactMode::Workspace {
        let copy = copy_folder(created);
        for (name, sum) in mirror::read_sums(run) {
            if !run.join(&name).exists() {
                // Best effort: a run goes on without its old logs too.
                let _ = mirror::copy(&copy.join(&name), &run.join(&name), &sum);
            }
        }
    }
}

/// Names of all files of a record in its folder, relative to it and sorted, with their sizes. What is no part of the
/// record is left out: the sums themselves, the lock, requests to the engine, sandboxes, and what is half written.
pub fn list(folder: &Path) -> io::Result<Vec<(String, u64)>> {
    let mut found = Vec::new();
    let mut folders = vec![(folder.to_owned(), String::new())];
    while let Some((path, prefix)) = folders.pop() {
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let top = prefix.is_empty();
            if kind.is_dir() && !(top && name == "sandbox") {
                folders.push((entry.path(), format!("{prefix}{name}/")));
            } else if kind.is_file() && !(top && is_own(&name)) && !is_half_written(&name) {
                found.push((format!("{prefix}{name}"), entry.metadata()?.len()));
            }
        }
    }
    found.sort();
    Ok(found)
}

fn is_own(name: &str) -> bool {
    matches!(name, "SHA256SUMS" | "lock" | "cancel" | "pause" | "limits" | "limits.taken" | ".gitignore")
}

/// Files are written beside their place first.
fn is_half_written(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "new")
}

/// What a file of a record is.
pub(super) fn meaning(name: &str) -> &'static str {
    let ends = |end: &str| name.ends_with(end);
    match name {
        "journal.jsonl" => "the run itself, every event, hash-chained",
        "run.log" => "the events as lines for people",
        "report.md" => "this report",
        "report.tsv" => "the run as a table",
        "summary.json" => "how the run ended, for programs",
        "evidence.json" => "what stands behind the completion (loopctl verify replays it)",
        "SHA256SUMS" => "digests of all other files",
        "review-diff.json" => "the work as a list of changed files with their patches",
        "prompt.txt" => "the last prompt of an implementation",
        "review-prompt.txt" => "the last prompt of a review",
        "runner-notes.txt" => "what the last failing gates said",
        "changes.diff" => "base commit to the tip of the run branch",
        "uncommitted.diff" => "what was left uncommitted",
        "agent-script" => "the agent's program",
        "analysis/git-status.txt" => "the worktree at the end, as git status has it",
        "analysis/git-last-commit.txt" | "analysis/git-last-commit.patch" => {
            "the last commit of the run branch"
        }
        "analysis/git-diff.patch" => "what the worktree has beyond that commit",
        _ if Report::ALL.iter().any(|report| report.path() == name) => "an agent's opinion of the run",
        _ if name.starts_with("analysis/") && ends("-prompt.txt") => "what that agent is asked",
        _ if name.starts_with("analysis/") => "part of the analysis",
        _ if name.starts_with("set-aside") => {
            "changes in the worktree that no checkpoint held when the run was taken up"
        }
        _ if name.starts_with("verify/") => "output of a gate",
        _ if name.starts_with("prompt.rewrite.") => "a prompt with the watchdog's advice",
        _ if ends("-review.log") => "output of a reviewer",
        _ if ends("-verify.log") => "results of the gates",
        _ if ends(".tail.txt") => "end of an agent's message",
        _ if ends(".jsonl") => "raw events of an agent",
        _ if ends(".log") => "output of an agent",
        _ => "part of the record",
    }
}
