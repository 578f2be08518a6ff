//! `loopctl inspect`.

use loop_core::store::{Store, read_journal};

use crate::cli::One;
use crate::error::{OK, Result};
use crate::{printer, runs, view};

pub(super) fn run(store: &Store, arguments: &One) -> Result {
    let recorded = runs::find(store, &arguments.run)?;
    if printer::object(&recorded.object, arguments.output)? {
        return Ok(OK);
    }
    let (decoded, _) = read_journal(&recorded.dir.journal())?;
    printer::data(&view::inspect::text(&recorded, &decoded.records))?;
    Ok(OK)
}
