//! The real Claude Code in a pod, in an image that does not have it, against a scripted model in another pod.

use loop_tests::PROJECT;
use loop_tests::endpoint::{JOURNAL, KEY, bash, npm, prompt, requests, says, task, tokens, uses};
use serde_json::{Value, json};

use super::place::{Place, manifest, until};

pub(super) const FIRST: &str = "## Selected task\n\nWrite one.txt";
pub(super) const SECOND: &str = "## Selected task\n\nWrite two.txt";
pub(super) const REVIEW: &str = "You are a senior engineer who reviews";
const COMPLIANCE: &str = "Does the work do what the spec says?";

fn fixtures() -> Value {
    let (tool, mut second) = task("two", "two");
    // Long enough to look around meanwhile.
    second["command"] = format!("sleep 10; {}", second["command"].as_str().expect("a command")).into();
    let read = bash("cat /far/analysis/record/summary.json");
    json!({"fixtures": [
        says(&prompt(REVIEW, false), "Good.\n\nAPPROVED", (70, 7)),
        uses(&prompt(FIRST, false), &[task("one", "one")], (120, 12)),
        says(&prompt(FIRST, true), "Wrote one.txt; one task is left.", (150, 15)),
        uses(&prompt(SECOND, false), &[(tool, second)], (160, 16)),
        says(&prompt(SECOND, true), "Wrote two.txt.\n\n<promise>COMPLETE</promise>", (170, 17)),
        uses(&prompt(COMPLIANCE, false), &[read], (175, 18)),
        // Only who has read the record is answered.
        says(&json!({"userMessage": COMPLIANCE, "toolResultContains": "complete_plan"}), "It does.\n\nVerdict: pass\n", (180, 18)),
        says(&prompt("How did the run go?", false), "Straight on.\n", (190, 19)),
        says(&prompt("What follows from the two reports?", false), "Root cause: spec gap\n", (200, 20)),
    ]})
}

/// A pod that answers as a model, at `http://model:8080`, and a Secret with what leads there.
pub(super) fn model(place: &Place, fixtures: &Value) {
    let labels = json!({"app": "model"});
    let container = json!({
        "name": "model", "image": "agentloop/aimock:test", "imagePullPolicy": "IfNotPresent",
        "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1},
        "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "fixtures", "mountPath": "/fixtures"}],
    });
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "model", "labels": labels},
        "spec": {
            "automountServiceAccountToken": false,
            "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [container],
            "volumes": [{"name": "fixtures", "configMap": {"name": "model"}}],
        },
    });
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "model"},
        "spec": {"selector": labels, "ports": [{"port": 8080}]},
    });
    let map = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "model"},
        "data": {"fixtures.json": fixtures.to_string()},
    });
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "model-key"},
        "stringData": {
            "ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": "http://model:8080",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        },
    });
    place.apply(&[pod, service, map, secret].map(|object| object.to_string()).join("\n---\n"));
    place.must(&["wait", "--for=condition=Ready", "pod/model", "--timeout=120s"]);
}

