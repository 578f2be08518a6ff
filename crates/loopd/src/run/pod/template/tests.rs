use k8s_openapi::api::core::v1::{Container, Pod, PodTemplate};
use loop_api::run::{CheckpointStore, SecretReference};
use serde_json::{Value, json};

use super::super::{Supplies, pod, with_template};
use crate::testing::run;

const SUPPLIES: Supplies<'_> =
    Supplies { runner: "runner:1", agent: "operators:1", claude: None, mirrors: None };

/// As the API server gives it back.
fn template(spec: &Value) -> PodTemplate {
    let mut spec = spec.clone();
    for (key, value) in [
        ("restartPolicy", json!("Always")),
        ("dnsPolicy", json!("ClusterFirst")),
        ("terminationGracePeriodSeconds", json!(30)),
        ("securityContext", json!({})),
        ("schedulerName", json!("default-scheduler")),
    ] {
        spec.as_object_mut().expect("an object").entry(key).or_insert(value);
    }
    for container in spec["containers"].as_array_mut().into_iter().flatten() {
        let fields = container.as_object_mut().expect("an object");
        fields.entry("terminationMessagePath").or_insert(json!("/dev/termination-log"));
        fields.entry("terminationMessagePolicy").or_insert(json!("File"));
        fields.entry("imagePullPolicy").or_insert(json!("IfNotPresent"));
        fields.entry("resources").or_insert(json!({}));
    }
    serde_json::from_value(json!({"metadata": {"name": "team"}, "template": {"spec": spec}}))
        .expect("a template")
}

fn made(spec: &Value) -> Result<Pod, String> {
    let mut run = run(1, &Value::Null);
    run.spec.repository.secret_ref = Some(SecretReference { name: "git-creds".into() });
    run.spec.checkpoint.store = CheckpointStore::Volume;
    with_template(pod(&run, 1, &SUPPLIES), &run, &template(spec))
}

fn container(pod: &Pod, name: &str) -> Container {
    let mut all =
        pod.spec.iter().flat_map(|spec| spec.init_containers.iter().flatten().chain(&spec.containers));
    all.find(|container| container.name == name).expect("it is there").clone()
}

fn names(pod: &Pod) -> Vec<&str> {
    let all = pod.spec.iter().flat_map(|spec| spec.init_containers.iter().flatten().chain(&spec.containers));
    all.map(|container| container.name.as_str()).collect()
}

#[test]
fn agent_and_gates_get_the_same_but_no_files_of_each_other() {
    let pod = made(&json!({
        "nodeSelector": {"pool": "agents"},
        "volumes": [{"name": "cache", "persistentVolumeClaim": {"claimName": "cargo"}}],
        "containers": [
            {"name": "gate", "image": "gates:1", "env": [{"name": "MODE", "value": "gate"}]},
            {
                "name": "agent", "image": "team:7",
                "env": [{"name": "MODE", "value": "agent"}, {"name": "DATABASE_URL", "value": "postgres://localhost"}],
                "envFrom": [{"secretRef": {"name": "registry"}}],
                "volumeMounts": [{"name": "cache", "mountPath": "/cache"}],
                "resources": {"limits": {"memory": "4Gi"}, "requests": {"cpu": "2"}},
            },
        ],
    }))
    .expect("a pod");
    let (agent, gate) = (container(&pod, "agent"), container(&pod, "gate"));
    let value = |container: &Container, name: &str| {
        let env = container.env.iter().flatten().filter(|variable| variable.name == name);
        env.map(|variable| variable.value.clone().unwrap_or_default()).collect::<Vec<_>>()
    };
    assert_eq!((value(&agent, "MODE"), value(&gate, "MODE")), (vec!["agent".into()], vec!["gate".into()]));
    assert_eq!(value(&gate, "DATABASE_URL"), ["postgres://localhost"]);
    assert_eq!((agent.image.as_deref(), gate.image.as_deref()), (Some("team:7"), Some("gates:1")));
    let mounts =
        |container: &Container| container.volume_mounts.iter().flatten().any(|mount| mount.name == "cache");
    assert!(mounts(&agent) && !mounts(&gate));
    assert!(agent.env_from.is_some() && gate.env_from.is_some());
    // They take turns: the node keeps room for one of them.
    let requests = [json!({"cpu": "2"}), json!({"cpu": "100m", "memory": "256Mi"})];
    for (container, requests) in [&agent, &gate].into_iter().zip(requests) {
        let resources = serde_json::to_value(&container.resources).expect("JSON");
        assert_eq!(resources, json!({"requests": requests, "limits": {"memory": "4Gi"}}));
        assert_eq!(value(container, "HOME"), ["/far/home"]);
    }
    let spec = pod.spec.as_ref().expect("a spec");
    assert_eq!(
        spec.node_selector.as_ref().and_then(|labels| labels.get("pool")).map(String::as_str),
        Some("agents")
    );
    assert_eq!(spec.restart_policy.as_deref(), Some("Never"));
    assert_eq!(spec.termination_grace_period_seconds, Some(60));
    assert!(spec.security_context.as_ref().is_some_and(|context| context.run_as_non_root == Some(true)));
}

