//! `loopctl prompt`.

use loop_core::create;
use loop_core::store::Store;

use crate::cli::Prompt;
use crate::error::{Error, OK, Result};
use crate::printer;

pub(super) fn run(store: &Store, arguments: Prompt) -> Result {
    let Prompt { asked, review } = arguments;
    let first = create::first_prompts(store, &super::run::request(asked)?)?;
    for warning in &first.warnings {
        printer::say(&format!("warning: {warning}"));
    }
    let text = if review {
        first.review.ok_or_else(|| {
            Error::usage(
                "this run would have no reviewer (--no-review, or reviewer=off in .loop/config); leave --review out",
            )
        })?
    } else {
        first.implementation
    };
    printer::data(&text)?;
    Ok(OK)
}
