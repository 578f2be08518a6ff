//! Waiting for the engine of a run, which belongs to another process.

use std::time::{Duration, Instant};

use loop_core::exec;
use loop_core::store::RunDir;

use crate::printer;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);
/// Silence that people bear.
const SILENCE: Duration = Duration::from_secs(2);

/// A wait with an end, that says after a while what it is for.
pub(super) struct Wait<'a> {
    dir: &'a RunDir,
    began: Instant,
    most: Duration,
    said: bool,
}

impl<'a> Wait<'a> {
    pub(super) fn new(dir: &'a RunDir, most: Duration) -> Self {
        Self { dir, began: Instant::now(), most, said: false }
    }

    /// Waits a moment; `false` when that was all.
    pub(super) fn go_on(&mut self) -> bool {
        if self.began.elapsed() >= self.most {
            return false;
        }
        if !self.said && self.began.elapsed() >= SILENCE {
            let most = self.most.as_secs();
            printer::say(&format!("waiting for {}, {most} s at most", engine(self.dir)));
            self.said = true;
        }
        std::thread::sleep(LOOK);
        true
    }
}

/// Whether the engine of a run does nothing, since somebody stopped its process (Ctrl-Z).
pub(super) fn is_suspended(dir: &RunDir) -> bool {
    dir.holder().and_then(|pid| i32::try_from(pid).ok()).is_some_and(exec::is_suspended)
}

/// Who has a run, and what can be done about it when that process is suspended.
pub(super) fn engine(dir: &RunDir) -> String {
    let Some(pid) = dir.holder() else { return "the engine of the run".into() };
    if is_suspended(dir) {
        format!(
            "the engine of the run, process {pid}, which is suspended (kill -CONT {pid} wakes it; kill -KILL {pid} ends \
             it, and nothing is lost)"
        )
    } else {
        format!("the engine of the run, process {pid}")
    }
}
