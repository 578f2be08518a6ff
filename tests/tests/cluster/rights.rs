//! What the accounts may do, verb by verb: what they need, and nothing else.

use std::collections::BTreeSet;

use loop_tests::PROJECT;
use serde_json::{Value, json};

use super::place::{OPERATOR, Place, kubectl, until};

/// Whether an account may do each of these in a namespace, as `kubectl auth can-i` would ask, all in one request.
fn can(place: &Place, account: &str, namespace: &str, all: &[&str]) -> Vec<bool> {
    let ask = |what: &&str| {
        let mut words = what.split(' ');
        let (verb, target) = (words.next().expect("a verb"), words.next().expect("a resource"));
        let (kind, name) = target.split_once('/').unwrap_or((target, ""));
        let (resource, group) = kind.split_once('.').unwrap_or((kind, ""));
        let part = words.next().map_or("", |part| part.strip_prefix("--subresource=").expect("a part"));
        json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"user": account, "resourceAttributes": {
                "namespace": namespace, "verb": verb, "group": group, "resource": resource, "name": name,
                "subresource": part,
            }},
        })
    };
    let asks: Vec<Value> = all.iter().map(ask).collect();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": asks}).to_string();
    let (worked, said) = place.kubectl(&["create", "-f", "-", "-o", "jsonpath={.status.allowed} "], &list);
    let answers: Vec<bool> = said.split_whitespace().map(|answer| answer.parse().expect(&said)).collect();
    assert!(worked && answers.len() == all.len(), "{said}");
    answers
}

