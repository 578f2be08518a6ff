//! `loopctl verify`: the evidence, replayed.

use loop_api::evidence::Statement;
use loop_api::phase::RunPhase;
use loop_core::control::Signals;
use loop_core::record;
use loop_core::replay::{self, Place};
use loop_core::store::{Store, read_journal};

use super::drive;
use crate::cli::{Document, Verify};
use crate::error::{Error, FAILED, OK, Result};
use crate::printer::{self, BAD, GOOD, paint, say};
use crate::runs::{self, Recorded};
use crate::view::{self, short};

pub(super) fn run(store: &Store, arguments: &Verify) -> Result {
    let (evidence, repository, recorded) = match (&arguments.run, &arguments.evidence) {
        (Some(name), _) => {
            let recorded = runs::find(store, name)?;
            let Some(evidence) = recorded.file("evidence.json") else {
                return Err(without_evidence(&recorded));
            };
            // The engine's own repository: it has the commits even when the branches are gone.
            let workspace = recorded.state.created.as_ref().map(|created| created.workspace_root.clone());
            let own = store.trusted_repository(std::path::Path::new(&workspace.unwrap_or_default()));
            (evidence, arguments.repository.clone().unwrap_or(own), Some(recorded))
        }
        (None, Some(file)) => (file.clone(), arguments.repository.clone().unwrap_or_default(), None),
        (None, None) => return Err(Error::usage("name a run, or give --evidence and --repository")),
    };
    // A recorded run's own file was right when it was written; a file that somebody names may be anything.
    let wrong = if recorded.is_some() { Error::failed } else { Error::usage };
    let statement = replay::read(&evidence).map_err(|error| wrong(error.to_string()))?;
    let altered = recorded.as_ref().map_or_else(|| Ok(Vec::new()), |run| altered(&statement, run))?;
    if !altered.is_empty() {
        let lines: Vec<String> = altered.iter().map(|difference| differs(difference)).collect();
        printer::data(&lines.concat())?;
        return Err(Error::failed(format!(
            "{} was altered since the run wrote it, so it was not replayed; remove it, and `loopctl resume` writes it \
             again from the journal",
            evidence.display()
        )));
    }
    let repository = repository.canonicalize().map_err(|error| {
        Error::usage(format!("repository {} cannot be used: {error}", repository.display()))
    })?;
    // Interrupted, a replay ends at once; the gates' processes end with it, and the scratch folder is all that stays.
    let host = drive::host(Signals::default())?;
    let place = Place {
        scratch: super::demo::throw_away("agentloop-verify")?,
        repository,
        executable: host.executable,
        isolation: host.isolation,
        environment: host.environment,
    };
    say(&format!("replaying {} in a clean clone", evidence.display()));
    let result = replay::replay(&statement, &place, &|| false).map_err(|error| match error {
        replay::Error::Refused(message) => Error::usage(message),
        replay::Error::Failed(message) => Error::failed(message),
    })?;
    match arguments.output {
        Some(Document::Json) => printer::data(&printer::json(&result)?)?,
        Some(Document::Yaml) => printer::data(&printer::yaml(&result)?)?,
        None => printer::data(&text(&result))?,
    }
    Ok(if result.differences.is_empty() { OK } else { FAILED })
}

/// Why there is nothing to verify.
fn without_evidence(run: &Recorded) -> Error {
    let name = &run.object.metadata.name;
    if run.state.phase == RunPhase::Completed {
        return Error::failed(format!(
            "the evidence of {name} is missing; loopctl resume {name} writes it again from the journal"
        ));
    }
    Error::usage(format!(
        "{name} is not completed ({}), and only a completed run has evidence",
        view::word(run)
    ))
}

/// What the file says otherwise than the run's own journal.
fn altered(statement: &Statement, run: &Recorded) -> Result<Vec<String>> {
    let (decoded, state) = read_journal(&run.dir.journal())?;
    let completed = record::completed_digest(&decoded).unwrap_or_default();
    Ok(replay::against_journal(statement, &state, &completed))
}

fn differs(difference: &str) -> String {
    format!("{}: {difference}\n", paint(BAD, "differs"))
}

fn text(replay: &replay::Replay) -> String {
    let mut text = String::new();
    for gate in &replay.gates {
        let before =
            gate.before.as_ref().map_or_else(|| "not run".into(), |run| format!("exit {}", run.exit_code));
        text.push_str(&format!("gate {}: before {before}, after exit {}\n", gate.name, gate.after.exit_code));
    }
    if replay.differences.is_empty() {
        text.push_str(&format!(
            "{}: the evidence for {} holds\n",
            paint(GOOD, "same"),
            short(&replay.commit)
        ));
    }
    for difference in &replay.differences {
        text.push_str(&differs(difference));
    }
    text
}
