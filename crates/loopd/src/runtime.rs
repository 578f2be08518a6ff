//! Client, lease, watches and the end of the process.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use axum::http::Request;
use futures::channel::mpsc;
use futures::future::{self, BoxFuture, Shared};
use futures::{FutureExt as _, StreamExt as _};
use k8s_openapi::api::core::v1::Pod;
use kube::client::{Body, ClientBuilder};
use kube::core::NamespaceResourceScope;
use kube::runtime::controller::{self, Action, Controller};
use kube::runtime::reflector::{self, ObjectRef};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, Config, Resource, ResourceExt as _};
use loop_api::crd::LoopRun;
use loop_api::names;
use serde::de::DeserializeOwned;
use tokio::signal::unix::{SignalKind, signal};
use tower::util::MapRequestLayer;
use tracing::{info, warn};

use crate::admin::{Admin, Stage, State};
use crate::args::Args;
use crate::context::{Context, Labeled, Seen, Settings};
use crate::lease::{Candidate, Error as Lost};
use crate::run::{self, Guarded};
use crate::worker::{self, GuardedWorker, Workers};

/// Runs looked at at the same time.
const CONCURRENCY: u16 = 16;
/// The most that looks under way may still take when the process is to end; what they leave undone is found by the next.
const LAST: Duration = Duration::from_secs(20);
/// The pause before the API server is asked again that was not reached at the start.
const PAUSE: Duration = Duration::from_secs(5);

/// Resolves when the process is told to end.
type Stop = Shared<BoxFuture<'static, ()>>;

/// Looks after runs until the process is told to end.
pub(crate) async fn serve(args: Args) -> anyhow::Result<()> {
    let stop = told_to_stop()?;
    let state = State::new();
    let client = connect(&state).await?;
    let admin = Admin::start(args.port, Arc::clone(&state)).await?;
    info!(
        slots = args.slots,
        namespace = args.namespace,
        identity = args.identity,
        version = env!("CARGO_PKG_VERSION"),
        "loopd starts"
    );
    let ended = operate(&args, &client, &state, stop).await;
    admin.end().await;
    info!("loopd has ended");
    ended
}

/// Waits for the lease, leads, and gives it back. Who loses it stands by again, with everything dropped that was known and
/// under way: a process that ended instead would be started again after a pause that grows to 5 min, in which nobody leads.
async fn operate(args: &Args, client: &Client, state: &Arc<State>, stop: Stop) -> anyhow::Result<()> {
    let mut candidate = Candidate::new(client, &args.identity);
    let installed = async {
        answers("runs", &scoped::<Guarded>(client, args.namespace.as_deref())).await?;
        if args.namespace.is_none() {
            answers("workers", &Api::<GuardedWorker>::all(client.clone())).await?;
            answers("namespaces", &Api::<Labeled>::all(client.clone())).await?;
        }
        anyhow::Ok(())
    };
    tokio::select! {
        installed = installed => installed?,
        () = stop.clone() => {}
    }
    loop {
        let won = tokio::select! {
            biased;
            () = stop.clone() => false,
            () = candidate.win(|| state.reached(Stage::StandsBy)) => true,
        };
        if !won {
            break;
        }
        info!("this operator leads");
        let Some(error) = lead(args, client, state, &mut candidate, stop.clone()).await else { break };
        state.reached(Stage::StandsBy);
        warn!(%error, "this operator leads no more, so that no two act at once");
        candidate = Candidate::new(client, &args.identity);
    }
    candidate.release().await;
    Ok(())
}

