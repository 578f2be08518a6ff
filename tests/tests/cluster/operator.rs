//! The operator itself: who leads, what it tells of itself, what it refuses to do, and what it looks after.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use loop_tests::{HONEST, PROJECT};
use serde_json::Value;

use super::place::{OPERATOR, Place, kubectl, reaching, until, work};

/// Its pods.
const CHOSEN: &str = "app.kubernetes.io/component=operator,app.kubernetes.io/instance=agentloop";

/// The operator's deployment, which is left as it was found.
pub(super) struct Operator {
    namespace: &'static str,
}

impl Operator {
    /// As the test before may have left it in the middle of a change.
    pub(super) fn settled() -> Self {
        let operator = Self { namespace: OPERATOR };
        until("one operator is there and leads", || operator.pods() == [operator.leader()]);
        operator
    }

    pub(super) fn kubectl(&self, arguments: &[&str]) -> String {
        let output =
            kubectl().args(["--namespace", self.namespace]).args(arguments).output().expect("kubectl runs");
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "kubectl {}: {said}", arguments.join(" "));
        said
    }

    pub(super) fn scale(&self, replicas: u8) {
        self.kubectl(&["scale", "deployment", "loopd", &format!("--replicas={replicas}")]);
        self.kubectl(&["rollout", "status", "deployment", "loopd", "--timeout=120s"]);
        until("there are as many operators", || self.pods().len() == usize::from(replicas));
    }

    /// Whether it says of itself that it leads.
    pub(super) fn leads(&self, pod: &str) -> bool {
        self.metrics(pod)["agentloop_leader"] > 0.5
    }

    /// The uid of the only one.
    pub(super) fn uid(&self) -> String {
        self.kubectl(&["get", "pods", "-l", CHOSEN, "-o", "jsonpath={.items[0].metadata.uid}"])
    }

    pub(super) fn pods(&self) -> Vec<String> {
        let pods = self.kubectl(&["get", "pods", "-l", CHOSEN, "-o", "name"]);
        pods.lines().filter_map(|line| line.strip_prefix("pod/")).map(str::to_owned).collect()
    }

    /// What stands in the lease.
    fn lease(&self) -> Value {
        let text = self.kubectl(&["get", "lease", "loopd", "-o", "json"]);
        serde_json::from_str::<Value>(&text).expect("JSON")["spec"].clone()
    }

    pub(super) fn leader(&self) -> String {
        self.lease()["holderIdentity"].as_str().unwrap_or_default().to_owned()
    }

    /// What an operator answers on its port.
    fn asked(&self, pod: &str, path: &str) -> String {
        self.kubectl(&[
            "get",
            "--raw",
            &format!("/api/v1/namespaces/{}/pods/{pod}:8080/proxy{path}", self.namespace),
        ])
    }

    fn metrics(&self, pod: &str) -> BTreeMap<String, f64> {
        let text = self.asked(pod, "/metrics");
        assert!(text.ends_with("# EOF\n"), "{text}");
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines
            .map(|line| line.rsplit_once(' ').expect("a number"))
            .map(|(name, value)| (name.to_owned(), value.parse().expect(value)))
            .collect()
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        for arguments in [
            ["scale", "deployment", "loopd", "--replicas=1"],
            ["rollout", "status", "deployment/loopd", "--timeout=120s"],
        ] {
            let _ = kubectl().args(["--namespace", self.namespace]).args(arguments).output();
        }
    }
}

fn serve(place: &Place) {
    let mut files = PROJECT.to_vec();
    files.push((".loop/agent.sh", HONEST));
    place.git_server(&files);
}

