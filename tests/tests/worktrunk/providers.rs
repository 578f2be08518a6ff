//! Each provider setting with the real `wt`, and where it puts the worktree (WT-1, WT-13, WT-14, BUG-25).

use std::fs;

use loop_tests::{World, processes, write};

use super::scenario::{RUN, put_wt, real_wt, worktree, world, world_with, wt_agrees};

/// Keeps the worktree of a merged run, so that it can be looked at.
const KEEP: (&str, &str) = (".loop/config", "worktree_cleanup=off\n");

fn selected(world: &World) -> (String, String) {
    let journal = world.journal();
    let event =
        journal.iter().find(|record| record["kind"] == "WORKTREE_PROVIDER_SELECTED").expect("the event");
    let text = |name: &str| event[name].as_str().expect("text").to_owned();
    (text("provider"), text("reason"))
}

#[test]
fn auto_and_worktrunk_take_worktrunk_and_git_does_not() {
    let Some(wt) = real_wt() else { return };
    for (provider, taken) in [("auto", "worktrunk"), ("worktrunk", "worktrunk"), ("git", "git")] {
        let world = world_with(&wt, &[KEEP]);
        let (said, run) = world.run(&[RUN, &["--worktree-provider", provider]].concat());
        assert_eq!(said.code, 0, "{provider}: {}", said.stderr);
        assert_eq!(selected(&world), (taken.to_owned(), String::new()));
        assert_eq!(worktree(&run), (taken, world.path("app.run-files")));
        wt_agrees(&world, &wt, &[]);
        assert_eq!(world.git(&["log", "--format=%s", "main..run/files"]), "Write two.txt\nWrite one.txt");
    }
}

#[test]
fn bug_25_the_path_is_worktrunks_own_also_by_a_configuration_that_is_named() {
    let Some(wt) = real_wt() else { return };
    let world = world_with(&wt, &[KEEP]);
    let home = world.path("home/.config/worktrunk/config.toml");
    write(&home, "worktree-path = \"{{ repo_path }}/../trees/{{ branch | sanitize_hash }}\"\n");
    let (said, run) = world.run(RUN);
    assert_eq!(said.code, 0, "{}", said.stderr);
    let (provider, path) = worktree(&run);
    assert_eq!((provider, path.parent()), ("worktrunk", Some(world.path("trees").as_path())));
    assert!(path.join("one.txt").is_file());
    wt_agrees(&world, &wt, &[]);

    let named = world.path("home/other.toml");
    write(&named, "worktree-path = \"../other.{{ branch | codename(2) }}\"\n");
    let (said, run) = world.run(&[RUN, &["--worktrunk-config", "~/other.toml"]].concat());
    assert_eq!(said.code, 0, "{}", said.stderr);
    let (_, path) = worktree(&run);
    let name = path.file_name().expect("a name").to_string_lossy().into_owned();
    assert!(name.starts_with("other.") && !name.contains("run"), "{name}");
    assert_eq!(run["status"]["worktree"]["runBranch"], "run/files-2");
    world.git(&[
        "worktree",
        "remove",
        "--force",
        &world.path("trees").join(first_of(&world)).to_string_lossy(),
    ]);
    wt_agrees(&world, &wt, &["--config", &named.to_string_lossy()]);
}

/// The only folder in `trees`.
fn first_of(world: &World) -> String {
    let mut entries = fs::read_dir(world.path("trees")).expect("the folder");
    entries.next().expect("an entry").expect("an entry").file_name().to_string_lossy().into_owned()
}

#[test]
fn a_place_that_cannot_be_is_refused_before_the_start() {
    let Some(wt) = real_wt() else { return };
    let world = world_with(&wt, &[]);
    let config = world.path("home/.config/worktrunk/config.toml");
    let refused = |template: &str| {
        write(&config, &format!("worktree-path = \"{template}\"\n"));
        let said = world.run(RUN).0;
        assert_eq!(said.code, 2, "{}", said.stderr);
        said.stderr
    };
    let inside = refused(".worktrees/{{ branch | sanitize }}");
    assert!(inside.contains("app/.worktrees/run-files would lie inside the repository; choose"), "{inside}");
    let unknown = refused("../{{ nothing }}");
    assert!(unknown.contains("Worktrunk does not say where the run's worktree would go"), "{unknown}");
    assert!(unknown.contains("or let git make it with --worktree-provider git"), "{unknown}");
    write(&world.path("taken/mine"), "mine");
    let taken = refused("../taken");
    assert!(
        taken.contains("Directory already exists") && taken.contains("put that right, or let git"),
        "{taken}"
    );
    assert_eq!(world.git(&["branch", "--list", "run/*"]), "");
    assert!(world.runs().is_empty());
    assert!(world.path("taken/mine").exists());
}

