//! Misbehaving agents: each mode of `tests/agents/misbehaving.sh` ends in the right state with the right reason,
//! completes nothing falsely, leaves no process behind and changes nothing that is not its own.

mod claims;
mod output;
mod outside;
mod processes;
mod repository;
mod unconfined;

use std::fs;
use std::path::{Path, PathBuf};

use loop_tests::{Said, World, write};
use serde_json::Value;
use tempfile::TempDir;

const AGENT: &str = include_str!("../../agents/misbehaving.sh");

/// Two files, each with its own name in it; the gate runs the tests that lie in `tests/`.
pub(crate) const PROJECT: &[(&str, &str)] = &[
    (
        "specs/files.md",
        "# Files\n\n**Status:** Planned\n\n## 1. Overview\n\nTwo files, each with its own name in it.\n",
    ),
    (
        "specs/planning/files-plan.md",
        "# Plan: files\n\nReference: [specs/files.md](../files.md)\n\n## Phase 1: Files\n\n- [ ] Write one.txt\n\
         - [ ] Write two.txt\n\n## Files to Create\n\n- `one.txt`\n- `two.txt`\n\n## Files to Modify\n\n- `pytest.ini`\n\
         \n## Blockers Discovered\n",
    ),
    ("tests/one_test.sh", "grep -qx one one.txt\n"),
    ("tests/two_test.sh", "grep -qx two two.txt\n"),
    ("check.sh", CHECK),
    ("lib.sh", "greet() {\n  echo hello\n  echo goodbye\n}\n"),
    ("old.txt", "Nobody reads this.\n"),
    ("pytest.ini", "[pytest]\n"),
    ("README.md", "# Files\n"),
    (".gitignore", "/build/\n"),
];

