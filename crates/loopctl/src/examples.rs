//! The example projects, built into the program so that `loopctl demo` needs no checkout.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// A file of an example: its path within it, and its content.
pub(crate) type File = (&'static str, &'static str);

macro_rules! embedded {
    ($folder:literal, $path:literal) => {
        ($path, include_str!(concat!("../../../examples/", $folder, "/", $path)))
    };
}

/// The project of `loopctl demo`.
pub(crate) const DEMO: &[File] = &[
    embedded!("demo", ".loop/agent.sh"),
    embedded!("demo", ".loop/config"),
    embedded!("demo", "README.md"),
    embedded!("demo", "commands/help"),
    embedded!("demo", "poem.txt"),
    embedded!("demo", "specs/README.md"),
    embedded!("demo", "specs/planning/tally-plan.md"),
    embedded!("demo", "specs/tally.md"),
    embedded!("demo", "tally"),
    embedded!("demo", "tests/acceptance.sh"),
    embedded!("demo", "tests/check.sh"),
    embedded!("demo", "tests/help_test.sh"),
    embedded!("demo", "tests/lint.sh"),
    embedded!("demo", "tests/run.sh"),
];

/// The project on which the dishonest agents are tried.
pub(crate) const LIARS_PROJECT: &[File] = &[
    embedded!("liars/project", ".gitignore"),
    embedded!("liars/project", ".loop/config"),
    embedded!("liars/project", "README.md"),
    embedded!("liars/project", "greet"),
    embedded!("liars/project", "specs/README.md"),
    embedded!("liars/project", "specs/greet.md"),
    embedded!("liars/project", "specs/planning/greet-plan.md"),
    embedded!("liars/project", "tests/hello_test.sh"),
    embedded!("liars/project", "tests/name_test.sh"),
    embedded!("liars/project", "tests/run.sh"),
];

/// The dishonest agents, and two that are not.
pub(crate) const LIARS: &[File] = &[
    embedded!("liars", "00-honest.sh"),
    embedded!("liars", "01-token.sh"),
    embedded!("liars", "02-ticks.sh"),
    embedded!("liars", "03-look-alike.sh"),
    embedded!("liars", "04-removes-task.sh"),
    embedded!("liars", "05-rewords-task.sh"),
    embedded!("liars", "06-edits-spec.sh"),
    embedded!("liars", "07-edits-gate.sh"),
    embedded!("liars", "08-deletes-test.sh"),
    embedded!("liars", "09-skips-test.sh"),
    embedded!("liars", "10-ignored-fake.sh"),
    embedded!("liars", "11-background.sh"),
    embedded!("liars", "12-blocked.sh"),
    embedded!("liars", "13-uncommitted.sh"),
    embedded!("liars", "14-new-history.sh"),
    embedded!("liars", "15-nested.sh"),
    embedded!("liars", "90-hardcodes.sh"),
];

/// Writes an example into a folder; what begins with `#!` is made executable.
pub(crate) fn write(files: &[File], folder: &Path) -> io::Result<()> {
    for (path, content) in files {
        let place = folder.join(path);
        if let Some(parent) = place.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&place, content)?;
        if content.starts_with("#!") {
            fs::set_permissions(&place, fs::Permissions::from_mode(0o755))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_disk(folder: &Path, root: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                on_disk(&path, root, found);
            } else {
                found.push(path.strip_prefix(root).unwrap().to_string_lossy().into_owned());
            }
        }
    }

    #[test]
    fn no_file_of_an_example_is_forgotten() {
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
        for (folder, files) in [("demo", DEMO), ("liars/project", LIARS_PROJECT)] {
            let mut found = Vec::new();
            let root = examples.join(folder);
            on_disk(&root, &root, &mut found);
            found.sort();
            let embedded: Vec<&str> = files.iter().map(|(path, _)| *path).collect();
            assert_eq!(found, embedded, "{folder}");
        }
        let agents = fs::read_dir(examples.join("liars")).unwrap();
        let agents = agents.filter(|entry| entry.as_ref().unwrap().path().is_file()).count();
        assert_eq!(agents, LIARS.len());
    }

    /// A manifest with the demo's files in a `ConfigMap`, for clusters; `UPDATE=1` writes it anew.
    #[test]
    fn the_manifest_for_clusters_holds_the_demo() {
        let head = include_str!("examples/looprun.head.yaml");
        let mut text = head.replace("{VERSION}", env!("CARGO_PKG_VERSION"));
        for (path, content) in DEMO {
            // A key has no slash; the git server's script puts it back.
            let style = if content.ends_with('\n') { "|" } else { "|-" };
            text.push_str(&format!("  {}: {style}\n", path.replace('/', "__")));
            for line in content.lines() {
                text.push_str(&if line.is_empty() { "\n".into() } else { format!("    {line}\n") });
            }
        }
        let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/looprun.yaml");
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&place, &text).unwrap();
        }
        assert!(fs::read_to_string(place).unwrap() == text, "UPDATE=1 cargo test -p loopctl writes it anew");
        let map: serde_json::Value =
            serde_saphyr::from_str(text.split("\n---\n").last().expect("the last document")).unwrap();
        for (path, content) in DEMO {
            assert_eq!(map["data"][path.replace('/', "__")], *content, "{path}");
        }
    }

    #[test]
    fn every_agent_is_short_enough_to_be_read() {
        for (name, text) in LIARS {
            assert!(text.lines().count() <= 20, "{name}");
        }
    }
}
