//! `loopctl`: runs agent loops on this machine and shows what became of them.

mod ask;
mod cli;
mod commands;
mod complete;
mod error;
mod examples;
mod live;
mod printer;
mod runs;
#[cfg(test)]
mod screens;
mod view;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    // The far side of a run is this program again; it has to start before any thread of ours.
    if std::env::args_os().nth(1).is_some_and(|word| word == "__exec") {
        return loop_core::exec::server::serve(false);
    }
    // A shell that asks for completions gets them here, and the process ends.
    complete::answer();
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers and go to stdout; clap knows which is which.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { error::USAGE } else { error::OK });
        }
    };
    match commands::run(cli) {
        Ok(code) => ExitCode::from(code),
        Err(error) => error.report(),
    }
}
