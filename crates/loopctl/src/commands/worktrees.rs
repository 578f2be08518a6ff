//! `loopctl worktrees` and `loopctl worktree-rm` (WT-23).

use std::path::{Path, PathBuf};

use loop_api::journal::{Event, Outcome, Record};
use loop_core::store::{Store, read_journal};
use loop_core::tidy::{self, Worktree};

use super::{cancel, drive};
use crate::cli::{WorktreeRm, Worktrees};
use crate::error::{Error, OK, Result};
use crate::printer;
use crate::runs::{self, Listed};
use crate::view::columns::table;
use crate::view::listed_word;

pub(super) fn list(store: &Store, arguments: &Worktrees) -> Result {
    let (all, _) = runs::all(store)?;
    let folder = arguments.workspace.clone().map_or_else(drive::directory, Ok)?;
    let root = runs::workspace_of(&folder, &all).ok_or_else(|| {
        Error::usage(format!("{} is in no git repository; name one with --workspace", folder.display()))
    })?;
    let found = tidy::worktrees(&root).map_err(|error| Error::failed(error.to_string()))?;
    printer::data(&text(&found, &all, printer::width()))?;
    Ok(OK)
}

/// The table of worktrees.
pub(crate) fn text(found: &[Worktree], all: &[Listed], width: Option<usize>) -> String {
    let mut rows = vec![["PATH", "BRANCH", "PHASE", "RUN"].map(str::to_owned).to_vec()];
    for worktree in found {
        let owner = owner(all, &worktree.path);
        rows.push(vec![
            runs::shown(&worktree.path),
            worktree.branch.clone().unwrap_or_else(|| "-".into()),
            owner.map_or("-", listed_word).to_owned(),
            owner.map_or("-", |run| &run.row.name).to_owned(),
        ]);
    }
    table(rows, width, &["BRANCH"])
}

/// The run that a worktree is for.
fn owner<'a>(all: &'a [Listed], path: &Path) -> Option<&'a Listed> {
    all.iter().find(|run| !run.row.worktree.is_empty() && Path::new(&run.row.worktree) == path)
}

pub(super) fn remove(store: &Store, arguments: &WorktreeRm) -> Result {
    let (all, _) = runs::all(store)?;
    let given = absolute(&arguments.path)?;
    let shown = runs::shown(&given);
    let Some(listed) = owner(&all, &given) else {
        return Err(Error::usage(format!(
            "{shown} is not the worktree of a recorded run; loopctl worktrees shows those, git worktree remove removes \
             others"
        )));
    };
    let name = listed.row.name.clone();
    let uid = listed.row.uid.clone();
    if !listed.row.phase.is_terminal() {
        if !arguments.force {
            return Err(Error::usage(format!(
                "{name} is not over ({}) and {shown} is its worktree; cancel it first, or let -f do so",
                listed_word(listed)
            )));
        }
        cancel::stop(store, &uid)?;
    }
    let run = runs::find(store, &uid)?;
    let Some(_lock) = run.dir.lock()? else {
        return Err(Error::usage(format!("an engine still works on {name}; try again when it is done")));
    };
    let root = PathBuf::from(&listed.row.workspace);
    if !arguments.force
        && let Some(reason) = lost(store, &run)?
    {
        return Err(Error::usage(format!("{shown} stays: {reason}; -f removes it all the same")));
    }
    tidy::remove_worktree(&root, &given).map_err(Error::failed)?;
    let branch = &listed.row.branch;
    printer::data(&format!("{shown} removed; {branch} stays\n"))?;
    if run.state.phase != loop_api::phase::RunPhase::Completed {
        let loopctl = runs::command(store.root());
        printer::say(&format!("{loopctl} resume {name} would make it again from the last checkpoint"));
    }
    Ok(OK)
}

/// A path as it would be listed; what it names may be gone.
fn absolute(path: &Path) -> Result<PathBuf> {
    let absolute = drive::directory()?.join(path);
    let resolved = absolute.parent().and_then(|parent| parent.canonicalize().ok());
    Ok(match (resolved, absolute.file_name()) {
        (Some(parent), Some(name)) => parent.join(name),
        _ => absolute.canonicalize().unwrap_or(absolute),
    })
}

/// When the engine last took the worktree in.
fn last_checkpoint(records: &[Record]) -> i64 {
    let takes = |event: &Event| {
        matches!(
            event,
            Event::Checkpoint { .. }
                | Event::CheckpointRestored { .. }
                | Event::WorktreeCreated(_)
                | Event::StepFinished { outcome: Outcome::Implemented(_), .. }
        )
    };
    records.iter().rev().find(|record| takes(&record.event)).map_or(0, |record| record.ts)
}

/// What would be lost with the worktree of a run.
pub(super) fn lost(store: &Store, run: &runs::Recorded) -> Result<Option<String>> {
    let Some(facts) = &run.state.created else { return Ok(None) };
    let trusted = runs::trusted(store, Path::new(&facts.workspace_root), &run.uid).ok().flatten();
    let since = last_checkpoint(&read_journal(&run.dir.journal())?.0.records);
    Ok(tidy::uncommitted(&run.state, trusted.as_ref(), since))
}
