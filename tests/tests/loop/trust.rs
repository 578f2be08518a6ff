//! What an untrusted agent must not get past: each test is an attack that once worked.

use loop_tests::{PROJECT, Said, World, write};
use serde_json::Value;

const DONE: &str = "sed -i 's/\\[ \\] Write/[x] Write/' \"$LOOP_PLAN_PATH\"\ngit add -A && git commit -qm Work --allow-empty\n\
                    echo '<promise>COMPLETE</promise>'\n";

/// The project with some more files and an agent that runs these lines.
fn world(lines: &str, more: &[(&str, &str)]) -> World {
    let world = World::bare();
    world.write(PROJECT);
    world.write(more);
    world.write(&[(".loop/agent.sh", &format!("#!/bin/sh\nset -eu\ncat >/dev/null\n{lines}"))]);
    world.commit("Start");
    world
}

fn run(world: &World, gates: &[&str]) -> (Said, Value) {
    let mut arguments = vec!["specs/files.md", "--no-review"];
    arguments.extend(gates.iter().flat_map(|gate| ["--gate", gate]));
    world.run(&arguments)
}

fn assert_refused(world: &World, gates: &[&str], reason: &str) {
    let (said, object) = run(world, gates);
    assert_eq!(said.code, 1, "{}", said.stderr);
    assert_eq!(object["status"]["phase"], "Failed");
    assert!(said.stderr.contains(reason) || said.stdout.contains(reason), "{}{}", said.stderr, said.stdout);
}

#[test]
fn a_token_without_any_change_is_refused_although_the_gates_pass() {
    let world = world("echo '<promise>COMPLETE</promise>'\n", &[("one.txt", "one\n")]);
    world.git(&["rm", "-q", "specs/planning/files-plan.md"]);
    world.commit("No plan");
    assert_refused(&world, &["check=sh check.sh"], "completion_refused:nothing_done");
}

#[test]
fn a_gate_script_behind_a_link_is_protected() {
    let lines = format!("echo 'exit 0' > scripts/real.sh\n{DONE}");
    let world = world(&lines, &[("scripts/real.sh", "test \"$(cat one.txt)\" = one\n")]);
    std::fs::remove_file(world.app().join("check.sh")).unwrap();
    std::os::unix::fs::symlink("scripts/real.sh", world.app().join("check.sh")).unwrap();
    world.commit("Link");
    assert_refused(&world, &["check=sh check.sh"], "completion_refused:protected_paths");
}

#[test]
fn a_gate_script_that_the_base_commit_lacks_cannot_be_written_by_the_agent() {
    let world = world(&format!("echo 'exit 0' > judge.sh\n{DONE}"), &[]);
    assert_refused(&world, &["judge=sh judge.sh"], "completion_refused:protected_paths");
}

#[test]
fn a_gate_cannot_rewrite_what_the_next_gate_reads() {
    let runs = ("runs.sh", "for part in src/*; do sh $part; done\ntrue\n");
    let evil = "echo 'echo exit 0 > check.sh; git update-index --assume-unchanged check.sh' > src/part\n";
    let world = world(&format!("{evil}{DONE}"), &[runs, ("src/part", "true\n")]);
    let (said, object) = run(&world, &["runs=sh runs.sh", "check=sh check.sh"]);
    assert_eq!(said.code, 1, "{}", said.stderr);
    assert_eq!(object["status"]["phase"], "Failed");
}

