//! The reference `docs/configuration.md`, made of the table of keys; a test fails when the file is older than it.

use std::path::Path;

use super::keys::{IDLE, Key, SECTIONS};

const INTRODUCTION: &str = include_str!("reference.md");

fn page() -> String {
    let mut text = String::from(INTRODUCTION);
    for section in SECTIONS {
        text.push_str(&format!("\n### {}\n", section.title));
        for key in section.keys {
            text.push_str(&entry(key));
        }
    }
    text.push_str("\n## Keys without effect\n\nThey are read, and each is warned about once.\n\n| Key | Why |\n|---|---|\n");
    for key in IDLE {
        text.push_str(&format!("| `{}` | {} |\n", key.name, key.meaning));
    }
    text
}

fn entry(key: &Key) -> String {
    let default =
        if key.default.is_empty() { key.otherwise.to_owned() } else { format!("`{}`", key.default) };
    let aliases: Vec<String> = key.aliases.iter().map(|alias| format!("`{alias}`")).collect();
    let older =
        if aliases.is_empty() { String::new() } else { format!("\n- older name: {}", aliases.join(", ")) };
    format!(
        "\n#### `{}`\n\n{}\n\n- value: {}\n- default: {default}\n- field of a manifest: {}{older}\n",
        key.name,
        key.meaning,
        key.kind.allowed(),
        key.field.shown()
    )
}

#[test]
fn the_reference_says_what_the_table_says() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let wanted = page();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, &wanted).unwrap();
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        found == wanted,
        "docs/configuration.md is stale; UPDATE=1 cargo test -p loop-core --lib writes it anew"
    );
}
