//! What the product adds to the time that Kubernetes itself takes: a benchmark, so it is only run when asked for
//! (`cargo test --release -p loop-tests --test cluster speed -- --ignored --nocapture`). Each run is followed by a pod of the
//! same containers that was made by hand, so that both see the same noise of the machine.

use std::time::{SystemTime, UNIX_EPOCH};

use loop_tests::{HONEST, PROJECT};
use serde_json::{Value, json};

use super::place::{Place, say, until, work};
use super::writes::{Write, audit_log, writes};

const ROUNDS: usize = 10;

/// Milliseconds since 1970.
fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as i64
}

/// A pod of the same containers, whose sidecar is ready at once and whose runner says the time and ends.
fn by_hand(pod: &Value, name: &str) -> Value {
    let mut spec = pod["spec"].clone();
    spec.as_object_mut().expect("a spec").remove("nodeName");
    let replaced = |containers: &mut Value, name: &str, script: &str| {
        for container in containers.as_array_mut().expect("containers") {
            if container["name"] == name {
                container["command"] = json!(["sh", "-c", script]);
            }
        }
    };
    replaced(&mut spec["initContainers"], "sidecar", "touch /tmp/ready; exec sleep 600");
    replaced(&mut spec["containers"], "runner", "date +%s%3N");
    spec["terminationGracePeriodSeconds"] = json!(1);
    // The API server adds its own again.
    spec["tolerations"] = Value::Null;
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})
}

fn line(what: &str, mut of: Vec<i64>) -> i64 {
    of.sort_unstable();
    let middle = of[of.len() / 2];
    say(&format!("{what:<48} median {middle:>6} ms   least {:>6}   most {:>6}", of[0], of[of.len() - 1]));
    middle
}

#[test]
#[ignore = "a benchmark"]
fn of_a_run_beside_a_pod_made_by_hand() {
    let Some(place) = Place::new("speed") else { return };
    // The agent notes when it began.
    let agent = HONEST.replacen(
        '\n',
        "\n[ \"$LOOP_PHASE\" = review ] || [ -e first.txt ] || date +%s%3N >first.txt\n",
        1,
    );
    let mut files = PROJECT.to_vec();
    files.push((".loop/agent.sh", &agent));
    place.git_server(&files);
    let log = audit_log();
    let (mut ours, mut bare, mut clones) = (Vec::new(), Vec::new(), Vec::new());
    let (mut added, mut told) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let run = format!("run-{round}");
        let began = now();
        place.run(&run, &work(&run));
        place.reaches(&run, "Completed");
        let first: i64 =
            place.git(&["show", &format!("agent/{run}:first.txt")]).trim().parse().expect("a time");
        ours.push(first - began);
        let pod = place.get("pod", &place.pods_of(&run)[0]);
        let name = pod["metadata"]["name"].as_str().expect("a name");
        let said = place.must(&["logs", name, "-c", "sidecar"]);
        let cloning =
            said.lines().find_map(|line| line.strip_prefix("cloned in ")?.strip_suffix(" ms")?.parse().ok());
        clones.push(cloning.expect("it says how long it took"));
        let name = format!("hand-{round}");
        let began = now();
        place.apply(&by_hand(&pod, &name).to_string());
        until("it has begun", || {
            place.kubectl(&["logs", &name, "-c", "runner"], "").1.trim().parse::<i64>().is_ok()
        });
        let first: i64 = place.must(&["logs", &name, "-c", "runner"]).trim().parse().expect("a time");
        bare.push(first - began);
        added.push(ours[round] - bare[round] - clones[round]);
        place.must(&["delete", "pod", &name, "--force", "--grace-period=0"]);
        if let Some(log) = &log {
            told.extend(until_told(&writes(log, &place, &run)));
        }
    }
    line("apply to the agent's first byte", ours);
    line("apply to a byte of a pod made by hand", bare);
    line("cloning", clones);
    line("the difference without cloning, round by round", added);
    if !told.is_empty() {
        line("the sidecar's result to phase Completed", told);
    }
}

/// From the sidecar's last word on a run until the operator's answer to it was written.
fn until_told(all: &[Write]) -> Option<i64> {
    let status = |write: &&Write| write.what.ends_with("loopruns/status");
    let last = all.iter().rposition(|write| write.what.starts_with("agentloop-run") && status(&write))?;
    let next = all[last..].iter().filter(status).find(|write| write.what.starts_with("loopd"))?;
    Some(next.at - all[last].at)
}
