//! Data directories and worktrees on file systems that are full or cannot be written.

use std::fs;
use std::path::Path;
use std::process::Command;

use loop_tests::{Said, World, said};

use super::{complaint, project, refused, traces};

/// The option of `unshare` that gives a private mount namespace here; `None` where nothing does, unless every rung is
/// required.
fn private_mounts() -> Option<&'static str> {
    let found = ["-m", "-rm"].into_iter().find(|options| {
        let probe = "mount -t tmpfs -o size=64k none \"$0\"";
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new("unshare");
        command.args([options, "sh", "-c", probe]).arg(folder.path());
        command.output().is_ok_and(|output| output.status.success())
    });
    let required = std::env::var("LOOP_REQUIRE").is_ok_and(|value| value == "all");
    assert!(found.is_some() || !required, "no file system can be mounted here, and every rung is required");
    found
}

/// Runs a script in a private mount namespace, with `$place` as a folder to mount on.
fn with_mounts(world: &World, options: &str, place: &Path, script: &str) -> Said {
    fs::create_dir_all(place).expect("a folder");
    let mut unshare = surrounded(world, "unshare");
    unshare.args([options, "sh", "-c", script]).env("place", place);
    said(&unshare.output().expect("unshare runs"))
}

/// A program in the repository with the environment that `loopctl` gets, and `$loopctl` as its path.
fn surrounded(world: &World, program: &str) -> Command {
    let loopctl = world.command(&[]);
    let mut command = Command::new(program);
    command.current_dir(world.app()).env_clear().env("loopctl", loopctl.get_program());
    command.envs(loopctl.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command
}

const RUN: &str = "\"$loopctl\" run --local specs/files.md --gate check=true";

#[test]
fn a_data_directory_that_is_full_from_the_start_is_refused() {
    let Some(options) = private_mounts() else { return };
    let world = project(&[]);
    let before = traces(&world);
    let script = format!(
        "mount -t tmpfs -o size=256k none \"$place\" && dd if=/dev/zero of=\"$place/fill\" bs=4k 2>/dev/null; {RUN}; \
         code=$?; rm \"$place/fill\"; \"$loopctl\" list -o name; exit $code"
    );
    let said = with_mounts(&world, options, &world.data(), &script);
    let sentence = "error: cannot write the data directory [world]/data: No space left on device (os error 28); put that \
                    right, or name another with --data-dir or LOOP_DATA_DIR\n";
    assert_eq!(complaint(&world, &said), sentence);
    assert_eq!((said.code, said.stdout.as_str()), (2, ""), "not even a record is there");
    assert_eq!(traces(&world), before);
}

/// Works where nothing can be mounted.
#[test]
fn a_limit_on_file_sizes_acts_like_a_full_disk() {
    let world = project(&[]);
    let before = traces(&world);
    let mut limited = surrounded(&world, "sh");
    limited.args(["-c", &format!("trap '' XFSZ; ulimit -f 0; {RUN}")]);
    let said = said(&limited.output().expect("sh runs"));
    let sentence = "error: cannot write the data directory [world]/data: File too large (os error 27); put that right, \
                    or name another with --data-dir or LOOP_DATA_DIR\n";
    assert_eq!(complaint(&world, &said), sentence);
    assert_eq!((said.code, said.stdout.as_str()), (2, ""));
    assert_eq!(traces(&world), before);
}

#[test]
fn a_data_directory_that_fills_up_during_a_run_keeps_the_run_until_there_is_space() {
    let Some(options) = private_mounts() else { return };
    // The first implementation prints more than there is space for; every later one prints little.
    let talkative = loop_tests::HONEST.replace(
        "set -eu\n",
        "set -eu\n[ -e \"$HOME/talked\" ] || { : > \"$HOME/talked\"; head -c 8000000 /dev/zero | tr '\\0' x; echo; }\n",
    );
    let world = project(&[(".loop/agent.sh", &talkative)]);
    let script = format!(
        "mount -t tmpfs -o size=3m none \"$place\"; {RUN} >/dev/null; echo run $?; touch \"$HOME/talked\"; \
         mount -o remount,size=50m \"$place\"; name=$(\"$loopctl\" list -o name); \"$loopctl\" resume $name >/dev/null; \
         echo resume $?; \"$loopctl\" verify $name >/dev/null; echo verify $?"
    );
    let said = with_mounts(&world, options, &world.data(), &script);
    assert_eq!(said.stdout, "run 1\nresume 0\nverify 0\n", "{}", said.stderr);
    let sentence =
        said.stderr.lines().find(|line| line.contains("No space left on device")).expect("a sentence");
    // Either the journal itself found no space, or what the agent printed did and the journal could still say so.
    let stopped = sentence.starts_with("error: ")
        && sentence.contains(
            "; the run stopped there and keeps its work; put that right, then loopctl resume files-",
        );
    assert!(stopped || sentence.trim_start().starts_with("failed: "), "{sentence}");
    assert_eq!(world.git(&["show", "agent/files:two.txt"]), "two");
    assert_eq!(world.leftovers(), Vec::<String>::new());
}

#[test]
fn a_worktree_that_does_not_fit_its_disk_is_undone_and_made_when_there_is_space() {
    let Some(options) = private_mounts() else { return };
    let world = project(&[("large.txt", &"0123456789abcdef\n".repeat(20_000))]);
    let script = format!(
        "mount -t tmpfs -o size=64k none \"$place\"; {RUN} --worktree-path-template ../space/x >/dev/null; echo run $?; \
         git for-each-ref --format='%(refname)'; git worktree list | wc -l; mount -o remount,size=50m \"$place\"; \
         \"$loopctl\" resume files >/dev/null; echo resume $?"
    );
    let said = with_mounts(&world, options, &world.path("space"), &script);
    assert_eq!(said.stdout, "run 1\nrefs/heads/main\n1\nresume 0\n", "{}", said.stderr);
    assert!(said.stderr.contains("/space/x could not be made, git says: "), "{}", said.stderr);
    assert!(said.stderr.contains("; put that right, then resume the run"), "{}", said.stderr);
    assert_eq!(world.git(&["show", "agent/files:two.txt"]), "two");
}

#[test]
fn a_data_directory_that_cannot_be_written_is_refused() {
    let Some(options) = private_mounts() else { return };
    let world = project(&[]);
    let before = traces(&world);
    let script = format!("mount --bind \"$place\" \"$place\" && mount -o remount,ro,bind \"$place\"; {RUN}");
    let said = with_mounts(&world, options, &world.data(), &script);
    let sentence = "error: cannot write the data directory [world]/data: Read-only file system (os error 30); put that \
                    right, or name another with --data-dir or LOOP_DATA_DIR\n";
    assert_eq!((complaint(&world, &said).as_str(), said.code, said.stdout.as_str()), (sentence, 2, ""));
    assert_eq!(traces(&world), before);
}

#[test]
fn a_file_in_place_of_the_data_directory_is_refused_by_every_verb() {
    let mut world = project(&[]);
    let file = world.path("file");
    fs::write(&file, "mine").unwrap();
    world.environment.push(("LOOP_DATA_DIR".into(), file.to_string_lossy().into_owned()));
    let write = "cannot write the data directory [world]/file: Not a directory (os error 20); put that right, or name \
                 another with --data-dir or LOOP_DATA_DIR";
    refused(&world, &["specs/files.md"], write);
    let read = "cannot read the data directory [world]/file: Not a directory (os error 20); name another with --data-dir \
                or LOOP_DATA_DIR";
    for verb in [&["list"][..], &["inspect", "a"], &["resume", "a"], &["cancel", "a"], &["verify", "a"]] {
        super::refused_command(&world, &mut world.command(verb), 2, read);
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
}
