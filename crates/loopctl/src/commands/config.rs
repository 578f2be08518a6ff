//! `loopctl config`.

use std::fs::{self, OpenOptions};
use std::io::Write as _;

use loop_api::journal::ConfigSource;
use loop_core::create::{self, CONFIG_FILE};
use serde::Serialize;

use super::drive;
use crate::cli::{Config, Document};
use crate::error::{Error, OK, Result};
use crate::printer::{self, say};
use crate::view;

/// The document that `-o` prints.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    config_source: Vec<ConfigSource>,
    values: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    key: &'static str,
    value: Option<String>,
    source: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
}

pub(super) fn run(verb: Config) -> Result {
    match verb {
        Config::Init { force } => init(force),
        Config::Show(arguments) => {
            let settings = create::settings(&super::run::request(arguments.asked)?)?;
            for warning in &settings.warnings {
                say(&format!("warning: {warning}"));
            }
            match arguments.output {
                None => printer::data(&view::settings::text(&settings))?,
                Some(Document::Json) => printer::data(&printer::json(&page(settings))?)?,
                Some(Document::Yaml) => printer::data(&printer::yaml(&page(settings))?)?,
            }
            Ok(OK)
        }
    }
}

fn page(settings: create::Settings) -> Page {
    let values = settings.values.into_iter().map(|shown| {
        let (source, place) = match shown.origin {
            create::Origin::Flag => ("flag", None),
            create::Origin::Manifest => ("manifest", None),
            create::Origin::File(place) => ("file", Some(place)),
            create::Origin::Default => ("default", None),
        };
        let (file, line) = place.map(|place| (place.file, place.line)).unzip();
        Entry { key: shown.key.name, value: shown.value, source, file, line }
    });
    Page { values: values.collect(), config_source: settings.sources }
}

fn init(force: bool) -> Result {
    let root = create::repository(&drive::directory()?)?;
    let file = root.join(CONFIG_FILE);
    let failed = |error: &std::io::Error| {
        Error::failed(format!("{} cannot be written: {error}; put that right and try again", file.display()))
    };
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).map_err(|error| failed(&error))?;
    }
    if file.symlink_metadata().is_ok_and(|facts| facts.is_symlink()) {
        return Err(Error::usage(format!(
            "{CONFIG_FILE} is a link and was left as it is, with what it leads to; remove it to have a file made here"
        )));
    }
    let opened = if force {
        OpenOptions::new().write(true).create(true).truncate(true).open(&file)
    } else {
        OpenOptions::new().write(true).create_new(true).open(&file)
    };
    let mut opened = opened.map_err(|error| {
        if error.kind() == std::io::ErrorKind::AlreadyExists {
            Error::usage(format!("{CONFIG_FILE} exists and was left as it is; --force replaces it"))
        } else {
            failed(&error)
        }
    })?;
    opened.write_all(loop_core::config::template().as_bytes()).map_err(|error| failed(&error))?;
    printer::data(&format!("{}\n", file.display()))?;
    say(&format!(
        "every key is in it, at its default and commented out; set what you need, then commit it, since a run reads it \
         from the commit that it starts from: git add {CONFIG_FILE} && git commit"
    ));
    Ok(OK)
}
