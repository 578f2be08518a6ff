//! Questions to people, on a terminal only.

use std::io::IsTerminal as _;

use dialoguer::theme::SimpleTheme;
use dialoguer::{Confirm, FuzzySelect};

use crate::error::{Error, Result};

/// Whether somebody can answer.
pub(crate) fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Has the user confirm what is about to be done, unless they have said `--yes`.
pub(crate) fn confirm(question: &str, yes: bool) -> Result<()> {
    if yes {
        return Ok(());
    }
    if !can_ask() {
        return Err(Error::usage(format!("{question} Nobody can be asked here; say --yes if so")));
    }
    let answer = Confirm::with_theme(&SimpleTheme).with_prompt(question).default(false).interact_opt();
    match answer.map_err(|error| Error::failed(format!("the answer cannot be read: {error}")))? {
        Some(true) => Ok(()),
        _ => Err(Error::usage("nothing was done")),
    }
}

/// Has the user pick one of some lines; `None` when they would not.
pub(crate) fn pick(question: &str, lines: &[String]) -> Result<Option<usize>> {
    FuzzySelect::with_theme(&SimpleTheme)
        .with_prompt(question)
        .items(lines)
        .default(0)
        .max_length(15)
        .interact_opt()
        .map_err(|error| Error::failed(format!("the choice cannot be read: {error}")))
}
