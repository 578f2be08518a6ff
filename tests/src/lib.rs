//! Harness of the upper rungs: a repository, an agent and `loopctl` in a folder of their own.

pub mod check;
pub mod endpoint;
pub mod many;

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A folder with a repository `app`, a data directory and an empty HOME; removed at the end of the test.
pub struct World {
    folder: TempDir,
    /// More variables for `loopctl`.
    pub environment: Vec<(String, String)>,
}

/// What `loopctl` said.
#[derive(Debug)]
pub struct Said {
    /// Exit code; 128 and the signal's number when one ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// The program under test, built by the same cargo profile as the tests.
pub fn loopctl() -> PathBuf {
    let mut path = std::env::current_exe().expect("a test knows its own file");
    // target/release/deps/NAME for a test, target/release/NAME for the benchmark.
    path.pop();
    if path.ends_with("deps") {
        path.pop();
    }
    let program = path.join("loopctl");
    assert!(
        program.exists(),
        "{} is missing; run cargo build --release --bin loopctl first",
        program.display()
    );
    program
}

/// Whether bubblewrap works here; where everything is required, it has to.
pub fn confined() -> bool {
    let probe = ["--ro-bind", "/", "/", "--proc", "/proc", "--unshare-pid", "true"];
    let works =
        Command::new("bwrap").args(probe).stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    let required = std::env::var("LOOP_REQUIRE").is_ok_and(|value| value == "all");
    assert!(works || !required, "bubblewrap does not work here, and every rung is required");
    works
}

impl World {
    /// An empty world with a repository that has no commit yet.
    pub fn bare() -> Self {
        let folder = tempfile::Builder::new().prefix("loop-test-").tempdir().expect("a temp folder");
        let world = Self { folder, environment: Vec::new() };
        for name in ["home", "app"] {
            fs::create_dir_all(world.path(name)).expect("a folder");
        }
        world.git(&["init", "--quiet", "--initial-branch=main"]);
        world
    }

    /// A repository with one commit of these files; what begins with `#!` is executable.
    pub fn new(files: &[(&str, &str)]) -> Self {
        let world = Self::bare();
        world.write(files);
        world.commit("Start");
        world
    }

    /// A path in the world's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        // Resolved, since the program resolves its paths too.
        self.folder.path().canonicalize().expect("the folder exists").join(name)
    }

    /// The repository.
    pub fn app(&self) -> PathBuf {
        self.path("app")
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// Writes files into the repository's checkout.
    pub fn write(&self, files: &[(&str, &str)]) {
        for (path, content) in files {
            write(&self.app().join(path), content);
        }
    }

    /// Commits everything.
    pub fn commit(&self, message: &str) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "-m", message]);
    }

    /// Runs git in the repository and gives its trimmed output; it has to work.
    pub fn git(&self, arguments: &[&str]) -> String {
        let output = self.git_command(arguments).output().expect("git runs");
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn git_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command.current_dir(self.app()).args(["-c", "user.name=Test", "-c", "user.email=test@localhost"]);
        command.args(arguments).env("HOME", self.path("home")).env("GIT_CONFIG_NOSYSTEM", "1");
        command
    }

    /// `loopctl` with arguments, in the repository, with this world's HOME and data directory.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(loopctl());
        command.args(arguments).current_dir(self.app()).stdin(Stdio::null());
        command.env_clear().env("PATH", search_path());
        command.env("HOME", self.path("home")).env("LOOP_DATA_DIR", self.data());
        command.env("TMPDIR", self.folder.path()).env("NO_COLOR", "1");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs `loopctl` to its end.
    pub fn loopctl(&self, arguments: &[&str]) -> Said {
        said(&self.command(arguments).output().expect("loopctl runs"))
    }

    /// Runs a local run with `-o json` and gives what it said and the object.
    pub fn run(&self, arguments: &[&str]) -> (Said, Value) {
        let mut all = vec!["run", "--local", "-o", "json"];
        all.extend(arguments);
        let said = self.loopctl(&all);
        let object = serde_json::from_str(&said.stdout).unwrap_or(Value::Null);
        (said, object)
    }

    /// All recorded runs as objects, newest first.
    pub fn runs(&self) -> Vec<Value> {
        let said = self.loopctl(&["list", "-o", "json"]);
        assert_eq!(said.code, 0, "{}", said.stderr);
        let list: Value = serde_json::from_str(&said.stdout).expect("a list");
        list["items"].as_array().cloned().unwrap_or_default()
    }

    /// The journal of the only run, one JSON value per line.
    pub fn journal(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.run_folder().join("journal.jsonl")).expect("a journal");
        text.lines().map(|line| serde_json::from_str(line).expect("a record")).collect()
    }

    /// Folder of the only run.
    pub fn run_folder(&self) -> PathBuf {
        let mut folders: Vec<PathBuf> = fs::read_dir(self.data().join("runs"))
            .expect("runs")
            .map(|entry| entry.expect("an entry").path())
            .collect();
        assert_eq!(folders.len(), 1, "{folders:?}");
        folders.remove(0)
    }

    /// Command lines of processes that carry the mark of a run in this world's data directory, and are alive.
    pub fn leftovers(&self) -> Vec<String> {
        let Ok(runs) = fs::read_dir(self.data().join("runs")) else { return Vec::new() };
        let marks: Vec<String> = runs
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .map(|name| format!("LOOP_RUN_MARKER={}", name.trim_start_matches("run-")))
            .collect();
        processes(|environment| marks.iter().any(|mark| environment.split('\0').any(|entry| entry == mark)))
    }
}

