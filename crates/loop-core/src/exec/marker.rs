//! Finding what a killed engine and a killed executor left behind.

use std::collections::HashSet;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::proc;

/// The environment variable that says which run a process belongs to.
pub const MARKER: &str = "LOOP_RUN_MARKER";

/// The same for trusted commands of the engine itself, which end by themselves and are better not killed.
pub const ENGINE_MARKER: &str = "LOOP_ENGINE_MARKER";

/// Kills every process marked as this run's, until none is left or the deadline; says how many.
///
/// Our own ancestors are spared: a run may have been resumed from inside a marked shell. A process
/// that dropped the variable is not found, nor is any where there is no `/proc`.
pub fn sweep_marked(marker: &str, deadline: Duration) -> u32 {
    let end = Instant::now() + deadline;
    let wanted = format!("{MARKER}={marker}");
    let mut killed: HashSet<i32> = HashSet::new();
    loop {
        let mut found = marked(&wanted);
        found.extend(half_started(marker));
        for pid in &found {
            let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
        }
        killed.extend(&found);
        if found.is_empty() || Instant::now() >= end {
            return killed.len() as u32;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until no command of a dead engine of this run is left, or the deadline; says whether none is.
///
/// Git that is killed while it writes leaves locks behind; left alone it ends by itself.
pub fn settle(marker: &str, deadline: Duration) -> bool {
    let end = Instant::now() + deadline;
    let wanted = format!("{ENGINE_MARKER}={marker}");
    while !marked(&wanted).is_empty() {
        if Instant::now() >= end {
            return false;
        }
        thread::sleep(Duration::from_millis(5));
    }
    true
}

/// Sandboxes of the run that have no variables yet: killed with its engine while it starts, bubblewrap
/// leaves a child that waits for it for ever. The run's folder is among its arguments.
fn half_started(marker: &str) -> Vec<i32> {
    let folder = format!("run-{marker}/sandbox/");
    let is = |pid: &i32| {
        fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|program| program.ends_with("bwrap"))
            && fs::read(format!("/proc/{pid}/cmdline"))
                .is_ok_and(|line| String::from_utf8_lossy(&line).contains(&folder))
    };
    proc::pids().into_iter().filter(is).collect()
}

fn marked(wanted: &str) -> Vec<i32> {
    let spared = ourselves();
    proc::pids()
        .into_iter()
        .filter(|pid| !spared.contains(pid) && is_marked(*pid, wanted.as_bytes()))
        .collect()
}

fn is_marked(pid: i32, wanted: &[u8]) -> bool {
    let alive = proc::parent(pid).is_some_and(|(_, alive)| alive);
    alive
        && fs::read(format!("/proc/{pid}/environ"))
            .is_ok_and(|environ| environ.split(|byte| *byte == 0).any(|entry| entry == wanted))
}

fn ourselves() -> Vec<i32> {
    let mut chain = vec![std::process::id() as i32];
    while let Some((parent, _)) = chain.last().and_then(|pid| proc::parent(*pid)) {
        if parent <= 0 || chain.contains(&parent) {
            break;
        }
        chain.push(parent);
    }
    chain
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::process::{Child, Command};

    fn sleeper(time: &str, variable: &str, value: &str) -> Child {
        let mut command = Command::new("sleep");
        let child = command.arg(time).env(variable, value).spawn().expect("sleep exists");
        // Right after the start the environment can still read as empty.
        let path = format!("/proc/{}/environ", child.id());
        for _ in 0..200 {
            if std::fs::read(&path).is_ok_and(|environment| !environment.is_empty()) {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        child
    }

    #[test]
    fn only_the_exact_marker_is_killed() {
        let value = format!("run-{}", std::process::id());
        let (mut mine, mut other) =
            (sleeper("60", MARKER, &value), sleeper("60", MARKER, &format!("{value}0")));
        assert_eq!(sweep_marked(&value, Duration::from_secs(5)), 1);
        assert!(mine.wait().unwrap().code().is_none());
        assert!(other.try_wait().unwrap().is_none());
        assert_eq!(sweep_marked(&value, Duration::from_secs(5)), 0);
        other.kill().unwrap();
        other.wait().unwrap();
    }
    #[test]
    fn a_command_of_the_engine_is_waited_for_and_not_killed() {
        let value = format!("settle-{}", std::process::id());
        let mut slow = sleeper("60", ENGINE_MARKER, &value);
        assert!(!settle(&value, Duration::from_millis(50)));
        assert!(slow.try_wait().unwrap().is_none());
        slow.kill().unwrap();
        slow.wait().unwrap();
        let mut quick = sleeper("0.2", ENGINE_MARKER, &value);
        assert!(settle(&value, Duration::from_secs(20)));
        assert!(quick.wait().unwrap().success());
    }
}
