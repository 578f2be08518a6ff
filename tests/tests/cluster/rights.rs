//! What the accounts may do, verb by verb: what they need, and nothing else.

use std::collections::BTreeSet;

use loop_tests::PROJECT;

use super::place::{OPERATOR, Place, kubectl, until};

/// What `kubectl auth can-i` answers for an account.
fn can(account: &str, namespace: &str, what: &str) -> bool {
    let mut ask = kubectl();
    ask.args(["auth", "can-i", "--namespace", namespace, "--as", account]).args(what.split(' '));
    let output = ask.output().expect("kubectl runs");
    match String::from_utf8_lossy(&output.stdout).trim() {
        "yes" => true,
        answer if answer == "no" || answer.starts_with("no ") => false,
        other => panic!("{what}: {other} {}", String::from_utf8_lossy(&output.stderr)),
    }
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
fn may(account: &str, namespace: &str, yes: &[&str], no: &[&str]) {
    for what in yes {
        assert!(can(account, namespace, what), "{account} must be able to {what} in {namespace}");
    }
    for what in no {
        assert!(!can(account, namespace, what), "{account} must not be able to {what} in {namespace}");
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
    "create loopruns",
    "update loopruns",
    "patch loopruns",
    "deletecollection loopruns",
    "delete configmaps",
    "list configmaps",
    "delete networkpolicies.networking.k8s.io",
    "patch validatingadmissionpolicies.admissionregistration.k8s.io",
    "delete validatingadmissionpolicies.admissionregistration.k8s.io",
    "get nodes",
    "get namespaces",
    "get pods --subresource=log",
    "create deployments.apps",
    "* *",
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
    let yes = [
        "get loopruns",
        "list loopruns",
        "watch loopruns",
        "delete loopruns",
        "patch loopruns --subresource=status",
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
        &policies,
        &bindings,
    ];
    may(&loopd, here, &yes, NEVER);
    let no = [
        "get leases.coordination.k8s.io/loopd",
        "list validatingadmissionpolicies.admissionregistration.k8s.io",
        "get serviceaccounts",
        "get rolebindings.rbac.authorization.k8s.io",
        "deletecollection pods",
        "list persistentvolumeclaims",
        "delete persistentvolumeclaims",
    ];
    may(&loopd, here, &[], &no);
    let yes = ["get leases.coordination.k8s.io/loopd", "update leases.coordination.k8s.io/loopd"];
    may(
        &loopd,
        OPERATOR,
        &yes,
        &["get leases.coordination.k8s.io/another", "delete leases.coordination.k8s.io/loopd"],
    );
    let expected = [
        "clusterroles.rbac.authorization.k8s.io",
        "configmaps",
        "loopruns.agentloop.dev",
        "loopruns.agentloop.dev/finalizers",
        "loopruns.agentloop.dev/status",
        "networkpolicies.networking.k8s.io",
        "persistentvolumeclaims",
        "pods",
        "rolebindings.rbac.authorization.k8s.io",
        "serviceaccounts",
        "validatingadmissionpolicies.admissionregistration.k8s.io",
        "validatingadmissionpolicybindings.admissionregistration.k8s.io",
    ];
    assert_eq!(kinds(&loopd, here), BTreeSet::from(expected.map(str::to_owned)));

    let pods = format!("system:serviceaccount:{here}:agentloop-run");
    let yes = [
        "get loopruns",
        "list loopruns",
        "watch loopruns",
        "get loopruns --subresource=status",
        "patch loopruns --subresource=status",
        "get configmaps",
        "update configmaps",
        "patch configmaps",
    ];
    may(&pods, here, &yes, NEVER);
    may(
        &pods,
        here,
        &[],
        &[
            "delete loopruns",
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
