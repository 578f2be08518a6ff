//! Taking away what runs leave: worktrees, branches, records.

use std::fs;

use loop_tests::{HONEST, PROJECT, World};

fn world() -> World {
    let mut files = PROJECT.to_vec();
    files.push((".loop/agent.sh", HONEST));
    World::new(&files)
}

/// A run that fails after one iteration; its worktree stays.
fn failed(world: &World) -> String {
    let run = ["specs/files.md", "--no-review", "--gate", "check=false", "--iterations", "1"];
    let (said, run) = world.run(&run);
    assert_eq!(said.code, 1, "{}", said.stderr);
    run["metadata"]["name"].as_str().expect("a name").to_owned()
}

fn completed(world: &World) -> String {
    let (said, run) = world.run(&["specs/files.md", "--no-review", "--gate", "check=sh check.sh"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    run["metadata"]["name"].as_str().expect("a name").to_owned()
}

fn branches(world: &World) -> String {
    world.git(&["for-each-ref", "--format=%(refname)"])
}

fn trusted_refs(world: &World) -> String {
    let mut repositories = fs::read_dir(world.data().join("repos")).expect("repositories");
    let repository = repositories.next().expect("a repository").expect("a repository").path();
    world.git(&["--git-dir", &repository.to_string_lossy(), "for-each-ref", "--format=%(refname)"])
}

#[test]
fn worktrees_are_listed_with_their_runs() {
    let world = world();
    let name = failed(&world);
    world.git(&["worktree", "add", "-q", "../mine", "-b", "mine"]);
    let said = world.loopctl(&["worktrees"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    let rows: Vec<Vec<&str>> = said.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["PATH", "BRANCH", "PHASE", "RUN"]);
    let (own, run, mine) = (world.app(), world.path("app.run-files"), world.path("mine"));
    assert_eq!(rows[1], [own.to_str().unwrap(), "main", "-", "-"]);
    assert!(rows.contains(&vec![run.to_str().unwrap(), "run/files", "Failed", &name]), "{rows:?}");
    assert!(rows.contains(&vec![mine.to_str().unwrap(), "mine", "-", "-"]), "{rows:?}");
    let inside = world.command(&["worktrees"]).current_dir(&run).output().expect("loopctl runs");
    assert_eq!(String::from_utf8_lossy(&inside.stdout), said.stdout, "in a worktree its repository is meant");
    let home = world.path("home");
    let none = world.loopctl(&["worktrees", "--workspace", home.to_str().unwrap()]);
    assert_eq!(none.code, 2);
    assert!(none.stderr.contains("is in no git repository"), "{}", none.stderr);
}

#[test]
fn a_worktree_is_removed_unless_something_would_be_lost() {
    let world = world();
    let name = failed(&world);
    let worktree = world.path("app.run-files");
    fs::write(worktree.join("note.txt"), "mine").unwrap();
    let refused = world.loopctl(&["worktree-rm", "../app.run-files"]);
    assert_eq!(refused.code, 2);
    assert!(
        refused.stderr.contains("was changed after the run's last commit; -f removes it"),
        "{}",
        refused.stderr
    );
    assert!(worktree.join("note.txt").exists());
    let asked = world.loopctl(&["reset", &name]);
    assert_eq!(asked.code, 2);
    assert!(asked.stderr.contains("What is lost with the worktree: "), "{}", asked.stderr);
    assert!(worktree.join("note.txt").exists());
    let forced = world.loopctl(&["worktree-rm", "../app.run-files", "-f"]);
    assert_eq!(forced.code, 0, "{}", forced.stderr);
    assert!(forced.stdout.ends_with("app.run-files removed; run/files stays\n"), "{}", forced.stdout);
    assert!(!worktree.exists() && branches(&world).contains("refs/heads/run/files"));
    let resumed = world.loopctl(&["resume", &name]);
    assert!(worktree.exists(), "it is made again: {}", resumed.stderr);
    let clean = world.loopctl(&["worktree-rm", "../app.run-files"]);
    assert_eq!(clean.code, 0, "all is committed: {}", clean.stderr);
    assert!(!worktree.exists());
}

#[test]
fn what_the_agent_left_uncommitted_and_others_worktrees_are_refused() {
    let world = world();
    world.write(&[(".loop/agent.sh", "#!/bin/sh\ncat >/dev/null\necho half > half.txt\n")]);
    world.commit("Leave something");
    failed(&world);
    let refused = world.loopctl(&["worktree-rm", "../app.run-files"]);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("it has changes that are not committed"), "{}", refused.stderr);
    world.git(&["worktree", "add", "-q", "../mine", "-b", "mine"]);
    for path in ["../mine", ".", "../nothing"] {
        let other = world.loopctl(&["worktree-rm", path, "-f"]);
        assert_eq!(other.code, 2);
        assert!(other.stderr.contains("is not the worktree of a recorded run"), "{}", other.stderr);
    }
    assert!(world.path("mine").exists());
}

#[test]
fn the_worktree_of_a_run_that_is_not_over_goes_only_by_force_which_cancels_it() {
    let world = world();
    world.write(&[(".loop/agent.sh", "#!/bin/sh\nsleep 600\n")]);
    world.commit("Sleep");
    let run = ["run", "--local", "specs/files.md", "--no-review", "--gate", "check=true", "--detach"];
    let started = world.loopctl(&run);
    assert_eq!(started.code, 0, "{}", started.stderr);
    let name = started.stdout.trim().to_owned();
    let worktree = world.path("app.run-files");
    let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while world.runs()[0]["status"]["progress"]["step"] != "implementation" {
        assert!(std::time::Instant::now() < until, "the run does not begin");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let refused = world.loopctl(&["worktree-rm", "../app.run-files"]);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains(&format!("{name} is not over (Running)")), "{}", refused.stderr);
    let kept = world.loopctl(&["prune", "--keep", "0", "--yes"]);
    assert!(kept.stderr.contains("nothing to remove"), "{}", kept.stderr);
    let mut forced = world.loopctl(&["worktree-rm", "../app.run-files", "-f"]);
    // The engine may hold the run a moment longer than it takes to be canceled.
    while forced.stderr.contains("an engine still works on it")
        || forced.stderr.contains("try again when it is done")
    {
        assert!(std::time::Instant::now() < until, "{}", forced.stderr);
        forced = world.loopctl(&["worktree-rm", "../app.run-files", "-f"]);
    }
    assert_eq!(forced.code, 0, "{}", forced.stderr);
    assert!(!worktree.exists());
    assert_eq!(world.runs()[0]["status"]["phase"], "Canceled");
    assert_eq!(world.leftovers(), Vec::<String>::new());
}

#[test]
fn a_reset_takes_branch_and_worktree_and_leaves_the_record() {
    let world = world();
    let name = failed(&world);
    let unasked = world.loopctl(&["reset", &name]);
    assert_eq!(unasked.code, 2);
    assert!(unasked.stderr.contains("Nobody can be asked here; say --yes"), "{}", unasked.stderr);
    assert!(world.path("app.run-files").exists());
    let done = world.loopctl(&["reset", &name, "--yes"]);
    assert_eq!((done.code, done.stdout), (0, format!("{name} reset\n")), "{}", done.stderr);
    assert!(!world.path("app.run-files").exists());
    assert_eq!(branches(&world), "refs/heads/main");
    assert_eq!(world.loopctl(&["reset", &name, "--yes"]).code, 0, "asked twice is no error");
    for verb in ["resume", "retry"] {
        let refused = world.loopctl(&[verb, &name]);
        assert_eq!(refused.code, 2);
        assert!(
            refused.stderr.contains("was reset") && refused.stderr.contains("start a new run"),
            "{}",
            refused.stderr
        );
    }
    let run = &world.runs()[0];
    assert_eq!(
        (run["status"]["phase"].as_str(), run["status"]["worktree"]["cleanup"].as_str()),
        (Some("Failed"), Some("reset"))
    );
    let inspected = world.loopctl(&["inspect", &name]).stdout;
    assert!(inspected.contains("reset: branch and worktree given up"), "{inspected}");
    assert!(inspected.contains("it was reset, so more work needs a new run"), "{inspected}");
    assert!(trusted_refs(&world).contains("refs/runs/"), "its commits are still there");
}

#[test]
fn a_reset_never_takes_commits_that_only_the_user_has_nor_what_another_run_made() {
    let world = world();
    let name = failed(&world);
    let tree = world.git(&["rev-parse", "run/files^{tree}"]);
    let own = world.git(&["commit-tree", &tree, "-p", "run/files", "-m", "By hand"]);
    world.git(&["update-ref", "refs/heads/run/files", &own]);
    let reset = world.loopctl(&["reset", &name, "--yes"]);
    assert_eq!(reset.code, 1);
    assert!(reset.stderr.contains("run/files has commits that are not the run's"), "{}", reset.stderr);
    assert_eq!(world.git(&["rev-parse", "run/files"]), own);
    world.git(&["branch", "-q", "-D", "run/files"]);
    let second = failed(&world);
    assert_ne!(second, name);
    let again = world.loopctl(&["reset", &name, "--yes"]);
    assert!(again.stderr.contains(&format!("are {second}'s by now and stay")), "{}", again.stderr);
    assert!(world.path("app.run-files").exists() && branches(&world).contains("refs/heads/run/files"));
}

#[test]
fn an_interrupted_run_is_canceled_by_its_reset() {
    let mut world = world();
    world.environment.push(("LOOP_TEST_KILL_AT_APPEND".into(), "8".into()));
    let run = ["run", "--local", "specs/files.md", "--no-review", "--gate", "check=true"];
    assert_eq!(world.loopctl(&run).code, 137);
    world.environment.clear();
    let name = world.runs()[0]["metadata"]["name"].as_str().unwrap().to_owned();
    let reset = world.loopctl(&["reset", "@last", "-y"]);
    assert_eq!(reset.code, 0, "{}", reset.stderr);
    assert_eq!(world.runs()[0]["status"]["phase"], "Canceled", "{name}");
    assert_eq!(branches(&world), "refs/heads/main");
}

#[test]
fn prune_says_what_would_go_and_then_removes_just_that() {
    let world = world();
    let (first, second) = (completed(&world), failed(&world));
    let usual = world.loopctl(&["prune", "--yes"]);
    assert!(usual.code == 0 && usual.stderr.contains("nothing to remove"), "{}", usual.stderr);
    let listed = world.loopctl(&["prune", "--keep", "1", "--dry-run"]);
    assert_eq!(listed.code, 0, "{}", listed.stderr);
    assert!(listed.stdout.contains(&first) && !listed.stdout.contains(&second), "{}", listed.stdout);
    assert!(
        listed.stderr.contains("1 run, ") && listed.stderr.contains("nothing was removed"),
        "{}",
        listed.stderr
    );
    assert_eq!(world.runs().len(), 2);
    let unasked = world.loopctl(&["prune", "--keep", "1"]);
    assert_eq!((unasked.code, world.runs().len()), (2, 2), "{}", unasked.stderr);
    let done = world.loopctl(&["prune", "--keep", "1", "--yes"]);
    assert_eq!((done.code, &done.stdout), (0, &listed.stdout), "the same list: {}", done.stderr);
    assert_eq!(world.loopctl(&["inspect", &first]).code, 4);
    assert_eq!(world.loopctl(&["inspect", &second]).code, 0);
    assert!(world.path("app.run-files-2").exists() || world.path("app.run-files").exists());
    let copies = fs::read_dir(world.app().join("logs/loop")).unwrap().count();
    let all = world.loopctl(&["prune", "--older-than", "0s", "--workspace", ".", "--yes"]);
    assert_eq!(all.code, 0, "{}", all.stderr);
    assert!(all.stdout.contains("/app.run-files"), "its worktree is named: {}", all.stdout);
    assert_eq!(world.runs().len(), 0);
    assert_eq!(trusted_refs(&world), "");
    assert!(
        !branches(&world).contains("refs/agentloop") && branches(&world).contains("refs/heads/run/files")
    );
    assert_eq!(world.git(&["worktree", "list"]).lines().count(), 1);
    assert_eq!(fs::read_dir(world.data().join("runs")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(world.app().join("logs/loop")).unwrap().count(), copies, "copies stay");
    assert_eq!(world.loopctl(&["prune", "--older-than", "soon"]).code, 2);
    let third = failed(&world);
    let with_copies = fs::read_dir(world.app().join("logs/loop")).unwrap().count();
    assert_eq!(with_copies, copies + 1, "{third}");
    let done = world.loopctl(&["prune", "--keep", "0", "--copies", "-y"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(fs::read_dir(world.app().join("logs/loop")).unwrap().count(), copies);
}

#[test]
fn what_stands_in_the_place_of_a_worktree_is_not_removed() {
    let world = world();
    failed(&world);
    let worktree = world.path("app.run-files");
    let precious = worktree.join("precious");
    let kept = |what: &str| {
        for arguments in
            [&["prune", "--keep", "0", "--force", "-y"][..], &["worktree-rm", "../app.run-files", "-f"]]
        {
            let said = world.loopctl(arguments);
            assert_ne!(said.code, 0, "{what}: {arguments:?} {}", said.stdout);
            assert!(precious.exists(), "{what}: {arguments:?}");
        }
        assert_eq!(world.runs().len(), 1, "{what}: the record stays with it");
    };
    // Locked by the user.
    std::fs::write(&precious, "mine").expect("a file");
    world.git(&["worktree", "lock", &worktree.to_string_lossy()]);
    kept("locked");
    world.git(&["worktree", "unlock", &worktree.to_string_lossy()]);
    // What the user wrote into it goes only by force.
    let said = world.loopctl(&["prune", "--keep", "0", "-y"]);
    assert_eq!(said.code, 1, "{}", said.stdout);
    assert!(said.stderr.contains("--force removes it all the same"), "{}", said.stderr);
    assert!(precious.exists());
    // Moved away, with a folder of the user's in its place.
    world.git(&["worktree", "move", &worktree.to_string_lossy(), "../moved"]);
    std::fs::create_dir(&worktree).expect("a folder");
    std::fs::write(&precious, "mine").expect("a file");
    kept("moved");
    // The same at the place that git still has on its list.
    std::fs::remove_dir_all(&worktree).expect("removed");
    world.git(&["worktree", "move", "../moved", &worktree.to_string_lossy()]);
    std::fs::remove_dir_all(&worktree).expect("removed");
    std::fs::create_dir(&worktree).expect("a folder");
    std::fs::write(&precious, "mine").expect("a file");
    kept("replaced");
    std::fs::remove_dir_all(&worktree).expect("removed");
    let said = world.loopctl(&["prune", "--keep", "0", "-y"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert_eq!(world.runs().len(), 0);
}

#[test]
fn copies_are_removed_from_where_the_run_put_them() {
    let world = world();
    world.write(&[(".loop/config", "log_dir=records/loop\n")]);
    world.git(&["add", "--all"]);
    world.git(&["commit", "-qm", "Keep records elsewhere"]);
    completed(&world);
    let copies = || fs::read_dir(world.app().join("records/loop")).map_or(0, Iterator::count);
    assert!(copies() > 0);
    let before = copies();
    let done = world.loopctl(&["prune", "--keep", "0", "--copies", "-y"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(copies(), before - 1);
}
