use proptest::prelude::*;

use crate::protect::{
    ChangeStatus, Error, is_test_path, package_runner_changed, package_scripts_changed, parse_raw,
    pyproject_tests_changed, setup_cfg_tests_changed,
};

/// `M\0path\0` as git's raw form says it, with everything before the status made up.
fn raw(entries: &[&[u8]]) -> Vec<u8> {
    let before = b":100644 100644 1111111 2222222 ";
    entries.iter().flat_map(|entry| before.iter().chain(*entry).copied()).collect()
}

#[test]
fn bug_21_a_diff_is_read() {
    let mut output = raw(&[
        b"M\0src/a b.rs\0",
        b"R087\0tests/old.rs\0tests/n\xc3\xa4u.rs\0",
        b"A\0x\ny\0",
        b"D\0gone\0",
        b"T\0link\0",
        b"C75\0from\0to\0",
        b"M\0bad\xff\0",
    ]);
    output
        .extend(b":000000 160000 0000000 3333333 A\0vendor/x\0:160000 000000 3333333 0000000 D\0vendor/y\0");
    let read = parse_raw(&output).unwrap();
    let seen: Vec<_> = read
        .iter()
        .map(|change| (change.status, change.path.as_str(), change.old_path.as_deref(), change.nested))
        .collect();
    assert_eq!(
        seen,
        [
            (ChangeStatus::Modified, "src/a b.rs", None, false),
            (ChangeStatus::Renamed, "tests/näu.rs", Some("tests/old.rs"), false),
            (ChangeStatus::Added, "x\ny", None, false),
            (ChangeStatus::Deleted, "gone", None, false),
            (ChangeStatus::TypeChanged, "link", None, false),
            (ChangeStatus::Added, "to", None, false),
            (ChangeStatus::Modified, "bad\u{fffd}", None, false),
            (ChangeStatus::Added, "vendor/x", None, true),
            (ChangeStatus::Deleted, "vendor/y", None, false),
        ]
    );
    assert_eq!(parse_raw(b""), Ok(vec![]));
}

#[test]
fn a_broken_diff_is_refused() {
    for cut in [b"M\0src/a".as_slice(), b"M\0", b"R100\0old\0", b"M", b"M\0\0", b"A\0x\0D\0"] {
        assert!(parse_raw(&raw(&[cut])).is_err(), "{cut:?}");
    }
    assert_eq!(parse_raw(&raw(&[b"M\0src/a"])), Err(Error::CutShort));
    assert_eq!(parse_raw(&raw(&[b"R100\0old\0"])), Err(Error::CutShort));
    for odd in [b"\0".as_slice(), b"M\0a\0", b":1 2 3 M\0a\0", b":1 2 3 4 Q\0a\0", b":1 2 3 4 \0a\0"] {
        assert!(matches!(parse_raw(odd), Err(Error::Entry(_))), "{odd:?}");
    }
}

#[test]
fn tests_are_known_by_name_and_folder() {
    for path in [
        "tests/api.rs",
        "crates/x/tests/data/a.json",
        "test/run.sh",
        "src/__tests__/a.js",
        "spec/models/user_spec.rb",
        "spec/helper.rb",
        "pkg/a_test.go",
        "test_a.py",
        "app/tests.py",
        "src/a.test.ts",
        "a.spec.tsx",
        "src/FooTest.java",
        "src/FooIT.java",
        "src/TestFoo.java",
        "FooSpec.scala",
        "t/basic.t",
        "x.bats",
        "cypress/a.cy.js",
        "conftest.py",
        "src/parse/tests.rs",
        "src/test/java/Helper.java",
        "Tests/UnitTests.cs",
        "src/__snapshots__/a.snap",
    ] {
        assert!(is_test_path(path), "{path}");
    }
    for path in [
        "src/lib.rs",
        "specs/login.md",
        "spec/login.md",
        "specs/tests.md",
        "docs/test_plan.md",
        "src/latest.rs",
        "src/Contest.java",
        "src/attestation.py",
        "src/testimony.js",
        "package.json",
        "contest/a.rs",
        "src/Digit.java",
        "spec/openapi.yaml",
        "tests/README.md",
        "src/protest.ts",
    ] {
        assert!(!is_test_path(path), "{path}");
    }
}

