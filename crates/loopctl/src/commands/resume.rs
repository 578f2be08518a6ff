//! `loopctl resume`.

use loop_api::phase::RunPhase;
use loop_core::store::Store;

use super::drive;
use crate::cli::Resume;
use crate::error::{Error, Result};
use crate::{printer, runs, view};

pub(super) fn run(store: &Store, arguments: &Resume) -> Result {
    let Resume { one, quiet } = arguments;
    let recorded = runs::find(store, &one.run)?;
    let name = &recorded.object.metadata.name;
    if recorded.alive {
        return Err(Error::usage(format!("{name} is running already, in another process")));
    }
    // Evidence that is gone is written again from the journal.
    if recorded.state.phase == RunPhase::Completed && !view::is_unfinished(&recorded) {
        return Err(Error::usage(format!("{name} is completed; there is nothing left to resume")));
    }
    let code = drive::to_the_end(store, &recorded.uid, *quiet)?;
    let recorded = runs::find(store, &recorded.uid)?;
    if !printer::object(&recorded.object, one.output)? {
        printer::data(&view::summary::text(&recorded))?;
    }
    Ok(code)
}
