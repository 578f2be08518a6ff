//! What a token that was taken out of a sidecar is good for: the sidecar's own work, and nothing else.

use std::process::Command;

use loop_tests::{HONEST, PROJECT};
use serde_json::Value;

use super::place::{Place, kubectl, until};

/// Somebody who has a token and nothing else.
struct Thief<'a> {
    place: &'a Place,
    server: String,
    authority: String,
    token: String,
}

impl Thief<'_> {
    fn new<'a>(place: &'a Place, pod: &str) -> Thief<'a> {
        let config = |path: &str| {
            let path = format!("jsonpath={{.clusters[0].cluster.{path}}}");
            place.must(&["config", "view", "--raw", "-o", &path])
        };
        let read = [
            "exec",
            pod,
            "-c",
            "sidecar",
            "--",
            "cat",
            "/var/run/secrets/kubernetes.io/serviceaccount/token",
        ];
        let (server, authority) = (config("server"), config("certificate-authority"));
        Thief { place, server, authority, token: place.must(&read).trim().to_owned() }
    }

    fn kubectl(&self, arguments: &[&str]) -> (bool, String) {
        let mut command: Command = kubectl();
        command.args(["--kubeconfig", "/dev/null", "--server", &self.server]);
        command.args(["--certificate-authority", &self.authority, "--token", &self.token]);
        command.args(["--namespace", &self.place.namespace]).args(arguments);
        let output = command.output().expect("kubectl runs");
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    }

    fn status(&self, run: &str, status: &str) -> (bool, String) {
        let patch = format!("{{\"status\":{status}}}");
        self.kubectl(&["patch", "looprun", run, "--subresource=status", "--type=merge", "-p", &patch])
    }

    fn map(&self, name: &str, patch: &str) -> (bool, String) {
        self.kubectl(&["patch", "configmap", name, "--type=merge", "-p", patch])
    }
}

#[track_caller]
fn refused(what: &str, (worked, said): (bool, String), words: &str) {
    assert!(!worked && said.contains(words), "{what}: {said}");
}

const OWN: &str = "a sidecar writes the status of its own run only";
const FIELDS: &str = "are the operator's to write";
const MAP: &str = "a sidecar fills the ConfigMaps of its own run only";
const DATA: &str = "writes the data of these ConfigMaps and nothing else";

#[test]
fn a_stolen_token_writes_about_its_own_run_and_only_the_sidecars_fields() {
    let Some(place) = Place::new("policies") else { return };
    let (reviewer, rest) = HONEST.split_once("exit 0; fi\n").expect("it reviews first");
    let slow = format!("{reviewer}exit 0; fi\nsleep 300\n{rest}");
    let mut files = PROJECT.to_vec();
    files.push((".loop/agent.sh", &slow));
    place.git_server(&files);
    let spec = |name: &str| {
        format!(
            "  task: {{specPath: specs/files.md}}\n  gates: [{{name: check, run: sh check.sh}}]\n  delivery: \
             {{targetBranch: agent/{name}}}\n"
        )
    };
    for name in ["mine", "theirs"] {
        place.run(name, &spec(name));
        until("it is under way", || place.phase(name) == "Running");
    }
    let pod = place.get("looprun", "mine")["status"]["podName"].as_str().expect("a pod").to_owned();
    let thief = Thief::new(&place, &pod);

    let (worked, said) = thief.status("mine", "{\"progress\":{\"iteration\":1}}");
    assert!(worked, "its own work: {said}");
    let (worked, said) = thief.map("mine-summary", "{\"data\":{\"report.md\":\"half\"}}");
    assert!(worked, "its own work: {said}");

    for status in [
        "{\"phase\":\"Completed\"}",
        "{\"attempt\":7}",
        "{\"podUID\":\"another\"}",
        "{\"podName\":null}",
        "{\"workerName\":\"another\"}",
        "{\"workspace\":\"git.example/another\"}",
        "{\"defaults\":{\"delivery\":{\"mode\":\"None\"}}}",
        "{\"conditions\":[]}",
        "{\"startTime\":\"2020-01-01T00:00:00Z\"}",
        "{\"completionTime\":\"2020-01-01T00:00:00Z\"}",
        "{\"observedGeneration\":9}",
    ] {
        refused(status, thief.status("mine", status), FIELDS);
    }
    refused("another run", thief.status("theirs", "{\"progress\":{\"iteration\":1}}"), OWN);
    refused("another map", thief.map("theirs-summary", "{\"data\":{\"x\":\"y\"}}"), MAP);
    refused("a map of nobody", thief.map("demo-git", "{\"data\":{\"x\":\"y\"}}"), MAP);
    let uid = place.get("looprun", "theirs")["status"]["podUID"].as_str().expect("a uid").to_owned();
    let marked = format!("{{\"metadata\":{{\"annotations\":{{\"agentloop.dev/pod-uid\":\"{uid}\"}}}}}}");
    refused("its mark", thief.map("mine-summary", &marked), DATA);
    refused("its owner", thief.map("mine-summary", "{\"metadata\":{\"ownerReferences\":null}}"), DATA);
    // The rest is for roles, which give nothing.
    for arguments in [
        &["patch", "looprun", "mine", "--type=merge", "-p", "{\"spec\":{\"loop\":{\"iterations\":1}}}"][..],
        &["get", "secrets"],
        &["create", "configmap", "new"],
        &["delete", "configmap", "mine-summary"],
        &["delete", "pod", &pod],
        &["get", "pods"],
        &["create", "serviceaccount", "new"],
    ] {
        refused(&arguments.join(" "), thief.kubectl(arguments), "forbidden");
    }

    // A pod that is not the run's current one any more: the run was deleted and made again under its name.
    let old = place.get("looprun", "mine")["metadata"]["uid"].clone();
    place.must(&["delete", "looprun", "mine", "--cascade=orphan"]);
    for suffix in ["summary", "postmortem"] {
        place.must(&["delete", "configmap", &format!("mine-{suffix}")]);
    }
    place.run("mine", &spec("again"));
    until("the new one has a pod", || {
        let run: Value = place.get("looprun", "mine");
        run["metadata"]["uid"] != old && run["status"]["podUID"].is_string()
    });
    refused("a run of the same name", thief.status("mine", "{\"progress\":{\"iteration\":1}}"), OWN);
    refused("its map", thief.map("mine-summary", "{\"data\":{\"x\":\"y\"}}"), MAP);

    // One that was deleted by force and may still be at work, once the operator has taken its run back.
    let pod = place.get("looprun", "theirs")["status"]["podName"].as_str().expect("a pod").to_owned();
    let thief = Thief::new(&place, &pod);
    assert!(thief.status("theirs", "{\"progress\":{\"iteration\":1}}").0, "its own work");
    place.must(&["delete", "pod", &pod, "--force", "--grace-period=0"]);
    until("the run is taken back", || place.get("looprun", "theirs")["status"]["podUID"] != uid.as_str());
    until("its maps are closed", || {
        let map = place.get("configmap", "theirs-postmortem");
        map.is_object() && map["metadata"]["annotations"]["agentloop.dev/pod-uid"].is_null()
    });
    for (worked, said) in [
        thief.status("theirs", "{\"progress\":{\"iteration\":1}}"),
        thief.status("theirs", "{\"result\":{\"exitReason\":\"complete_plan\",\"attempt\":1}}"),
        thief.map("theirs-summary", "{\"data\":{\"x\":\"y\"}}"),
    ] {
        // A server that has not noticed the pod's end yet leaves it to the policies.
        assert!(!worked && [OWN, MAP, "Unauthorized"].iter().any(|words| said.contains(words)), "{said}");
    }
}
