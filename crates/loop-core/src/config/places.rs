//! Paths of a configuration: `~` is the home folder, relative ones begin at the repository's top (CFG-5, BUG-24).

use std::fs;
use std::path::{Component, Path, PathBuf};

use serde_json::json;

use super::{Config, Error, set};

impl Config {
    /// Settles every path. Those that are read from the base commit become relative to `root`, the repository's top,
    /// and are refused outside it; `home` is the caller's HOME, if it is known.
    pub fn settle_paths(&mut self, root: &Path, home: Option<&Path>) -> Result<(), Error> {
        self.specs_dir = self.in_repository("specs_dir", self.specs_dir.as_deref(), root, home)?;
        self.plans_dir = self.in_repository("plans_dir", self.plans_dir.as_deref(), root, home)?;
        self.prompt_file = self.in_repository("prompt_file", self.prompt_file.as_deref(), root, home)?;
        let context = std::mem::take(&mut self.context_files);
        for given in context {
            let path = self.expanded("context_files", &given, home)?;
            let path = below(root, &path).unwrap_or_else(|| plain(&root.join(path)));
            self.context_files.push(path.to_string_lossy().into_owned());
        }
        if let Some(given) = &self.log_dir {
            let path = self.expanded("log_dir", given, home)?;
            let path = below(root, &path).unwrap_or_else(|| plain(&root.join(path)));
            if path.as_os_str().is_empty() || path.starts_with(".git") || root.starts_with(&path) {
                return Err(self.wrong(
                    "log_dir",
                    format!("log_dir must be a folder of its own, such as logs/loop, found {given:?}"),
                ));
            }
            self.log_dir = Some(path.to_string_lossy().into_owned());
        }
        let template = self.patch.pointer("/worktree/pathTemplate").and_then(|value| value.as_str());
        if let Some(given) = template.filter(|given| given.starts_with('~')) {
            let path = self.expanded("worktree_path_template", given, home)?;
            set(&mut self.patch, "/worktree/pathTemplate", json!(path.to_string_lossy()));
        }
        Ok(())
    }

    fn in_repository(
        &self,
        key: &str,
        given: Option<&str>,
        root: &Path,
        home: Option<&Path>,
    ) -> Result<Option<String>, Error> {
        let Some(given) = given else { return Ok(None) };
        match below(root, &self.expanded(key, given, home)?) {
            Some(path) if path.as_os_str().is_empty() => Ok(Some(".".into())),
            Some(path) => Ok(Some(path.to_string_lossy().into_owned())),
            None => Err(self.wrong(
                key,
                format!(
                    "{key} {given} lies outside the repository {}, from whose commits it is read; name a place in it",
                    root.display()
                ),
            )),
        }
    }

    fn expanded(&self, key: &str, given: &str, home: Option<&Path>) -> Result<PathBuf, Error> {
        let Some(rest) = given.strip_prefix('~') else { return Ok(PathBuf::from(given)) };
        if !rest.is_empty() && !rest.starts_with('/') {
            return Err(self.wrong(key, format!("{key} {given} names another user's home; write it out")));
        }
        let Some(home) = home.filter(|home| home.is_absolute()) else {
            return Err(self.wrong(key, format!("{key} {given} needs a home folder, and HOME names none")));
        };
        Ok(home.join(rest.trim_start_matches('/')))
    }

    fn wrong(&self, key: &str, reason: String) -> Error {
        match self.set.get(key) {
            Some(place) => place.wrong(reason),
            None => Error::Spec(reason),
        }
    }
}

/// The path as seen from `root`; `None` outside of it.
fn below(root: &Path, path: &Path) -> Option<PathBuf> {
    let whole = plain(&root.join(path));
    if let Ok(inside) = whole.strip_prefix(root) {
        return Some(inside.to_owned());
    }
    // HOME may lead there by a link, while the repository's top is known without links.
    fs::canonicalize(&whole).ok()?.strip_prefix(root).ok().map(Path::to_owned)
}

/// Without `.` and `..`, by the letter.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::parse;

    fn settled(text: &str) -> Result<crate::config::Config, String> {
        let mut config = parse("c", text).unwrap();
        let home = Some(Path::new("/home/ann"));
        config
            .settle_paths(Path::new("/home/ann/app"), home)
            .map(|()| config)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn bug_24_a_tilde_is_the_home_folder_and_paths_in_the_repository_begin_at_its_top() {
        let config = settled(
            "specs_dir=~/app/docs/specs\nplans_dir=./plans/\nprompt_file=/home/ann/app/p.txt\n\
             context_files=~/notes.md doc/../a.md\nlog_dir=~/logs\nworktree_path_template=~/trees/{{ repo }}\n",
        )
        .unwrap();
        assert_eq!(config.specs_dir.as_deref(), Some("docs/specs"));
        assert_eq!(config.plans_dir.as_deref(), Some("plans"));
        assert_eq!(config.prompt_file.as_deref(), Some("p.txt"));
        assert_eq!(config.context_files, ["/home/ann/notes.md", "a.md"]);
        assert_eq!(config.log_dir.as_deref(), Some("/home/ann/logs"));
        assert_eq!(config.patch["worktree"]["pathTemplate"], "/home/ann/trees/{{ repo }}");
        assert_eq!(settled("specs_dir=.\nlog_dir=out/../runs\n").unwrap().specs_dir.as_deref(), Some("."));
    }

    #[test]
    fn paths_that_cannot_be_used_are_refused_with_file_and_line() {
        assert_eq!(
            settled("\nspecs_dir=../elsewhere").unwrap_err(),
            "c line 2: specs_dir ../elsewhere lies outside the repository /home/ann/app, from whose commits it is read; \
             name a place in it"
        );
        for bad in [".", "..", ".git/logs", "/", "~"] {
            let error = settled(&format!("log_dir={bad}")).unwrap_err();
            assert!(error.starts_with("c line 1: log_dir must be a folder of its own"), "{error}");
        }
        let error = settled("prompt_file=~bob/p.txt").unwrap_err();
        assert_eq!(error, "c line 1: prompt_file ~bob/p.txt names another user's home; write it out");
        let mut config = parse("c", "log_dir=~/logs").unwrap();
        let error = config.settle_paths(Path::new("/app"), None).unwrap_err().to_string();
        assert_eq!(error, "c line 1: log_dir ~/logs needs a home folder, and HOME names none");
    }
}
