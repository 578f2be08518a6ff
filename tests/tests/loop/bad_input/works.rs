//! Odd surroundings and sizes that are not bad: they work.

use std::fs::{self, File};
use std::process::Command;

use loop_tests::{HONEST, PROJECT, World};

use super::{GATE, completes, project};

fn run_in(world: &World, folder: &std::path::Path, spec: &str) -> Command {
    let mut command = world.command(&["run", "--local", spec, GATE[0], GATE[1]]);
    command.current_dir(folder);
    command
}

#[test]
fn a_plan_of_ten_thousand_tasks() {
    let mut plan =
        String::from("# Plan: files\n\n## Phase 1: Files\n\n- [ ] Write one.txt\n- [ ] Write two.txt\n");
    for number in 0..10_000 {
        plan.push_str(&format!("- [x] Task {number}\n"));
    }
    plan.push_str("\n## Files to Create\n\n- `one.txt`\n- `two.txt`\n");
    let world = project(&[("specs/planning/files-plan.md", &plan)]);
    let (said, run) = world.run(&["specs/files.md", GATE[0], GATE[1]]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert_eq!(run["status"]["progress"]["tasksTotal"], 10_002);
    assert_eq!(run["status"]["progress"]["tasksDone"], 10_002);
}

#[test]
fn bug_26_a_prompt_of_five_megabytes() {
    let agent = "#!/bin/sh\nset -eu\ncat >/dev/null\n[ \"$LOOP_PHASE\" = review ] && { echo APPROVED; exit; }\n\
                 echo hello > greeting.txt\nsed -i 's/- \\[ \\] Do what/- [x] Do what/' \"$LOOP_PLAN_PATH\"\n\
                 git add -A && git commit -qm Greet\necho '<promise>COMPLETE</promise>'\n";
    let world = World::new(&[(".loop/agent.sh", agent)]);
    let file = world.path("prompt");
    fs::write(&file, "Greet them all\n".repeat(350_000)).unwrap();
    let mut command =
        world.command(&["run", "--local", GATE[0], GATE[1], "--name", "greet", "--prompt", "-"]);
    command.stdin(File::open(&file).unwrap());
    completes(&world, &mut command);
    let spec = world.git(&["show", "agent/greet:specs/greet.md"]);
    assert_eq!(spec.matches("> Greet them all").count(), 350_000, "word for word");
}

#[test]
fn paths_with_spaces_unicode_quotes_and_newlines() {
    for name in ["with space", "größe ✓", "it's \"quoted\"", "new\nline", "-dash", "$(touch oops)"] {
        let world = project(&[]);
        let folder = world.path(name).join(name);
        fs::create_dir_all(folder.parent().unwrap()).unwrap();
        fs::rename(world.app(), &folder).unwrap();
        completes(&world, &mut run_in(&world, &folder, "specs/files.md"));
        let mut git = Command::new("git");
        let shown = git.current_dir(&folder).args(["show", "agent/files:two.txt"]).output().unwrap();
        assert_eq!(shown.stdout, b"two\n", "{name:?}");
    }
}

#[test]
fn a_spec_with_spaces_and_unicode_in_its_name() {
    let spec = "specs/große Dateien.md";
    let world = project(&[(spec, "# Files\n")]);
    let plan = "specs/planning/files-plan.md";
    completes(&world, &mut world.command(&["run", "--local", spec, plan, GATE[0], GATE[1]]));
    assert_eq!(world.git(&["for-each-ref", "--format=x", "refs/heads/agent/"]), "x");
}

#[test]
fn a_subfolder_and_a_worktree_of_the_repository() {
    let world = project(&[("src/deep/file", "")]);
    completes(&world, &mut run_in(&world, &world.app().join("src/deep"), "../../specs/files.md"));
    world.git(&["branch", "-q", "-D", "agent/files"]);
    world.git(&["worktree", "add", "-q", "-b", "side", "../side"]);
    completes(&world, &mut run_in(&world, &world.path("side"), "files.md"));
    assert_eq!(world.git(&["show", "agent/files:two.txt"]), "two");
    assert_eq!(world.git(&["worktree", "list"]).lines().count(), 2, "the run's own worktree is gone again");
}

#[test]
fn a_shallow_clone() {
    let world = project(&[]);
    world.commit("More");
    world.commit("Still more");
    let source = format!("file://{}", world.app().display());
    world.git(&["clone", "-q", "--depth", "1", &source, "../shallow"]);
    completes(&world, &mut run_in(&world, &world.path("shallow"), "files.md"));
}

#[test]
fn a_submodule_and_a_sparse_checkout_and_pointers_of_large_files() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n";
    let world = project(&[
        ("other/file", "far away\n"),
        ("large.bin", pointer),
        (".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n"),
    ]);
    let part = World::new(&[("part", "")]);
    let source = part.app();
    world.git(&[
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "--quiet",
        "add",
        source.to_str().unwrap(),
        "part",
    ]);
    world.commit("Add a part");
    world.git(&["sparse-checkout", "set", "specs", ".loop"]);
    assert!(!world.app().join("other").exists());
    completes(&world, &mut run_in(&world, &world.app(), "files.md"));
    let changed = world.git(&["diff", "--name-only", "main", "agent/files"]);
    assert_eq!(changed, "one.txt\nspecs/planning/files-plan.md\ntwo.txt");
}

#[test]
fn a_data_directory_that_is_relative_or_named_by_the_system() {
    let mut files = PROJECT.to_vec();
    files.push((".loop/agent.sh", HONEST));
    let world = World::new(&files);
    let arguments = ["run", "--local", "specs/files.md", GATE[0], GATE[1], "--data-dir", "../relative"];
    completes(&world, &mut world.command(&arguments));
    assert!(world.path("relative/runs").is_dir());
    assert_eq!(world.loopctl(&["verify", "files", "--data-dir", "../relative"]).code, 0);

    let listed = |name: &str, value: &std::path::Path| {
        let mut command = world.command(&["list", "-o", "name"]);
        command.env_remove("LOOP_DATA_DIR").env_remove("HOME").env(name, value);
        loop_tests::said(&command.output().unwrap())
    };
    fs::rename(world.path("relative"), world.path("loopd")).unwrap();
    assert!(listed("XDG_DATA_HOME", &world.path("")).stdout.contains("/files-"));
    // An empty variable is none, as everywhere on this system.
    let said = listed("LOOP_DATA_DIR", std::path::Path::new(""));
    let sentence = "error: neither HOME nor LOOP_DATA_DIR is set, so there is no place to record runs; name one with \
                    --data-dir\n";
    assert_eq!((said.code, said.stderr.as_str()), (2, sentence));
}
