//! What somebody sees while a run is driven: a status line on a terminal that can draw one, plain lines elsewhere.

use std::fs::File;
use std::io::Read as _;
use std::process::{Command, Stdio};

use loop_tests::{HONEST, PROJECT, World};
use nix::pty::{Winsize, openpty};

/// What a status line of the first step looks like.
const STATUS: &str = "iteration 1/50  implementation  0/2 tasks  0:0";

/// A world whose agent takes long enough for a line to be drawn.
fn world() -> World {
    let slow = HONEST.replace("set -eu\n", "set -eu\nsleep 1\n");
    let mut files = PROJECT.to_vec();
    files.push((".loop/agent.sh", &slow));
    World::new(&files)
}

fn run(world: &World, more: &[&str]) -> Command {
    let run = ["run", "--local", "files", "--agent", "script", "--no-review", "--gate", "check=sh check.sh"];
    world.command(&[&run, more].concat())
}

/// Runs a command to its end with a terminal as its stderr; what came there, and stdout.
fn on_a_terminal(mut command: Command, columns: u16) -> (String, String) {
    let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    let terminal = openpty(&size, None).expect("a pseudo-terminal");
    command.stderr(Stdio::from(terminal.slave)).stdout(Stdio::piped());
    let child = command.spawn().expect("loopctl runs");
    // Or our own copy of the terminal's other side would keep it open for ever.
    drop(command);
    let mut shown = Vec::new();
    let mut master = File::from(terminal.master);
    let mut piece = [0; 4096];
    // At its end a pseudo-terminal gives an error instead of nothing.
    while let Ok(read @ 1..) = master.read(&mut piece) {
        shown.extend_from_slice(&piece[..read]);
    }
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&shown));
    (String::from_utf8_lossy(&shown).into_owned(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What is left on the screen: of each line what came after it was cleared last.
fn screen(shown: &str) -> Vec<String> {
    shown
        .split('\n')
        .map(|line| {
            let line = line.trim_end_matches('\r');
            let rest = line.rsplit("\x1b[2K").next().unwrap_or_default();
            rest.rsplit('\r').next().unwrap_or_default().trim_end().to_owned()
        })
        .collect()
}

/// The last letters of all control sequences.
fn controls(shown: &str) -> String {
    let mut found: Vec<char> =
        shown.split('\x1b').skip(1).filter_map(|rest| rest.chars().find(char::is_ascii_alphabetic)).collect();
    found.sort_unstable();
    found.dedup();
    found.into_iter().collect()
}

#[test]
fn a_terminal_gets_a_line_that_is_drawn_again_and_taken_away() {
    let world = world();
    let mut command = run(&world, &[]);
    command.env("TERM", "xterm");
    let (shown, summary) = on_a_terminal(command, 100);
    assert!(shown.contains(STATUS), "{shown:?}");
    let left = screen(&shown);
    assert!(!left.iter().any(|line| line.contains("tasks  0:0")), "{left:?}");
    assert!(left.iter().any(|line| line.starts_with("  implemented: 1 file changed")), "{left:?}");
    assert_eq!(left.last().map(String::as_str), Some(""), "the cursor is on a line of its own");
    let controls = controls(&shown);
    assert!(controls.chars().all(|letter| "ABCDEFGHJK".contains(letter)), "NO_COLOR, but {controls}");
    assert!(summary.contains("Completed"), "{summary}");
    assert!(!summary.contains('\x1b'), "{summary:?}");
}

#[test]
fn a_narrow_terminal_gets_a_narrow_line() {
    let world = world();
    let mut command = run(&world, &[]);
    command.env("TERM", "xterm");
    let (shown, _) = on_a_terminal(command, 30);
    let cut = "iteration 1/50  implementat...";
    assert!(shown.contains(&cut[..26]), "{shown:?}");
    assert!(!shown.contains(STATUS), "{shown:?}");
    assert!(!screen(&shown).iter().any(|line| line.starts_with("iteration 1/50")), "{shown:?}");
}

#[test]
fn a_terminal_with_colours_gets_colours_only_where_they_are_wanted() {
    let world = world();
    let mut command = run(&world, &[]);
    command.env("TERM", "xterm").env_remove("NO_COLOR");
    let (shown, _) = on_a_terminal(command, 100);
    assert!(controls(&shown).contains('m'), "{shown:?}");
}

#[test]
fn a_dumb_terminal_and_a_pipe_get_plain_lines() {
    let dumb = world();
    let mut command = run(&dumb, &[]);
    command.env("TERM", "dumb");
    let (shown, _) = on_a_terminal(command, 100);
    let piped = world();
    let output = run(&piped, &[]).env("TERM", "xterm").env_remove("NO_COLOR").output().expect("loopctl runs");
    for text in [shown, String::from_utf8_lossy(&output.stderr).into_owned()] {
        assert!(!text.contains('\x1b') && !text.contains("1/50"), "{text:?}");
        assert!(text.contains("iteration 1") && text.contains("implemented: 1 file changed"), "{text:?}");
    }
}

#[test]
fn quiet_is_quiet_and_the_summary_still_comes() {
    let world = world();
    let mut command = run(&world, &["--quiet"]);
    command.env("TERM", "xterm");
    let (shown, summary) = on_a_terminal(command, 100);
    assert_eq!(shown, "");
    assert!(summary.contains("Completed"), "{summary}");
}

#[test]
fn inspect_and_list_name_agents_and_costs() {
    let world = world();
    let mut command = run(&world, &["-q", "-o", "name", "--model", "small"]);
    let name = String::from_utf8(command.output().expect("loopctl runs").stdout).expect("a name");
    let inspected = world.loopctl(&["inspect", name.trim()]).stdout;
    assert!(inspected.contains("\nAgent      script, model small\n"), "{inspected}");
    assert!(!inspected.contains("\nReviewer") && !inspected.contains("\nUsage"), "{inspected}");
    let table = world.loopctl(&["list", "-o", "wide"]).stdout;
    let column = table.find("COST").expect("a column");
    let row = table.lines().nth(1).expect("a run");
    assert_eq!(row.get(column..column + 2), Some("- "), "{table}");
    assert!(!world.loopctl(&["list"]).stdout.contains("COST"));
}
