use std::path::{Path, PathBuf};

use super::{prompt_files, worktree_path};

fn path(template: &str, branch: &str) -> Result<PathBuf, String> {
    worktree_path(Path::new("/srv/my app"), template, branch)
}

#[test]
fn wt_9_the_template_is_relative_to_the_repository_and_resolved_without_looking_at_the_disk() {
    for (template, expected) in [
        ("../{{ repo }}.{{ run_branch | sanitize }}", "/srv/my app.run-x"),
        ("{{ branch }}", "/srv/my app/run/x"),
        ("./a/../{{ run_branch|sanitize }}", "/srv/my app/run-x"),
        ("/elsewhere/{{repo}}/./{{ run_branch }}", "/elsewhere/my app/run/x"),
        ("../../../../up", "/up"),
    ] {
        assert_eq!(path(template, "run/x"), Ok(PathBuf::from(expected)), "{template}");
    }
}

#[test]
fn a_template_or_branch_that_cannot_be_used_is_refused_with_a_sentence() {
    for (template, branch, says) in [
        ("", "run/x", "empty"),
        ("{{ run_branch", "run/x", "without closing"),
        ("{{ home }}", "run/x", "unknown variable `home`"),
        ("{{ repo | upper }}", "run/x", "unknown filter `upper`"),
        ("{{ run_branch }}", "../x", "bad run branch"),
    ] {
        let error = path(template, branch).unwrap_err();
        assert!(error.contains(says), "{template}: {error}");
    }
}

#[test]
fn a_prompt_becomes_a_spec_that_quotes_it_and_a_plan_with_one_open_task() {
    let [spec, plan] = prompt_files("\n  Fix the bug\n- [ ] not a task of ours\n", "specs/fix.md");
    assert!(spec.starts_with("# Fix the bug\n"));
    assert!(spec.contains("> - [ ] not a task of ours\n"));
    let plan = loop_api::checklist::Plan::parse(&plan);
    assert_eq!((plan.progress().done, plan.progress().total), (0, 1));
}
