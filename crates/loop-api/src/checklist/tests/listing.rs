//! Sections with a meaning of their own: blockers and listed files.

use super::*;

#[test]
fn blockers_are_quoted() {
    let table = [
        ("", None),
        ("## Blockers Discovered\n\n## Notes\nx", None),
        ("## Blockers Discovered\n<!-- none yet -->\n", None),
        ("## Blockers Discovered\n\nNo key.\r\n\r\n- b\r\n\r\n## Notes\nx", Some("No key.\n\n- b")),
        (
            "# P\n## Notes\n### BLOCKERS discovered\nNo key.\n#### Detail\nx\n### Next\ny",
            Some("No key.\n#### Detail\nx"),
        ),
        ("```\n## Blockers Discovered\n```\nx", None),
        ("## Blockers Discovered\n```\n## log\n```\n", Some("```\n## log\n```")),
        ("## Blockers Discovered\na\n## Notes\nx\n## Blockers Discovered\nb", Some("a\nb")),
    ];
    for (text, expected) in table {
        assert_eq!(Plan::parse(text).blockers().as_deref(), expected, "{text:?}");
    }
}

#[test]
fn blockers_are_capped() {
    let long_lines = format!("## Blockers Discovered\na{}\n", "é".repeat(10_000));
    let many_lines = format!("## Blockers Discovered\n{}", "blocked\n".repeat(10_000));
    for text in [long_lines, many_lines] {
        let quoted = Plan::parse(&text).blockers().unwrap();
        assert!((BLOCKERS_LIMIT - 8..=BLOCKERS_LIMIT).contains(&quoted.len()), "{}", quoted.len());
    }
}

#[test]
fn files_are_listed_from_items_and_tables() {
    let text = "- `before.rs`\n## Files to Create\n- `src/a.rs` - uses `src/other.rs`\n* src/b.rs: new\n1. **src/c.rs**\n\
        - [ ] `src/d.rs`\n  - calls `deploy.yml`\n  - `src/e.rs` nested\n\
        prose names `prose.rs`\n```\n- fenced.rs\n```\n<!-- - commented.rs -->\n\
        ### Detail\n- docs/**/*.md\n## Notes\n- `between.rs`\n### 3. Files to Modify\n\
        | File | Change |\n|:-----|---|\n| `src/a.rs` | again |\n| 1 | `src/f.rs` |\n| src/g.rs | see `x` |\n| src/h.rs | |\n\
        ### Other\n- `after.rs`\n";
    let expected = [
        "src/a.rs",
        "src/b.rs",
        "src/c.rs",
        "src/d.rs",
        "src/e.rs",
        "docs/**/*.md",
        "src/f.rs",
        "x",
        "src/h.rs",
    ];
    assert_eq!(Plan::parse(text).listed_files(), expected);
    assert_eq!(Plan::parse(&text.replace('\n', "\r\n")).listed_files(), expected);
}

#[test]
fn listed_paths_stay_in_the_repository() {
    let table = [
        ("`./src//a.rs`", Some("src/a.rs")),
        ("``a.rs``", Some("a.rs")),
        ("`with space.md`", Some("with space.md")),
        ("`tests/`", Some("tests/**")),
        ("`tests/**/`", Some("tests/**")),
        ("`/**/x/**`", None),
        ("**/x/**", Some("**/x/**")),
        ("`..`", None),
        ("`../a.rs`", None),
        ("`a/../../b`", None),
        ("`/etc/passwd`", None),
        ("`~/a`", None),
        ("`C:/a`", None),
        ("`a\\b`", None),
        ("`:!a`", None),
        ("`.git/hooks/x`", None),
        ("`sub/.GIT/config`", None),
        ("`.github/workflows/ci.yml`", Some(".github/workflows/ci.yml")),
        ("`.`", None),
        ("``", None),
    ];
    for (item, expected) in table {
        let plan = Plan::parse(&format!("## Files to Modify\n- {item}\n"));
        assert_eq!(plan.listed_files().first().map(String::as_str), expected, "{item}");
    }
}
