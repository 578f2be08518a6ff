//! One worker: what its status says. Who gets its slots is the scheduler's to say.

mod status;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use kube::api::{Api, Patch, PatchParams};
use kube::core::DeserializeGuard;
use kube::runtime::controller::Action;
use kube::runtime::events::EventType;
use kube::{Resource as _, ResourceExt as _};
use loop_api::crd::LoopWorker;
use loop_api::worker::{KIND, LoopWorkerStatus};
use loop_api::{names, run::API_VERSION};
use serde_json::json;
use tracing::warn;

use crate::context::{Context, lock};
use crate::events;
use status::Due;
pub(crate) use status::deadline;

/// A worker as it is watched: one that cannot be read is an error of its own and no end to the watch.
pub(crate) type GuardedWorker = DeserializeGuard<LoopWorker>;

/// Until counts are looked at again though nothing happens; the least time between two writes of counts alone.
const SOON: Duration = Duration::from_secs(30);
/// Until the runs have been listed.
const UNSYNCED: Duration = Duration::from_secs(1);
/// The most that a write may take.
const TIME: Duration = Duration::from_secs(30);

/// Why a worker's status was not written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The API server refused or was not reached.
    #[error("write status of worker {name}: {source}")]
    Api {
        /// The worker.
        name: String,
        /// What it said.
        source: Box<kube::Error>,
    },
    /// It took too long.
    #[error("the API server did not answer within {} s", TIME.as_secs())]
    TimedOut,
    /// The process is ending.
    #[error("the watches have ended")]
    Ending,
}

/// What looks at workers share.
pub(crate) struct Workers {
    context: Arc<Context>,
    /// When the status of a worker was last written.
    written: Mutex<HashMap<String, Instant>>,
}

impl Workers {
    /// Of an operator that leads.
    pub(crate) fn new(context: Arc<Context>) -> Self {
        Self { context, written: Mutex::default() }
    }
}

/// Looks at a worker once.
pub(crate) async fn reconcile(seen: Arc<GuardedWorker>, workers: Arc<Workers>) -> Result<Action, Error> {
    let context = &workers.context;
    if !context.seen.listed().await {
        return Err(Error::Ending);
    }
    let name = seen.name_any();
    if seen.meta().deletion_timestamp.is_some() {
        return Ok(Action::requeue(SOON));
    }
    if !context.seen.synced() {
        return Ok(Action::requeue(UNSYNCED));
    }
    let share = context.census().shares.into_iter().find(|share| share.worker == name).unwrap_or_default();
    let generation = seen.meta().generation.unwrap_or_default();
    let (spec, before) = match &seen.0 {
        Ok(worker) => (Ok(&worker.spec), worker.status.clone()),
        Err(invalid) => (Err(invalid.error.as_str()), workers.last_of(context, &name).await?),
    };
    let mut again = SOON;
    if let Some(due) = seen.0.as_ref().ok().and_then(deadline) {
        context.wake_holders(&name);
        let left = u64::try_from(due.as_second() - Timestamp::now().as_second()).unwrap_or_default();
        again = if left > 0 { SOON.min(Duration::from_secs(left)) } else { SOON };
    }
    let before = before.unwrap_or_default();
    let after = status::of(spec, &before, &share, generation, Timestamp::now());
    let last = lock(&workers.written).get(&name).map(Instant::elapsed);
    match status::to_write(&before, &after, last, SOON) {
        Due::Never => Ok(Action::requeue(again)),
        Due::In(left) => Ok(Action::requeue(left.min(again))),
        Due::Now => {
            workers.write(&name, &after).await?;
            if before.conditions.is_empty() {
                registered(context, &seen).await;
            }
            Ok(Action::requeue(again))
        }
    }
}

/// Tells who looks at a worker that this operator gives runs to it from now on (EVT-18).
async fn registered(context: &Context, worker: &GuardedWorker) {
    let note = "the operator has seen the worker; its status says what it takes";
    let what = ("WorkerRegistered", "Register");
    let told = events::tell(&context.client, worker.object_ref(&()), EventType::Normal, what, note);
    let told = tokio::time::timeout(TIME, told).await;
    // The status says the same.
    if let Ok(Err(error)) = told {
        warn!(worker = worker.name_any(), %error, "an event could not be written");
    }
}

/// How long to wait after an error.
// The controller gives what it shares by value.
#[allow(clippy::needless_pass_by_value)]
pub(crate) fn error_policy(seen: Arc<GuardedWorker>, error: &Error, _: Arc<Workers>) -> Action {
    warn!(worker = seen.name_any(), %error, "not done");
    Action::requeue(SOON)
}

impl Workers {
    /// The status of a worker that cannot be read as a whole.
    async fn last_of(&self, context: &Context, name: &str) -> Result<Option<LoopWorkerStatus>, Error> {
        let resource = kube::core::ApiResource::erase::<LoopWorker>(&());
        let workers: Api<kube::core::DynamicObject> = Api::all_with(context.client.clone(), &resource);
        let asked = tokio::time::timeout(TIME, workers.get_opt(name)).await.map_err(|_| Error::TimedOut)?;
        let found = asked.map_err(|source| Error::Api { name: name.to_owned(), source: Box::new(source) })?;
        Ok(found.and_then(|worker| serde_json::from_value(worker.data.get("status")?.clone()).ok()))
    }

    async fn write(&self, name: &str, status: &LoopWorkerStatus) -> Result<(), Error> {
        let resource = kube::core::ApiResource::erase::<LoopWorker>(&());
        let workers: Api<kube::core::DynamicObject> = Api::all_with(self.context.client.clone(), &resource);
        let body =
            json!({"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": name}, "status": status});
        let parameters = PatchParams::apply(names::OPERATOR).force();
        let patch = Patch::Apply(&body);
        let asked = tokio::time::timeout(TIME, workers.patch_status(name, &parameters, &patch));
        let written = asked.await.map_err(|_| Error::TimedOut)?;
        let mut times = lock(&self.written);
        // Workers that are gone leave nothing behind.
        times.retain(|_, at| at.elapsed() < SOON);
        times.insert(name.to_owned(), Instant::now());
        written.map(drop).map_err(|source| Error::Api { name: name.to_owned(), source: Box::new(source) })
    }
}
