//! Text that others wrote, made harmless; and times as people say them.

/// Characters of a foreign text that are shown; the journal has all of it.
const MOST: usize = 2000;

/// Milliseconds as people say them.
pub fn duration(milliseconds: u64) -> String {
    match milliseconds {
        0..1000 => format!("{milliseconds} ms"),
        1000..60_000 => format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100),
        60_000..3_600_000 => format!("{} min {:02} s", milliseconds / 60_000, milliseconds / 1000 % 60),
        _ => format!("{} h {:02} min", milliseconds / 3_600_000, milliseconds / 60_000 % 60),
    }
}

/// Several lines of foreign text without what would act on a terminal or change the order of what is read.
pub fn plain(text: &str) -> String {
    text.chars().map(|sign| if matches!(sign, '\n' | '\t') { sign } else { harmless(sign) }).collect()
}

/// The same as one line of bounded length.
pub(super) fn line(text: &str) -> String {
    let mut line: String = text.chars().take(MOST).map(harmless).collect();
    if text.chars().nth(MOST).is_some() {
        line.push_str(" [...]");
    }
    line
}

fn harmless(sign: char) -> char {
    let turns = matches!(sign, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if sign.is_control() || turns { ' ' } else { sign }
}

/// Foreign text in Markdown: a code span, in which no markup, link, mention or HTML has a meaning.
pub(super) fn code(text: &str) -> String {
    let line = line(text);
    let line = line.trim();
    if line.is_empty() {
        return "(empty)".into();
    }
    let (mut longest, mut run) = (0, 0);
    for sign in line.chars() {
        run = if sign == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat(longest + 1);
    let pad = if line.starts_with('`') || line.ends_with('`') { " " } else { "" };
    format!("{fence}{pad}{line}{pad}{fence}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_stays_within_its_code_span() {
        assert_eq!(code("plain"), "`plain`");
        assert_eq!(code("a `b` c"), "``a `b` c``");
        assert_eq!(code("```\n# Title\n<b>"), "```` ``` # Title <b> ````");
        assert_eq!(code("ends with `"), "`` ends with ` ``");
        assert_eq!(code(" \n\t"), "(empty)");
        assert_eq!(code("\x1b[31mred\u{202e}txt"), "`[31mred txt`");
    }

    #[test]
    fn lines_are_one_and_bounded() {
        assert_eq!(line("a\tb\r\nc"), "a b  c");
        assert_eq!(line(&"é".repeat(3000)).chars().count(), MOST + 6);
        assert_eq!(plain("one\n\ttwo\x07"), "one\n\ttwo ");
    }
}
