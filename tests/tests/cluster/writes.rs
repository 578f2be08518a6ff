//! What a run costs the API server, by its own audit log.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::place::{Place, say, work};

/// The most writes by operator and sidecar together, beside one of the progress in 30 s.
const MOST: usize = 12;

/// Writes about objects whose name begins like this, as `user verb resource/part`, oldest first.
fn writes(log: &Path, namespace: &str, name: &str) -> Vec<String> {
    let text = fs::read_to_string(log).expect("the audit log");
    let events = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let told = |event: &Value, path: &str| {
        event.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    events
        .filter(|event| told(event, "/objectRef/namespace") == namespace)
        .filter(|event| told(event, "/objectRef/name").starts_with(name))
        .filter_map(|event| {
            let user = told(&event, "/user/username").rsplit(':').next().unwrap_or_default().to_owned();
            let (verb, kind) = (told(&event, "/verb"), told(&event, "/objectRef/resource"));
            let ours = ["loopd", "agentloop-run"].contains(&user.as_str());
            ours.then(|| format!("{user} {verb} {kind}/{}", told(&event, "/objectRef/subresource")))
        })
        .collect()
}

#[test]
fn a_run_costs_the_api_server_at_most_twelve_writes() {
    let Some(place) = Place::new("writes") else { return };
    let config = std::env::var("KUBECONFIG").unwrap_or_default();
    let log = Path::new(&config).with_file_name("log").join("audit.log");
    if !log.exists() {
        say("skipped: this cluster keeps no audit log where tests can read it");
        return;
    }
    place.slow_project(1);
    place.run("counted", &work("counted"));
    place.reaches("counted", "Completed");
    let all = writes(&log, &place.namespace, "counted");
    assert!(all.iter().any(|write| write == "loopd create pods/"), "the log tells: {all:?}");
    // In so short a run: of the begin, of the first checkpoint, of the one before the merge, and of the end.
    let told = all.iter().filter(|write| *write == "agentloop-run patch loopruns/status").count();
    assert!((2..=4).contains(&told), "{all:#?}");
    assert!(all.len() <= MOST + 1, "{}: {all:#?}", all.len());
}
