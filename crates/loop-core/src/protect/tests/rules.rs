use std::collections::BTreeMap;

use proptest::prelude::*;

use super::changes;
use crate::protect::{Error, Rules, Violation};

/// A base tree with the scripts the gates of these tests use.
const TREE: &[(&str, &str)] = &[
    ("specs/login.md", "# Login"),
    ("plans/login.md", "- [ ] a"),
    ("src/main.rs", "fn main() {}"),
    ("src/app.py", ""),
    ("src/app.js", ""),
    ("README.md", ""),
    (
        "Makefile",
        "include ci/rules.mk\ntest:\n\t@sh ci/from-make.sh\n\tpython src/app.py --selftest\nOBJECTS = src/main.rs\n",
    ),
    ("ci/rules.mk", "X=1\n"),
    ("ci/from-make.sh", "true\n"),
    (
        "ci/gate.sh",
        "#!/bin/sh\n. \"$(dirname \"$0\")/lib.sh\"\n# see ci/unrelated.sh\nsh ci/x.sh && diff ci/expected.json out.json\nruff check src/app.py README.md\npytest tests/test_app.py\n",
    ),
    ("ci/lib.sh", "bash ci/deep.sh\n"),
    ("ci/deep.sh", "sh ci/too-deep.sh\n"),
    ("ci/too-deep.sh", "true\n"),
    ("ci/x.sh", "sh ci/gate.sh # again\n"),
    ("ci/unrelated.sh", ""),
    ("ci/expected.json", "{}"),
    ("ci/my check.sh", ""),
    (
        "ci/run.mjs",
        "import { all } from './steps.mjs';\nconst fs = require('fs');\nfs.readFileSync('src/app.js');\n",
    ),
    ("ci/steps.mjs", ""),
    ("ci/checks/__main__.py", "from checks import rules\n"),
    ("tests/run.sh", "for t in tests/cases/*.sh; do sh \"$t\"; done\nsh tests/cases/one.sh\n"),
    ("tests/cases/one.sh", ""),
    ("tests/test_app.py", ""),
    (
        "package.json",
        r#"{"scripts":{"test":"npm run unit","unit":"node ci/run.mjs","pretest":"sh ci/x.sh","start":"node src/app.js"}}"#,
    ),
    ("sub/ci/only.sh", ""),
    ("sub/Makefile", "all:\n"),
    (".github/workflows/ci.yml", ""),
    ("pytest.ini", ""),
];

#[derive(Default)]
struct Setting<'a> {
    gates: &'a [&'a str],
    protect: &'a [&'a str],
    allow: &'a [&'a str],
    listed: &'a [&'a str],
}

fn rules(setting: &Setting<'_>) -> Result<Rules, Error> {
    let tree: BTreeMap<&str, &str> = TREE.iter().copied().collect();
    let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    Rules::new(
        Some("./specs/login.md"),
        Some("plans/login.md"),
        &owned(setting.gates),
        &|path| tree.contains_key(path),
        &|path| tree.get(path).map(|text| (*text).to_owned()),
        &owned(setting.protect),
        &owned(setting.allow),
        &owned(setting.listed),
    )
}

fn broken(setting: &Setting<'_>, lines: &[&str]) -> Vec<String> {
    let found = rules(setting).unwrap().violations(&changes(lines));
    found.into_iter().map(|Violation { path, rule }| format!("{path}: {rule}")).collect()
}

fn protected_by(gate: &str, path: &str) -> bool {
    rules(&Setting { gates: &[gate], ..Setting::default() }).unwrap().rule(path).is_some()
}

#[test]
fn honest_work_breaks_no_rule() {
    let gates: &[&str] = &["cargo test --workspace", "sh ci/gate.sh", "make test"];
    let plain = Setting { gates, ..Setting::default() };
    for lines in [
        &["M src/main.rs", "A src/parse.rs", "M Cargo.toml", "M README.md"][..],
        &["A tests/test_new.py", "M tests/test_app.py"],
        &["R tests/test_app.py tests/unit/test_app.py"],
        &["M plans/login.md"],
        &["M src/app.py", "A tests/conftest.py", "A docs/ci.md", "A src/ci/parse.rs", "M specs/other.md"],
        &["M ci/unrelated.sh"],
    ] {
        assert_eq!(broken(&plain, lines), [""; 0], "{lines:?}");
    }
    let listed = Setting {
        gates,
        listed: &["./ci/gate.sh", ".github/workflows/ci.yml", "Makefile", "ci/new/"],
        ..Setting::default()
    };
    let lines = ["M ci/gate.sh", "M .github/workflows/ci.yml", "M Makefile", "A ci/new/Jenkinsfile"];
    assert_eq!(broken(&listed, &lines), [""; 0]);
    let allowed = Setting { gates, allow: &["ci/**", ".github"], ..Setting::default() };
    assert_eq!(broken(&allowed, &["M ci/gate.sh", "M .github/workflows/ci.yml"]), [""; 0]);
}