#[test]
fn an_image_that_the_run_names_counts_more_and_the_operators_less() {
    let with = json!({"containers": [{"name": "agent", "image": "team:7"}]});
    let without = json!({"containers": [{"name": "database", "image": "postgres:17"}]});
    let image = |named: Option<&str>, spec: &Value, operators: &'static str| {
        let mut run = run(1, &Value::Null);
        run.spec.agent.image = named.map(str::to_owned);
        let supplies = Supplies { agent: named.unwrap_or(operators), ..SUPPLIES };
        let pod = with_template(pod(&run, 1, &supplies), &run, &template(spec))?;
        Ok((container(&pod, "agent").image.expect("one"), container(&pod, "gate").image.expect("one")))
    };
    let both = |image: &str| Ok::<_, String>((image.to_owned(), image.to_owned()));
    assert_eq!(image(Some("run:1"), &with, "operators:1"), both("run:1"));
    assert_eq!(image(None, &with, "operators:1"), both("team:7"));
    assert_eq!(image(None, &without, "operators:1"), both("operators:1"));
    assert!(image(None, &without, "").unwrap_err().contains("no container agent with an image"));
}

#[test]
fn services_are_ready_before_the_agent_and_as_confined_as_the_rest() {
    let pod = made(&json!({"containers": [{
        "name": "database", "image": "postgres:17", "securityContext": {"runAsUser": 70},
        "readinessProbe": {"exec": {"command": ["pg_isready"]}, "periodSeconds": 5, "successThreshold": 1},
    }]}))
    .expect("a pod");
    assert_eq!(names(&pod), ["install", "sidecar", "database", "agent", "gate", "runner"]);
    let database = container(&pod, "database");
    assert_eq!(database.restart_policy.as_deref(), Some("Always"));
    let security = database.security_context.expect("one");
    assert_eq!((security.run_as_user, security.allow_privilege_escalation), (Some(70), Some(false)));
    assert_eq!(database.startup_probe.expect("one").failure_threshold, Some(60));
    assert!(database.volume_mounts.is_none(), "nothing of ours");
}

#[test]
fn a_device_is_for_the_container_that_asks_and_a_pod_leaves_a_node_that_is_gone() {
    let pod = made(&json!({
        "tolerations": [{"operator": "Exists"}],
        "containers": [{"name": "agent", "image": "inherit", "resources": {"limits": {"nvidia.com/gpu": "1"}}}],
    }))
    .expect("a pod");
    let limits = |name: &str| container(&pod, name).resources.and_then(|resources| resources.limits);
    assert!(limits("agent").is_some_and(|limits| limits.contains_key("nvidia.com/gpu")));
    assert_eq!(limits("gate"), None);
    assert_eq!(container(&pod, "agent").image.as_deref(), Some("operators:1"));
    let tolerations = pod.spec.iter().flat_map(|spec| spec.tolerations.iter().flatten());
    let seconds: Vec<Option<i64>> = tolerations.map(|toleration| toleration.toleration_seconds).collect();
    assert_eq!(seconds, [None, Some(60), Some(60)]);
}

#[test]
fn what_is_so_already_may_be_said() {
    let restricted =
        json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": true});
    let pod = made(&json!({
        "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "restartPolicy": "Never",
        "containers": [{"name": "agent", "image": "team:7", "securityContext": restricted}],
    }));
    assert!(pod.is_ok(), "{pod:?}");
}

