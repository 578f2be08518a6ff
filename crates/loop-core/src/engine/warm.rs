//! The gates' side of the baseline is made while the worktree is. In a pod they are in different containers, and neither
//! waits for the other.

use std::thread::JoinHandle;

use super::Engine;
use crate::far::{Error, Side};

/// A side that is being made, to show a commit.
pub(super) type Warm = JoinHandle<Result<(Side, String), Error>>;

impl Engine<'_> {
    /// Begins to show the base commit to the gates' container, where there is one.
    pub(super) fn warm_up(&mut self, base: &str) {
        let setting = &self.setting;
        // Submodules are brought later.
        if !setting.is_contained() || setting.submodules.is_some() || self.created.spec.gates.is_empty() {
            return;
        }
        let (setting, commit) = (setting.clone(), base.to_owned());
        self.warm = Some(std::thread::spawn(move || {
            let side = setting.gate(None, true)?;
            side.check_out(&setting, &commit)?;
            Ok((side, commit))
        }));
    }

    /// A new side that shows this commit, if that is what was begun. What went wrong is tried again, and then said.
    pub(super) fn warmed(&mut self, commit: &str) -> Option<Side> {
        let (side, shown) = self.warm.take()?.join().ok()?.ok()?;
        (shown == commit).then_some(side)
    }
}
