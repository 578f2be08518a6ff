//! `loopctl list`.

use loop_core::store::Store;

use crate::cli::{Listing, Output};
use crate::error::{OK, Result};
use crate::{printer, runs, view};

pub(super) fn run(store: &Store, arguments: &Listing) -> Result {
    let (runs, left_out) = runs::all(store)?;
    let objects: Vec<_> = runs.iter().map(|run| run.object.clone()).collect();
    if printer::list(&objects, arguments.output)? {
        return Ok(OK);
    }
    if runs.is_empty() && left_out {
        return Ok(OK);
    }
    if runs.is_empty() {
        printer::say(
            "no runs yet; `loopctl demo` shows one, `loopctl run --help` says how to start your own",
        );
        return Ok(OK);
    }
    printer::data(&view::table::runs(&runs, arguments.output == Some(Output::Wide)))?;
    Ok(OK)
}
