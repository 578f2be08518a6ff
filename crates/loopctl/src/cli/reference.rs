//! The reference `docs/cli.md`, made of the help texts; a test fails when the file is older than they are.

use std::fmt::Write as _;
use std::path::Path;

use clap::{Command, CommandFactory as _};

use super::{Cli, EXIT_CODES};

const WIDTH: usize = 100;

fn page() -> String {
    let mut root = Cli::command().term_width(WIDTH);
    root.build();
    let mut text = String::from(
        "# loopctl\n\nMade from the help texts of the program; `UPDATE=1 cargo test -p loopctl` writes it anew.\n\n\
         ## Exit codes\n\n| code | meaning |\n| --- | --- |\n",
    );
    for line in EXIT_CODES.lines().skip(1) {
        let (code, meaning) = line.trim().split_once("  ").expect("a code, blanks and its meaning");
        writeln!(text, "| {} | {} |", code.trim(), meaning.trim()).expect("text takes all");
    }
    section(&mut text, "loopctl", &root);
    for verb in root.get_subcommands().filter(|verb| verb.get_name() != "help") {
        section(&mut text, &format!("loopctl {}", verb.get_name()), verb);
        for below in verb.get_subcommands().filter(|below| below.get_name() != "help") {
            section(&mut text, &format!("loopctl {} {}", verb.get_name(), below.get_name()), below);
        }
    }
    text
}

fn section(text: &mut String, title: &str, command: &Command) {
    let help = command.clone().term_width(WIDTH).render_long_help().to_string();
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    write!(text, "\n## `{title}`\n\n```text\n{}\n```\n", lines.join("\n").trim_end())
        .expect("text takes all");
}

#[test]
fn the_reference_says_what_the_program_says() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cli.md");
    let wanted = page();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, &wanted).unwrap();
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(found == wanted, "docs/cli.md is stale; UPDATE=1 cargo test -p loopctl writes it anew");
}

#[test]
fn the_table_has_every_exit_code_of_the_program() {
    use crate::error::{CANCELED, FAILED, NOT_FOUND, OK, TIMED_OUT, USAGE};
    let page = page();
    for code in [OK, FAILED, USAGE, CANCELED, NOT_FOUND, TIMED_OUT] {
        assert!(page.contains(&format!("\n| {code} | ")), "{code} is not in the table");
    }
}

#[test]
fn the_command_line_is_well_formed() {
    Cli::command().debug_assert();
}

#[test]
fn the_help_of_every_verb_teaches_by_example() {
    let mut root = Cli::command();
    root.build();
    let mut verbs = 0;
    for verb in root.get_subcommands().filter(|verb| verb.get_name() != "help" && !verb.is_hide_set()) {
        let name = verb.get_name();
        let help = verb.clone().render_long_help().to_string();
        let example = format!("\n  loopctl {name}");
        assert!(help.contains("Example") && help.contains(&example), "{name} has no example:\n{help}");
        for argument in verb.get_arguments().filter(|argument| !argument.is_hide_set()) {
            assert!(argument.get_help().is_some(), "{name} {argument} is not explained");
        }
        verbs += 1;
    }
    assert!(verbs >= 18, "only {verbs} verbs were found");
}
