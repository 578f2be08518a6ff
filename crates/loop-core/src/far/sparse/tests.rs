use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use loop_api::run::LoopRunSpec;

use super::folders;

const FOLDERS: &str = "services/login\nspecs";
const FILES: [&str; 6] =
    ["docs/d", "services/login/a", "services/other/b", "services/s", "specs/x.md", "top"];

#[test]
fn folders_of_what_the_prompt_names_are_shown_too() {
    let files: Vec<String> =
        ["top.md", "/home/ann/notes.md", "../beside/x.md", "docs/a.md"].map(str::to_owned).into();
    let mut spec = LoopRunSpec::default();
    spec.task.spec_path = Some("specs/x.md".into());
    assert_eq!(folders(&spec, &files), [""; 0], "all of them are");
    spec.repository.checkout.sparse_paths = vec!["services/login".into(), "specs".into()];
    spec.task.plan_path = Some("plans/x/plan.md".into());
    assert_eq!(folders(&spec, &files), ["docs", "plans/x", "services/login", "specs"]);
}

/// A repository with a worktree that shows some of its folders.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        let at = |folder: &str| place.0.path().join(folder);
        for folder in ["origin", "checkout", "temp"] {
            fs::create_dir(at(folder)).unwrap();
        }
        git(&at("origin"), "init -q -b main .");
        for file in FILES {
            write(&at("origin"), file, file);
        }
        git(&at("origin"), "add -A");
        git(&at("origin"), "commit -qm one");
        git(&at("origin"), "worktree add -q -b run ../worktree");
        git(&at("worktree"), "sparse-checkout set --cone services/login specs");
        assert_eq!(place.shown(), ["services/login/a", "services/s", "specs/x.md", "top"]);
        place
    }

    fn at(&self, folder: &str) -> PathBuf {
        self.0.path().join(folder)
    }

    fn worktree(&self) -> PathBuf {
        self.at("worktree")
    }

    fn git(&self, command: &str) -> String {
        git(&self.worktree(), command)
    }

    fn run(&self, folder: &str, script: &str, arguments: &[&str]) -> String {
        let mut command = Command::new("sh");
        command.args(["-c", script, "loop"]).args(arguments).current_dir(self.at(folder));
        said(&mut command)
    }

    /// What differs in the snapshot from the tip.
    fn collect(&self) -> String {
        let (folder, common) = (self.at("origin/.git/worktrees/worktree"), self.at("origin/.git"));
        let (folder, common) = (folder.to_str().unwrap(), common.to_str().unwrap());
        let arguments =
            [folder, common, "run", "", "repair", self.0.path().join("temp").to_str().unwrap(), FOLDERS]
                .map(str::to_owned);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let said = self.run("worktree", include_str!("../collect.sh"), &arguments);
        let snapshot = said.lines().find_map(|line| line.strip_prefix("snapshot ")).unwrap();
        self.git(&format!("update-ref refs/snapshot {snapshot}"));
        self.git("diff-tree -r --name-status --no-renames run refs/snapshot").replace('\t', " ")
    }

    fn restore(&self) {
        let (folder, common) = (self.at("origin/.git/worktrees/worktree"), self.at("origin/.git"));
        let tips = [self.git("rev-parse run"), self.git("rev-parse refs/snapshot")];
        let arguments =
            [folder.to_str().unwrap(), common.to_str().unwrap(), "run", &tips[0], &tips[1], "", FOLDERS];
        self.run("worktree", include_str!("../restore.sh"), &arguments);
    }

    fn check_out(&self, how: &str) {
        let objects = self.at("origin/.git/objects");
        let arguments = [objects.to_str().unwrap(), &self.git("rev-parse run"), how, FOLDERS, ""];
        self.run("checkout", include_str!("../check_out.sh"), &arguments);
    }

    fn shown(&self) -> Vec<String> {
        files(&self.worktree())
    }
}

fn files(folder: &Path) -> Vec<String> {
    let mut find = Command::new("find");
    find.args([".", "-name", ".git", "-prune", "-o", "-type", "f", "-printf", "%P\n"]).current_dir(folder);
    let mut files: Vec<String> = said(&mut find).lines().map(str::to_owned).collect();
    files.sort();
    files
}

