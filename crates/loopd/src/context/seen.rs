//! Caches of what the watches have seen.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use futures::FutureExt as _;
use futures::channel::oneshot;
use futures::future::{self, BoxFuture, Shared};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::Store;
use kube::runtime::watcher;

use super::lock;
use crate::run::Guarded;
use crate::worker::GuardedWorker;

/// A namespace without all but its metadata.
pub(crate) type Labeled = PartialObjectMeta<Namespace>;

/// What was last seen of the cluster.
pub(crate) struct Seen {
    /// Runs.
    pub(crate) runs: Store<Guarded>,
    /// Pods of all runs.
    pub(crate) pods: Store<Pod>,
    /// Workers, and namespaces with their labels; `None` for an operator that looks after one namespace.
    pub(crate) workers: Option<(Store<GuardedWorker>, Store<Labeled>)>,
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
