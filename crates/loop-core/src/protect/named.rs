//! From a word in a command or script to a file of the tree, and whether that file is part of the check.

use super::test_path::{has_test_name, is_code, is_test_path, name_and_extension};
use super::words::{Use, Word};

/// What a text is, by which its words are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A gate's own command or a package script.
    Command,
    /// A shell script.
    Shell,
    /// A makefile or justfile: it names the sources of the product too.
    Build,
    /// A script in another language.
    Code,
}

const SHELL: [&str; 12] =
    ["sh", "bash", "zsh", "ksh", "fish", "ps1", "bat", "cmd", "awk", "sed", "jq", "expect"];
/// Folders whose programs check or build rather than being the product.
const TOOL_FOLDERS: [&str; 14] = [
    "ci", ".ci", "script", "scripts", "tool", "tools", "hack", "bin", "build", "dev", "check", "checks",
    "test", "tests",
];
/// Files honest work changes although gates name them; some have a check of their own.
const MANIFESTS: [&str; 14] = [
    "cargo.toml",
    "cargo.lock",
    "package.json",
    "package-lock.json",
    "pnpm-lock.yaml",
    "yarn.lock",
    "pyproject.toml",
    "setup.cfg",
    "go.mod",
    "go.sum",
    "pom.xml",
    "build.gradle",
    "build.gradle.kts",
    "gemfile",
];
const DOCUMENTS: [&str; 6] = ["md", "mdx", "rst", "adoc", "html", "org"];
/// Ends an import may leave out.
const IMPORT_ENDS: [&str; 9] =
    [".js", ".mjs", ".cjs", ".ts", ".py", ".rb", ".sh", "/index.js", "/__init__.py"];

impl Kind {
    pub(super) fn of(path: &str, content: &str) -> Self {
        let (name, extension) = name_and_extension(path);
        let name = name.to_ascii_lowercase();
        if name.ends_with("makefile")
            || name.ends_with("justfile")
            || matches!(extension.as_str(), "mk" | "just")
        {
            return Self::Build;
        }
        let first = content.lines().next().unwrap_or("");
        let other_language = first.starts_with("#!") && !first.contains("sh");
        if other_language || (is_code(path) && !is_shell(path)) { Self::Code } else { Self::Shell }
    }
}

pub(super) fn is_shell(path: &str) -> bool {
    SHELL.contains(&name_and_extension(path).1.as_str())
}

/// Joins and tidies a relative path; `None` when it leaves the tree or is the tree itself.
pub(super) fn join(folder: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            _ => parts.push(part),
        }
    }
    if parts.is_empty() { None } else { Some(parts.join("/")) }
}

/// The file of the tree a word names, if it names one.
pub(super) fn file(word: &Word, folders: &[String], exists: &dyn Fn(&str) -> bool) -> Option<String> {
    let text = word.text.trim_start_matches(['@', '+']).trim_matches([':', ',']);
    // `--config=ci/x.toml`, `SCRIPT=ci/x.sh`.
    let value = text.split_once('=').map(|(_, value)| value);
    let mut names: Vec<&str> = value.into_iter().chain([text]).map(without_variable).collect();
    names.dedup();
    let plain = |name: &str| folders.iter().filter_map(|folder| join(folder, name)).find(|path| exists(path));
    if let Some(path) = names.iter().find_map(|name| plain(name)) {
        return Some(path);
    }
    let relative = text.starts_with("./") || text.starts_with("../");
    if !(relative || word.usage == Use::Sourced) {
        return None;
    }
    let dotted = if relative { text.to_owned() } else { text.trim_start_matches('.').replace('.', "/") };
    IMPORT_ENDS.iter().find_map(|end| plain(&format!("{dotted}{end}")))
}

/// `$DIR/lib.sh` and `${0%/*}/lib.sh` without what the shell would put in front.
fn without_variable(text: &str) -> &str {
    let Some(rest) = text.strip_prefix('$') else { return text };
    let end = match rest.strip_prefix('{') {
        Some(inner) => inner.find('}').map(|at| at + 2),
        None => rest.find('/'),
    };
    end.map_or(text, |end| &rest[end..])
}

/// Whether a file named in a command or script decides what that checks.
///
/// Programs and data are part of it. Sources, tests, documents and manifests that are merely handed to a tool are
/// what it checks (`ruff check app.py`, `pytest tests/test_app.py`).
pub(super) fn is_part_of_gate(path: &str, word: &Word, kind: Kind) -> bool {
    let tool = path.split('/').rev().skip(1).any(|folder| TOOL_FOLDERS.contains(&folder));
    match (kind, word.usage) {
        // Bare words of a program are strings; those given to an interpreter or written as relative are run.
        (Kind::Code, Use::Run) if word.program.is_empty() && !word.text.starts_with('.') => is_material(path),
        (Kind::Command, Use::Run) => !has_test_name(path) || is_shell(path),
        (_, Use::Sourced) => !has_test_name(path),
        (Kind::Build, Use::Run) => (is_shell(path) || tool) && !is_test_path(path),
        (_, Use::Run) => !is_test_path(path),
        (Kind::Build, _) => is_shell(path) && !is_test_path(path),
        _ => is_material(path),
    }
}

/// Whether a file that is only handed on is likely a script, a setting or an expected result.
fn is_material(path: &str) -> bool {
    let (name, extension) = name_and_extension(path);
    let name = name.to_ascii_lowercase();
    let manifest =
        MANIFESTS.contains(&name.as_str()) || (name.starts_with("requirements") && extension == "txt");
    let document = DOCUMENTS.contains(&extension.as_str());
    !(manifest || document || is_test_path(path) || (is_code(path) && !is_shell(path)))
}
