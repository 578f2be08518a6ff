//! Effects: each function writes one thing to the API server.

use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, PodTemplate, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::rbac::v1::RoleBinding;

use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::runtime::events::EventType;
use kube::{Api, Client, Resource, ResourceExt as _};
use loop_api::crd::LoopRun;
use loop_api::names;
use loop_api::run::{API_VERSION, KIND};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::objects;
use super::pod::{self, Supplies};
use super::status::Owned;
use crate::events;

/// Why something could not be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The API server refused or was not reached.
    #[error("{what}: {}", words(source))]
    Api {
        /// What was attempted.
        what: String,
        /// What came back.
        source: Box<kube::Error>,
    },
    /// Something else has the name.
    #[error(
        "{kind} {name} is there already and does not belong to this run; delete or rename it, and the run goes on"
    )]
    Foreign {
        /// Kind of the object.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// The run's template cannot be used.
    #[error("PodTemplate {name} of spec.podTemplateRef {reason}; put that right, and the run goes on")]
    Template {
        /// Its name.
        name: String,
        /// The end of the sentence.
        reason: String,
    },
}

/// What the API server said, without the parts of its answer that are for programs.
pub(crate) fn words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}

impl Error {
    /// Whether somebody else has written the object since it was read.
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(self, Self::Api { source, .. } if matches!(source.as_ref(), kube::Error::Api(status) if status.is_conflict()))
    }

    /// A sentence for the run's status, when it is the API server's word and not a passing trouble.
    pub(crate) fn refusal(&self) -> Option<String> {
        match self {
            Self::Foreign { .. } | Self::Template { .. } => Some(self.to_string()),
            Self::Api { what, source } => match source.as_ref() {
                kube::Error::Api(status) if (400..500).contains(&status.code) && !passing(status.code) => {
                    let remedy = if status.message.contains("exceeded quota") {
                        "; wait for other pods of the namespace to end, or have its ResourceQuota raised"
                    } else {
                        ""
                    };
                    Some(format!("{what}: {}{remedy}; it is tried again", status.message))
                }
                _ => None,
            },
        }
    }
}

/// Conflict and throttling: the next try has other premises.
fn passing(code: u16) -> bool {
    matches!(code, 409 | 429)
}

fn failed<'a>(what: &'a str, name: &'a str) -> impl FnOnce(kube::Error) -> Error + 'a {
    move |source| Error::Api { what: format!("{what} {name}"), source: Box::new(source) }
}

fn namespaced<K>(client: &Client, run: &LoopRun) -> Api<K>
where
    K: Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
{
    Api::namespaced(client.clone(), &run.namespace().unwrap_or_default())
}

