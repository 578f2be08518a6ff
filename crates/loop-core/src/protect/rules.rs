//! The rules of one run: built once from its base commit, then asked about every change.

use std::collections::{BTreeMap, BTreeSet};

use super::changes::Change;
use super::defaults::{ALWAYS, MAKE, PACKAGE_MANAGER, PACKAGE_MANAGER_FILES};
use super::globs::{Case, Pattern, patterns};
use super::{Error, named, scripts, semantic};

/// A change an agent was not free to make.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// The path that was changed.
    pub path: String,
    /// Why it is protected, in one short phrase.
    pub rule: String,
}

/// Which paths an agent may not change in a run.
///
/// Everything here comes from the base commit, so that nothing an agent writes can widen its own permission.
/// In order: the plan has rules of its own and the spec none may touch; `protect.allow` permits; `protect.paths`
/// forbids; what the base plan lists is permitted; then the defaults forbid.
#[derive(Debug)]
pub struct Rules {
    spec: Option<String>,
    plan: Option<String>,
    allow: Vec<Pattern>,
    user: Vec<Pattern>,
    listed: Vec<Pattern>,
    /// Folded path -> reason.
    files: BTreeMap<String, String>,
    defaults: Vec<(Pattern, &'static str)>,
    package_scripts: bool,
}

impl Rules {
    /// Builds the rules of a run from its gates, its base tree and its configuration.
    ///
    /// `tree_paths` says whether a path is a file of the base tree, `read` gives its text (capped by the caller).
    /// A pattern of `user_protect` or `allow` matches from the root of the tree, `*` stays within a folder, `**` does
    /// not, and a folder's name stands for what is below it. `listed_files` are patterns of
    /// the same kind.
    #[allow(clippy::too_many_arguments, reason = "eight sources of one decision, each of another kind")]
    pub fn new(
        spec_path: Option<&str>,
        plan_path: Option<&str>,
        gates: &[String],
        tree_paths: &dyn Fn(&str) -> bool,
        read: &dyn Fn(&str) -> Option<String>,
        user_protect: &[String],
        allow: &[String],
        listed_files: &[String],
    ) -> Result<Self, Error> {
        let parts = scripts::collect(gates, tree_paths, read);
        let mut files: BTreeMap<String, String> = BTreeMap::new();
        let stand_ins = parts
            .stand_ins
            .into_iter()
            .map(|path| (path, "would stand in for a module a gate runs".to_owned()));
        let build_files = parts.build_files.into_iter().map(|path| (path, MAKE.to_owned()));
        for (path, reason) in stand_ins.chain(build_files).chain(parts.files) {
            files.insert(folded(&path), reason);
        }
        let mut defaults = Vec::new();
        for (reason, globs) in ALWAYS {
            for glob in globs {
                defaults.push((Pattern::new(glob, Case::Folded)?, reason));
            }
        }
        if parts.package_scripts {
            for glob in PACKAGE_MANAGER_FILES {
                defaults.push((Pattern::new(glob, Case::Folded)?, PACKAGE_MANAGER));
            }
        }
        Ok(Self {
            spec: spec_path.and_then(|path| named::join("", path)).map(|path| folded(&path)),
            plan: plan_path.and_then(|path| named::join("", path)),
            allow: patterns(allow, Case::Exact)?,
            user: patterns(user_protect, Case::Folded)?,
            // A list that people write may hold what is no pattern; it then allows nothing.
            listed: listed_files.iter().filter_map(|path| Pattern::new(path, Case::Exact).ok()).collect(),
            files,
            defaults,
            package_scripts: parts.package_scripts,
        })
    }

    /// Every protected path among the changes, once each; a rename is judged by both its names.
    pub fn violations(&self, changes: &[Change]) -> Vec<Violation> {
        let mut found = BTreeSet::new();
        for path in changes.iter().flat_map(|change| change.old_path.iter().chain([&change.path])) {
            found.extend(self.rule(path).map(|rule| Violation { path: path.clone(), rule }));
        }
        found.into_iter().collect()
    }

    /// Why a path is protected, if it is.
    pub fn rule(&self, path: &str) -> Option<String> {
        let name = folded(path);
        if self.plan.as_deref() == Some(path) {
            return None;
        }
        if self.spec.as_ref() == Some(&name) {
            return Some("the spec".to_owned());
        }
        if self.allow.iter().any(|pattern| pattern.matches(path)) {
            return None;
        }
        if let Some(pattern) = self.user.iter().find(|pattern| pattern.matches(path)) {
            return Some(format!("protect.paths `{}`", pattern.text));
        }
        if self.is_listed(path) {
            return None;
        }
        if let Some(reason) = self.files.get(&name) {
            return Some(reason.clone());
        }
        self.defaults
            .iter()
            .find(|(pattern, _)| pattern.matches(path))
            .map(|(_, reason)| (*reason).to_owned())
    }

    fn is_listed(&self, path: &str) -> bool {
        self.listed.iter().any(|pattern| pattern.matches(path))
    }

    /// Whether only a part of this file is protected, so that `semantic_violation` must compare its text before and after.
    ///
    /// To be asked of both names of a rename and of deleted files too; `violations` does not speak of these parts.
    pub fn needs_semantic_check(&self, path: &str) -> bool {
        self.part_rule(path).is_some() && self.rule(path).is_none()
    }

    /// Why a part of the file is protected: package.json under npm gates, pyproject.toml and setup.cfg.
    fn part_rule(&self, path: &str) -> Option<String> {
        if self.is_listed(path) || self.allow.iter().any(|pattern| pattern.matches(path)) {
            return None;
        }
        let name = folded(path);
        if name.split('/').any(|folder| folder == "node_modules") {
            return None;
        }
        match name.rsplit('/').next() {
            Some("package.json") if self.package_scripts => {
                Some("package.json scripts a gate uses".to_owned())
            }
            Some("pyproject.toml" | "setup.cfg") => Some("test-runner settings".to_owned()),
            _ => None,
        }
    }

    /// The violation in a file of which only a part is protected, from its text on the base commit and now.
    ///
    /// A new manifest in a subfolder is a new package and breaks nothing; the one at the root is what gates use.
    pub fn semantic_violation(
        &self,
        path: &str,
        before: Option<&str>,
        after: Option<&str>,
    ) -> Option<Violation> {
        if !self.needs_semantic_check(path) || (before.is_none() && path.contains('/')) {
            return None;
        }
        let rule = self.part_rule(path)?;
        let name = folded(path);
        let changed = if name.ends_with("package.json") {
            let (before, after) = (before.unwrap_or("{}"), after.unwrap_or("{}"));
            semantic::package_scripts_changed(before, after)
                || semantic::package_runner_changed(before, after)
        } else if name.ends_with("pyproject.toml") {
            semantic::pyproject_tests_changed(before.unwrap_or(""), after.unwrap_or(""))
        } else {
            semantic::setup_cfg_tests_changed(before.unwrap_or(""), after.unwrap_or(""))
        };
        changed.then(|| Violation { path: path.to_owned(), rule })
    }
}

/// The form in which protected names are compared, as some file systems take `ci.SH` and `ci.sh` for one file.
fn folded(path: &str) -> String {
    path.to_lowercase()
}
