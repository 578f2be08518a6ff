//! Which files are tests.

const CODE: [&str; 44] = [
    "rs", "py", "pyi", "js", "jsx", "mjs", "cjs", "ts", "tsx", "mts", "cts", "go", "java", "kt", "kts",
    "scala", "groovy", "rb", "php", "cs", "fs", "vb", "swift", "m", "mm", "c", "cc", "cpp", "cxx", "h",
    "hpp", "ex", "exs", "erl", "hs", "ml", "clj", "dart", "lua", "pl", "sh", "bash", "zig", "vue",
];
const DOCS: [&str; 6] = ["md", "mdx", "rst", "adoc", "txt", "html"];
const FOLDERS: [&str; 8] = [
    "test",
    "tests",
    "__tests__",
    "__snapshots__",
    "e2e",
    "integration-tests",
    "integration_tests",
    "testing",
];

/// The last part of a path and its extension in lower case.
pub(super) fn name_and_extension(path: &str) -> (&str, String) {
    let name = path.rsplit('/').next().unwrap_or(path);
    let extension =
        name.rsplit_once('.').map_or("", |(stem, extension)| if stem.is_empty() { "" } else { extension });
    (name, extension.to_ascii_lowercase())
}

/// Whether the extension is that of a programming language.
pub(super) fn is_code(path: &str) -> bool {
    CODE.contains(&name_and_extension(path).1.as_str())
}

/// Whether a file is prose.
pub(super) fn is_document(path: &str) -> bool {
    DOCS.contains(&name_and_extension(path).1.as_str())
}

/// Whether a path looks like a test, or like something only tests use.
///
/// Judged by name and folder alone: a Rust module with tests inside a source file is not seen, the documents
/// in a `specs` folder are no tests.
pub fn is_test_path(path: &str) -> bool {
    if has_test_name(path) {
        return true;
    }
    let folders = path.rsplit_once('/').map_or("", |(folders, _)| folders);
    let in_folder = folders.split('/').any(|folder| {
        let folder = folder.to_ascii_lowercase();
        FOLDERS.contains(&folder.as_str()) || (folder == "spec" && is_code(path))
    });
    in_folder && !is_document(path)
}

/// Whether the file's own name marks it as a test, wherever it lies.
pub(super) fn has_test_name(path: &str) -> bool {
    let (name, extension) = name_and_extension(path);
    if matches!(extension.as_str(), "t" | "bats" | "feature" | "snap") {
        return true;
    }
    if !is_code(path) {
        return false;
    }
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let lower = stem.to_ascii_lowercase();
    let by_word = ["test", "tests", "conftest"].contains(&lower.as_str())
        || ["test_", "test-"].iter().any(|start| lower.starts_with(start))
        || ["_test", "_tests", "-test", "_spec", "-spec", ".test", ".tests", ".spec", ".cy", ".e2e"]
            .iter()
            .any(|end| lower.ends_with(end));
    let by_class = matches!(
        extension.as_str(),
        "java"
            | "kt"
            | "kts"
            | "scala"
            | "groovy"
            | "php"
            | "cs"
            | "fs"
            | "vb"
            | "swift"
            | "hs"
            | "cpp"
            | "cc"
            | "m"
    ) && (["Test", "Tests", "TestCase", "Spec", "IT"].iter().any(|end| stem.ends_with(end))
        || stem
            .strip_prefix("Test")
            .is_some_and(|rest| rest.starts_with(|letter: char| letter.is_uppercase())));
    by_word || by_class
}