#[test]
fn what_no_pod_of_a_run_may_have_is_named() {
    let agent = |fields: &Value| {
        let mut container = json!({"name": "agent", "image": "team:7"});
        container.as_object_mut().expect("an object").extend(fields.as_object().expect("fields").clone());
        json!({"containers": [container], "volumes": [{"name": "c", "emptyDir": {}}]})
    };
    let both = |volumes: &Value| {
        let mount = |name: &str, volume: &str| json!({"name": name, "image": "x", "volumeMounts": [{"name": volume, "mountPath": "/c"}]});
        json!({"containers": [mount("agent", "c"), mount("gate", "d")], "volumes": volumes})
    };
    let claim = |name: &str| json!({"name": name, "persistentVolumeClaim": {"claimName": "cargo"}});
    let confined = json!({"securityContext": {"appArmorProfile": {"type": "Unconfined"}}});
    let service = |fields: &Value| {
        let mut spec = agent(fields);
        spec["containers"][0]["name"] = json!("database");
        spec
    };
    let volume = |volume: &Value| json!({"containers": [], "volumes": [volume]});
    for (spec, words) in [
        (json!({"containers": [], "hostNetwork": true}), "has hostNetwork,"),
        (json!({"containers": [], "serviceAccountName": "admin"}), "has serviceAccountName,"),
        (
            json!({"containers": [], "automountServiceAccountToken": true}),
            "has automountServiceAccountToken,",
        ),
        (json!({"containers": [], "initContainers": [{"name": "x"}]}), "has initContainers,"),
        (
            json!({"containers": [], "securityContext": {"runAsNonRoot": true, "runAsUser": 0}}),
            "has securityContext.runAsUser,",
        ),
        (volume(&json!({"name": "node", "hostPath": {"path": "/"}})), "volume node of kind hostPath"),
        (volume(&json!({"name": "run", "emptyDir": {}})), "volume run, which is a name of ours"),
        (
            volume(&json!({"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}})),
            "serviceAccountToken",
        ),
        (
            volume(&json!({"name": "mine", "persistentVolumeClaim": {"claimName": "run-1-checkpoint"}})),
            "keeps its own files",
        ),
        (volume(&json!({"name": "s", "secret": {"secretName": "git-creds"}})), "names the Secret git-creds"),
        (agent(&json!({"envFrom": [{"secretRef": {"name": "git-creds"}}]})), "names the Secret git-creds"),
        (
            agent(
                &json!({"env": [{"name": "K", "valueFrom": {"secretKeyRef": {"name": "git-creds", "key": "password"}}}]}),
            ),
            "names the Secret git-creds",
        ),
        (agent(&json!({"env": [{"name": "LOOP_FAR", "value": "/x"}]})), "sets LOOP_FAR of container agent"),
        (agent(&json!({"env": [{"name": "HOME", "value": "/x"}]})), "sets HOME of container agent"),
        (agent(&json!({"command": ["sh"]})), "has container agent: command,"),
        (
            agent(&json!({"securityContext": {"privileged": true}})),
            "has container agent: securityContext.privileged,",
        ),
        (
            agent(&json!({"volumeMounts": [{"name": "c", "mountPath": "/agentloop"}]})),
            "mounts /agentloop, where /agentloop/bin",
        ),
        (
            agent(&json!({"volumeMounts": [{"name": "c", "mountPath": "/program/x"}]})),
            "mounts /program/x, where /program",
        ),
        (agent(&json!({"volumeMounts": [{"name": "c", "mountPath": "/cache/../work"}]})), "no plain path"),
        (both(&json!([claim("c"), claim("d")])), "mounts claim cargo in both agent and gate"),
        (
            agent(&json!({"volumeMounts": [{"name": "token", "mountPath": "/t"}]})),
            "a volume token that it does not have",
        ),
        (
            service(&json!({"volumeMounts": [{"name": "run", "mountPath": "/t"}]})),
            "a volume run that it does not have",
        ),
        (service(&confined), "database with securityContext.appArmorProfile"),
        (service(&json!({"securityContext": {"privileged": true}})), "database with privileged"),
        (service(&json!({"securityContext": {"runAsUser": 0}})), "database with root"),
        (
            service(&json!({"securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}})),
            "added capabilities",
        ),
        (service(&json!({"ports": [{"containerPort": 1, "hostPort": 1}]})), "a hostPort"),
        (
            json!({"containers": [{"name": "runner", "image": "mine:1"}]}),
            "container runner, which is a name of ours",
        ),
    ] {
        let said = made(&spec).expect_err(words);
        assert!(said.contains(words), "{said}");
    }
    let mut keyed = template(&agent(&json!({})));
    keyed.template.as_mut().expect("one").metadata = Some(kube::api::ObjectMeta {
        labels: Some([("agentloop.dev/run".to_owned(), "other".to_owned())].into()),
        ..Default::default()
    });
    let run = run(1, &Value::Null);
    assert!(with_template(pod(&run, 1, &SUPPLIES), &run, &keyed).unwrap_err().contains("agentloop.dev/run"));
}
