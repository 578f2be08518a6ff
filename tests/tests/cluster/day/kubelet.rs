//! A node that is only said to be there. Pods of the day are placed on it, and this plays its kubelet.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use futures::StreamExt as _;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::runtime::watcher;
use kube::{Api, ResourceExt as _};
use loop_api::names;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::course::Fate;
use super::sidecar::{self, How};
use super::{Day, Run, insist};

/// Label and taint of the node, so that no other pod is placed there.
pub(super) const MARK: &str = "agentloop-test-day";

/// What is wanted of a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wish {
    Live,
    /// It was deleted, and has its grace.
    Leave,
    /// It is to be ended as one that took too long.
    Expire,
    /// The API server has forgotten it.
    Gone,
}

/// Has the node heard of until the day is over.
pub(super) async fn beat(day: Rc<Day>) {
    let name = &day.node;
    let nodes: Api<Node> = Api::all(day.client.clone());
    let leases: Api<Lease> = Api::namespaced(day.client.clone(), "kube-node-lease");
    let apply = PatchParams::apply(MARK).force();
    let room = json!({"cpu": "100k", "memory": "100Ti", "pods": "100k", "ephemeral-storage": "100Ti"});
    loop {
        let now = Timestamp::now();
        let seconds = format!("{}Z", now.strftime("%Y-%m-%dT%H:%M:%S"));
        let micro = format!("{}Z", now.strftime("%Y-%m-%dT%H:%M:%S%.6f"));
        let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {MARK: name}},
            "spec": {"taints": [{"key": MARK, "effect": "NoSchedule"}]}});
        let status = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "status": {
            "capacity": room, "allocatable": room, "conditions": [{"type": "Ready", "status": "True", "reason": "Test",
            "message": "a test", "lastHeartbeatTime": seconds, "lastTransitionTime": seconds}]}});
        let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": name, "namespace": "kube-node-lease"},
            "spec": {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": micro}});
        insist("the node", async || nodes.patch(name, &apply, &Patch::Apply(&node)).await).await;
        insist("the node", async || nodes.patch_status(name, &apply, &Patch::Apply(&status)).await).await;
        insist("its lease", async || leases.patch(name, &apply, &Patch::Apply(&lease)).await).await;
        tokio::time::sleep(Duration::from_secs(10)).await;
    }
}

