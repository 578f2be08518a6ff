//! `loopctl report`.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use loop_core::postmortem;
use loop_core::record;
use loop_core::store::{Store, read_journal};

use crate::cli::Report;
use crate::error::{Error, OK, Result};
use crate::runs::Recorded;
use crate::{printer, runs, view};

/// Bytes of an agent's report that are printed.
const MOST: u64 = 1 << 20;

pub(super) fn run(store: &Store, arguments: &Report) -> Result {
    let recorded = runs::find(store, &arguments.run)?;
    let (decoded, _) = read_journal(&recorded.dir.journal())?;
    let mut text = record::report(&decoded.records, &recorded.dir);
    if arguments.analysis {
        text.push_str(&opinions(&recorded)?);
    }
    printer::data(&text)?;
    // The journal cannot know it.
    if let Some(standing) = view::standing(&recorded, &runs::command(store.root())) {
        printer::say(&standing);
    }
    Ok(OK)
}

/// What the analysing agent wrote, under a heading that says whose word it is.
fn opinions(run: &Recorded) -> Result<String> {
    let mut text = String::from("\n# The opinion of the agent that analysed the run\n");
    let mut none = true;
    for name in postmortem::Report::ALL.map(postmortem::Report::path) {
        let Some(path) = run.file(&name) else { continue };
        let opinion = read(&path)
            .map_err(|error| Error::failed(format!("{} cannot be read: {error}", path.display())))?;
        text.push_str(&format!("\n## {name}, an opinion\n\n{}\n", record::plain(opinion.trim())));
        none = false;
    }
    if none {
        let name = &run.object.metadata.name;
        return Err(Error::failed(format!(
            "no agent has analysed {name}; without --analysis the report of its journal is printed"
        )));
    }
    Ok(text)
}

fn read(path: &Path) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
