//! `loopctl list` as a table.

use loop_api::run::rfc3339;
use loop_api::usage::Usage;

use super::columns::{Columns, table};
use super::listed_word;
use crate::runs::Listed;

/// Columns that are narrowed or left out where there is no room, the first of them first.
const YIELDING: [&str; 6] = ["REASON", "WORKSPACE", "BRANCH", "STEP", "COST", "CREATED"];

/// The titles of the table.
pub(crate) fn titles(wide: bool) -> Vec<String> {
    let mut titles = vec!["NAME", "PHASE", "STEP", "ITER", "TASKS", "CREATED"];
    if wide {
        titles.extend(["COST", "BRANCH", "WORKSPACE", "REASON"]);
    }
    titles.into_iter().map(str::to_owned).collect()
}

/// The table of runs; with a width no line is longer.
pub(crate) fn runs(runs: &[Listed], wide: bool, width: Option<usize>) -> String {
    let rows = std::iter::once(titles(wide)).chain(runs.iter().map(|run| row(run, wide)));
    table(rows.collect(), width, &YIELDING)
}

/// Rows of a table that is continued; nothing in them is cut.
pub(crate) fn more(columns: &mut Columns, rows: Vec<Vec<String>>) -> Vec<String> {
    columns.lines(rows, None, &[])
}

/// Dollars, `>=` when some agent ended before it said what it used.
pub(crate) fn cost(usage: &Usage) -> String {
    let least = if usage.incomplete > 0 { ">=" } else { "" };
    if usage.is_empty() { "-".into() } else { format!("{least}${}", usage.cost_usd()) }
}

fn or_dash(text: &str) -> String {
    if text.is_empty() { "-".into() } else { text.to_owned() }
}

/// The cells of a run.
pub(crate) fn row(run: &Listed, wide: bool) -> Vec<String> {
    let row = &run.row;
    let mut cells = vec![
        row.name.clone(),
        listed_word(run).to_owned(),
        or_dash(&row.step),
        row.iteration.to_string(),
        format!("{}/{}", row.done, row.total),
        rfc3339(row.created_ms).replace('T', " ").trim_end_matches('Z').to_owned(),
    ];
    if wide {
        cells.push(row.cost.clone());
        cells.push(or_dash(&row.branch));
        cells.push(row.workspace.clone());
        cells.push(or_dash(run.waiting.as_ref().unwrap_or(&row.reason)));
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_that_is_not_all_says_so() {
        let mut usage = Usage::default();
        assert_eq!(cost(&usage), "-");
        usage.cost_nano_usd = 310_000_000;
        assert_eq!(cost(&usage), "$0.31");
        usage.incomplete = 1;
        assert_eq!(cost(&usage), ">=$0.31");
    }
}
