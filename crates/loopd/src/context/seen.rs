//! Caches of what the watches have seen.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use futures::FutureExt as _;
use futures::channel::oneshot;
use futures::future::{self, BoxFuture, Shared};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::ResourceExt as _;
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::Store;
use kube::runtime::watcher;

use super::lock;
use crate::run::Guarded;
use crate::run::health::is_over;
use crate::worker::GuardedWorker;

/// A namespace without all but its metadata.
pub(crate) type Labeled = PartialObjectMeta<Namespace>;

/// Pods that are remembered after they have gone: more than can go before their runs are looked at.
const MOST_GONE: usize = 256;

/// What was last seen of the cluster.
pub(crate) struct Seen {
    /// Runs.
    pub(crate) runs: Store<Guarded>,
    /// Pods of all runs.
    pub(crate) pods: Store<Pod>,
    /// Workers, and namespaces with their labels; `None` for an operator that looks after one namespace.
    pub(crate) workers: Option<(Store<GuardedWorker>, Store<Labeled>)>,
    /// Pods that had ended when they went. Often both are seen at once, and who only sees that a pod is gone has to wait for
    /// its lease.
    gone: Arc<Mutex<VecDeque<Arc<Pod>>>>,
    /// Whether runs have been listed.
    pub(crate) runs_listed: Arc<AtomicBool>,
    /// Resolves when all else has been listed. A store itself wakes only the last of those who wait for it.
    others: Shared<BoxFuture<'static, bool>>,
    others_listed: Arc<AtomicBool>,
    /// Says that workers have been listed. Their controller waits for the store.
    workers_listed: Mutex<Option<oneshot::Sender<()>>>,
}

impl Seen {
    /// Of stores that fill later.
    pub(crate) fn new(
        runs: Store<Guarded>,
        pods: Store<Pod>,
        workers: Option<(Store<GuardedWorker>, Store<Labeled>)>,
    ) -> Self {
        let others_listed = Arc::new(AtomicBool::new(false));
        let (told, of_workers) = oneshot::channel();
        let all = (pods.clone(), workers.clone(), Arc::clone(&others_listed));
        let others = async move {
            let (pods, workers, listed) = all;
            let all_of_workers = async {
                let Some((_, namespaces)) = &workers else { return true };
                let (workers, namespaces) = future::join(of_workers, namespaces.wait_until_ready()).await;
                workers.is_ok() && namespaces.is_ok()
            };
            let (pods, workers) = future::join(pods.wait_until_ready(), all_of_workers).await;
            let all = pods.is_ok() && workers;
            listed.store(all, Ordering::Relaxed);
            all
        };
        Self {
            runs,
            pods,
            workers,
            gone: Arc::default(),
            runs_listed: Arc::default(),
            others: others.boxed().shared(),
            others_listed,
            workers_listed: Mutex::new(Some(told)),
        }
    }

    /// Waits until all but the runs has been listed; says whether it was.
    pub(crate) async fn listed(&self) -> bool {
        self.others.clone().await
    }

    /// Whether everything has been listed.
    pub(crate) fn synced(&self) -> bool {
        self.runs_listed.load(Ordering::Relaxed) && self.others_listed.load(Ordering::Relaxed)
    }

    /// Remembers pods that go after they have ended.
    pub(crate) fn once_gone(&self) -> impl FnMut(&watcher::Result<watcher::Event<Pod>>) + use<> {
        let gone = Arc::clone(&self.gone);
        move |event| {
            if let Ok(watcher::Event::Delete(pod)) = event
                && is_over(pod)
            {
                let mut gone = lock(&gone);
                gone.truncate(MOST_GONE - 1);
                gone.push_front(Arc::new(pod.clone()));
            }
        }
    }

    /// A pod that had ended when it went.
    pub(crate) fn gone(&self, uid: &str) -> Option<Arc<Pod>> {
        lock(&self.gone).iter().find(|pod| pod.uid().as_deref() == Some(uid)).cloned()
    }

    /// Notes that the watch of workers has listed all that is there.
    pub(crate) fn once_workers_listed(
        &self,
    ) -> impl FnMut(&watcher::Result<watcher::Event<GuardedWorker>>) + use<> {
        let mut told = lock(&self.workers_listed).take();
        move |event| {
            if matches!(event, Ok(watcher::Event::InitDone))
                && let Some(told) = told.take()
            {
                // Nobody listens any more when the process ends.
                let _ = told.send(());
            }
        }
    }

    /// Notes that the watch of runs has listed all that is there.
    pub(crate) fn once_listed(&self) -> impl FnMut(&watcher::Result<watcher::Event<Guarded>>) + use<> {
        let listed = Arc::clone(&self.runs_listed);
        move |event| {
            if matches!(event, Ok(watcher::Event::InitDone)) {
                listed.store(true, Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use kube::runtime::reflector;
    use serde_json::json;

    use super::*;
    use crate::testing::pod;

    #[test]
    fn a_pod_that_had_ended_is_remembered_when_it_goes_and_one_that_was_at_work_is_not() {
        let seen = Seen::new(reflector::store().0, reflector::store().0, None);
        let mut look = seen.once_gone();
        let mut goes = |uid: &str, phase: &str| {
            let mut pod = pod(&json!({"phase": phase}));
            pod.metadata.uid = Some(uid.to_owned());
            look(&Ok(watcher::Event::Delete(pod)));
        };
        goes("at-work", "Running");
        goes("first", "Failed");
        assert!(seen.gone("at-work").is_none() && seen.gone("first").is_some());
        for number in 1..=MOST_GONE {
            goes(&number.to_string(), "Succeeded");
        }
        assert!(seen.gone("first").is_none() && seen.gone("1").is_some());
    }
}
