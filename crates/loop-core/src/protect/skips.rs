//! Marks that keep a test from running, by language.

use super::test_path::name_and_extension;

/// A mark must not be the end of a longer name: `exit(` holds no `xit(`, `model.fit(` no `fit(`.
const JAVASCRIPT: [&str; 22] = [
    "it.skip",
    "test.skip",
    "describe.skip",
    "suite.skip",
    "context.skip",
    "t.skip(",
    "this.skip(",
    "it.todo",
    "test.todo",
    "test.fixme",
    "xit(",
    "xtest(",
    "xdescribe(",
    "xcontext(",
    "fit(",
    "fdescribe(",
    "skip: true",
    "skip:true",
    "todo: true",
    ".skipIf(",
    ".runIf(",
    ".only(",
];
const PYTHON: [&str; 14] = [
    "pytest.mark.skip",
    "pytest.mark.xfail",
    "pytest.skip(",
    "pytest.xfail(",
    "pytest.importorskip(",
    "unittest.skip",
    "unittest.expectedFailure",
    "self.skipTest(",
    "SkipTest",
    "@skip",
    "__test__ = False",
    "collect_ignore",
    "pytest_collection_modifyitems",
    "pytest_ignore_collect",
];
const JVM: [&str; 8] = [
    "@Disabled",
    "@Ignore",
    "@EnabledIf",
    "assumeTrue(",
    "assumeFalse(",
    "assumeThat(",
    "SkipException(",
    "enabled = false",
];
const RUBY: [&str; 7] = ["xit ", "xdescribe ", "xcontext ", "xspecify ", "skip: ", "pending: ", ":skip"];
const PHP: [&str; 3] = ["markTestSkipped(", "markTestIncomplete(", "->skip("];
const DOTNET: [&str; 6] =
    ["[Ignore", "[Explicit", "Skip = \"", "Skip=\"", "Assert.Ignore(", "Assert.Inconclusive("];
const NATIVE: [&str; 4] = ["GTEST_SKIP(", "DISABLED_", "XCTSkip", "SKIP("];
const SHELL: [&str; 5] = ["# skip", "# SKIP", "# todo", "# TODO skip", "skip_all"];

/// The mark in an added line of this file that skips a test, or keeps the others from running.
pub(super) fn skip_mark(path: &str, line: &str) -> Option<&'static str> {
    let extension = name_and_extension(path).1;
    let line = line.trim();
    if line.starts_with("//") || line.starts_with("* ") || line.starts_with("/*") {
        return None;
    }
    let marks: &'static [&'static str] = match extension.as_str() {
        "rs" => return rust(line),
        "js" | "jsx" | "mjs" | "cjs" | "ts" | "tsx" | "mts" | "cts" | "vue" => &JAVASCRIPT,
        "py" if !line.starts_with('#') => &PYTHON,
        "go" => &["t.Skip(", "t.SkipNow(", "t.Skipf(", "b.Skip(", "f.Skip(", "tb.Skip(", "//go:build ignore"],
        "java" | "kt" | "kts" | "scala" | "groovy" => &JVM,
        "rb" if statement(line, &["skip", "pending"]) => return Some("skip"),
        "rb" if !line.starts_with('#') => &RUBY,
        "php" => &PHP,
        "cs" | "fs" | "vb" => &DOTNET,
        "c" | "cc" | "cpp" | "cxx" | "h" | "hpp" | "swift" | "m" | "mm" => &NATIVE,
        "ex" | "exs" => &["@tag :skip", "@moduletag :skip", "@describetag :skip", "skip: "],
        "dart" => &["skip: ", "@Skip("],
        "bats" if statement(line, &["skip"]) => return Some("skip"),
        "sh" | "bash" | "bats" | "t" | "pl" => &SHELL,
        _ => return None,
    };
    marks.iter().copied().find(|mark| holds(line, mark))
}

/// `#[ignore]` in any spacing, alone or by `cfg_attr`.
fn rust(line: &str) -> Option<&'static str> {
    let squeezed: String = line.chars().filter(|letter| !letter.is_whitespace()).collect();
    let conditional = squeezed.starts_with("#[cfg_attr(") && squeezed.contains(",ignore");
    (squeezed.starts_with("#[ignore") || conditional).then_some("#[ignore]")
}

/// Whether the line is one of these words alone or with an argument.
fn statement(line: &str, words: &[&str]) -> bool {
    words.iter().any(|word| {
        line.strip_prefix(word).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '(']))
    })
}

fn holds(line: &str, mark: &str) -> bool {
    let own_start = mark.starts_with(|letter: char| letter.is_alphanumeric());
    line.match_indices(mark).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !own_start || !before.is_some_and(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '.'))
    })
}