/// Writes the operator's part of the status, if nobody has written the run since it was read: an operator which was asleep
/// while another took over decides nothing, and gives no pod its run back.
pub(crate) async fn status(client: &Client, run: &LoopRun, status: &Owned) -> Result<LoopRun, Error> {
    let name = run.name_any();
    let metadata = json!({"name": name, "uid": run.uid(), "resourceVersion": run.resource_version()});
    let body = json!({"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "status": status});
    let parameters = PatchParams::apply(names::OPERATOR).force();
    let runs: Api<LoopRun> = namespaced(client, run);
    runs.patch_status(&name, &parameters, &Patch::Apply(&body))
        .await
        .map_err(failed("write status of run", &name))
}

/// The run as the API server has it now; `None` when it is gone, or another one of its name is there.
pub(crate) async fn read(client: &Client, run: &LoopRun) -> Result<Option<LoopRun>, Error> {
    let name = run.name_any();
    let runs: Api<LoopRun> = namespaced(client, run);
    let found = runs.get_opt(&name).await.map_err(failed("read run", &name))?;
    Ok(found.filter(|found| found.uid() == run.uid()))
}

/// The pod that a status names, if it is there.
pub(crate) async fn read_pod(client: &Client, run: &LoopRun, owned: &Owned) -> Result<Option<Pod>, Error> {
    let pods: Api<Pod> = namespaced(client, run);
    let found = pods.get_opt(&owned.pod_name).await.map_err(failed("read pod", &owned.pod_name))?;
    Ok(found.filter(|found| found.uid().as_deref() == Some(&owned.pod_uid)))
}

/// Makes account and role of the pods in the run's namespace, and their network policy if there is to be one.
pub(crate) async fn access(client: &Client, run: &LoopRun, network_policy: bool) -> Result<(), Error> {
    let namespace = run.namespace().unwrap_or_default();
    let accounts: Api<ServiceAccount> = namespaced(client, run);
    let made = accounts.create(&PostParams::default(), &objects::service_account(&namespace)).await;
    unless_there(made).map_err(failed("create service account", names::RUN_ROLE))?;
    let bindings: Api<RoleBinding> = namespaced(client, run);
    let made = bindings.create(&PostParams::default(), &objects::role_binding(&namespace)).await;
    unless_there(made).map_err(failed("create role binding", names::RUN_ROLE))?;
    if !network_policy {
        return Ok(());
    }
    let policies: Api<NetworkPolicy> = namespaced(client, run);
    let made = policies.create(&PostParams::default(), &objects::network_policy(&namespace)).await;
    unless_there(made).map_err(failed("create network policy", names::RUN_ROLE))
}

/// Makes the pod with all that it needs, or finds it made; gives its uid.
pub(crate) async fn start(
    client: &Client,
    run: &LoopRun,
    attempt: u32,
    supplies: &Supplies<'_>,
    template: Option<&PodTemplate>,
) -> Result<String, Error> {
    let pod = wanted(run, attempt, supplies, template)?;
    let maps: Api<ConfigMap> = namespaced(client, run);
    let mut there = Vec::new();
    for name in objects::maps(run) {
        // Before there is a pod, which would work for nothing.
        let found = maps.get_opt(&name).await.map_err(failed("read ConfigMap", &name))?;
        if found.as_ref().is_some_and(|found| !belongs(found, run)) {
            return Err(Error::Foreign { kind: "ConfigMap", name });
        }
        there.push(found);
    }
    if let Some(claim) = objects::claim(run) {
        let claims: Api<PersistentVolumeClaim> = namespaced(client, run);
        create(&claims, run, "PersistentVolumeClaim", &claim).await?;
    }
    let pods: Api<Pod> = namespaced(client, run);
    let pod = create(&pods, run, "Pod", &pod).await?;
    let uid = pod.uid().unwrap_or_default();
    for (map, found) in objects::config_maps(run, &uid).into_iter().zip(there) {
        // To make what an earlier attempt has made would be a write that is refused.
        let found = match found {
            Some(found) => found,
            None => create(&maps, run, "ConfigMap", &map).await?,
        };
        if found.metadata.annotations == map.metadata.annotations {
            continue;
        }
        let name = map.name_any();
        let patch = json!({"metadata": {"annotations": map.metadata.annotations}});
        maps.patch(&name, &PatchParams::default(), &Patch::Merge(&patch))
            .await
            .map_err(failed("annotate ConfigMap", &name))?;
    }
    Ok(uid)
}

/// Whether a claim of this name is in the run's namespace that every node can read.
pub(crate) async fn is_shared(client: &Client, run: &LoopRun, name: &str) -> Result<bool, Error> {
    let claims: Api<PersistentVolumeClaim> = namespaced(client, run);
    let found = claims.get_opt(name).await.map_err(failed("read PersistentVolumeClaim", name))?;
    Ok(found.as_ref().is_some_and(objects::is_shared))
}

/// Takes from a pod the note of who set which of its fields, which the API server makes with every object: it is a large
/// part of what a pod takes of the store, for as long as the run is kept, and nobody applies pods of runs.
pub(crate) async fn forget_fields(client: &Client, run: &LoopRun, name: &str) -> Result<(), Error> {
    let pods: Api<Pod> = namespaced(client, run);
    let patch = json!({"metadata": {"managedFields": [{}]}});
    let forgotten = pods.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await;
    unless_gone(forgotten.map(|_| ())).map(drop).map_err(failed("shrink pod", name))
}

/// The template that a run names.
pub(crate) async fn template(client: &Client, run: &LoopRun) -> Result<Option<PodTemplate>, Error> {
    let Some(reference) = &run.spec.pod_template_ref else { return Ok(None) };
    let name = &reference.name;
    let templates: Api<PodTemplate> = namespaced(client, run);
    let found = templates.get_opt(name).await.map_err(failed("read PodTemplate", name))?;
    let missing =
        || Error::Template { name: name.clone(), reason: "is not in the namespace of the run".into() };
    found.ok_or_else(missing).map(Some)
}

/// The pod, with what the run's template adds to it.
pub(crate) fn wanted(
    run: &LoopRun,
    attempt: u32,
    supplies: &Supplies<'_>,
    template: Option<&PodTemplate>,
) -> Result<Pod, Error> {
    let pod = pod::pod(run, attempt, supplies);
    let Some(template) = template else { return Ok(pod) };
    let unfit = |reason: String| Error::Template { name: template.name_any(), reason };
    pod::with_template(pod, run, template).map_err(unfit)
}

/// Ends a pod that the kubelet would start again for ever. A deadline in the past ends its containers and keeps their
/// logs; a pod that no node has taken has none.
pub(crate) async fn stop(client: &Client, run: &LoopRun, pod: &Pod) -> Result<(), Error> {
    let name = pod.name_any();
    let pods: Api<Pod> = namespaced(client, run);
    let begun = pod.status.as_ref().is_some_and(|status| status.start_time.is_some());
    let asked = pod.spec.as_ref().is_some_and(|spec| spec.active_deadline_seconds.is_some());
    if begun && asked {
        return Ok(());
    }
    let ended = if begun {
        let patch = json!({"spec": {"activeDeadlineSeconds": 1}});
        pods.patch(&name, &PatchParams::default(), &Patch::Merge(&patch)).await.map(|_| ())
    } else {
        pods.delete(&name, &DeleteParams::default()).await.map(|_| ())
    };
    unless_gone(ended).map(drop).map_err(failed("end pod", &name))
}

/// Tells those who look at the run that an attempt was given up which may still be at work (EVT-21).
pub(crate) async fn lease_expired(client: &Client, run: &LoopRun, message: &str) -> Result<(), Error> {
    let told =
        events::tell(client, run.object_ref(&()), EventType::Warning, ("LeaseExpired", "Revoke"), message);
    told.await.map_err(failed("tell of run", &run.name_any()))
}

/// Has this pod write to the run's `ConfigMaps` no more; one that was given to another stays that one's.
pub(crate) async fn close_maps(client: &Client, run: &LoopRun, pod_uid: &str) -> Result<(), Error> {
    let maps: Api<ConfigMap> = namespaced(client, run);
    for name in objects::maps(run) {
        let found = maps.get_opt(&name).await.map_err(failed("read ConfigMap", &name))?;
        let marked = |map: &ConfigMap| {
            map.annotations().get(names::POD_UID_ANNOTATION).is_some_and(|marked| marked == pod_uid)
        };
        let Some(found) = found.filter(marked) else { continue };
        let patch = json!({"metadata": {
            "resourceVersion": found.resource_version(), "annotations": {names::POD_UID_ANNOTATION: null},
        }});
        let closed = maps.patch(&name, &PatchParams::default(), &Patch::Merge(&patch)).await;
        unless_gone(closed).map_err(failed("close ConfigMap", &name))?;
    }
    Ok(())
}

/// Deletes a pod of the run by its name; says whether it was there.
pub(crate) async fn delete_pod(client: &Client, run: &LoopRun, name: &str) -> Result<bool, Error> {
    let pods: Api<Pod> = namespaced(client, run);
    let Some(pod) = pods.get_opt(name).await.map_err(failed("read pod", name))? else { return Ok(false) };
    if !belongs(&pod, run) {
        return Ok(false);
    }
    if pod.metadata.deletion_timestamp.is_some() {
        return Ok(true);
    }
    unless_gone(pods.delete(name, &DeleteParams::default()).await).map_err(failed("delete pod", name))
}

/// Deletes the run itself, and no other of its name.
pub(crate) async fn expire(client: &Client, run: &LoopRun) -> Result<(), Error> {
    let name = run.name_any();
    let runs: Api<LoopRun> = namespaced(client, run);
    let preconditions = Preconditions { uid: run.uid(), resource_version: run.resource_version() };
    let parameters = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::background() };
    unless_gone(runs.delete(&name, &parameters).await).map(drop).map_err(failed("delete run", &name))
}

fn belongs<K: Resource>(object: &K, run: &LoopRun) -> bool {
    let uid = run.uid().unwrap_or_default();
    object.owner_references().iter().any(|owner| owner.uid == uid && owner.controller == Some(true))
}

/// Makes an object of the run; one of its name that is there already must be the run's own.
async fn create<K>(api: &Api<K>, run: &LoopRun, kind: &'static str, object: &K) -> Result<K, Error>
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + Serialize + DeserializeOwned,
{
    let name = object.name_any();
    match api.create(&PostParams::default(), object).await {
        Err(kube::Error::Api(status)) if status.is_already_exists() => {}
        other => return other.map_err(failed(&format!("create {kind}"), &name)),
    }
    let found = api.get(&name).await.map_err(failed(&format!("read {kind}"), &name))?;
    if belongs(&found, run) { Ok(found) } else { Err(Error::Foreign { kind, name }) }
}

/// Says whether it was there.
fn unless_gone<K>(ended: kube::Result<K>) -> kube::Result<bool> {
    match ended {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(false),
        other => other.map(|_| true),
    }
}

fn unless_there<K>(made: kube::Result<K>) -> kube::Result<()> {
    match made {
        Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
        other => other.map(|_| ()),
    }
}
