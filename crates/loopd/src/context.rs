//! What all looks at runs share: client, caches, and what this process has just done.

mod seen;
mod turns;

pub(crate) use seen::{Labeled, Seen};
pub(crate) use turns::Census;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::channel::mpsc::UnboundedSender;
use k8s_openapi::api::core::v1::{Pod, PodTemplate};
use kube::runtime::reflector::ObjectRef;
use kube::{Client, ResourceExt as _};
use loop_api::crd::LoopRun;
use loop_api::names;
use loop_api::run::{DefaultAgent, Defaults};
use loop_api::worker::LoopWorkerSpec;
use tracing::warn;

use crate::args::Args;
use crate::fence::Fence;
use crate::metrics::Metrics;
use crate::run::standing;
use crate::run::{self, ApplyError, Guarded, Supplies};
use crate::scheduler::{Admissions, Asks};

/// Seconds until the next try after an error, doubled by each further error.
const FIRST_PAUSE: u64 = 5;

/// What the operator was started with.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The operator's own pool, for runs that no worker takes.
    pub(crate) own: LoopWorkerSpec,
    runner_image: String,
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
            own: LoopWorkerSpec {
                slots: args.slots,
                lease_seconds: args.lease_seconds,
                defaults: Some(Defaults {
                    agent: Some(DefaultAgent { image: named(&args.agent_image) }),
                    ..Defaults::default()
                }),
                ..LoopWorkerSpec::default()
            },
            runner_image: args.runner_image.clone(),
            claude_image: named(&args.claude_image),
            ttl: Some(args.ttl).filter(|seconds| *seconds > 0),
            policies: args.policies.clone(),
            network_policy: args.network_policy,
        }
    }

    /// What the pod of a run that was admitted is made from; `None` when nobody has named one for its agent.
    pub(crate) fn supplies<'a>(&'a self, run: &'a LoopRun) -> Option<Supplies<'a>> {
        let given = run.status.as_ref().and_then(|status| status.defaults.as_ref()).and_then(Defaults::image);
        let own = self.own.defaults.as_ref().and_then(Defaults::image);
        let named = run.spec.agent.image.as_deref().or(given).or(own);
        // A template may name one; whether it does is seen when the pod is made.
        let agent = named.or(run.spec.pod_template_ref.as_ref().map(|_| ""))?;
        Some(Supplies {
            runner: &self.runner_image,
            agent,
            claude: self.claude_image.as_deref(),
            mirrors: None,
        })
    }
}

/// Shared by all looks at runs.
pub(crate) struct Context {
    /// Talks to the API server.
    pub(crate) client: Client,
    /// What the operator was started with.
    pub(crate) settings: Settings,
    /// What is counted.
    pub(crate) metrics: Arc<Metrics>,
    /// What was last seen of the cluster.
    pub(crate) seen: Seen,
    wake: UnboundedSender<ObjectRef<Guarded>>,
    fence: Fence,
    /// Attempts that this process has admitted and that the cache does not show yet.
    admitted: Mutex<Admissions>,
    /// Attempts whose pod this process has made, with all that belongs to it, by the uid of their run.
    made: Mutex<BTreeMap<String, u32>>,
    /// Runs whose template will not do, by uid: they wait for nobody's slot.
    unfit: Mutex<BTreeSet<String>>,
    /// What the templates of runs ask for, as last read, by the uid of the run.
    asks: Mutex<BTreeMap<String, Asks>>,
    /// Namespaces that have account and role.
    prepared: Mutex<BTreeSet<String>>,
    /// Errors in a row, and when the next try is due.
    failures: Mutex<HashMap<ObjectRef<Guarded>, (u32, Instant)>>,
}

/// No holder of a lock leaves its content half changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Context {
    /// With caches that fill later; `wake` takes runs that are to be looked at.
    pub(crate) fn new(
        client: Client,
        settings: Settings,
        metrics: Arc<Metrics>,
        seen: Seen,
        wake: UnboundedSender<ObjectRef<Guarded>>,
    ) -> Self {
        let fence = Fence::new(settings.policies.clone());
        Self {
            client,
            settings,
            metrics,
            seen,
            wake,
            fence,
            admitted: Mutex::default(),
            made: Mutex::default(),
            unfit: Mutex::default(),
            asks: Mutex::default(),
            prepared: Mutex::default(),
            failures: Mutex::default(),
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

    /// Remembers what the template of a run asks for; `None` = it will not do.
    pub(crate) fn template(&self, run: &LoopRun, asks: Option<Asks>) {
        let Some(uid) = run.uid() else { return };
        let (mut unfit, mut known) = (lock(&self.unfit), lock(&self.asks));
        if let Some(asks) = asks {
            unfit.remove(&uid);
            known.insert(uid, asks);
        } else {
            known.remove(&uid);
            unfit.insert(uid);
        }
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
        self.seen.pods.get(&name).filter(|pod| pod.labels().get(names::RUN_UID_LABEL) == Some(&uid))
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

    /// Claim with mirrors of repositories that the run's worker names, if this run can use it. It only saves time: what
    /// stands in its way is never in the way of the run.
    pub(crate) async fn mirrors(&self, run: &LoopRun, template: Option<&PodTemplate>) -> Option<String> {
        let worker = &run.status.as_ref()?.worker_name;
        let claim = self.of_worker(worker, |worker| worker.spec.repository_cache.clone()).flatten()?;
        let name = claim.claim_name;
        if !run::may_have_mirrors(run, template, &name) {
            return None;
        }
        match run::is_shared(&self.client, run, &name).await {
            Ok(usable) => usable.then_some(name),
            Err(error) => {
                warn!(run = run.name_any(), %error, "its pod is made without the worker's mirrors");
                None
            }
        }
    }

    /// Has account and role made again for the next run there.
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
        failures.retain(|run, _| self.seen.runs.get(run).is_some());
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
