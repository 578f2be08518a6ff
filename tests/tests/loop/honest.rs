//! Honest work in many forms: none of it may be refused.

use loop_tests::{Said, World};
use serde_json::Value;

use crate::misbehaving::PROJECT;

/// What every agent here can use; its own work follows, then the token unless `ask` is made to do nothing.
const HEAD: &str = r#"#!/bin/sh
set -eu
cat >/dev/null
plan=$LOOP_PLAN_PATH
edit() { sed "$2" "$1" >"$1.new" && cat "$1.new" >"$1" && rm "$1.new"; }
tick() { edit "$plan" "s/\[ \] Write ${1:-}/[x] Write ${1:-}/"; }
write() { for name in "$@"; do echo "$name" >"$name.txt"; done; }
both() { write one two; tick; }
commit() { git add --all; git commit --quiet --no-gpg-sign -m "${1:-Work}"; }
ask() { echo '<promise>COMPLETE</promise>'; }
"#;

/// A completed run.
struct Done {
    world: World,
    run: Value,
}

fn world(gate: &str, body: &str) -> World {
    let config = format!("verify_cmds={gate}\nreviewer=false\niterations=4\n");
    let agent = format!("{HEAD}{body}\nask\n");
    let mut files = PROJECT.to_vec();
    files.extend([(".loop/config", config.as_str()), (".loop/agent.sh", agent.as_str())]);
    World::new(&files)
}

/// The run of an agent that does this is completed, with both files on the target branch.
#[track_caller]
fn completed_with(gate: &str, body: &str) -> Done {
    let world = world(gate, body);
    let (Said { code, stderr, .. }, run) = world.run(&["specs/files.md"]);
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(run["status"]["phase"], "Completed", "{stderr}");
    for name in ["one", "two"] {
        assert_eq!(world.git(&["show", &format!("agent/files:{name}.txt")]), name);
    }
    let tree = |branch: &str| world.git(&["rev-parse", &format!("{branch}^{{tree}}")]);
    assert_eq!(tree("agent/files"), tree("run/files"), "exactly the verified tree is delivered");
    assert_eq!(world.leftovers(), Vec::<String>::new());
    Done { world, run }
}

#[track_caller]
fn completed(body: &str) -> Done {
    completed_with("sh check.sh", body)
}

impl Done {
    fn has(&self, path: &str) -> bool {
        self.world.git(&["ls-tree", "-rz", "--name-only", "agent/files"]).split('\0').any(|name| name == path)
    }

    fn iterations(&self) -> u64 {
        self.run["status"]["progress"]["iteration"].as_u64().expect("a number")
    }
}

#[test]
fn a_refactoring_without_a_change_of_tests() {
    completed("both; printf 'greet() {\\n  echo hello goodbye\\n}\\n' >lib.sh; commit");
}

#[test]
fn a_test_added_and_one_extended() {
    let done = completed(
        "both; echo 'test -f two.txt' >tests/more_test.sh; echo 'test -s one.txt' >>tests/one_test.sh; commit",
    );
    assert!(done.has("tests/more_test.sh"));
}

#[test]
fn a_file_moved() {
    let done = completed("both; mkdir src; git mv lib.sh src/lib.sh; commit");
    assert!(done.has("src/lib.sh") && !done.has("lib.sh"));
}

#[test]
fn a_test_file_moved() {
    let done = completed("both; git mv tests/one_test.sh tests/first_test.sh; commit");
    assert!(done.has("tests/first_test.sh") && !done.has("tests/one_test.sh"));
}

#[test]
fn a_task_split_into_sub_tasks() {
    let done = completed(
        "write one two; edit \"$plan\" 's/^- \\[ \\] Write two.txt/- [x] Write two.txt\\n  - [x] Make it\\n  - [x] Fill it/; \
         s/\\[ \\] Write one/[x] Write one/'; commit",
    );
    assert_eq!(done.run["status"]["progress"]["tasksTotal"], 4);
}

#[test]
fn a_sub_task_left_for_the_next_iteration() {
    let done = completed(
        "if [ \"$LOOP_ITERATION\" = 1 ]; then write one; tick one; edit \"$plan\" 's/^- \\[ \\] Write two.txt/&\\n- [ ] Fill two.txt/'; \
         commit; exit 0; fi; write two; edit \"$plan\" 's/\\[ \\]/[x]/'; commit",
    );
    assert_eq!((done.iterations(), &done.run["status"]["progress"]["tasksDone"]), (2, &Value::from(3)));
}

#[test]
fn several_tasks_in_one_commit() {
    assert_eq!(completed("both; commit").iterations(), 1);
}

#[test]
fn one_task_in_each_iteration() {
    let done = completed(
        "for name in one two; do [ -f $name.txt ] && continue; write $name; tick $name; commit; exit 0; done",
    );
    assert_eq!(done.iterations(), 2);
}

#[test]
fn several_commits_in_one_iteration() {
    completed(
        "for name in one two; do write $name; commit \"$name\"; tick $name; commit \"Tick $name\"; done",
    );
}

#[test]
fn code_first_and_the_tick_in_the_next_iteration() {
    let done =
        completed("if [ \"$LOOP_ITERATION\" = 1 ]; then write one two; commit; exit 0; fi; tick; commit");
    assert_eq!(done.iterations(), 2);
}

#[test]
fn ticks_of_the_older_protocol() {
    completed("write one two; edit \"$plan\" 's/\\[ \\] Write/[R] Write/'; commit");
    completed("write one two; edit \"$plan\" 's/\\[ \\] Write/[X] Write/'; commit");
}

