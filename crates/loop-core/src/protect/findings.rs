//! What a change did to the tests that a reviewer must accept.

use std::collections::BTreeSet;

use super::changes::{Change, ChangeStatus};
use super::skips::skip_mark;
use super::test_path::{has_test_name, is_code, is_test_path, name_and_extension};

/// Something done to a test.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The test's path; of a renamed one the old one.
    pub path: String,
    /// What was done, in one short phrase.
    pub what: String,
}

/// Tests that were deleted, moved to where no runner looks, or marked to be skipped.
///
/// `diff_added_lines` gives the lines a diff adds to a file, by its new name. Tests that are added, changed or moved
/// within the tests are no finding. Rust files are looked at wherever they lie, as tests stand in them too.
pub fn test_findings(changes: &[Change], diff_added_lines: &dyn Fn(&str) -> Vec<String>) -> Vec<Finding> {
    let mut found = BTreeSet::new();
    for change in changes {
        if let Some(finding) = lost(change) {
            found.insert(finding);
        }
        let has_lines = !matches!(change.status, ChangeStatus::Deleted | ChangeStatus::TypeChanged);
        if has_lines && (is_test_path(&change.path) || name_and_extension(&change.path).1 == "rs") {
            for mark in diff_added_lines(&change.path).iter().filter_map(|line| skip_mark(&change.path, line))
            {
                let what = format!("adds `{}`, which keeps tests from running", mark.trim());
                found.insert(Finding { path: change.path.clone(), what });
            }
        }
    }
    found.into_iter().collect()
}

fn lost(change: &Change) -> Option<Finding> {
    let finding = |path: &str, what: String| Some(Finding { path: path.to_owned(), what });
    match (change.status, &change.old_path) {
        (ChangeStatus::Deleted, _) if is_test_path(&change.path) => {
            finding(&change.path, "test file deleted".to_owned())
        }
        (ChangeStatus::TypeChanged, _) if is_test_path(&change.path) => {
            finding(&change.path, "test file replaced by a link, or a link by a file".to_owned())
        }
        (ChangeStatus::Renamed, Some(old)) if is_test_path(old) && no_longer_run(old, &change.path) => {
            finding(old, format!("test file renamed to {}, where no runner may find it", change.path))
        }
        _ => None,
    }
}

/// Whether a moved test is likely out of its runner's sight.
fn no_longer_run(old: &str, new: &str) -> bool {
    if !is_test_path(new) || (is_code(old) && !is_code(new)) {
        return true;
    }
    // These runners go by the file's name, whatever the folder.
    let by_name =
        matches!(name_and_extension(old).1.as_str(), "py" | "go" | "java" | "kt" | "php" | "t" | "bats");
    by_name && has_test_name(old) && !has_test_name(new)
}
