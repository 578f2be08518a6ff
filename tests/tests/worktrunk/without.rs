//! No `wt`, or one that does not work (WT-1, WT-25).

use super::scenario::{RUN, put_wt, real_wt, worktree, world, world_with};

#[test]
fn auto_falls_back_to_git_and_says_why() {
    let world = world(&[]);
    let (said, run) = world.run(&[RUN, &["--worktrunk-bin", "wt-of-nobody"]].concat());
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert!(
        said.stderr.contains("git makes the worktree, as `wt-of-nobody` is not in PATH"),
        "{}",
        said.stderr
    );
    assert_eq!(worktree(&run), ("git", world.path("app.run-files")));
    let journal = world.journal();
    let event =
        journal.iter().find(|record| record["kind"] == "WORKTREE_PROVIDER_SELECTED").expect("the event");
    assert_eq!(
        (&event["provider"], &event["reason"]),
        (&"git".into(), &"`wt-of-nobody` is not in PATH".into())
    );
    let log = std::fs::read_to_string(world.run_folder().join("run.log")).expect("the log");
    assert!(log.contains("the worktree is made by git, as `wt-of-nobody` is not in PATH"), "{log}");
}

#[test]
fn worktrunk_without_its_command_is_refused_before_the_start() {
    let world = world(&[(".loop/config", "worktree_provider=worktrunk\nworktrunk_bin=wt-of-nobody\n")]);
    let said = world.run(RUN).0;
    assert_eq!(said.code, 2, "{}", said.stderr);
    let sentence = "the worktree provider is worktrunk, but `wt-of-nobody` is not in PATH; install Worktrunk (cargo \
                    install worktrunk), name its command with --worktrunk-bin, or choose another provider with \
                    --worktree-provider";
    assert!(said.stderr.contains(sentence), "{}", said.stderr);
    assert!(world.runs().is_empty());
    assert_eq!(world.git(&["for-each-ref", "--format=%(refname)"]), "refs/heads/main");
}

#[test]
fn a_command_that_is_gone_when_the_run_is_prepared_fails_it_until_it_is_back() {
    let Some(wt) = real_wt() else { return };
    let world = world_with(&wt, &[]);
    let mut command =
        world.command(&[&["run", "--local"], RUN, &["--worktree-provider", "worktrunk"]].concat());
    let killed = command.env("LOOP_TEST_KILL_AT_APPEND", "1").output().expect("loopctl runs");
    assert_eq!(loop_tests::said(&killed).code, 137);
    std::fs::remove_file(world.path("bin/wt")).expect("wt");
    put_wt(&world, "echo broken >&2; exit 1");
    let name = world.runs()[0]["metadata"]["name"].as_str().expect("a name").to_owned();
    let failed = world.loopctl(&["resume", &name]);
    assert_eq!(failed.code, 1, "{}", failed.stderr);
    let run = &world.runs()[0];
    let message = run["status"]["result"]["message"].as_str().expect("a message").to_owned();
    assert!(message.contains("the worktree provider is worktrunk, but `"), "{message}");
    assert!(message.contains("failed: broken; install Worktrunk"), "{message}");
    assert_eq!(world.git(&["for-each-ref", "--format=%(refname)"]), "refs/heads/main");
    std::fs::remove_file(world.path("bin/wt")).expect("wt");
    std::os::unix::fs::symlink(&wt, world.path("bin/wt")).expect("a link");
    let done = world.loopctl(&["resume", &name]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(worktree(&world.runs()[0]).0, "worktrunk");
}

#[test]
fn a_command_that_hangs_is_not_waited_for_for_ever() {
    let hangs = world(&[]);
    put_wt(&hangs, "sleep 1000");
    let (said, run) = hangs.run(RUN);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert!(said.stderr.contains("--version` did not end within 10 s"), "{}", said.stderr);
    assert_eq!(worktree(&run).0, "git");

    let stalls = world(&[]);
    put_wt(&stalls, "[ \"$1\" = --version ] || sleep 1000");
    let said = stalls.run(&[RUN, &["--worktree-provider", "worktrunk"]].concat()).0;
    assert_eq!(said.code, 2, "{}", said.stderr);
    assert!(said.stderr.contains("switch` did not end within 30 s"), "{}", said.stderr);
    assert_eq!(stalls.git(&["branch", "--list", "run/*"]), "");
}

#[test]
fn what_only_worktrunk_does_is_said_to_have_no_effect_with_git() {
    let world = world(&[(".loop/config", "worktree_provider=git\nworktree_hooks=approved\n")]);
    let said = world.run(&[RUN, &["--worktrunk-copy-ignored"]].concat()).0;
    assert_eq!(said.code, 0, "{}", said.stderr);
    for key in ["worktrunk_copy_ignored", "worktree_hooks"] {
        let sentence = format!("warning: {key} has no effect: the worktree provider is git");
        assert!(said.stderr.contains(&sentence), "{}", said.stderr);
    }
}

#[test]
fn a_command_inside_the_repository_is_not_run() {
    let script = "#!/bin/sh\necho ran > \"$HOME/ran\"\n";
    let world = world(&[("tools/wt", script)]);
    let arguments = ["--worktree-provider", "worktrunk", "--worktrunk-bin", "tools/wt"];
    let said = world.run(&[RUN, &arguments].concat()).0;
    assert_eq!(said.code, 2, "{}", said.stderr);
    assert!(
        said.stderr.contains("app/tools/wt lies inside the repository and is not run"),
        "{}",
        said.stderr
    );
    assert!(!world.path("home/ran").exists());
}

#[test]
fn a_configuration_that_is_not_there_is_refused() {
    let world = world(&[]);
    let said = world.run(&[RUN, &["--worktrunk-config", "nothing.toml"]].concat()).0;
    assert_eq!(said.code, 2, "{}", said.stderr);
    assert!(
        said.stderr.contains("app/nothing.toml is not a file; name another with --worktrunk-config"),
        "{}",
        said.stderr
    );
}
