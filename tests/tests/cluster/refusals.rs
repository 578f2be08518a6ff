//! Mistakes that a user can make: each ends, or waits, with a sentence that says what to do.

use std::time::{Duration, Instant};

use loop_tests::{HONEST, PROJECT};

use super::place::{Place, manifest};

/// Longest until the user knows.
const SOON: Duration = Duration::from_secs(60);

/// Waits for a condition's message with these words.
fn says(place: &Place, run: &str, condition: &str, words: &str) {
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

fn task(path: &str) -> String {
    format!("  task: {{specPath: {path}}}\n{GATES}")
}

#[test]
fn what_cannot_be_run_is_named_with_the_remedy() {
    let Some(place) = Place::new("refusals") else { return };
    let mut files = PROJECT.to_vec();
    files.push((".loop/agent.sh", HONEST));
    place.git_server(&files);
    place.run("no-spec", &task("specs/none.md"));
    says(&place, "no-spec", "Failed", "spec specs/none.md does not exist");
    assert_eq!(place.phase("no-spec"), "Failed");

    place.apply(&manifest("no-image", &task("specs/files.md")).replace("toolchain:test", "nothing:test"));
    says(&place, "no-image", "Reconciling", "cannot pull image agentloop/nothing:test");
    place.must(&["delete", "looprun", "no-image"]);

    let elsewhere = manifest("no-repository", &task("specs/files.md")).replace("tally.git", "none.git");
    place.apply(&elsewhere);
    says(&place, "no-repository", "Failed", "the repository cannot be cloned");

    let secret = manifest("no-secret", &task("specs/files.md"))
        .replace("repository: {", "repository: {secretRef: {name: not-there}, ");
    place.apply(&secret);
    says(&place, "no-secret", "Reconciling", "check that Secret not-there exists");
    place.must(&["delete", "looprun", "no-secret"]);
}
