//! What a run's pod needs beside itself: an account with one role, and two `ConfigMaps` to write to.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    ConfigMap, PersistentVolumeClaim, PersistentVolumeClaimSpec, ServiceAccount, VolumeResourceRequirements,
};
use k8s_openapi::api::rbac::v1::{RoleBinding, RoleRef, Subject};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::ResourceExt as _;
use kube::api::ObjectMeta;
use loop_api::crd::LoopRun;
use loop_api::names;
use loop_api::run::CheckpointStore;

use super::pod::metadata;

/// Size of a volume for checkpoints, where the run names none.
const SIZE: &str = "10Gi";

/// Metadata of what all runs of a namespace share; nothing owns it.
fn shared(namespace: &str) -> ObjectMeta {
    let labels = [(names::MANAGED_BY_LABEL, names::OPERATOR), (names::NAME_LABEL, names::PRODUCT)];
    ObjectMeta {
        name: Some(names::RUN_ROLE.into()),
        namespace: Some(namespace.to_owned()),
        labels: Some(labels.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()),
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
