//! Spec, plan and prompt.

use std::os::unix::fs::symlink;

use loop_tests::write;

use super::{GATE, completes, project, refused};

#[test]
fn a_spec_that_is_not_there_is_refused_wherever_it_was_looked_for() {
    let world = project(&[]);
    let sentence = |what: &str, folder: &str| {
        format!(
            "{what} nope.md does not exist, neither here nor in {folder} nor in the commit that the run starts from \
             (main); name one that is committed there, or start from its branch with --base-branch"
        )
    };
    refused(&world, &["nope.md"], &sentence("spec", "specs"));
    refused(&world, &["specs/files.md", "nope.md"], &sentence("plan", "specs/planning"));
    let sentence = "no spec was given; name one from specs/, or say the task with --prompt\n  [Planned] Files - files.md";
    refused(&world, &[], sentence);
    refused(&world, &["specs"], "spec specs is a folder; name a file in it");
    refused(&world, &["specs/files.md", "specs"], "plan specs is a folder; name a file in it");
}

#[test]
fn a_symbolic_link_to_nothing_is_no_spec_even_when_it_is_committed() {
    let world = project(&[]);
    symlink("gone", world.app().join("specs/link.md")).unwrap();
    world.commit("Link");
    refused(
        &world,
        &["specs/link.md"],
        "spec specs/link.md is a symbolic link to nothing; name the file itself",
    );
    refused(
        &world,
        &["specs/files.md", "specs/link.md"],
        "plan specs/link.md is a symbolic link to nothing; name the file itself",
    );
}

#[test]
fn a_symbolic_link_to_a_committed_spec_is_followed() {
    let world = project(&[]);
    symlink("files.md", world.app().join("specs/link.md")).unwrap();
    world.commit("Link");
    let plan = "specs/planning/files-plan.md";
    let (said, run) = world.run(&["specs/link.md", plan, GATE[0], GATE[1]]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert_eq!(run["spec"]["task"]["specPath"], "specs/files.md");
}

#[test]
fn spec_and_plan_outside_the_repository_are_refused() {
    let world = project(&[]);
    write(&world.path("other.md"), "# Other\n");
    for (what, arguments) in [("spec", vec!["../other.md"]), ("plan", vec!["specs/files.md", "../other.md"])]
    {
        let sentence = format!(
            "{what} ../other.md lies outside the repository [world]/app; put it into the repository and commit it"
        );
        refused(&world, &arguments, &sentence);
    }
    // A link inside the repository does not bring its target in.
    symlink(world.path("other.md"), world.app().join("specs/link.md")).unwrap();
    world.commit("Link");
    refused(
        &world,
        &["specs/link.md"],
        "spec specs/link.md lies outside the repository [world]/app; put it into the repository and commit it",
    );
}

#[test]
fn a_spec_that_is_not_in_the_base_commit_is_refused_with_its_branch() {
    let world = project(&[("specs/.gitignore", "ignored.md\n")]);
    world.write(&[("specs/ignored.md", "# Ignored\n")]);
    let sentence = "spec specs/ignored.md is not in the commit that the run starts from (main); commit it there \
                    first, or start from its branch with --base-branch";
    refused(&world, &["specs/ignored.md"], sentence);

    world.git(&["checkout", "-q", "-b", "side"]);
    world.write(&[("specs/side.md", "# Side\n")]);
    world.commit("Side");
    refused(
        &world,
        &["specs/side.md", "--base-branch", "main"],
        "spec specs/side.md is not in the commit that the run starts from (main); commit it there first, or start \
         from its branch with --base-branch",
    );
}

#[test]
fn a_spec_that_only_the_base_branch_has_is_taken_from_there() {
    let world = project(&[]);
    world.git(&["checkout", "-q", "--orphan", "empty"]);
    world.git(&["rm", "-q", "-r", "-f", "."]);
    world.commit("Empty");
    let arguments = ["run", "--local", "specs/files.md", "--base-branch", "main", GATE[0], GATE[1]];
    completes(&world, &mut world.command(&arguments));
}

#[test]
fn changes_that_the_run_would_not_see_are_refused() {
    let world = project(&[]);
    world.write(&[("check.sh", "#!/bin/sh\nexit 0\n")]);
    let sentence = |paths: &str| {
        format!(
            "the working tree has changes that the run would not see: {paths}; commit or stash them first"
        )
    };
    refused(&world, &["specs/files.md"], &sentence("check.sh"));
    world.git(&["checkout", "-q", "."]);
    world.write(&[("new file.txt", "")]);
    refused(&world, &["specs/files.md"], &sentence("new file.txt"));
    for number in 1..=6 {
        world.write(&[(&format!("u{number}"), "")]);
    }
    refused(&world, &["specs/files.md"], &sentence("new file.txt, u1, u2, u3, u4 and 2 more"));
}

#[test]
fn a_prompt_is_neither_empty_nor_beside_a_spec_nor_endless() {
    let world = project(&[]);
    refused(&world, &["--prompt", " \n"], "the prompt is empty; say what is to be done");
    refused(&world, &["--prompt", "-"], "the prompt is empty; say what is to be done");
    let said = world.loopctl(&["run", "--local", "specs/files.md", "--prompt", "Do it"]);
    let first = said.stderr.lines().next();
    assert_eq!(first, Some("error: the argument '[SPEC]' cannot be used with '--prompt <TEXT>'"));
    assert_eq!((said.code, said.stdout.as_str()), (2, ""));

    let file = world.path("prompt");
    std::fs::write(&file, "word ".repeat(4 << 20)).unwrap();
    let mut command = world.command(&["run", "--local", GATE[0], GATE[1], "--prompt", "-"]);
    command.stdin(std::fs::File::open(&file).unwrap());
    super::refused_command(
        &world,
        &mut command,
        2,
        "the prompt has 20971520 bytes and at most 16777216 are taken; put the details into a committed spec and name that",
    );
}
