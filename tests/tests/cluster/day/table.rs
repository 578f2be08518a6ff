//! What was measured in a day, and what of it is judged.

use std::collections::BTreeMap;

use super::course::Fate;
use super::run::Run;
use super::sidecar::PAUSE;
use super::tally::{self, Writes};
use crate::place::say;

/// The most writes about a run by operator and sidecar together, for each attempt, beside one of the progress in 30 s.
const MOST: usize = 12;
/// Bytes in the store for each run that is kept.
const ROOM: u64 = 32 << 10;
/// Below so many runs, what the store keeps for itself is more than what they add.
const MANY: usize = 200;

/// What the day was.
pub(super) struct Told {
    pub(super) count: usize,
    pub(super) seconds: u32,
    pub(super) speed: f64,
    pub(super) seed: u64,
    pub(super) slots: usize,
    /// Bytes in the store before.
    pub(super) before: u64,
}

/// Prints the table and fails with everything that is not as it has to be.
pub(super) fn judge(
    told: &Told,
    runs: &[Run],
    writes: &BTreeMap<(String, String), Writes>,
    namespaces: &[String],
) {
    let mut wrong: Vec<String> = Vec::new();
    let mut rows: BTreeMap<Fate, Row> = BTreeMap::new();
    let nothing = Writes::default();
    for run in runs {
        let name = &run.course.name;
        let phase = run.text("/status/phase");
        if phase != run.course.end().unwrap_or_default() {
            wrong.push(format!(
                "{name} ({:?}) is {phase:?}: {}",
                run.course.fate,
                run.seen.borrow()["status"]
            ));
        }
        let attempts = run.seen.borrow()["status"]["attempt"].as_u64().unwrap_or(run.course.attempts());
        if attempts != run.course.attempts() {
            wrong.push(format!(
                "{name} ({:?}) took {attempts} attempts: {}",
                run.course.fate,
                run.seen.borrow()["status"]
            ));
        }
        if run.most_pods.get() > 1 {
            wrong.push(format!("{name} ({:?}) had {} pods at once", run.course.fate, run.most_pods.get()));
        }
        if run.course.fate == Fate::Forced && run.fenced.get().1 > 0 {
            wrong.push(format!("{name}: a pod that was given up was heard: {:?}", run.fenced.get()));
        }
        let written = writes.get(&(run.namespace.clone(), name.clone())).unwrap_or(&nothing);
        let row = rows.entry(run.course.fate).or_default();
        let words = (run.busy.get() * told.speed / PAUSE) as usize;
        // What is not about the progress has no excuse; of that, there is some at begin, before the merge and at the end.
        // A pod that was given up writes here to see that it is not heard; a real one has stopped.
        let fenced = if run.course.fate == Fate::Forced { written.fenced() } else { 0 };
        let own = written.all() - written.progress().min(words) - fenced;
        row.add(written, own, run, attempts);
        if own > MOST * attempts as usize {
            wrong.push(format!("{name} ({:?}) cost {own} writes: {:?}", run.course.fate, written.by_kind));
        }
        for note in run.notes.borrow().iter() {
            say(&format!("{name}: {note}"));
        }
    }
    say(&format!(
        "{} runs in {} s at {} times speed, seed {}, 2 workers of {} slots and the operator's own\n\
         {:<10} {:>5} {:>8} {:>9} {:>9} {:>9} {:>8} {:>8}",
        told.count,
        told.seconds,
        told.speed,
        told.seed,
        told.slots,
        "fate",
        "runs",
        "attempts",
        "own mean",
        "own most",
        "progress",
        "hours",
        "fenced"
    ));
    for (fate, row) in &rows {
        say(&format!("{:<10} {row}", format!("{fate:?}")));
    }
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for written in writes.values() {
        for (kind, count) in &written.by_kind {
            *kinds.entry(kind).or_default() += count;
        }
    }
    for (kind, count) in kinds {
        say(&format!("{count:>8} {kind}"));
    }
    say(&format!(
        "{:>8} of these about no run",
        writes.get(&(String::new(), String::new())).map_or(0, Writes::all)
    ));
    let (grown, kept) = (
        tally::store().saturating_sub(told.before),
        runs.iter().filter(|run| !run.seen.borrow().is_null()).count(),
    );
    let each = grown / kept.max(1) as u64;
    say(&format!("the store grew by {grown} bytes, {each} for each of {kept} runs that are kept"));
    for (kind, (count, bytes)) in tally::kinds(namespaces) {
        say(&format!("{count:>8} {kind}, {} bytes each", bytes / count));
    }
    if told.count >= MANY && each > ROOM {
        wrong.push(format!("a run that is kept takes {each} bytes of the store"));
    }
    assert!(wrong.is_empty(), "{} things are not as they have to be:\n{}", wrong.len(), wrong.join("\n"));
}

/// Runs of one fate.
#[derive(Default)]
struct Row {
    runs: usize,
    attempts: u64,
    own: usize,
    most: usize,
    progress: usize,
    /// Seconds of pods.
    busy: f64,
    fenced: u32,
}

impl Row {
    fn add(&mut self, written: &Writes, own: usize, run: &Run, attempts: u64) {
        self.runs += 1;
        self.attempts += attempts;
        self.own += own;
        self.most = self.most.max(own);
        self.progress += written.progress();
        self.busy += run.busy.get();
        self.fenced += run.fenced.get().0;
    }
}

impl std::fmt::Display for Row {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mean = self.own as f64 / self.runs as f64;
        write!(
            out,
            "{:>5} {:>8} {mean:>9.1} {:>9} {:>9} {:>8.2} {:>8}",
            self.runs,
            self.attempts,
            self.most,
            self.progress,
            self.busy / 3600.0,
            self.fenced
        )
    }
}
