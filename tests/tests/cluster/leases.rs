//! One attempt at a run holds its lease at a time: what cannot be reached stops by itself, and what was given up can report
//! nothing, push nothing and comes back to nothing.

use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::lost::{processes, restarting, status};
use super::place::{Place, is_ours, kubectl, say, until, work};

const RUNNER: &str = "/usr/local/bin/loop-runner";
/// What the engine says when it stops.
pub(super) const SILENT: &str = "the API server was not heard for longer than the lease of the run";

/// A pod of this machine without a network, until this is dropped.
struct Cut(u32);

impl Cut {
    fn new(pod_uid: &str) -> Self {
        let cut = Self(*processes(pod_uid, RUNNER).first().expect("its runner runs on this machine"));
        cut.routes("add");
        cut
    }

    fn routes(&self, verb: &str) {
        // More specific than the default route, so that nothing is lost of it.
        for half in ["0.0.0.0/1", "128.0.0.0/1"] {
            let pid = self.0.to_string();
            let arguments = ["-t", &pid, "-n", "ip", "route", verb, "blackhole", half];
            let done = Command::new("nsenter").args(arguments).status().expect("nsenter runs");
            assert!(done.success() || verb == "del", "{arguments:?}");
        }
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        self.routes("del");
    }
}

/// The sidecar lives and reaches nobody. Its run is nobody else's meanwhile: when it is heard again, it goes on.
#[test]
fn a_pod_that_reaches_nobody_stops_its_agent_and_goes_on_when_it_does() {
    let Some(place) = Place::new("leases") else { return };
    if !is_ours() {
        say("skipped: only the network of pods on this machine is cut");
        return;
    }
    place.held_project();
    place.run("cut", &work("cut"));
    until("its agent works", || place.log("cut").contains("implementation of iteration 1 begins"));
    let uid = status(&place, "cut", "/podUID");
    let cut = Cut::new(&uid);
    until("its agent has stopped", || place.log("cut").contains(SILENT));
    let agent = "/bin/sh\0/program/";
    assert!(processes(&uid, agent).is_empty(), "no process of the agent is left");
    assert!(!processes(&uid, RUNNER).is_empty(), "the pod waits");
    assert_eq!(status(&place, "cut", "/phase"), "Running", "and nothing is restarted");
    drop(cut);
    place.let_go();
    place.reaches("cut", "Completed");
    assert_eq!(status(&place, "cut", "/attempt"), "1");
    assert_eq!(place.pods_of("cut").len(), 1);
    assert_eq!(place.log("cut").matches("attempt 1 holds the lease of the run, of ").count(), 2);
}

/// A second node that is heard of, as the tests say: Kubernetes ends the pods of no node while all are away.
struct StandIn {
    name: String,
    over: std::sync::Arc<AtomicBool>,
    heart: Option<std::thread::JoinHandle<()>>,
}

impl StandIn {
    fn new() -> Self {
        let name = format!("standin-{}", &loop_core::new_uid()[24..]);
        let node = format!(
            "{{apiVersion: v1, kind: Node, metadata: {{name: {name}, labels: {{agentloop-test: leases}}}}, spec: \
             {{unschedulable: true, taints: [{{key: standin, effect: NoExecute}}]}}}}"
        );
        apply(&node, &[]);
        let over = std::sync::Arc::new(AtomicBool::new(false));
        let (stop, node) = (std::sync::Arc::clone(&over), name.clone());
        let heart = std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let now = String::from_utf8(
                    Command::new("date")
                        .args(["-u", "+%Y-%m-%dT%H:%M:%S.%6NZ"])
                        .output()
                        .expect("date runs")
                        .stdout,
                )
                .expect("a time");
                let now = now.trim();
                apply(
                    &format!(
                        "{{apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: {{name: {node}, namespace: \
                         kube-node-lease}}, spec: {{holderIdentity: {node}, leaseDurationSeconds: 40, renewTime: \
                         \"{now}\"}}}}"
                    ),
                    &[],
                );
                let seconds = format!("{}Z", &now[..19]);
                apply(
                    &format!(
                        "{{apiVersion: v1, kind: Node, metadata: {{name: {node}}}, status: {{conditions: [{{type: Ready, \
                         status: \"True\", reason: StandIn, message: a test, lastHeartbeatTime: \"{seconds}\", \
                         lastTransitionTime: \"{seconds}\"}}]}}}}"
                    ),
                    &["--subresource=status"],
                );
                std::thread::sleep(Duration::from_secs(5));
            }
        });
        Self { name, over, heart: Some(heart) }
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(heart) = self.heart.take() {
            let _ = heart.join();
        }
        for what in [&["node", &self.name][..], &["lease", &self.name, "-n", "kube-node-lease"]] {
            let _ = kubectl().arg("delete").args(what).arg("--ignore-not-found").output();
        }
    }
}

fn apply(manifest: &str, more: &[&str]) {
    use std::io::Write as _;
    let mut command = kubectl();
    command.args(["apply", "--server-side", "--force-conflicts", "-f", "-"]).args(more);
    command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::null());
    let mut child = command.spawn().expect("kubectl runs");
    child.stdin.take().expect("a pipe").write_all(manifest.as_bytes()).expect("it reads");
    assert!(child.wait().expect("it ends").success(), "{manifest}");
}

/// The kubelet, away for so many seconds from now.
struct Away(Child);

impl Away {
    fn new(seconds: u32) -> Self {
        Self(restarting("kubelet", seconds).spawn().expect("it runs"))
    }
}

impl Drop for Away {
    fn drop(&mut self) {
        // Other tests need it again.
        assert!(self.0.wait().is_ok_and(|ended| ended.success()), "the kubelet comes back");
    }
}

/// The node is lost as Kubernetes sees it, and its containers go on: the worst of both.
#[test]
fn a_run_outlives_its_node_and_what_still_works_there_stops() {
    let Some(place) = Place::new("node") else { return };
    if !is_ours() {
        say("skipped: only the kubelet of the test cluster's own is killed");
        return;
    }
    place.held_project();
    place.run("outlives", &work("outlives"));
    until("its agent works", || place.log("outlives").contains("implementation of iteration 1 begins"));
    let (uid, pod) = (status(&place, "outlives", "/podUID"), status(&place, "outlives", "/podName"));
    let _other = StandIn::new();
    let away = Away::new(240);
    until("the attempt is given up", || !status(&place, "outlives", "/leaseExpires").contains("null"));
    let said = place.said("outlives", "Reconciling");
    assert!(said.contains("was not heard of for a while") && said.contains("attempt 2"), "{said}");
    assert_eq!(status(&place, "outlives", "/podName"), "null");
    until("the agent there has stopped", || processes(&uid, RUNNER).is_empty());
    let events = place.must(&["get", "events.events.k8s.io", "-o", "jsonpath={.items[*].reason}"]);
    assert!(events.contains("LeaseExpired"), "{events}");
    until("the next attempt is admitted", || status(&place, "outlives", "/attempt") == "2");
    assert!(place.get("pod", &pod).is_object(), "though the pod of the first cannot be seen to end");
    drop(away);
    until("its node answers again", || place.kubectl(&["exec", "demo-git", "--", "true"], "").0);
    place.let_go();
    place.reaches("outlives", "Completed");
    assert_eq!(status(&place, "outlives", "/attempt"), "2");
    assert_eq!(place.git(&["rev-list", "--count", "main..run/outlives"]), "2", "no step was done twice");
    until("the old pod has ended", || place.pods_of("outlives").len() <= 1);
}
