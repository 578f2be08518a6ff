//! The record of a fake run: a journal that a real run wrote, told again for another one, event by event.

use std::fs::{self, File};
use std::io::Write as _;

use loop_api::journal::{self, Event};
use loop_api::names;
use loop_api::phase::{ExitReason, StepPhase};
use loop_api::run::CheckpointStatus;
use loop_core::store::{RunDir, Store, now_ms, read_journal};

/// A run of seven iterations, as the demo's is.
const TOLD: &[u8] = include_bytes!("../../../../crates/loop-core/tests/golden/v0.1.0.jsonl");

/// The events of that run, to be told again.
pub(super) fn told() -> Vec<Event> {
    journal::decode(TOLD).expect("a whole journal").records.into_iter().map(|record| record.event).collect()
}

/// A journal that grows.
pub(super) struct Record {
    pub(super) dir: RunDir,
    uid: String,
    file: File,
    head: String,
    seq: u64,
    /// How many of the events were told, and which one began the open step.
    at: usize,
    open: Option<(usize, String)>,
    pub(super) ended: bool,
}

impl Record {
    /// Of a run of this uid and name, in a folder for all.
    pub(super) fn new(store: &Store, uid: &str, name: &str, told: &[Event]) -> Self {
        let dir = store.create_run(uid).expect("a folder");
        let file = File::options().create(true).append(true).open(dir.journal()).expect("a journal");
        let mut record = Self {
            dir,
            uid: uid.into(),
            file,
            head: journal::GENESIS.into(),
            seq: 0,
            at: 1,
            open: None,
            ended: false,
        };
        let Event::RunCreated(mut created) = told[0].clone() else { panic!("it begins with its creation") };
        created.run_id = uid.into();
        created.name = name.into();
        record.append(Event::RunCreated(created));
        record
    }

    fn append(&mut self, event: Event) {
        self.seq += 1;
        let record = journal::Record { seq: self.seq, ts: now_ms(), prev: self.head.clone(), event };
        let line = journal::encode(&record).expect("a line");
        self.head = journal::digest(&line[..line.len() - 1]);
        self.file.write_all(&line).expect("room for a journal");
    }

    /// A checkpoint that holds all that has happened.
    pub(super) fn checkpoint(&self) -> CheckpointStatus {
        let commit = journal::sha256(self.head.as_bytes())[..40].to_owned();
        CheckpointStatus { reference: names::checkpoint_ref(&self.uid), commit }
    }

    /// An attempt takes the run up; what was under way is begun again.
    pub(super) fn take_up(&mut self, attempt: u32, seconds: u32, again: Option<bool>) {
        if self.ended && again.is_none() {
            // The attempt before could not tell its end, and this one does.
            return;
        }
        self.interrupt();
        if let Some(again) = again {
            self.append(Event::RunResumed { again });
            self.ended = false;
        }
        let worker_id = "fake:1".to_owned();
        self.append(Event::RunStarted { worker_id: worker_id.clone(), isolation: "containers".into() });
        self.append(Event::LeaseGranted { worker_id, attempt, seconds });
    }

    fn interrupt(&mut self) {
        if let Some((began, step_id)) = self.open.take() {
            self.append(Event::StepInterrupted { step_id });
            self.at = began;
        }
    }

    /// Whether no step is open.
    pub(super) fn is_between(&self) -> bool {
        self.open.is_none()
    }

    /// Tells what belongs to this part of the work; stops before the merge once, and says so.
    pub(super) fn advance(&mut self, told: &[Event], part: f64) -> bool {
        self.tell(told, 1 + ((told.len() - 1) as f64 * part.clamp(0.0, 1.0)) as usize)
    }

    fn tell(&mut self, told: &[Event], until: usize) -> bool {
        // A worktree is made in a moment, and so is an end: nothing comes in between.
        let place = |is: fn(&Event) -> bool| told.iter().position(is).expect("every run has it");
        let prepared = place(|event| matches!(event, Event::StepFinished { .. })) + 1;
        let completed = place(|event| matches!(event, Event::RunCompleted { .. }));
        let until = if until > completed { told.len() } else { until.max(prepared) };
        while self.at < until {
            let event = told[self.at].clone();
            self.at += 1;
            match &event {
                // It was told when the attempt began.
                Event::RunStarted { .. } => continue,
                Event::StepStarted { step_id, .. } => self.open = Some((self.at - 1, step_id.clone())),
                Event::StepFinished { .. } => self.open = None,
                _ => {}
            }
            let merges = matches!(event, Event::StepStarted { phase: StepPhase::Merge, .. });
            self.append(event);
            if merges {
                return true;
            }
        }
        self.ended |= self.at == told.len();
        false
    }

    /// Goes on to the end of an iteration, and ends there.
    pub(super) fn fail(&mut self, told: &[Event]) {
        while !matches!(told[self.at - 1], Event::IterationFinished { .. }) {
            self.tell(told, self.at + 1);
        }
        let (reason, message) = (
            "iteration_limit_reached:3".into(),
            "raise spec.loop.iterations, or make the task smaller".into(),
        );
        self.append(Event::RunFailed { exit_reason: ExitReason::IterationsExhausted, reason, message });
        self.ended = true;
    }

    /// Its user has it end, or rest, at once.
    pub(super) fn stop(&mut self, paused: bool) {
        self.interrupt();
        self.append(if paused { Event::RunPaused } else { Event::RunCanceled });
        self.ended = !paused;
    }

    /// Writes what follows from the journal, as an engine does at the end.
    pub(super) fn write(&self) {
        let (decoded, state) = read_journal(&self.dir.journal()).expect("a journal");
        let head = loop_core::record::completed_digest(&decoded).unwrap_or_default();
        if let Some(statement) = loop_core::engine::statement(&state, "fake", "", &head) {
            let bytes = serde_json::to_vec_pretty(&statement).expect("JSON");
            fs::write(self.dir.join("evidence.json"), bytes).expect("room for evidence");
        }
        let notes = loop_core::record::write(&self.dir, None, true);
        assert!(notes.is_empty(), "{notes:?}");
    }
}

#[test]
fn a_record_that_is_told_again_is_one_that_the_product_reads() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, told) = (Store::at(folder.path()), told());
    let phase = |record: &Record| read_journal(&record.dir.journal()).expect("legal").1.phase;
    for part in 0..told.len() {
        let part = part as f64 / told.len() as f64;
        let mut record = Record::new(&store, &loop_core::new_uid(), "fake", &told);
        record.take_up(1, 30, None);
        record.advance(&told, part);
        record.take_up(2, 30, None);
        if !record.ended {
            record.stop(true);
            assert_eq!(phase(&record).as_str(), "Paused");
            record.take_up(3, 30, Some(false));
            if part < 0.8 {
                record.advance(&told, part);
                record.fail(&told);
                assert_eq!(phase(&record).as_str(), "Failed");
                record.take_up(4, 30, Some(true));
            }
        }
        record.advance(&told, 1.0);
        record.advance(&told, 1.0);
        assert!(record.ended);
        record.take_up(5, 30, None);
        assert_eq!(phase(&record).as_str(), "Completed");
        record.write();
        assert!(record.dir.join("evidence.json").exists() && record.dir.join("summary.json").exists());
    }
}
