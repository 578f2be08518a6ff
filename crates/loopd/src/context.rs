//! What all looks at runs share: client, caches, and what this process has just done.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::channel::mpsc::UnboundedSender;
use futures::future::{BoxFuture, Shared};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Client, ResourceExt as _};
use loop_api::crd::LoopRun;
use loop_api::names;
use loop_api::phase::RunPhase;

use crate::args::Args;
use crate::fence::Fence;
use crate::queue::{self, Entry, Place, Pods};
use crate::run::standing::{self, Standing};
use crate::run::{self, ApplyError, Guarded, Images, health};

/// Seconds until the next try after an error, doubled by each further error.
const FIRST_PAUSE: u64 = 5;

/// What the operator was started with.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Runs at the same time.
    pub(crate) slots: usize,
    /// Seconds that the lease of an attempt counts.
    pub(crate) lease_seconds: u32,
    runner_image: String,
    agent_image: Option<String>,
    claude_image: Option<String>,
    /// Seconds until the object of an ended run is deleted, where its spec does not say.
    pub(crate) ttl: Option<u32>,
    policies: Vec<String>,
    network_policy: bool,
}

impl Settings {
    /// From the command line. An empty image, as a chart without a value has it, is none.
    pub(crate) fn new(args: &Args) -> Self {
        let named = |image: &Option<String>| image.clone().filter(|image| !image.is_empty());
        Self {
            slots: args.slots,
            lease_seconds: args.lease_seconds,
            runner_image: args.runner_image.clone(),
            agent_image: named(&args.agent_image),
            claude_image: named(&args.claude_image),
            ttl: Some(args.ttl).filter(|seconds| *seconds > 0),
            policies: args.policies.clone(),
            network_policy: args.network_policy,
        }
    }

    /// Images of a run's pod; `None` when nobody has named one for its agent.
    pub(crate) fn images<'a>(&'a self, run: &'a LoopRun) -> Option<Images<'a>> {
        let named = run.spec.agent.image.as_deref().or(self.agent_image.as_deref());
        // A template may name one; whether it does is seen when the pod is made.
        let agent = named.or(run.spec.pod_template_ref.as_ref().map(|_| ""))?;
        Some(Images { runner: &self.runner_image, agent, claude: self.claude_image.as_deref() })
    }
}

/// How all runs together stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Census {
    /// Slots in all.
    pub(crate) slots: usize,
    /// Runs, and pods whose run is gone, that have one.
    pub(crate) holding: usize,
    /// Runs that wait for one.
    pub(crate) waiting: usize,
    /// Runs in each phase.
    pub(crate) phases: BTreeMap<&'static str, usize>,
}

/// Shared by all looks at runs.
pub(crate) struct Context {
    /// Talks to the API server.
    pub(crate) client: Client,
    /// What the operator was started with.
    pub(crate) settings: Settings,
    /// Pods of all runs, as last seen.
    pods: Store<Pod>,
    /// Resolves when the pods have been listed. A store itself wakes only the last of those who wait for it.
    listed: Shared<BoxFuture<'static, bool>>,
    runs: Store<Guarded>,
    /// Whether runs and pods have been listed.
    pub(crate) runs_listed: AtomicBool,
    pub(crate) pods_listed: AtomicBool,
    wake: UnboundedSender<ObjectRef<Guarded>>,
    fence: Fence,
    /// Attempts that this process has admitted and that the cache does not show yet, by the uid of their run.
    admitted: Mutex<BTreeMap<String, u32>>,
    /// Attempts whose pod this process has made, with all that belongs to it, by the uid of their run.
    made: Mutex<BTreeMap<String, u32>>,
    /// Runs whose template will not do, by uid: they wait for nobody's slot.
    unfit: Mutex<BTreeSet<String>>,
    /// Namespaces that have account and role.
    prepared: Mutex<BTreeSet<String>>,
    /// Errors in a row, and when the next try is due.
    failures: Mutex<HashMap<ObjectRef<Guarded>, (u32, Instant)>>,
}

fn attempt(run: &LoopRun) -> u32 {
    run.status.as_ref().map_or(0, |status| status.attempt)
}

