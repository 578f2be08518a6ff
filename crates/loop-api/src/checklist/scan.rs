//! Lines of a Markdown text with what encloses them: headings, code fences and comments.
//!
//! Only as much of Markdown as decides whether a line is visible text. Fences and comments are recognised at
//! any indent, since they often stand inside list items.

/// One line with its place in the text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    /// Counted from 1.
    pub(super) number: usize,
    /// The byte offset of `text`.
    pub(super) start: usize,
    /// The line without its ending and, on the first line, without a byte order mark.
    pub(super) text: &'a str,
    /// What the line is.
    pub(super) kind: Kind<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind<'a> {
    Heading { level: usize, title: &'a str },
    Fenced,
    Comment,
    Text,
}

#[derive(Clone, Copy)]
enum Block {
    None,
    Fence(Fence),
    Comment,
}

#[derive(Clone, Copy)]
struct Fence {
    mark: char,
    length: usize,
}

/// The lines of a text; they end with LF, CRLF or CR.
pub(super) fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    let mut start = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let mut number = 0;
    let mut block = Block::None;
    std::iter::from_fn(move || {
        let rest = text.get(start..).filter(|rest| !rest.is_empty())?;
        let end = rest.find(['\n', '\r']).unwrap_or(rest.len());
        let (line, ending) = rest.split_at(end);
        let kind = classify(line, &mut block);
        number += 1;
        let found = Line { number, start, text: line, kind };
        start += end + if ending.starts_with("\r\n") { 2 } else { ending.len().min(1) };
        Some(found)
    })
}

fn classify<'a>(line: &'a str, block: &mut Block) -> Kind<'a> {
    let trimmed = line.trim();
    match *block {
        Block::Fence(fence) => {
            if closes(fence, trimmed) {
                *block = Block::None;
            }
            Kind::Fenced
        }
        Block::Comment => {
            if trimmed.contains("-->") {
                *block = Block::None;
            }
            Kind::Comment
        }
        Block::None => {
            if let Some(fence) = opens(trimmed) {
                *block = Block::Fence(fence);
                Kind::Fenced
            } else if trimmed.starts_with("<!--") {
                // A comment in the middle of a line is plain text: `<!--` in a task's text must not swallow
                // the tasks below it, and Markdown does not let it either.
                if !trimmed.contains("-->") {
                    *block = Block::Comment;
                }
                Kind::Comment
            } else {
                heading(line).unwrap_or(Kind::Text)
            }
        }
    }
}

/// A fence opens at the start of a line or right behind list markers; were it not seen there, its end would
/// look like a beginning and hide the rest of the plan.
fn opens(trimmed: &str) -> Option<Fence> {
    let mut content = trimmed;
    while let Some((_, rest)) = list_item(content) {
        content = rest;
    }
    let mark = content.chars().next().filter(|mark| matches!(mark, '`' | '~'))?;
    let info = content.trim_start_matches(mark);
    let length = content.len() - info.len();
    let inline_code = mark == '`' && info.contains('`');
    (length >= 3 && !inline_code).then_some(Fence { mark, length })
}

fn closes(fence: Fence, trimmed: &str) -> bool {
    trimmed.len() >= fence.length && trimmed.chars().all(|character| character == fence.mark)
}

/// A list item's indent and its content behind the marker.
pub(super) fn list_item(line: &str) -> Option<(usize, &str)> {
    let trimmed = line.trim_start_matches([' ', '\t']);
    let digits = trimmed.trim_start_matches(|character: char| character.is_ascii_digit());
    let rest = match trimmed.len() - digits.len() {
        0 => trimmed.strip_prefix(['-', '*', '+'])?,
        1..=9 => digits.strip_prefix(['.', ')'])?,
        _ => return None,
    };
    let content = rest.trim_start_matches([' ', '\t']);
    (content.len() < rest.len()).then_some((line.len() - trimmed.len(), content))
}

fn heading(line: &str) -> Option<Kind<'_>> {
    let unindented = line.trim_start_matches(' ');
    let rest = unindented.trim_start_matches('#');
    let level = unindented.len() - rest.len();
    let is_heading = line.len() - unindented.len() <= 3 && (1..=6).contains(&level);
    if !is_heading || !rest.starts_with([' ', '\t']) {
        return None;
    }
    let title = rest.trim();
    let open = title.trim_end_matches('#');
    // Closing marks (`## Title ##`) need a blank before them, so that `## C#` keeps its name.
    let title = if open.is_empty() || open.ends_with([' ', '\t']) { open.trim_end() } else { title };
    Some(Kind::Heading { level, title })
}
