//! What the documents tell a reader to do is done, in an empty home, and works.
//!
//! A fenced block whose language is `sh` is run as a whole. One whose language is `console` is run line by line: after
//! `$ ` stands a command, and the lines below it occur in what the command prints (blanks count as one, `…` stands for
//! anything within a line, a line `...` for lines left out). Blocks of a document are run in order, in one world; the
//! folder that one ends in is the folder of the next. Words behind the language:
//!
//! - `exit=N`: the last command ends with N instead of 0
//! - `skip=REASON`: it is not run; see [`SKIPPED`]
//! - `file=PATH`, with any language: the block is written to this file, below the current folder
//!
//! A comment `<!-- run` is run as well: what a reader of that page has done already.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use loop_tests::{Said, loopctl, said};

/// Why a block need not be run.
const SKIPPED: [(&str, &str); 4] = [
    (
        "build",
        "builds the program, which the test has already: the folder that it is in stands first in PATH",
    ),
    ("cluster", "needs a cluster, on which tests/tests/cluster does the same"),
    ("key", "needs an account or a key of a model, and costs money"),
    ("terminal", "waits for somebody at a terminal"),
];
/// Languages of blocks that are only shown.
const SHOWN: [&str; 5] = ["text", "markdown", "json", "yaml", "diff"];

struct Block {
    line: usize,
    language: String,
    words: Vec<String>,
    text: String,
}

