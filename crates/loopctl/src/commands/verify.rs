//! `loopctl verify`: the evidence, replayed.

use loop_core::control::Signals;
use loop_core::replay::{self, Place};
use loop_core::store::Store;

use super::drive;
use crate::cli::{Output, Verify};
use crate::error::{Error, FAILED, OK, Result};
use crate::printer::{self, BAD, GOOD, paint, say};
use crate::runs;
use crate::view::short;

pub(super) fn run(store: &Store, arguments: &Verify) -> Result {
    let (evidence, repository) = match (&arguments.run, &arguments.evidence) {
        (Some(name), _) => {
            let recorded = runs::find(store, name)?;
            let evidence = recorded.dir.join("evidence.json");
            if !evidence.exists() {
                let name = &recorded.object.metadata.name;
                let phase = recorded.state.phase.as_str();
                return Err(Error::usage(format!(
                    "{name} is {phase} and has no evidence; only a completed run has"
                )));
            }
            // The engine's own repository: it has the commits even when the branches are gone.
            let workspace = recorded.state.created.as_ref().map(|created| created.workspace_root.clone());
            let own = store.trusted_repository(std::path::Path::new(&workspace.unwrap_or_default()));
            (evidence, arguments.repository.clone().unwrap_or(own))
        }
        (None, Some(file)) => (file.clone(), arguments.repository.clone().unwrap_or_default()),
        (None, None) => return Err(Error::usage("name a run, or give --evidence and --repository")),
    };
    let statement = replay::read(&evidence).map_err(|error| Error::usage(error.to_string()))?;
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
    if arguments.output == Some(Output::Json) {
        let text = serde_json::to_string_pretty(&result).map_err(|error| Error::failed(error.to_string()))?;
        printer::data(&(text + "\n"))?;
    } else {
        printer::data(&text(&result))?;
    }
    Ok(if result.differences.is_empty() { OK } else { FAILED })
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
        text.push_str(&format!("{}: {difference}\n", paint(BAD, "differs")));
    }
    text
}
