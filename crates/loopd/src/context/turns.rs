//! Turns: the scheduler is asked with what was last seen, and with what this process has just done.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;
use kube::{Resource as _, ResourceExt as _};
use loop_api::crd::{LoopRun, LoopWorker};
use loop_api::phase::RunPhase;
use loop_api::worker::LoopWorkerSpec;

use super::{Context, lock};
use crate::run::{Gap, Guarded, Turn};
use crate::scheduler::{self, Admissions, Cluster, Entry, Pass, Pods, Pool, Refusal, Share, Verdict, Wants};
use crate::worker::{self, GuardedWorker};

/// How all runs together stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Census {
    /// The operator's own pool first, then the workers.
    pub(crate) shares: Vec<Share>,
    /// Workers that can be read.
    pub(crate) online: usize,
    /// Runs that wait for a slot.
    pub(crate) waiting: usize,
    /// Runs in each phase.
    pub(crate) phases: BTreeMap<&'static str, usize>,
}

impl From<Refusal<'_>> for Gap {
    fn from(refusal: Refusal<'_>) -> Self {
        Self { reason: refusal.reason(), message: refusal.message() }
    }
}

impl Context {
    /// Whether it is this run's turn; then it has its slot from here on.
    pub(crate) fn take_turn(&self, run: &LoopRun) -> Turn {
        let Some(uid) = run.uid() else { return Turn::Unknown };
        let mut admitted = lock(&self.admitted);
        self.tidy(&mut admitted);
        let given = |worker: &str| Turn::Given {
            worker: worker.to_owned(),
            workspace: scheduler::workspace(run).into_owned(),
            lease_seconds: self.lease_seconds(worker),
            defaults: self.of_worker(worker, |worker| worker.spec.defaults.clone().map(Box::new)).flatten(),
        };
        if let Some(worker) = admitted.worker(&uid) {
            // Its template may have been changed since, while the admission could not be written.
            let Some(gap) = self.not_allowed(run, worker) else { return given(worker) };
            admitted.take_back(&uid);
            return Turn::Refused { gap, stuck: true };
        }
        let turn = self.with_pass(&admitted, |pass, _| match pass.verdict_on(&uid) {
            Some(Verdict::Admitted(worker)) => given(worker),
            Some(Verdict::Refused(refusal)) => {
                Turn::Refused { stuck: refusal.is_stuck(), gap: refusal.into() }
            }
            None => Turn::Unknown,
        });
        if let Turn::Given { worker, .. } = &turn {
            admitted.give(run, worker);
        }
        turn
    }

    /// What in a run a worker does not take, though it has admitted it.
    pub(crate) fn not_allowed(&self, run: &LoopRun, worker: &str) -> Option<Gap> {
        let (asks, uid) = (lock(&self.asks), run.uid()?);
        let entry =
            Entry::of(run, Wants::of(run, asks.get(&uid)), Pods::default(), None, true, Timestamp::now());
        let workers = self.seen.workers.as_ref().map_or_else(Vec::new, |(workers, _)| workers.state());
        let pools = workers.iter().filter_map(|worker| pool(worker, &self.settings.own));
        let cluster = Cluster::new(&self.settings.own, pools, []);
        cluster.not_allowed(&entry, worker).map(Gap::from)
    }

    /// Seconds that the lease of an attempt with a worker counts.
    fn lease_seconds(&self, worker: &str) -> u32 {
        let found = self.of_worker(worker, |worker| worker.spec.lease_seconds);
        found.unwrap_or(self.settings.own.lease_seconds)
    }

    /// When a run has to leave its worker, which is drained.
    pub(crate) fn leave(&self, run: &LoopRun) -> Option<Timestamp> {
        self.of_worker(&run.status.as_ref()?.worker_name, worker::deadline)?
    }

    /// What is asked of a worker that is there and can be read.
    pub(super) fn of_worker<T>(&self, name: &str, ask: impl FnOnce(&LoopWorker) -> T) -> Option<T> {
        let (workers, _) = self.seen.workers.as_ref()?;
        let seen = workers.get(&ObjectRef::new(name))?;
        seen.0.as_ref().ok().map(ask)
    }

    /// An image that some worker gives, for a template that may stand on one.
    pub(crate) fn image_of_any(&self) -> Option<String> {
        let (workers, _) = self.seen.workers.as_ref()?;
        let image = |seen: &Arc<GuardedWorker>| {
            Some(seen.0.as_ref().ok()?.spec.defaults.as_ref()?.image()?.to_owned())
        };
        workers.state().iter().find_map(image)
    }

