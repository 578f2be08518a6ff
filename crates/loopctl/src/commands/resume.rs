//! `loopctl resume`.

use loop_api::phase::RunPhase;
use loop_core::store::Store;

use super::drive;
use crate::cli::Resume;
use crate::error::{Error, OK, Result};
use crate::runs::Recorded;
use crate::{printer, runs, view};

pub(super) fn run(store: &Store, arguments: &Resume) -> Result {
    let recorded = runs::find(store, &arguments.one.run)?;
    go_on(store, &recorded, arguments)
}

/// `loopctl retry`: the same, for runs that have ended.
pub(super) fn retry(store: &Store, arguments: &Resume) -> Result {
    let recorded = runs::find(store, &arguments.one.run)?;
    let name = &recorded.object.metadata.name;
    match recorded.state.phase {
        _ if recorded.state.reset => go_on(store, &recorded, arguments),
        RunPhase::Failed | RunPhase::Canceled => go_on(store, &recorded, arguments),
        RunPhase::Completed => {
            Err(Error::usage(format!("{name} is completed; start a new run for more work")))
        }
        _ => Err(Error::usage(format!(
            "{name} has not ended ({}); loopctl resume {name} goes on with it",
            view::word(&recorded)
        ))),
    }
}

fn go_on(store: &Store, recorded: &Recorded, arguments: &Resume) -> Result {
    let Resume { one, detach, quiet } = arguments;
    let name = &recorded.object.metadata.name;
    if recorded.state.reset {
        return Err(Error::usage(format!(
            "{name} was reset: its branch and worktree were given up; start a new run"
        )));
    }
    if recorded.alive {
        if recorded.dir.pause_requested().is_some() {
            recorded.dir.clear_pause();
            printer::data(&format!("{name} goes on; its pause is taken back\n"))?;
            return Ok(OK);
        }
        return Err(Error::usage(format!("{name} is running already, in another process")));
    }
    // Evidence that is gone is written again from the journal.
    if recorded.state.phase == RunPhase::Completed && !view::is_unfinished(recorded) {
        return Err(Error::usage(format!("{name} is completed; there is nothing left to resume")));
    }
    if *detach {
        return super::detach::announce(store, &recorded.uid, one.output);
    }
    let code = drive::to_the_end(store, &recorded.uid, *quiet)?;
    let recorded = runs::find(store, &recorded.uid)?;
    if !printer::object(&recorded.object, one.output)? {
        printer::data(&view::summary::text(&recorded))?;
    }
    Ok(code)
}