impl Block {
    fn word(&self, name: &str) -> Option<&str> {
        self.words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    }
}

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn document(path: &str) -> String {
    fs::read_to_string(top().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Blocks of a document in order; a comment `<!-- run` is one of the language `sh`.
fn blocks(text: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let mut end: Option<&str> = None;
    for (index, line) in text.lines().enumerate() {
        if let Some(closing) = end {
            if line == closing {
                end = None;
            } else {
                let block = found.last_mut().expect("an open block");
                block.text.push_str(line);
                block.text.push('\n');
            }
            continue;
        }
        let mut words = match line.strip_prefix("```") {
            Some(rest) => rest.split_whitespace().map(str::to_owned).collect::<Vec<_>>(),
            None if line == "<!-- run" => vec!["sh".into()],
            None => continue,
        };
        end = Some(if line.starts_with('<') { "-->" } else { "```" });
        assert!(!words.is_empty(), "line {}: a block has to name its language", index + 1);
        found.push(Block { line: index + 1, language: words.remove(0), words, text: String::new() });
    }
    assert!(end.is_none(), "a block is not closed");
    found
}

/// A reader's machine: an empty home and `loopctl` in PATH.
struct Reader {
    folder: tempfile::TempDir,
}

impl Reader {
    fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("loop-docs-").tempdir().expect("a temp folder");
        for name in ["home", "tmp"] {
            fs::create_dir(folder.path().join(name)).expect("a folder");
        }
        let reader = Self { folder };
        fs::write(reader.place(), reader.home().to_string_lossy().as_bytes()).expect("a file");
        reader
    }

    fn home(&self) -> PathBuf {
        self.folder.path().canonicalize().expect("it is there").join("home")
    }

    /// File with the folder that the last command ended in.
    fn place(&self) -> PathBuf {
        self.folder.path().join("place")
    }

    fn current(&self) -> PathBuf {
        PathBuf::from(fs::read_to_string(self.place()).expect("a place").trim_end_matches('\n'))
    }

    fn sh(&self, script: &str) -> Said {
        let program = loopctl();
        let mut path = program.parent().expect("a folder").as_os_str().to_owned();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        let mut command = Command::new("sh");
        command.arg("-euc").arg(format!("{script}\npwd >'{}'", self.place().display()));
        command.current_dir(self.current()).stdin(Stdio::null()).env_clear();
        command.env("PATH", path).env("HOME", self.home()).env("NO_COLOR", "1");
        command.env("TMPDIR", self.folder.path().join("tmp"));
        said(&command.output().expect("sh runs"))
    }
}

/// Commands of a `console` block with the lines that are shown below each.
fn commands(text: &str) -> Vec<(String, Vec<&str>)> {
    let mut found: Vec<(String, Vec<&str>)> = Vec::new();
    for line in text.lines() {
        match (line.strip_prefix("$ "), line.strip_prefix("> "), found.last_mut()) {
            (Some(command), ..) => found.push((command.to_owned(), Vec::new())),
            (None, Some(more), Some((command, shown))) if shown.is_empty() && command.ends_with('\\') => {
                command.push('\n');
                command.push_str(more);
            }
            (None, _, Some((_, shown))) => shown.push(line),
            (None, _, None) => panic!("a console block begins with `$ `, found {line:?}"),
        }
    }
    found
}

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether a shown line is one of these; `…` stands for anything.
fn occurs(shown: &str, printed: &str) -> bool {
    let shown = words(shown);
    let parts: Vec<&str> = shown.split('…').map(str::trim).collect();
    printed.lines().map(words).any(|line| {
        let Some(mut rest) = line.strip_prefix(parts[0]) else { return false };
        for part in &parts[1..] {
            match rest.find(part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        rest.is_empty() || parts.len() > 1 && (parts[parts.len() - 1].is_empty() || rest.trim().is_empty())
    })
}

/// Does what a document says.
fn follow(path: &str) {
    let reader = Reader::new();
    for block in blocks(&document(path)) {
        let place = format!("{path}:{}", block.line);
        if let Some(file) = block.word("file") {
            loop_tests::write(&reader.current().join(file), &block.text);
            continue;
        }
        if SHOWN.contains(&block.language.as_str()) || block.word("skip").is_some() {
            continue;
        }
        let wanted: i32 = block.word("exit").map_or(0, |code| code.parse().expect("an exit code"));
        let parts = match block.language.as_str() {
            "sh" => vec![(block.text.clone(), Vec::new())],
            _ => commands(&block.text),
        };
        for (at, (script, shown)) in parts.iter().enumerate() {
            let said = reader.sh(script);
            let wanted = if at + 1 == parts.len() { wanted } else { 0 };
            assert_eq!(said.code, wanted, "{place}: {script}\n{}{}", said.stdout, said.stderr);
            let printed = said.stdout + &said.stderr;
            for line in shown.iter().filter(|line| line.trim() != "..." && !line.trim().is_empty()) {
                assert!(occurs(line, &printed), "{place}: {script}\nmissing: {line}\nprinted:\n{printed}");
            }
        }
    }
}

#[test]
fn a_newcomer_gets_through_the_quick_start_from_an_empty_home() {
    follow("docs/quick-start.md");
}

#[test]
fn the_front_page_is_true() {
    follow("README.md");
}

#[test]
fn the_page_on_specs_and_plans_is_true() {
    follow("docs/writing-specs-and-plans.md");
}

#[test]
fn the_page_on_configuration_is_true() {
    follow("docs/configuration.md");
}

#[test]
fn what_goes_wrong_goes_wrong_as_the_page_on_it_says() {
    follow("docs/troubleshooting.md");
}

#[test]
fn every_page_is_followed_and_every_block_is_run_or_says_why_not() {
    let followed = ["quick-start.md", "writing-specs-and-plans.md", "configuration.md", "troubleshooting.md"];
    let only_shown = ["README.md", "cli.md"];
    // On a real cluster, by tests/tests/cluster.
    let elsewhere = ["kubernetes.md"];
    let index = document("docs/README.md");
    let mut pages = vec!["README.md".to_owned()];
    for entry in fs::read_dir(top().join("docs")).expect("docs") {
        let name = entry.expect("an entry").file_name().into_string().expect("a name");
        let known = [&followed[..], &only_shown, &elsewhere].concat();
        assert!(known.contains(&&*name), "docs/{name} is not followed");
        assert!(name == "README.md" || index.contains(&format!("]({name})")), "docs/README.md lacks {name}");
        pages.push(format!("docs/{name}"));
    }
    for page in pages {
        let text = document(&page);
        for block in blocks(&text) {
            let place = format!("{page}:{}", block.line);
            let known = ["sh", "console"].contains(&&*block.language) || SHOWN.contains(&&*block.language);
            assert!(known, "{place}: language {}", block.language);
            for word in &block.words {
                let (name, value) = word.split_once('=').unwrap_or((word, ""));
                assert!(["exit", "skip", "file"].contains(&name), "{place}: {word}");
                assert!(
                    name != "skip" || SKIPPED.iter().any(|(reason, _)| *reason == value),
                    "{place}: {word}"
                );
            }
            let skipped = block.word("skip") == Some("cluster");
            assert!(
                !skipped || elsewhere.iter().any(|name| page == format!("docs/{name}")),
                "{place}: a cluster"
            );
            let runs = !SHOWN.contains(&&*block.language);
            assert!(
                !runs || !only_shown.iter().any(|name| page == format!("docs/{name}")),
                "{place} is not run"
            );
        }
        links(&page, &text);
    }
}

/// Every link within the repository leads somewhere, and no commands hide in an indented block.
fn links(page: &str, text: &str) {
    let folder = top().join(page).parent().expect("a folder").to_owned();
    let mut fenced = false;
    let mut before = "";
    for (index, line) in text.lines().enumerate() {
        if line.starts_with("```") {
            fenced = !fenced;
        }
        let place = format!("{page}:{}", index + 1);
        if !fenced {
            assert!(!(line.starts_with("    ") && before.trim().is_empty()), "{place}: an indented block");
            for link in line.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
                let file = link.split('#').next().unwrap_or_default();
                let away = file.is_empty() || file.contains("://");
                assert!(away || folder.join(file).exists(), "{place}: {link} leads nowhere");
            }
        }
        before = line;
    }
}

#[test]
fn blocks_commands_and_shown_lines_are_told_apart() {
    let found = blocks(
        "a\n```sh skip=key\nx\n```\n<!-- run\ny\n-->\n```console exit=2\n$ a \\\n> b\none\n$ c\n```\n",
    );
    let seen: Vec<(usize, &str, &str)> =
        found.iter().map(|block| (block.line, &*block.language, &*block.text)).collect();
    assert_eq!(seen[..2], [(2, "sh", "x\n"), (5, "sh", "y\n")]);
    assert_eq!(
        (found[0].word("skip"), found[2].word("exit"), found[2].word("skip")),
        (Some("key"), Some("2"), None)
    );
    assert_eq!(commands(&found[2].text), [("a \\\nb".to_owned(), vec!["one"]), ("c".to_owned(), vec![])]);
    assert!(occurs("  a   b", "x\na b\n"));
    assert!(!occurs("a", "x\na b\n"));
    assert!(occurs("run … took … s", "run greet-1 took 3 s"));
    assert!(occurs("error: …", "error: all is lost"));
    assert!(!occurs("… took 4 s", "run took 3 s"));
}
