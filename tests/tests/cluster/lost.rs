//! Runs whose processes and pods are killed: each goes on from its last checkpoint, and comes to the same tree.

use std::fs;
use std::path::Path;
use std::process::Command;

use loop_tests::{HONEST, PROJECT};

use super::disk::Disk;
use super::place::{Place, is_ours, manifest, say, until, work};
use super::refusals::says;

/// Processes of a pod on this machine whose command begins like this; none where the cluster is elsewhere.
pub(crate) fn processes(pod_uid: &str, command: &str) -> Vec<u32> {
    let entries = fs::read_dir("/proc").expect("processes");
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &u32| {
        let read = |name: &str| fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
        let place = String::from_utf8_lossy(&read("cgroup")).replace('_', "-");
        place.contains(&format!("pod{pod_uid}")) && read("cmdline").starts_with(command.as_bytes())
    })
    .collect()
}

fn kill(pids: &[u32]) {
    for pid in pids {
        let killed = Command::new("kill").args(["-9", &pid.to_string()]).status().expect("kill runs");
        // One may end with another of them.
        assert!(killed.success() || !fs::exists(format!("/proc/{pid}")).expect("/proc"), "{pid}");
    }
}

/// The command that kills a process of the node and starts it again after so many seconds.
pub(crate) fn restarting(program: &str, seconds: u32) -> Command {
    let config = std::env::var("KUBECONFIG").expect("KUBECONFIG");
    let cluster = Path::new(&config).parent().expect("the cluster's folder");
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("cluster/restart"));
    command.args([program, &seconds.to_string()]).arg(cluster);
    command
}

/// Runs it to its end.
pub(crate) fn restart(program: &str, seconds: u32) {
    let restarted = restarting(program, seconds).output().expect("it runs");
    assert!(restarted.status.success(), "{}", String::from_utf8_lossy(&restarted.stderr));
}

