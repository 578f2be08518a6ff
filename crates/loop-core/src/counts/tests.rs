use proptest::prelude::*;

use super::{CountFinding, TestCounts, findings, from_junit, from_output};

fn counts(passed: u64, failed: u64, skipped: u64) -> TestCounts {
    TestCounts { passed, failed, skipped }
}

type Case = (&'static str, &'static str, (u64, u64, u64));

fn check_outputs(cases: &[Case]) {
    for (name, output, (passed, failed, skipped)) in cases {
        assert_eq!(from_output(output), Some(counts(*passed, *failed, *skipped)), "{name}");
    }
}

#[test]
fn runners_of_rust_python_go_and_javascript_are_read() {
    check_outputs(&[
        (
            "cargo test, two binaries",
            "running 3 tests\ntest a ... ok\n\ntest result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\n   Doc-tests x\n\ntest result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s\n",
            (3, 1, 1),
        ),
        (
            "nextest",
            "    Starting 6 tests across 2 binaries\n        PASS [   0.004s] x a\n────────────\n     Summary [   0.012s] 5 tests run: 3 passed (1 slow, 1 flaky), 1 failed, 1 timed out, 2 skipped\n",
            (3, 2, 2),
        ),
        (
            "nextest, stopped early",
            "     Summary [   0.012s] 2/5 tests run: 1 passed, 1 failed, 0 skipped\n",
            (1, 1, 0),
        ),
        (
            "pytest",
            "collected 7 items\ntests/test_a.py ..F.s  [100%]\n=== 1 failed, 3 passed, 1 skipped, 1 xfailed, 2 warnings, 1 error in 0.12s ===\n",
            (3, 2, 2),
        ),
        ("pytest, quiet and long", "....\n4 passed in 83.20s (0:01:23)\n", (4, 0, 0)),
        ("pytest, nothing there", "============ no tests ran in 0.01s ============\n", (0, 0, 0)),
        (
            "go test -v",
            "=== RUN   TestA\n=== RUN   TestA/sub\n--- PASS: TestA (0.00s)\n    --- PASS: TestA/sub (0.00s)\n=== RUN   TestB\n    b_test.go:5: no net\n--- SKIP: TestB (0.00s)\n--- FAIL: TestC (1.20s)\nFAIL\nFAIL\tx/y\t0.003s\n",
            (2, 1, 1),
        ),
        (
            "jest",
            "Test Suites: 1 failed, 1 passed, 2 total\nTests:       1 failed, 2 skipped, 1 todo, 3 passed, 7 total\nSnapshots:   0 total\n",
            (3, 1, 3),
        ),
        (
            "vitest",
            " Test Files  1 failed | 1 passed (2)\n      Tests  1 failed | 2 passed | 1 skipped (4)\n   Start at  10:00:00\n",
            (2, 1, 1),
        ),
        (
            "vitest in colour",
            "\u{1b}[2m      Tests \u{1b}[22m \u{1b}[1m\u{1b}[32m5 passed\u{1b}[39m\u{1b}[22m\u{1b}[90m (5)\u{1b}[39m\r\n",
            (5, 0, 0),
        ),
        (
            "mocha",
            "  adds\n    ✓ works\n\n  3 passing (12ms)\n  1 pending\n  1 failing\n\n  1) adds\n",
            (3, 1, 1),
        ),
        (
            "node, tap form",
            "TAP version 13\nok 1 - a\nnot ok 2 - b\nok 3 - c # SKIP\n1..3\n# tests 3\n# suites 0\n# pass 1\n# fail 1\n# cancelled 0\n# skipped 1\n# todo 0\n# duration_ms 4\n",
            (1, 1, 1),
        ),
        (
            "node, spec form",
            "✔ a (1ms)\nℹ tests 4\nℹ pass 3\nℹ fail 0\nℹ cancelled 1\nℹ skipped 0\n",
            (3, 1, 0),
        ),
    ]);
}

