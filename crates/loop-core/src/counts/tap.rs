//! TAP streams, and `prove`, which reads them and prints totals of its own.

use super::TestCounts;
use super::line::number;

/// Top-level test lines of a TAP stream; believed only when a plan (`1..N`) was there too.
#[derive(Debug, Default)]
pub(super) struct Tap {
    counts: TestCounts,
    planned: bool,
}

impl Tap {
    pub(super) fn line(&mut self, line: &str) {
        if let Some(rest) = line.strip_prefix("1..") {
            let (count, comment) = rest.split_once('#').unwrap_or((rest, ""));
            if let Some(count) = number(count.trim()) {
                self.planned = true;
                self.counts.skipped += u64::from(count == 0 && has_word(comment, "skip"));
            }
            return;
        }
        let (rest, good) = match line.strip_prefix("not ok") {
            Some(rest) => (rest, false),
            None => match line.strip_prefix("ok") {
                Some(rest) => (rest, true),
                None => return,
            },
        };
        // `ok  pkg 0.1s` is Go's; a TAP line goes on with its number or a dash.
        let numbered = rest.trim_start().starts_with(|letter: char| letter.is_ascii_digit() || letter == '-');
        if !(rest.is_empty() || (rest.starts_with(' ') && numbered)) {
            return;
        }
        let directive = rest.rsplit_once(" #").map_or("", |(_, directive)| directive);
        if has_word(directive, "skip") || has_word(directive, "todo") {
            self.counts.skipped += 1;
        } else if good {
            self.counts.passed += 1;
        } else {
            self.counts.failed += 1;
        }
    }

    pub(super) fn finish(&self) -> Option<TestCounts> {
        self.planned.then_some(self.counts)
    }
}

fn has_word(directive: &str, word: &str) -> bool {
    directive.trim_start().get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
}

/// `Files=2, Tests=10, ...`, with failures and skipped files from the lines above it.
#[derive(Debug, Default)]
pub(super) struct Prove {
    failed: u64,
    skipped: u64,
    sum: Option<TestCounts>,
}

impl Prove {
    pub(super) fn line(&mut self, line: &str) {
        if let Some((_, reason)) = line.split_once(" skipped: ") {
            let file = line.split(' ').next().unwrap_or("");
            self.skipped += u64::from(!reason.is_empty() && line.contains(" .") && file.contains('.'));
        } else if let Some(rest) = line.trim_start().strip_prefix("(less ") {
            self.skipped += rest.split(' ').next().and_then(number).unwrap_or(0);
        } else if let Some(failed) = failed_subtests(line) {
            self.failed += failed;
        } else if let Some(tests) = prove_total(line) {
            let (failed, skipped) = (std::mem::take(&mut self.failed), std::mem::take(&mut self.skipped));
            // A skipped file holds no test lines, so it is not in the total.
            let counts = TestCounts { passed: tests.saturating_sub(failed), failed, skipped };
            *self.sum.get_or_insert_default() += counts;
        }
    }

    pub(super) fn finish(&self) -> Option<TestCounts> {
        self.sum
    }
}

/// `Failed 1/2 test programs. 3/10 subtests failed.`
fn failed_subtests(line: &str) -> Option<u64> {
    let (_, rest) = line.strip_prefix("Failed ")?.split_once(" test programs. ")?;
    let (failed, _) = rest.trim_end().strip_suffix(" subtests failed.")?.split_once('/')?;
    number(failed)
}

fn prove_total(line: &str) -> Option<u64> {
    let (files, rest) = line.strip_prefix("Files=")?.split_once(", Tests=")?;
    number(files)?;
    number(rest.split(',').next()?.trim())
}