pub(crate) fn status(place: &Place, run: &str, path: &str) -> String {
    let run = place.get("looprun", run);
    let value = run["status"].pointer(path).cloned().unwrap_or_default();
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Kills something of a run when its step of this name begins.
fn lose(place: &Place, run: &str, step: &str, what: &str) {
    until(&format!("{run}: {step} begins"), || place.log(run).contains(&format!("{step} begins")));
    let uid = status(place, run, "/podUID");
    let pod = status(place, run, "/podName");
    say(&format!("{run}: {what} of {pod} is killed"));
    if what == "nothing" {
        return;
    }
    if what == "pod" {
        place.must(&["delete", "pod", &pod, "--force", "--grace-period=0"]);
        return;
    }
    if what == "evicted" {
        // As `kubectl drain` does it.
        let eviction = format!(
            "{{\"apiVersion\": \"policy/v1\", \"kind\": \"Eviction\", \"metadata\": {{\"name\": \"{pod}\"}}}}"
        );
        let path = format!("/api/v1/namespaces/{}/pods/{pod}/eviction", place.namespace);
        let (done, said) = place.kubectl(&["create", "--raw", &path, "-f", "-"], &eviction);
        assert!(done, "{said}");
        return;
    }
    let command = match what {
        "agent" => "/agentloop/bin/loop-exec\0serve\0/run/agentloop-agent/",
        "gate" => "/agentloop/bin/loop-exec\0serve\0/run/agentloop-gate/",
        "runner" => "/usr/local/bin/loop-runner",
        "sidecar" => "/usr/local/bin/loop-sidecar",
        other => panic!("{other}"),
    };
    let found = processes(&uid, command);
    assert!(!found.is_empty(), "{command} runs on this machine");
    kill(&found);
}

#[test]
fn whatever_is_killed_the_run_goes_on_and_comes_to_the_same_tree() {
    let Some(place) = Place::new("lost") else { return };
    // Each step takes long enough to be met in it.
    let agent = HONEST.replacen('\n', "\nsleep 3\n", 1);
    let mut files = PROJECT.to_vec();
    files.push((".loop/agent.sh", &agent));
    place.git_server(&files);
    let local = is_ours();
    // Three at a time, those whose moment comes first before the others.
    let cases: &[(&str, &str, &str)] = &[
        ("pod-base", "baseline", "pod"),
        ("pod-early", "implementation of iteration 1", "pod"),
        ("pod-judged", "verification of iteration 1", "pod"),
        ("runner-review", "review of iteration 1", "runner"),
        ("pod-late", "implementation of iteration 2", "pod"),
        ("runner", "implementation of iteration 2", "runner"),
        ("sidecar", "implementation of iteration 1", "sidecar"),
        ("agent", "implementation of iteration 2", "agent"),
        ("sidecar-merge", "merge", "sidecar"),
        ("evicted", "implementation of iteration 1", "evicted"),
        ("calm", "implementation of iteration 1", "nothing"),
        ("gate", "verification of iteration 1", "gate"),
    ];
    let cases: Vec<_> =
        cases.iter().filter(|(_, _, what)| local || ["pod", "evicted", "nothing"].contains(what)).collect();
    let mut trees = Vec::new();
    for some in cases.chunks(3) {
        for (run, ..) in some {
            // One of them from a clone that has nothing below the commit it begins at.
            let depth = u32::from(*run == "pod-late");
            let url = "url: \"git://demo-git/tally.git\"";
            let work = work(run).replace("sh check.sh", "sleep 2; sh check.sh");
            place.apply(&manifest(run, &work).replace(url, &format!("{url}, checkout: {{depth: {depth}}}")));
        }
        for (run, step, what) in some {
            lose(&place, run, step, what);
        }
        for (run, _, what) in some {
            place.reaches_with_one_pod(run, "Completed");
            trees.push(place.git(&["rev-parse", &format!("agent/{run}^{{tree}}")]));
            let attempts = if ["sidecar", "nothing"].contains(what) { 1 } else { 2 };
            assert_eq!(status(&place, run, "/attempt"), attempts.to_string(), "{run}");
            assert!(place.pods_of(run).len() <= attempts, "{run} has one pod for each attempt");
            place.has_its_summary(run);
        }
    }
    trees.dedup();
    assert_eq!(trees.len(), 1, "{trees:?}");
}

/// Nobody's clock runs out, and no second pod is made, because nobody could be asked for a while.
#[test]
fn an_api_server_that_is_away_for_a_while_costs_a_run_nothing() {
    let Some(place) = Place::new("outage") else { return };
    if !is_ours() {
        say("skipped: only the API server of the test cluster's own is killed");
        return;
    }
    place.slow_project(4);
    place.run("patient", &work("patient"));
    until("its agent works", || status(&place, "patient", "/progress/step") == "implementation");
    restart("apiserver", 15);
    place.reaches_with_one_pod("patient", "Completed");
    place.has_its_summary("patient");
    assert_eq!(status(&place, "patient", "/attempt"), "1");
    assert_eq!(place.pods_of("patient").len(), 1);
    assert_eq!(place.git(&["rev-list", "--count", "main..run/patient"]), "2", "no step was done twice");
}

/// With a volume nothing of the journal is lost, whenever the pod is.
#[test]
fn a_run_on_a_volume_goes_on_in_the_step_in_which_its_pod_was_lost() {
    let Some(place) = Place::new("volume") else { return };
    if !is_ours() {
        say("skipped: this test brings a volume of the test cluster's own");
        return;
    }
    place.slow_project(5);
    let disk = Disk::new(&place, None);
    place.run("kept", &format!("{}{}", work("kept"), disk.checkpoint()));
    lose(&place, "kept", "implementation of iteration 2", "pod");
    place.reaches("kept", "Completed");
    assert_eq!(place.git(&["rev-list", "--count", "main..run/kept"]), "2", "no step was done twice");
    let summary = place.get("configmap", "kept-summary")["data"]["summary.json"].clone();
    assert!(summary.as_str().is_some_and(|text| text.contains("\"iterations_run\": 2")), "{summary}");
    let refs = place.git(&["for-each-ref", "--format=%(refname)", "refs/agentloop"]);
    assert_eq!(refs, "", "its checkpoints are not on the remote");
    place.must(&["delete", "looprun", "kept"]);
    until("the pod has left the volume", || place.pods_of("kept").is_empty());
}

/// The agent says more than the volume can hold.
#[test]
fn a_run_whose_volume_is_full_ends_with_what_to_do() {
    let Some(place) = Place::new("full") else { return };
    if !is_ours() {
        say("skipped: this test brings a volume of the test cluster's own");
        return;
    }
    let agent = HONEST.replacen('\n', "\nhead -c 12000000 /dev/urandom | od\n", 1);
    let mut files = PROJECT.to_vec();
    files.push((".loop/agent.sh", &agent));
    place.git_server(&files);
    let disk = Disk::new(&place, Some("8m"));
    place.run("full", &format!("{}{}", work("full"), disk.checkpoint()));
    says(&place, "full", "Failed", "the volume of the run is full; have claim full-checkpoint ask for more");
    place.must(&["delete", "looprun", "full"]);
    until("the pod has left the volume", || place.pods_of("full").is_empty());
}
