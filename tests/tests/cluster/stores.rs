//! Checkpoints and records in a bucket, whose server is a real one in a pod, and records on a volume of the user's.

use std::time::{Duration, Instant};

use super::disk::Disk;
use super::place::{Place, is_ours, manifest, say, until, work};
use super::refusals::{SOON, says};

const SERVER: &str = r"
apiVersion: v1
kind: Service
metadata: {name: store}
spec: {selector: {app: store}, ports: [{port: 8014}]}
---
apiVersion: v1
kind: Pod
metadata: {name: store, labels: {app: store}}
spec:
  automountServiceAccountToken: false
  securityContext: {runAsNonRoot: true, runAsUser: 1000, seccompProfile: {type: RuntimeDefault}}
  containers:
    - name: s3
      image: agentloop/s3:test
      args: [--access-key, robot, --secret-key, sesame]
      readinessProbe: {tcpSocket: {port: 8014}, periodSeconds: 1}
      securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
";

/// In its second iteration the agent leaves something uncommitted and waits; who finds it there goes on.
const DRAFT: &str =
    "if [ -e one.txt ] && [ ! -e draft.txt ]; then uname -n >draft.txt; while :; do sleep 1; done; fi";

/// Whether there is an image of the server; without it that is said, and a failure where everything is required.
fn has_server() -> bool {
    let has = std::env::var_os("LOOP_TEST_S3").is_some();
    let required = std::env::var("LOOP_REQUIRE").is_ok_and(|value| value == "all");
    assert!(has || !required, "LOOP_TEST_S3 names no s3s-fs, and every rung is required");
    if !has {
        say("MISSING: an s3s-fs in LOOP_TEST_S3, when the images were built");
    }
    has
}

/// A namespace with the server, its bucket `loops`, and Secrets of which one is right.
fn with_server(test: &str) -> Option<Place> {
    if !has_server() {
        return None;
    }
    let place = Place::new(test)?;
    store(&place);
    Some(place)
}

/// The server and the Secrets.
pub(super) fn store(place: &Place) {
    place.apply(SERVER);
    place.must(&["wait", "--for=condition=Ready", "pod/store", "--timeout=120s"]);
    place.must(&["exec", "store", "--", "mkdir", "/data/loops"]);
    for (name, key) in [("right", "sesame"), ("wrong", "open")] {
        let secret = format!("--from-literal=AWS_SECRET_ACCESS_KEY={key}");
        place.must(&["create", "secret", "generic", name, "--from-literal=AWS_ACCESS_KEY_ID=robot", &secret]);
    }
}

/// What a run says to have a store there.
pub(super) fn bucket(name: &str, secret: &str) -> String {
    format!(
        "{{store: S3, s3: {{bucket: {name}, prefix: a/b, endpoint: \"http://store:8014\", secretRef: {{name: {secret}}}}}}}"
    )
}

/// Names of the files below a folder of the server's.
fn files(place: &Place, folder: &str) -> Vec<String> {
    let found = place.must(&["exec", "store", "--", "find", &format!("/data/{folder}"), "-type", "f"]);
    found.lines().map(str::to_owned).collect()
}

#[test]
fn a_run_whose_pod_is_lost_goes_on_from_the_bucket_with_what_was_not_committed() {
    let Some(place) = with_server("stores") else { return };
    place.project_that(DRAFT);
    let stores = format!("  checkpoint: {0}\n  artifacts: {0}\n", bucket("loops", "right"));
    place.run("kept", &format!("{}{stores}", work("kept")));
    let checkpoint = || {
        place.get("looprun", "kept")["status"]["checkpoint"]["ref"].as_str().unwrap_or_default().to_owned()
    };
    until("a snapshot of the second iteration was taken", || {
        let log = place.kubectl(&["logs", "-l", "agentloop.dev/run=kept", "-c", "runner", "--tail=-1"], "").1;
        let second = log.split_once("implementation of iteration 2 begins");
        second.is_some_and(|(_, after)| after.contains("checkpoint at"))
    });
    // It may be in the bucket already, or be there within the pause between two checkpoints.
    let (before, end) = (checkpoint(), Instant::now() + Duration::from_secs(60));
    while checkpoint() == before && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(500));
    }
    let uid = place.get("looprun", "kept")["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
    let folder = format!("loops/a/b/{}/kept/{uid}", place.namespace);
    let named = checkpoint();
    assert!(named.starts_with(&format!("s3://{folder}/checkpoints/")), "{named}");
    until("the one that is named is the only one", || {
        files(&place, &format!("{folder}/checkpoints")) == [named.replace("s3://", "/data/")]
    });
    let pod = place.get("looprun", "kept")["status"]["podName"].as_str().unwrap_or_default().to_owned();
    place.must(&["delete", "pod", &pod, "--force", "--grace-period=0"]);
    place.reaches("kept", "Completed");

    let run = place.get("looprun", "kept")["status"].clone();
    assert_eq!(run["attempt"], 2, "{run}");
    assert_eq!(place.git(&["show", "agent/kept:draft.txt"]), pod, "what was not committed went along");
    assert_eq!(place.git(&["rev-list", "--count", "main..run/kept"]), "2", "no step was done twice");
    let refs = place.git(&["for-each-ref", "--format=%(refname)", "refs/agentloop"]);
    assert_eq!(refs, "", "its checkpoints are not on the remote");
    let summary = place.get("configmap", "kept-summary")["data"]["summary.json"].clone();
    assert!(summary.as_str().is_some_and(|text| text.contains("\"iterations_run\": 2")), "{summary}");

    assert_eq!(run["artifactsPath"], format!("s3://{folder}/artifacts"));
    let message = run["result"]["message"].as_str().unwrap_or_default();
    assert!(!message.contains("kept"), "{message}");
    until("its checkpoints are gone", || {
        files(&place, &folder).iter().all(|name| name.contains("/artifacts/"))
    });
    let there = files(&place, &format!("{folder}/artifacts"));
    for name in ["journal.jsonl", "evidence.json", "report.md", "looprun.json", "SHA256SUMS"] {
        assert!(there.contains(&format!("/data/{folder}/artifacts/{name}")), "{name}: {there:?}");
    }
    let sums = format!("cd /data/{folder}/artifacts && sha256sum --quiet -c SHA256SUMS");
    place.must(&["exec", "store", "--", "sh", "-c", &sums]);
}

