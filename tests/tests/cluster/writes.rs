//! What a run costs the API server, by its own audit log.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::place::{Place, say, work};

/// The most writes by operator and sidecar together, beside one of the progress in 30 s.
const MOST: usize = 12;

/// One write by operator or sidecar.
#[derive(Debug)]
pub(super) struct Write {
    /// `user verb resource/part`.
    pub(super) what: String,
    /// When it was answered, in milliseconds since 1970.
    pub(super) at: i64,
}

/// Writes about a run and what is made for it, by operator and sidecar, oldest first.
pub(super) fn writes(log: &Path, place: &Place, run: &str) -> Vec<Write> {
    let text = fs::read_to_string(log).expect("the audit log");
    let events = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let write = |event: Value| {
        let told = |path: &str| event.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let user = told("/user/username").rsplit(':').next().unwrap_or_default();
        let ours = ["loopd", "agentloop-run"].contains(&user);
        let verb = told("/verb");
        let about =
            told("/objectRef/namespace") == place.namespace && told("/objectRef/name").starts_with(run);
        let at = told("/stageTimestamp").parse::<jiff::Timestamp>().ok()?.as_millisecond();
        (ours && about).then(|| Write {
            what: format!("{user} {verb} {}/{}", told("/objectRef/resource"), told("/objectRef/subresource")),
            at,
        })
    };
    events.filter_map(write).collect()
}

/// The test cluster's audit log, if it can be read here.
pub(super) fn audit_log() -> Option<PathBuf> {
    let config = std::env::var("KUBECONFIG").unwrap_or_default();
    let log = Path::new(&config).with_file_name("log").join("audit.log");
    if !log.exists() {
        say("skipped: this cluster keeps no audit log where tests can read it");
        return None;
    }
    Some(log)
}

#[test]
fn a_run_costs_the_api_server_at_most_twelve_writes() {
    let Some(place) = Place::new("writes") else { return };
    let Some(log) = audit_log() else { return };
    place.slow_project(1);
    place.run("counted", &work("counted"));
    place.reaches("counted", "Completed");
    let all = writes(&log, &place, "counted");
    let took = all.last().map_or(0, |last| last.at) - all.first().map_or(0, |first| first.at);
    let more = usize::try_from(took / 30_000).expect("they are in order");
    assert!(all.iter().any(|write| write.what == "loopd create pods/"), "the log tells: {all:?}");
    // Of the begin, of the first checkpoint, of the one before the merge, and of the end; and then each half a minute.
    let told = all.iter().filter(|write| write.what == "agentloop-run patch loopruns/status").count();
    assert!((2..=4 + more).contains(&told), "{all:#?}");
    assert!(all.len() <= MOST + 1 + more, "{}: {all:#?}", all.len());
}
