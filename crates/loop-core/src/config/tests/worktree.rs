//! Keys about branch and worktree (CFG-27, 30, 34 to 38).

use loop_api::run::{Provider, Worktree, WorktreeHooks};

use crate::config::{parse, resolve};

#[test]
fn the_worktree_is_settled_by_keys() {
    let text = "worktree_provider=worktrunk\nworktrunk_bin=~/bin/wt\nworktrunk_config_path=\"wt.toml\"\n\
                worktrunk_copy_ignored=yes\nworktree_hooks=approved\nrun_branch_prefix=\nworktree_cleanup=off\n\
                worktree_path_template=../{{ branch }}\n";
    let config = parse("c", text).unwrap();
    assert_eq!(config.warnings, Vec::<String>::new());
    let wanted = Worktree {
        provider: Provider::Worktrunk,
        worktrunk_bin: "~/bin/wt".into(),
        worktrunk_config: Some("wt.toml".into()),
        copy_ignored: true,
        hooks: WorktreeHooks::Approved,
        run_branch_prefix: String::new(),
        path_template: "../{{ branch }}".into(),
        cleanup: false,
    };
    assert_eq!(resolve(&[config.patch]).unwrap().worktree, wanted);
    assert_eq!(resolve(&[]).unwrap().worktree.provider, Provider::Auto);
}

#[test]
fn values_that_cannot_be_used_are_refused_with_what_is_allowed() {
    let said = |line: &str| parse("c", line).unwrap_err().to_string();
    assert_eq!(
        said("worktree_provider=jj"),
        "c line 1: worktree_provider must be auto, worktrunk or git, found \"jj\""
    );
    assert_eq!(
        said("worktree_hooks=yes"),
        "c line 1: worktree_hooks must be skip or approved, found \"yes\""
    );
    assert_eq!(
        said("worktrunk_bin="),
        "c line 1: worktrunk_bin is empty; remove the line to use the default"
    );
    assert_eq!(
        said("worktrunk_copy_ignored=some"),
        "c line 1: worktrunk_copy_ignored must be true or false, found \"some\""
    );
}
