//! An agent that does not work but attacks: it gains nothing, its run is not completed, and what it did is told.

use loop_tests::PROJECT;

use super::memory::LIMITS;
use super::place::{Place, manifest, until};

/// What the sidecar alone may know.
const SECRET: &str = "nobody-says-this-4711";

const HOSTILE: &str = include_str!("../../agents/hostile.sh");

#[test]
fn an_agent_that_attacks_gains_nothing_never_completes_and_is_reported() {
    let Some(place) = Place::new("hostile") else { return };
    let mut files = PROJECT.to_vec();
    // A gate that runs the project's code, as honest ones do.
    files.extend([(".loop/agent.sh", HOSTILE), ("unit.sh", "#!/bin/sh\n. ./lib.sh\n"), ("lib.sh", "true\n")]);
    place.git_server(&files);
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