#[test]
fn what_one_gate_builds_is_there_for_the_next() {
    let lines = format!("echo one > one.txt\n{DONE}");
    let world = world(&lines, &[]);
    let build = "build=mkdir -p out build && cp one.txt out/ && cp one.txt build/";
    let (said, _) =
        run(&world, &[build, "use=cmp one.txt out/one.txt && cmp one.txt build/one.txt && sh check.sh"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
}

#[test]
fn unticking_needs_no_git_identity() {
    let (said, object) = run(&world(DONE, &[]), &["check=sh check.sh"]);
    assert_eq!(said.code, 1, "{}", said.stderr);
    let reason = object["status"]["result"].to_string() + &said.stderr;
    assert!(!reason.contains("run_error"), "{reason}");
}

#[test]
fn an_agent_cannot_put_false_objects_under_true_names_into_the_users_repository() {
    if !loop_tests::confined() {
        return;
    }
    let lines = "echo one > one.txt\nobjects=$(git rev-parse --path-format=absolute --git-common-dir)/objects\n\
                 place() { echo \"$objects/$(echo $1 | cut -c1-2)/$(echo $1 | cut -c3-)\"; }\n\
                 id=$(git hash-object -w one.txt)\nevil=$(echo evil | git hash-object -w --stdin)\n";
    let after = "cp -f $(place $evil) $(place $id)\n";
    let world = world(&format!("{lines}{DONE}{after}"), &[]);
    let (_, _) = run(&world, &["check=sh check.sh"]);
    for branch in world.git(&["for-each-ref", "--format=%(refname)"]).lines() {
        let content = world.git(&["ls-tree", "--name-only", branch]);
        if content.lines().any(|name| name == "one.txt") {
            assert_eq!(world.git(&["show", &format!("{branch}:one.txt")]), "one", "{branch}");
        }
    }
    world.git(&["fsck", "--strict"]);
}

#[test]
fn an_agent_may_use_all_of_git_and_the_users_refs_and_configuration_stay() {
    if !loop_tests::confined() {
        return;
    }
    let lines = "echo one > one.txt\ngit stash -qu && git stash pop -q\ngit tag agents-own\ngit branch agents-own\n\
                 git update-ref refs/heads/main HEAD\ngit config user.nickname agent\ngit config core.fsmonitor /tmp/evil\n\
                 git config --unset core.fsmonitor\ngit gc -q\ngit pack-refs --all\n";
    let world = world(&format!("{lines}{DONE}"), &[]);
    let before = world.git(&["for-each-ref", "refs/heads/main", "refs/tags"]);
    let configuration = std::fs::read_to_string(world.app().join(".git/config")).unwrap();
    let (said, _) = run(&world, &["check=sh check.sh"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert_eq!(world.git(&["for-each-ref", "refs/heads/main", "refs/tags"]), before);
    assert_eq!(world.git(&["branch", "--list", "agents-own"]), "");
    assert_eq!(std::fs::read_to_string(world.app().join(".git/config")).unwrap(), configuration);
    assert_eq!(world.git(&["show", "run/files:one.txt"]), "one", "the run branch was published");
}

#[test]
fn what_an_agent_writes_into_caches_of_home_stays_in_its_run() {
    if !loop_tests::confined() {
        return;
    }
    let lines =
        "mkdir -p $HOME/.cache/tool $HOME/new && echo evil > $HOME/.cache/tool/plugin\necho one > one.txt\n";
    let world = world(&format!("{lines}{DONE}"), &[]);
    write(&world.path("home/.cache/tool/plugin"), "mine");
    let (said, _) = run(&world, &["check=sh check.sh"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert_eq!(std::fs::read_to_string(world.path("home/.cache/tool/plugin")).unwrap(), "mine");
    assert!(!world.path("home/new").exists());
}

#[test]
fn the_links_from_worktree_to_repository_cannot_be_replaced() {
    if !loop_tests::confined() {
        return;
    }
    let lines = "folder=$(git rev-parse --absolute-git-dir)\nfor name in gitdir commondir; do\n\
                 rm -f $folder/$name 2>/dev/null && touch replaced || true\n\
                 mv $folder/$name $folder/old 2>/dev/null && touch replaced || true\ndone\n\
                 test ! -e replaced || exit 9\necho one > one.txt\n";
    let (said, _) = run(&world(&format!("{lines}{DONE}"), &[]), &["check=sh check.sh"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
}

#[test]
fn a_tool_on_the_path_that_lies_in_a_writable_part_of_home_cannot_be_replaced() {
    if !loop_tests::confined() {
        return;
    }
    let lines = "echo 'exit 0' 2>/dev/null > $HOME/.cache/venv/bin/judge || true\n";
    let mut world = world(&format!("{lines}{DONE}"), &[]);
    let tools = world.path("home/.cache/venv/bin");
    write(&tools.join("judge"), "#!/bin/sh\nexec sh check.sh\n");
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
    world.environment.push(("PATH".into(), path));
    let (said, _) = run(&world, &["judge=judge"]);
    assert_eq!(said.code, 1, "{}", said.stderr);
    assert!(std::fs::read_to_string(tools.join("judge")).unwrap().contains("check.sh"));
}

#[test]
fn what_an_agent_leaves_in_its_home_leads_no_later_mount_out_of_it() {
    if !loop_tests::confined() {
        return;
    }
    // A damaged branch makes the engine start the agent's side anew, over the HOME that the agent prepared.
    let lines = "if [ ! -e $HOME/.cache/seen ]; then\n\
                 rm -rf $HOME/.cache $HOME/.npm; ln -s / $HOME/.cache; touch $HOME/.npm\n\
                 ref=$(git rev-parse --path-format=absolute --git-common-dir)/$(git symbolic-ref HEAD)\n\
                 if [ \"$LOOP_ITERATION\" = 1 ]; then echo 1111111111111111111111111111111111111111 > $ref; exit 0; fi\nfi\n\
                 { echo evil > $HOME/.cache/$OUTSIDE; } 2>/dev/null || true\necho one > one.txt\n";
    let scratch =
        tempfile::Builder::new().prefix("loop-outside-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let outside = scratch.path().join("precious");
    let mut world = world(&format!("{lines}{DONE}"), &[]);
    std::os::unix::fs::symlink(scratch.path(), world.path("home/.cache")).unwrap();
    world.environment.push(("OUTSIDE".into(), outside.to_string_lossy().into_owned()));
    let (said, _) = run(&world, &["check=sh check.sh"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert!(said.stderr.contains("put right"), "{}", said.stderr);
    assert!(!outside.exists());
}

#[test]
fn keys_of_home_are_out_of_reach_and_commits_need_no_signature() {
    if !loop_tests::confined() {
        return;
    }
    let lines = "test -z \"$(ls -A $HOME/.ssh $HOME/.gnupg 2>/dev/null | grep -v :)\"\ntest ! -s $HOME/.netrc\necho one > one.txt\n";
    let world = world(&format!("{lines}{DONE}"), &[]);
    for name in ["home/.ssh/id", "home/.gnupg/key", "home/.netrc"] {
        write(&world.path(name), "secret");
    }
    write(&world.path("home/.gitconfig"), "[commit]\n\tgpgSign = true\n[gpg]\n\tprogram = /bin/false\n");
    let (said, _) = run(&world, &["check=sh check.sh"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
}

#[test]
fn a_commit_that_calls_itself_the_runs_merge_is_none() {
    let lines = "git commit -q --allow-empty -m Start -m \"Loop-Run: $LOOP_RUN_ID\"\necho one > one.txt\n";
    let world = world(&format!("{lines}{DONE}"), &[]);
    let copy = self::world(&format!("{lines}{DONE}"), &[]);
    assert_eq!(run(&copy, &["check=sh check.sh"]).0.code, 0);
    let at = copy.journal().iter().position(|record| record["kind"] == "COMPLETION_GRANTED").unwrap() + 1;
    let arguments = ["run", "--local", "specs/files.md", "--no-review", "--gate", "check=sh check.sh"];
    let mut command = world.command(&arguments);
    assert!(!command.env("LOOP_TEST_KILL_AT_APPEND", at.to_string()).output().unwrap().status.success());
    // The user takes the early commit into the target, the work is not in it.
    let early = world.git(&["rev-list", "-1", "--grep", "^Loop-Run:", "run/files"]);
    world.git(&["branch", "agent/files", &early]);
    let name = world.runs()[0]["metadata"]["name"].as_str().unwrap().to_owned();
    let said = world.loopctl(&["resume", &name]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert_eq!(world.git(&["show", "agent/files:one.txt"]), "one", "the verified work is really there");
}

#[test]
fn pipes_in_the_agents_git_folder_hold_nobody_up() {
    let lines = "folder=$(git rev-parse --git-common-dir)\necho one > one.txt\n";
    let after = "rm -f $folder/packed-refs && mkfifo $folder/packed-refs\n";
    let world = world(&format!("{lines}{DONE}{after}"), &[]);
    if !loop_tests::confined() {
        return;
    }
    let (said, run) = run(&world, &["check=sh check.sh"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert_eq!(run["status"]["progress"]["iteration"], 1, "the commits of the step were taken in");
}

#[test]
fn the_agents_git_folder_has_what_the_users_configuration_names() {
    let lines = "test \"$(git config loop.extra)\" = there\ntest -s $(git rev-parse --git-common-dir)/keys/key\n\
                 test -n \"$(git reflog show main)\"\ngit cat-file -e \"$BORROWED\"\necho one > one.txt\n";
    let mut world = world(&format!("{lines}{DONE}"), &[]);
    write(&world.app().join(".git/extra.conf"), "[loop]\n\textra = there\n");
    write(&world.app().join(".git/keys/key"), "secret");
    world.git(&["config", "include.path", "extra.conf"]);
    // Objects that are borrowed from a store in a cache of HOME, which the sandbox replaces.
    let lender = world.path("home/.cache/lender");
    world.git(&["clone", "-q", "--bare", ".", lender.to_str().unwrap()]);
    let text = world.path("text");
    std::fs::write(&text, "borrowed").unwrap();
    let folder = format!("--git-dir={}", lender.display());
    let borrowed = world.git(&[&folder, "hash-object", "-w", text.to_str().unwrap()]);
    write(&world.app().join(".git/objects/info/alternates"), &format!("{}/objects\n", lender.display()));
    world.environment.push(("BORROWED".into(), borrowed));
    let (said, _) = run(&world, &["check=sh check.sh"]);
    assert_eq!(
        said.code,
        0,
        "{}{}",
        said.stderr,
        std::fs::read_to_string(world.run_folder().join("iter-01.log")).unwrap()
    );
}
