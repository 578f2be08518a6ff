//! What the containers of a run's pod say: how far it is, and what stands in its way.

use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodCondition};
use kube::ResourceExt as _;
use loop_api::names;
use loop_api::run::LEASE_SECONDS;

use super::pod::OURS;
use super::status::LEASE_MARGIN;

/// The container whose refusal ends a run, whenever it comes.
const SIDECAR: &str = "sidecar";
/// The container whose end is that of the pod.
const RUNNER: &str = "runner";
/// Reasons of Kubernetes for the end of pods whose node is not heard of, or is no longer there.
const UNHEARD: [&str; 2] = ["DeletionByTaintManager", "DeletionByPodGC"];
/// Reason of Kubernetes for a container that ends again and again.
pub(crate) const CRASHES: &str = "CrashLoopBackOff";
/// Seconds that volumes and network of a pod may take before that is worth a word.
const PATIENCE: i64 = 30;

/// How a pod stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Health {
    /// How far it is.
    pub(crate) stage: Stage,
    /// What stands in its way, or how it ended.
    pub(crate) trouble: Option<Trouble>,
    /// When the runner began.
    pub(crate) started: Option<Timestamp>,
    /// Of a pod that is over: whether its node has said so. Otherwise it may still be at work.
    pub(crate) confirmed: bool,
    /// Since when the node has the pod, where a container of it has crashed so often that the kubelet lets it rest.
    pub(crate) crashes: Option<Timestamp>,
    /// What its end without a result means; of a pod that goes on, what it would mean if it was gone.
    pub(crate) outcome: Outcome,
}

/// What the end of a pod without a result means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The run was paused.
    Paused,
    /// Somebody has to put something right.
    Refused,
    /// Another pod can go on.
    Lost,
}

/// How far a pod is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The runner has not begun.
    Starting,
    /// The runner has begun.
    Running,
    /// It will never get further, although the kubelet goes on trying.
    Broken,
    /// It is to end, and its node does not say that it has.
    Unreachable,
    /// All its containers have ended.
    Over,
}

/// Why a pod does not get on: a word and a sentence with what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// `CamelCase` word.
    pub(crate) reason: String,
    /// What was seen and what to do.
    pub(crate) message: String,
}

fn trouble(reason: &str, message: String) -> Trouble {
    Trouble { reason: reason.to_owned(), message }
}

/// Whether no container of the pod runs or will run again.
pub(crate) fn is_over(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

/// How a pod stands at `now`.
pub(crate) fn of(pod: &Pod, now: Timestamp) -> Health {
    let started = statuses(pod).find(|status| status.name == RUNNER).and_then(began);
    let (stage, trouble) = if is_over(pod) {
        (Stage::Over, Some(ending(pod)))
    } else if let Some(broken) = statuses(pod).find_map(|status| last_words(status, started.is_some())) {
        (Stage::Broken, Some(broken))
    } else {
        let stage = if started.is_some() { Stage::Running } else { Stage::Starting };
        if let Some(gone) = unreachable(pod, now) {
            let (trouble, outcome) = (Some(gone), outcome(pod));
            let stage = Stage::Unreachable;
            return Health { stage, trouble, started, confirmed: false, crashes: None, outcome };
        }
        let waiting = statuses(pod).find_map(|status| waiting(pod, status)).or_else(|| {
            statuses(pod).find_map(|status| again(&pod.name_any(), status).filter(|_| started.is_none()))
        });
        let unready = || statuses(pod).find_map(|status| unready(pod, status, now));
        let trouble = waiting.or_else(|| unplaced(pod)).or_else(|| unprepared(pod, now)).or_else(unready);
        (stage, trouble)
    };
    let outcome = if stage == Stage::Broken { Outcome::Refused } else { outcome(pod) };
    let confirmed = disrupted(pod).is_none() && statuses(pod).all(|status| !is_running(status));
    Health { stage, trouble, started, confirmed, crashes: crashes(pod), outcome }
}

fn crashes(pod: &Pod) -> Option<Timestamp> {
    statuses(pod).find(|status| waits(status) == Some(CRASHES))?;
    Some(pod.status.as_ref()?.start_time.as_ref()?.0)
}

/// The kubelet's word for why a container does not run.
fn waits(status: &ContainerStatus) -> Option<&str> {
    status.state.as_ref()?.waiting.as_ref()?.reason.as_deref()
}

/// By the exit code of the runner; where it never began, by those of the containers before it.
fn outcome(pod: &Pod) -> Outcome {
    let code = |status: &ContainerStatus| Some(status.state.as_ref()?.terminated.as_ref()?.exit_code);
    match statuses(pod).find(|status| status.name == RUNNER).and_then(code) {
        Some(names::EXIT_PAUSED) => Outcome::Paused,
        Some(names::EXIT_REFUSED) => Outcome::Refused,
        None if statuses(pod).any(|status| is_ours(status) && code(status) == Some(names::EXIT_REFUSED)) => {
            Outcome::Refused
        }
        _ => Outcome::Lost,
    }
}

/// A pod that should be gone: its node is lost, or cannot be reached.
fn unreachable(pod: &Pod, now: Timestamp) -> Option<Trouble> {
    let due = pod.metadata.deletion_timestamp.as_ref()?.0;
    if disrupted(pod).is_none() && now.as_second() - due.as_second() < PATIENCE {
        return None;
    }
    let name = pod.name_any();
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).unwrap_or_default();
    Some(trouble(
        "NodeLost",
        format!("node {node} was not heard of for a while, and does not end pod {name}"),
    ))
}

