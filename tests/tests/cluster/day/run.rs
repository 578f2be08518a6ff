//! A run of the day: what is seen of it, and what is known of its pods.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;
use tokio::sync::{Mutex, OwnedMutexGuard, watch};

use super::Day;
use super::course::{Course, Fate};
use super::record::Record;

/// What the day found out about a run.
pub(super) struct Run {
    pub(super) course: Course,
    pub(super) namespace: String,
    /// The object as it was last seen; null before it is there, and when it is gone.
    pub(super) seen: watch::Sender<Value>,
    record: Arc<Mutex<Option<Record>>>,
    /// Seconds of the day that its loop has worked, and kept.
    worked: Cell<f64>,
    /// Pods that are placed and have not ended, since when, and how long there were any.
    pods: Cell<u32>,
    since: Cell<Option<Instant>>,
    pub(super) busy: Cell<f64>,
    pub(super) most_pods: Cell<u32>,
    /// Words of a pod that nobody wanted to hear: those that were refused, and those that were not.
    pub(super) fenced: Cell<(u32, u32)>,
    /// What went wrong and was tried again.
    pub(super) notes: RefCell<Vec<String>>,
}

impl Run {
    pub(super) fn new(course: Course, namespace: String) -> Self {
        Self {
            course,
            namespace,
            seen: watch::Sender::new(Value::Null),
            record: Arc::new(Mutex::new(None)),
            worked: Cell::new(0.0),
            pods: Cell::new(0),
            since: Cell::new(None),
            busy: Cell::new(0.0),
            most_pods: Cell::new(0),
            fenced: Cell::new((0, 0)),
            notes: RefCell::default(),
        }
    }

    /// Text in the object as it was last seen, by its path; empty where there is none.
    pub(super) fn text(&self, path: &str) -> String {
        self.seen.borrow().pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// What its user wants.
    pub(super) fn spec_state(&self) -> String {
        self.text("/spec/state")
    }

    /// Waits until it has one of these phases, or is gone.
    pub(super) async fn reaches(&self, phases: &[&str]) {
        let is = |seen: &Value| seen["status"]["phase"].as_str().is_some_and(|phase| phases.contains(&phase));
        // The sender lives as long as the run.
        let _ = self.seen.subscribe().wait_for(is).await;
    }

    pub(super) fn begin_pod(&self) {
        self.pods.set(self.pods.get() + 1);
        self.most_pods.set(self.most_pods.get().max(self.pods.get()));
        self.since.set(self.since.get().or_else(|| Some(Instant::now())));
    }

    pub(super) fn end_pod(&self) {
        self.pods.set(self.pods.get() - 1);
        if self.pods.get() == 0
            && let Some(since) = self.since.take()
        {
            self.busy.set(self.busy.get() + since.elapsed().as_secs_f64());
        }
    }

    /// Its journal, which one pod has at a time.
    pub(super) fn record(&self, day: &Day, uid: &str) -> Held {
        let Ok(mut record) = Arc::clone(&self.record).try_lock_owned() else {
            panic!("two pods of {} are at work at once", self.course.name);
        };
        record.get_or_insert_with(|| Record::new(&day.store, uid, &self.course.name, &day.told));
        Held(record)
    }

    /// What its loop has done; another attempt goes on from there.
    pub(super) fn worked(&self) -> f64 {
        self.worked.get()
    }

    /// Keeps that.
    pub(super) fn leave(&self, worked: f64) {
        self.worked.set(worked);
    }

    /// How this attempt takes the run up: whether it had ended, or nothing where it was lost or is the first.
    pub(super) fn resumed(&self, attempt: u32) -> Option<bool> {
        match self.course.fate {
            Fate::Paused if attempt == 2 => Some(false),
            Fate::Retried if attempt == 2 => Some(true),
            _ => None,
        }
    }

    /// A word of a pod that was given up: whether it was refused.
    pub(super) fn refused(&self, was: bool) {
        let (refused, taken) = self.fenced.get();
        self.fenced.set(if was { (refused + 1, taken) } else { (refused, taken + 1) });
    }

    /// The run without what its pods had of it.
    pub(super) fn closed(&self) -> Self {
        Self {
            seen: watch::Sender::new(self.seen.borrow().clone()),
            record: Arc::default(),
            notes: self.notes.clone(),
            busy: self.busy.clone(),
            most_pods: self.most_pods.clone(),
            fenced: self.fenced.clone(),
            ..Self::new(self.course.clone(), self.namespace.clone())
        }
    }

    pub(super) fn note(&self, text: &str) {
        self.notes.borrow_mut().push(text.to_owned());
    }
}

/// A record while one pod has it.
pub(super) struct Held(OwnedMutexGuard<Option<Record>>);

impl std::ops::Deref for Held {
    type Target = Record;
    fn deref(&self) -> &Record {
        self.0.as_ref().expect("it was made")
    }
}

impl std::ops::DerefMut for Held {
    fn deref_mut(&mut self) -> &mut Record {
        self.0.as_mut().expect("it was made")
    }
}