const CHECK: &str = r#"#!/bin/sh
PATH=$PWD/build:$HOME/bin:$PATH
passed=0 failed=0 skipped=0
for test in tests/*_test.sh; do
  if head -n 1 "$test" | grep -q "^# skip"; then skipped=$((skipped + 1))
  elif sh "$test"; then passed=$((passed + 1))
  else failed=$((failed + 1)); fi
done
echo "$passed passed, $failed failed, $skipped skipped"
test "$failed" -eq 0
"#;

/// No limit on failed verifications, so that the run goes on until completion was refused three times.
const CONFIG: &str =
    "verify_cmds=sh check.sh\nreviewer=false\niterations=5\nmax_consecutive_verification_failures=0\n";

/// A run of one mode, at its end.
pub(crate) struct Ended {
    pub(crate) world: World,
    pub(crate) said: Said,
    pub(crate) run: Value,
    outside: TempDir,
    before: Vec<String>,
}

/// Runs a mode to its end.
pub(crate) fn misbehave(mode: &str) -> Ended {
    Prepared::new(mode, "").run()
}

/// A world in which a mode is about to run.
pub(crate) struct Prepared {
    pub(crate) world: World,
    outside: TempDir,
}

impl Prepared {
    /// `settings` are more lines of `.loop/config`.
    pub(crate) fn new(mode: &str, settings: &str) -> Self {
        let config = format!("{CONFIG}{settings}");
        let mut files = PROJECT.to_vec();
        files.extend([(".loop/config", config.as_str()), (".loop/agent.sh", AGENT)]);
        let mut world = World::new(&files);
        // Not below /tmp, which every sandbox has for itself.
        let outside = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        for folder in [outside.path().to_owned(), world.path("home")] {
            write(&folder.join("kept"), "kept\n");
        }
        let folder = outside.path().to_string_lossy().into_owned();
        world.environment.extend([("MISBEHAVE".to_owned(), mode.to_owned()), ("OUTSIDE".to_owned(), folder)]);
        Self { world, outside }
    }

    pub(crate) fn run(self) -> Ended {
        let before = surroundings(&self.world, self.outside.path());
        let (said, run) = self.world.run(&["specs/files.md"]);
        Ended { world: self.world, said, run, outside: self.outside, before }
    }
}

/// What lies around the worktree and is not the run's: the outside folder, HOME, the checkout, its git folder, refs.
fn surroundings(world: &World, outside: &Path) -> Vec<String> {
    let mut seen = Vec::new();
    for folder in [outside.to_owned(), world.path("home"), world.app()] {
        list(&folder, &mut seen);
    }
    let refs = fs::read_dir(world.app().join(".git/refs/tags")).expect("tags").count();
    seen.push(format!("{refs} tags"));
    for file in ["config", "HEAD", "refs/heads/main", "info/exclude"] {
        let text = fs::read_to_string(world.app().join(".git").join(file)).unwrap_or_default();
        seen.push(format!("{file} {text}"));
    }
    for name in hooks(world) {
        seen.push(name.display().to_string());
    }
    seen.sort();
    seen
}

fn hooks(world: &World) -> Vec<PathBuf> {
    let entries = fs::read_dir(world.app().join(".git/hooks")).into_iter().flatten();
    entries.map(|entry| entry.expect("an entry").path()).collect()
}

/// Every file below a folder with its size, but not what git or the loop's own record hold.
fn list(folder: &Path, seen: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.ends_with("app/.git") || path.ends_with("app/logs") {
            continue;
        }
        let meta = fs::symlink_metadata(&path).expect("an entry");
        let content = if meta.is_file() { fs::read(&path).expect("a file") } else { Vec::new() };
        seen.push(format!("{} {:?} {}", path.display(), meta.file_type(), String::from_utf8_lossy(&content)));
        if meta.is_dir() {
            list(&path, seen);
        }
    }
}

impl Ended {
    /// Reason of the run's end, as programs read it.
    pub(crate) fn reason(&self) -> String {
        let ended = self.world.journal().into_iter().rev().find(|record| record["kind"] == "RUN_FAILED");
        ended.and_then(|record| Some(record["reason"].as_str()?.to_owned())).unwrap_or_default()
    }

    /// What the journal's records of this kind hold.
    pub(crate) fn records(&self, kind: &str) -> Vec<Value> {
        self.world.journal().into_iter().filter(|record| record["kind"] == kind).collect()
    }

    /// What was put right after the agent's steps.
    pub(crate) fn repairs(&self) -> String {
        let finished = self.records("STEP_FINISHED");
        finished.iter().map(|record| record["outcome"]["repairs"].to_string()).collect()
    }

    /// A file of the run's record as text.
    pub(crate) fn record(&self, name: &str) -> String {
        let bytes = fs::read(self.world.run_folder().join(name)).expect("a file of the record");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// A file of the target branch.
    pub(crate) fn merged(&self, path: &str) -> String {
        self.world.git(&["show", &format!("agent/files:{path}")])
    }

    /// The run failed with this reason; nothing was merged, nothing is left, nothing else was changed.
    #[track_caller]
    pub(crate) fn failed(self, exit_reason: &str, reason: &str) -> Self {
        self.undisturbed();
        assert_eq!(self.said.code, 1, "{}", self.said.stderr);
        assert_eq!(self.run["status"]["phase"], "Failed", "{}", self.said.stderr);
        assert_eq!(self.run["status"]["result"]["exitReason"], exit_reason, "{}", self.said.stderr);
        assert!(self.reason().starts_with(reason), "{} is not {reason}", self.reason());
        assert_eq!(self.world.git(&["branch", "--list", "agent/files"]), "", "nothing is delivered");
        self
    }

    /// Completion was refused for this reason, three times.
    #[track_caller]
    pub(crate) fn refused(self, reason: &str) -> Self {
        let ended = self.failed("completion_refused", &format!("completion_refused:{reason}"));
        assert_eq!(ended.records("COMPLETION_GRANTED").len(), 0);
        ended
    }

    /// The run is completed with the work that was asked for, and with nothing that was not.
    #[track_caller]
    pub(crate) fn completed(self) -> Self {
        self.undisturbed();
        assert_eq!(self.said.code, 0, "{}", self.said.stderr);
        assert_eq!(self.run["status"]["phase"], "Completed", "{}", self.said.stderr);
        assert_eq!(self.merged("one.txt"), "one");
        assert_eq!(self.merged("two.txt"), "two");
        for path in ["check.sh", "specs/files.md", "tests", ".loop"] {
            let tree = |branch: &str| self.world.git(&["rev-parse", &format!("{branch}:{path}")]);
            assert_eq!(tree("agent/files"), tree("main"), "{path}");
        }
        self
    }

    /// Processes that still stand in the world's folder; one that lost its environment has no mark to be known by.
    fn lingering(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir("/proc").expect("processes");
        let folders = entries.filter_map(|entry| fs::read_link(entry.ok()?.path().join("cwd")).ok());
        folders.filter(|folder| folder.starts_with(self.world.path(""))).collect()
    }

    #[track_caller]
    fn undisturbed(&self) {
        // First, since git commands of the test itself might wake what an agent has left in a configuration.
        let now = surroundings(&self.world, self.outside.path());
        let changed: Vec<&String> = now.iter().filter(|entry| !self.before.contains(entry)).collect();
        let gone: Vec<&String> = self.before.iter().filter(|entry| !now.contains(entry)).collect();
        // Without a sandbox some modes do reach HOME and the repository's configuration, and the run's evidence says so.
        if loop_tests::confined() {
            assert_eq!((changed, gone), (vec![], vec![]), "something outside the worktree was changed");
        }
        assert_eq!(self.world.leftovers(), Vec::<String>::new());
        assert_eq!(self.lingering(), Vec::<PathBuf>::new());
        assert_eq!(self.world.git(&["status", "--porcelain"]), "", "the user's checkout is untouched");
        assert_eq!(self.world.git(&["symbolic-ref", "HEAD"]), "refs/heads/main");
    }
}
