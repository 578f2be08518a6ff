//! Agent and gates that use up the memory of their containers: the step fails and says so, and the loop goes on.

use loop_tests::{HONEST, PROJECT};

use super::place::{Place, until};

/// What every container of the namespace gets.
pub(crate) const LIMITS: &str = "apiVersion: v1\nkind: LimitRange\nmetadata: {name: memory}\nspec:\n  limits:\n  - type: Container\n    \
                      default: {memory: 256Mi}\n    defaultRequest: {memory: 64Mi}\n";

/// Keeps all that it reads, as it has no end of line.
const EAT: &str = "head -c 2G /dev/zero | tail -n 1 >/dev/null";

/// The honest agent, which first uses up its container's memory, and then that of the gates.
fn agent() -> String {
    let (reviewer, rest) = HONEST.split_once("exit 0; fi\n").expect("it reviews first");
    format!(
        "{reviewer}exit 0; fi\nif [ ! -e \"$HOME/eaten\" ]; then\n  : >\"$HOME/eaten\"\n  {EAT}\n  exit 3\nfi\n[ -e one.txt ] \
         && echo 'true' >large.sh || echo '{EAT}' >large.sh\n{rest}"
    )
}

#[test]
fn memory_that_runs_out_fails_the_step_with_that_reason_and_the_loop_goes_on() {
    let Some(place) = Place::new("memory") else { return };
    let agent = agent();
    let mut files = PROJECT.to_vec();
    files.extend([
        (".loop/agent.sh", agent.as_str()),
        ("unit.sh", "#!/bin/sh\nset -o pipefail\n. ./large.sh\n"),
        ("large.sh", "true\n"),
    ]);
    place.git_server(&files);
    place.apply(LIMITS);
    place.run(
        "memory",
        "  task: {specPath: specs/files.md}\n  gates: [{name: check, run: sh check.sh}, {name: unit, run: bash unit.sh}]\n  \
         protect: {allow: [large.sh]}\n  loop: {retries: 1, retryBackoffSeconds: 1}\n",
    );
    until("it ends", || ["Failed", "Completed"].contains(&place.phase("memory").as_str()));
    assert_eq!(place.phase("memory"), "Completed", "{}", place.said("memory", "Failed"));
    let data = place.get("configmap", "memory-summary")["data"].clone();
    let report = data["report.md"].as_str().expect("a report");
    let said = "out of memory: the container's limit is 256 MiB; raise the memory limit of container agent";
    assert!(report.contains(said), "{report}");
    let table = data["report.tsv"].as_str().expect("a table");
    assert!(table.contains("unit fail out of memory"), "{table}");
    // Nothing was lost with it: the containers are those of the beginning.
    let pods = place.must(&["get", "pods", "-l", "agentloop.dev/run=memory", "-o", "json"]);
    let pods: serde_json::Value = serde_json::from_str(&pods).expect("JSON");
    for container in pods["items"][0]["status"]["initContainerStatuses"].as_array().expect("containers") {
        assert_eq!(container["restartCount"], 0, "{container}");
    }
}
