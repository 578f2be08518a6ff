//! Agents that print too much, or what is no text, or something else than what they did.

use std::fs;
use std::process::Stdio;

use loop_tests::said;

use super::{Ended, Prepared, misbehave, surroundings};

/// Head and tail of 64 MiB each, and the line between them.
const MOST_LOG: u64 = (128 << 20) + 100;

/// Runs a mode and gives the most memory that the engine had, in KiB.
fn measured(mode: &str) -> (Ended, u64) {
    let Prepared { world, outside } = Prepared::new(mode, "");
    let before = surroundings(&world, outside.path());
    let mut command = world.command(&["run", "--local", "-o", "json", "specs/files.md"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("loopctl runs");
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0;
    while child.try_wait().expect("a child").is_none() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
        most = line.trim().trim_end_matches(" kB").parse().unwrap_or(most);
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let said = said(&child.wait_with_output().expect("loopctl ends"));
    let run = serde_json::from_str(&said.stdout).unwrap_or_default();
    (Ended { world, said, run, outside, before }, most)
}

#[test]
fn a_gibibyte_of_output_costs_neither_memory_nor_disk() {
    let (ended, most) = measured("gigabyte");
    let ended = ended.completed();
    eprintln!("the engine had at most {most} KiB while its agent printed 1 GiB");
    assert!((1..64 << 10).contains(&most), "{most} KiB");
    let log = ended.world.run_folder().join("iter-01.log");
    assert!(fs::metadata(&log).unwrap().len() <= MOST_LOG);
    let text = ended.record("iter-01.log");
    assert!(text.starts_with("The beginning.\nall work"));
    assert!(text.contains(" bytes dropped ...]"));
    assert!(text.ends_with("<promise>COMPLETE</promise>\n"));
}

#[test]
fn one_line_of_a_hundred_megabytes_costs_no_memory() {
    let (ended, most) = measured("long-line");
    let ended = ended.completed();
    assert!((1..64 << 10).contains(&most), "{most} KiB");
    assert!(
        ended.record("iter-01.log").ends_with("a\nBoth files are written.\n<promise>COMPLETE</promise>\n")
    );
}

#[test]
fn output_that_is_no_text_is_kept_as_it_is() {
    let ended = misbehave("invalid-text").completed();
    let log = fs::read(ended.world.run_folder().join("iter-01.log")).unwrap();
    assert!(log.starts_with(b"caf\xe9 \xff\xfe\xc0\x80 \xc3\n\x80\x81\n"));
    misbehave("control-text").completed();
}

#[test]
fn an_error_text_with_exit_0_is_no_work() {
    let ended = Prepared::new("error-text", "max_consecutive_verification_failures=3\n").run();
    let ended = ended.failed("failed", "max_consecutive_failures:verification:3");
    assert_eq!(ended.records("AGENT_RETRY").len(), 0);
}

#[test]
fn a_failure_after_the_work_fails_the_run_and_keeps_the_work() {
    let ended = misbehave("fails-after-work").failed("agent_failed", "runner_execution_failed:exit code 1");
    assert_eq!(ended.world.git(&["show", "run/files:two.txt"]), "two");
    let ended = misbehave("dies").failed("agent_failed", "runner_execution_failed:killed by signal 9");
    assert_eq!(ended.world.git(&["show", "run/files:two.txt"]), "two");
}