/// Why Kubernetes itself ended a pod without a word from its node, if it did.
fn disrupted(pod: &Pod) -> Option<&str> {
    let target = condition(pod, "DisruptionTarget").filter(|target| target.status == "True")?;
    target.reason.as_deref().filter(|reason| UNHEARD.contains(reason))
}

/// Whether a pod whose run is gone can no longer be at work, though its node does not say so.
pub(crate) fn is_abandoned(pod: &Pod, now: Timestamp) -> bool {
    let lease = pod.annotations().get(names::LEASE_ANNOTATION).and_then(|seconds| seconds.parse().ok());
    let patience = lease.unwrap_or(i64::from(LEASE_SECONDS)) + LEASE_MARGIN;
    let due = pod.metadata.deletion_timestamp.as_ref();
    due.is_some_and(|due| now.as_second() - due.0.as_second() > patience)
}

fn is_running(status: &ContainerStatus) -> bool {
    status.state.as_ref().is_some_and(|state| state.running.is_some())
}

fn statuses(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    let status = pod.status.as_ref();
    status
        .into_iter()
        .flat_map(|status| [&status.init_container_statuses, &status.container_statuses])
        .flatten()
        .flatten()
}

fn began(status: &ContainerStatus) -> Option<Timestamp> {
    let state = status.state.as_ref()?;
    let running = state.running.as_ref().and_then(|running| running.started_at.as_ref());
    let ended = state.terminated.as_ref().and_then(|ended| ended.started_at.as_ref());
    running.or(ended).map(|time| time.0)
}

/// Exit code and message of a container's last end that was no success.
fn failure(status: &ContainerStatus) -> Option<(i32, &str)> {
    let ended = [&status.state, &status.last_state]
        .into_iter()
        .find_map(|state| state.as_ref().and_then(|state| state.terminated.as_ref()))?;
    let message = ended.message.as_deref().unwrap_or_default().trim();
    (ended.exit_code != 0).then_some((ended.exit_code, message))
}

/// A container that the kubelet starts again and again, but that has said why it cannot do its work. An agent's or a
/// gate's container is the loop's business once the runner has begun.
fn last_words(status: &ContainerStatus, begun: bool) -> Option<Trouble> {
    let (code, message) = failure(status).filter(|(_, message)| !message.is_empty())?;
    // A sidecar that has another reason is started again, and may get on then.
    let ends = match status.name.as_str() {
        SIDECAR => code == names::EXIT_REFUSED,
        RUNNER => false,
        // A service may get on when it is started again.
        _ => !begun && is_ours(status),
    };
    ends.then(|| trouble(&failed(&status.name), format!("{}: {message}", status.name)))
}

fn is_ours(status: &ContainerStatus) -> bool {
    OURS.contains(&status.name.as_str())
}

/// A service of a template that runs, and has not been ready for a while.
fn unready(pod: &Pod, status: &ContainerStatus, now: Timestamp) -> Option<Trouble> {
    let since = status.state.as_ref()?.running.as_ref()?.started_at.as_ref()?.0;
    if is_ours(status) || status.started != Some(false) || now.as_second() - since.as_second() < PATIENCE {
        return None;
    }
    let (name, pod) = (&status.name, pod.name_any());
    Some(trouble(
        "ServiceNotReady",
        format!(
            "service {name} runs, but its startupProbe or readinessProbe fails, and the loop waits for it; look at the \
             PodTemplate of spec.podTemplateRef (kubectl describe pod {pod}; kubectl logs {pod} -c {name})"
        ),
    ))
}

/// `SidecarFailed` for `sidecar`.
fn failed(container: &str) -> String {
    let mut letters = container.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).chain("Failed".chars()).collect()
}

/// A sidecar that is not ready, and said why when it last ended. It is told while the sidecar tries again, too: a status that
/// went to and fro would be a write of each.
fn again(pod: &str, status: &ContainerStatus) -> Option<Trouble> {
    let (_, words) = failure(status).filter(|(_, words)| !words.is_empty())?;
    let unready = status.name == SIDECAR && status.started != Some(true);
    unready.then(|| trouble(CRASHES, format!("{words} (kubectl logs {pod} -c {SIDECAR} --previous)")))
}