#[test]
fn each_way_to_weaken_a_check_is_caught() {
    let gates: &[&str] = &["sh ci/gate.sh", "make test"];
    let plain = Setting { gates, ..Setting::default() };
    for (line, expected) in [
        ("M specs/login.md", "specs/login.md: the spec"),
        ("D specs/login.md", "specs/login.md: the spec"),
        ("R specs/login.md specs/done.md", "specs/login.md: the spec"),
        ("M .loop/config", ".loop/config: the loop's own files"),
        ("M ci/gate.sh", "ci/gate.sh: gate script of `sh ci/gate.sh`"),
        ("T ci/gate.sh", "ci/gate.sh: gate script of `sh ci/gate.sh`"),
        ("R ci/gate.sh ci/old.sh", "ci/gate.sh: gate script of `sh ci/gate.sh`"),
        ("R src/main.rs ci/x.sh", "ci/x.sh: named in gate script ci/gate.sh"),
        ("A CI/Gate.sh", "CI/Gate.sh: gate script of `sh ci/gate.sh`"),
        ("M ci/lib.sh", "ci/lib.sh: named in gate script ci/gate.sh"),
        ("M ci/expected.json", "ci/expected.json: named in gate script ci/gate.sh"),
        ("M ci/deep.sh", "ci/deep.sh: named in gate script ci/lib.sh"),
        ("M Makefile", "Makefile: build file a gate runs"),
        ("A GNUmakefile", "GNUmakefile: build file a gate runs"),
        ("M ci/rules.mk", "ci/rules.mk: named in gate script Makefile"),
        ("M ci/from-make.sh", "ci/from-make.sh: named in gate script Makefile"),
        ("M .github/workflows/ci.yml", ".github/workflows/ci.yml: CI configuration"),
        ("A .gitlab-ci.yml", ".gitlab-ci.yml: CI configuration"),
        ("A .circleci/config.yml", ".circleci/config.yml: CI configuration"),
        ("A deploy/Jenkinsfile", "deploy/Jenkinsfile: CI configuration"),
        ("A .GitHub/workflows/x.yml", ".GitHub/workflows/x.yml: CI configuration"),
        ("A .github", ".github: CI configuration"),
        ("M pytest.ini", "pytest.ini: test-runner configuration"),
        ("A conftest.py", "conftest.py: test-runner configuration"),
        ("A web/jest.config.mjs", "web/jest.config.mjs: test-runner configuration"),
        ("A vitest.config.ts", "vitest.config.ts: test-runner configuration"),
        ("A .cargo/config.toml", ".cargo/config.toml: test-runner configuration"),
        ("A .config/nextest.toml", ".config/nextest.toml: test-runner configuration"),
        ("A phpunit.xml.dist", "phpunit.xml.dist: test-runner configuration"),
        ("A .mocharc.json", ".mocharc.json: test-runner configuration"),
        ("A .mvn/maven.config", ".mvn/maven.config: test-runner configuration"),
        ("A .gitattributes", ".gitattributes: decides what the gates' checkout holds"),
        ("M rust-toolchain.toml", "rust-toolchain.toml: chooses the tools that a gate runs"),
        ("A .mise.toml", ".mise.toml: chooses the tools that a gate runs"),
        ("A web/node_modules/.bin/jest", "web/node_modules/.bin/jest: chooses the tools that a gate runs"),
        ("A .venv/bin/pytest", ".venv/bin/pytest: chooses the tools that a gate runs"),
    ] {
        assert_eq!(broken(&plain, &[line]), [expected], "{line}");
    }
}

#[test]
fn a_rename_is_judged_by_both_names_and_said_once() {
    let plain = Setting { gates: &["sh ci/gate.sh"], ..Setting::default() };
    let found = broken(&plain, &["R ci/x.sh ci/lib.sh", "M ci/x.sh"]);
    assert_eq!(
        found,
        ["ci/lib.sh: named in gate script ci/gate.sh", "ci/x.sh: named in gate script ci/gate.sh"]
    );
}

