//! One run: observe, decide, write what changed, act.

mod apply;
mod decide;
pub(crate) mod health;
#[cfg(test)]
mod model;
mod objects;
mod pod;
pub(crate) mod standing;
pub(crate) mod status;
mod verdict;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodTemplate};
use kube::ResourceExt as _;
use kube::core::DeserializeGuard;
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use loop_api::crd::LoopRun;
use tracing::{info, warn};

use crate::context::Context;
pub(crate) use decide::{Gap, Turn};
use decide::{Seen, Step, decide};
pub(crate) use pod::{Supplies, may_have_mirrors};
use standing::Standing;
use status::{ADMITTED, Owned};

/// A run as it is watched: one that cannot be read is an error of its own and no end to the watch.
pub(crate) type Guarded = DeserializeGuard<LoopRun>;

/// The most that a look at one run may take.
const TIME: Duration = Duration::from_secs(30);
/// Until a run is looked at again that has changed meanwhile, unless its change is seen before.
const AGAIN: Duration = Duration::from_secs(1);
/// Looks in a row at a run that changes meanwhile.
const LOOKS: usize = 3;
/// Until a run that is being deleted is looked at again.
const GONE: Duration = Duration::from_secs(300);

/// Why a look at a run came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The object does not fit this version's types.
    #[error("the object cannot be read: {0}; is the definition of another version than the operator?")]
    Unreadable(String),
    /// The API server refused or was not reached.
    #[error(transparent)]
    Apply(#[from] apply::Error),
    /// It took too long.
    #[error("the API server did not answer within {} s", TIME.as_secs())]
    TimedOut,
    /// The process is ending.
    #[error("the watches have ended")]
    Ending,
}

/// Looks at a run once.
pub(crate) async fn reconcile(seen: Arc<Guarded>, context: Arc<Context>) -> Result<Action, Error> {
    let run = seen.0.as_ref().map_err(|invalid| Error::Unreadable(invalid.error.clone()))?;
    let looked = tokio::time::timeout(TIME, look_on(run, &context)).await.map_err(|_| Error::TimedOut)?;
    let looked = match looked {
        // Somebody has written the run meanwhile, and it is looked at again with that.
        Err(Error::Apply(error)) if error.is_conflict() => return Ok(Action::requeue(AGAIN)),
        looked => looked?,
    };
    // Not after an error: whoever waits would wake itself again and again.
    context.wake_next();
    match looked {
        Looked::Done(again) => {
            context.succeeded(&ObjectRef::from_obj(seen.as_ref()));
            Ok(Action::requeue(again))
        }
        Looked::Paused(left) => Ok(Action::requeue(left)),
        Looked::Outdated(_) => Ok(Action::requeue(AGAIN)),
    }
}

/// How long to wait after an error.
// The controller gives what it shares by value.
#[allow(clippy::needless_pass_by_value)]
pub(crate) fn error_policy(seen: Arc<Guarded>, error: &Error, context: Arc<Context>) -> Action {
    let pause = context.failed(&ObjectRef::from_obj(seen.as_ref()));
    warn!(run = %format!("{}/{}", seen.namespace().unwrap_or_default(), seen.name_any()), %error, ?pause, "not done");
    Action::requeue(pause)
}

/// What came of a look at a run, and when the next one is due.
enum Looked {
    Done(Duration),
    /// What failed before is not tried again yet.
    Paused(Duration),
    /// There was something to write, but the run is another by now.
    Outdated(Box<LoopRun>),
}

/// Looks at a run until what was seen of it is what the API server has.
async fn look_on(run: &LoopRun, context: &Context) -> Result<Looked, Error> {
    let mut looked = Box::pin(look(run, context)).await?;
    for _ in 1..LOOKS {
        let Looked::Outdated(newer) = looked else { break };
        looked = Box::pin(look(&newer, context)).await?;
    }
    Ok(looked)
}

