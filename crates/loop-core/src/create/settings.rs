//! Every setting that a run would have, and where it comes from, without making the run (CFG-2).

use loop_api::journal::ConfigSource;
use serde_json::Value;

use super::sources::{Sources, sentence};
use super::{Error, Request, preflight};
use crate::config::keys::{Field, Key, keys};
use crate::config::{self, Config, Setting};
use crate::git::Git;

/// All settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Files that were read, those that win first.
    pub sources: Vec<ConfigSource>,
    /// The same as a line for people.
    pub read: String,
    /// One for each key that does something, in the order of the table.
    pub values: Vec<Shown>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The key.
    pub key: &'static Key,
    /// Its value in the words of the configuration; `None` when nothing is set.
    pub value: Option<String>,
    /// Who said so.
    pub origin: Origin,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A flag.
    Flag,
    /// The manifest.
    Manifest,
    /// A line of a configuration file.
    File(Setting),
    /// Nobody said anything.
    Default,
}

/// Settles the configuration as [`super::create`] does; nothing is made, and no spec is needed.
pub fn settings(request: &Request) -> Result<Settings, Error> {
    let root = preflight::workspace(&request.directory)?;
    let user = Git::user(&root);
    let files = Sources::read(&root, request)?;
    let (working, _) = files.config(&user, None)?;
    let resolve = |config: &Config| {
        config::resolve(&[config.patch.clone(), request.manifest.clone(), request.flags.clone()])
    };
    let reference = resolve(&working)?.repository.reference;
    let base = match user.commit("HEAD")? {
        None if reference.is_empty() => None,
        _ => Some(preflight::base(&user, &reference)?),
    };
    let (config, sources) = files.config(&user, base.as_ref())?;
    resolve(&config)?;
    config::queue(&[config.queue.clone(), request.queue.clone()])?;
    let read = sentence(&sources, base.as_ref());
    let values = keys().map(|key| shown(key, &config, &working, request)).collect();
    Ok(Settings { sources, read, values, warnings: config.warnings })
}

fn shown(key: &'static Key, config: &Config, working: &Config, request: &Request) -> Shown {
    for (patch, origin) in [
        (&request.flags, Origin::Flag),
        (&request.queue, Origin::Flag),
        (&request.manifest, Origin::Manifest),
    ] {
        if let Some(value) = given(key, patch, &origin) {
            return Shown { key, value, origin };
        }
    }
    // Which commit is the base is read before it is known.
    let config = if key.field == Field::Spec("/repository/ref") { working } else { config };
    match config.set.get(key.name) {
        Some(place) => {
            let value = Some(place.text.clone()).filter(|text| !text.is_empty());
            Shown { key, value, origin: Origin::File(place.clone()) }
        }
        None => {
            let value = Some(key.default.to_owned()).filter(|text| !text.is_empty());
            Shown { key, value, origin: Origin::Default }
        }
    }
}

/// What flags or a manifest say about a key; `None` when they say nothing.
#[allow(clippy::option_option, reason = "nothing said, and said to be nothing")]
fn given(key: &Key, patch: &Value, origin: &Origin) -> Option<Option<String>> {
    let gates = |when: &str| {
        let gates = patch["gates"].as_array()?;
        let wanted = gates.iter().filter(|gate| gate["when"].as_str().unwrap_or("Always") == when);
        let commands: Vec<&str> = wanted.filter_map(|gate| gate["run"].as_str()).collect();
        Some(Some(commands.join(" | ")).filter(|text| !text.is_empty()))
    };
    match key.field {
        Field::Spec(path) => patch.pointer(path).map(|value| config::shown(key.kind, value)),
        Field::Queue(path) if *origin == Origin::Flag => {
            patch.pointer(path).map(|value| config::shown(key.kind, value))
        }
        Field::Strategy => match (patch.pointer("/delivery/mode"), patch.pointer("/delivery/strategy")) {
            (Some(mode), _) if mode == "None" => Some(Some("none".into())),
            (None, None) => None,
            (_, strategy) => Some(Some(
                strategy
                    .and_then(Value::as_str)
                    .map_or_else(|| key.default.to_owned(), str::to_ascii_lowercase),
            )),
        },
        Field::Gates => gates("Always"),
        Field::FinalGates => gates("Final"),
        _ => None,
    }
}