/// A container that the kubelet cannot start. The kubelet's own words change from try to try, and are left out where
/// they would make a write of each.
fn waiting(pod: &Pod, status: &ContainerStatus) -> Option<Trouble> {
    let waiting = status.state.as_ref()?.waiting.as_ref()?;
    let (name, pod) = (&status.name, pod.name_any());
    let reason = waiting.reason.as_deref().unwrap_or_default();
    Some(match reason {
        "ErrImagePull"
        | "ImagePullBackOff"
        | "ErrImageNeverPull"
        | "InvalidImageName"
        | "RegistryUnavailable" => {
            let place = match name.as_str() {
                "agent" | "gate" => {
                    "spec.agent.image, the PodTemplate of the run or the operator's --agent-image"
                }
                "claude" => "the operator's --claude-image",
                "install" | SIDECAR | RUNNER => "the operator's --runner-image",
                _ => "the PodTemplate of spec.podTemplateRef",
            };
            let image = &status.image;
            trouble(
                "ImageNotPulled",
                format!(
                    "container {name}: the node cannot pull image {image}; check {place} and the node's access to the \
                     registry (kubectl describe pod {pod})"
                ),
            )
        }
        "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => {
            let message = waiting.message.as_deref().unwrap_or_default();
            let missing = message.starts_with("secret ") && message.ends_with(" not found");
            let remedy = if missing { "; make it in this namespace, and the run goes on" } else { "" };
            trouble(
                reason,
                format!("container {name} cannot be started: {message}{remedy} (kubectl describe pod {pod})"),
            )
        }
        CRASHES => {
            if let Some(trouble) = again(&pod, status) {
                return Some(trouble);
            }
            let (code, words) = failure(status).unwrap_or_default();
            let words = if words.is_empty() { String::new() } else { format!(" ({words})") };
            trouble(
                reason,
                format!(
                    "container {name} ends again and again, last with exit code {code}{words}; see why with kubectl logs {pod} \
                     -c {name} --previous"
                ),
            )
        }
        _ => return None,
    })
}

fn condition<'a>(pod: &'a Pod, kind: &str) -> Option<&'a PodCondition> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == kind)
}

/// A pod that no node takes.
fn unplaced(pod: &Pod) -> Option<Trouble> {
    let scheduled = condition(pod, "PodScheduled").filter(|condition| condition.status == "False")?;
    let message = scheduled.message.as_deref().unwrap_or_default();
    let name = pod.name_any();
    Some(trouble(
        scheduled.reason.as_deref().filter(|reason| !reason.is_empty()).unwrap_or("Unschedulable"),
        format!("no node takes pod {name}: {message}; make room or add a node, and the run goes on"),
    ))
}

/// A pod whose volumes or network are not there after a while; mostly a Secret that does not exist, or a claim whose volume
/// another node has.
fn unprepared(pod: &Pod, now: Timestamp) -> Option<Trouble> {
    let placed = condition(pod, "PodScheduled").filter(|condition| condition.status == "True")?;
    condition(pod, "PodReadyToStartContainers").filter(|condition| condition.status == "False")?;
    let since = placed.last_transition_time.as_ref()?.0;
    if now.as_second() - since.as_second() < PATIENCE {
        return None;
    }
    let name = pod.name_any();
    let volumes = || pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    let secrets: BTreeSet<&str> =
        volumes().filter_map(|volume| volume.secret.as_ref()?.secret_name.as_deref()).collect();
    let claims: BTreeSet<&str> = volumes()
        .filter_map(|volume| Some(volume.persistent_volume_claim.as_ref()?.claim_name.as_str()))
        .collect();
    let list = |names: &BTreeSet<&str>| names.iter().copied().collect::<Vec<_>>().join(", ");
    let mut checks = Vec::new();
    match secrets.len() {
        0 => {}
        1 => checks.push(format!("that Secret {} exists in the namespace", list(&secrets))),
        _ => checks.push(format!("that the Secrets {} exist in the namespace", list(&secrets))),
    }
    if !claims.is_empty() {
        checks.push(format!("that no other node has the volume of claim {}", list(&claims)));
    }
    let remedy = match checks.as_slice() {
        [] => "the node's network may be broken".to_owned(),
        checks => format!("check {}", checks.join(" and ")),
    };
    Some(trouble(
        "PodNotPrepared",
        format!("volumes or network of pod {name} are not ready: {remedy} (kubectl describe pod {name})"),
    ))
}

/// How a pod ended that left no result.
fn ending(pod: &Pod) -> Trouble {
    let name = pod.name_any();
    let status = pod.status.as_ref();
    let word = status.and_then(|status| status.reason.as_deref()).unwrap_or_default();
    let mut said: Vec<String> = Vec::new();
    said.extend(status.and_then(|status| status.message.clone()).filter(|message| !message.is_empty()));
    for status in statuses(pod) {
        match failure(status) {
            // The kubelet ends sidecars by signal when the runner has ended.
            Some((137 | 143, "")) if status.name != RUNNER => {}
            None => {}
            Some((code, "")) => said.push(format!("{} ended with exit code {code}", status.name)),
            Some((_, message)) => said.push(format!("{}: {message}", status.name)),
        }
    }
    if said.is_empty() {
        said.push("its containers say nothing of why".to_owned());
    }
    let reason = if word.is_empty() { "PodFailed" } else { word };
    let said = said.join("; ");
    trouble(
        reason,
        format!("pod {name} ended without a result: {said} (kubectl logs {name} --all-containers)"),
    )
}

#[cfg(test)]
mod tests;
