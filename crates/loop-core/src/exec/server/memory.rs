//! The memory of a container: how near it is to its limit, and what is killed before the kernel does it.
//!
//! With cgroup v2 the kernel kills every process of a container whose memory is used up, and with them the executor that
//! would say why. So the largest process that a run has started goes first.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpid};

use crate::exec::{OutOfMemory, proc};

/// Where a container finds its own control group.
const GROUP: &str = "/sys/fs/cgroup";
/// What the watch leaves free, as a part of the limit (design section 9: 95 % may be used).
const SPARE: u64 = 20;
/// From here on a limit is none: version 1 has a number for it.
const UNLIMITED: u64 = 1 << 60;
/// Bytes per second that one process can take: how long the watch may look away.
const FASTEST: u64 = 4 << 30;
/// Shortest and longest time between two looks.
const LOOKS: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(200));
/// Longest wait for a killed process to be dead, and then for the kernel to have counted its memory as free.
const GONE_TIME: (Duration, Duration) = (Duration::from_secs(2), Duration::from_millis(100));

/// A container's control group.
#[derive(Debug)]
pub(super) struct Memory {
    usage: PathBuf,
    stat: PathBuf,
    events: PathBuf,
    /// Names in `stat` of what the kernel takes back by itself: cached files, whoever read them.
    reclaimable: &'static [&'static str],
    limit: Option<u64>,
    killed: AtomicU64,
}

impl Memory {
    /// This container's; `None` where it cannot be read.
    pub(super) fn of_container() -> Option<Self> {
        Self::at(Path::new(GROUP))
    }

    fn at(group: &Path) -> Option<Self> {
        let files = |folder: PathBuf, [limit, usage, events]: [&str; 3], reclaimable| {
            let limit = parse_limit(&fs::read_to_string(folder.join(limit)).ok()?);
            let (usage, stat, events) = (folder.join(usage), folder.join("memory.stat"), folder.join(events));
            Some(Self { usage, stat, events, reclaimable, limit, killed: AtomicU64::new(0) })
        };
        let second = ["memory.max", "memory.current", "memory.events"];
        let first = ["memory.limit_in_bytes", "memory.usage_in_bytes", "memory.oom_control"];
        files(group.to_owned(), second, &["active_file", "inactive_file", "slab_reclaimable"])
            .or_else(|| files(group.join("memory"), first, &["total_active_file", "total_inactive_file"]))
    }

    /// Processes killed so far because memory ran out, by the kernel or by us.
    pub(super) fn kills(&self) -> u64 {
        let events = fs::read_to_string(&self.events).unwrap_or_default();
        value(&events, "oom_kill") + self.killed.load(Ordering::Acquire)
    }

    /// What is said of a run during which the number of kills has risen.
    pub(super) fn ran_out(&self, kills_before: u64) -> Option<OutOfMemory> {
        (self.kills() > kills_before).then_some(OutOfMemory { limit_bytes: self.limit })
    }

    /// Bytes in use that the kernel cannot take back.
    fn used(&self) -> Option<u64> {
        let usage: u64 = fs::read_to_string(&self.usage).ok()?.trim().parse().ok()?;
        let stat = fs::read_to_string(&self.stat).ok()?;
        let cached = self.reclaimable.iter().map(|name| value(&stat, name)).sum();
        Some(usage.saturating_sub(cached))
    }

    /// Keeps the container below its limit for as long as this process lives; returns at once where there is none.
    pub(super) fn watch(&self) {
        let Some(limit) = self.limit else { return };
        while let Some(used) = self.used() {
            if over(used, limit) {
                self.relieve(used, limit);
            }
            thread::sleep(pause(used, limit));
        }
    }

    /// Kills the largest process below this one, and waits until its memory is free.
    fn relieve(&self, used: u64, limit: u64) {
        let sizes = proc::descendants(getpid().as_raw(), &[]);
        let Some((_, pid)) = sizes.into_iter().filter_map(|pid| Some((proc::resident(pid)?, pid))).max()
        else {
            return;
        };
        if kill(Pid::from_raw(pid), Signal::SIGKILL).is_err() {
            return;
        }
        self.killed.fetch_add(1, Ordering::AcqRel);
        // The container's log; a process chooses its own name, so that is left out.
        let _ = writeln!(
            io::stderr(),
            "loop-exec: killed process {pid}: the container uses {} of {} MiB",
            used >> 20,
            limit >> 20
        );
        // Until its memory is counted as free, the next would be killed for nothing.
        let mut end = Instant::now() + GONE_TIME.0;
        let mut dead = false;
        while self.used().is_some_and(|used| over(used, limit)) && Instant::now() < end {
            if !dead && !proc::parent(pid).is_some_and(|(_, alive)| alive) {
                (dead, end) = (true, Instant::now() + GONE_TIME.1);
            }
            thread::sleep(LOOKS.0);
        }
    }
}