#[test]
fn bug_25_ignored_files_are_copied_into_the_new_worktree() {
    let Some(wt) = real_wt() else { return };
    // The agent fails without the copied file.
    let agent = loop_tests::HONEST.replace("fi\nfor", "fi\ngrep -q cached build/deep/cache\nfor");
    let world = world_with(&wt, &[KEEP, (".loop/agent.sh", &agent)]);
    write(&world.app().join("build/deep/cache"), "cached\n");
    let (said, run) = world.run(&[RUN, &["--worktrunk-copy-ignored"]].concat());
    assert_eq!(said.code, 0, "{}", said.stderr);
    let copy = worktree(&run).1.join("build/deep/cache");
    assert_eq!(fs::read_to_string(copy).expect("the copy"), "cached\n");
    assert!(!said.stderr.contains("warning"), "{}", said.stderr);
}

#[test]
fn a_copy_that_fails_is_a_warning() {
    let Some(wt) = real_wt() else { return };
    let world = world(&[]);
    put_wt(
        &world,
        &format!("[ \"$1\" != step ] || {{ echo disk is full >&2; exit 1; }}\nexec {} \"$@\"", wt.display()),
    );
    let (said, _) = world.run(&[RUN, &["--worktrunk-copy-ignored"]].concat());
    assert_eq!(said.code, 0, "{}", said.stderr);
    let warning = "warning: ignored files were not copied into the worktree: ";
    assert!(said.stderr.contains(warning) && said.stderr.contains("disk is full"), "{}", said.stderr);
}

#[test]
fn bug_25_removal_is_waited_for_and_keeps_the_branch() {
    let Some(wt) = real_wt() else { return };
    let world = world_with(&wt, &[]);
    let (said, run) = world.run(RUN);
    assert_eq!(said.code, 0, "{}", said.stderr);
    let uid = run["metadata"]["uid"].as_str().expect("a uid").to_owned();
    let marked = format!("LOOP_ENGINE_MARKER={uid}");
    let left = processes(|environment| environment.split('\0').any(|entry| entry == marked));
    assert_eq!((left, world.leftovers()), (Vec::new(), Vec::new()));
    assert_eq!(run["status"]["worktree"]["cleanup"], "cleaned");
    assert!(!world.path("app.run-files").exists());
    assert_eq!(world.git(&["worktree", "list"]).lines().count(), 1);
    assert_eq!(
        world.git(&["rev-parse", "run/files"]),
        run["status"]["worktree"]["headCommit"].as_str().expect("a commit")
    );
    assert_eq!(world.git(&["for-each-ref", "refs/agentloop"]), "");
    let trash = world.app().join(".git/wt/trash");
    assert_eq!(fs::read_dir(trash).map_or(0, Iterator::count), 0);
    // Nothing was said to go wrong on the way.
    assert!(!said.stderr.contains("removed by git instead"), "{}", said.stderr);
}

#[test]
fn a_branch_that_vanishes_with_the_worktree_is_made_again() {
    let Some(wt) = real_wt() else { return };
    let world = world(&[]);
    let script = format!(
        "if [ \"$1\" = remove ]; then git worktree prune && git branch -qD \"$2\"; exit; fi\nexec {} \"$@\"",
        wt.display()
    );
    put_wt(&world, &script);
    let (said, run) = world.run(RUN);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert_eq!(run["status"]["worktree"]["cleanup"], "cleaned");
    assert_eq!(
        world.git(&["rev-parse", "run/files"]),
        run["status"]["worktree"]["headCommit"].as_str().expect("a commit")
    );
}

#[test]
fn bug_25_a_branch_that_exists_is_no_failure() {
    let Some(wt) = real_wt() else { return };
    let world = world_with(&wt, &[KEEP]);
    world.git(&["branch", "run/files"]);
    let (said, run) = world.run(RUN);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert_eq!(run["status"]["worktree"]["runBranch"], "run/files-2");
    assert_eq!(worktree(&run), ("worktrunk", world.path("app.run-files-2")));
    wt_agrees(&world, &wt, &[]);
}

#[test]
fn a_prompt_without_a_spec_works_too() {
    let Some(wt) = real_wt() else { return };
    let agent = "#!/bin/sh\nset -eu\ncat >/dev/null\n[ \"$LOOP_PHASE\" != review ] || { echo APPROVED; exit 0; }\n\
                 echo hi > hi.txt\nsed 's/- \\[ \\]/- [x]/' \"$LOOP_PLAN_PATH\" > p && mv p \"$LOOP_PLAN_PATH\"\n\
                 git add -A && git commit -qm 'Say hi'\necho '<promise>COMPLETE</promise>'\n";
    let world = world_with(&wt, &[(".loop/agent.sh", agent)]);
    let (said, run) = world.run(&["--prompt", "Say hi", "--gate", "hi=true"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert_eq!(worktree(&run).0, "worktrunk");
}