#[test]
fn only_the_scripts_of_a_package_count() {
    let base =
        r#"{"name":"x","version":"1.0.0","scripts":{"test":"jest","lint":"eslint ."},"dependencies":{}}"#;
    for same in [
        base,
        r#"{"name":"x","version":"2.0.0","scripts":{"lint":"eslint .","test":"jest"},"dependencies":{"left":"1"}}"#,
    ] {
        assert!(!package_scripts_changed(base, same), "{same}");
    }
    for other in [
        r#"{"scripts":{"test":"exit 0","lint":"eslint ."}}"#,
        r#"{"scripts":{"test":"jest","lint":"eslint .","pretest":"rm -r tests"}}"#,
        r#"{"name":"x"}"#,
        "not json",
        "",
        "[]",
    ] {
        assert!(package_scripts_changed(base, other), "{other}");
    }
    assert!(!package_scripts_changed("{}", r#"{"scripts":{}}"#));
    assert!(package_runner_changed("{}", r#"{"jest":{"testPathIgnorePatterns":["x"]}}"#));
    assert!(!package_runner_changed(base, r#"{"name":"y"}"#));
}

#[test]
fn only_the_test_tables_of_python_settings_count() {
    let base = "[project]\nname = \"x\"\n\n[tool.pytest.ini_options]\naddopts = \"-q\" # quiet\ntestpaths = [\"tests\"]\n";
    for same in [
        "[project]\nname = \"y\"\ndependencies = [\"a\"]\n[tool.ruff]\nline-length = 100\n[tool.pytest.ini_options]\ntestpaths = [ 'tests' ]\naddopts = '-q'\n",
        "tool.pytest.ini_options = { addopts = \"-q\", testpaths = [\"tests\"] }\n",
    ] {
        assert!(!pyproject_tests_changed(base, same), "{same}");
    }
    for other in [
        "[project]\nname = \"x\"\n",
        "[tool.pytest.ini_options]\naddopts = \"-q --ignore=tests\"\ntestpaths = [\"tests\"]\n",
        "[\"tool\" . 'pytest' . ini_options]\naddopts = \"-k nothing\"\ntestpaths = [\"tests\"]\n",
        "[tool",
    ] {
        assert!(pyproject_tests_changed(base, other), "{other}");
    }
    assert!(pyproject_tests_changed("", "[tool.tox]\nskip = true\n"));

    let base = "[metadata]\nname = x\n[tool:pytest]\naddopts = -q\n";
    assert!(!setup_cfg_tests_changed(
        base,
        "[metadata]\nname = y\n\n[tool:pytest]\n# same\naddopts = -q\n[flake8]\na = 1\n"
    ));
    assert!(setup_cfg_tests_changed(base, "[metadata]\nname = x\n[tool:pytest]\naddopts = -q --co\n"));
    assert!(setup_cfg_tests_changed(base, "[metadata]\nname = x\n"));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(prop::sample::select(b"MADRTC1:\0\0\0/a\xff ".to_vec()), 0..60)) {
        let _ = parse_raw(&bytes);
        if let Ok(changes) = parse_raw(&raw(&[&bytes])) {
            prop_assert!(changes.iter().all(|change| !change.path.is_empty()));
            prop_assert!(changes.iter().all(|change| (change.status == ChangeStatus::Renamed) == change.old_path.is_some()));
        }
    }

    #[test]
    fn any_settings_are_compared_without_panic(before in "\\PC{0,80}", after in "\\PC{0,80}") {
        prop_assert!(!package_scripts_changed(&before, &before));
        prop_assert!(!pyproject_tests_changed(&after, &after));
        package_scripts_changed(&before, &after);
        setup_cfg_tests_changed(&before, &after);
    }
}