#[test]
fn claude_works_in_an_image_without_it_and_nobody_else_gets_its_key() {
    let Some(place) = Place::new("claude") else { return };
    if npm().is_none() {
        return;
    }
    place.git_server(PROJECT);
    model(&place, &fixtures());
    let task = "  task: {specPath: specs/files.md}\n  gates: [{name: check, run: sh check.sh}]\n";
    let claude = "adapter: claude, secretRef: {name: model-key}";
    place.apply(&manifest("files", task).replace("adapter: script", claude));
    let mut looked = false;
    let phases = place.phases("files", |phase| {
        if phase == "Running" && !looked {
            the_key_is_the_agents_alone(&place);
            looked = true;
        }
    });
    assert_eq!(phases, ["Pending", "Running", "Completed"], "{}", place.said("files", "Failed"));
    assert!(looked);
    assert_eq!(place.git(&["show", "agent/files:two.txt"]), "two");
    assert_eq!(place.git(&["log", "--format=%s", "main..run/files"]), "Write two.txt\nWrite one.txt");

    let run = place.get("looprun", "files");
    let status = &run["status"];
    assert!(place.said("files", "Verified").contains("FailToPass"), "{status}");
    let text = place.must(&[
        "get",
        "--raw",
        &format!("/api/v1/namespaces/{}/pods/model:8080/proxy{JOURNAL}", place.namespace),
    ]);
    let (input, output) = tokens(&requests(&text));
    let analysis = (175 + 180 + 190 + 200) + (18 + 18 + 19 + 20);
    assert_eq!(status["usage"]["tokens"], input + output - analysis, "{status}");
    assert_eq!((&status["usage"]["source"], &status["usage"]["incomplete"]), (&"reported".into(), &0.into()));
    let cost: f64 = status["usage"]["costUSD"].as_str().expect("a cost").parse().expect("a number");
    assert!(cost > 0.0, "{status}");
    assert_eq!(
        (&status["postmortem"]["verdict"], &status["postmortem"]["rootCause"]),
        (&"pass".into(), &"spec gap".into())
    );

    let map = place.get("configmap", "files-summary");
    let file = |name: &str| map["data"][name].as_str().unwrap_or_default().to_owned();
    let evidence: Value = serde_json::from_str(&file("evidence.json")).expect("evidence");
    assert_eq!(evidence["predicate"]["adapter"], "claude");
    let program = evidence["predicate"]["program"].as_str().unwrap_or_default();
    assert!(program.starts_with("claude 2."), "{program:?}");
    assert!(evidence["predicate"]["usage"]["cost_nano_usd"].as_u64() > Some(0), "{evidence}");
    assert!(file("report.md").starts_with("# Run `files`"), "{}", file("report.md"));
    let reports = place.get("configmap", "files-postmortem");
    assert!(
        reports["data"]["spec-compliance.md"].as_str().is_some_and(|text| text.contains("It does.")),
        "{reports}"
    );
    let logs = place.must(&["logs", "-l", "agentloop.dev/run=files", "--all-containers", "--tail=-1"]);
    let pods = place.must(&["get", "pods", "-o", "json"]);
    for (what, text) in [
        ("the run", run.to_string()),
        ("the summary", map.to_string()),
        ("the reports", reports.to_string()),
        ("logs", logs),
        ("pods", pods),
    ] {
        assert!(!text.contains(KEY), "the key is in {what}");
    }
}

/// In the middle of the run: environments, and every file that the engine has written so far.
fn the_key_is_the_agents_alone(place: &Place) {
    until("the first iteration is over", || {
        let pod = place.get("looprun", "files")["status"]["podName"].as_str().unwrap_or_default().to_owned();
        let wanted = [
            "exec",
            &pod,
            "-c",
            "sidecar",
            "--",
            "grep",
            "-rqs",
            "AGENT_FINISHED",
            "/run/agentloop/data/runs",
        ];
        place.kubectl(&wanted, "").0
    });
    let pod = place.get("looprun", "files")["status"]["podName"].as_str().expect("a pod").to_owned();
    let in_container =
        |name: &str, words: &[&str]| place.kubectl(&[&["exec", &pod, "-c", name, "--"], words].concat(), "");
    for (name, expected) in [("agent", true), ("gate", false), ("sidecar", false), ("runner", false)] {
        let (worked, said) = in_container(name, &["env"]);
        assert!(worked, "{name}: {said}");
        assert_eq!(said.contains(KEY), expected, "the environment of {name}: {said}");
    }
    for (name, folders) in [
        ("sidecar", &["/run/agentloop"][..]),
        ("runner", &["/work", "/program", "/agent-git"]),
        ("gate", &["/far"]),
    ] {
        let (found, said) = in_container(name, &[&["grep", "-rls", KEY], folders].concat());
        assert!(!found, "the key is in files of {name}: {said}");
    }
}

#[test]
fn the_example_with_claude_is_taken_by_the_server() {
    let Some(place) = Place::new("claude-example") else { return };
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/looprun-claude.yaml");
    let text = std::fs::read_to_string(file).expect("the example");
    let (taken, said) = place.kubectl(&["apply", "--dry-run=server", "-f", "-"], &text);
    assert!(taken && !said.contains("Warning"), "{said}");
}
