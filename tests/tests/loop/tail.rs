//! `loopctl tail`: what agents say, while they say it and afterwards (CLI-11, BUG-12).

use std::fs;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use loop_tests::{HONEST, PROJECT, Said, World, said};
use serde_json::Value;

/// Longest wait for something that comes soon.
const PATIENCE: Duration = Duration::from_secs(60);
const RUN: [&str; 8] =
    ["run", "--local", "specs/files.md", "--agent", "script", "--no-review", "--gate", "check=true"];

/// A world whose honest agent does something before it implements.
fn world_where(first: &str) -> World {
    let agent = HONEST.replacen("for name in", &format!("{first}\nfor name in"), 1);
    let mut files = PROJECT.to_vec();
    files.push((".loop/agent.sh", &agent));
    World::new(&files)
}

/// Starts the run and gives its name as soon as its agent's worktree is there.
fn started(world: &World) -> (Child, String) {
    let mut command = world.command(&RUN);
    let engine = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("loopctl runs");
    until("the run has a worktree", || {
        world.data().exists() && world.runs().iter().any(|run| run["status"]["worktree"].is_object())
    });
    (engine, text(&world.runs()[0]["metadata"]["name"]))
}

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

/// Lets an agent go on that waits for a file `go`.
fn go(world: &World) {
    let worktree = text(&world.runs()[0]["status"]["worktree"]["path"]);
    fs::write(format!("{worktree}/go"), "").expect("the worktree is there");
}