#[test]
fn a_bucket_that_will_not_do_is_named_before_the_agent_begins() {
    let Some(place) = with_server("buckets") else { return };
    place.slow_project(0);
    let run = |name: &str, stores: &str| place.apply(&manifest(name, &format!("{}{stores}", work(name))));
    run("wrong-key", &format!("  checkpoint: {}\n", bucket("loops", "wrong")));
    run("no-bucket", &format!("  checkpoint: {}\n", bucket("nowhere", "right")));
    run("no-records", &format!("  artifacts: {}\n", bucket("loops", "wrong")));
    let began = Instant::now();
    for (name, words, field) in [
        ("wrong-key", "the bucket loops cannot be listed, SignatureDoesNotMatch", "checkpoint"),
        ("no-bucket", "the bucket nowhere cannot be listed, NoSuchBucket", "checkpoint"),
        ("no-records", "the bucket loops cannot be written, SignatureDoesNotMatch", "artifacts"),
    ] {
        says(&place, name, "Failed", words);
        let said = place.said(name, "Failed");
        assert!(said.contains(&format!("; look at spec.{field}.s3 and the Secret that it names")), "{said}");
        assert!(!said.contains("open") && !said.contains('<'), "{said}");
    }
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    assert_eq!(place.git(&["for-each-ref", "--format=%(refname)", "refs/heads/run"]), "");
}

#[test]
fn a_bucket_that_is_gone_at_the_end_changes_nothing_about_the_end() {
    let Some(place) = with_server("bucket-gone") else { return };
    place.held_project();
    let artifacts = format!("  artifacts: {}\n", bucket("loops", "right"));
    place.run("kept", &format!("{}{artifacts}", work("kept")));
    until("its agent works", || {
        place.get("looprun", "kept")["status"]["progress"]["step"] == "implementation"
    });
    // Its process, not only its object.
    place.must(&["delete", "pod", "store", "--grace-period=1"]);
    place.let_go();
    place.reaches("kept", "Completed");
    let status = place.get("looprun", "kept")["status"].clone();
    let message = status["result"]["message"].as_str().unwrap_or_default();
    assert!(
        message.contains("its whole record could not be kept: the bucket loops cannot be written, "),
        "{message}"
    );
    assert!(!status["artifactsPath"].as_str().unwrap_or_default().starts_with("s3:"), "{status}");
    assert!(place.get("configmap", "kept-summary")["data"]["evidence.json"].is_string());
}

#[test]
fn the_record_of_a_run_is_kept_on_a_claim_of_the_users() {
    let Some(place) = Place::new("records") else { return };
    if !is_ours() {
        say("skipped: this test brings a volume of the test cluster's own");
        return;
    }
    place.slow_project(0);
    let disk = Disk::new(&place, None);
    place.apply(&format!(
        "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {{name: records}}\nspec:\n  accessModes: \
         [ReadWriteOnce]\n  storageClassName: {}\n  resources: {{requests: {{storage: 1Gi}}}}\n",
        place.namespace
    ));
    let artifacts = "  artifacts: {store: Volume, volume: {claimName: records}}\n";
    place.run("told", &format!("{}{artifacts}", work("told")));
    place.reaches("told", "Completed");
    let run = place.get("looprun", "told");
    let short = run["metadata"]["uid"].as_str().unwrap_or_default()[..5].to_owned();
    assert_eq!(run["status"]["artifactsPath"], format!("records:told-{short}"));
    for name in ["journal.jsonl", "evidence.json", "report.md", "looprun.json"] {
        assert!(disk.folder.join(format!("told-{short}")).join(name).exists(), "{name}");
    }
    assert!(place.get("configmap", "told-summary")["data"]["summary.json"].is_string());
    place.must(&["delete", "looprun", "told"]);
    until("the pod has left the volume", || place.pods_of("told").is_empty());
    place.must(&["delete", "pvc", "records", "--wait=false"]);
}