async fn look(run: &LoopRun, context: &Context) -> Result<Looked, Error> {
    if !context.seen.listed().await {
        return Err(Error::Ending);
    }
    if run.metadata.deletion_timestamp.is_some() {
        return Ok(Looked::Done(GONE));
    }
    let Some((run, pod)) = observe(run, context).await? else {
        return Ok(Looked::Done(GONE));
    };
    let before = run.status.as_ref().map(Owned::of).unwrap_or_default();
    let now = Timestamp::now();
    let alive = pod.as_deref().is_some_and(|pod| !health::is_over(pod));
    let standing = standing::of(&run, now);
    let waits = standing == Standing::Wants && !alive;
    let starts = waits || (standing == Standing::Attempt && before.pod_uid.is_empty());
    let start = if starts { start_of(context, &run).await? } else { Start::default() };
    let may = waits && start.gap.is_none();
    let turn = if may { context.take_turn(&run) } else { Turn::Unknown };
    let seen = Seen {
        run: &run,
        pod: pod.as_deref(),
        able: context.settings.supplies(&run).is_some(),
        turn: &turn,
        gap: start.gap.as_ref(),
        ttl: context.settings.ttl,
        leave: context.leave(&run),
    };
    let decision = decide(&seen, now);
    // A sidecar writes too. To ask first is cheaper than a write that is refused.
    if before != decision.status && !before.pod_uid.is_empty() {
        let Some(newest) = apply::read(&context.client, &run).await? else {
            return Ok(Looked::Done(GONE));
        };
        if newest.resource_version() != run.resource_version() {
            return Ok(Looked::Outdated(Box::new(newest)));
        }
    }
    let lost = before.lease_expires != decision.status.lease_expires;
    if lost {
        // The next attempt fills them anew. Before the status tells of it, as what fails is done again only until then; what
        // the API server will not have at all keeps no run.
        match apply::close_maps(&context.client, &run, &before.pod_uid).await {
            Err(error) if error.refusal().is_some() => {
                warn!(%error, "a pod that was given up may still write to a ConfigMap");
            }
            closed => closed?,
        }
    }
    let run = write(context, &run, &before, &decision.status).await?;
    if lost {
        let waits = run
            .status
            .iter()
            .flat_map(|status| &status.conditions)
            .find(|said| said.kind == status::RECONCILING);
        let message = waits.map_or("the pod of the run may still be at work", |said| &said.message);
        context.metrics.lease_expired();
        // The status says the same.
        if let Err(error) = apply::lease_expired(&context.client, &run, message).await {
            warn!(%error, "an event could not be written");
        }
    }
    if decision.status.attempt > before.attempt
        && let Some(waited) = standing::waited(&run, &before, now)
    {
        context.metrics.admitted(waited);
    }
    if let Turn::Refused { gap, .. } = &turn
        && before.reason(ADMITTED) != Some(gap.reason)
    {
        context.metrics.blocked(gap.reason);
    }
    match (decision.step, context.settings.supplies(&run), &pod) {
        // What was seen may be a moment old.
        (Step::Start, ..) if context.is_made(&run, decision.status.attempt) => {}
        (Step::Start, Some(supplies), _) => {
            if let Some(left) = context.pause_left(&run) {
                return Ok(Looked::Paused(left));
            }
            make(context, &run, &decision.status, supplies, start.template.as_ref()).await?;
        }
        (Step::Stop, _, Some(pod)) => apply::stop(&context.client, &run, pod).await?,
        (Step::Remove, _, Some(pod)) => {
            apply::delete_pod(&context.client, &run, &pod.name_any()).await?;
        }
        (Step::Discard, ..) => discard(context, &run, &decision.status).await?,
        (Step::Expire, ..) => {
            apply::expire(&context.client, &run).await?;
            info!(namespace = run.namespace(), run = run.name_any(), "ended long ago, deleted");
        }
        _ => {}
    }
    Ok(Looked::Done(decision.again))
}

/// What is needed to start a run.
#[derive(Default)]
struct Start {
    /// The template that the run names. It is read once, so that the one that was judged is the one that is used.
    template: Option<PodTemplate>,
    /// What stands in the way: what is missing for all, or its own template.
    gap: Option<Gap>,
}

