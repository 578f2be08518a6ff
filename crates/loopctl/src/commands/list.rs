//! `loopctl list`.

mod watch;

use std::io::IsTerminal as _;

use console::Term;
use loop_core::store::Store;

use crate::cli::{Listing, Output, Phase};
use crate::error::{Error, OK, Result};
use crate::runs::Listed;
use crate::view::{count, listed_word, table};
use crate::{printer, runs};

pub(super) fn run(store: &Store, arguments: &Listing) -> Result {
    let plain = matches!(arguments.output, None | Some(Output::Wide));
    if arguments.watch {
        return if plain {
            watch::run(store, arguments)
        } else {
            Err(Error::usage("--watch shows the table; leave -o out, or give -o wide"))
        };
    }
    let (all, left_out) = runs::all(store)?;
    let (chosen, matching) = choose(&all, arguments);
    match arguments.output {
        Some(Output::Name) => {
            printer::data(&chosen.iter().map(|run| printer::name(&run.row.name)).collect::<String>())?;
        }
        Some(Output::Json | Output::Yaml) => {
            let mut objects = Vec::new();
            for run in &chosen {
                objects.extend(runs::read(store, &run.row.uid)?.map(|run| run.object));
            }
            printer::list(&objects, arguments.output)?;
        }
        _ if all.is_empty() && left_out => {}
        _ if chosen.is_empty() => printer::say(nothing(&all)),
        _ => {
            let wide = arguments.output == Some(Output::Wide);
            printer::data(&table::runs(&chosen, wide, printer::width()))?;
            // For people only: a program counts for itself.
            if std::io::stdout().is_terminal() {
                printer::say(&counted(chosen.len(), matching));
            }
        }
    }
    Ok(OK)
}

fn counted(chosen: usize, matching: usize) -> String {
    if chosen < matching { format!("{chosen} of {}", count(matching, "run")) } else { count(chosen, "run") }
}

fn nothing(all: &[Listed]) -> &'static str {
    if all.is_empty() {
        "no runs yet; `loopctl demo` shows one, `loopctl run --help` says how to start your own"
    } else {
        "no run is like that; `loopctl list` shows all"
    }
}

/// The runs that are asked for, and how many there were before the limit.
fn choose(all: &[Listed], arguments: &Listing) -> (Vec<Listed>, usize) {
    let wanted = runs::of_workspace(arguments.workspace.as_ref(), all);
    let matching = all.iter().filter(|run| {
        wanted(run)
            && (arguments.phase.is_empty()
                || arguments.phase.iter().any(|phase| word(*phase) == listed_word(run)))
    });
    let mut chosen: Vec<Listed> = matching.cloned().collect();
    let count = chosen.len();
    chosen.truncate(arguments.limit.unwrap_or(usize::MAX));
    (chosen, count)
}

fn word(phase: Phase) -> &'static str {
    match phase {
        Phase::Pending => "Pending",
        Phase::Waiting => "Waiting",
        Phase::Running => "Running",
        Phase::Interrupted => "Interrupted",
        Phase::Paused => "Paused",
        Phase::Completed => "Completed",
        Phase::Failed => "Failed",
        Phase::Canceled => "Canceled",
    }
}

/// A terminal on stdout that can draw a table again.
fn drawing() -> Option<Term> {
    let dumb = std::env::var_os("TERM").is_none_or(|kind| kind == "dumb");
    Some(Term::stdout()).filter(|term| term.is_term() && !dumb)
}
