//! Worktrees in a pod by Worktrunk, whose real command `wt` the image of the runner has, and by git without it.

use loop_tests::{HONEST, PROJECT};

use super::place::{Place, say, until};

/// The honest agent, which gives a look into its pod some time, and hands in what a hook left in the worktree.
fn agent() -> String {
    let (reviewer, rest) = HONEST.split_once("exit 0; fi\n").expect("it reviews first");
    format!("{reviewer}exit 0; fi\nsleep 5\n[ ! -e build/hooked ] || cp build/hooked hooked.txt\n{rest}")
}

/// A hook that tells in which container it runs: only trusted ones see the run's object.
const HOOK: &str = "pre-start = \"mkdir -p build && { [ -e /run/agentloop/looprun.json ] && echo trusted || echo agent; \
                    } > build/hooked\"\n";

/// Whether the image has the command; without it that is said, and a failure where everything is required.
fn has_wt() -> bool {
    let has = std::env::var_os("LOOP_TEST_WT").is_some();
    let required = std::env::var("LOOP_REQUIRE").is_ok_and(|value| value == "all");
    assert!(has || !required, "LOOP_TEST_WT names no wt, and every rung is required");
    if !has {
        say("MISSING: a wt in LOOP_TEST_WT, when the image of the runner was built");
    }
    has
}

fn spec(worktree: &str) -> String {
    format!(
        "  task: {{specPath: specs/files.md}}\n  gates: [{{name: check, run: sh check.sh}}]\n  worktree: {{{worktree}}}\n"
    )
}

#[test]
fn worktrunk_makes_the_worktree_where_it_is_and_git_where_it_may() {
    if !has_wt() {
        return;
    }
    let Some(place) = Place::new("worktrunk") else { return };
    let agent = agent();
    let mut files = PROJECT.to_vec();
    files.extend([(".loop/agent.sh", agent.as_str()), (".config/wt.toml", HOOK)]);
    place.git_server(&files);
    place.run("made", &spec("provider: Worktrunk, hooks: Approved"));
    place.run("hard", &spec("provider: Worktrunk, worktrunkBin: not-there"));
    place.run("auto", &spec("provider: Auto, worktrunkBin: not-there"));

    // While it runs, `wt` itself says where the worktree is.
    let pod = || place.get("looprun", "made")["status"]["podName"].as_str().map(str::to_owned);
    until("there is a pod", || pod().is_some());
    let pod = pod().expect("a pod");
    until("it works", || {
        place.kubectl(&["logs", &pod, "-c", "runner"], "").1.contains("implementation of iteration 1")
    });
    let ask =
        "wt -C /run/agentloop/origin --config /run/agentloop/worktrunk.toml list --format json 2>/dev/null";
    let said = place.must(&["exec", &pod, "-c", "runner", "--", "sh", "-c", ask]);
    let listed: serde_json::Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}"));
    let listed = listed.as_array().expect("a list");
    let answer =
        listed.iter().find(|worktree| worktree["branch"] == "run/made").expect("the run's")["path"].clone();
    for name in ["made", "auto"] {
        until("it ends", || ["Failed", "Completed"].contains(&place.phase(name).as_str()));
        assert_eq!(place.phase(name), "Completed", "{name}: {}", place.said(name, "Failed"));
    }
    let made = place.get("looprun", "made")["status"]["worktree"].clone();
    assert_eq!((&made["provider"], &made["path"]), (&"worktrunk".into(), &answer), "{made}");
    let log = place.must(&["logs", &pod, "-c", "runner"]);
    assert!(log.contains("the worktree is made by worktrunk\n"), "{log}");
    // The hook of the base commit has run, and in the container of the agent.
    assert_eq!(place.git(&["show", "agent/made:hooked.txt"]), "agent");

    let auto = place.get("looprun", "auto")["status"].clone();
    assert_eq!(auto["worktree"]["provider"], "git", "{auto}");
    let log = place.must(&["logs", auto["podName"].as_str().expect("a pod"), "-c", "runner"]);
    assert!(log.contains("the worktree is made by git, as `not-there` is not in PATH"), "{log}");

    assert_eq!(place.phase("hard"), "Failed");
    let said = place.said("hard", "Failed");
    assert!(said.contains("the worktree provider is worktrunk, but `not-there` is not in PATH"), "{said}");
}

/// Hooks of every kind that Worktrunk has: where one runs, a file says so; on the trusted side the journal is spoiled.
fn planted() -> String {
    let command = "mkdir -p build; echo hooked >build/hooked; find / -name journal.jsonl 2>/dev/null | while read file; do \
                   echo planted >>$file; done";
    ["switch", "start", "remove", "commit", "merge"]
        .iter()
        .flat_map(|what| ["pre", "post"].map(|when| format!("{when}-{what} = \"{command}\"\n")))
        .collect()
}

#[test]
fn what_stands_in_the_repository_for_worktrunk_runs_nowhere_unless_the_run_wants_it() {
    if !has_wt() {
        return;
    }
    let Some(place) = Place::new("planted") else { return };
    let planted = planted();
    let (reviewer, rest) = HONEST.split_once("exit 0; fi\n").expect("it reviews first");
    let agent = format!(
        "{reviewer}exit 0; fi\n[ ! -e build/hooked ] || cp build/hooked hooked.txt\necho '# mine' >>.config/wt.toml\n[ ! -e \
         one.txt ] || sleep 8\n{rest}"
    );
    let mut files = PROJECT.to_vec();
    files.extend([(".loop/agent.sh", agent.as_str()), (".config/wt.toml", planted.as_str())]);
    place.git_server(&files);
    place.run("made", &spec("provider: Worktrunk"));
    // The worktree is made a second time, with what the agent has put there.
    until("the agent's own is pushed", || place.log("made").contains("implementation of iteration 2"));
    until("and kept", || place.get("looprun", "made")["status"]["checkpoint"].is_object());
    let first = place.get("looprun", "made")["status"]["podName"].as_str().expect("a pod").to_owned();
    place.must(&["delete", "pod", &first]);
    place.reaches("made", "Completed");
    let status = place.get("looprun", "made")["status"].clone();
    assert_eq!((&status["attempt"], &status["worktree"]["provider"]), (&2.into(), &"worktrunk".into()));
    assert!(place.git(&["show", "agent/made:.config/wt.toml"]).contains("# mine"));
    assert_eq!(place.git(&["ls-tree", "agent/made", "hooked.txt"]), "");
}
