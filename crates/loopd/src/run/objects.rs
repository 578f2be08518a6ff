//! What a run's pod needs beside itself: an account with one role, a network policy, and two `ConfigMaps` to write to.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    ConfigMap, PersistentVolumeClaim, PersistentVolumeClaimSpec, ServiceAccount, VolumeResourceRequirements,
};
use k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::api::rbac::v1::{RoleBinding, RoleRef, Subject};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt as _;
use kube::api::ObjectMeta;
use loop_api::crd::LoopRun;
use loop_api::names;
use loop_api::run::CheckpointStore;

use super::pod::metadata;

/// Size of a volume for checkpoints, where the run names none.
const SIZE: &str = "10Gi";

/// Whether a claim has a volume that pods on several nodes can read at once, and is to stay.
pub(crate) fn is_shared(claim: &PersistentVolumeClaim) -> bool {
    let Some(status) = &claim.status else { return false };
    let many = |mode: &String| ["ReadOnlyMany", "ReadWriteMany"].contains(&mode.as_str());
    claim.metadata.deletion_timestamp.is_none()
        && status.phase.as_deref() == Some("Bound")
        && status.access_modes.iter().flatten().any(many)
}

/// Labels of all that is made for any run.
fn labels() -> BTreeMap<String, String> {
    let labels = [(names::MANAGED_BY_LABEL, names::OPERATOR), (names::NAME_LABEL, names::PRODUCT)];
    labels.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// Metadata of what all runs of a namespace share; nothing owns it.
fn shared(namespace: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(names::RUN_ROLE.into()),
        namespace: Some(namespace.to_owned()),
        labels: Some(labels()),
        ..Default::default()
    }
}

/// The account of all pods of runs in a namespace.
pub(crate) fn service_account(namespace: &str) -> ServiceAccount {
    ServiceAccount {
        metadata: shared(namespace),
        automount_service_account_token: Some(false),
        ..Default::default()
    }
}

/// Gives that account the cluster role of the chart in its namespace.
pub(crate) fn role_binding(namespace: &str) -> RoleBinding {
    RoleBinding {
        metadata: shared(namespace),
        role_ref: RoleRef {
            api_group: "rbac.authorization.k8s.io".into(),
            kind: "ClusterRole".into(),
            name: names::RUN_ROLE.into(),
        },
        subjects: Some(vec![Subject {
            kind: "ServiceAccount".into(),
            name: names::RUN_ROLE.into(),
            namespace: Some(namespace.to_owned()),
            api_group: None,
        }]),
    }
}

/// Keeps pods of runs from link-local addresses, where clouds hand out a node's credentials. The one that cluster DNS may
/// have there, on a node of its own cache, stays open.
pub(crate) fn network_policy(namespace: &str) -> NetworkPolicy {
    let block = |cidr: &str, except: &[&str]| NetworkPolicyPeer {
        ip_block: Some(IPBlock {
            cidr: cidr.into(),
            except: Some(except.iter().map(|&cidr| cidr.into()).collect()).filter(|_| !except.is_empty()),
        }),
        ..NetworkPolicyPeer::default()
    };
    // Not every network plugin counts pods among addresses.
    let pods = NetworkPolicyPeer {
        namespace_selector: Some(LabelSelector::default()),
        ..NetworkPolicyPeer::default()
    };
    let dns = ["UDP", "TCP"].map(|protocol| NetworkPolicyPort {
        protocol: Some(protocol.into()),
        port: Some(IntOrString::Int(53)),
        end_port: None,
    });
    NetworkPolicy {
        metadata: shared(namespace),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(LabelSelector { match_labels: Some(labels()), ..LabelSelector::default() }),
            policy_types: Some(vec!["Egress".into()]),
            egress: Some(vec![
                NetworkPolicyEgressRule {
                    to: Some(vec![
                        block("0.0.0.0/0", &["169.254.0.0/16"]),
                        block("::/0", &["fe80::/10", "fd00:ec2::254/128", "fd20:ce::254/128"]),
                        pods,
                    ]),
                    ports: None,
                },
                NetworkPolicyEgressRule {
                    to: Some(vec![block("169.254.20.10/32", &[])]),
                    ports: Some(dns.into()),
                },
            ]),
            ingress: None,
        }),
    }
}

/// Names of the `ConfigMaps` of a run.
pub(crate) fn maps(run: &LoopRun) -> [String; 2] {
    let name = run.name_any();
    [names::summary(&name), names::postmortem(&name)]
}

/// The `ConfigMaps` of a run, still empty, for the pod that may fill them.
pub(crate) fn config_maps(run: &LoopRun, pod_uid: &str) -> [ConfigMap; 2] {
    maps(run).map(|name| ConfigMap {
        metadata: ObjectMeta {
            name: Some(name),
            annotations: Some(BTreeMap::from([(names::POD_UID_ANNOTATION.into(), pod_uid.to_owned())])),
            ..metadata(run)
        },
        ..Default::default()
    })
}

/// The volume of a run that keeps its checkpoints on one. It is deleted with the run.
pub(crate) fn claim(run: &LoopRun) -> Option<PersistentVolumeClaim> {
    let checkpoint = &run.spec.checkpoint;
    if checkpoint.store != CheckpointStore::Volume {
        return None;
    }
    let wanted = checkpoint.volume.clone().unwrap_or_default();
    let size = Quantity(wanted.size.unwrap_or_else(|| SIZE.into()));
    Some(PersistentVolumeClaim {
        metadata: ObjectMeta { name: Some(names::claim(&run.name_any())), ..metadata(run) },
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".into()]),
            resources: Some(VolumeResourceRequirements {
                requests: Some(BTreeMap::from([("storage".into(), size)])),
                ..Default::default()
            }),
            storage_class_name: wanted.storage_class_name,
            ..Default::default()
        }),
        ..Default::default()
    })
}