#[test]
fn what_the_user_says_comes_before_the_plan_and_allow_before_both() {
    let setting = Setting {
        protect: &["src/**", "docs", "*.lock", "plans/**"],
        allow: &["src/gen/**", "specs/**"],
        listed: &["src/main.rs", "docs/a.md", "specs/login.md"],
        ..Setting::default()
    };
    let lines = [
        "M src/main.rs",
        "M src/gen/a.rs",
        "M docs/a.md",
        "M Cargo.lock",
        "M sub/x.lock",
        "M specs/login.md",
        "M plans/login.md",
    ];
    assert_eq!(
        broken(&setting, &lines),
        [
            "Cargo.lock: protect.paths `*.lock`",
            "docs/a.md: protect.paths `docs`",
            "specs/login.md: the spec",
            "src/main.rs: protect.paths `src/**`",
        ]
    );
    // What is allowed is that very file, not another that differs in case.
    let allowed = Setting { allow: &["pytest.ini"], ..Setting::default() };
    assert_eq!(
        broken(&allowed, &["M pytest.ini", "A Pytest.ini"]),
        ["Pytest.ini: test-runner configuration"]
    );
}

#[test]
fn a_bad_pattern_is_named() {
    for bad in ["src/[", "", "/", ".", "!src", "a{b"] {
        for setting in [
            Setting { protect: &["ok/**", bad], ..Setting::default() },
            Setting { allow: &[bad], ..Setting::default() },
        ] {
            match rules(&setting) {
                Err(Error::Glob { glob, reason }) => assert!(glob == bad && !reason.is_empty(), "{bad}"),
                other => panic!("{bad}: {other:?}"),
            }
        }
    }
}

#[test]
fn gate_commands_are_followed_to_their_scripts() {
    for (gate, path) in [
        ("./ci/gate.sh --fast", "ci/gate.sh"),
        ("CI=1 timeout 60 bash -eu ci/gate.sh", "ci/gate.sh"),
        ("bash -c 'cargo test && sh ci/gate.sh'", "ci/gate.sh"),
        ("sh \"ci/my check.sh\"", "ci/my check.sh"),
        ("cargo test; . ci/lib.sh", "ci/deep.sh"),
        ("test -f $PWD/ci/x.sh && $PWD/ci/x.sh", "ci/x.sh"),
        ("cd sub && sh ci/only.sh", "sub/ci/only.sh"),
        ("make -C sub all", "sub/Makefile"),
        ("make -C sub all", "sub/GNUmakefile"),
        ("jq --slurpfile want ci/expected.json .", "ci/expected.json"),
        ("lint --config=ci/expected.json", "ci/expected.json"),
        ("python ci/checks/__main__.py", "ci/checks/__main__.py"),
        ("python3 -m ci.checks", "ci/checks/__main__.py"),
        ("python3.12 -m pytest -q", "pytest.py"),
        ("python3.12 -m pytest -q", "pytest/__init__.py"),
        ("node ci/run.mjs", "ci/steps.mjs"),
        ("npm test", "ci/run.mjs"),
        ("npm test", "ci/x.sh"),
        ("npm run unit", "ci/run.mjs"),
        ("npm test", ".npmrc"),
        ("sh tests/run.sh", "tests/run.sh"),
        ("just check", ".justfile"),
        ("sh \\\n  ci/gate.sh", "ci/gate.sh"),
    ] {
        assert!(protected_by(gate, path), "{gate}: {path}");
    }
}

#[test]
fn what_a_gate_checks_is_free_to_change() {
    for (gate, path) in [
        ("ruff check src/app.py", "src/app.py"),
        ("pytest tests/test_app.py", "tests/test_app.py"),
        ("python tests/test_app.py", "tests/test_app.py"),
        ("markdownlint README.md", "README.md"),
        ("cargo test --manifest-path Cargo.toml", "Cargo.toml"),
        ("npm test", "src/app.js"),
        ("npm test", "package.json"),
        ("make test", "src/main.rs"),
        ("make test", "src/app.py"),
        ("sh tests/run.sh", "tests/cases/one.sh"),
        ("cargo test", "Makefile"),
        ("cargo test", "ci/gate.sh"),
        ("cargo test", ".npmrc"),
        ("sh ci/gate.sh", "ci/unrelated.sh"),
        ("sh ci/gate.sh", "../outside.sh"),
    ] {
        assert!(!protected_by(gate, path), "{gate}: {path}");
    }
}

