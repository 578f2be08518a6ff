//! `loopctl prune`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use loop_core::store::{Store, now_ms};
use loop_core::tidy;

use crate::cli::Prune;
use crate::error::{FAILED, OK, Result};
use crate::runs::{self, Listed};
use crate::view::columns::table;
use crate::view::{self, listed_word};
use crate::{ask, printer};

/// Age from which runs are removed when nothing is said.
const USUAL: i64 = 30 * DAY;
const DAY: i64 = 24 * 60 * 60 * 1000;

/// A run that is to go.
pub(crate) struct Going {
    /// The run.
    pub(crate) run: Listed,
    /// Whether its worktree is still there, and no other run's.
    pub(crate) worktree: bool,
    /// The copy of its record, when that is to go too.
    pub(crate) copy: Option<PathBuf>,
    /// What all of it takes up.
    pub(crate) bytes: u64,
}

pub(super) fn run(store: &Store, arguments: &Prune) -> Result {
    let (all, left_out) = runs::all(store)?;
    if !arguments.dry_run {
        tidy::sweep(store);
    }
    let going = choose(store, &all, arguments);
    if going.is_empty() {
        if !left_out {
            printer::say(
                "nothing to remove: no ended run is that old; --older-than and --keep say which are",
            );
        }
        return Ok(OK);
    }
    printer::data(&text(&going, printer::width()))?;
    let total = view::bytes(going.iter().map(|one| one.bytes).sum());
    let what = view::count(going.len(), "run");
    if arguments.dry_run {
        printer::say(&format!("{what}, {total}; nothing was removed"));
        return Ok(OK);
    }
    let question =
        format!("{what} ({total}) with worktrees and everything that is known about them are removed.");
    ask::confirm(&question, arguments.yes)?;
    let mut failed = 0;
    for one in &going {
        for sentence in remove(store, one, arguments.force) {
            printer::say(&format!("warning: {}: {sentence}", one.run.row.name));
            failed += 1;
        }
    }
    let roots: BTreeSet<&str> = going.iter().map(|one| one.run.row.workspace.as_str()).collect();
    for root in roots {
        // Best effort: the next one finds it too.
        let _ = tidy::shrink(&store.trusted_repository(Path::new(root)));
    }
    if failed > 0 {
        return Ok(FAILED);
    }
    printer::say(&format!("{what} removed, {total} freed"));
    Ok(OK)
}

fn choose(store: &Store, all: &[Listed], arguments: &Prune) -> Vec<Going> {
    let wanted = runs::of_workspace(arguments.workspace.as_ref(), all);
    let now = now_ms();
    let age = match (arguments.older_than, arguments.keep) {
        (Some(age), _) => age,
        (None, Some(_)) => 0,
        (None, None) => USUAL,
    };
    let ended = all.iter().filter(|run| run.row.phase.is_terminal() && wanted(run));
    let mut going = Vec::new();
    // Newest first, so those that are kept come before.
    for run in ended.skip(arguments.keep.unwrap_or(0)).filter(|run| now - run.row.last_ms >= age) {
        let dir = store.run(&run.row.uid);
        if dir.is_alive() {
            continue;
        }
        let path = Path::new(&run.row.worktree);
        let there = !run.row.worktree.is_empty() && path.symlink_metadata().is_ok();
        let worktree =
            there && runs::successor_in(all, &run.row.uid, &run.row.worktree, &run.row.branch).is_none();
        let copy = if arguments.copies { copy(store, &run.row.uid) } else { None };
        let bytes = tidy::size(dir.path())
            + if worktree { tidy::size(path) } else { 0 }
            + copy.as_deref().map_or(0, tidy::size);
        going.push(Going { run: run.clone(), worktree, copy, bytes });
    }
    going
}

/// The table of what is to go.
pub(crate) fn text(going: &[Going], width: Option<usize>) -> String {
    let mut rows = vec![["NAME", "PHASE", "ENDED", "SIZE", "WORKTREE"].map(str::to_owned).to_vec()];
    for Going { run, worktree, bytes, .. } in going {
        let row = &run.row;
        rows.push(vec![
            row.name.clone(),
            listed_word(run).to_owned(),
            loop_api::run::rfc3339(row.last_ms).replace('T', " ").trim_end_matches('Z').to_owned(),
            view::bytes(*bytes),
            if *worktree { runs::shown(Path::new(&row.worktree)) } else { "-".into() },
        ]);
    }
    table(rows, width, &["WORKTREE", "ENDED"])
}

/// Where the copy of a run's record is, by the run's own settings.
fn copy(store: &Store, uid: &str) -> Option<PathBuf> {
    let run = runs::read(store, uid).ok().flatten()?;
    run.state.created.as_ref().map(|created| loop_core::record::copy_folder(created))
}

/// Removes a run; gives a sentence for each thing that stays, and then its record stays too.
fn remove(store: &Store, going: &Going, force: bool) -> Vec<String> {
    let row = &going.run.row;
    let dir = store.run(&row.uid);
    let Ok(Some(_lock)) = dir.lock() else { return vec!["somebody works on it by now; it stays".into()] };
    let root = Path::new(&row.workspace);
    let mut left = Vec::new();
    if going.worktree {
        let path = Path::new(&row.worktree);
        if !force {
            match runs::find(store, &row.uid).and_then(|run| super::worktrees::lost(store, &run)) {
                Ok(None) => {}
                Ok(Some(reason)) => {
                    return vec![format!(
                        "its worktree {} stays: {reason}; --force removes it all the same",
                        runs::shown(path)
                    )];
                }
                Err(_) => return vec!["it cannot be read, so it stays".into()],
            }
        }
        if let Err(reason) = tidy::remove_worktree(root, path) {
            return vec![reason];
        }
    }
    if root.exists() {
        left.extend(tidy::unmark(root, &row.uid).err().map(|error| error.to_string()));
    }
    if let Some(copy) = &going.copy {
        left.extend(tidy::remove_copy(copy).err().map(|error| format!("its copy stays: {error}")));
    }
    match runs::trusted(store, root, &row.uid) {
        Ok(None) => {}
        Ok(Some(trusted)) => left.extend(tidy::remove_refs(&trusted).err().map(|error| error.to_string())),
        Err(error) => left.push(error.to_string()),
    }
    if left.is_empty() {
        left.extend(
            tidy::remove_record(store, &row.uid, &dir)
                .err()
                .map(|error| format!("its record stays: {error}")),
        );
    }
    left
}

/// An age such as `30d`, in milliseconds.
///
/// # Errors
/// A sentence for clap.
pub(crate) fn age(text: &str) -> std::result::Result<i64, String> {
    let wrong = || "write a number and s, m, h, d or w, for instance 30d".to_owned();
    let (number, unit) = text.split_at(text.len() - text.chars().last().map_or(0, char::len_utf8));
    let unit = match unit {
        "s" => 1000,
        "m" => 60 * 1000,
        "h" => 60 * 60 * 1000,
        "d" => DAY,
        "w" => 7 * DAY,
        _ => return Err(wrong()),
    };
    let number: u32 = number.parse().map_err(|_| wrong())?;
    i64::from(number).checked_mul(unit).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_a_number_and_a_unit() {
        assert_eq!(age("30d"), Ok(30 * DAY));
        assert_eq!(age("0s"), Ok(0));
        assert_eq!(age("2w"), Ok(14 * DAY));
        for wrong in ["", "d", "30", "-1d", "1.5h", "30 d", "5\u{20ac}"] {
            assert!(age(wrong).is_err(), "{wrong:?}");
        }
    }
}