#[test]
fn a_plan_reformatted_with_other_line_ends_and_white_space() {
    completed("both; edit \"$plan\" 's/$/\\r/'; commit");
    completed("both; edit \"$plan\" 's/^- \\[x\\] Write/  -   [x]  Write/; s/$/  /'; commit");
}

#[test]
fn learnings_added_to_the_plan() {
    completed(
        "both; printf '\\n## Learnings\\n\\n- A `[ ]` is a box.\\n- Files end with a line end.\\n' >>\"$plan\"; commit",
    );
}

#[test]
fn a_merge_commit_on_the_run_branch() {
    completed(
        "git checkout -q -b run/side; write one; commit One; git checkout -q run/files; write two; commit Two; \
         git merge -q --no-edit run/side; tick; commit",
    );
}

#[test]
fn own_commits_amended() {
    completed("write one; commit; write two; tick; git add --all; git commit -q --amend -m Both");
    completed(
        "if [ \"$LOOP_ITERATION\" = 1 ]; then write one; tick one; commit; exit 0; fi
         write two; tick; git add --all; git commit -q --amend -m Both",
    );
}

#[test]
fn own_commits_rebased() {
    completed(
        "write one; commit One; write two; commit Two; tick; commit Tick; GIT_SEQUENCE_EDITOR='sed -i 2s/pick/fixup/' git rebase -q -i HEAD~3 >/dev/null 2>&1",
    );
}

#[test]
fn an_empty_commit_besides() {
    completed("both; commit; git commit -q --allow-empty -m Nothing");
}

#[test]
fn a_change_of_mode_a_link_and_a_binary_file() {
    let done =
        completed("both; chmod +x lib.sh; ln -s lib.sh library; head -c 5000 /dev/urandom >data.bin; commit");
    assert!(done.world.git(&["ls-tree", "agent/files", "lib.sh"]).starts_with("100755"));
    assert!(done.world.git(&["ls-tree", "agent/files", "library"]).starts_with("120000"));
    assert!(done.has("data.bin"));
}

#[test]
fn a_link_that_leads_nowhere() {
    completed("both; ln -s /nowhere/at/all gone; commit");
}

#[test]
fn names_with_blanks_and_other_letters() {
    let done =
        completed("both; mkdir 'a b'; echo x >'a b/schöne Grüße \"2\".txt'; echo x >'日本.md'; commit");
    assert!(done.has("a b/schöne Grüße \"2\".txt") && done.has("日本.md"));
}

#[test]
fn a_file_of_twenty_megabytes() {
    let done = completed("both; head -c 20000000 /dev/urandom >large.bin; commit");
    assert_eq!(done.world.git(&["cat-file", "-s", "agent/files:large.bin"]), "20000000");
}

#[test]
fn a_file_deleted_that_is_no_test() {
    assert!(!completed("both; git rm -q old.txt; commit").has("old.txt"));
}

#[test]
fn a_protected_file_that_the_plan_lists() {
    completed("both; echo 'testpaths = tests' >>pytest.ini; commit");
}

#[test]
fn scratch_and_build_outputs_left_behind() {
    let done = completed(
        "both; commit; echo x >scratch; mkdir -p build/deep; echo x >build/deep/out; echo more >>lib.sh",
    );
    assert!(!done.has("scratch") && !done.has("build/deep/out"));
    assert!(
        done.world.run_folder().join("uncommitted.diff").exists(),
        "what was not committed is kept as a diff"
    );
}

#[test]
fn a_token_in_colour_or_with_blank_lines_around_it() {
    completed("both; commit; printf '\\033[32mDone.\\033[0m\\n'");
    completed("both; commit; ask() { printf 'Done.\\n\\n  <promise>COMPLETE</promise>  \\r\\n\\n \\n'; }");
}

#[test]
fn a_plan_that_is_all_done_without_a_token() {
    completed("both; commit; ask() { echo 'Both are done.'; }");
}

#[test]
fn a_gate_that_uses_git() {
    let gate = "git diff --quiet HEAD && git status --porcelain && git log --oneline -1 && git ls-files --error-unmatch check.sh && sh check.sh";
    completed_with(gate, "both; commit");
}

#[test]
fn a_gate_that_writes_into_its_checkout() {
    let done = completed_with(
        "mkdir -p build && echo x >build/out && echo y >made && echo z >>README.md && sh check.sh",
        "both; commit",
    );
    assert!(!done.has("made"));
    let name = done.run["metadata"]["name"].as_str().unwrap();
    assert_eq!(done.world.loopctl(&["verify", name]).code, 0);
}

#[test]
fn a_gate_that_needs_home_and_a_temp_folder() {
    let gate =
        "touch \"$HOME/.tool\" && file=$(mktemp) && echo x >\"$file\" && test -w \"$TMPDIR\" && sh check.sh";
    completed_with(gate, "both; commit");
}

#[test]
fn work_that_takes_a_failed_gate_to_get_right() {
    let done = completed(
        "if [ \"$LOOP_ITERATION\" = 1 ]; then both; echo wrong >two.txt; commit; else write two; commit; fi",
    );
    assert_eq!(done.iterations(), 2);
}

#[test]
fn a_commit_message_of_many_lines_and_another_author() {
    completed(
        "both; git add --all; printf 'Work\\n\\nLoop-Run: 1\\n%s\\n' '- [ ] no task' | git commit -q --author='Ada <ada@example.org>' -F -",
    );
}
