use super::changes;
use crate::protect::{Finding, test_findings};

fn found(lines: &[&str], added: &str) -> Vec<Finding> {
    let added: Vec<String> = added.lines().map(str::to_owned).collect();
    test_findings(&changes(lines), &|_| added.clone())
}

#[test]
fn honest_work_on_tests_is_no_finding() {
    let cases: &[(&[&str], &str)] = &[
        (&["M src/lib.rs", "A src/parse.rs"], "pub fn parse() {}"),
        (&["A tests/new.rs", "M tests/api.rs"], "#[test]\nfn works() { assert_eq!(1, 1); }"),
        (&["R tests/a.rs tests/parse/a.rs"], ""),
        (&["R src/a_test.go pkg/a_test.go"], ""),
        (&["R src/foo_test.rs tests/foo.rs"], ""),
        (&["R src/a.test.js src/a.test.ts"], ""),
        (&["D src/old.rs", "D docs/tests.md"], ""),
        (&["M src/a.test.js"], "process.exit(1);\nmodel.fit(data);\n// it.skip('later')\nreader.skip(2);"),
        (&["M src/train.js"], "it.skip('this is no test file')"),
        (&["M tests/test_a.py"], "# pytest.skip('no')\nskipped = count()\nassert result.skip_count == 0"),
        (&["M a_test.go"], "scanner.Skip()\nt.Skipped()"),
        (&["M src/lib.rs"], "// #[ignore]\nlet ignore = true;\nignored(\"#[ignore]\");"),
        (&["M spec/a_spec.rb"], "skipper = Skipper.new\n# skip 'x'"),
    ];
    for (lines, added) in cases {
        assert_eq!(found(lines, added), [], "{lines:?} {added}");
    }
}

#[test]
fn lost_tests_are_found() {
    for (line, path, what) in [
        ("D tests/api.rs", "tests/api.rs", "test file deleted"),
        ("D src/a.test.ts", "src/a.test.ts", "test file deleted"),
        ("T tests/api.rs", "tests/api.rs", "test file replaced by a link, or a link by a file"),
        ("R tests/a.rs src/a.rs", "tests/a.rs", "test file renamed to src/a.rs, where no runner may find it"),
        (
            "R tests/test_a.py tests/test_a.py.bak",
            "tests/test_a.py",
            "test file renamed to tests/test_a.py.bak, where no runner may find it",
        ),
        (
            "R tests/test_a.py tests/off_a.py",
            "tests/test_a.py",
            "test file renamed to tests/off_a.py, where no runner may find it",
        ),
    ] {
        assert_eq!(found(&[line], ""), [Finding { path: path.to_owned(), what: what.to_owned() }], "{line}");
    }
}

#[test]
fn new_skip_marks_are_found() {
    for (path, line, mark) in [
        ("src/lib.rs", "    #[ignore]", "#[ignore]"),
        ("tests/a.rs", "#[ ignore = \"slow\" ]", "#[ignore]"),
        ("tests/a.rs", "#[cfg_attr(unix, ignore)]", "#[ignore]"),
        ("tests/test_a.py", "@pytest.mark.skip(reason='x')", "pytest.mark.skip"),
        ("tests/test_a.py", "@pytest.mark.skipif(True)", "pytest.mark.skip"),
        ("tests/test_a.py", "    pytest.skip('later')", "pytest.skip("),
        ("tests/test_a.py", "@unittest.skip('x')", "unittest.skip"),
        ("tests/conftest.py", "def pytest_collection_modifyitems(items):", "pytest_collection_modifyitems"),
        ("a.test.js", "it.skip('works', () => {", "it.skip"),
        ("a.test.js", "  xit('works', () => {", "xit("),
        ("a.test.ts", "test.skip('x')", "test.skip"),
        ("a.test.ts", "describe.only('x', () => {", ".only("),
        ("a.test.mjs", "test('x', { skip: true }, () => {})", "skip: true"),
        ("a_test.go", "\tt.Skip(\"later\")", "t.Skip("),
        ("FooTest.java", "    @Disabled(\"flaky\")", "@Disabled"),
        ("FooTest.java", "@Ignore", "@Ignore"),
        ("FooTest.php", "$this->markTestSkipped('x');", "markTestSkipped("),
        ("FooTests.cs", "[Fact(Skip = \"later\")]", "Skip = \""),
        ("spec/a_spec.rb", "  skip 'later'", "skip"),
        ("spec/a_spec.rb", "  xit 'works' do", "xit"),
        ("tests/basic.sh", "echo \"ok 1 # skip no net\"", "# skip"),
        ("a.bats", "  skip", "skip"),
        ("a_test.cc", "  GTEST_SKIP();", "GTEST_SKIP("),
        ("a_test.exs", "  @tag :skip", "@tag :skip"),
    ] {
        let what = format!("adds `{mark}`, which keeps tests from running");
        assert_eq!(
            found(&[&format!("M {path}")], line),
            [Finding { path: path.to_owned(), what }],
            "{path}: {line}"
        );
    }
}

#[test]
fn marks_are_said_once_and_for_new_and_moved_files_too() {
    assert_eq!(found(&["A a.test.js"], "it.skip('a')\nit.skip('b')\nxit('c')").len(), 2);
    assert_eq!(found(&["R old.test.js new.test.js"], "it.skip('a')")[0].path, "new.test.js");
}
