//! A run as the scheduler sees it. Nothing is copied out of it.

use std::borrow::Cow;
use std::collections::HashMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use loop_api::crd::LoopRun;
use loop_api::run::Defaults;
use loop_api::{names, naming};

use super::Admissions;
use crate::run::health;
use crate::run::standing::{self, Standing};

/// A run, or a pod that outlives its run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry<'a> {
    /// Uid of the run.
    pub(crate) uid: &'a str,
    /// Its namespace.
    pub(crate) namespace: &'a str,
    /// Its name.
    pub(crate) name: &'a str,
    /// Its creation, in seconds since 1970.
    pub(crate) created: i64,
    /// Its repository, however that is addressed.
    pub(crate) workspace: Cow<'a, str>,
    /// What it asks for.
    pub(crate) wants: Wants<'a>,
    /// Where it stands.
    pub(crate) place: Place<'a>,
    /// Whether it can go on in another pod.
    pub(crate) keeps: bool,
}

/// What a run asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Wants<'a> {
    /// The worker that is to take it.
    pub(crate) worker: Option<&'a str>,
    /// A higher one goes first.
    pub(crate) priority: i32,
    /// What a worker must offer.
    pub(crate) requires: &'a [String],
    /// The image that it names, or was given at its first attempt.
    pub(crate) image: Option<&'a str>,
    /// Whether its pod template may name one.
    pub(crate) by_template: bool,
    /// The dollars that it may use.
    pub(crate) cost: Option<&'a str>,
    /// What its pod template asks for, once that was read.
    pub(crate) template: Option<&'a Asks>,
}

/// What a pod template asks for and a worker may not allow.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Asks {
    /// Images that it names.
    pub(crate) images: Vec<String>,
    /// Its runtime class.
    pub(crate) runtime_class: Option<String>,
}

/// Where a run stands with the scheduler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place<'a> {
    /// It waits for a slot.
    Waits,
    /// It has a slot of this worker, the empty one being the operator: its pod is alive, or is about to be made.
    Holds(&'a str),
    /// It needs no slot.
    Out,
}

/// What is seen of a run beside itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Pods<'a> {
    /// The worker of a pod of its that is not over: what is seen of a pod may be newer than what is seen of its run.
    pub(crate) alive: Option<&'a str>,
    /// The pod of its current attempt is there, and is over.
    pub(crate) over: bool,
}

impl<'a> Wants<'a> {
    /// Of a run with what its template asks for.
    pub(crate) fn of(run: &'a LoopRun, template: Option<&'a Asks>) -> Self {
        let spec = &run.spec;
        let given = run.status.as_ref().and_then(|status| status.defaults.as_ref());
        Self {
            worker: spec.worker_ref.as_ref().map(|worker| worker.name.as_str()),
            priority: spec.priority,
            requires: &spec.requires,
            image: spec.agent.image.as_deref().or_else(|| given.and_then(Defaults::image)),
            by_template: spec.pod_template_ref.is_some(),
            cost: spec.limits.cost_usd.as_deref(),
            template,
        }
    }
}

impl<'a> Entry<'a> {
    /// Of a run at `now`. `admitted` names the worker that this process has just admitted it to, which what was seen may not
    /// show yet; one that is not `able` to start takes nobody's turn.
    pub(crate) fn of(
        run: &'a LoopRun,
        wants: Wants<'a>,
        pods: Pods<'a>,
        admitted: Option<&'a str>,
        able: bool,
        now: Timestamp,
    ) -> Self {
        let worker = run.status.as_ref().map_or("", |status| status.worker_name.as_str());
        let place = match (pods.alive, standing::of(run, now), admitted) {
            (Some(worker), ..) => Place::Holds(worker),
            _ if run.metadata.deletion_timestamp.is_some() => Place::Out,
            (.., Some(worker)) => Place::Holds(worker),
            (_, Standing::Attempt, _) if !pods.over => Place::Holds(worker),
            (_, Standing::Wants, _) if able => Place::Waits,
            _ => Place::Out,
        };
        let metadata = &run.metadata;
        Self {
            uid: metadata.uid.as_deref().unwrap_or_default(),
            namespace: metadata.namespace.as_deref().unwrap_or_default(),
            name: metadata.name.as_deref().unwrap_or_default(),
            created: metadata.creation_timestamp.as_ref().map_or(0, |time| time.0.as_second()),
            workspace: workspace(run),
            wants,
            place,
            keeps: standing::keeps(run),
        }
    }

    /// Of a pod that outlives its run.
    pub(crate) fn orphan(uid: &'a str, pod: &'a Pod) -> Self {
        let workspace = pod.annotations().get(names::WORKSPACE_ANNOTATION).map_or("", String::as_str);
        Self {
            uid,
            namespace: pod.metadata.namespace.as_deref().unwrap_or_default(),
            name: "",
            created: 0,
            workspace: workspace.into(),
            wants: Wants::default(),
            place: Place::Holds(worker_of(pod)),
            keeps: true,
        }
    }
}

/// The repository of a run, however that is addressed. What is on a claim is known by its claim.
pub(crate) fn workspace(run: &LoopRun) -> Cow<'_, str> {
    let name = naming::workspace(&run.spec.repository.url);
    match &run.spec.repository.volume {
        Some(volume) => {
            let namespace = run.metadata.namespace.as_deref().unwrap_or_default();
            let path = name.strip_prefix("file:///repository/").unwrap_or(&name);
            format!("{namespace}/{}/{path}", volume.claim_name).into()
        }
        None => name,
    }
}

/// The worker whose slot a pod has; empty = the operator.
fn worker_of(pod: &Pod) -> &str {
    pod.labels().get(names::WORKER_LABEL).map_or("", String::as_str)
}

/// All runs, and pods that outlive theirs. `more` gives what a run's template asks for, and whether it is able to start.
pub(crate) fn entries<'a>(
    runs: impl IntoIterator<Item = &'a LoopRun>,
    pods: impl IntoIterator<Item = &'a Pod>,
    admissions: &'a Admissions,
    more: impl Fn(&LoopRun) -> (Option<&'a Asks>, bool),
    now: Timestamp,
) -> Vec<Entry<'a>> {
    let mut of_run: HashMap<&str, Vec<&Pod>> = HashMap::new();
    for pod in pods {
        if let Some(uid) = pod.labels().get(names::RUN_UID_LABEL) {
            of_run.entry(uid).or_default().push(pod);
        }
    }
    let mut entries = Vec::new();
    for run in runs {
        let uid = run.metadata.uid.as_deref().unwrap_or_default();
        let current = run.status.as_ref().map_or("", |status| status.pod_name.as_str());
        let expired = standing::is_expired(run, now);
        let mut seen = Pods::default();
        for pod in of_run.remove(uid).into_iter().flatten() {
            let (over, is_current) = (health::is_over(pod), pod.metadata.name.as_deref() == Some(current));
            // One that its run has gone on without counts as long as its lease may.
            let gone = over || health::is_abandoned(pod, now) || (expired && !is_current);
            if !gone {
                seen.alive = Some(worker_of(pod));
            }
            seen.over |= over && is_current;
        }
        let (asks, able) = more(run);
        entries.push(Entry::of(run, Wants::of(run, asks), seen, admissions.worker(uid), able, now));
    }
    for (uid, pods) in of_run {
        let alive = pods.into_iter().find(|pod| !health::is_over(pod) && !health::is_abandoned(pod, now));
        entries.extend(alive.map(|pod| Entry::orphan(uid, pod)));
    }
    entries
}