#[test]
fn other_runners_are_read() {
    check_outputs(&[
        (
            "surefire, two modules",
            "[INFO] Tests run: 3, Failures: 0, Errors: 0, Skipped: 1, Time elapsed: 0.03 s -- in x.ATest\n[ERROR] Tests run: 2, Failures: 1, Errors: 0, Skipped: 0, Time elapsed: 0.1 s <<< FAILURE! -- in x.BTest\n[INFO] Results:\n[ERROR] Tests run: 5, Failures: 1, Errors: 0, Skipped: 1\n[INFO] Tests run: 2, Failures: 0, Errors: 0, Skipped: 0, Time elapsed: 0.01 s -- in y.CTest\n[INFO] Tests run: 2, Failures: 0, Errors: 0, Skipped: 0\n",
            (5, 1, 1),
        ),
        (
            "surefire, classes only",
            "Tests run: 2, Failures: 0, Errors: 1, Skipped: 0, Time elapsed: 0.03 sec <<< FAILURE!\n",
            (1, 1, 0),
        ),
        (
            "tap",
            "TAP version 13\n1..5\nok 1 - a\nok 2 # SKIP no network\nnot ok 3 - bad #5\nnot ok 4 - later # TODO\n    ok 1 - nested\nok - unnumbered\n",
            (2, 1, 2),
        ),
        ("tap, all skipped", "1..0 # SKIP nothing for this system\n", (0, 0, 1)),
        (
            "prove",
            "t/a.t .. ok\nt/b.t .. skipped: no database\nAll tests successful.\nFiles=2, Tests=10,  0 wallclock secs\nResult: PASS\n",
            (10, 0, 1),
        ),
        (
            "prove -v, failing",
            "t/a.t ..\n1..3\nok 1\nnot ok 2\nok 3\nFailed 1/3 subtests\nTest Summary Report\nFailed 1/1 test programs. 1/3 subtests failed.\nFiles=1, Tests=3,  0 wallclock secs\nResult: FAIL\n",
            (2, 1, 0),
        ),
        (
            "ctest",
            "1/4 Test #1: a ....   Passed    0.01 sec\n\n75% tests passed, 1 tests failed out of 4\n\nTotal Test time (real) =   0.02 sec\n\nThe following tests did not run:\n\t  3 - gpu (Skipped)\n\t  5 - old (Disabled)\n\nThe following tests FAILED:\n\t  2 - b (Failed)\n",
            (2, 1, 2),
        ),
        ("phpunit, good", "OK (5 tests, 10 assertions)\n", (5, 0, 0)),
        (
            "phpunit, bad",
            "FAILURES!\nTests: 6, Assertions: 10, Errors: 1, Failures: 1, Skipped: 1, Incomplete: 1.\n",
            (2, 2, 2),
        ),
        (
            "rspec",
            "Finished in 0.1 seconds (files took 0.2 seconds to load)\n5 examples, 1 failure, 1 pending\n",
            (3, 1, 1),
        ),
        ("minitest", "5 runs, 10 assertions, 1 failures, 1 errors, 1 skips\n", (2, 2, 1)),
        ("exunit", "1 doctest, 5 tests, 1 failure, 1 skipped\n", (4, 1, 1)),
        ("unittest", "Ran 5 tests in 0.001s\n\nFAILED (failures=1, errors=1, skipped=1)\n", (2, 2, 1)),
        ("unittest, good", "Ran 2 tests in 0.001s\n\nOK\n", (2, 0, 0)),
        ("plain", "Results: 7 passed, 1 failed, 2 skipped\n", (7, 1, 2)),
        ("plain without skipped", "12 passed, 0 failed\n", (12, 0, 0)),
        (
            "two runners in one gate",
            "test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n== 3 passed in 0.1s ==\n5 passed, 0 failed\n",
            (5, 0, 0),
        ),
        ("a rewritten progress line", "running 1/2\r2 passed, 0 failed\r\n", (2, 0, 0)),
    ]);
}

#[test]
fn talk_about_numbers_is_no_summary() {
    let cases = [
        "",
        "we had 3 passed, 1 failed yesterday\n",
        "I see `test result: ok. 3 passed; 0 failed; 0 ignored` in the log\n",
        "3 passed in review, 2 did not\n",
        "10 passed in 3 stages\n",
        "5 examples, as the README says\n",
        "  3 passing (mostly)\n",
        "# pass 3 arguments to it\n",
        "Tests: 3 of them, 4 total failures\n",
        "ok  \tx/y\t0.003s\nFAIL\tx/z\t0.003s\n?   \tx/q\t[no test files]\n",
        "--- FAIL: TestOnly (0.00s)\n    a_test.go:4: bad\nFAIL\n",
        "ok 1 - without a plan\n",
        "Tests run: many, Failures: 0, Errors: 0, Skipped: 0\n",
        "test result: ok. 99999999999999999999 passed; 0 failed; 0 ignored\n",
        "Ran 3 tests in 0.1s, says the manual\n",
    ];
    for output in cases {
        assert_eq!(from_output(output), None, "{output:?}");
    }
}

