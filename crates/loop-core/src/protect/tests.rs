mod findings;
mod paths;
mod rules;

use super::{Change, ChangeStatus};

/// `M path`, `R old new`, as git would say it.
fn changes(lines: &[&str]) -> Vec<Change> {
    let change = |line: &&str| {
        let words: Vec<&str> = line.split(' ').collect();
        let status = match words[0] {
            "A" => ChangeStatus::Added,
            "M" => ChangeStatus::Modified,
            "D" => ChangeStatus::Deleted,
            "R" => ChangeStatus::Renamed,
            _ => ChangeStatus::TypeChanged,
        };
        let old_path = (words.len() == 3).then(|| words[1].to_owned());
        Change { status, path: words[words.len() - 1].to_owned(), old_path, nested: false }
    };
    lines.iter().map(change).collect()
}
