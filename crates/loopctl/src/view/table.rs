//! `loopctl list` as a table, in the manner of kubectl: no borders, columns by content.

use loop_api::usage::Usage;
use loop_core::object::tasks;

use super::{clean, word};
use crate::runs::Recorded;

/// The table of runs.
pub(crate) fn runs(runs: &[Recorded], wide: bool) -> String {
    let mut header = vec!["NAME", "PHASE", "STEP", "ITER", "TASKS", "CREATED"];
    if wide {
        header.extend(["COST", "BRANCH", "WORKSPACE", "REASON"]);
    }
    let mut rows = vec![header.into_iter().map(str::to_owned).collect::<Vec<_>>()];
    rows.extend(runs.iter().map(|run| row(run, wide)));
    let columns = rows[0].len();
    let widths: Vec<usize> =
        (0..columns).map(|at| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text.push_str(cells.join("   ").trim_end());
        text.push('\n');
    }
    text
}

/// Dollars, `>=` when some agent ended before it said what it used.
fn cost(usage: &Usage) -> String {
    let least = if usage.incomplete > 0 { ">=" } else { "" };
    if usage.is_empty() { "-".into() } else { format!("{least}${}", usage.cost_usd()) }
}

fn row(run: &Recorded, wide: bool) -> Vec<String> {
    let (done, total) = tasks(&run.state);
    let created = run.object.metadata.creation_timestamp.clone().unwrap_or_default();
    let step = run.state.open.as_ref().map_or("-", |open| open.phase.as_str());
    let mut cells = vec![
        run.object.metadata.name.clone(),
        word(run).to_owned(),
        step.to_owned(),
        run.state.iteration.to_string(),
        format!("{done}/{total}"),
        created.replace('T', " ").trim_end_matches('Z').to_owned(),
    ];
    if wide {
        cells.push(cost(&run.state.usage));
        let facts = run.state.worktree.as_ref();
        cells.push(facts.map_or_else(|| "-".into(), |facts| facts.run_branch.clone()));
        cells.push(
            run.state.created.as_ref().map(|created| created.workspace_root.clone()).unwrap_or_default(),
        );
        let reason = run.waiting.as_ref().or(run.state.ended.as_ref().map(|(_, reason, _)| reason));
        cells
            .push(reason.map_or_else(|| "-".into(), |reason| clean::line(reason).chars().take(60).collect()));
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
