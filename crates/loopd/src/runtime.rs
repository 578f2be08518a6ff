//! Client, watches and the end of the process.

use std::sync::Arc;

use anyhow::Context as _;
use futures::StreamExt as _;
use futures::channel::mpsc;
use k8s_openapi::api::core::v1::Pod;
use kube::core::NamespaceResourceScope;
use kube::runtime::controller::{self, Controller};
use kube::runtime::reflector::{self, ObjectRef};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, Resource, ResourceExt as _};
use loop_api::crd::LoopRun;
use loop_api::names;
use tracing::{info, warn};

use crate::args::Args;
use crate::context::{Context, Settings};
use crate::run::{self, Guarded};

/// Runs looked at at the same time.
const CONCURRENCY: u16 = 16;

/// Looks after runs until the process is told to end.
pub(crate) async fn serve(args: Args) -> anyhow::Result<()> {
    let client = Client::try_default().await.context("the API server cannot be found")?;
    let settings = Settings::new(&args);
    let api: Api<Guarded> = scoped(&client, args.namespace.as_deref());
    // Without the definition a watch would wait for ever and say nothing.
    api.list(&kube::api::ListParams::default().limit(1))
        .await
        .context("runs cannot be listed; are the definition (crds/) and the operator's role installed?")?;

    let config = controller::Config::default().concurrency(CONCURRENCY);
    let controller = Controller::new(api, watcher::Config::default()).with_config(config);
    let (pods, writer) = reflector::store::<Pod>();
    let (wake, woken) = mpsc::unbounded();
    let context = Arc::new(Context::new(client.clone(), settings, controller.store(), pods, wake));

    let label = format!("{}={}", names::MANAGED_BY_LABEL, names::OPERATOR);
    let changes =
        watcher(scoped(&client, args.namespace.as_deref()), watcher::Config::default().labels(&label))
            .default_backoff()
            .modify(|pod: &mut Pod| pod.managed_fields_mut().clear())
            .reflect(writer)
            .touched_objects();
    let mapper = {
        let context = Arc::clone(&context);
        move |pod: Pod| of_pod(&pod).into_iter().chain(context.next()).collect::<Vec<_>>()
    };
    info!(
        slots = args.slots,
        namespace = args.namespace,
        version = env!("CARGO_PKG_VERSION"),
        "loopd starts"
    );
    controller
        .watches_stream(changes, mapper)
        .reconcile_on(woken)
        .shutdown_on_signal()
        .run(run::reconcile, run::error_policy, context)
        .for_each(|done| async move {
            match done {
                // The error policy has told of these; a run that is gone needs no words.
                Ok(_)
                | Err(controller::Error::ReconcilerFailed(..) | controller::Error::ObjectNotFound(_)) => {}
                Err(error) => warn!(%error, "watch"),
            }
        })
        .await;
    info!("loopd has ended");
    Ok(())
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