/// The `index`-th number of the series that a seed gives (splitmix64).
pub fn random(seed: u64, index: u64) -> u64 {
    let mut bits = seed.wrapping_add((index + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

/// Command lines of live processes whose environment is as wanted.
pub fn processes(wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            path.file_name()?.to_str()?.parse::<u32>().ok()?;
            let environment = fs::read(path.join("environ")).ok()?;
            if environment.is_empty() || !wanted(&String::from_utf8_lossy(&environment)) {
                return None;
            }
            let line = fs::read(path.join("cmdline")).ok()?;
            Some(format!("{} {}", path.display(), String::from_utf8_lossy(&line).replace('\0', " ")))
        })
        .collect()
}

/// The PATH of the tests without folders that hold `wt`, which would make the worktrees of all runs otherwise.
fn search_path() -> OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let without = std::env::split_paths(&path).filter(|folder| !folder.join("wt").exists());
    std::env::join_paths(without).unwrap_or(path)
}

/// Writes a file and its folders; what begins with `#!` is made executable.
pub fn write(path: &Path, content: &str) {
    fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
    fs::write(path, content).expect("a file");
    if content.starts_with("#!") {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("permissions");
    }
}

/// A finished process as text.
pub fn said(output: &Output) -> Said {
    use std::os::unix::process::ExitStatusExt as _;
    let code = output.status.code().unwrap_or_else(|| 128 + output.status.signal().unwrap_or(0));
    Said {
        code,
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A spec and a plan with two tasks: create `one.txt` and `two.txt`; and a gate script that checks the first.
pub const PROJECT: &[(&str, &str)] = &[
    (
        "specs/files.md",
        "# Files\n\n**Status:** Planned\n\n## 1. Overview\n\nTwo files, each with its own name in it.\n",
    ),
    (
        "specs/planning/files-plan.md",
        "# Plan: files\n\nReference: [specs/files.md](../files.md)\n\n## Phase 1: Files\n\n- [ ] Write one.txt\n\
         - [ ] Write two.txt\n\n## Files to Create\n\n- `one.txt`\n- `two.txt`\n",
    ),
    ("check.sh", "#!/bin/sh\ntest \"$(cat one.txt)\" = one\n"),
    (".gitignore", "/build/\n"),
];

/// An honest agent for [`PROJECT`]: one task an iteration, approves every review.
pub const HONEST: &str = r#"#!/bin/sh
set -eu
cat >/dev/null
if [ "$LOOP_PHASE" = review ]; then echo APPROVED; exit 0; fi
for name in one two; do
  if grep -q "\[ \] Write $name.txt" "$LOOP_PLAN_PATH"; then
    echo "$name" > "$name.txt"
    sed "s/\[ \] Write $name.txt/[x] Write $name.txt/" "$LOOP_PLAN_PATH" > "$LOOP_PLAN_PATH.new"
    mv "$LOOP_PLAN_PATH.new" "$LOOP_PLAN_PATH"
    git add -A && git commit -qm "Write $name.txt"
    break
  fi
done
echo "Wrote $name.txt."
if ! grep -q '\[ \] Write' "$LOOP_PLAN_PATH"; then echo '<promise>COMPLETE</promise>'; fi
"#;