#[test]
fn of_two_operators_one_leads_and_the_other_takes_over_at_once() {
    let Some(place) = Place::new("leader") else { return };
    serve(&place);
    let operator = Operator::settled();
    operator.scale(2);
    let (leader, before) = (operator.leader(), operator.lease());
    let pods = operator.pods();
    assert!(pods.contains(&leader), "{leader} of {pods:?}");
    for pod in &pods {
        let (leads, says) = if *pod == leader { (1.0, "leads") } else { (0.0, "stands by") };
        assert!((operator.metrics(pod)["agentloop_leader"] - leads).abs() < 0.1, "{pod}");
        assert!(operator.asked(pod, "/readyz").starts_with(says), "{pod}");
        assert_eq!(operator.asked(pod, "/livez"), "ok");
    }
    place.run("one", &work("one"));
    until("it is under way", || !place.phase("one").is_empty());
    operator.kubectl(&["delete", "pod", &leader]);
    // The one that stood by, or the one that has come for the other: whoever looks first.
    until("another leads", || !["", &leader].contains(&operator.leader().as_str()));
    let after = operator.lease();
    assert!(after["leaseTransitions"].as_i64() > before["leaseTransitions"].as_i64(), "{before} {after}");
    place.reaches("one", "Completed");

    operator.scale(0);
    assert_eq!(operator.leader(), "", "the last one gave it back");
    place.run("two", &work("two"));
    operator.scale(1);
    place.reaches("two", "Completed");
    let policy = place.get("networkpolicy", "agentloop-run");
    let open = &policy["spec"]["egress"][0]["to"][0]["ipBlock"];
    assert_eq!((&open["cidr"], &open["except"][0]), (&"0.0.0.0/0".into(), &"169.254.0.0/16".into()));
    // Nothing here enforces it; that it chooses the pods of runs can be seen all the same.
    let chosen = policy["spec"]["podSelector"]["matchLabels"].as_object().expect("labels").clone();
    let chosen: Vec<String> =
        chosen.iter().map(|(key, value)| format!("{key}={}", value.as_str().expect("text"))).collect();
    let pods = place.must(&["get", "pods", "-l", &chosen.join(","), "-o", "name"]);
    assert_eq!(pods.lines().count(), 2, "{pods}");
}

#[test]
fn metrics_tell_what_was_done_and_an_idle_operator_writes_its_lease_only() {
    let Some(place) = Place::new("metrics") else { return };
    serve(&place);
    let operator = Operator::settled();
    let leader = operator.leader();
    let before = operator.metrics(&leader);
    place.run("one", &work("one"));
    place.reaches("one", "Completed");
    let idle = || operator.metrics(&leader)["agentloop_slots_in_use{worker=\"\"}"] < 0.1;
    until("its pod is over", idle);
    let after = operator.metrics(&leader);
    let made = |name: &str| {
        let before = before.get(name).copied().unwrap_or_default();
        (after.get(name).copied().unwrap_or_default() - before).round() as i64
    };
    assert_eq!(made("agentloop_api_writes_total{resource=\"pods\",verb=\"create\"}"), 1);
    assert_eq!(made("agentloop_api_writes_total{resource=\"configmaps\",verb=\"create\"}"), 2);
    assert!(
        made("agentloop_api_writes_total{resource=\"loopruns/status\",verb=\"apply\"}") >= 3,
        "{after:?}"
    );
    assert!(made("agentloop_reconciles_total{result=\"ok\"}") > 3, "{after:?}");
    assert!(made("agentloop_reconcile_duration_seconds_count") > 3, "{after:?}");
    assert!(
        (after["agentloop_slots{worker=\"\"}"] - 3.0).abs() < 0.1 && after["agentloop_queue_depth"] < 0.1,
        "{after:?}"
    );

    // Namespaces of other tests may go in the meantime.
    until("it counts the runs that there are", || {
        let all = place.must(&["get", "loopruns", "-A", "-o", "jsonpath={.items[*].status.phase}"]);
        let completed = all.split(' ').filter(|phase| *phase == "Completed").count();
        completed > 0
            && operator.metrics(&leader)["agentloop_runs{phase=\"Completed\"}"] as usize == completed
    });

    let after = operator.metrics(&leader);
    std::thread::sleep(Duration::from_secs(21));
    let later = operator.metrics(&leader);
    let written: Vec<(&String, f64)> = later
        .iter()
        .filter(|(name, _)| name.starts_with("agentloop_api_writes_total"))
        .map(|(name, value)| (name, value - after.get(name).copied().unwrap_or_default()))
        .filter(|(_, more)| *more > 0.5)
        .collect();
    assert_eq!(written.len(), 1, "{written:?}");
    assert_eq!(written[0].0, "agentloop_api_writes_total{resource=\"leases\",verb=\"update\"}");
    assert!((3.0..=5.0).contains(&written[0].1), "one each 5 s: {written:?}");
}

fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/agentloop")
}

/// An admission policy that was taken away, until this goes.
struct Taken;

impl Taken {
    fn away(place: &Place, policy: &str) -> Self {
        place.must(&["delete", "validatingadmissionpolicy", policy]);
        Self
    }
}

impl Drop for Taken {
    /// By the remedy that the run is told.
    fn drop(&mut self) {
        let mut upgrade = reaching("helm");
        upgrade.args([
            "upgrade",
            OPERATOR,
            "--namespace",
            OPERATOR,
            "--reset-then-reuse-values",
            "--timeout",
            "120s",
        ]);
        let output = upgrade.arg("--wait").arg(chart()).output().expect("helm runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() || std::thread::panicking(), "{said}");
    }
}

#[test]
fn without_an_admission_policy_a_run_waits_and_says_why_until_it_is_back() {
    let Some(place) = Place::new("fence") else { return };
    serve(&place);
    let name = place.policies().pop().expect("a policy");
    let taken = Taken::away(&place, &name);
    // Until the operator asks anew.
    std::thread::sleep(Duration::from_secs(31));
    place.run("one", &work("one"));
    until("it says why", || {
        place.said("one", "Stalled").contains(&format!("admission policy {name} is missing"))
    });
    let run = place.get("looprun", "one");
    assert!(place.said("one", "Admitted").contains("install or upgrade the operator's chart"), "{run}");
    assert_eq!((&run["status"]["attempt"], &run["status"]["phase"]), (&0.into(), &"Pending".into()), "{run}");
    std::thread::sleep(Duration::from_secs(20));
    let version = |run: &Value| run["metadata"]["resourceVersion"].clone();
    assert_eq!(version(&run), version(&place.get("looprun", "one")), "nothing more is written");
    let pods = place.must(&["get", "pods", "-l", "agentloop.dev/run=one", "-o", "name"]);
    assert_eq!(pods, "");
    drop(taken);
    place.reaches("one", "Completed");
}

/// A release of the chart for one namespace, in that namespace.
struct Release<'a>(&'a Place);

impl<'a> Release<'a> {
    fn new(place: &'a Place) -> Self {
        let scope = format!("namespace={}", place.namespace);
        let mut install = reaching("helm");
        install.args([
            "install",
            "own",
            "--namespace",
            &place.namespace,
            "--set",
            "shared=false",
            "--set",
            &scope,
        ]);
        let output = install.args(["--wait", "--timeout", "120s"]).arg(chart()).output().expect("helm runs");
        let release = Self(place);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        release
    }
}

impl Drop for Release<'_> {
    fn drop(&mut self) {
        let _ =
            reaching("helm").args(["uninstall", "own", "--wait", "--namespace", &self.0.namespace]).output();
    }
}

#[test]
fn an_operator_of_one_namespace_looks_after_that_one_only() {
    let Some(mine) = Place::new("single") else { return };
    let Some(other) = Place::new("single-other") else { return };
    serve(&mine);
    serve(&other);
    let operator = Operator::settled();
    operator.scale(0);
    let release = Release::new(&mine);
    other.run("theirs", &work("theirs"));
    mine.run("mine", &work("mine"));
    mine.reaches("mine", "Completed");
    // What the API server itself puts there.
    let untouched = serde_json::json!({"observedGeneration": -1});
    assert_eq!(other.get("looprun", "theirs")["status"], untouched, "nobody has looked at it");
    let account = format!("system:serviceaccount:{}:loopd", mine.namespace);
    for (place, answer) in [(&mine, "yes"), (&other, "no")] {
        let (_, said) = place.kubectl(&["auth", "can-i", "create", "pods", "--as", &account], "");
        assert!(said.starts_with(answer), "{said}");
    }
    drop(release);
    // What both releases share is still there.
    assert!(mine.get("clusterrole", "agentloop-run").is_object());
    operator.scale(1);
    other.reaches("theirs", "Completed");
}
