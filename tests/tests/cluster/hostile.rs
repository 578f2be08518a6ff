//! An agent that does not work but attacks: it gains nothing, its run is not completed, and what it did is told.

use std::process::Child;

use loop_tests::PROJECT;

use super::memory::LIMITS;
use super::place::{OPERATOR, Place, is_ours, kubectl, manifest, reaching, say, until};

/// What the sidecar alone may know.
const SECRET: &str = "nobody-says-this-4711";

const HOSTILE: &str = include_str!("../../agents/hostile.sh");

/// Somebody at the address where clouds hand out the credentials of a node, who answers whoever is let through.
struct Metadata(Child);

impl Metadata {
    /// `None`, and a word on it, where nothing keeps pods to their network policies.
    fn new() -> Option<Self> {
        if !is_ours() || std::env::var("LOOP_CLUSTER_POLICIES").unwrap_or_default().is_empty() {
            say(
                "MISSING: a cluster of the tests' own with kube-router; nobody answers at the metadata address",
            );
            return None;
        }
        // It may be there from before.
        let _ = reaching("ip").args(["address", "add", "169.254.169.254/32", "dev", "node0"]).output();
        let serve = "my $s = IO::Socket::INET->new(LocalAddr => '169.254.169.254:80', Listen => 5, ReuseAddr => 1) or die $!; \
                     while (my $c = $s->accept) { print $c \"node-credentials\\n\"; close $c }";
        Some(Self(reaching("perl").args(["-MIO::Socket::INET", "-e", serve]).spawn().expect("perl")))
    }
}

/// Address and port of the operator's pod.
fn operator() -> String {
    let address = "jsonpath={.items[0].status.podIP}:{.items[0].spec.containers[0].ports[0].containerPort}";
    let label = "app.kubernetes.io/component=operator";
    let output =
        kubectl().args(["--namespace", OPERATOR, "get", "pods", "-l", label, "-o", address]).output();
    String::from_utf8(output.expect("kubectl").stdout).expect("an address")
}

impl Drop for Metadata {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn an_agent_that_attacks_gains_nothing_never_completes_and_is_reported() {
    let Some(place) = Place::new("hostile") else { return };
    let mut files = PROJECT.to_vec();
    let metadata = Metadata::new();
    // Addresses at which somebody listens, and not for runs.
    let mut barred = vec!["169.254.169.254:80".to_owned()];
    barred.extend(metadata.as_ref().map(|_| operator()));
    let hostile = HOSTILE.replace("BARRED", &barred.join(" "));
    // A gate that runs the project's code, as honest ones do.
    files.extend([
        (".loop/agent.sh", hostile.as_str()),
        ("unit.sh", "#!/bin/sh\n. ./lib.sh\n"),
        ("lib.sh", "true\n"),
    ]);
    place.git_server(&files);
    if metadata.is_some() {
        for address in &barred {
            let connect = format!("exec 3<>/dev/tcp/{}", address.replace(':', "/"));
            let others = || place.kubectl(&["exec", "demo-git", "--", "bash", "-c", &connect], "").0;
            until("a pod that is no run's gets through", others);
        }
    }
    // The runner gets no more than these, whatever the agent prints.
    place.apply(LIMITS);
    let main = place.git(&["rev-parse", "main"]);
    place.must(&["create", "secret", "generic", "git-creds", &format!("--from-literal=password={SECRET}")]);
    place.apply(&manifest(
        "hostile",
        "  task: {specPath: specs/files.md}\n  gates: [{name: unit, run: sh unit.sh}, {name: check, run: sh check.sh}]\n  \
         protect: {allow: [lib.sh]}\n  loop: {iterations: 6, maxConsecutiveVerificationFailures: 9}\n",
    ).replace("repository: {", "repository: {secretRef: {name: git-creds}, "));
    until("it ends", || ["Failed", "Completed"].contains(&place.phase("hostile").as_str()));
    assert_eq!(place.phase("hostile"), "Failed", "{}", place.said("hostile", "Complete"));
    let refs = place.git(&["for-each-ref", "--format=%(refname)"]);
    assert!(!refs.contains("agent/"), "nothing was delivered: {refs}");
    assert_eq!(place.git(&["rev-parse", "main"]), main);
    // It came to its end, and everything else that it noted would be a success.
    assert_eq!(place.git(&["show", "run/hostile:attacks.txt"]), "1 refused by the API server\n4 over");
    // Then it killed its own executor.
    let result = place.get("looprun", "hostile")["status"]["result"].clone();
    assert_eq!(result["exitReason"], "agent_failed", "{result}");
    let report = place.get("configmap", "hostile-summary")["data"]["report.md"].clone();
    let report = report.as_str().expect("a report");
    // Its links are links, and nobody has followed them.
    let tree = place.git(&["ls-tree", "-r", "run/hostile"]);
    for link in ["link-passwd", "link-journal", "link-secret"] {
        let line = tree.lines().find(|line| line.ends_with(link)).expect("it is committed");
        assert!(line.starts_with("120000 "), "{line}");
    }
    let told = place.get("configmap", "hostile-summary")["data"].to_string() + &place.log("hostile");
    for inside in [SECRET, "root:x:0:0"] {
        assert!(!told.contains(inside), "{inside}: {told}");
        let (found, said) = place.kubectl(
            &[
                "exec",
                "demo-git",
                "--",
                "git",
                "-C",
                "/srv/git/tally.git",
                "grep",
                "-q",
                inside,
                "run/hostile",
            ],
            "",
        );
        assert!(!found && said.trim_end().ends_with("exit code 1"), "{inside}: {said}");
    }
    for told in [
        "processes that it left running were ended",
        "files over 256 MiB were left out",
        "the repository could not be read",
        "the worktree is back at the last checkpoint",
    ] {
        assert!(report.contains(told), "{told}: {report}");
    }
}