/// No holder of a lock leaves its content half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Context {
    /// With caches that fill later; `wake` takes runs that are to be looked at.
    pub(crate) fn new(
        client: Client,
        settings: Settings,
        runs: Store<Guarded>,
        pods: Store<Pod>,
        wake: UnboundedSender<ObjectRef<Guarded>>,
    ) -> Self {
        let (admitted, prepared, failures) = (Mutex::default(), Mutex::default(), Mutex::default());
        let (made, unfit) = (Mutex::default(), Mutex::default());
        let waiting = pods.clone();
        let listed = async move { waiting.wait_until_ready().await.is_ok() }.boxed().shared();
        let fence = Fence::new(settings.policies.clone());
        let (runs_listed, pods_listed) = (AtomicBool::new(false), AtomicBool::new(false));
        Self {
            client,
            settings,
            pods,
            listed,
            runs,
            runs_listed,
            pods_listed,
            wake,
            fence,
            admitted,
            made,
            unfit,
            prepared,
            failures,
        }
    }

    /// Whether the pod of this attempt was made, and the status says so, though what was seen does not show it yet.
    pub(crate) fn is_made(&self, run: &LoopRun, attempt: u32) -> bool {
        run.uid().is_some_and(|uid| lock(&self.made).get(&uid) == Some(&attempt))
    }

    /// Remembers that.
    pub(crate) fn made(&self, run: &LoopRun, attempt: u32) {
        let Some(uid) = run.uid() else { return };
        lock(&self.made).insert(uid, attempt);
    }

    /// Remembers whether the template of a run will not do.
    pub(crate) fn unfit(&self, run: &LoopRun, unfit: bool) {
        let Some(uid) = run.uid() else { return };
        let mut known = lock(&self.unfit);
        if unfit {
            known.insert(uid);
        } else {
            known.remove(&uid);
        }
    }

    /// Waits until the pods have been listed; says whether they were.
    pub(crate) async fn listed(&self) -> bool {
        self.listed.clone().await
    }

    /// Whether the caches have been filled.
    pub(crate) fn synced(&self) -> bool {
        self.runs_listed.load(Ordering::Relaxed) && self.pods_listed.load(Ordering::Relaxed)
    }

    /// Counts runs and slots, as last seen.
    pub(crate) fn census(&self) -> Census {
        let (runs, entries) = self.entries(&mut lock(&self.admitted));
        let at = |place| entries.iter().filter(|entry| entry.place == place).count();
        let all = [
            RunPhase::Pending,
            RunPhase::Running,
            RunPhase::Paused,
            RunPhase::Completed,
            RunPhase::Failed,
            RunPhase::Canceled,
        ];
        let mut phases = BTreeMap::from(all.map(|phase| (phase.as_str(), 0)));
        for run in runs.iter().filter_map(|run| run.0.as_ref().ok()) {
            let phase = run.status.as_ref().map(|status| status.phase).unwrap_or_default();
            *phases.entry(phase.as_str()).or_default() += 1;
        }
        Census { slots: self.settings.slots, holding: at(Place::Holds), waiting: at(Place::Waits), phases }
    }

    /// Why no run may start now, with the remedy.
    pub(crate) async fn gap(&self) -> Result<Option<String>, ApplyError> {
        self.fence.gap(&self.client).await.map_err(|source| ApplyError::Api {
            what: "read the admission policies".to_owned(),
            source: Box::new(source),
        })
    }

    /// The pod of a run's attempt, as last seen.
    pub(crate) fn pod_of(&self, run: &LoopRun) -> Option<Arc<Pod>> {
        let status = run.status.as_ref().filter(|status| status.attempt > 0)?;
        let name = ObjectRef::new(&status.pod_name).within(&run.namespace().unwrap_or_default());
        let uid = run.uid()?;
        self.pods.get(&name).filter(|pod| pod.labels().get(names::RUN_UID_LABEL) == Some(&uid))
    }

    /// Whether it is this run's turn; then it has its slot from here on.
    pub(crate) fn take_turn(&self, run: &LoopRun) -> bool {
        let Some(uid) = run.uid() else { return false };
        let mut admitted = lock(&self.admitted);
        let turn = admitted.contains_key(&uid) || self.turns(&mut admitted).1.contains(&uid);
        if turn {
            admitted.insert(uid, attempt(run) + 1);
        }
        turn
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
        if !self.fence.stood() {
            return Vec::new();
        }
        let mut admitted = lock(&self.admitted);
        let (runs, turns) = self.turns(&mut admitted);
        runs.iter()
            .filter(|run| run.uid().is_some_and(|uid| turns.contains(&uid)))
            .map(|run| ObjectRef::from_obj(run.as_ref()))
            .collect()
    }

    /// All runs, and the uids of those whose turn it is.
    fn turns(&self, admitted: &mut BTreeMap<String, u32>) -> (Vec<Arc<Guarded>>, BTreeSet<String>) {
        let (runs, entries) = self.entries(admitted);
        let turns = queue::turns(&entries, self.settings.slots);
        (runs, turns)
    }

    /// All runs, and what the queue knows of them. Forgets admissions that the cache shows by now, and runs that are gone.
    fn entries(&self, admitted: &mut BTreeMap<String, u32>) -> (Vec<Arc<Guarded>>, Vec<Entry>) {
        let (runs, pods, now) = (self.runs.state(), self.pods.state(), Timestamp::now());
        let lease = self.settings.lease_seconds;
        let mut of_run: BTreeMap<&str, Vec<&Pod>> = BTreeMap::new();
        for pod in &pods {
            let Some(uid) = pod.labels().get(names::RUN_UID_LABEL) else { continue };
            of_run.entry(uid).or_default().push(pod);
        }
        let mut known = BTreeSet::new();
        let mut entries = Vec::new();
        for run in runs.iter().filter_map(|run| run.0.as_ref().ok()) {
            let uid = run.uid().unwrap_or_default();
            known.insert(uid.clone());
            let pods = Pods::of(run, &of_run.remove(uid.as_str()).unwrap_or_default(), lease, now);
            // The cache shows it by now; or it shows that the user was faster, so that it was not written.
            let shown = |admitted: &u32| attempt(run) >= *admitted;
            if admitted.get(&uid).is_some_and(shown) || standing::of(run, now) == Standing::Rests {
                admitted.remove(&uid);
            }
            let able = self.settings.images(run).is_some() && !lock(&self.unfit).contains(&uid);
            entries.push(Entry::of(run, pods, admitted.contains_key(&uid), able, now));
        }
        admitted.retain(|uid, _| known.contains(uid));
        lock(&self.made).retain(|uid, _| known.contains(uid));
        lock(&self.unfit).retain(|uid| known.contains(uid));
        let alive = |pod: &&Pod| !health::is_over(pod) && !health::is_abandoned(pod, lease, now);
        let orphans = of_run.iter().filter(|(_, pods)| pods.iter().any(alive));
        entries.extend(orphans.map(|(uid, _)| Entry::orphan(uid)));
        (runs, entries)
    }

    /// Makes account and role in the run's namespace, once.
    pub(crate) async fn access(&self, run: &LoopRun) -> Result<(), ApplyError> {
        let namespace = run.namespace().unwrap_or_default();
        if lock(&self.prepared).contains(&namespace) {
            return Ok(());
        }
        run::access(&self.client, run, self.settings.network_policy).await?;
        lock(&self.prepared).insert(namespace);
        Ok(())
    }

    /// Has them made again for the next run there.
    pub(crate) fn forget_access(&self, run: &LoopRun) {
        lock(&self.prepared).remove(&run.namespace().unwrap_or_default());
    }

    /// A look at the run has gone well.
    pub(crate) fn succeeded(&self, run: &ObjectRef<Guarded>) {
        lock(&self.failures).remove(run);
    }

    /// A look at the run has failed; says after what pause the next one is due.
    pub(crate) fn failed(&self, run: &ObjectRef<Guarded>) -> Duration {
        let mut failures = lock(&self.failures);
        // Runs that are gone leave nothing behind.
        failures.retain(|run, _| self.runs.get(run).is_some());
        let before = failures.get(run).map_or(0, |(tries, _)| *tries);
        let pause = pause(before);
        failures.insert(run.clone(), (before.saturating_add(1), Instant::now() + pause));
        pause
    }

    /// What is left of the pause after an error. An event may come earlier, and does when others change the object.
    pub(crate) fn pause_left(&self, run: &LoopRun) -> Option<Duration> {
        let run = ObjectRef::new(&run.name_any()).within(&run.namespace().unwrap_or_default());
        let due = lock(&self.failures).get(&run).map(|(_, due)| *due)?;
        Some(due.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero())
    }
}

/// The pause after an error that has so many before it.
fn pause(before: u32) -> Duration {
    standing::doubled(FIRST_PAUSE, before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_five_minutes() {
        let seconds: Vec<u64> = [0, 1, 2, 5, 6, u32::MAX].map(|before| pause(before).as_secs()).into();
        assert_eq!(seconds, [5, 10, 20, 160, 300, 300]);
    }
}