/// Looks after runs until the process is told to end; gives the reason when the lease is lost before.
async fn lead(
    args: &Args,
    client: &Client,
    state: &Arc<State>,
    candidate: &mut Candidate,
    stop: Stop,
) -> Option<Lost> {
    let (runs, runs_writer) = reflector::store::<Guarded>();
    let (pods, pods_writer) = reflector::store::<Pod>();
    let (workers, workers_writer) = reflector::store::<GuardedWorker>();
    let (namespaces, namespaces_writer) = reflector::store::<Labeled>();
    let (wake, woken) = mpsc::unbounded();
    // An operator of one namespace has no rights beyond it.
    let all = args.namespace.is_none();
    let seen = Seen::new(runs.clone(), pods, all.then(|| (workers.clone(), namespaces)));
    let metrics = Arc::clone(&state.metrics);
    let context = Arc::new(Context::new(client.clone(), Settings::new(args), metrics, seen, wake));
    state.metrics.lead();
    state.reached(Stage::Leads(Arc::clone(&context)));

    let run_changes = watcher(scoped(client, args.namespace.as_deref()), watcher::Config::default())
        .reflect(runs_writer)
        .inspect(context.seen.once_listed())
        .applied_objects();
    let label = format!("{}={}", names::MANAGED_BY_LABEL, names::OPERATOR);
    let pod_changes =
        watcher(scoped(client, args.namespace.as_deref()), watcher::Config::default().labels(&label))
            .default_backoff()
            .modify(|pod: &mut Pod| pod.managed_fields_mut().clear())
            .inspect(context.seen.once_gone())
            .reflect(pods_writer)
            .touched_objects();
    let worker_changes = watcher(Api::<GuardedWorker>::all(client.clone()), watcher::Config::default())
        .default_backoff()
        .reflect(workers_writer)
        .inspect(context.seen.once_workers_listed())
        .inspect(wakes(&context))
        .applied_objects();
    let namespace_changes = watcher(Api::<Labeled>::all(client.clone()), watcher::Config::default())
        .default_backoff()
        .modify(|namespace: &mut Labeled| namespace.managed_fields_mut().clear())
        .reflect(namespaces_writer)
        .inspect(wakes(&context));
    let mapper = {
        let context = Arc::clone(&context);
        move |pod: Pod| of_pod(&pod).into_iter().chain(context.next()).collect::<Vec<_>>()
    };
    let reconcile = {
        let state = Arc::clone(state);
        move |run, context| look(run, context, Arc::clone(&state))
    };
    let looks = Controller::for_stream(run_changes, runs)
        .with_config(controller::Config::default().concurrency(CONCURRENCY))
        .watches_stream(pod_changes, mapper)
        .reconcile_on(woken)
        .graceful_shutdown_on(stop.clone())
        .run(reconcile, run::error_policy, Arc::clone(&context))
        .for_each(|done| async move { told(state, done.err()) });
    let looks_at_workers = Controller::for_stream(worker_changes, workers)
        .graceful_shutdown_on(stop.clone())
        .run(worker::reconcile, worker::error_policy, Arc::new(Workers::new(Arc::clone(&context))))
        .for_each(|done| async move { told(state, done.err()) });
    let labels = namespace_changes.take_until(stop.clone()).for_each(|event| async move {
        if let Err(error) = event {
            state.metrics.watch_failed();
            warn!(%error, "watch");
        }
    });
    let of_workers = async {
        if all {
            future::join(looks_at_workers, labels).await;
        }
    };
    // Also where nothing is there to be looked at: an operator is ready when it has seen that.
    let listing = {
        let stop = stop.clone();
        async {
            tokio::select! {
                _ = context.seen.listed() => {}
                () = stop => {}
            }
        }
    };
    let overdue = async {
        stop.await;
        tokio::time::sleep(LAST).await;
    };
    tokio::select! {
        ((), (), ()) = future::join3(looks, of_workers, listing) => None,
        lost = candidate.hold() => Some(lost),
        () = overdue => {
            warn!("looks at runs that had not ended {} s after the signal are left to the next operator", LAST.as_secs());
            None
        }
    }
}

/// One look at a run, counted.
async fn look(run: Arc<Guarded>, context: Arc<Context>, state: Arc<State>) -> Result<Action, run::Error> {
    let begun = Instant::now();
    let looked = run::reconcile(run, context).await;
    state.metrics.looked(looked.is_ok(), begun.elapsed());
    looked
}

/// Has runs looked at that a change lets in. What is listed first is no change.
fn wakes<K>(context: &Arc<Context>) -> impl FnMut(&watcher::Result<watcher::Event<K>>) + use<K> {
    let context = Arc::clone(context);
    move |event| {
        if matches!(
            event,
            Ok(watcher::Event::Apply(_) | watcher::Event::Delete(_) | watcher::Event::InitDone)
        ) {
            context.wake_next();
        }
    }
}

/// Tells what went wrong with a watch. Of failed looks the error policy has told; an object that is gone needs no words.
fn told<E: std::error::Error + 'static>(state: &State, error: Option<controller::Error<E, watcher::Error>>) {
    match error {
        None | Some(controller::Error::ReconcilerFailed(..) | controller::Error::ObjectNotFound(_)) => {}
        Some(error) => {
            state.metrics.watch_failed();
            warn!(%error, "watch");
        }
    }
}

/// A client whose writes are counted, whoever makes them.
async fn connect(state: &Arc<State>) -> anyhow::Result<Client> {
    let config = Config::infer().await.context("the API server cannot be found")?;
    let state = Arc::clone(state);
    let count = MapRequestLayer::new(move |request: Request<Body>| {
        state.metrics.requested(request.method(), request.uri().path(), request.headers());
        request
    });
    Ok(ClientBuilder::try_from(config)
        .context("no connection to the API server can be made")?
        .with_layer(&count)
        .build())
}

/// Waits until the API server lists objects. Without the definition a watch would wait for ever and say nothing.
async fn answers<K>(what: &str, objects: &Api<K>) -> anyhow::Result<()>
where
    K: Clone + DeserializeOwned + std::fmt::Debug,
{
    let first = kube::api::ListParams::default().limit(1);
    loop {
        match tokio::time::timeout(PAUSE, objects.list(&first)).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error @ kube::Error::Api(_))) => {
                return Err(error).with_context(|| {
                    format!("{what} cannot be listed; are the definitions (crds/) and the operator's role installed?")
                });
            }
            Ok(Err(error)) => warn!(%error, "the API server cannot be reached yet"),
            Err(_) => warn!("the API server does not answer yet"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Resolves at the first SIGTERM or SIGINT.
fn told_to_stop() -> anyhow::Result<Stop> {
    let mut terminate = signal(SignalKind::terminate()).context("signals cannot be received")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("signals cannot be received")?;
    let told = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        info!("loopd was told to end");
    };
    Ok(told.boxed().shared())
}

/// The run that a pod belongs to.
fn of_pod(pod: &Pod) -> Option<ObjectRef<Guarded>> {
    let owner = pod.owner_references().iter().find(|owner| owner.kind == LoopRun::kind(&()))?;
    Some(ObjectRef::new(&owner.name).within(&pod.namespace()?))
}

fn scoped<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}
