//! Engine and `wt` killed while the worktree is made or removed: the resumed run ends as if nothing had been.

use std::path::Path;

use loop_tests::World;

use super::scenario::{RUN, put_wt, real_wt, worktree, world, world_with, wt_agrees};

/// Takes a killed run up until its end, and looks at what there is then.
fn ends_well(world: &World, what: &str) {
    let name = world.runs()[0]["metadata"]["name"].as_str().expect("a name").to_owned();
    let said = world.loopctl(&["resume", &name]);
    let done = said.code == 2 && said.stderr.contains("nothing left to resume");
    assert!(said.code == 0 || done, "{what}: {} {}", said.code, said.stderr);
    let run = &world.runs()[0];
    assert_eq!(run["status"]["phase"], "Completed", "{what}");
    assert_eq!(worktree(run).0, "worktrunk", "{what}");
    assert_eq!(run["status"]["worktree"]["cleanup"], "cleaned", "{what}: {}", said.stderr);
    let refs = world.git(&["for-each-ref", "--format=%(refname)"]);
    assert_eq!(refs, "refs/heads/agent/files\nrefs/heads/main\nrefs/heads/run/files", "{what}");
    assert_eq!(
        world.git(&["log", "--format=%s", "main..run/files"]),
        "Write two.txt\nWrite one.txt",
        "{what}"
    );
    assert_eq!(world.git(&["worktree", "list"]).lines().count(), 1, "{what}");
    assert!(!world.path("app.run-files").exists(), "{what}");
    assert_eq!(world.leftovers(), Vec::<String>::new(), "{what}");
    assert!(!world.run_folder().join("ask").exists(), "{what}");
}

#[test]
fn a_kill_after_any_record_of_the_creation_changes_nothing() {
    let Some(wt) = real_wt() else { return };
    for record in 1..=7 {
        let world = world_with(&wt, &[]);
        let mut command = world.command(&[&["run", "--local"], RUN].concat());
        let killed =
            command.env("LOOP_TEST_KILL_AT_APPEND", record.to_string()).output().expect("loopctl runs");
        assert_eq!(loop_tests::said(&killed).code, 137, "record {record}");
        ends_well(&world, &format!("killed at record {record}"));
    }
}

/// A `wt` that, when it is called for the n-th time to do this, is the real one for some milliseconds and then ends
/// with the engine; `all` = its git, too.
fn deadly(world: &World, wt: &Path, order: &str, milliseconds: u32, all: bool) {
    let script = format!(
        "real={} log={}\ncase \"$1 $2\" in {order})\n  if [ ! -e \"$log\" ]; then\n    : > \"$log\"\n    \
         \"$real\" \"$@\" &\n    sleep {}\n    kill -9 $PPID\n    {}\n    wait\n  fi ;;\nesac\nexec \"$real\" \"$@\"",
        wt.display(),
        world.path("killed").display(),
        f64::from(milliseconds) / 1000.0,
        if all { "kill -9 0" } else { ":" },
    );
    put_wt(world, &script);
}

fn killed_in(order: &str, milliseconds: u32, all: bool) {
    let Some(wt) = real_wt() else { return };
    let world = world(&[]);
    deadly(&world, &wt, order, milliseconds, all);
    let said = world.loopctl(&[&["run", "--local"], RUN].concat());
    let what = format!("{order} after {milliseconds} ms, git too: {all}");
    assert_eq!(said.code, 137, "{what}: {}", said.stderr);
    assert!(world.path("killed").exists(), "{what}");
    ends_well(&world, &what);
}

#[test]
fn a_kill_while_it_is_asked_for_the_path_changes_nothing() {
    // The first time is before the run is made, so that nothing is there to be resumed: the second counts.
    let Some(wt) = real_wt() else { return };
    for milliseconds in [0, 30, 60] {
        let world = world(&[]);
        let script = format!(
            "real={} log={}\ncase \"$1 $2\" in 'switch --create')\n  echo >> \"$log\"\n  \
             if [ \"$(wc -l < \"$log\")\" -eq 2 ]; then \"$real\" \"$@\" & sleep {}; kill -9 $PPID; kill -9 0; fi ;;\n\
             esac\nexec \"$real\" \"$@\"",
            wt.display(),
            world.path("asked").display(),
            f64::from(milliseconds) / 1000.0,
        );
        put_wt(&world, &script);
        let said = world.loopctl(&[&["run", "--local"], RUN].concat());
        assert_eq!(said.code, 137, "{milliseconds} ms: {}", said.stderr);
        ends_well(&world, &format!("asked for {milliseconds} ms"));
    }
}

#[test]
fn a_kill_of_the_engine_while_the_worktree_is_made_changes_nothing() {
    for milliseconds in [0, 20, 50, 100] {
        killed_in("'switch run/files'", milliseconds, false);
    }
}

#[test]
fn a_kill_of_all_while_the_worktree_is_made_changes_nothing() {
    for milliseconds in [0, 10, 20, 30, 40, 50, 60, 80, 100, 150] {
        killed_in("'switch run/files'", milliseconds, true);
    }
}

#[test]
fn a_kill_of_all_while_the_worktree_is_removed_changes_nothing() {
    for milliseconds in [0, 20, 40, 60, 100] {
        killed_in("'remove run/files'", milliseconds, true);
    }
}

#[test]
fn a_worktree_that_somebody_removed_is_made_again_where_it_was() {
    let Some(wt) = real_wt() else { return };
    let world = world_with(&wt, &[(".loop/config", "worktree_cleanup=off\n")]);
    let mut command = world.command(&[&["run", "--local"], RUN].concat());
    // Created, started, provider, step, intent, made, and the steps up to the second implementation.
    let killed = command.env("LOOP_TEST_KILL_AT_APPEND", "14").output().expect("loopctl runs");
    assert_eq!(loop_tests::said(&killed).code, 137);
    let run = world.runs().remove(0);
    let (_, path) = worktree(&run);
    world.git(&["worktree", "remove", "-f", "-f", &path.to_string_lossy()]);
    let name = run["metadata"]["name"].as_str().expect("a name").to_owned();
    let said = world.loopctl(&["resume", &name]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert!(path.join("two.txt").is_file());
    wt_agrees(&world, &wt, &[]);
}