/// Kinds of objects, with their parts, about which an account may do anything; what everybody may do is left out.
fn kinds(account: &str, namespace: &str) -> BTreeSet<String> {
    let mut ask = kubectl();
    ask.args(["auth", "can-i", "--list", "--no-headers", "--namespace", namespace, "--as", account]);
    let output = ask.output().expect("kubectl runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    let kinds = text.lines().filter(|line| !line.starts_with(' ')).filter_map(|line| line.split(' ').next());
    kinds.filter(|kind| !kind.starts_with("self")).map(str::to_owned).collect()
}

#[track_caller]
fn may(place: &Place, account: &str, namespace: &str, yes: &[&str], no: &[&str]) {
    let answers = can(place, account, namespace, &[yes, no].concat());
    for (what, answer) in yes.iter().chain(no).zip(answers) {
        let expected = yes.contains(what);
        assert_eq!(answer, expected, "{account} in {namespace}: {what}");
    }
}

/// What neither account has any business with.
const NEVER: &[&str] = &[
    "get secrets",
    "list secrets",
    "watch secrets",
    "create secrets",
    "create pods --subresource=exec",
    "create pods --subresource=attach",
    "create pods --subresource=ephemeralcontainers",
    "create pods --subresource=portforward",
    "create serviceaccounts --subresource=token",
    "create clusterroles.rbac.authorization.k8s.io",
    "create clusterrolebindings.rbac.authorization.k8s.io",
    "update rolebindings.rbac.authorization.k8s.io",
    "bind clusterroles.rbac.authorization.k8s.io/cluster-admin",
    "escalate clusterroles.rbac.authorization.k8s.io/agentloop-run",
    "impersonate users",
    "impersonate serviceaccounts",
    "create loopruns.agentloop.dev",
    "update loopruns.agentloop.dev",
    "patch loopruns.agentloop.dev",
    "deletecollection loopruns.agentloop.dev",
    "delete configmaps",
    "list configmaps",
    "list podtemplates",
    "delete networkpolicies.networking.k8s.io",
    "patch validatingadmissionpolicies.admissionregistration.k8s.io",
    "delete validatingadmissionpolicies.admissionregistration.k8s.io",
    "get nodes",
    "create loopworkers.agentloop.dev",
    "update loopworkers.agentloop.dev",
    "patch loopworkers.agentloop.dev",
    "delete loopworkers.agentloop.dev",
    "patch namespaces",
    "delete namespaces",
    "get pods --subresource=log",
    "create deployments.apps",
    "* *.*",
];

/// What the operator does, beside reading the policies of its release.
const OPERATOR_MAY: &[&str] = &[
    "get loopruns.agentloop.dev",
    "list loopruns.agentloop.dev",
    "watch loopruns.agentloop.dev",
    "delete loopruns.agentloop.dev",
    "patch loopruns.agentloop.dev --subresource=status",
    "get loopworkers.agentloop.dev",
    "list loopworkers.agentloop.dev",
    "watch loopworkers.agentloop.dev",
    "patch loopworkers.agentloop.dev --subresource=status",
    "get namespaces",
    "list namespaces",
    "watch namespaces",
    "get podtemplates",
    "get persistentvolumeclaims",
    "create persistentvolumeclaims",
    "get pods",
    "list pods",
    "watch pods",
    "create pods",
    "patch pods",
    "delete pods",
    "get configmaps",
    "create configmaps",
    "patch configmaps",
    "create serviceaccounts",
    "create rolebindings.rbac.authorization.k8s.io",
    "bind clusterroles.rbac.authorization.k8s.io/agentloop-run",
    "create networkpolicies.networking.k8s.io",
    "create events.events.k8s.io",
    "patch events.events.k8s.io",
];

/// Kinds that it has to do with.
const OPERATOR_KINDS: [&str; 17] = [
    "clusterroles.rbac.authorization.k8s.io",
    "configmaps",
    "events.events.k8s.io",
    "loopruns.agentloop.dev",
    "loopruns.agentloop.dev/finalizers",
    "loopruns.agentloop.dev/status",
    "loopworkers.agentloop.dev",
    "loopworkers.agentloop.dev/status",
    "namespaces",
    "networkpolicies.networking.k8s.io",
    "persistentvolumeclaims",
    "pods",
    "podtemplates",
    "rolebindings.rbac.authorization.k8s.io",
    "serviceaccounts",
    "validatingadmissionpolicies.admissionregistration.k8s.io",
    "validatingadmissionpolicybindings.admissionregistration.k8s.io",
];

#[test]
fn accounts_may_do_what_they_need_and_nothing_else() {
    let Some(place) = Place::new("rights") else { return };
    let here = place.namespace.as_str();
    place.git_server(PROJECT);
    place.run("fails", "  task: {specPath: specs/none.md}\n  gates: [{name: check, run: sh check.sh}]\n");
    until("the account of runs is bound", || place.get("rolebinding", "agentloop-run").is_object());

    let loopd = format!("system:serviceaccount:{OPERATOR}:loopd");
    let policy = place.policies().pop().expect("a policy");
    let policies = format!("get validatingadmissionpolicies.admissionregistration.k8s.io/{policy}");
    let bindings = format!("get validatingadmissionpolicybindings.admissionregistration.k8s.io/{policy}");
    let yes = [OPERATOR_MAY, &[&policies, &bindings]].concat();
    may(&place, &loopd, here, &yes, NEVER);
    let no = [
        "get leases.coordination.k8s.io/loopd",
        "list validatingadmissionpolicies.admissionregistration.k8s.io",
        "get serviceaccounts",
        "get rolebindings.rbac.authorization.k8s.io",
        "deletecollection pods",
        "get events.events.k8s.io",
        "list persistentvolumeclaims",
        "delete persistentvolumeclaims",
    ];
    may(&place, &loopd, here, &[], &no);
    let yes = ["get leases.coordination.k8s.io/loopd", "update leases.coordination.k8s.io/loopd"];
    may(
        &place,
        &loopd,
        OPERATOR,
        &yes,
        &["get leases.coordination.k8s.io/another", "delete leases.coordination.k8s.io/loopd"],
    );
    assert_eq!(kinds(&loopd, here), BTreeSet::from(OPERATOR_KINDS.map(str::to_owned)));

    let pods = format!("system:serviceaccount:{here}:agentloop-run");
    let yes = [
        "get loopruns.agentloop.dev",
        "list loopruns.agentloop.dev",
        "watch loopruns.agentloop.dev",
        "get loopruns.agentloop.dev --subresource=status",
        "patch loopruns.agentloop.dev --subresource=status",
        "get configmaps",
        "update configmaps",
        "patch configmaps",
    ];
    may(&place, &pods, here, &yes, NEVER);
    may(
        &place,
        &pods,
        here,
        &[],
        &[
            "delete loopruns.agentloop.dev",
            "get loopworkers.agentloop.dev",
            "patch loopworkers.agentloop.dev --subresource=status",
            "get namespaces",
            "get pods",
            "create pods",
            "delete pods",
            "create configmaps",
            "create serviceaccounts",
        ],
    );
    let expected = ["configmaps", "loopruns.agentloop.dev", "loopruns.agentloop.dev/status"];
    assert_eq!(kinds(&pods, here), BTreeSet::from(expected.map(str::to_owned)));
    assert_eq!(kinds(&pods, OPERATOR), BTreeSet::new(), "nothing outside");
}
