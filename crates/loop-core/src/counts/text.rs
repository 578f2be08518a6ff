//! Summary lines of known test runners in a gate's output.

use std::borrow::Cow;

use super::TestCounts;
use super::line::{plain, summary};
use super::spread::Spread;
use super::tap::{Prove, Tap};

/// No summary line is longer; a longer line is skipped whole.
const MAX_LINE: usize = 2048;

/// The test counts a gate's output tells, or `None` when no known summary is in it.
///
/// Summaries are added up: a gate may start several runners, and some print one summary per binary or module.
/// The lines of TAP under a runner's own totals are not counted a second time.
pub fn from_output(text: &str) -> Option<TestCounts> {
    let mut summaries: Vec<TestCounts> = Vec::new();
    let mut plain_sum: Option<TestCounts> = None;
    let (mut spread, mut tap, mut prove) = (Spread::default(), Tap::default(), Prove::default());
    for line in text.split('\n').filter(|line| line.len() <= MAX_LINE) {
        let line = visible(line);
        if let Some(counts) = summary(&line) {
            summaries.push(counts);
            continue;
        }
        if let Some(counts) = plain(&line) {
            *plain_sum.get_or_insert_default() += counts;
            continue;
        }
        spread.line(&line);
        tap.line(&line);
        prove.line(&line);
    }
    summaries.extend(spread.finish());
    if let Some(counts) = prove.finish() {
        summaries.push(counts);
    } else if !spread.has_node() {
        summaries.extend(tap.finish());
    }
    let known = summaries.into_iter().reduce(|mut sum, counts| {
        sum += counts;
        sum
    });
    known.or(plain_sum)
}

/// What a terminal would show of the line: no colours, and only what follows the last carriage return.
fn visible(line: &str) -> Cow<'_, str> {
    let line = line.trim_end_matches('\r');
    let line = line.rsplit('\r').next().unwrap_or(line);
    if line.contains('\u{1b}') { Cow::Owned(without_escapes(line)) } else { Cow::Borrowed(line) }
}

fn without_escapes(line: &str) -> String {
    let mut kept = String::with_capacity(line.len());
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter != '\u{1b}' {
            kept.push(letter);
            continue;
        }
        match letters.next() {
            Some('[') => {
                letters.find(|letter| ('\u{40}'..='\u{7e}').contains(letter));
            }
            // A title or a hyperlink: it ends with a bell, or with an escape and a backslash.
            Some(']') => {
                letters.find(|letter| matches!(letter, '\u{7}' | '\u{1b}'));
                letters.next_if_eq(&'\\');
            }
            _ => {}
        }
    }
    kept
}