#[test]
fn scripts_are_followed_three_deep_and_circles_end() {
    assert!(protected_by("sh ci/gate.sh", "ci/too-deep.sh"));
    let chain =
        |path: &str| path.strip_prefix('s')?.parse::<u32>().ok().map(|index| format!("sh s{}\n", index + 1));
    let built =
        Rules::new(None, None, &["sh s0".to_owned()], &|path| chain(path).is_some(), &chain, &[], &[], &[])
            .unwrap();
    assert!(built.rule("s3").is_some());
    assert!(built.rule("s4").is_none());
    let listing: String = (0..5000).fold(String::new(), |text, index| {
        text + &format!(
            "sh f{index}
"
        )
    });
    let many = |path: &str| path.starts_with('f').then(|| listing.clone());
    let built =
        Rules::new(None, None, &["sh f0".to_owned()], &|path| many(path).is_some(), &many, &[], &[], &[])
            .unwrap();
    assert!(built.rule("f0").is_some());
    assert!(built.rule("f4999").is_none());
}

#[test]
fn parts_of_manifests_are_compared() {
    let npm = rules(&Setting { gates: &["npm test"], ..Setting::default() }).unwrap();
    let base = Some(r#"{"scripts":{"test":"jest"}}"#);
    assert!(npm.needs_semantic_check("package.json"));
    assert_eq!(
        npm.semantic_violation("package.json", base, Some(r#"{"scripts":{"test":"jest"},"version":"2"}"#)),
        None
    );
    let violation = Some(Violation {
        path: "package.json".to_owned(),
        rule: "package.json scripts a gate uses".to_owned(),
    });
    assert_eq!(
        npm.semantic_violation("package.json", base, Some(r#"{"scripts":{"test":"true"}}"#)),
        violation
    );
    assert_eq!(npm.semantic_violation("package.json", base, None), violation);
    assert_eq!(npm.semantic_violation("package.json", None, base), violation);
    assert_eq!(npm.semantic_violation("packages/new/package.json", None, base), None);
    assert!(!npm.needs_semantic_check("node_modules/x/package.json"));

    let cargo = rules(&Setting { gates: &["cargo test"], ..Setting::default() }).unwrap();
    assert!(!cargo.needs_semantic_check("package.json"));
    let pytest = Some("[tool.pytest.ini_options]\naddopts = \"-q\"\n");
    assert!(cargo.semantic_violation("pyproject.toml", pytest, None).is_some());
    assert!(cargo.semantic_violation("setup.cfg", Some("[metadata]\nname = x\n"), None).is_none());

    let listed =
        rules(&Setting { gates: &["npm test"], listed: &["package.json"], ..Setting::default() }).unwrap();
    assert!(!listed.needs_semantic_check("package.json"));
    let user =
        rules(&Setting { gates: &["npm test"], protect: &["package.json"], ..Setting::default() }).unwrap();
    assert!(!user.needs_semantic_check("package.json") && user.rule("package.json").is_some());
}

#[test]
fn a_plan_that_is_the_spec_keeps_to_the_plans_rules() {
    let none = |_: &str| None;
    let built = Rules::new(Some("todo.md"), Some("todo.md"), &[], &|_| false, &none, &[], &[], &[]).unwrap();
    assert_eq!(built.rule("todo.md"), None);
    assert!(built.rule("Todo.md").is_some());
}

proptest! {
    #[test]
    fn any_gate_and_script_is_followed_without_panic(
        gate in "\\PC{0,60}",
        pieces in prop::collection::vec(
            prop::sample::select(vec![
                "sh ", "./", "../", "ci/gate.sh", "$", "${", "}", "$(", ")", "\"", "'", "\\", "\n", "npm run ", "test", "make -C ",
                "python -m ", "é", "=", "-", " ", ";", ". ", "import ", "@",
            ]),
            0..20,
        ),
    ) {
        let script = pieces.concat();
        let gates = [gate, script.clone(), "sh run".to_owned()];
        let read = |path: &str| (path.len().is_multiple_of(2) || path == "run").then(|| script.clone());
        let built = Rules::new(None, None, &gates, &|path| read(path).is_some(), &read, &[], &[], &[]).unwrap();
        prop_assert!(built.rule("run").is_some());
    }
}
