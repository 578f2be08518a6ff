//! Keys about branch and worktree (CFG-27, 30, 34 to 38).

use serde_json::{Value, json};

use super::{boolean, set};

/// Lays a key on the patch; `false` when it is none of these, and the reason when its value cannot be used.
pub(super) fn take(patch: &mut Value, key: &str, value: &str) -> Result<bool, String> {
    let truth = || boolean(value).ok_or_else(|| format!("{key} must be true or false, found {value:?}"));
    let filled = || match value {
        "" => Err(format!("{key} is empty; remove the line to use the default")),
        _ => Ok(value),
    };
    let (path, value) = match key {
        "run_branch_prefix" => ("/worktree/runBranchPrefix", json!(value)),
        "worktree_path_template" => ("/worktree/pathTemplate", json!(filled()?)),
        "worktree_cleanup" => ("/worktree/cleanup", json!(truth()?)),
        "worktree_provider" => ("/worktree/provider", json!(provider(value)?)),
        "worktree_hooks" => ("/worktree/hooks", json!(hooks(value)?)),
        "worktrunk_bin" => ("/worktree/worktrunkBin", json!(filled()?)),
        "worktrunk_config_path" => ("/worktree/worktrunkConfig", json!(filled()?)),
        "worktrunk_copy_ignored" => ("/worktree/copyIgnored", json!(truth()?)),
        _ => return Ok(false),
    };
    set(patch, path, value);
    Ok(true)
}

fn provider(value: &str) -> Result<&'static str, String> {
    match value {
        "auto" => Ok("Auto"),
        "worktrunk" => Ok("Worktrunk"),
        "git" => Ok("Git"),
        _ => Err(format!("worktree_provider must be auto, worktrunk or git, found {value:?}")),
    }
}

fn hooks(value: &str) -> Result<&'static str, String> {
    match value {
        "skip" => Ok("Skip"),
        "approved" => Ok("Approved"),
        _ => Err(format!("worktree_hooks must be skip or approved, found {value:?}")),
    }
}

#[cfg(test)]
mod tests {
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
}
