//! Runners that say all their counts on one line.

use super::TestCounts;

type Reader = fn(&str) -> Option<TestCounts>;

/// Tried in order; the first that knows the line takes it.
const READERS: [Reader; 8] = [cargo, nextest, pytest, jest, vitest, phpunit_ok, phpunit, examples];

/// The counts of a runner's summary line.
pub(super) fn summary(line: &str) -> Option<TestCounts> {
    READERS.iter().find_map(|read| read(line))
}

/// A number of at most nine digits, so that no sum of lines can overflow by accident.
pub(super) fn number(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.len() <= 9 && text.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

/// `3 passed` -> (3, "passed").
fn item(text: &str) -> Option<(u64, &str)> {
    let (count, word) = text.trim().split_once(' ')?;
    Some((number(count)?, word.trim()))
}

/// Every part between separators as a counted word; one part that is anything else spoils the line.
fn items<'a>(text: &'a str, separator: &'a str) -> Option<Vec<(u64, &'a str)>> {
    text.split(separator).map(item).collect()
}

fn cargo(line: &str) -> Option<TestCounts> {
    let rest = line.strip_prefix("test result: ")?;
    let rest = rest.strip_prefix("ok. ").or_else(|| rest.strip_prefix("FAILED. "))?;
    let mut counts = TestCounts::default();
    let mut parts = rest.split("; ").map_while(item);
    counts.passed = parts.next().filter(|part| part.1 == "passed")?.0;
    counts.failed = parts.next().filter(|part| part.1 == "failed")?.0;
    counts.skipped = parts.next().filter(|part| part.1 == "ignored")?.0;
    Some(counts)
}

/// `Summary [ 0.012s] 5 tests run: 4 passed (1 slow), 1 failed, 2 skipped`.
fn nextest(line: &str) -> Option<TestCounts> {
    let rest = line.trim_start().strip_prefix("Summary [")?;
    let (_, rest) = rest.split_once("] ")?;
    let (run, rest) = rest.split_once(" run: ")?;
    let (run, _) = run.split_once(' ')?;
    number(run.split('/').next()?)?;
    let mut counts = TestCounts::default();
    for (count, word) in items(&without_parentheses(rest), ", ")? {
        match word {
            "passed" => counts.passed = count,
            "failed" | "timed out" | "exec failed" => counts.failed += count,
            "skipped" => counts.skipped = count,
            _ => {}
        }
    }
    Some(counts)
}

