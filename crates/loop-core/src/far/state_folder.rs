//! The folder in which an agent's CLI keeps settings, login and sessions, as a side sees it.
//!
//! Under bubblewrap it is one of the side's own, made anew at each start like HOME: the user's settings are shown in
//! it, the login is the user's own file (a token that is renewed has to reach it), and sessions stay where the next
//! process of the run finds them. Nothing else of what a run does there reaches the user's folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{Error, Setting, remove};
use crate::agent::{Adapter, StateFolder};
use crate::exec::{Isolation, Mount};

/// Largest file that is copied into it.
const MOST_COPIED: u64 = 16 << 20;

/// What a side needs for it.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// Variables for the CLI.
    pub(super) environment: Vec<(String, String)>,
    /// Written by the side.
    pub(super) writable: Vec<PathBuf>,
    /// Put into it.
    pub(super) mounts: Vec<Mount>,
}

impl Setting {
    /// Makes the folder for a side of this name; without bubblewrap the CLI uses the user's own.
    pub(super) fn state_folder(&self, side: &str, adapter: &Adapter) -> Result<Parts, Error> {
        let plain = adapter.environment.iter();
        let confined = matches!(self.isolation, Isolation::Bubblewrap { .. });
        let more = adapter.confined_environment.iter().filter(|_| confined);
        let variables = plain.chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let mut parts = Parts { environment: variables.collect(), ..Parts::default() };
        let Some(folder) = adapter.state.as_ref().filter(|_| confined) else { return Ok(parts) };
        remove(&self.sandboxes.join(side).join("state"))?;
        let place = self.folder(&[side, "state"])?;
        let sessions = self.folder(&[side, "sessions"])?;
        self.fill(folder, &place, &mut parts).map_err(|error| Error::Io { path: place.clone(), error })?;
        let inside = self.folder(&[side, "state", folder.sessions])?;
        parts.mounts.push(Mount { from: sessions, to: inside, writable: true });
        parts.environment.push((folder.variable.to_owned(), place.to_string_lossy().into_owned()));
        parts.writable.push(place);
        Ok(parts)
    }

    fn fill(&self, folder: &StateFolder, place: &Path, parts: &mut Parts) -> io::Result<()> {
        let home = self.caller.get("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
        let moved = self.caller.get(folder.variable).map(PathBuf::from).filter(|path| path.is_absolute());
        let is_moved = moved.is_some();
        let Some(real) = moved.or_else(|| home.as_ref().map(|home| home.join(folder.default))) else {
            return Ok(());
        };
        let entries = folder.shown.iter().map(|name| (*name, false));
        for (name, writable) in entries.chain(folder.shared.iter().map(|name| (*name, true))) {
            let (from, to) = (real.join(name), place.join(name));
            // The user's own links are followed, as settings are often kept elsewhere.
            match fs::metadata(&from) {
                Ok(facts) if facts.is_dir() => fs::create_dir(&to)?,
                Ok(_) => fs::write(&to, "")?,
                Err(_) => continue,
            }
            parts.mounts.push(Mount { from, to, writable });
        }
        for (name, below_home) in folder.copied {
            let from = match &home {
                Some(home) if !is_moved => home.join(below_home),
                _ => real.join(name),
            };
            if fs::metadata(&from).is_ok_and(|facts| facts.is_file() && facts.len() <= MOST_COPIED) {
                fs::copy(&from, place.join(name))?;
            }
        }
        Ok(())
    }

    /// What an agent's command is called by: its file on this machine, its name in a container, which has a PATH of its
    /// own.
    pub fn command(&self, name: &str) -> Option<PathBuf> {
        if self.containers().is_some() { Some(name.into()) } else { self.program(name) }
    }

    /// A command in the PATH of the run, which has no entry that an agent could write.
    fn program(&self, name: &str) -> Option<PathBuf> {
        use std::os::unix::fs::PermissionsExt as _;
        let runs = |path: &PathBuf| {
            fs::metadata(path).is_ok_and(|facts| facts.is_file() && facts.permissions().mode() & 0o111 != 0)
        };
        std::env::split_paths(&self.search_path).map(|entry| entry.join(name)).find(runs)
    }

    /// What has to be shown for a command whose real file stands where a side sees something else: the outermost
    /// `node_modules` around it, or its folder.
    pub(super) fn program_folder(&self, adapter: &Adapter) -> Option<PathBuf> {
        let real = self.program(adapter.program?)?.canonicalize().ok()?;
        let package = real.ancestors().filter(|path| path.ends_with("node_modules")).last();
        package.or_else(|| real.parent()).map(Path::to_owned)
    }
}
