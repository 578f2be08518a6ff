//! Who will make the worktree: settled and tried before a run is made, and settled anew when it is prepared (WT-2).

use std::path::Path;

use loop_api::run::{LoopRunSpec, WorktreeHooks};

use super::preflight::refuse;
use super::{Error, Request};
use crate::engine::worktree_path;
use crate::worktree::{Provided, provide};

/// The provider as it is now, and what the user should know.
pub(super) fn settle(
    spec: &mut LoopRunSpec,
    request: &Request,
    root: &Path,
    search_path: &str,
) -> Result<(Provided, Vec<String>), Error> {
    let settings = &mut spec.worktree;
    let home = request.environment.get("HOME").map(String::as_str);
    settings.worktrunk_bin = expanded(&settings.worktrunk_bin, home);
    settings.path_template = expanded(&settings.path_template, home);
    if let Some(given) = &settings.worktrunk_config {
        let path = root.join(expanded(given, home));
        if !path.is_file() {
            return refuse(format!(
                "Worktrunk's configuration {} is not a file; name another with --worktrunk-config, or leave it out to \
                 use the one that Worktrunk finds itself",
                path.display()
            ));
        }
        settings.worktrunk_config = Some(path.to_string_lossy().into_owned());
    }
    let provided = provide(settings, root, search_path).map_err(Error::Refused)?;
    let mut warnings = Vec::new();
    if provided.worktrunk.is_none() {
        let why = if provided.reason.is_empty() {
            "the worktree provider is git".to_owned()
        } else {
            format!("git makes the worktree, as {}", provided.reason)
        };
        let asked = [
            (settings.copy_ignored, "worktrunk_copy_ignored"),
            (settings.hooks == WorktreeHooks::Approved, "worktree_hooks"),
        ];
        warnings.extend(
            asked.iter().filter(|(asked, _)| *asked).map(|(_, key)| format!("{key} has no effect: {why}")),
        );
    }
    Ok((provided, warnings))
}

/// `~/` at the beginning means HOME (BUG-24).
fn expanded(path: &str, home: Option<&str>) -> String {
    match (path.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => format!("{}/{rest}", home.trim_end_matches('/')),
        _ => path.to_owned(),
    }
}

/// Refuses a place at which the worktree cannot be made.
pub(super) fn place(
    provided: &Provided,
    spec: &LoopRunSpec,
    root: &Path,
    (branch, base): (&str, &str),
    scratch: &Path,
) -> Result<(), Error> {
    let (path, elsewhere) = if let Some(worktrunk) = &provided.worktrunk {
        let path = worktrunk.place(branch, base, scratch).map_err(|reason| {
            Error::Refused(format!(
                "Worktrunk does not say where the run's worktree would go: {reason}; put that right, or let git make \
                 it with --worktree-provider git"
            ))
        })?;
        (path, "worktree-path in Worktrunk's configuration, or --worktree-provider git")
    } else {
        let path = worktree_path(root, &spec.worktree.path_template, branch).map_err(|reason| {
            Error::Refused(format!("{reason}; set another with --worktree-path-template"))
        })?;
        (path, "--worktree-path-template")
    };
    free(root, &path, elsewhere)
}

fn free(root: &Path, path: &Path, elsewhere: &str) -> Result<(), Error> {
    let shown = path.display();
    if path.symlink_metadata().is_ok() {
        return refuse(format!(
            "{shown} is in the way of the run's worktree; remove it, or choose another place with {elsewhere}"
        ));
    }
    if path.starts_with(root) {
        return refuse(format!(
            "the worktree {shown} would lie inside the repository; choose a place beside it with {elsewhere}"
        ));
    }
    match path.ancestors().skip(1).find(|above| above.exists()) {
        Some(above) if !above.is_dir() => refuse(format!(
            "{} is a file, so the worktree {shown} cannot be made in it; choose another place with {elsewhere}",
            above.display()
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::expanded;

    #[test]
    fn bug_24_a_tilde_at_the_beginning_is_the_home() {
        assert_eq!(expanded("~/bin/wt", Some("/home/ada/")), "/home/ada/bin/wt");
        for (path, home) in
            [("~/bin/wt", None), ("~ada/wt", Some("/h")), ("a/~/b", Some("/h")), ("wt", Some("/h"))]
        {
            assert_eq!(expanded(path, home), path);
        }
    }
}
