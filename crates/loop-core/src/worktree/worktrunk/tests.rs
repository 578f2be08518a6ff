use std::process::Command;

use loop_api::run::Provider;
use tempfile::TempDir;

use super::*;
use crate::worktree::provide;

/// A folder with a repository `app` that has one commit, and a `wt` that is this script.
struct Place(TempDir);

impl Place {
    fn new(script: &str) -> Self {
        let place = Self(tempfile::tempdir().expect("a folder"));
        fs::create_dir_all(place.root()).expect("a folder");
        for arguments in [
            &["init", "-q", "-b", "main"][..],
            &[
                "-c",
                "user.name=T",
                "-c",
                "user.email=t@localhost",
                "commit",
                "-q",
                "--allow-empty",
                "-m",
                "Start",
            ],
        ] {
            assert!(
                Command::new("git")
                    .args(arguments)
                    .current_dir(place.root())
                    .status()
                    .expect("git")
                    .success()
            );
        }
        place.write("bin/wt", script);
        place
    }

    fn root(&self) -> PathBuf {
        self.0.path().canonicalize().expect("the folder exists").join("app")
    }

    fn write(&self, name: &str, script: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(&path, script).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("permissions");
        path
    }

    fn search_path(&self) -> String {
        format!("{}:{}", self.0.path().join("bin").display(), std::env::var("PATH").expect("PATH"))
    }

    fn find(&self, bin: &str) -> Result<Worktrunk, String> {
        let settings = Worktree { worktrunk_bin: bin.into(), ..Worktree::default() };
        Worktrunk::find(&settings, &self.root(), &self.search_path())
    }
}

#[test]
fn a_command_that_cannot_be_run_is_named_with_the_reason() {
    let place = Place::new("#!/bin/sh\necho 'wt: broken' >&2\nexit 3\n");
    assert_eq!(place.find("wt-none").unwrap_err(), "`wt-none` is not in PATH");
    let program = place.0.path().join("bin/wt");
    assert_eq!(
        place.find("wt").unwrap_err(),
        format!("`{} --version` failed: wt: broken", program.display())
    );
    let missing = place.find("/nowhere/wt").unwrap_err();
    assert!(missing.starts_with("/nowhere/wt cannot be run: "), "{missing}");
    let inside = place.write("app/tools/wt", "#!/bin/sh\n");
    let refused = place.find("tools/wt").unwrap_err();
    assert_eq!(
        refused,
        format!("{} lies inside the repository and is not run", place.root().join("tools/wt").display())
    );
    assert!(inside.exists());
}

#[test]
fn only_auto_falls_back_to_git() {
    let place = Place::new("#!/bin/sh\nexit 1\n");
    let settle = |provider| {
        let settings = Worktree { provider, worktrunk_bin: "wt-none".into(), ..Worktree::default() };
        provide(&settings, &place.root(), &place.search_path())
            .map(|provided| (provided.name(), provided.reason))
    };
    assert_eq!(settle(Provider::Git), Ok(("git", String::new())));
    assert_eq!(settle(Provider::Auto), Ok(("git", "`wt-none` is not in PATH".to_owned())));
    let refused = settle(Provider::Worktrunk).unwrap_err();
    assert!(
        refused.starts_with("the worktree provider is worktrunk, but `wt-none` is not in PATH; install"),
        "{refused}"
    );
}

#[test]
fn asking_for_the_path_makes_nothing() {
    let place = Place::new(
        "#!/bin/sh\ncase $1 in\n--version) ;;\n\
         *) git rev-parse --show-toplevel >&2 && git worktree add -b \"$3\" -- \"$PWD/../a place/$3\" \"$5\" ;;\nesac\n",
    );
    let scratch = place.0.path().join("ask");
    let said = place.find("wt").unwrap().place("run/x", "HEAD", &scratch).unwrap();
    assert_eq!(said, place.root().join("../a place/run/x"));
    assert!(!scratch.exists() && !place.0.path().join("a place").exists());
    let refs =
        Command::new("git").args(["for-each-ref", "refs/heads"]).current_dir(place.root()).output().unwrap();
    assert!(!String::from_utf8_lossy(&refs.stdout).contains("run/x"));
}

#[test]
fn what_it_says_instead_of_a_path_is_the_reason() {
    let place = Place::new(
        "#!/bin/sh\n[ $1 = --version ] || { printf '\\033[31mno\\n\\n  template\\n' >&2; exit 1; }\n",
    );
    let wt = place.find("wt").unwrap();
    let said = wt.place("run/x", "HEAD", &place.0.path().join("ask")).unwrap_err();
    assert_eq!(
        said,
        format!("`{} switch` failed: [31mno; template", place.0.path().join("bin/wt").display())
    );
}

#[test]
fn an_answer_about_another_worktree_is_not_taken() {
    let with = |answer: &str| {
        let place = Place::new(&format!("#!/bin/sh\n[ $1 = --version ] || echo '{answer}'\n"));
        place.find("wt").unwrap().make("run/x")
    };
    assert_eq!(with(r#"{"action":"created","branch":"run/x","path":"/a b"}"#), Ok(PathBuf::from("/a b")));
    let other = with(r#"{"action":"existing","branch":"y","path":"/z"}"#).unwrap_err();
    assert_eq!(other, "it made no worktree for run/x: existing y at /z");
    assert!(with("done").unwrap_err().starts_with("its answer cannot be read: "));
}

#[test]
fn its_git_has_neither_hooks_nor_a_shell_to_steer() {
    let place =
        Place::new("#!/bin/sh\n[ $1 = --version ] || { git config --show-scope core.hooksPath; env; }\n");
    let wt = place.find("wt").unwrap().with("LOOP_ENGINE_MARKER", "m");
    let seen = String::from_utf8(wt.run(&["list"], &[], ASK_TIME).unwrap()).unwrap();
    assert!(seen.starts_with("command\t/dev/null\n"), "{seen}");
    assert!(seen.lines().any(|line| line == "LOOP_ENGINE_MARKER=m"), "{seen}");
    assert!(!seen.contains("WORKTRUNK_DIRECTIVE_"), "{seen}");
}
