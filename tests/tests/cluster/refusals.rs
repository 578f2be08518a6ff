//! Mistakes that a user can make: each ends, or waits, with a sentence that says what to do.

use std::time::{Duration, Instant};

use loop_tests::{HONEST, PROJECT};

use super::place::{Place, manifest, until, work};

/// Longest until the user knows: a minute is wanted, of which half are pauses, and a busy machine may take as long again.
pub(super) const SOON: Duration = Duration::from_secs(120);

/// Waits for a condition's message with these words.
pub(super) fn says(place: &Place, run: &str, condition: &str, words: &str) {
    let end = Instant::now() + SOON;
    loop {
        let said = place.said(run, condition);
        if said.contains(words) {
            return;
        }
        assert!(Instant::now() < end, "{condition} of {run} says {said:?} instead of {words:?}");
        std::thread::sleep(Duration::from_millis(500));
    }
}

const GATES: &str = "  gates: [{name: check, run: sh check.sh}]\n";

/// Images and credentials, which agent and gates depend on.
#[test]
fn an_image_or_a_credential_that_will_not_do_is_named_with_the_remedy() {
    let Some(place) = Place::new("toolchains") else { return };
    let mut files = PROJECT.to_vec();
    files.push((".loop/agent.sh", HONEST));
    place.git_server(&files);
    let run = |name: &str, from: &str, to: &str| {
        place.apply(&manifest(name, &task("specs/files.md")).replace(from, to));
    };
    run("no-git", "toolchain:test", "no-git:test");
    run("for-root", "toolchain:test", "for-root:test");
    run("no-credential", "adapter: script", "adapter: claude");
    for (name, words) in [
        ("no-git", "ToolchainIncomplete: agent and gates cannot work in this image: git is not in its PATH;"),
        ("for-root", "git is not in its PATH, only root may enter /root/bin of its PATH;"),
    ] {
        says(&place, name, "Failed", words);
        says(&place, name, "Failed", "add what is missing, or name another with spec.agent.image");
    }
    if loop_tests::endpoint::npm().is_some() {
        let words = "agent claude has no credential: put one into a Secret, under one of the keys ANTHROPIC_API_KEY, ";
        says(&place, "no-credential", "Failed", words);
    }
    run("no-secret", "adapter: script", "secretRef: {name: not-there}, adapter: script");
    says(&place, "no-secret", "Reconciling", "secret \"not-there\" not found; make it in this namespace");
    assert_eq!(place.phase("no-secret"), "Pending");
    place.must(&["create", "secret", "generic", "not-there", "--from-literal=ANY=thing"]);
    until("it goes on", || place.phase("no-secret") == "Completed");
}

/// A server that takes connections and says nothing, as one behind a broken balancer.
const SILENT: &str = "{apiVersion: v1, kind: Service, metadata: {name: silent}, spec: {selector: {app: silent}, ports: [{port: \
    9418}]}}\n---\n{apiVersion: v1, kind: Pod, metadata: {name: silent, labels: {app: silent}}, spec: \
    {automountServiceAccountToken: false, terminationGracePeriodSeconds: 0, securityContext: {runAsNonRoot: true, runAsUser: \
    1000, seccompProfile: {type: RuntimeDefault}}, containers: [{name: silent, image: \"agentloop/toolchain:test\", command: \
    [perl, -MIO::Socket::INET, -e, 'my $s = IO::Socket::INET->new(LocalPort => 9418, Listen => 999) or die; sleep 600'], \
    readinessProbe: {tcpSocket: {port: 9418}, periodSeconds: 1}, securityContext: {allowPrivilegeEscalation: false, \
    capabilities: {drop: [ALL]}}}]}}";

fn task(path: &str) -> String {
    format!("  task: {{specPath: {path}}}\n{GATES}")
}