fn without_parentheses(text: &str) -> String {
    let mut depth = 0_u32;
    let kept = text.chars().filter(|letter| {
        let outside = depth == 0 && *letter != '(';
        match letter {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        outside
    });
    kept.collect()
}

/// `==== 3 passed, 1 skipped in 0.10s ====`, or the same without the rules under `-q`.
fn pytest(line: &str) -> Option<TestCounts> {
    let line = line.trim_matches(['=', ' ']);
    let (list, time) = line.split_once(" in ")?;
    let seconds = time.split(' ').next()?.strip_suffix('s')?;
    if seconds.is_empty() || !seconds.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    if time.split_once(' ').is_some_and(|(_, clock)| !clock.starts_with('(')) {
        return None;
    }
    if list == "no tests ran" {
        return Some(TestCounts::default());
    }
    let mut counts = TestCounts::default();
    for (count, word) in items(list, ", ")? {
        match word {
            "passed" | "xpassed" => counts.passed += count,
            "failed" | "error" | "errors" => counts.failed += count,
            "skipped" | "xfailed" => counts.skipped += count,
            "warning" | "warnings" | "deselected" | "rerun" | "subtests passed" => {}
            _ => return None,
        }
    }
    Some(counts)
}

/// `Tests:       1 failed, 2 skipped, 3 passed, 6 total`.
fn jest(line: &str) -> Option<TestCounts> {
    let list = items(line.trim_start().strip_prefix("Tests:")?, ", ")?;
    if list.last()?.1 != "total" {
        return None;
    }
    passed_failed_skipped(&list[..list.len() - 1])
}

/// `Tests  1 failed | 2 passed | 1 skipped (4)`.
fn vitest(line: &str) -> Option<TestCounts> {
    let rest = line.trim_start().strip_prefix("Tests  ")?.trim_end();
    let (list, total) = rest.strip_suffix(')')?.rsplit_once(" (")?;
    number(total)?;
    passed_failed_skipped(&items(list, " | ")?)
}

fn passed_failed_skipped(list: &[(u64, &str)]) -> Option<TestCounts> {
    let mut counts = TestCounts::default();
    for (count, word) in list {
        match *word {
            "passed" => counts.passed += count,
            "failed" => counts.failed += count,
            "skipped" | "todo" | "ignored" | "pending" | "expected fail" => counts.skipped += count,
            _ => return None,
        }
    }
    Some(counts)
}

/// `OK (5 tests, 10 assertions)`.
fn phpunit_ok(line: &str) -> Option<TestCounts> {
    let list = items(line.strip_prefix("OK (")?.trim_end().strip_suffix(')')?, ", ")?;
    let [(tests, "test" | "tests"), (_, "assertion" | "assertions")] = list[..] else { return None };
    Some(TestCounts { passed: tests, ..TestCounts::default() })
}

/// `Tests: 5, Assertions: 10, Failures: 1, Skipped: 1.`
fn phpunit(line: &str) -> Option<TestCounts> {
    let line = line.trim_end().strip_suffix('.')?;
    let (mut tests, mut failed, mut skipped) = (None, 0, 0);
    for (index, part) in line.split(", ").enumerate() {
        let (name, count) = part.split_once(": ")?;
        let count = number(count)?;
        match (index, name) {
            (0, "Tests") => tests = Some(count),
            (0, _) => return None,
            (1, other) if other != "Assertions" => return None,
            (_, "Failures" | "Errors") => failed += count,
            (_, "Skipped" | "Incomplete") => skipped += count,
            _ => {}
        }
    }
    Some(TestCounts::of_total(tests?, failed, skipped))
}

/// `RSpec`, minitest and `ExUnit`: a total first, then what did not pass, as in `5 examples, 1 failure, 1 pending`.
fn examples(line: &str) -> Option<TestCounts> {
    let line = line.split(" (").next()?.trim_end();
    let list = items(line, ", ")?;
    let (mut total, mut failed, mut skipped, mut judged) = (0, 0, 0, false);
    for (index, (count, word)) in list.iter().enumerate() {
        match *word {
            "example" | "examples" | "run" | "runs" | "test" | "tests" | "doctest" | "doctests" => {
                total += count;
            }
            _ if index == 0 => return None,
            "failure" | "failures" => {
                failed += count;
                judged = true;
            }
            "error"
            | "errors"
            | "error occurred outside of examples"
            | "errors occurred outside of examples" => {
                failed += count;
            }
            "pending" | "skip" | "skips" | "skipped" | "excluded" => skipped += count,
            "assertion" | "assertions" => {}
            _ => return None,
        }
    }
    judged.then(|| TestCounts::of_total(total, failed, skipped))
}

/// The plain `N passed, N failed[, N skipped]`, believed only when no runner was recognised.
pub(super) fn plain(line: &str) -> Option<TestCounts> {
    let mut line = line.trim();
    for label in ["Results:", "Result:", "Summary:", "Total:", "Tests:", "Tests passed:"] {
        line = line.strip_prefix(label).unwrap_or(line);
    }
    let line = line.trim_end_matches('.');
    let list = items(line, ",")?;
    let passed = list.first().is_some_and(|part| part.1 == "passed");
    let failed = list.get(1).is_some_and(|part| part.1 == "failed");
    if passed && failed && list.len() <= 3 { passed_failed_skipped(&list) } else { None }
}

/// One `Tests run: 5, Failures: 0, Errors: 0, Skipped: 1` line of Surefire; `true` marks a line of a single class.
pub(super) fn surefire(line: &str) -> Option<(TestCounts, bool)> {
    let mut line = line.trim_start();
    for level in ["[INFO] ", "[ERROR] ", "[WARNING] "] {
        line = line.strip_prefix(level).unwrap_or(line).trim_start();
    }
    let (run, rest) = line.strip_prefix("Tests run: ")?.split_once(", Failures: ")?;
    let (failures, rest) = rest.split_once(", Errors: ")?;
    let (errors, rest) = rest.split_once(", Skipped: ")?;
    let digits = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
    let (skipped, tail) = rest.split_at(digits);
    let tail = tail.trim();
    let one_class = tail.starts_with(", Time elapsed:");
    if !(tail.is_empty() || one_class || tail.starts_with("<<<") || tail.starts_with(", Flakes:")) {
        return None;
    }
    let failed = number(failures)? + number(errors)?;
    Some((TestCounts::of_total(number(run)?, failed, number(skipped)?), one_class))
}
