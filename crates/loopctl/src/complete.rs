//! Completion in shells: their scripts ask this program what may follow, so runs and specs are completed too.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use clap::CommandFactory as _;
use clap_complete::engine::{PathCompleter, ValueCompleter as _};
use clap_complete::env::Shells;
use clap_complete::{CompleteEnv, CompletionCandidate, Shell};
use loop_api::spec_file::{SpecHead, is_spec};

use crate::cli::Cli;
use crate::error::{Error, Result};
use crate::runs;
use crate::view::listed_word;

/// Set by the shell's script when it asks; the name of the shell.
const ASKED: &str = "LOOPCTL_COMPLETE";
/// Names that are offered at most: more help nobody.
const MOST: usize = 500;

/// Answers a shell that asks, and ends the process; returns when none does.
pub(crate) fn answer() {
    CompleteEnv::with_factory(Cli::command).var(ASKED).complete();
}

/// The script that makes a shell ask.
pub(crate) fn script(shell: Shell) -> Result<String> {
    let shells = Shells::builtins();
    let name = shell.to_string();
    let known = shells.completer(&name).ok_or_else(|| Error::usage(format!("shell {name} is not known")))?;
    let mut script = Vec::new();
    known.write_registration(ASKED, "loopctl", "loopctl", "loopctl", &mut script)?;
    Ok(String::from_utf8_lossy(&script).into_owned())
}

/// Names of runs, newest first; uids where the word begins one, and `@last`.
pub(crate) fn runs(current: &OsStr) -> Vec<CompletionCandidate> {
    let Some(current) = current.to_str() else { return Vec::new() };
    let Ok((listed, _)) = runs::store(data_dir(std::env::args_os())).and_then(|store| runs::scan(&store))
    else {
        return Vec::new();
    };
    let mut found = Vec::new();
    if !listed.is_empty() && runs::LAST.starts_with(current) {
        found.push(CompletionCandidate::new(runs::LAST).help(Some("the newest run".into())));
    }
    for run in &listed {
        let by_uid = !current.is_empty() && run.row.uid.starts_with(current);
        let names = [(&run.row.name, run.row.name.starts_with(current)), (&run.row.uid, by_uid)];
        found.extend(
            names
                .into_iter()
                .filter(|(_, wanted)| *wanted)
                .map(|(name, _)| CompletionCandidate::new(name).help(Some(listed_word(run).into()))),
        );
        if found.len() >= MOST {
            break;
        }
    }
    found
}

/// Specs of the folder `specs`, and where none fits, files.
pub(crate) fn specs(current: &OsStr) -> Vec<CompletionCandidate> {
    let found = current.to_str().map(known_specs).unwrap_or_default();
    if found.is_empty() { PathCompleter::file().complete(current) } else { found }
}

fn known_specs(current: &str) -> Vec<CompletionCandidate> {
    let folder = Path::new("specs");
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| is_spec(name) && format!("specs/{name}").starts_with(current))
        .take(MOST)
        .collect();
    names.sort_unstable();
    names
        .into_iter()
        .map(|name| {
            let text = std::fs::read_to_string(folder.join(&name)).unwrap_or_default();
            let title = SpecHead::read(&name, &text).title;
            CompletionCandidate::new(format!("specs/{name}")).help(Some(title.into()))
        })
        .collect()
}

/// The data directory on the command line that is being completed.
fn data_dir(mut words: impl Iterator<Item = OsString>) -> Option<PathBuf> {
    while let Some(word) = words.next() {
        if word == "--data-dir" {
            return words.next().map(PathBuf::from);
        }
        if let Some(place) = word.to_str().and_then(|word| word.strip_prefix("--data-dir=")) {
            return Some(place.into());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_directory_on_the_command_line_is_heeded() {
        let of = |words: &[&str]| data_dir(words.iter().map(OsString::from));
        assert_eq!(of(&["loopctl", "--data-dir", "/d", "inspect"]), Some("/d".into()));
        assert_eq!(of(&["loopctl", "inspect", "--data-dir=/e"]), Some("/e".into()));
        assert_eq!(of(&["loopctl", "inspect", "--data-dir"]), None);
    }
}