fn until(what: &str, is: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is() {
        assert!(Instant::now() < end, "not so: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A `tail` that is at work; its output is read as it comes.
struct Tail {
    child: Child,
    pieces: Receiver<Vec<u8>>,
    shown: Vec<u8>,
}

impl Tail {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("loopctl runs");
        let mut stdout = child.stdout.take().expect("a pipe");
        let (sender, pieces) = channel();
        std::thread::spawn(move || {
            let mut piece = vec![0; 64 << 10];
            while let Ok(read @ 1..) = stdout.read(&mut piece) {
                if sender.send(piece[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { child, pieces, shown: Vec::new() }
    }

    /// Waits until it has shown this.
    fn shows(&mut self, wanted: &str) {
        let end = Instant::now() + PATIENCE;
        while !String::from_utf8_lossy(&self.shown).contains(wanted) {
            let piece = self.pieces.recv_timeout(end.saturating_duration_since(Instant::now()));
            let shown = String::from_utf8_lossy(&self.shown);
            let piece = piece.unwrap_or_else(|_| panic!("{wanted:?} is not in {shown:?}"));
            self.shown.extend(piece);
        }
    }

    /// Waits for its end and gives all that it said.
    fn ended(mut self) -> Said {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.pieces.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(piece) => self.shown.extend(piece),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    self.child.kill().expect("a child can be killed");
                    panic!("it does not end");
                }
            }
        }
        let said = said(&self.child.wait_with_output().expect("it ends"));
        Said { stdout: String::from_utf8(self.shown).expect("clean text"), ..said }
    }
}

#[test]
fn bug_12_lines_are_there_before_their_step_ends_and_no_character_is_cut() {
    let world = world_where(
        "if [ \"$LOOP_ITERATION\" = 1 ]; then\n\
         printf 'first\\ncaf\\303'; while [ ! -e go ]; do sleep 0.05; done; rm go\n\
         printf '\\251 \\033[3'; sleep 0.3; printf '1mred\\033[0m \\033]0;title\\007\\302\\2332J\\377\\r\\n'; fi",
    );
    let (mut engine, name) = started(&world);
    let mut tail = Tail::start(&mut world.command(&["tail", &name, "--follow"]));
    tail.shows("first\ncaf");
    assert!(
        world
            .journal()
            .iter()
            .all(|record| record["phase"] != "implementation" || record["outcome"].is_null())
    );
    assert_eq!(String::from_utf8_lossy(&tail.shown), "first\ncaf", "half a character is not shown");
    go(&world);
    let said = tail.ended();
    assert_eq!(said.code, 0, "{}", said.stderr);
    let steps =
        "first\ncaf\u{e9} red 2J\u{FFFD}\nWrote one.txt.\nWrote two.txt.\n<promise>COMPLETE</promise>\n";
    assert_eq!(said.stdout, steps);
    let headings = [
        "==> iteration 1: implementation",
        "==> iteration 1: the gates run",
        "==> iteration 2: implementation",
        "==> iteration 2: the gates run",
        &format!("{name} Completed"),
    ];
    assert_eq!(said.stderr.lines().collect::<Vec<_>>(), headings);
    assert!(engine.wait().expect("it ends").success());
    // The same run, now that it has ended.
    let after = world.loopctl(&["tail", &name, "-f"]);
    assert_eq!((after.code, after.stdout.as_str()), (0, "Wrote two.txt.\n<promise>COMPLETE</promise>\n"));
    assert!(after.stderr.ends_with(&format!("{name} Completed\n")), "{}", after.stderr);
    let last = world.loopctl(&["tail", &name, "--lines", "1"]);
    assert_eq!(
        (last.code, last.stdout.as_str(), last.stderr.as_str()),
        (0, "<promise>COMPLETE</promise>\n", "")
    );
    assert_eq!(world.loopctl(&["tail", &name, "-n", "0"]).stdout, "");
}

#[test]
fn a_run_that_is_canceled_ends_what_follows_it() {
    let world = world_where("echo waiting; sleep 300");
    let (mut engine, name) = started(&world);
    let mut tail = Tail::start(&mut world.command(&["tail", &name, "-f"]));
    tail.shows("waiting\n");
    assert_eq!(world.loopctl(&["cancel", &name]).code, 0);
    let said = tail.ended();
    assert_eq!((said.code, said.stdout.as_str()), (0, "waiting\n"));
    assert!(said.stderr.contains(&format!("{name} Canceled\n  why  canceled\n")), "{}", said.stderr);
    assert_eq!(engine.wait().expect("it ends").code(), Some(3));
    let after = world.loopctl(&["tail", &name]);
    assert_eq!((after.code, after.stdout.as_str(), after.stderr.as_str()), (0, "waiting\n", ""));
}

#[test]
fn an_interrupted_run_is_said_to_be_with_the_command_that_continues_it() {
    let world =
        world_where("if [ \"$LOOP_ITERATION.$LOOP_ATTEMPT\" = 1.1 ]; then echo waiting; sleep 300; fi");
    let (mut engine, name) = started(&world);
    let mut tail = Tail::start(&mut world.command(&["tail", &name, "-f"]));
    tail.shows("waiting\n");
    engine.kill().expect("a child can be killed");
    engine.wait().expect("and waited for");
    let said = tail.ended();
    assert_eq!((said.code, said.stdout.as_str()), (0, "waiting\n"));
    let sentence = format!("{name} is interrupted: no engine works on it; loopctl resume {name}\n");
    assert!(said.stderr.ends_with(&sentence), "{}", said.stderr);
    let after = world.loopctl(&["tail", &name]);
    assert_eq!((after.code, after.stdout.as_str(), after.stderr), (0, "waiting\n", sentence));
    // Taken up again, it is followed from the step that is run again.
    let resumed = world.loopctl(&["resume", &name, "--quiet", "-o", "name"]);
    assert_eq!((resumed.code, resumed.stderr.as_str()), (0, ""));
    let after = world.loopctl(&["tail", &name, "-f"]);
    assert_eq!((after.code, after.stdout.as_str()), (0, "Wrote two.txt.\n<promise>COMPLETE</promise>\n"));
}

#[test]
fn bug_12_what_a_failed_step_said_is_shown_with_why_the_run_failed() {
    let world = world_where("echo 'no way'; printf 'because \\033[31mof this\\n'; exit 9");
    assert_eq!(world.loopctl(&RUN).code, 1);
    let name = text(&world.runs()[0]["metadata"]["name"]);
    let said = world.loopctl(&["tail", &name, "-f"]);
    assert_eq!((said.code, said.stdout.as_str()), (0, "no way\nbecause of this\n"));
    assert!(
        said.stderr.contains(&format!("{name} Failed\n  why  runner_execution_failed:")),
        "{}",
        said.stderr
    );
    assert!(!said.stderr.contains('\x1b'), "{:?}", said.stderr);
}

#[test]
fn a_log_of_200_mb_takes_no_memory() {
    let printed = 200_000_000;
    let world = world_where(&format!(
        "if [ \"$LOOP_ITERATION\" = 1 ]; then yes \"$(printf 'x%098d' 0)\" | head -c {printed}; exit 9; fi"
    ));
    let (mut engine, name) = started(&world);
    // Less address space than the log has bytes.
    let bounded = |arguments: &[&str]| {
        let program = loop_tests::loopctl();
        let mut command = world.command(arguments);
        let mut shell = Command::new("sh");
        shell.args(["-c", "ulimit -v 100000; exec \"$0\" \"$@\""]).arg(program).args(arguments);
        shell.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        shell.current_dir(world.app()).stdin(Stdio::null());
        command = shell;
        command
    };
    let followed = Tail::start(&mut bounded(&["tail", &name, "-f"])).ended();
    assert_eq!(followed.code, 0, "{}", followed.stderr);
    assert_eq!(engine.wait().expect("it ends").code(), Some(1));
    let kept = 2 * (64 << 20);
    let marker = format!("\n[... {} bytes dropped ...]\n", printed - kept);
    assert_eq!(followed.stdout.len(), kept + marker.len());
    assert_eq!(followed.stdout.matches(&marker).count(), 1);
    let after = Tail::start(&mut bounded(&["tail", &name])).ended();
    assert!(after.code == 0 && after.stdout == followed.stdout, "{}", after.stderr);
    let last = Tail::start(&mut bounded(&["tail", &name, "-n", "2"])).ended();
    assert_eq!(last.stdout.lines().count(), 2, "{}", last.stderr);

    let mut left = world.command(&["tail", &name]);
    let mut left = left.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("loopctl runs");
    let mut begin = [0; 100];
    left.stdout.take().expect("a pipe").read_exact(&mut begin).expect("it prints");
    let left = said(&left.wait_with_output().expect("it ends"));
    assert_eq!((left.code, left.stderr.as_str()), (0, ""), "a reader that leaves is no error");
    let full = fs::File::options().write(true).open("/dev/full").expect("a device");
    let full = said(&world.command(&["tail", &name]).stdout(full).output().expect("loopctl runs"));
    let sentence = "error: standard output cannot be written: No space left on device (os error 28)\n";
    assert_eq!((full.code, full.stderr.as_str()), (1, sentence));
}

#[test]
fn what_cannot_be_shown_is_named() {
    let world = world_where("");
    let (said, run) = world.run(&RUN[2..]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    let name = text(&run["metadata"]["name"]);
    let complains = |arguments: &[&str], code: i32, sentence: &str| {
        let said = world.loopctl(arguments);
        assert_eq!((said.code, said.stdout.as_str()), (code, ""), "{arguments:?}");
        assert_eq!(said.stderr, format!("error: {sentence}\n"));
    };
    for more in [&[][..], &["-f"], &["--raw"]] {
        let arguments = |name| [&["tail", name], more].concat();
        complains(&arguments("nope"), 4, "no run is called nope; `loopctl list` shows what there is");
        complains(&arguments(""), 2, "the run's name is empty; `loopctl list` shows what there is");
    }
    let sentence = format!("the agents of {name} leave no raw events, only text; leave --raw out");
    complains(&["tail", &name, "--raw"], 2, &sentence);
    complains(&["tail", &name, "--raw", "-f"], 2, &sentence);
    assert_eq!(world.loopctl(&["tail", &name, "--lines", "-1"]).code, 2);
    assert_eq!(world.loopctl(&["tail"]).code, 2);

    // The record may have been moved into the workspace.
    let log = world.run_folder().join("iter-02.log");
    let copies = world.app().join("logs/loop").join(world.run_folder().file_name().expect("a name"));
    fs::remove_file(&log).expect("a log");
    let shown = "Wrote two.txt.\n<promise>COMPLETE</promise>\n";
    assert_eq!(world.loopctl(&["tail", &name]).stdout, shown);
    assert_eq!(world.loopctl(&["tail", &name, "-f"]).stdout, shown);
    let copy = copies.join("iter-02.log");
    fs::remove_file(&copy).expect("a copy");
    let sentence =
        format!("the log of that step is gone; it should be {} or {}", log.display(), copy.display());
    complains(&["tail", &name], 1, &sentence);
    // A link in its place is not followed.
    std::os::unix::fs::symlink("/etc/passwd", &copy).expect("a link");
    complains(&["tail", &name], 1, &sentence);
}

#[test]
fn a_run_in_which_no_agent_spoke_has_nothing_to_show() {
    let world = world_where("");
    // Killed right after its start was recorded.
    let mut command = world.command(&RUN);
    let ended = said(&command.env("LOOP_TEST_KILL_AT_APPEND", "2").output().expect("loopctl runs"));
    assert_ne!(ended.code, 0);
    let name = text(&world.runs()[0]["metadata"]["name"]);
    for more in [&[][..], &["-f"]] {
        let said = world.loopctl(&[&["tail", &name], more].concat());
        assert_eq!((said.code, said.stdout.as_str()), (0, ""), "{}", said.stderr);
        assert!(said.stderr.ends_with(&format!("loopctl resume {name}\n")), "{}", said.stderr);
    }
}
