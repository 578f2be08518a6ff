//! What runs in the pod of a `LoopRun` (design section 9).
//!
//! `loop-runner` drives the loop and has no Kubernetes client; `loop-sidecar` holds the API token and the git credential,
//! clones before and publishes after; `loop-exec` executes commands in the containers of agent and gates. Runner and
//! sidecar share a folder and speak through two append-only files in it.

use serde_json::{Map, Value};

pub mod install;
pub mod mailbox;
pub mod place;
pub mod sidecar;
pub mod toolchain;

/// What the kubelet shows as a container's last words.
const LAST_WORDS: &str = "/dev/termination-log";

/// What the system and git say when there is no room for a file.
const NO_SPACE: [&str; 2] = ["No space left on device", "Disk quota exceeded"];

/// Whether these words say that there is no room here; what a remote says of itself is marked.
fn is_full(words: &str) -> bool {
    let here = |part: &str| !part.contains("remote:");
    words.split("; ").any(|part| here(part) && NO_SPACE.iter().any(|said| part.contains(said)))
}

/// Words on a volume of the run's own that is full, with what to do; `claim` is its name. Without one the disk of the node
/// is full, and another node may have room.
pub fn full(words: &str, claim: Option<&str>) -> Option<String> {
    let claim = claim.filter(|_| is_full(words))?;
    Some(format!(
        "{words}: the volume of the run is full; have claim {claim} ask for more, if its storage class can expand it, or make \
         the run anew with a larger spec.checkpoint.volume.size"
    ))
}

/// The claim in which the shared folder is, as loopd wrote it into the pod.
pub fn claim() -> Option<String> {
    std::env::var("LOOP_CLAIM").ok()
}

/// Gives a spec, as its user wrote it, what its worker has for `spec.delivery` and it does not say; names each.
pub fn give_delivery(spec: &mut Value, given: &Value) -> Vec<String> {
    let (Some(spec), Some(given)) = (spec.as_object_mut(), given.as_object()) else { return Vec::new() };
    let mut named = Vec::new();
    let own = spec.entry("delivery").or_insert_with(|| Value::Object(Map::new()));
    for (field, value) in given {
        if let Some(own) = own.as_object_mut().filter(|own| !own.contains_key(field)) {
            own.insert(field.clone(), value.clone());
            named.push(format!("delivery.{field} is {}", value.as_str().unwrap_or_default()));
        }
    }
    named
}

/// Writes a line into the container's log.
pub fn say(line: &str) {
    use std::io::Write as _;
    // Nobody to tell when the log is closed.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Says why the container ends, also to the kubelet.
pub fn say_last(words: &str) {
    say(words);
    // Best effort: outside of a pod there is no such file, and stderr has the same.
    let _ = std::fs::write(LAST_WORDS, words);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_worker_gives_what_the_spec_does_not_say() {
        let given = json!({"mode": "None", "strategy": "Merge"});
        let merged = |mut spec: Value, given: &Value| {
            let named = give_delivery(&mut spec, given);
            (spec, named)
        };
        let (spec, named) = merged(json!({"delivery": {"mode": "Merge", "targetBranch": "main"}}), &given);
        assert_eq!(spec, json!({"delivery": {"mode": "Merge", "targetBranch": "main", "strategy": "Merge"}}));
        assert_eq!(named, ["delivery.strategy is Merge"]);
        assert_eq!(merged(json!({}), &given).0, json!({"delivery": given}));
        assert_eq!(merged(json!({"task": {}}), &Value::Null), (json!({"task": {}}), vec![]));
    }

    #[test]
    fn only_a_volume_of_the_runs_own_is_the_users_to_enlarge() {
        let words = "git clone: fatal: write error: No space left on device";
        assert!(
            full(words, Some("login-checkpoint"))
                .is_some_and(|said| said.contains("have claim login-checkpoint ask"))
        );
        assert_eq!(full(words, None), None);
        let theirs = "git push: error: failed; remote: fatal: No space left on device";
        assert_eq!(full(theirs, Some("login-checkpoint")), None);
        assert_eq!(full("git clone: not found", Some("login-checkpoint")), None);
    }
}
