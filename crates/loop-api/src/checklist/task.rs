//! Task lines: the box, the text, the identity and the skill hints.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use unicode_normalization::UnicodeNormalization as _;

use super::scan::{self, Kind};
use super::{SECTION_LIMIT, Task, TaskState};

/// A task and the byte range of what stands between its brackets.
pub(super) struct Found {
    pub(super) task: Task,
    pub(super) marker: Range<usize>,
}

/// The tasks of a text in order.
pub(super) fn found(text: &str) -> impl Iterator<Item = Found> {
    let mut section: Option<String> = None;
    let mut excluded = false;
    let mut occurrences: HashMap<String, usize> = HashMap::new();
    scan::lines(text).filter_map(move |line| {
        match line.kind {
            Kind::Heading { level: 2, title } => {
                excluded = is_excluded(title);
                section = Some(title[..title.floor_char_boundary(SECTION_LIMIT)].to_owned());
                return None;
            }
            Kind::Text if !excluded => {}
            _ => return None,
        }
        let boxed = parse_line(line.text)?;
        let name = normalise(boxed.text);
        let count = occurrences.entry(name.clone()).or_default();
        *count += 1;
        let task = Task {
            line: line.number,
            section: section.clone(),
            text: boxed.text.to_owned(),
            identity: identity(name, *count),
            state: boxed.state,
            skill_hints: skill_hints(boxed.text),
        };
        let marker = line.start + boxed.marker.start..line.start + boxed.marker.end;
        Some(Found { task, marker })
    })
}

/// Sections whose boxes are for the verifier or a person, not tasks (SP-10, SP-13).
fn is_excluded(title: &str) -> bool {
    let title = title.to_lowercase();
    title.contains("verification") || title.contains("checklist") || title.starts_with("manual qa")
}

struct Boxed<'a> {
    state: TaskState,
    marker: Range<usize>,
    text: &'a str,
}

/// Reads `- [ ] text`. Up to four blanks behind the dash are taken, as formatters write them.
fn parse_line(line: &str) -> Option<Boxed<'_>> {
    let rest = line.trim_start_matches([' ', '\t']).strip_prefix('-')?;
    let inside = rest.trim_start_matches([' ', '\t']).strip_prefix('[')?;
    if !(1..=4).contains(&(rest.len() - inside.len() - 1)) {
        return None;
    }
    let (marker, after) = inside.split_once(']')?;
    // `[ ]?` is manual QA, `[name](link)` a link: a box is followed by whitespace.
    let text = after.trim();
    if text.is_empty() || !after.starts_with(char::is_whitespace) {
        return None;
    }
    let start = line.len() - inside.len();
    Some(Boxed { state: state(marker)?, marker: start..start + marker.len(), text })
}

fn state(marker: &str) -> Option<TaskState> {
    Some(match marker {
        " " => TaskState::Pending,
        "~" => TaskState::Blocked,
        "x" | "X" => TaskState::Done,
        "R" => TaskState::Reviewed,
        _ => TaskState::Unknown(look_alike(marker)?),
    })
}

/// One sign in the brackets, padded or decorated perhaps, is meant as a box; a word or number is a label
/// (`[P1]`, `[3]`) and no task. A task whose box became a label is then missing, so nothing is gained by it.
fn look_alike(marker: &str) -> Option<char> {
    let visible = marker.trim();
    let mut characters = if visible.is_empty() { marker.chars() } else { visible.chars() };
    let first = characters.next().filter(|first| !first.is_numeric())?;
    (!characters.any(char::is_alphanumeric)).then_some(first)
}

/// NFC, trimmed, inner whitespace collapsed; case is kept.
fn normalise(text: &str) -> String {
    let mut name = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !name.is_empty() {
            name.push(' ');
        }
        name.push_str(word);
    }
    if name.is_ascii() { name } else { name.nfc().collect() }
}

/// One string per name and occurrence, never the same for two: a name that itself ends like `text#2` always
/// gets a number, else renaming one task could make it pass for a second `text`.
fn identity(name: String, occurrence: usize) -> String {
    let base = name.trim_end_matches(|character: char| character.is_ascii_digit());
    let is_numbered = base.len() < name.len()
        && base.strip_suffix('#').is_some_and(|text| text.ends_with(|last: char| !last.is_whitespace()));
    if occurrence == 1 && !is_numbered { name } else { format!("{name}#{occurrence}") }
}

/// The valid `@name`s in order, each once (SP-16); mail addresses and `@scope/package` are none.
fn skill_hints(text: &str) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut hints = Vec::new();
    for (at, _) in text.match_indices('@') {
        let after = &text[at + 1..];
        let rest = after.trim_start_matches(|c: char| matches!(c, 'a'..='z' | '0'..='9' | '-'));
        let name = &after[..after.len() - rest.len()];
        let in_word = |c: char| c.is_alphanumeric() || c == '_';
        let stands_alone =
            !text[..at].ends_with(in_word) && !rest.starts_with(|c| in_word(c) || c == '/' || c == '@');
        if stands_alone && is_skill_name(name) && seen.insert(name) {
            hints.push(name.to_owned());
        }
    }
    hints
}

fn is_skill_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && !name.starts_with('-') && !name.ends_with('-') && !name.contains("--")
}