fn write(folder: &Path, file: &str, text: &str) {
    let path = folder.join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn git(folder: &Path, command: &str) -> String {
    let mut git = Command::new("git");
    git.args(["-c", "user.name=T", "-c", "user.email=t@localhost"]).args(command.split(' '));
    said(git.current_dir(folder))
}

fn said(command: &mut Command) -> String {
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_snapshot_keeps_what_is_not_shown_and_takes_what_is_new_there() {
    let place = Place::new();
    write(&place.worktree(), "services/login/a", "new");
    assert_eq!(place.collect(), "M services/login/a");
    write(&place.worktree(), "docs/new", "new");
    assert_eq!(place.collect(), "A docs/new\nM services/login/a");
    // And after the index was lost, also with its settings, or replaced by something else.
    let entry = place.at("origin/.git/worktrees/worktree");
    fs::remove_file(entry.join("index")).unwrap();
    assert_eq!(place.collect(), "A docs/new\nM services/login/a");
    for lost in ["index", "config.worktree", "info/sparse-checkout"] {
        fs::remove_file(entry.join(lost)).unwrap();
    }
    fs::create_dir(entry.join("index")).unwrap();
    assert_eq!(place.collect(), "A docs/new\nM services/login/a");
    assert_eq!(place.git("status --short"), "M services/login/a\n?? docs/new");
}

#[test]
fn an_agent_that_wants_to_see_everything_may() {
    let place = Place::new();
    write(&place.worktree(), "services/login/a", "new");
    assert_eq!(place.collect(), "M services/login/a");
    place.git("sparse-checkout disable");
    assert_eq!(place.shown(), FILES);
    write(&place.worktree(), "docs/d", "new");
    fs::remove_file(place.worktree().join("services/other/b")).unwrap();
    assert_eq!(place.collect(), "M docs/d\nM services/login/a\nD services/other/b");
    // What it committed there stays when it is no longer shown.
    place.git("add -A");
    place.git("commit -qm two");
    place.git("sparse-checkout set --cone services/login");
    write(&place.worktree(), "services/login/a", "newer");
    assert_eq!(place.collect(), "M services/login/a");
}

#[test]
fn a_worktree_is_restored_with_its_folders_and_the_changes_elsewhere() {
    let place = Place::new();
    write(&place.worktree(), "services/login/a", "new");
    write(&place.worktree(), "docs/new", "new");
    place.git("sparse-checkout disable");
    write(&place.worktree(), "docs/d", "new");
    assert_eq!(place.collect(), "M docs/d\nA docs/new\nM services/login/a");
    // The agent goes on, and is killed.
    for file in ["docs/d", "services/other/b", "services/login/a", "specs/x.md"] {
        write(&place.worktree(), file, "later");
    }
    write(&place.worktree(), "services/other/new", "later");
    fs::remove_file(place.at("origin/.git/worktrees/worktree/index")).unwrap();
    place.restore();
    let status = place.git("status --short");
    assert_eq!(status, "M docs/d\n M services/login/a\n?? docs/new");
    for (file, text) in
        [("docs/d", "new"), ("docs/new", "new"), ("services/login/a", "new"), ("specs/x.md", "specs/x.md")]
    {
        assert_eq!(fs::read_to_string(place.worktree().join(file)).unwrap(), text, "{file}");
    }
    // In another clone nothing but the checkpoint is there.
    git(&place.at("origin"), "worktree remove -f ../worktree");
    git(&place.at("origin"), "worktree add -q --no-checkout ../worktree run");
    place.restore();
    assert_eq!(place.git("status --short"), status);
    assert_eq!(place.shown(), ["docs/d", "docs/new", "services/login/a", "services/s", "specs/x.md", "top"]);
    assert_eq!(place.collect(), "M docs/d\nA docs/new\nM services/login/a");
}

#[test]
fn checkouts_show_the_folders_and_put_nothing_back_elsewhere() {
    let place = Place::new();
    let checkout = place.at("checkout");
    let shown = ["services/login/a", "services/s", "specs/x.md", "top"];
    place.check_out("all");
    assert_eq!(files(&checkout), shown);
    write(&checkout, "services/login/a", "by a gate");
    write(&checkout, "docs/d", "by a gate");
    write(&checkout, "built", "");
    place.check_out("tracked");
    assert_eq!(files(&checkout), ["built", "services/login/a", "services/s", "specs/x.md", "top"]);
    assert_eq!(fs::read_to_string(checkout.join("services/login/a")).unwrap(), "services/login/a");
    place.check_out("all");
    assert_eq!(files(&checkout), shown);
}
