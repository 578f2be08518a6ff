//! One file per verb; this one only hands over.

mod analyze;
mod cancel;
mod config;
mod demo;
mod detach;
mod drive;
mod inspect;
mod liars;
mod list;
mod pause;
mod prompt;
pub(crate) mod prune;
mod report;
mod reset;
mod resume;
mod run;
mod tail;
mod verify;
mod wait;
pub(crate) mod worktrees;

pub(crate) use prune::age;

use crate::cli::{Cli, Command};
use crate::error::{OK, Result};
use crate::runs;

/// Carries a command out and gives the exit code.
pub(crate) fn run(cli: Cli) -> Result {
    let Cli { data_dir, command } = cli;
    if let Command::Completion { shell } = command {
        crate::printer::data(&crate::complete::script(shell)?)?;
        return Ok(OK);
    }
    if let Command::Demo(demo) = command {
        return if demo.liars { liars::run() } else { demo::run(&demo) };
    }
    let store = runs::store(data_dir)?;
    match command {
        Command::Run(arguments) => run::run(&store, *arguments),
        Command::Prompt(arguments) => prompt::run(&store, *arguments),
        Command::Config(verb) => config::run(verb),
        Command::Tail(arguments) => tail::run(&store, &arguments),
        Command::List(arguments) => list::run(&store, &arguments),
        Command::Inspect(arguments) => inspect::run(&store, &arguments),
        Command::Resume(arguments) => resume::run(&store, &arguments),
        Command::Cancel(arguments) => cancel::run(&store, &arguments),
        Command::Report(arguments) => report::run(&store, &arguments),
        Command::Pause(arguments) => pause::run(&store, &arguments),
        Command::Retry(arguments) => resume::retry(&store, &arguments),
        Command::Reset(arguments) => reset::run(&store, &arguments),
        Command::Worktrees(arguments) => worktrees::list(&store, &arguments),
        Command::WorktreeRm(arguments) => worktrees::remove(&store, &arguments),
        Command::Prune(arguments) => prune::run(&store, &arguments),
        Command::Drive { uid } => detach::drive(&store, &uid),
        Command::Analyze(arguments) => analyze::run(&store, &arguments),
        Command::Verify(arguments) => verify::run(&store, &arguments),
        Command::Completion { .. } | Command::Demo(_) => Ok(OK),
    }
}