/// Whether so much is used that somebody has to go.
fn over(used: u64, limit: u64) -> bool {
    used >= limit - limit / SPARE
}

/// How long it takes at least until that can be so.
fn pause(used: u64, limit: u64) -> Duration {
    let room = (limit - limit / SPARE).saturating_sub(used);
    Duration::from_nanos(room.saturating_mul(1_000_000_000 / (FASTEST >> 20)) >> 20).clamp(LOOKS.0, LOOKS.1)
}

/// A limit in bytes; `None` for one that is none.
fn parse_limit(text: &str) -> Option<u64> {
    text.trim().parse().ok().filter(|limit| *limit < UNLIMITED)
}

/// A number behind its name, one a line; 0 when it is not there.
fn value(text: &str, name: &str) -> u64 {
    let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok());
    found.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn somebody_goes_at_95_percent() {
        assert!(!over(94 * MIB, 100 * MIB));
        assert!(over(95 * MIB, 100 * MIB) && over(101 * MIB, 100 * MIB));
    }

    #[test]
    fn the_nearer_the_limit_the_shorter_it_looks_away() {
        let limit = 1024 * MIB;
        assert_eq!(pause(0, 8 * limit), LOOKS.1);
        let (far, near) = (pause(400 * MIB, limit), pause(900 * MIB, limit));
        assert!(LOOKS.0 < near && near < far && far < LOOKS.1, "{near:?} {far:?}");
        // 572 MiB of room at 4 GiB a second.
        assert_eq!(far.as_millis(), 139);
        assert_eq!((pause(limit, limit), pause(u64::MAX, limit)), (LOOKS.0, LOOKS.0));
    }

    /// A control group of either version, with files as a kernel writes them.
    fn group(files: &[(&str, &str)]) -> (tempfile::TempDir, Option<Memory>) {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let file = folder.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, content).unwrap();
        }
        let memory = Memory::at(folder.path());
        (folder, memory)
    }

    #[test]
    fn both_versions_of_control_groups_are_read() {
        let second = [
            ("memory.max", "268435456\n"),
            ("memory.current", "200000000\n"),
            ("memory.stat", "anon 5\ninactive_file 60000000\nactive_file 30000000\nslab_reclaimable 1\n"),
            ("memory.events", "low 0\nmax 3\noom 2\noom_kill 4\noom_group_kill 9\n"),
        ];
        let first = [
            ("memory/memory.limit_in_bytes", "268435456\n"),
            ("memory/memory.usage_in_bytes", "200000000\n"),
            (
                "memory/memory.stat",
                "active_file 1\ntotal_inactive_file 60000000\ntotal_active_file 30000001\n",
            ),
            ("memory/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n"),
        ];
        for files in [second, first] {
            let (_folder, memory) = group(&files);
            let memory = memory.unwrap();
            assert_eq!(
                (memory.limit, memory.used(), memory.kills()),
                (Some(256 * MIB), Some(109_999_999), 4)
            );
            assert_eq!(memory.ran_out(4), None);
            memory.killed.fetch_add(1, Ordering::AcqRel);
            assert_eq!(memory.ran_out(4), Some(OutOfMemory { limit_bytes: Some(256 * MIB) }));
        }
    }

    #[test]
    fn without_a_limit_nothing_is_watched() {
        for (name, none) in
            [("memory.max", "max\n"), ("memory/memory.limit_in_bytes", "9223372036854771712\n")]
        {
            let (_folder, memory) = group(&[(name, none)]);
            let memory = memory.unwrap();
            assert_eq!(memory.limit, None);
            // It would not come back otherwise.
            memory.watch();
        }
        assert!(group(&[]).1.is_none());
    }
}
