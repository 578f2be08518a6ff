//! `loopctl list --watch`.

use std::collections::HashMap;
use std::time::Duration;

use console::Term;
use loop_core::control::Signals;
use loop_core::store::Store;

use super::super::drive;
use super::{choose, counted, drawing, nothing};
use crate::cli::{Listing, Output};
use crate::error::{Error, Result};
use crate::printer;
use crate::runs::{self, Listed};
use crate::view::columns::Columns;
use crate::view::table;

/// Between two looks at the runs.
const PAUSE: Duration = Duration::from_secs(1);
/// Between two looks for a signal.
const GLANCE: Duration = Duration::from_millis(50);

pub(super) fn run(store: &Store, arguments: &Listing) -> Result {
    drive::with_signals(|signals| match drawing() {
        Some(term) => draw(store, arguments, &signals, &term),
        None => add(store, arguments, &signals),
    })
}

/// Waits; `Some` is the exit code for a signal that came.
fn pause(signals: &Signals) -> Result<Option<u8>> {
    let mut left = PAUSE;
    loop {
        if let Some(signal) = signals.raised() {
            return Ok(Some(drive::code_of(signal)));
        }
        if left.is_zero() {
            return Ok(None);
        }
        printer::reader()?;
        std::thread::sleep(GLANCE);
        left = left.saturating_sub(GLANCE);
    }
}

/// Draws the table over the one before whenever it is another.
fn draw(store: &Store, arguments: &Listing, signals: &Signals, term: &Term) -> Result {
    let mut shown: Option<Vec<String>> = None;
    loop {
        let (all, _) = runs::scan(store)?;
        let (height, width) = term.size();
        let lines = screen(&all, arguments, usize::from(height), usize::from(width));
        if shown.as_ref() != Some(&lines) {
            let said = (|| {
                term.clear_last_lines(shown.as_ref().map_or(0, Vec::len))?;
                lines.iter().try_for_each(|line| term.write_line(line))
            })();
            said.map_err(|error| Error::output(&error))?;
            shown = Some(lines);
        }
        if let Some(code) = pause(signals)? {
            return Ok(code);
        }
    }
}

/// What fits on a screen: the table's first lines, and how many runs there are.
fn screen(all: &[Listed], arguments: &Listing, height: usize, width: usize) -> Vec<String> {
    let (chosen, matching) = choose(all, arguments);
    if chosen.is_empty() {
        return vec![nothing(all).to_owned()];
    }
    // The titles, the count, and the line on which the cursor stands.
    let room = height.saturating_sub(3).max(1);
    let rows = &chosen[..chosen.len().min(room)];
    let wide = arguments.output == Some(Output::Wide);
    let text = table::runs(rows, wide, Some(width.saturating_sub(1)));
    text.lines().map(str::to_owned).chain([counted(rows.len(), matching)]).collect()
}

/// Adds rows that are new or others than before.
fn add(store: &Store, arguments: &Listing, signals: &Signals) -> Result {
    let wide = arguments.output == Some(Output::Wide);
    let mut columns = Columns::default();
    let mut shown: HashMap<String, Vec<String>> = HashMap::new();
    let (mut titles, mut said) = (Some(table::titles(wide)), false);
    loop {
        let (all, _) = runs::scan(store)?;
        let (chosen, _) = choose(&all, arguments);
        let mut rows: Vec<Vec<String>> = Vec::new();
        for run in &chosen {
            let row = table::row(run, wide);
            if shown.get(&run.row.uid) != Some(&row) {
                shown.insert(run.row.uid.clone(), row.clone());
                rows.push(row);
            }
        }
        if chosen.is_empty() && !said {
            said = true;
            printer::say(nothing(&all));
        }
        if !rows.is_empty() {
            rows.splice(0..0, titles.take());
            let lines = table::more(&mut columns, rows);
            printer::data(&lines.iter().map(|line| format!("{line}\n")).collect::<String>())?;
        }
        if let Some(code) = pause(signals)? {
            return Ok(code);
        }
    }
}
