//! Names and places of branches and worktree.

use std::fs;
use std::os::unix::fs::symlink;

use super::{project, refused};

#[test]
fn a_target_branch_that_is_checked_out_anywhere_is_refused() {
    let world = project(&[]);
    let sentence = |place: &str| {
        format!(
            "target branch agent/files is checked out in [world]/{place}, and a checkout is never touched; switch that \
             checkout to another branch, or choose another with --merge-target"
        )
    };
    world.git(&["worktree", "add", "-q", "-b", "agent/files", "../elsewhere"]);
    refused(&world, &["specs/files.md"], &sentence("elsewhere"));
    world.git(&["worktree", "remove", "../elsewhere"]);
    world.git(&["checkout", "-q", "agent/files"]);
    refused(&world, &["specs/files.md"], &sentence("app"));
}

#[test]
fn a_branch_that_stands_where_a_folder_of_branches_has_to_be_is_named() {
    let table = [
        ("agent", "agent/files", "--merge-target"),
        ("agent/files/x", "agent/files", "--merge-target"),
        ("run", "run/files", "--run-branch-prefix or --name"),
        ("run/files/x", "run/files", "--run-branch-prefix or --name"),
    ];
    let world = project(&[]);
    for (there, wanted, options) in table {
        world.git(&["branch", there]);
        let sentence = format!(
            "branch {there} makes a branch {wanted} impossible (git keeps branches as paths); rename {there}, or \
             choose another name with {options}"
        );
        refused(&world, &["specs/files.md"], &sentence);
        world.git(&["branch", "-q", "-D", there]);
    }
}

#[test]
fn names_that_git_does_not_take_are_refused_with_the_option() {
    let world = project(&[]);
    refused(
        &world,
        &["specs/files.md", "--run-branch-prefix", "a b/"],
        "run branch \"a b/files\" cannot be used: a branch name must not contain ' '; choose another name with \
         --run-branch-prefix or --name",
    );
    refused(
        &world,
        &["specs/files.md", "--merge-target", "a..b"],
        "target branch \"a..b\" cannot be used: a branch name must not contain `..` or `@{`; choose another with \
         --merge-target",
    );
    refused(
        &world,
        &["specs/files.md", "--merge-target", "run/files"],
        "run branch and target branch are both run/files; choose another target with --merge-target",
    );
}

#[test]
fn an_occupied_place_of_the_worktree_is_refused_and_what_is_there_stays() {
    let world = project(&[]);
    let place = world.path("app.run-files");
    let sentence = "[world]/app.run-files is in the way of the run's worktree; remove it, or choose another place with \
                    --worktree-path-template";
    fs::write(&place, "mine").unwrap();
    refused(&world, &["specs/files.md"], sentence);
    assert_eq!(fs::read_to_string(&place).unwrap(), "mine");
    fs::remove_file(&place).unwrap();
    fs::create_dir(&place).unwrap();
    refused(&world, &["specs/files.md"], sentence);
    fs::remove_dir(&place).unwrap();
    symlink("nowhere", &place).unwrap();
    refused(&world, &["specs/files.md"], sentence);
}

#[test]
fn a_worktree_has_to_lie_beside_the_repository_and_below_a_folder() {
    let world = project(&[]);
    refused(
        &world,
        &["specs/files.md", "--worktree-path-template", "wt/x"],
        "the worktree [world]/app/wt/x would lie inside the repository; choose a place beside it with \
         --worktree-path-template",
    );
    fs::write(world.path("file"), "").unwrap();
    refused(
        &world,
        &["specs/files.md", "--worktree-path-template", "../file/x"],
        "[world]/file is a file, so the worktree [world]/file/x cannot be made in it; choose another place with \
         --worktree-path-template",
    );
}

#[test]
fn a_template_with_an_unknown_variable_or_filter_is_refused_with_those_that_exist() {
    let world = project(&[]);
    let table = [
        (
            "../{{ repoo }}",
            "unknown variable `repoo` in the worktree path template; known: repo, run_branch, branch",
        ),
        ("../{{ repo | upper }}", "unknown filter `upper` in the worktree path template; known: sanitize"),
        ("../{{ repo", "the worktree path template opens `{{` without closing it"),
    ];
    for (template, reason) in table {
        let sentence = format!("{reason}; set another with --worktree-path-template");
        refused(&world, &["specs/files.md", "--worktree-path-template", template], &sentence);
    }
}
