//! Lists of runs: filters, the index behind them, and the ways to name a run.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use loop_tests::many::multiply;
use loop_tests::{HONEST, PROJECT, World};
use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn world() -> World {
    let mut files = PROJECT.to_vec();
    files.push((".loop/agent.sh", HONEST));
    World::new(&files)
}

/// A world with one run that is completed.
fn completed() -> (World, String) {
    let world = world();
    let (said, run) = world.run(&["specs/files.md", "--no-review", "--gate", "check=sh check.sh"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    (world, run["metadata"]["name"].as_str().expect("a name").to_owned())
}

/// A run that is made and not driven further than its first iteration.
fn failed(world: &World) -> String {
    let (said, run) = world.run(&[
        "specs/files.md",
        "--no-review",
        "--gate",
        "check=false",
        "--iterations",
        "1",
        "--merge-target",
        "agent/other",
    ]);
    assert_eq!(said.code, 1, "{}", said.stderr);
    run["metadata"]["name"].as_str().expect("a name").to_owned()
}

/// Makes all journals old enough for the index.
fn settle(world: &World) {
    let then = SystemTime::now() - Duration::from_secs(60);
    for run in fs::read_dir(world.data().join("runs")).expect("runs") {
        let journal = run.expect("a run").path().join("journal.jsonl");
        File::options().write(true).open(journal).and_then(|file| file.set_modified(then)).expect("a time");
    }
}

fn names(world: &World, arguments: &[&str]) -> Vec<String> {
    let said = world.loopctl(&[&["list", "-o", "name"], arguments].concat());
    assert_eq!(said.code, 0, "{}", said.stderr);
    said.stdout.lines().map(|line| line.trim_start_matches("looprun.agentloop.dev/").to_owned()).collect()
}

/// Runs a command to its end with a terminal as its stdout, and as stdin and stderr too; what it showed.
fn on_a_terminal(mut command: Command, columns: u16, keys: &[u8]) -> (i32, String) {
    use std::io::Write as _;
    let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    let terminal = openpty(&size, None).expect("a pseudo-terminal");
    let slave = File::from(terminal.slave);
    let again = || Stdio::from(slave.try_clone().expect("a handle"));
    command.stdin(again()).stderr(again()).stdout(again()).env("TERM", "xterm");
    let mut child = command.spawn().expect("loopctl runs");
    drop(command);
    drop(slave);
    let mut master = File::from(terminal.master);
    master.write_all(keys).expect("keys");
    let mut shown = Vec::new();
    let mut piece = [0; 4096];
    while let Ok(read @ 1..) = master.read(&mut piece) {
        shown.extend_from_slice(&piece[..read]);
    }
    let code = child.wait().expect("it ends").code().expect("an exit code");
    (code, String::from_utf8_lossy(&shown).into_owned())
}

#[test]
fn runs_are_chosen_by_phase_workspace_and_number() {
    let (world, good) = completed();
    let bad = failed(&world);
    assert_eq!(names(&world, &[]), [bad.clone(), good.clone()], "newest first");
    assert_eq!(names(&world, &["--limit", "1"]), std::slice::from_ref(&bad));
    for phase in ["failed", "FAILED", "Failed"] {
        assert_eq!(names(&world, &["--phase", phase]), std::slice::from_ref(&bad));
    }
    assert_eq!(names(&world, &["--phase", "completed,failed"]).len(), 2);
    assert_eq!(names(&world, &["--phase", "completed", "--phase", "failed"]).len(), 2);
    assert_eq!(names(&world, &["--status", "completed"]), std::slice::from_ref(&good));
    assert_eq!(names(&world, &["--workspace", "."]).len(), 2);
    assert_eq!(names(&world, &["--workspace", "specs"]).len(), 2, "a folder in it means the repository");
    let home = world.path("home");
    let other = world.loopctl(&["list", "--workspace", home.to_str().unwrap()]);
    assert_eq!((other.code, other.stdout.as_str()), (0, ""));
    assert_eq!(other.stderr, "no run is like that; `loopctl list` shows all\n");
    let wrong = world.loopctl(&["list", "--phase", "sleeping"]);
    assert_eq!(wrong.code, 2);
    assert!(wrong.stderr.contains("interrupted") && wrong.stderr.contains("waiting"), "{}", wrong.stderr);
    let json: serde_json::Value =
        serde_json::from_str(&world.loopctl(&["list", "--phase", "failed", "-o", "json"]).stdout).unwrap();
    assert_eq!(json["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(json["items"][0]["status"]["phase"], "Failed");
}

#[test]
fn the_index_is_believed_for_journals_that_are_as_they_were_and_no_others() {
    let (world, name) = completed();
    settle(&world);
    let index = world.data().join("index.jsonl");
    let table = world.loopctl(&["list", "-o", "wide"]).stdout;
    assert!(fs::read_to_string(&index).unwrap().contains(&name));
    let journal = world.run_folder().join("journal.jsonl");
    let bytes = fs::read(&journal).unwrap();
    let time = journal.metadata().unwrap().modified().unwrap();
    fs::write(&journal, vec![b'x'; bytes.len()]).unwrap();
    File::options().write(true).open(&journal).unwrap().set_modified(time).unwrap();
    assert_eq!(world.loopctl(&["list", "-o", "wide"]).stdout, table, "nothing but the index was read");
    fs::write(&journal, "x\n".repeat(bytes.len())).unwrap();
    let said = world.loopctl(&["list"]);
    assert!(said.stderr.contains("is left out: journal line 1"), "{}", said.stderr);
    fs::write(&journal, &bytes).unwrap();
    assert_eq!(world.loopctl(&["list", "-o", "wide"]).stdout, table);
}

#[test]
fn an_index_that_is_gone_damaged_or_lies_is_made_again() {
    let (world, name) = completed();
    settle(&world);
    let index = world.data().join("index.jsonl");
    let table = world.loopctl(&["list"]).stdout;
    let good = fs::read_to_string(&index).unwrap();
    for damage in [None, Some(""), Some("\0\0\0"), Some(&good[..good.len() / 2])] {
        match damage {
            Some(text) => fs::write(&index, text).unwrap(),
            None => fs::remove_file(&index).unwrap(),
        }
        assert_eq!(world.loopctl(&["list"]).stdout, table, "{damage:?}");
        assert_eq!(fs::read_to_string(&index).unwrap(), good, "{damage:?}");
    }
    fs::write(&index, good.replace(&name, "another-12345")).unwrap();
    assert_eq!(world.loopctl(&["inspect", "another-12345"]).code, 4, "the journal has the last word");
    assert_eq!(names(&world, &[]), [name]);
    fs::remove_file(&index).unwrap();
    fs::create_dir(&index).unwrap();
    assert_eq!(world.loopctl(&["list"]).stdout, table, "one that cannot be written is done without");
}

#[test]
fn a_run_is_found_among_many_by_the_beginning_of_its_name() {
    let (world, _) = completed();
    let copies = multiply(&world, 30);
    for _ in 0..2 {
        let said = world.loopctl(&["inspect", "copy29", "-o", "name"]);
        assert_eq!(said.stdout.trim(), format!("looprun.agentloop.dev/{}", copies[29]), "{}", said.stderr);
        let many = world.loopctl(&["inspect", "copy"]);
        assert_eq!(many.code, 2);
        assert!(many.stderr.contains("copy could be any of copy29-"), "{}", many.stderr);
    }
    assert_eq!(names(&world, &["--limit", "3"]).len(), 3);
}

#[test]
fn last_is_the_newest_run_of_the_repository_that_one_is_in() {
    let (world, name) = completed();
    let last = |folder: PathBuf| {
        let mut command = world.command(&["inspect", "@last", "-o", "name"]);
        let output = command.current_dir(folder).output().expect("loopctl runs");
        loop_tests::said(&output)
    };
    let mine = format!("looprun.agentloop.dev/{name}\n");
    assert_eq!(last(world.app().join("specs")).stdout, mine);
    assert_eq!(last(world.path("home")).stdout, mine, "outside of all repositories it is the newest of all");
    let other = world.path("other");
    fs::create_dir_all(other.join(".git")).unwrap();
    let none = last(other);
    assert_eq!(none.code, 4);
    assert!(none.stderr.contains("other has no run yet"), "{}", none.stderr);
    let newer = failed(&world);
    assert_eq!(last(world.app()).stdout.trim(), format!("looprun.agentloop.dev/{newer}"));
    let worktree = world.path("app.run-files-2");
    assert!(worktree.exists(), "the worktree of a failed run stays");
    assert_eq!(last(worktree).stdout.trim(), format!("looprun.agentloop.dev/{newer}"));
}

/// What a shell is told for the last of some words.
fn completed_words(world: &World, words: &[&str]) -> Vec<String> {
    let mut command = world.command(&[&["--", "loopctl"], words].concat());
    command.env("LOOPCTL_COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", words.len().to_string());
    command.env("_CLAP_IFS", "\n").env("_CLAP_COMPLETE_COMP_TYPE", "9").env("_CLAP_COMPLETE_SPACE", "true");
    let output = command.output().expect("loopctl runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

#[test]
fn a_shell_completes_verbs_runs_uids_and_specs() {
    let (world, name) = completed();
    let uid = world.runs()[0]["metadata"]["uid"].as_str().unwrap().to_owned();
    for verb in ["inspect", "resume", "pause", "cancel", "tail", "report", "verify", "reset", "analyze"] {
        assert!(completed_words(&world, &[verb, "fil"]).contains(&name), "{verb}");
    }
    assert_eq!(completed_words(&world, &["inspect", &uid[..6]]), [uid]);
    assert_eq!(completed_words(&world, &["inspect", "@"]), ["@last"]);
    assert_eq!(completed_words(&world, &["run", "--local", "sp"]), ["specs/files.md"]);
    assert_eq!(completed_words(&world, &["prompt", "specs/f"]), ["specs/files.md"]);
    assert!(completed_words(&world, &["work"]).contains(&"worktrees".to_owned()));
    let (data, none) = (world.data(), world.path("none"));
    let elsewhere = |place: &str| completed_words(&world, &["--data-dir", place, "inspect", "fil"]);
    assert_eq!(elsewhere(data.to_str().unwrap()), [name]);
    assert_eq!(elsewhere(none.to_str().unwrap()), [""; 0]);
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let said = world.loopctl(&["completion", shell]);
        assert!(said.code == 0 && said.stdout.contains("LOOPCTL_COMPLETE"), "{shell}: {}", said.stderr);
    }
}

#[test]
fn a_table_fits_a_terminal_and_is_whole_in_a_pipe() {
    let (world, name) = completed();
    let (code, shown) = on_a_terminal(world.command(&["list", "-o", "wide"]), 80, b"");
    assert_eq!(code, 0, "{shown}");
    let lines: Vec<&str> = shown.lines().map(str::trim_end).collect();
    assert!(lines.iter().all(|line| line.chars().count() <= 80), "{lines:?}");
    assert!(lines[1].starts_with(&name) && lines[2] == "1 run", "{lines:?}");
    let piped = world.loopctl(&["list", "-o", "wide"]);
    let row = piped.stdout.lines().nth(1).expect("a row");
    assert!(row.contains(world.app().to_str().unwrap()), "{row}");
    assert!(row.ends_with("complete_plan") && piped.stderr.is_empty(), "{row}");
}

#[test]
fn watching_adds_rows_that_change_and_ends_on_ctrl_c() {
    let (world, first) = completed();
    let mut child = world.command(&["list", "--watch"]).stdout(Stdio::piped()).spawn().expect("loopctl runs");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut line = || lines.next().expect("a line").expect("text");
    assert!(line().starts_with("NAME  "));
    assert!(line().starts_with(&first));
    let second = failed(&world);
    loop {
        let line = line();
        assert!(line.starts_with(&second), "only what changes is added: {line}");
        if line.contains("Failed") {
            break;
        }
    }
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGINT).unwrap();
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    let wrong = world.loopctl(&["list", "-w", "-o", "json"]);
    assert_eq!(wrong.code, 2, "{}", wrong.stderr);
}

#[test]
fn a_spec_is_picked_from_a_list_on_a_terminal_and_nowhere_else() {
    let world = world();
    let piped = world.loopctl(&["prompt", "--pick"]);
    assert_eq!(piped.code, 2);
    assert!(piped.stderr.contains("[Planned] Files - files.md"), "{}", piped.stderr);
    let (code, shown) = on_a_terminal(world.command(&["prompt", "--pick"]), 100, b"fil\r");
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("[Planned] Files - files.md") && shown.contains("Write one.txt"), "{shown}");
    let (code, shown) = on_a_terminal(world.command(&["run", "--local"]), 100, b"\x1b");
    assert_eq!(code, 2, "{shown}");
    assert!(shown.contains("no spec was picked, so nothing was done"), "{shown}");
    assert!(!world.data().join("runs").exists());
}
