//! Paths listed under "Files to Create" and "Files to Modify".

use std::collections::HashSet;

use super::scan::{Kind, Line, list_item};

/// Gathers paths line by line.
#[derive(Default)]
pub(super) struct FileList {
    paths: Vec<String>,
    /// Whether the last path came from a table row directly above, which a delimiter row turns into a header.
    last_is_row: bool,
}

impl FileList {
    pub(super) fn line(&mut self, line: &Line<'_>) {
        let above_is_row = std::mem::take(&mut self.last_is_row);
        if line.kind != Kind::Text {
            return;
        }
        let text = line.text.trim();
        if let Some(row) = text.strip_prefix('|') {
            if is_delimiter(row) {
                if above_is_row {
                    self.paths.pop();
                }
            } else if let Some(path) = row_path(row) {
                self.paths.push(path);
                self.last_is_row = true;
            }
        } else if let Some((indent, content)) = list_item(line.text) {
            self.paths.extend(item_path(indent, content));
        }
    }

    /// The paths, each once, in order.
    pub(super) fn finish(self) -> Vec<String> {
        let mut seen = HashSet::new();
        self.paths.into_iter().filter(|path| seen.insert(path.clone())).collect()
    }
}

fn is_delimiter(row: &str) -> bool {
    row.contains('-') && row.chars().all(|character| matches!(character, '|' | '-' | ':' | ' ' | '\t'))
}

fn row_path(row: &str) -> Option<String> {
    let cell = row.split('|').find(|cell| !cell.trim().is_empty())?;
    backticked(row).or_else(|| first_word(cell)).and_then(relative)
}

fn item_path(indent: usize, content: &str) -> Option<String> {
    let content = without_box(content);
    if indent >= 2 && !content.starts_with('`') {
        return None;
    }
    backticked(content).or_else(|| first_word(content)).and_then(relative)
}

/// Files may be listed as tasks; their box is not part of the name.
fn without_box(content: &str) -> &str {
    content
        .strip_prefix('[')
        .and_then(|inside| inside.split_once("] "))
        .filter(|(marker, _)| marker.chars().count() <= 1)
        .map_or(content, |(_, rest)| rest.trim_start())
}

fn backticked(text: &str) -> Option<&str> {
    let (_, after) = text.split_once('`')?;
    let (token, _) = after.trim_start_matches('`').split_once('`')?;
    Some(token)
}

fn first_word(text: &str) -> Option<&str> {
    let word = text.split_whitespace().next()?.trim_end_matches([':', ',', ';']);
    // `**bold.rs**` is emphasis, `**/any/**` a glob.
    let bold = word.strip_prefix("**").and_then(|inner| inner.strip_suffix("**"));
    Some(bold.filter(|inner| !inner.starts_with('/')).unwrap_or(word))
}

/// The path in one spelling, or nothing if it leads out of the repository, into `.git`, or is a pathspec.
fn relative(raw: &str) -> Option<String> {
    let raw = raw.trim();
    let is_drive = raw.as_bytes().get(1) == Some(&b':');
    if is_drive
        || raw.starts_with(['/', '~', ':', '!'])
        || raw.contains(|c: char| matches!(c, '\\' | '`') || c.is_control())
    {
        return None;
    }
    let mut parts: Vec<&str> = raw.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.is_empty() || parts.iter().any(|part| *part == ".." || part.eq_ignore_ascii_case(".git")) {
        return None;
    }
    if raw.ends_with('/') && parts.last() != Some(&"**") {
        parts.push("**");
    }
    Some(parts.join("/"))
}
