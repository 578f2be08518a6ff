//! Runners whose counts are spread over several lines.

use super::TestCounts;
use super::line::{number, surefire};

/// Readers that remember what they saw; each says at the end whether its runner was there.
#[derive(Debug, Default)]
pub(super) struct Spread {
    go: Go,
    mocha: Block,
    node: Block,
    unittest: Unittest,
    surefire_totals: Option<TestCounts>,
    surefire_classes: Option<TestCounts>,
    ctest: Ctest,
}

impl Spread {
    /// Shows one line to every reader.
    pub(super) fn line(&mut self, line: &str) {
        self.go.line(line);
        mocha(&mut self.mocha, line);
        node(&mut self.node, line);
        self.unittest.line(line);
        self.ctest.line(line);
        if let Some((counts, one_class)) = surefire(line) {
            let sum = if one_class { &mut self.surefire_classes } else { &mut self.surefire_totals };
            *sum.get_or_insert_default() += counts;
        }
    }

    /// Whether the `# pass 3` trailer was there; the TAP lines above it say the same tests again.
    pub(super) fn has_node(&self) -> bool {
        self.node.finish().is_some()
    }

    /// What each runner that was there counted.
    pub(super) fn finish(&self) -> Vec<TestCounts> {
        // Each module of a build prints its classes and then its total: the same tests twice.
        let surefire = self.surefire_totals.or(self.surefire_classes);
        [
            self.go.finish(),
            self.mocha.finish(),
            self.node.finish(),
            self.unittest.finish(),
            surefire,
            self.ctest.finish(),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// Counts that only mean something once the line with the passed tests was seen.
#[derive(Debug, Default)]
struct Block {
    counts: TestCounts,
    seen: bool,
}

impl Block {
    fn finish(&self) -> Option<TestCounts> {
        self.seen.then_some(self.counts)
    }
}

/// `  3 passing (12ms)`, `  1 failing`, `  1 pending`.
fn mocha(block: &mut Block, line: &str) {
    if !line.starts_with(' ') {
        return;
    }
    let Some((count, word)) = line.trim().split_once(' ') else { return };
    let Some(count) = number(count) else { return };
    match word {
        "failing" if block.seen => block.counts.failed += count,
        "pending" if block.seen => block.counts.skipped += count,
        _ => {
            let time = word.strip_prefix("passing (").and_then(|rest| rest.strip_suffix(')'));
            if time.is_some_and(|time| time.starts_with(|letter: char| letter.is_ascii_digit())) {
                block.counts.passed += count;
                block.seen = true;
            }
        }
    }
}

/// `# pass 3`, or `ℹ pass 3`.
fn node(block: &mut Block, line: &str) {
    let Some(rest) = line.strip_prefix("# ").or_else(|| line.strip_prefix("ℹ ")) else { return };
    let Some((word, count)) = rest.trim_end().split_once(' ') else { return };
    let Some(count) = number(count.trim_start()) else { return };
    match word {
        "pass" => {
            block.counts.passed += count;
            block.seen = true;
        }
        "fail" | "cancelled" => block.counts.failed += count,
        "skipped" | "skip" | "todo" => block.counts.skipped += count,
        _ => {}
    }
}

/// `--- PASS: TestName (0.00s)`; believed only under `-v`, as without it Go names the failed tests alone.
#[derive(Debug, Default)]
struct Go {
    counts: TestCounts,
    verbose: bool,
}

impl Go {
    fn line(&mut self, line: &str) {
        if line.starts_with("=== RUN ") {
            self.verbose = true;
        }
        let Some(rest) = line.trim_start_matches(' ').strip_prefix("--- ") else { return };
        let Some((verdict, test)) = rest.split_once(": ") else { return };
        if !test.trim_end().ends_with("s)") || !test.contains(" (") {
            return;
        }
        match verdict {
            "PASS" => self.counts.passed += 1,
            "FAIL" => self.counts.failed += 1,
            "SKIP" => self.counts.skipped += 1,
            _ => {}
        }
    }

    fn finish(&self) -> Option<TestCounts> {
        self.verbose.then_some(self.counts)
    }
}

/// Python's own runner: `Ran 5 tests in 0.001s`, later `OK (skipped=1)` or `FAILED (failures=1)`.
#[derive(Debug, Default)]
struct Unittest {
    ran: Option<u64>,
    sum: Option<TestCounts>,
}

impl Unittest {
    fn line(&mut self, line: &str) {
        if let Some((count, word)) = line.strip_prefix("Ran ").and_then(|rest| rest.split_once(' ')) {
            if word.starts_with("test in ") || word.starts_with("tests in ") {
                self.ran = number(count);
            }
            return;
        }
        let verdict = line.strip_prefix("OK").or_else(|| line.strip_prefix("FAILED"));
        let (Some(ran), Some(rest)) = (self.ran, verdict) else { return };
        self.ran = None;
        let (mut failed, mut skipped) = (0, 0);
        for part in rest.trim_matches([' ', '(', ')']).split(", ") {
            let Some((name, count)) = part.split_once('=') else { continue };
            let count = number(count).unwrap_or(0);
            match name {
                "failures" | "errors" | "unexpected successes" => failed += count,
                "skipped" | "expected failures" => skipped += count,
                _ => {}
            }
        }
        *self.sum.get_or_insert_default() += TestCounts::of_total(ran, failed, skipped);
    }

    fn finish(&self) -> Option<TestCounts> {
        self.sum
    }
}

/// `100% tests passed, 0 tests failed out of 5`, then the tests that did not run, which it counted as passed.
#[derive(Debug, Default)]
struct Ctest {
    sum: Option<TestCounts>,
    not_run: bool,
}

impl Ctest {
    fn line(&mut self, line: &str) {
        if let Some(counts) = ctest_total(line) {
            *self.sum.get_or_insert_default() += counts;
            self.not_run = false;
        }
        let Some(sum) = &mut self.sum else { return };
        if line.starts_with("The following tests ") {
            self.not_run = line.starts_with("The following tests did not run:");
        } else if self.not_run && line.trim_end().ends_with("(Skipped)") {
            sum.passed = sum.passed.saturating_sub(1);
            sum.skipped += 1;
        } else if self.not_run && line.trim_end().ends_with("(Disabled)") {
            sum.skipped += 1;
        }
    }

    fn finish(&self) -> Option<TestCounts> {
        self.sum
    }
}

fn ctest_total(line: &str) -> Option<TestCounts> {
    let (percent, rest) = line.split_once("% tests passed, ")?;
    number(percent.trim())?;
    let (failed, total) = rest.split_once(" out of ")?;
    let failed = failed.strip_suffix(" tests failed").or_else(|| failed.strip_suffix(" test failed"))?;
    Some(TestCounts::of_total(number(total.trim())?, number(failed)?, 0))
}
