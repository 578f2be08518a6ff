//! The containers of a run's pod, in the order in which they start.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Capabilities, Container, EnvFromSource, EnvVar, EnvVarSource, ExecAction, ObjectFieldSelector, Probe,
    ResourceRequirements, SecretEnvSource, SecurityContext, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::ResourceExt as _;
use loop_api::crd::LoopRun;
use loop_api::names;

use super::volumes::{self, at, read_only};
use super::{Supplies, stores};

/// Seconds that the clone may take.
const CLONE_SECONDS: i32 = 600;
/// Seconds that the far side may take to listen.
const LISTEN_SECONDS: i32 = 120;
/// The static executor, as the agent's image sees it.
const EXEC: &str = "/agentloop/bin/loop-exec";
/// CLIs of agents that are brought.
const AGENTS: &str = "/agentloop/bin/agents";

/// Copies the static executor to where the agent's image finds it.
pub(super) fn install(supplies: &Supplies<'_>) -> Container {
    Container {
        volume_mounts: Some(vec![at("bin", "/agentloop/bin")]),
        ..ours("install", supplies, &["/usr/local/bin/loop-exec", "install", "/agentloop/bin"])
    }
}

/// Clones, pushes and publishes; the only one with the token of the API and the credentials of the repository.
pub(super) fn sidecar(run: &LoopRun, attempt: u32, supplies: &Supplies<'_>, secret: bool) -> Container {
    let mut mounts = vec![
        at("run", volumes::RUN),
        at("lease", volumes::LEASE),
        read_only("token", "/var/run/secrets/kubernetes.io/serviceaccount"),
        volumes::part("tmp", "sidecar", "/tmp"),
    ];
    mounts.extend(secret.then(|| read_only("git", "/run/secrets/git")));
    mounts.extend(stores::mounts(run, supplies.mirrors));
    let mut env = vec![
        field("POD_NAME", "metadata.name"),
        field("POD_UID", "metadata.uid"),
        field("POD_NAMESPACE", "metadata.namespace"),
    ];
    env.extend(whose(run));
    env.extend(claim(run));
    env.extend([variable("LOOP_ATTEMPT", &attempt.to_string()), variable("HOME", "/tmp")]);
    Container {
        env: Some(env),
        restart_policy: Some("Always".into()),
        startup_probe: Some(probe(&["/usr/local/bin/loop-sidecar", "ready"], CLONE_SECONDS)),
        volume_mounts: Some(mounts),
        ..ours("sidecar", supplies, &["/usr/local/bin/loop-sidecar"])
    }
}

/// Drives the loop; its end is that of the pod.
pub(super) fn runner(run: &LoopRun, supplies: &Supplies<'_>) -> Container {
    let retry = run.status.as_ref().map_or(0, |status| status.observed_retry);
    let mut env = vec![variable("HOME", "/tmp"), variable("LOOP_RETRY", &retry.to_string())];
    env.extend(whose(run));
    env.extend(claim(run));
    Container {
        env: Some(env),
        volume_mounts: Some(vec![
            at("run", volumes::RUN),
            read_only("lease", volumes::LEASE),
            at("work", "/work"),
            at("agent-git", "/agent-git"),
            at("program", "/program"),
            at("socket-agent", volumes::AGENT),
            at("socket-gate", volumes::GATE),
            volumes::part("tmp", "runner", "/tmp"),
        ]),
        ..ours("runner", supplies, &["/usr/local/bin/loop-runner"])
    }
}

/// Where the agent works, with its CLI before others of that name if it is `brought`, and the Secret for it.
pub(super) fn agent(run: &LoopRun, supplies: &Supplies<'_>, brought: bool) -> Container {
    let mut agent = far(
        super::AGENT,
        volumes::AGENT,
        supplies,
        vec![
            read_only("bin", "/agentloop/bin"),
            at("work", "/work"),
            at("agent-git", "/run/agentloop/origin/.git"),
            read_only_part("origin/.git/objects", "/run/agentloop/origin/.git/user-objects"),
            read_only_part("data/repos", "/run/agentloop/data/repos"),
            read_only("program", "/program"),
            at("far-agent", "/far"),
            at("socket-agent", volumes::AGENT),
        ],
    );
    let secret = run.spec.agent.secret_ref.as_ref();
    agent.env_from = secret.map(|secret| {
        let source = SecretEnvSource { name: secret.name.clone(), optional: None };
        let prefix = Some(names::CREDENTIAL.into());
        vec![EnvFromSource { prefix, secret_ref: Some(source), ..Default::default() }]
    });
    if let Some(env) = agent.env.as_mut().filter(|_| brought) {
        env.push(variable("LOOP_AGENTS", AGENTS));
    }
    agent
}

