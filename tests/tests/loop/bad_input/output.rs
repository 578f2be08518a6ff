//! Standard output that is closed, full or read by somebody who leaves, and colours.

use std::fs::File;
use std::process::{Command, Stdio};

use loop_tests::{loopctl, said};

use super::{GATE, completes, project};

#[test]
fn a_reader_that_leaves_is_no_error() {
    let world = project(&[]);
    completes(&world, &mut world.command(&["run", "--local", "specs/files.md", GATE[0], GATE[1]]));
    for verb in
        [&["list"][..], &["list", "-o", "json"], &["completion", "bash"], &["--help"], &["run", "--help"]]
    {
        let mut command = world.command(verb);
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let said =
            said(&command.stdout(writer).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap());
        assert_eq!((said.code, said.stderr.as_str()), (0, ""), "{verb:?}");
    }
    let mut closed = Command::new("sh");
    closed.args(["-c", "exec \"$0\" list >&-"]).arg(loopctl()).env("LOOP_DATA_DIR", world.data());
    let said = said(&closed.output().unwrap());
    assert_eq!((said.code, said.stderr.as_str()), (0, ""));
}

#[test]
fn a_full_standard_output_is_named() {
    let world = project(&[]);
    completes(&world, &mut world.command(&["run", "--local", "specs/files.md", GATE[0], GATE[1]]));
    let mut command = world.command(&["list"]);
    command.stdout(File::options().write(true).open("/dev/full").unwrap());
    let said = said(&command.output().unwrap());
    let sentence = "error: standard output cannot be written: No space left on device (os error 28)\n";
    assert_eq!((said.code, said.stderr.as_str()), (1, sentence));
}

#[test]
fn no_colour_is_written_unless_asked_for() {
    let world = project(&[]);
    let said = completes(&world, &mut world.command(&["run", "--local", "specs/files.md", GATE[0], GATE[1]]));
    assert!(!said.stdout.contains('\u{1b}') && !said.stderr.contains('\u{1b}'), "{}", said.stdout);
    let inspect = |name: &str, value: &str| {
        let mut command = world.command(&["inspect", "files"]);
        loop_tests::said(&command.env_remove("NO_COLOR").env(name, value).output().unwrap()).stdout
    };
    assert!(
        inspect("CLICOLOR_FORCE", "1").contains('\u{1b}'),
        "colours exist, so their absence means something"
    );
    assert!(!inspect("TERM", "xterm-256color").contains('\u{1b}'), "a pipe gets none");
}
