//! The far side's main processes: starting, signalling, reaping, sweeping.

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::Sender;
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, getpid};

use super::lock;
use super::run::Event;
use crate::exec::proc;

/// How long one sweep may take: a process in an uninterruptible wait does not die.
const SWEEP: Duration = Duration::from_secs(5);

/// The living main processes of runs, by pid.
///
/// Its lock is held while a process is started, reaped or signalled, so that no signal can reach a
/// pid that was given to somebody else meanwhile.
pub(super) struct Table {
    pid1: bool,
    mains: Mutex<HashMap<i32, Main>>,
    started: Condvar,
}

struct Main {
    events: Sender<Event>,
    sweep: bool,
}

impl Table {
    pub(super) fn new(pid1: bool) -> Self {
        Self { pid1, mains: Mutex::default(), started: Condvar::new() }
    }

    /// Starts a run's main process; its end will be told to `events`.
    pub(super) fn spawn(
        &self,
        command: &mut Command,
        events: Sender<Event>,
        sweep: bool,
    ) -> io::Result<Child> {
        let mut mains = lock(&self.mains);
        let child = command.spawn()?;
        mains.insert(child.id() as i32, Main { events, sweep });
        self.started.notify_one();
        Ok(child)
    }

    /// Signals the group of a main process that has not been reaped.
    pub(super) fn signal(&self, pid: i32, signal: Signal) {
        let mains = lock(&self.mains);
        if mains.contains_key(&pid) {
            let _ = killpg(Pid::from_raw(pid), signal);
        }
    }

    /// Reaps every child there ever is, adopted ones too; does not return.
    pub(super) fn reap(&self) -> ! {
        loop {
            match next_dead() {
                Ok((pid, status)) => self.bury(pid, status),
                Err(Errno::ECHILD) => {
                    let mains = lock(&self.mains);
                    // Only a main process can bring new children.
                    let none = |mains: &mut HashMap<i32, Main>| mains.is_empty();
                    drop(self.started.wait_while(mains, none));
                }
                // nix knows no real-time signals, and does not say who died of one.
                Err(Errno::EINVAL) => {
                    for pid in proc::dead_children(getpid().as_raw()) {
                        self.bury(Pid::from_raw(pid), None);
                    }
                }
                Err(_) => {}
            }
        }
    }

    fn bury(&self, pid: Pid, reaped: Option<WaitStatus>) {
        let mut mains = lock(&self.mains);
        let main = mains.remove(&pid.as_raw());
        if main.as_ref().is_some_and(|main| !main.sweep) {
            // Before it is reaped: until then no other group can have this number.
            let _ = killpg(pid, Signal::SIGKILL);
        }
        // An error is either a signal without a name, or a child that could not execute its program
        // and that std has reaped by itself: that one never got into the table.
        let status = match reaped.map_or_else(|| waitpid(pid, None), Ok) {
            Ok(WaitStatus::Exited(_, code)) => Some(ExitStatus::from_raw((code & 0xFF) << 8)),
            Ok(WaitStatus::Signaled(_, signal, _)) => Some(ExitStatus::from_raw(signal as i32)),
            _ => None,
        };
        if let Some(main) = main {
            let _ = main.events.send(Event::Ended(status));
        }
    }

    /// Kills everything that does not belong to a run in progress; says how many there were.
    ///
    /// A process that left its run's tree (a daemon) belongs to no run.
    pub(super) fn sweep(&self) -> u32 {
        self.kill_until_none(|mains| mains.keys().copied().collect())
    }

    /// Kills everything below this process.
    pub(super) fn kill_everything(&self) {
        self.kill_until_none(|_| Vec::new());
    }

    fn kill_until_none(&self, spared: impl Fn(&HashMap<i32, Main>) -> Vec<i32>) -> u32 {
        let end = Instant::now() + SWEEP;
        let mut killed: HashSet<i32> = HashSet::new();
        loop {
            let left = {
                let mains = lock(&self.mains);
                let spared = spared(&mains);
                let left = proc::descendants(getpid().as_raw(), &spared);
                if self.pid1 && spared.is_empty() && !left.is_empty() {
                    // Everything else in the namespace, in one step no fork can slip through.
                    let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
                }
                for pid in &left {
                    let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
                }
                if cfg!(not(target_os = "linux")) && spared.is_empty() {
                    // No process table to walk: at least the groups.
                    for pid in mains.keys() {
                        let _ = killpg(Pid::from_raw(*pid), Signal::SIGKILL);
                    }
                }
                left
            };
            killed.extend(&left);
            if left.is_empty() || Instant::now() >= end {
                return killed.len() as u32;
            }
            thread::sleep(Duration::from_micros(500));
        }
    }
}

/// Waits for a child to die and leaves it unreaped, so that its pid stays taken.
#[cfg(target_os = "linux")]
fn next_dead() -> nix::Result<(Pid, Option<WaitStatus>)> {
    use nix::sys::wait::{Id, WaitPidFlag, waitid};
    let status = waitid(Id::All, WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT)?;
    Ok((status.pid().ok_or(Errno::EINTR)?, None))
}

/// Waits for a child to die and reaps it.
#[cfg(not(target_os = "linux"))]
fn next_dead() -> nix::Result<(Pid, Option<WaitStatus>)> {
    let status = waitpid(None, None)?;
    Ok((status.pid().ok_or(Errno::EINTR)?, Some(status)))
}
