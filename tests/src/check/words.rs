//! Values as the record writes them, derived anew.

use serde_json::Value;

/// A text field; empty when it is not there.
pub(super) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// A number field; 0 when it is not there.
pub(super) fn number(value: &Value, key: &str) -> i64 {
    value[key].as_i64().unwrap_or(0)
}

/// A list field.
pub(super) fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

/// Milliseconds as people say them.
pub(super) fn span(ms: i64) -> String {
    let (seconds, minutes, hours) = (ms / 1000, ms / 60_000, ms / 3_600_000);
    if hours > 0 {
        return format!("{hours} h {:0>2} min", minutes - hours * 60);
    }
    if minutes > 0 {
        return format!("{minutes} min {:0>2} s", seconds - minutes * 60);
    }
    if seconds > 0 { format!("{seconds}.{} s", (ms - seconds * 1000) / 100) } else { format!("{ms} ms") }
}

/// Billionths of a dollar as dollars.
pub(super) fn dollars(nanos: u64) -> String {
    let digits = format!("{nanos:0>10}");
    let (whole, part) = digits.split_at(digits.len() - 9);
    let part = part.trim_end_matches('0');
    if part.is_empty() { format!("${whole}") } else { format!("${whole}.{part}") }
}

/// Epoch milliseconds as a date and time in UTC, rounded to seconds.
pub(super) fn date(ms: i64) -> String {
    let seconds = (ms + 500).div_euclid(1000);
    let (mut days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let mut year = 1970;
    let leap = |year: i64| (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    while days >= 365 + i64::from(leap(year)) {
        days -= 365 + i64::from(leap(year));
        year += 1;
    }
    let months = [31, 28 + i64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while days >= months[month] {
        days -= months[month];
        month += 1;
    }
    let (hour, minute) = (second / 3600, second / 60 % 60);
    format!("{year:04}-{:02}-{:02}T{hour:02}:{minute:02}:{:02}Z", month + 1, days + 1, second % 60)
}

/// Foreign text as one harmless line.
pub(super) fn flat(text: &str) -> String {
    let turning = |sign: char| {
        [
            "\u{61c}\u{200e}\u{200f}",
            "\u{2028}\u{2029}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}",
            "\u{2066}\u{2067}\u{2068}\u{2069}",
        ]
        .concat()
        .contains(sign)
    };
    let signs: Vec<char> = text.chars().collect();
    let mut line: String = signs
        .iter()
        .take(2000)
        .map(|&sign| if sign.is_control() || turning(sign) { ' ' } else { sign })
        .collect();
    if signs.len() > 2000 {
        line += " [...]";
    }
    line
}

/// The same as it is quoted in the report.
pub(super) fn quoted(text: &str) -> String {
    let line = flat(text).trim().to_owned();
    if line.is_empty() { "(empty)".into() } else { line }
}

/// A line of Markdown without its code spans' fences: the text, and the same with every quoted part cut out.
pub(super) fn unquoted(line: &str) -> (String, String, Vec<String>) {
    let (mut all, mut own, mut parts, mut rest) = (String::new(), String::new(), Vec::new(), line);
    while let Some(at) = rest.find('`') {
        let fence: String = rest[at..].chars().take_while(|sign| *sign == '`').collect();
        let behind = &rest[at + fence.len()..];
        let Some(end) = closing(behind, fence.len()) else { break };
        let inner = &behind[..end];
        let padded = inner.starts_with(' ') && inner.ends_with(' ') && inner.len() > 2;
        let inner = if padded { &inner[1..inner.len() - 1] } else { inner };
        all += &rest[..at];
        all += inner;
        own += &rest[..at];
        parts.push(inner.to_owned());
        rest = &behind[end + fence.len()..];
    }
    (all + rest, own + rest, parts)
}

/// Where a run of exactly so many backticks begins.
fn closing(text: &str, length: usize) -> Option<usize> {
    let mut at = 0;
    while let Some(found) = text[at..].find('`') {
        let start = at + found;
        let run = text[start..].chars().take_while(|sign| *sign == '`').count();
        if run == length {
            return Some(start);
        }
        at = start + run;
    }
    None
}
