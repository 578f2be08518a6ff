use std::fs;
use std::path::Path;

use loop_api::run::SecretReference;
use serde_json::Value;

use super::*;
use crate::testing::run;

const SUPPLIES: Supplies<'_> = Supplies {
    runner: "registry.example/runner:1",
    agent: "registry.example/team-ci:7",
    claude: None,
    mirrors: None,
};

#[test]
fn the_pod_is_the_one_that_is_checked_in() {
    let mut run = run(1, &Value::Null);
    run.spec.repository.secret_ref = Some(SecretReference { name: "git-creds".into() });
    run.spec.agent.secret_ref = Some(SecretReference { name: "model-key".into() });
    let supplies = Supplies { claude: Some("registry.example/claude:1"), ..SUPPLIES };
    let text = serde_saphyr::to_string(&pod(&run, 1, &supplies)).expect("YAML");
    let text = format!("# Generated: UPDATE=1 cargo test -p loopd\n{text}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/run/pod/pod.yaml");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &text).expect("written");
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there == text,
        "pod.yaml is stale; look at the change, then run UPDATE=1 cargo test -p loopd\n{text}"
    );
}

/// All containers in the order in which they start.
fn containers(pod: &Pod) -> Vec<&k8s_openapi::api::core::v1::Container> {
    let spec = pod.spec.as_ref().expect("a spec");
    spec.init_containers.iter().flatten().chain(&spec.containers).collect()
}

fn mounts<'a>(pod: &'a Pod, volume: &str) -> Vec<&'a str> {
    let mounts = |container: &k8s_openapi::api::core::v1::Container| {
        container.volume_mounts.iter().flatten().any(|mount| mount.name == volume)
    };
    containers(pod)
        .into_iter()
        .filter(|container| mounts(container))
        .map(|container| container.name.as_str())
        .collect()
}

#[test]
fn token_and_credentials_are_the_sidecars_alone_and_the_gate_is_out_of_the_agents_reach() {
    let mut run = run(1, &Value::Null);
    run.spec.repository.secret_ref = Some(SecretReference { name: "git-creds".into() });
    let pod = pod(&run, 1, &SUPPLIES);
    assert_eq!(mounts(&pod, "token"), ["sidecar"]);
    assert_eq!(mounts(&pod, "git"), ["sidecar"]);
    assert_eq!(mounts(&pod, "far-gate"), ["gate"]);
    assert_eq!(mounts(&pod, "socket-gate"), ["gate", "runner"]);
    assert_eq!(mounts(&pod, "work"), ["agent", "runner"]);
}

#[test]
fn the_cli_is_brought_where_it_may_be_asked_and_the_secret_for_it_is_the_agents_alone() {
    let supplies = Supplies { claude: Some("registry.example/claude:1"), ..SUPPLIES };
    let names = |pod: &Pod| -> Vec<String> {
        containers(pod).into_iter().map(|container| container.name.clone()).collect()
    };
    let mut run = run(1, &Value::Null);
    for (agent, reviewer, brought) in
        [("claude", None, true), ("", None, true), ("script", None, false), ("script", Some("claude"), true)]
    {
        run.spec.agent.adapter = agent.into();
        run.spec.review.adapter = reviewer.map(str::to_owned);
        let pod = pod(&run, 1, &supplies);
        assert_eq!(names(&pod).contains(&"claude".to_owned()), brought, "{agent} {reviewer:?}");
        let told = |name: &str| {
            let container =
                containers(&pod).into_iter().find(|container| container.name == name).expect("it");
            container.env.iter().flatten().any(|variable| variable.name == "LOOP_AGENTS")
        };
        assert_eq!((told("agent"), told("gate")), (brought, false));
    }
    run.spec.agent.secret_ref = Some(SecretReference { name: "model-key".into() });
    let pod = pod(&run, 1, &supplies);
    assert_eq!(names(&pod), ["install", "sidecar", "agent", "claude", "gate", "runner"]);
    let with: Vec<&str> = containers(&pod)
        .into_iter()
        .filter(|container| serde_json::to_string(container).expect("JSON").contains("model-key"))
        .map(|container| container.name.as_str())
        .collect();
    assert_eq!(with, ["agent"]);
}

#[test]
fn a_run_without_a_secret_mounts_none() {
    let pod = pod(&run(1, &Value::Null), 1, &SUPPLIES);
    assert!(mounts(&pod, "git").is_empty());
    let volumes = pod.spec.expect("a spec").volumes.unwrap_or_default();
    assert!(volumes.iter().all(|volume| volume.secret.is_none()));
}

#[test]
fn every_mount_has_its_volume_and_every_volume_a_mount() {
    let pod = pod(&run(1, &Value::Null), 1, &SUPPLIES);
    let spec = pod.spec.as_ref().expect("a spec");
    for volume in spec.volumes.iter().flatten() {
        assert!(!mounts(&pod, &volume.name).is_empty(), "{}", volume.name);
    }
    for mount in containers(&pod).into_iter().flat_map(|container| container.volume_mounts.iter().flatten()) {
        assert!(spec.volumes.iter().flatten().any(|volume| volume.name == mount.name), "{}", mount.name);
    }
}

#[test]
fn a_template_asks_for_its_images_and_its_runtime_class() {
    let template: PodTemplate =
        serde_json::from_value(serde_json::json!({"metadata": {"name": "team"}, "template": {"spec": {
            "runtimeClassName": "gvisor",
            "containers": [
                {"name": "agent", "image": "inherit"},
                {"name": "gate", "image": "team/ci:7"},
                {"name": "db", "image": "postgres:18"},
            ],
            "volumes": [{"name": "data", "image": {"reference": "team/data:1"}}],
        }}}))
        .expect("a template");
    let asks = asks(&template);
    assert_eq!(asks.images, ["team/ci:7", "postgres:18", "team/data:1"]);
    assert_eq!(asks.runtime_class.as_deref(), Some("gvisor"));
}

#[test]
fn a_pod_says_whose_slot_it_has_and_for_which_repository() {
    let admitted = run(
        1,
        &serde_json::json!({"attempt": 1, "phase": "Pending", "podName": "p", "workerName": "backend"}),
    );
    let pod = pod(&admitted, 1, &SUPPLIES);
    assert_eq!(pod.labels()[names::WORKER_LABEL], "backend");
    assert_eq!(pod.annotations()[names::WORKSPACE_ANNOTATION], "git.example/app");
    let own = super::pod(&run(1, &Value::Null), 1, &SUPPLIES);
    assert!(!own.labels().contains_key(names::WORKER_LABEL));
}