#[test]
fn what_cannot_be_run_is_named_with_the_remedy() {
    let Some(place) = Place::new("refusals") else { return };
    let mut files = PROJECT.to_vec();
    files.push((".loop/agent.sh", HONEST));
    place.git_server(&files);
    place.apply(SILENT);
    place.must(&["wait", "--for=condition=Ready", "pod/silent", "--timeout=60s"]);
    place.apply(&manifest("silent", &task("specs/files.md")).replace("demo-git", "silent"));
    // Its time passes while the others are looked at; a busy machine may take long to start it.
    std::thread::scope(|scope| {
        let words = "cannot be cloned, git ls-remote: no end of it within 15 s; look at spec.repository";
        scope.spawn(|| says(&place, "silent", "Reconciling", words));
        each_is_named(&place);
    });
    assert_eq!(place.phase("silent"), "Pending");
}

fn each_is_named(place: &Place) {
    place.run("no-spec", &task("specs/none.md"));
    says(place, "no-spec", "Failed", "spec specs/none.md does not exist");
    assert_eq!(place.phase("no-spec"), "Failed");

    place.apply(&manifest("no-image", &task("specs/files.md")).replace("toolchain:test", "nothing:test"));
    says(place, "no-image", "Reconciling", "cannot pull image agentloop/nothing:test");
    place.must(&["delete", "looprun", "no-image"]);

    let elsewhere = manifest("no-repository", &task("specs/files.md")).replace("tally.git", "none.git");
    place.apply(&elsewhere);
    says(place, "no-repository", "Failed", "the repository cannot be cloned");
    says(place, "no-repository", "Failed", "look at spec.repository and the Secret that it names");

    let secret = manifest("no-secret", &task("specs/files.md"))
        .replace("repository: {", "repository: {secretRef: {name: not-there}, ");
    place.apply(&secret);
    says(place, "no-secret", "Reconciling", "check that Secret not-there exists");
    place.must(&["delete", "looprun", "no-secret"]);

    // Before the agent begins, and not after its work.
    place.git(&["config", "daemon.receivepack", "false"]);
    place.run("read-only", &task("specs/files.md"));
    says(place, "read-only", "Failed", "the repository cannot be pushed to");
}

/// An outage of the server would end every run of a queue, each after half a minute.
#[test]
fn a_server_that_does_not_answer_yet_is_waited_for() {
    let Some(place) = Place::new("no-answer") else { return };
    place.run("early", &work("early"));
    says(
        &place,
        "early",
        "Reconciling",
        "the repository cannot be cloned, git ls-remote: fatal: unable to look up",
    );
    says(&place, "early", "Reconciling", "--previous); it is tried again by itself");
    assert_eq!(place.phase("early"), "Pending");
    place.slow_project(1);
    place.reaches("early", "Completed");
    assert_eq!(place.get("looprun", "early")["status"]["attempt"], 1, "in the same pod");
}

/// Puts the node back into use, whatever comes.
struct Cordoned<'a>(&'a Place, String);

impl Drop for Cordoned<'_> {
    fn drop(&mut self) {
        self.0.kubectl(&["uncordon", &self.1], "");
    }
}

#[test]
fn what_the_cluster_does_not_give_is_waited_for_and_said() {
    let Some(place) = Place::new("waits") else { return };
    place.slow_project(1);
    // The quota counts the git server too.
    place.apply("{apiVersion: v1, kind: ResourceQuota, metadata: {name: few}, spec: {hard: {pods: \"1\"}}}");
    until("the quota counts", || place.get("resourcequota", "few")["status"]["used"]["pods"] == "1");
    place.run("no-quota", &work("no-quota"));
    says(&place, "no-quota", "Reconciling", "exceeded quota: few");
    says(
        &place,
        "no-quota",
        "Reconciling",
        "wait for other pods of the namespace to end, or have its ResourceQuota raised",
    );
    assert_eq!(place.phase("no-quota"), "Pending");
    place.must(&["delete", "resourcequota", "few"]);
    place.reaches("no-quota", "Completed");

    let node = place.must(&["get", "nodes", "-o", "jsonpath={.items[0].metadata.name}"]);
    place.must(&["cordon", &node]);
    let cordoned = Cordoned(&place, node);
    place.run("no-node", &work("no-node"));
    says(&place, "no-node", "Reconciling", "make room or add a node, and the run goes on");
    // A run of which nothing has begun ends at once.
    place.patch("no-node", "{\"state\":\"Canceled\"}");
    place.reaches("no-node", "Canceled");
    drop(cordoned);
}
