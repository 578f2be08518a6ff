//! `.loop/config`: `key=value` lines, never evaluated (CFG-1), as a patch on the run's spec.

mod init;
pub mod keys;
mod places;
mod read;
#[cfg(test)]
mod reference;
mod value;

use std::collections::BTreeMap;

pub use init::template;
use loop_api::run::{LoopRunSpec, QueueSettings};
pub use read::layers;
use serde_json::{Map, Value, json};
pub use value::shown;

/// What is wrong with a configuration.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// A line cannot be used (CFG-3).
    #[error("{file} line {line}: {reason}")]
    Line {
        /// Where the text came from.
        file: String,
        /// From 1.
        line: usize,
        /// What is wrong and what is allowed.
        reason: String,
    },
    /// The pieces do not make a spec.
    #[error("{0}")]
    Spec(String),
}

/// A configuration file as read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Config {
    /// Patch on the spec, in the spec's own JSON form.
    pub patch: Value,
    /// Patch on the settings of the queue (CFG-31..33).
    pub queue: Value,
    /// Folder of specs (CFG-7).
    pub specs_dir: Option<String>,
    /// Folder of plans (CFG-8).
    pub plans_dir: Option<String>,
    /// Files named in the prompt beside spec and plan (CFG-17).
    pub context_files: Vec<String>,
    /// Replaces the default prompt (CFG-16).
    pub prompt_file: Option<String>,
    /// Folder for the copies of records (CFG-9).
    pub log_dir: Option<String>,
    /// Where each key was set, by its name.
    pub set: BTreeMap<&'static str, Setting>,
    /// Sentences for the user, not errors.
    pub warnings: Vec<String>,
}

/// A line that set a key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Setting {
    /// The file, as messages name it.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// The value as written, without quotes around it.
    pub text: String,
}

impl Setting {
    fn wrong(&self, reason: String) -> Error {
        Error::Line { file: self.file.clone(), line: self.line, reason }
    }
}

/// Parses one configuration file; `file` names it in messages.
pub fn parse(file: &str, text: &str) -> Result<Config, Error> {
    layers(&[(file.to_owned(), text.to_owned())])
}

/// Sets a value in a JSON object by a path of keys, making objects on the way.
pub fn set(target: &mut Value, path: &str, value: Value) {
    let mut place = target;
    for key in path.trim_start_matches('/').split('/') {
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        place = &mut place[key];
    }
    *place = value;
}

/// Settings of the queue, later patches winning.
pub fn queue(patches: &[Value]) -> Result<QueueSettings, Error> {
    let mut merged = json!({});
    patches.iter().filter(|patch| patch.is_object()).for_each(|patch| lay(&mut merged, patch));
    serde_json::from_value(merged).map_err(|error| Error::Spec(format!("the queue's settings: {error}")))
}

/// Lays patches over each other, later ones winning; lists are replaced whole (CFG-2).
pub fn resolve(patches: &[Value]) -> Result<LoopRunSpec, Error> {
    let mut merged = json!({});
    for patch in patches {
        lay(&mut merged, patch);
    }
    let spec: LoopRunSpec = serde_path_to_error::deserialize(merged).map_err(|error| named(&error))?;
    for (index, gate) in spec.gates.iter().enumerate() {
        let plain = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
        if gate.name.is_empty() || gate.name.len() > 63 || !gate.name.chars().all(plain) {
            return Err(Error::Spec(format!(
                "gate name {:?} must be 1 to 63 letters, digits, '-', '_' or '.'",
                gate.name
            )));
        }
        if gate.run.trim().is_empty() {
            return Err(Error::Spec(format!("gate {} has no command; write NAME=COMMAND", gate.name)));
        }
        if let Some(glob) = gate.junit.as_deref().filter(|glob| !stays_inside(glob)) {
            return Err(Error::Spec(format!(
                "gate {}: junit must be a glob below the top of the checkout, such as build/reports/*.xml, found {glob:?}",
                gate.name
            )));
        }
        if spec.gates[..index].iter().any(|other| other.name == gate.name) {
            return Err(Error::Spec(format!(
                "two gates are named {}; give each a name of its own",
                gate.name
            )));
        }
    }
    used(&spec).map_err(Error::Spec)?;
    if spec.settings.iterations == 0 {
        return Err(Error::Spec("spec.loop.iterations is 0; at least one is needed".into()));
    }
    if spec.limits.active_deadline_seconds == Some(0) {
        let reason = "spec.limits.activeDeadlineSeconds is 0; leave it out for a run without a deadline";
        return Err(Error::Spec(reason.into()));
    }
    Ok(spec)
}

/// Whether agents can be given the models and held to the costs that are named.
fn used(spec: &LoopRunSpec) -> Result<(), String> {
    let models = [
        ("spec.agent.model", &spec.agent.model),
        ("spec.review.model", &spec.review.model),
        ("spec.postmortem.model", &spec.postmortem.model),
    ];
    for (name, model) in models {
        model.as_deref().map(|model| value::model(name, model)).transpose()?;
    }
    spec.limits.cost_usd.as_deref().map(|cost| value::amount("spec.limits.costUSD", cost)).transpose()?;
    Ok(())
}

/// Names the field that does not fit, in the words of the manifest instead of Rust's.
fn named(error: &serde_path_to_error::Error<serde_json::Error>) -> Error {
    let reason = error
        .inner()
        .to_string()
        .replace("expected u32", "expected a whole number from 0")
        .replace("expected u64", "expected a whole number from 0")
        .replace("expected a string", "expected text in quotes");
    match error.path().to_string().as_str() {
        "." => Error::Spec(format!("spec: {reason}")),
        path => Error::Spec(format!("spec.{path}: {reason}")),
    }
}

fn stays_inside(glob: &str) -> bool {
    !glob.trim().is_empty()
        && !glob.starts_with('/')
        && !glob.contains(['\0', '\n'])
        && glob.split('/').all(|part| part != "..")
}

fn lay(target: &mut Value, patch: &Value) {
    match (target, patch) {
        (Value::Object(target), Value::Object(patch)) => {
            for (key, value) in patch {
                lay(target.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (target, patch) => *target = patch.clone(),
    }
}

#[cfg(test)]
mod tests;