    /// Has runs looked at that have a slot of a worker: it is drained, and they may have to leave.
    pub(crate) fn wake_holders(&self, worker: &str) {
        let runs = self.seen.runs.state();
        let status = |run: &&LoopRun| {
            run.status.as_ref().is_some_and(|status| {
                status.worker_name == worker && !status.pod_name.is_empty() && !status.phase.is_terminal()
            })
        };
        for run in readable(&runs).filter(status) {
            let named = ObjectRef::new(&run.name_any()).within(&run.namespace().unwrap_or_default());
            // Nobody listens any more when the process ends.
            let _ = self.wake.unbounded_send(named);
        }
    }

    /// Has those looked at whose turn has come.
    pub(crate) fn wake_next(&self) {
        for next in self.next() {
            // Nobody listens any more when the process ends.
            let _ = self.wake.unbounded_send(next);
        }
    }

    /// Runs whose turn has come and that have not taken it. While none may start, nobody is woken for nothing.
    pub(crate) fn next(&self) -> Vec<ObjectRef<Guarded>> {
        if !self.fence.stood() || !self.seen.synced() {
            return Vec::new();
        }
        let mut admitted = lock(&self.admitted);
        self.tidy(&mut admitted);
        self.with_pass(&admitted, |pass, _| {
            pass.admitted().map(|entry| ObjectRef::new(entry.name).within(entry.namespace)).collect()
        })
    }

    /// Counts what is new in runs, for who asks for the metrics.
    pub(crate) fn count(&self) {
        self.metrics.count(|each| readable(&self.seen.runs.state()).for_each(each));
    }

    /// Counts runs and slots, as last seen.
    pub(crate) fn census(&self) -> Census {
        let mut admitted = lock(&self.admitted);
        self.tidy(&mut admitted);
        self.with_pass(&admitted, |pass, runs| {
            let all = [
                RunPhase::Pending,
                RunPhase::Running,
                RunPhase::Paused,
                RunPhase::Completed,
                RunPhase::Failed,
                RunPhase::Canceled,
            ];
            let mut phases = BTreeMap::from(all.map(|phase| (phase.as_str(), 0)));
            for run in readable(runs) {
                let phase = run.status.as_ref().map(|status| status.phase).unwrap_or_default();
                *phases.entry(phase.as_str()).or_default() += 1;
            }
            Census { shares: pass.shares(), online: pass.online(), waiting: pass.waiting(), phases }
        })
    }

    /// Forgets admissions that the cache shows by now, and all about runs that are gone.
    fn tidy(&self, admitted: &mut Admissions) {
        let runs = self.seen.runs.state();
        admitted.tidy(readable(&runs), Timestamp::now());
        let (mut made, mut unfit, mut asks) = (lock(&self.made), lock(&self.unfit), lock(&self.asks));
        if made.is_empty() && unfit.is_empty() && asks.is_empty() {
            return;
        }
        let known: HashSet<&str> = readable(&runs).filter_map(|run| run.metadata.uid.as_deref()).collect();
        made.retain(|uid, _| known.contains(uid.as_str()));
        unfit.retain(|uid| known.contains(uid.as_str()));
        asks.retain(|uid, _| known.contains(uid.as_str()));
    }

    /// Asks the scheduler.
    fn with_pass<T>(&self, admitted: &Admissions, ask: impl FnOnce(&Pass<'_>, &[Arc<Guarded>]) -> T) -> T {
        let (runs, pods, now) = (self.seen.runs.state(), self.seen.pods.state(), Timestamp::now());
        let (unfit, asks) = (lock(&self.unfit), lock(&self.asks));
        let more = |run: &LoopRun| {
            let uid = run.metadata.uid.as_deref().unwrap_or_default();
            (asks.get(uid), !unfit.contains(uid))
        };
        let entries =
            scheduler::entries(readable(&runs), pods.iter().map(AsRef::as_ref), admitted, more, now);
        let (workers, namespaces) = match &self.seen.workers {
            Some((workers, namespaces)) => (workers.state(), namespaces.state()),
            None => Default::default(),
        };
        let pools = workers.iter().filter_map(|worker| pool(worker, &self.settings.own));
        let labels =
            namespaces.iter().filter_map(|seen| Some((seen.metadata.name.as_deref()?, seen.labels())));
        let cluster = match &self.seen.workers {
            Some(_) => Cluster::new(&self.settings.own, pools, labels),
            None => Cluster::alone(&self.settings.own),
        };
        ask(&Pass::new(&cluster, &entries), &runs)
    }
}

/// Runs that this version can read.
fn readable(runs: &[Arc<Guarded>]) -> impl Iterator<Item = &LoopRun> {
    runs.iter().filter_map(|run| run.0.as_ref().ok())
}

/// The pool of a worker. One that is being deleted takes no new runs, and is none.
fn pool<'a>(worker: &'a GuardedWorker, own: &'a LoopWorkerSpec) -> Option<Pool<'a>> {
    let metadata = worker.meta();
    let spec = worker.0.as_ref().ok().map(|worker| &worker.spec);
    metadata.deletion_timestamp.is_none().then_some(Pool::new(metadata.name.as_deref()?, spec, own))
}
