//! `loopctl reset`.

use std::path::Path;

use loop_api::journal::Event;
use loop_core::engine::unfinished;
use loop_core::git::Trusted;
use loop_core::store::{Journal, Store};
use loop_core::tidy;

use super::{cancel, worktrees};
use crate::cli::Reset;
use crate::error::{Error, FAILED, OK, Result};
use crate::runs::{self, Recorded};
use crate::{ask, printer};

pub(super) fn run(store: &Store, arguments: &Reset) -> Result {
    let recorded = runs::find(store, &arguments.one.run)?;
    let name = recorded.object.metadata.name.clone();
    if !recorded.state.reset {
        ask::confirm(&question(store, &recorded)?, arguments.yes)?;
        if !recorded.state.phase.is_terminal() {
            cancel::stop(store, &recorded.uid)?;
        }
        note(store, &recorded.uid, &name)?;
    }
    // Also when it was reset before: something may have been in the way then (RUN-75, RUN-76).
    let left = give_up(store, &recorded)?;
    for sentence in &left {
        printer::say(&format!("warning: {sentence}"));
    }
    let recorded = runs::find(store, &recorded.uid)?;
    if !printer::object(&recorded.object, arguments.one.output)? {
        printer::data(&format!("{name} reset\n"))?;
    }
    Ok(if left.is_empty() { OK } else { FAILED })
}

fn question(store: &Store, run: &Recorded) -> Result<String> {
    let name = &run.object.metadata.name;
    let facts = run.state.worktree.as_ref().or(run.state.creating.as_ref());
    let what = facts.map_or_else(
        || "has neither branch nor worktree yet".to_owned(),
        |facts| format!("loses its branch {} and its worktree {}", facts.run_branch, facts.worktree_path),
    );
    let cancel = if run.state.phase.is_terminal() { "" } else { " is canceled," };
    let lost = match worktrees::lost(store, run)? {
        Some(reason) => format!(" What is lost with the worktree: {reason}."),
        None => String::new(),
    };
    Ok(format!("{name}{cancel} {what}, and can never be resumed.{lost}"))
}

/// Puts it into the journal, which from then on refuses every further try.
fn note(store: &Store, uid: &str, name: &str) -> Result<()> {
    let dir = store.run(uid);
    let Some(_lock) = dir.lock()? else {
        return Err(Error::usage(format!(
            "an engine still works on {name}, perhaps its postmortem; try again when it is done"
        )));
    };
    let mut journal = Journal::open(&dir)?;
    for event in unfinished(&dir, journal.state()) {
        journal.append(event)?;
    }
    if !journal.state().reset {
        journal.append(Event::RunReset)?;
    }
    Ok(())
}

/// Removes worktree and branch, best effort; gives a sentence for each thing that stays.
fn give_up(store: &Store, run: &Recorded) -> Result<Vec<String>> {
    let state = &run.state;
    let (Some(created), Some(facts)) = (&state.created, state.worktree.as_ref().or(state.creating.as_ref()))
    else {
        return Ok(Vec::new());
    };
    if let Some(other) = runs::successor(store, &run.uid, &facts.worktree_path, &facts.run_branch)? {
        return Ok(vec![format!("{} and its worktree are {other}'s by now and stay", facts.run_branch)]);
    }
    let root = Path::new(&created.workspace_root);
    if !root.exists() {
        return Ok(vec![format!("{} is gone, and with it the run's branch", root.display())]);
    }
    let mut left = Vec::new();
    left.extend(tidy::remove_worktree(root, Path::new(&facts.worktree_path)).err());
    let trusted = Trusted::open(&store.trusted_repository(root), &run.uid).map_err(|error| error.to_string());
    left.extend(trusted.and_then(|trusted| tidy::delete_branch(root, &facts.run_branch, &trusted)).err());
    if left.is_empty() {
        left.extend(tidy::unmark(root, &run.uid).err().map(|error| error.to_string()));
    }
    Ok(left)
}
