//! What a run's pod needs beside itself: an account with one role, and two `ConfigMaps` to write to.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, ServiceAccount};
use k8s_openapi::api::rbac::v1::{RoleBinding, RoleRef, Subject};
use kube::ResourceExt as _;
use kube::api::ObjectMeta;
use loop_api::crd::LoopRun;
use loop_api::names;

use super::pod::metadata;

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

/// The `ConfigMaps` of a run, still empty; `pod_uid` names the pod that may fill them, once there is one.
pub(crate) fn config_maps(run: &LoopRun, pod_uid: Option<&str>) -> [ConfigMap; 2] {
    let name = run.name_any();
    [names::summary(&name), names::postmortem(&name)].map(|name| ConfigMap {
        metadata: ObjectMeta {
            name: Some(name),
            annotations: pod_uid
                .map(|uid| BTreeMap::from([(names::POD_UID_ANNOTATION.into(), uid.to_owned())])),
            ..metadata(run)
        },
        ..Default::default()
    })
}