/// Copies the CLI of Claude Code out of its image, in the build for the agent's, which has said which it can run.
pub(super) fn claude(image: &str) -> Container {
    let supplies = Supplies { runner: image, agent: image, claude: None, mirrors: None };
    Container {
        volume_mounts: Some(vec![at("bin", "/agentloop/bin"), read_only("socket-agent", volumes::AGENT)]),
        ..ours(
            "claude",
            &supplies,
            &[EXEC, "agents", "/agents", &format!("{}/loaders", volumes::AGENT), AGENTS],
        )
    }
}

/// Where the gates judge, out of the agent's reach.
pub(super) fn gate(supplies: &Supplies<'_>) -> Container {
    far(
        super::GATE,
        volumes::GATE,
        supplies,
        vec![
            read_only("bin", "/agentloop/bin"),
            read_only_part("data/repos", "/run/agentloop/data/repos"),
            at("far-gate", "/far"),
            at("socket-gate", volumes::GATE),
        ],
    )
}

fn read_only_part(path: &str, place: &str) -> VolumeMount {
    VolumeMount { read_only: Some(true), ..volumes::part("run", path, place) }
}

/// A container of the agent's image that does what it is asked for over a socket.
fn far(name: &str, folder: &str, supplies: &Supplies<'_>, mounts: Vec<VolumeMount>) -> Container {
    let socket = format!("{folder}/exec.sock");
    Container {
        env: Some(vec![
            variable("HOME", "/far/home"),
            variable("TMPDIR", "/far/tmp"),
            variable("GIT_CONFIG_GLOBAL", "/agentloop/bin/gitconfig"),
            variable("LOOP_FAR", "/far"),
        ]),
        resources: Some(requests("100m", "256Mi")),
        restart_policy: Some("Always".into()),
        startup_probe: Some(probe(&[EXEC, "ready", &socket], LISTEN_SECONDS)),
        volume_mounts: Some(mounts),
        ..container(name, supplies.agent, &[EXEC, "serve", &socket])
    }
}

/// A container of our own image, which has no need to write to itself.
fn ours(name: &str, supplies: &Supplies<'_>, command: &[&str]) -> Container {
    let container = container(name, supplies.runner, command);
    let security = container.security_context.clone().unwrap_or_default();
    Container {
        resources: Some(requests("20m", "64Mi")),
        security_context: Some(SecurityContext { read_only_root_filesystem: Some(true), ..security }),
        ..container
    }
}

fn container(name: &str, image: &str, command: &[&str]) -> Container {
    Container {
        name: name.into(),
        image: Some(image.into()),
        image_pull_policy: Some("IfNotPresent".into()),
        command: Some(command.iter().map(|&word| word.into()).collect()),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            capabilities: Some(Capabilities { add: None, drop: Some(vec!["ALL".into()]) }),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn probe(command: &[&str], seconds: i32) -> Probe {
    Probe {
        exec: Some(ExecAction { command: Some(command.iter().map(|&word| word.into()).collect()) }),
        failure_threshold: Some(seconds),
        period_seconds: Some(1),
        ..Default::default()
    }
}

fn requests(cpu: &str, memory: &str) -> ResourceRequirements {
    let requests = [("cpu", cpu), ("memory", memory)];
    let requests: BTreeMap<String, Quantity> =
        requests.into_iter().map(|(kind, amount)| (kind.into(), Quantity(amount.into()))).collect();
    ResourceRequirements { requests: Some(requests), ..Default::default() }
}

/// Name and uid of the run.
fn whose(run: &LoopRun) -> [EnvVar; 2] {
    [variable("LOOP_RUN_NAME", &run.name_any()), variable("LOOP_RUN_UID", &run.uid().unwrap_or_default())]
}

/// The claim on which the run keeps its own files, for words on it.
fn claim(run: &LoopRun) -> Option<EnvVar> {
    let claim = crate::run::objects::claim(run)?;
    Some(variable("LOOP_CLAIM", &claim.name_any()))
}

fn variable(name: &str, value: &str) -> EnvVar {
    EnvVar { name: name.into(), value: Some(value.into()), value_from: None }
}

fn field(name: &str, path: &str) -> EnvVar {
    let selector = ObjectFieldSelector { api_version: Some("v1".into()), field_path: path.into() };
    let source = EnvVarSource { field_ref: Some(selector), ..Default::default() };
    EnvVar { name: name.into(), value: None, value_from: Some(source) }
}