/// Plays the kubelet until the day is over.
pub(super) async fn serve(day: Rc<Day>) {
    let pods: Api<Pod> = Api::all(day.client.clone());
    let mine = watcher::Config::default().fields(&format!("spec.nodeName={}", day.node));
    let mut known: HashMap<String, watch::Sender<Wish>> = HashMap::new();
    let mut changes = watcher(pods, mine).boxed_local();
    while let Some(change) = changes.next().await {
        let (pod, gone) = match change {
            Ok(watcher::Event::Apply(pod) | watcher::Event::InitApply(pod)) => (pod, false),
            Ok(watcher::Event::Delete(pod)) => (pod, true),
            Ok(_) => continue,
            Err(error) => {
                super::say(&format!("the watch of the pods: {error}"));
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
        };
        let uid = pod.uid().expect("a uid");
        let wish = if gone {
            Wish::Gone
        } else if pod.metadata.deletion_timestamp.is_some() {
            Wish::Leave
        } else if pod.spec.as_ref().is_some_and(|spec| spec.active_deadline_seconds.is_some()) {
            Wish::Expire
        } else {
            Wish::Live
        };
        if let Some(told) = known.get(&uid) {
            told.send_if_modified(|before| {
                *before < wish && {
                    *before = wish;
                    true
                }
            });
        } else if let Some(run) = day.run_of(&pod).filter(|_| !gone) {
            let (told, wishes) = watch::channel(wish);
            known.insert(uid, told);
            tokio::task::spawn_local(live(Rc::clone(&day), run, pod, wishes));
        }
    }
}

/// One pod from its placement to its end.
async fn live(day: Rc<Day>, run: Rc<Run>, pod: Pod, mut wishes: watch::Receiver<Wish>) {
    run.begin_pod();
    let attempt: u32 = pod.annotations()[names::ATTEMPT_ANNOTATION].parse().expect("a number");
    let first = attempt == 1;
    // What images, volumes and a clone take is not made faster.
    tokio::time::sleep(Duration::from_secs_f64(1.0 + 2.0 * run.course.moment)).await;
    let fate = run.course.fate;
    if first && [Fate::Pulled, Fate::Stuck].contains(&fate) {
        let waits = json!({"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}});
        tell(
            &day,
            &pod,
            &status(&pod, "Pending", &waits, &json!({"waiting": {"reason": "PodInitializing"}})),
        )
        .await;
        let answer = async {
            if fate == Fate::Pulled {
                day.sleep(run.course.answer).await;
            } else {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = answer => {}
            _ = wishes.wait_for(|wish| *wish > Wish::Live) => {}
        }
    }
    let running = json!({"running": {"startedAt": Timestamp::now().to_string()}});
    let mut how = How::Lost;
    if first && fate == Fate::Refused {
        let words = "the repository cannot be cloned, authentication failed; look at spec.repository and the Secret that it names";
        let ended =
            json!({"terminated": {"exitCode": names::EXIT_REFUSED, "reason": "Error", "message": words}});
        tell(
            &day,
            &pod,
            &status(&pod, "Pending", &ended, &json!({"waiting": {"reason": "PodInitializing"}})),
        )
        .await;
        let _ = wishes.wait_for(|wish| *wish > Wish::Live).await;
    } else if *wishes.borrow() == Wish::Live {
        tell(&day, &pod, &status(&pod, "Running", &running, &running)).await;
        how = sidecar::serve(&day, &run, &pod, attempt, &mut wishes).await;
    }
    run.end_pod();
    let wish = *wishes.borrow();
    if wish == Wish::Gone {
        return;
    }
    let (phase, code) = match how {
        How::Ended(0) => ("Succeeded", 0),
        How::Ended(code) => ("Failed", code),
        How::Evicted | How::Lost => ("Failed", 137),
    };
    let began = running["running"]["startedAt"].clone();
    let ended = |code: i32| json!({"terminated": {"exitCode": code, "reason": "Ended", "startedAt": began, "finishedAt": began}});
    let mut said = status(&pod, phase, &ended(0), &ended(code));
    if how == How::Evicted {
        said["reason"] = "Evicted".into();
        said["message"] = "The node was low on resource: memory.".into();
    } else if wish == Wish::Expire {
        said["reason"] = "DeadlineExceeded".into();
    }
    tell(&day, &pod, &said).await;
    if wish == Wish::Leave {
        let pods: Api<Pod> = Api::namespaced(day.client.clone(), &run.namespace);
        let preconditions = Some(Preconditions { uid: pod.uid(), resource_version: None });
        let now = DeleteParams { grace_period_seconds: Some(0), preconditions, ..DeleteParams::default() };
        // It may be gone by itself, as its phase says that it has ended.
        let _ = pods.delete(&pod.name_any(), &now).await;
    }
}

/// Status of a pod: in which state the sidecar is, in which the runner; the other containers do as the sidecar does.
fn status(pod: &Pod, phase: &str, sidecar: &Value, runner: &Value) -> Value {
    let spec = pod.spec.as_ref().expect("a spec");
    let one = |name: &str, state: &Value| {
        json!({"name": name, "state": state, "image": "fake", "imageID": "", "restartCount": 0,
            "ready": state.get("running").is_some(), "started": state.get("running").is_some()})
    };
    let done = json!({"terminated": {"exitCode": 0, "reason": "Completed"}});
    let first: Vec<Value> = spec
        .init_containers
        .iter()
        .flatten()
        .map(|container| {
            if container.restart_policy.is_none() {
                one(&container.name, &done)
            } else {
                one(&container.name, sidecar)
            }
        })
        .collect();
    let main: Vec<Value> = spec.containers.iter().map(|container| one(&container.name, runner)).collect();
    json!({"phase": phase, "startTime": pod.creation_timestamp(), "hostIP": "10.250.0.2",
        "initContainerStatuses": first, "containerStatuses": main})
}

async fn tell(day: &Day, pod: &Pod, status: &Value) {
    let pods: Api<Pod> = Api::namespaced(day.client.clone(), &pod.namespace().expect("a namespace"));
    let patch = json!({"metadata": {"uid": pod.uid()}, "status": status});
    insist("a pod's status", async || {
        pods.patch_status(&pod.name_any(), &PatchParams::default(), &Patch::Merge(&patch)).await
    })
    .await;
}
