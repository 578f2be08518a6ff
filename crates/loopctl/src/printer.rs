//! What goes where: data to stdout, everything else to stderr. Colours only on a terminal, never the only sign.

use std::io::Write as _;
use std::os::fd::AsFd as _;

use anstyle::{AnsiColor, Style};
use loop_api::run::{List, LoopRun, RESOURCE};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::cli::Output;
use crate::error::{Error, Result};

/// Green.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// Red.
pub(crate) const BAD: Style = AnsiColor::Red.on_default();
/// Dim.
pub(crate) const DIM: Style = Style::new().dimmed();
/// Bold.
pub(crate) const BOLD: Style = Style::new().bold();

/// Writes data to stdout.
pub(crate) fn data(text: &str) -> Result<()> {
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| Error::output(&error))
}

/// Fails when whoever read stdout is gone, which a command that follows something would notice only with its next line.
pub(crate) fn reader() -> Result<()> {
    let stdout = std::io::stdout();
    let mut watched = [PollFd::new(stdout.as_fd(), PollFlags::empty())];
    let gone = poll(&mut watched, PollTimeout::ZERO).is_ok()
        && watched[0].revents().is_some_and(|events| events.contains(PollFlags::POLLERR));
    if gone { Err(Error::output(&std::io::ErrorKind::BrokenPipe.into())) } else { Ok(()) }
}

/// Writes a line for people to stderr.
pub(crate) fn say(text: &str) {
    // Progress that nobody reads any more is no reason to stop a run.
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// Writes an error line to stderr.
pub(crate) fn complain(text: &str) {
    say(text);
}

/// A piece of text in a style.
pub(crate) fn paint(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// Prints one run in a machine's format; `false` when people are to read it.
pub(crate) fn object(run: &LoopRun, output: Option<Output>) -> Result<bool> {
    let text = match output {
        None | Some(Output::Wide) => return Ok(false),
        Some(Output::Name) => name(&run.metadata.name),
        Some(Output::Json) => json(run)?,
        Some(Output::Yaml) => yaml(run)?,
    };
    data(&text)?;
    Ok(true)
}

/// Prints several runs in a machine's format; `false` when people are to read it.
pub(crate) fn list(runs: &[LoopRun], output: Option<Output>) -> Result<bool> {
    let text = match output {
        None | Some(Output::Wide) => return Ok(false),
        Some(Output::Name) => runs.iter().map(|run| name(&run.metadata.name)).collect(),
        Some(Output::Json) => json(&List::new(runs))?,
        Some(Output::Yaml) => yaml(&List::new(runs))?,
    };
    data(&text)?;
    Ok(true)
}

/// A run's name as a line, as other commands accept it.
pub(crate) fn name(name: &str) -> String {
    format!("{RESOURCE}/{name}\n")
}

/// Columns of the terminal that stdout is; `None` where it is none, and nothing is to be cut.
pub(crate) fn width() -> Option<usize> {
    console::Term::stdout()
        .size_checked()
        .map(|(_, columns)| usize::from(columns))
        .filter(|columns| *columns > 0)
}

/// A JSON document.
pub(crate) fn json(value: &impl serde::Serialize) -> Result<String> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Error::failed(error.to_string()))?;
    Ok(text + "\n")
}

/// A YAML document.
pub(crate) fn yaml(value: &impl serde::Serialize) -> Result<String> {
    serde_saphyr::to_string(value).map_err(|error| Error::failed(error.to_string()))
}