#[test]
fn junit_dialects_are_read() {
    let cases: &[Case] = &[
        (
            "pytest",
            r#"<?xml version="1.0"?><testsuites><testsuite name="pytest" errors="1" failures="1" skipped="1" tests="5"><testcase name="a &gt; b"/></testsuite></testsuites>"#,
            (2, 2, 1),
        ),
        (
            "totals repeated outside",
            r#"<testsuites tests="5" failures="1"><testsuite tests="3" failures="1"/><testsuite tests='2' failures='0'></testsuite></testsuites>"#,
            (4, 1, 0),
        ),
        (
            "suite in suite",
            r#"<testsuite tests="3"><testsuite tests="1"/><testsuite tests="2" skipped="1"/></testsuite>"#,
            (2, 0, 1),
        ),
        (
            "skipped only at the cases",
            r#"<testsuite tests="2" failures="0"><testcase name="a"><skipped message="no > yes"/></testcase><testcase name="b"/></testsuite>"#,
            (1, 0, 1),
        ),
        (
            "no attributes",
            "<testsuite name='x'><testcase name='a'/><testcase name='b'><failure>x</failure></testcase><testcase name='c'><error/></testcase></testsuite>",
            (1, 2, 0),
        ),
        (
            "text that looks like suites",
            r#"<!-- <testsuite tests="9"/> --><testsuite tests="1"><testcase name="<testsuite tests='9'>"><system-out><![CDATA[<testsuite tests="7"/>]]></system-out></testcase></testsuite>"#,
            (1, 0, 0),
        ),
        ("cut short", r#"<testsuites><testsuite tests="4" failures="1"><testcase name="a"#, (3, 1, 0)),
        ("two reports in one", r#"<testsuite tests="1"/><testsuite tests="2"/>"#, (3, 0, 0)),
    ];
    for (name, xml, (passed, failed, skipped)) in cases {
        assert_eq!(from_junit(xml), Some(counts(*passed, *failed, *skipped)), "{name}");
    }
    for xml in ["", "<html></html>", "no xml", "<!-- <testsuite tests='1'/>", "<"] {
        assert_eq!(from_junit(xml), None, "{xml:?}");
    }
}

#[test]
fn deep_nesting_and_big_input_stay_bounded() {
    let deep = "<testsuite tests='1'>".repeat(100_000);
    assert_eq!(from_junit(&deep), Some(counts(1, 0, 0)));
    let long_line = format!("{}\n2 passed, 0 failed\n", "3 passed, 1 failed ".repeat(500_000));
    assert_eq!(from_output(&long_line), Some(counts(2, 0, 0)));
    let many = "test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n".repeat(100_000);
    assert_eq!(from_output(&many), Some(counts(100_000, 0, 0)));
}

#[test]
fn fewer_run_and_more_skipped_are_findings() {
    let before = counts(8, 1, 1);
    assert_eq!(findings(&before, &counts(9, 0, 1)), []);
    assert_eq!(findings(&before, &counts(12, 2, 0)), []);
    assert_eq!(findings(&before, &counts(8, 0, 1)), [CountFinding::FewerRun { before: 9, after: 8 }]);
    assert_eq!(
        findings(&before, &counts(7, 1, 2)),
        [CountFinding::FewerRun { before: 9, after: 8 }, CountFinding::MoreSkipped { before: 1, after: 2 }]
    );
    assert_eq!(
        findings(&before, &counts(9, 0, 3)).iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["more tests skipped: 3, before 1"]
    );
    assert_eq!(before.total(), 10);
}

/// Pieces of real summaries in any order reach further into the readers than random letters do.
fn shuffled_pieces() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "test result: ok. ",
        "3 passed; ",
        "Summary [",
        "] ",
        " tests run: ",
        "1 failed, ",
        "== ",
        " in 0.1s",
        "(0:01)",
        "Tests:",
        "Tests  ",
        " total",
        " | ",
        " (4)",
        "OK (",
        ")",
        "--- PASS: T (0.00s)",
        "=== RUN ",
        "1..",
        "ok 1",
        "not ok",
        " # SKIP",
        "# pass 3",
        "ℹ fail",
        "Ran 1 test in ",
        "FAILED (",
        "=",
        "% tests passed, ",
        "Files=",
        ", Tests=",
        "\n",
        "\r",
        "\u{1b}[",
        "\u{1b}]",
        "é",
        "999999999",
        " ",
        "<testsuite ",
        "tests='",
        "'",
        "\"",
        ">",
        "/>",
        "</testsuite>",
        "<testcase",
        "<!--",
        "<![CDATA[",
        "]]>",
        "<skipped/>",
    ]);
    prop::collection::vec(pieces, 0..40).prop_map(|list| list.concat())
}

proptest! {
    #[test]
    fn any_text_is_read_without_panic(text in "\\PC{0,200}", pieces in shuffled_pieces()) {
        for input in [&text, &pieces] {
            if let Some(found) = from_output(input) {
                prop_assert!(found.total() >= found.run());
            }
            from_junit(input);
        }
    }

    #[test]
    fn a_summary_is_found_whatever_surrounds_it(before in "[a-z .,:\n]{0,200}", passed in 0_u64..5000, failed in 0_u64..5000) {
        let output = format!("{before}\ntest result: ok. {passed} passed; {failed} failed; 2 ignored; 0 measured\n");
        prop_assert_eq!(from_output(&output), Some(counts(passed, failed, 2)));
    }
}

#[test]
fn several_reports_are_added_and_one_cut_short_does_not_swallow_the_next() {
    let reports =
        b"<testsuite tests='3' failures='1'><testcase/>\0<testsuite tests='5' skipped='2'/>\0no report\0";
    let counts = super::from_reports(reports).unwrap();
    assert_eq!((counts.passed, counts.failed, counts.skipped), (5, 1, 2));
    assert_eq!(super::from_reports(b""), None);
    assert_eq!(super::from_reports(b"no report\0"), None);
}
