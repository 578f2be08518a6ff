//! `JUnit` reports: a small tolerant scanner, because every runner writes its own dialect.

use super::TestCounts;
use super::line::number;

/// Reports are cut here; what a longer one holds is not counted.
const MAX_BYTES: usize = 64 * 1024 * 1024;
/// Suites nested deeper are read as if they were at this depth.
const MAX_DEPTH: usize = 64;

const PASSED: TestCounts = TestCounts { passed: 1, failed: 0, skipped: 0 };
const FAILED: TestCounts = TestCounts { passed: 0, failed: 1, skipped: 0 };
const SKIPPED: TestCounts = TestCounts { passed: 0, failed: 0, skipped: 1 };

/// The test counts of a `JUnit` report, or `None` when it holds no suite.
///
/// The attributes of each suite are used; a suite without them is counted by its test cases. An outer suite
/// and the suites within it are not added: the larger of the two stands, as some writers repeat the sum there.
pub fn from_junit(xml: &str) -> Option<TestCounts> {
    let mut end = xml.len().min(MAX_BYTES);
    while !xml.is_char_boundary(end) {
        end -= 1;
    }
    let mut rest = &xml[..end];
    let mut report = Report::default();
    while let Some(start) = rest.find('<') {
        rest = &rest[start..];
        if let Some(after) = skip_special(rest) {
            rest = after;
            continue;
        }
        let Some(length) = tag_end(rest) else { break };
        report.tag(&rest[1..length]);
        rest = &rest[length + 1..];
    }
    report.finish()
}

/// The sum over several reports, each ended by a NUL; `None` when none of them holds a suite.
///
/// Kept apart, because a report that its runner left unfinished must not swallow the next one.
pub fn from_reports(reports: &[u8]) -> Option<TestCounts> {
    let parts = reports.split(|byte| *byte == 0);
    parts.filter_map(|part| from_junit(&String::from_utf8_lossy(part))).reduce(|mut sum, counts| {
        sum += counts;
        sum
    })
}

/// The text after a comment, a CDATA section, an instruction or a declaration; `None` for an element.
fn skip_special(text: &str) -> Option<&str> {
    for (start, end) in [("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>"), ("<!", ">")] {
        if let Some(inner) = text.strip_prefix(start) {
            return Some(inner.find(end).map_or("", |at| &inner[at + end.len()..]));
        }
    }
    None
}

/// The place of the `>` that ends this tag, beyond any inside quotes.
fn tag_end(text: &str) -> Option<usize> {
    let mut quote = None;
    for (at, byte) in text.bytes().enumerate() {
        match (quote, byte) {
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'>') => return Some(at),
            (Some(open), _) if open == byte => quote = None,
            _ => {}
        }
    }
    None
}

#[derive(Debug, Default)]
struct Suite {
    declared: Option<Declared>,
    /// Counted from the test cases directly within.
    cases: TestCounts,
    /// Sum of the suites directly within.
    inner: TestCounts,
}

#[derive(Debug, Default)]
struct Declared {
    tests: u64,
    failed: u64,
    skipped: u64,
}

impl Suite {
    fn counts(&self) -> TestCounts {
        let own = match &self.declared {
            // Some writers leave the attribute out, or say 0, and mark the cases all the same.
            Some(said) => TestCounts::of_total(said.tests, said.failed, said.skipped.max(self.cases.skipped)),
            None => self.cases,
        };
        if own.total() > self.inner.total() { own } else { self.inner }
    }
}

#[derive(Debug, Default)]
struct Report {
    open: Vec<Suite>,
    too_deep: usize,
    case: Option<TestCounts>,
    sum: TestCounts,
    found: bool,
}

impl Report {
    fn tag(&mut self, tag: &str) {
        let closing = tag.starts_with('/');
        let empty = tag.ends_with('/');
        let body = tag.trim_start_matches('/').trim_end_matches('/');
        let name_end = body.find(char::is_whitespace).unwrap_or(body.len());
        let (name, attributes) = body.split_at(name_end);
        let name = name.rsplit(':').next().unwrap_or(name);
        match name {
            "testsuite" | "testsuites" if closing => self.close_suite(),
            "testsuite" | "testsuites" => {
                self.open_suite(attributes);
                if empty {
                    self.close_suite();
                }
            }
            "testcase" if closing => self.close_case(),
            "testcase" => {
                self.close_case();
                self.case = Some(PASSED);
                if empty {
                    self.close_case();
                }
            }
            "failure" | "error" if !closing => self.verdict(FAILED),
            "skipped" if !closing => self.verdict(SKIPPED),
            _ => {}
        }
    }

    fn verdict(&mut self, counts: TestCounts) {
        if let Some(case) = &mut self.case {
            *case = counts;
        }
    }

    fn close_case(&mut self) {
        if let (Some(case), Some(suite)) = (self.case.take(), self.open.last_mut()) {
            suite.cases += case;
        }
    }

    fn open_suite(&mut self, attributes: &str) {
        self.close_case();
        self.found = true;
        if self.open.len() >= MAX_DEPTH {
            self.too_deep += 1;
            return;
        }
        self.open.push(Suite { declared: declared(attributes), ..Suite::default() });
    }

    fn close_suite(&mut self) {
        self.close_case();
        if self.too_deep > 0 {
            self.too_deep -= 1;
            return;
        }
        let Some(suite) = self.open.pop() else { return };
        match self.open.last_mut() {
            Some(outer) => outer.inner += suite.counts(),
            None => self.sum += suite.counts(),
        }
    }

    fn finish(mut self) -> Option<TestCounts> {
        // A report cut short by a killed runner still says what it said so far.
        self.too_deep = 0;
        while !self.open.is_empty() {
            self.close_suite();
        }
        self.found.then_some(self.sum)
    }
}

/// The counting attributes of a suite, if it says how many tests it has.
fn declared(mut attributes: &str) -> Option<Declared> {
    let mut said = Declared::default();
    let mut tests = None;
    while let Some((name, rest)) = attributes.split_once('=') {
        let rest = rest.trim_start();
        let Some(quote) = rest.chars().next().filter(|letter| matches!(letter, '"' | '\'')) else { break };
        let Some((value, after)) = rest[1..].split_once(quote) else { break };
        attributes = after;
        let Some(count) = number(value.trim()) else { continue };
        match name.trim() {
            "tests" => tests = Some(count),
            "failures" | "errors" => said.failed += count,
            "skipped" | "skip" | "disabled" => said.skipped += count,
            _ => {}
        }
    }
    said.tests = tests?;
    Some(said)
}