async fn start_of(context: &Context, run: &LoopRun) -> Result<Start, Error> {
    let barred = |reason, message| Start { gap: Some(Gap { reason, message }), template: None };
    if let Some(message) = context.gap().await? {
        return Ok(barred("PoliciesMissing", message));
    }
    let supplies = context.settings.supplies(run).filter(|_| run.spec.pod_template_ref.is_some());
    let Some(mut supplies) = supplies else { return Ok(Start::default()) };
    // One that was not admitted yet may be given an image.
    let given = context.image_of_any().filter(|_| supplies.agent.is_empty()).unwrap_or_default();
    if !given.is_empty() {
        supplies.agent = &given;
    }
    let read = apply::template(&context.client, run).await;
    let fits =
        read.and_then(|template| apply::wanted(run, 1, &supplies, template.as_ref()).map(|_| template));
    let template = match fits {
        Err(unfit @ apply::Error::Template { .. }) => {
            context.template(run, None);
            return Ok(barred("PodTemplateUnfit", unfit.to_string()));
        }
        other => other?,
    };
    context.template(run, Some(template.as_ref().map(pod::asks).unwrap_or_default()));
    // What waits is judged with all else; what was admitted and not made yet may have been changed since.
    let admitted = run.status.as_ref().filter(|status| !status.pod_name.is_empty());
    let gap = admitted.and_then(|status| context.not_allowed(run, &status.worker_name));
    Ok(Start { template, gap })
}

/// The run with its pod. A pod that is over or gone may have told its result a moment before, so then both are asked
/// for anew; `None` when the run is gone.
async fn observe(run: &LoopRun, context: &Context) -> Result<Option<(LoopRun, Option<Arc<Pod>>)>, Error> {
    let owned = run.status.as_ref().map(Owned::of).unwrap_or_default();
    let mut pod = context.pod_of(run);
    let ended = run.status.as_ref().is_some_and(standing::has_ended);
    if ended || owned.pod_uid.is_empty() {
        return Ok(Some((run.clone(), pod)));
    }
    if pod.is_none() {
        pod = apply::read_pod(&context.client, run, &owned).await?.map(Arc::new);
        pod = pod.or_else(|| context.seen.gone(&owned.pod_uid));
    }
    if pod.as_deref().is_some_and(|pod| !health::is_over(pod)) {
        return Ok(Some((run.clone(), pod)));
    }
    Ok(apply::read(&context.client, run).await?.map(|run| (run, pod)))
}

/// Writes the status if it says anything new.
async fn write(context: &Context, run: &LoopRun, before: &Owned, status: &Owned) -> Result<LoopRun, Error> {
    if before == status {
        return Ok(run.clone());
    }
    let written = apply::status(&context.client, run, status).await?;
    if before.phase != status.phase || before.attempt != status.attempt {
        let phase = status.phase.as_str();
        info!(namespace = run.namespace(), run = run.name_any(), attempt = status.attempt, phase, "run");
    }
    Ok(written)
}

/// Deletes a pod in which nothing has begun, and gives the attempt up once it is gone.
async fn discard(context: &Context, run: &LoopRun, status: &Owned) -> Result<(), Error> {
    if apply::delete_pod(&context.client, run, &status.pod_name).await? {
        return Ok(());
    }
    let mut released = status.clone();
    released.release();
    write(context, run, status, &released).await?;
    Ok(())
}

/// Makes the pod; its uid in the status says that all is there.
async fn make(
    context: &Context,
    run: &LoopRun,
    status: &Owned,
    supplies: Supplies<'_>,
    template: Option<&PodTemplate>,
) -> Result<(), Error> {
    let made = async {
        context.access(run).await?;
        let mirrors = context.mirrors(run, template).await;
        let supplies = Supplies { mirrors: mirrors.as_deref(), ..supplies };
        apply::start(&context.client, run, status.attempt, &supplies, template).await
    };
    match made.await {
        Ok(pod_uid) => {
            let made = Owned { pod_uid, ..status.clone() };
            write(context, run, status, &made).await?;
            context.made(run, status.attempt);
            if let Err(error) = apply::forget_fields(&context.client, run, &made.pod_name).await {
                // It only stays larger.
                warn!(%error, "a pod keeps its managed fields");
            }
            Ok(())
        }
        Err(error) => {
            // The account may have been deleted since it was made.
            context.forget_access(run);
            if let Some(message) = error.refusal() {
                let refused = decide::refused(status.clone(), &message, Timestamp::now());
                write(context, run, status, &refused).await?;
            }
            Err(error.into())
        }
    }
}

pub(crate) use apply::{Error as ApplyError, access, is_shared, words};
