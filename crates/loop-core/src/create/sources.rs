//! Which configuration files a run is made from (CFG-2, 60; design section 5, settled contradictions).

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use loop_api::journal::{ConfigPlace, ConfigSource};

use super::preflight::{self, Base, refuse};
use super::{CONFIG_FILE, Error, Request};
use crate::config::{self, Config};
use crate::git::Git;

/// Largest configuration file that is read.
const MOST_CONFIG: u64 = 1 << 20;

/// A configuration file that the caller names, read over `.loop/config`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFile {
    /// Its path, seen from the folder in which the command was given.
    pub path: PathBuf,
    /// Where it was named: [`ConfigPlace::Flag`] or [`ConfigPlace::Environment`].
    pub place: ConfigPlace,
}

/// The files that do not depend on the base commit.
pub(super) struct Sources {
    root: PathBuf,
    home: Option<PathBuf>,
    named: Option<(ConfigSource, String)>,
    working: Option<String>,
}

impl Sources {
    /// Reads the file that the caller names, and that of the working tree.
    pub(super) fn read(root: &Path, request: &Request) -> Result<Self, Error> {
        let named = match &request.config {
            None => None,
            Some(file) => {
                let path = file.path.display().to_string();
                let by = file.place.as_str();
                let text = match text(&request.directory.join(&file.path)) {
                    Ok(text) => text,
                    Err(error) => {
                        return refuse(format!(
                            "the configuration file {path}, named by {by}, cannot be read: {error}; name a readable file"
                        ));
                    }
                };
                Some((ConfigSource { path, place: file.place }, text))
            }
        };
        let working = match text(&root.join(CONFIG_FILE)) {
            Ok(text) => Some(text),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                None
            }
            Err(error) => {
                return refuse(format!("{CONFIG_FILE} cannot be read: {error}; put that right or remove it"));
            }
        };
        let home = request.environment.get("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
        Ok(Self { root: root.to_owned(), home, named, working })
    }

    /// The configuration, and the files that it comes from, those that win first. Without a base, or when that has no
    /// file, the working tree's stands in.
    pub(super) fn config(
        &self,
        user: &Git,
        base: Option<&Base>,
    ) -> Result<(Config, Vec<ConfigSource>), Error> {
        let committed = match base {
            Some(base) => preflight::file(user, &base.commit, CONFIG_FILE)?
                .map(|text| (format!("{CONFIG_FILE} of {}", base.branch), text)),
            None => None,
        };
        let place = if committed.is_some() { ConfigPlace::BaseCommit } else { ConfigPlace::WorkingTree };
        let own = committed.or_else(|| self.working.clone().map(|text| (CONFIG_FILE.to_owned(), text)));
        let mut sources = Vec::new();
        let mut files = Vec::new();
        if let Some(file) = own {
            sources.push(ConfigSource { path: CONFIG_FILE.into(), place });
            files.push(file);
        }
        if let Some((source, text)) = &self.named {
            sources.insert(0, source.clone());
            files.push((source.path.clone(), text.clone()));
        }
        let mut config = config::layers(&files)?;
        config.settle_paths(&self.root, self.home.as_deref())?;
        Ok((config, sources))
    }
}

fn text(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST_CONFIG + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_CONFIG {
        return Err(io::Error::other(format!("it has more than {MOST_CONFIG} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::other("it is no text in UTF-8"))
}

/// What was read, as a line for people.
pub(super) fn sentence(sources: &[ConfigSource], base: Option<&Base>) -> String {
    let names: Vec<String> = sources
        .iter()
        .map(|source| match (source.place, base) {
            (ConfigPlace::BaseCommit, Some(base)) => {
                format!("{} of {} (base commit)", source.path, base.branch)
            }
            (ConfigPlace::WorkingTree, Some(base)) => {
                format!("{} of the working tree, as {} has none", source.path, base.branch)
            }
            _ => source.to_string(),
        })
        .collect();
    if names.is_empty() { format!("no {CONFIG_FILE}") } else { names.join(" over ") }
}
