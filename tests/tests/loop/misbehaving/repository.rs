//! Agents that leave their repository in a state in which nobody should have to find it.

use super::misbehave;

#[test]
fn only_what_is_committed_counts() {
    let ended = misbehave("uncommitted").refused("nothing_done");
    assert!(ended.record("prompt.txt").contains("changes that are not committed; only commits count"));
}

#[test]
fn a_worktree_whose_git_link_is_gone_or_leads_elsewhere_is_repaired() {
    for mode in ["git-link", "git-link-elsewhere"] {
        let ended = misbehave(mode).completed();
        assert!(ended.repairs().contains(".git link was damaged"), "{}", ended.repairs());
    }
}

#[test]
fn an_open_rebase_is_closed() {
    let ended = misbehave("rebase").completed();
    assert!(ended.record("iter-01.log").contains("left open"));
    assert!(ended.repairs().contains("an unfinished rebase-merge was closed"), "{}", ended.repairs());
}

#[test]
fn commits_beside_the_run_branch_are_brought_onto_it() {
    for mode in ["detaches", "other-branch"] {
        let ended = misbehave(mode).completed();
        assert!(ended.repairs().contains("moved forward to its commits"), "{mode}: {}", ended.repairs());
    }
}

#[test]
fn a_history_of_its_own_is_not_brought_onto_the_run_branch() {
    let ended = misbehave("unborn-branch").refused("nothing_done");
    assert!(ended.repairs().contains("its files were kept, uncommitted"), "{}", ended.repairs());
}

#[test]
fn a_run_branch_that_is_gone_comes_back_at_its_last_known_tip() {
    let ended = misbehave("branch-gone");
    assert!(ended.repairs().contains("the run branch was gone"), "{}", ended.repairs());
    let ended = ended.completed();
    assert_eq!(ended.run["status"]["progress"]["iteration"], 2, "the files were kept and committed again");
}

#[test]
fn a_history_without_the_base_commit_is_refused() {
    for mode in ["rewrites-base", "amends-base"] {
        misbehave(mode).refused("base_rewritten");
    }
}

#[test]
fn a_branch_moved_back_has_no_work_on_it() {
    misbehave("moves-back").refused("nothing_done");
}

#[test]
fn pipes_and_links_in_place_of_gits_files_hang_nothing() {
    for mode in ["fifo-head", "fifo-index", "fifo-files", "link-head", "commondir", "locks"] {
        misbehave(mode).completed();
    }
}

#[test]
fn no_program_that_an_agent_configures_runs_outside_its_sandbox() {
    if !loop_tests::confined() {
        return;
    }
    let ended = misbehave("programs").completed();
    let log = ended.record("iter-01.log");
    assert!(
        log.contains("possible: git config --global core.fsmonitor"),
        "the agent could leave programs in its own configuration: {log}"
    );
}

#[test]
fn a_repository_in_the_repository_is_refused_when_committed_and_ignored_when_not() {
    for mode in ["nested", "module"] {
        misbehave(mode).refused("protected_paths");
    }
    misbehave("nested-untracked").completed();
}

#[test]
fn names_that_look_like_options_or_commands_are_only_names() {
    misbehave("odd-names").completed();
}
