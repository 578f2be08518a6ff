//! The pod of a run: a pure function of the run, the images and what else is supplied.

mod containers;
mod defaults;
mod stores;
mod template;
mod volumes;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, Pod, PodSecurityContext, PodSpec, PodTemplate, SeccompProfile};
use kube::api::ObjectMeta;
use kube::{Resource as _, ResourceExt as _};
use loop_api::crd::LoopRun;
use loop_api::names;
use loop_api::run::LEASE_SECONDS;

use crate::scheduler::workspace;
pub(crate) use stores::may_have_mirrors;
pub(crate) use template::OURS;

use crate::scheduler::Asks;

/// User and group of every container, and of the volumes.
const USER: i64 = 1000;
/// Containers that a `PodTemplate` may add to.
const AGENT: &str = "agent";
const GATE: &str = "gate";
/// Adapter whose CLI is brought.
const CLAUDE: &str = "claude";
/// Time to publish after a signal.
const GRACE_SECONDS: i64 = 60;

/// What operator and worker supply to a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Supplies<'a> {
    /// Image of loop-runner, loop-sidecar and loop-exec.
    pub(crate) runner: &'a str,
    /// Image of the project's toolchain.
    pub(crate) agent: &'a str,
    /// Image of the CLI of Claude Code, if it is to be brought.
    pub(crate) claude: Option<&'a str>,
    /// Claim with mirrors of repositories, if there is one for this run.
    pub(crate) mirrors: Option<&'a str>,
}

/// The pod of an attempt at a run, with what its worker gives.
pub(crate) fn pod(run: &LoopRun, attempt: u32, supplies: &Supplies<'_>) -> Pod {
    let claim = super::objects::claim(run).and_then(|claim| claim.metadata.name);
    let claude = supplies.claude.filter(|_| may_ask_claude(run));
    let mut init = vec![
        containers::install(supplies),
        containers::sidecar(run, attempt, supplies, run.spec.repository.secret_ref.is_some()),
        containers::agent(run, supplies, claude.is_some()),
    ];
    init.extend(claude.map(containers::claude));
    init.push(containers::gate(supplies));
    let secret = run.spec.repository.secret_ref.as_ref().map(|secret| secret.name.as_str());
    let lease = run.status.as_ref().and_then(|status| status.lease_seconds).unwrap_or(LEASE_SECONDS);
    let mut volumes = volumes::all(secret, claim.as_deref());
    volumes.extend(stores::volumes(run, supplies.mirrors));
    let mut pod = Pod {
        metadata: ObjectMeta {
            name: Some(names::pod(&run.name_any(), &run.uid().unwrap_or_default(), attempt)),
            annotations: Some(BTreeMap::from([
                (names::ATTEMPT_ANNOTATION.into(), attempt.to_string()),
                (names::LEASE_ANNOTATION.into(), lease.to_string()),
                (names::WORKSPACE_ANNOTATION.into(), workspace(run).into_owned()),
            ])),
            labels: Some(labels(run)),
            ..metadata(run)
        },
        spec: Some(PodSpec {
            automount_service_account_token: Some(false),
            containers: vec![containers::runner(run, supplies)],
            enable_service_links: Some(false),
            init_containers: Some(init),
            restart_policy: Some("Never".into()),
            security_context: Some(PodSecurityContext {
                fs_group: Some(USER),
                run_as_group: Some(USER),
                run_as_non_root: Some(true),
                run_as_user: Some(USER),
                seccomp_profile: Some(SeccompProfile {
                    type_: "RuntimeDefault".into(),
                    ..Default::default()
                }),
                ..Default::default()
            }),
            service_account_name: Some(names::RUN_ROLE.into()),
            termination_grace_period_seconds: Some(GRACE_SECONDS),
            tolerations: Some(template::leaving(Vec::new())),
            volumes: Some(volumes),
            ..Default::default()
        }),
        status: None,
    };
    if let Some(given) = run.status.as_ref().and_then(|status| status.defaults.as_ref()) {
        defaults::give(&mut pod, given);
    }
    pod
}

/// The same, with what the run's `PodTemplate` adds.
///
/// # Errors
/// What in it the pod of a run cannot have, as the end of a sentence about the template.
pub(crate) fn with_template(mut pod: Pod, run: &LoopRun, template: &PodTemplate) -> Result<Pod, String> {
    if let Some(template) = &template.template {
        template::merge(&mut pod, template, run.spec.agent.image.is_some())?;
    }
    let nameless = |container: &Container| container.image.as_ref().is_none_or(String::is_empty);
    if pod.spec.iter().flat_map(|spec| spec.init_containers.iter().flatten()).any(nameless) {
        return Err(
            "has no container agent with an image, and neither the run nor the operator names one".into()
        );
    }
    Ok(pod)
}

/// What a template asks for that a worker may not allow: images, of volumes too, and its runtime class.
pub(crate) fn asks(template: &PodTemplate) -> Asks {
    let Some(spec) = template.template.as_ref().and_then(|template| template.spec.as_ref()) else {
        return Asks::default();
    };
    let containers = spec.containers.iter().chain(spec.init_containers.iter().flatten());
    let part = |container: &Container| [AGENT, GATE].contains(&container.name.as_str());
    let of_containers = containers
        .filter(|container| !part(container) || container.image.as_deref() != Some(template::INHERIT))
        .filter_map(|container| container.image.as_ref());
    let volumes =
        spec.volumes.iter().flatten().filter_map(|volume| volume.image.as_ref()?.reference.as_ref());
    let images = of_containers.chain(volumes).filter(|image| !image.is_empty()).cloned().collect();
    Asks { images, runtime_class: spec.runtime_class_name.clone() }
}

/// Labels of a run's pod: those of all that is made for it, and whose slot it has.
fn labels(run: &LoopRun) -> BTreeMap<String, String> {
    let mut labels = metadata(run).labels.unwrap_or_default();
    let worker = run.status.as_ref().map(|status| &status.worker_name).filter(|worker| !worker.is_empty());
    labels.extend(worker.map(|worker| (names::WORKER_LABEL.to_owned(), worker.clone())));
    labels
}

/// Whether the agent or the reviewer may be Claude Code. Without a word it depends on the repository.
fn may_ask_claude(run: &LoopRun) -> bool {
    let reviewer = run.spec.review.adapter.as_deref();
    ["", CLAUDE].contains(&run.spec.agent.adapter.as_str()) || reviewer == Some(CLAUDE)
}

/// Labels and owner of everything that is made for a run.
pub(crate) fn metadata(run: &LoopRun) -> ObjectMeta {
    let labels = [
        (names::RUN_LABEL, run.name_any()),
        (names::RUN_UID_LABEL, run.uid().unwrap_or_default()),
        (names::MANAGED_BY_LABEL, names::OPERATOR.to_owned()),
        (names::NAME_LABEL, names::PRODUCT.to_owned()),
    ];
    ObjectMeta {
        namespace: run.namespace(),
        labels: Some(labels.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        owner_references: run.controller_owner_ref(&()).map(|owner| vec![owner]),
        ..ObjectMeta::default()
    }
}

#[cfg(test)]
mod tests;
