//! The lease of this pod's attempt: renewed by reading the run, never by writing (design section 8). While it counts, the
//! engine works and the sidecar pushes; what is written to the API server is refused there once the run is another's.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kube::Api;
use kube::api::DynamicObject;
use loop_api::run::LEASE_SECONDS;
use loop_core::lease::{Grant, Hold, Lease, Word, boot_ms};

use super::Whose;
use crate::say;

/// Between two tries to reach an API server that does not answer.
const PAUSE: Duration = Duration::from_secs(2);

/// What is known of the lease, shared by all that depends on it.
#[derive(Debug, Clone)]
pub(super) struct Held {
    file: Lease,
    grant: Arc<Mutex<Grant>>,
    uid: String,
    pod: String,
}

impl Held {
    /// The lease that the run, asked for at `asked` (of [`boot_ms`]), gives this pod.
    ///
    /// # Errors
    /// When it is another's already, or the file cannot be written.
    pub(super) fn new(file: Lease, whose: &Whose, run: &DynamicObject, asked: u64) -> Result<Self, String> {
        let seconds =
            run.data["status"]["leaseSeconds"].as_u64().and_then(|seconds| u32::try_from(seconds).ok());
        let seconds = seconds.filter(|seconds| *seconds > 0).unwrap_or(LEASE_SECONDS);
        let grant = Grant { attempt: whose.attempt, seconds, until_ms: 0, revoked: false };
        let held =
            Self { file, grant: Arc::new(Mutex::new(grant)), uid: whose.uid.clone(), pod: whose.pod.clone() };
        match held.hear(Some(run), Some(asked)) {
            Hold::Held => Ok(held),
            _ => Err(format!("attempt {} at the run is over; this pod was for it", whose.attempt)),
        }
    }

    /// How long the lease still counts.
    pub(super) fn left(&self) -> Option<Duration> {
        let (grant, now) = (self.grant(), boot_ms());
        (grant.hold(now) == Hold::Held).then(|| Duration::from_millis(grant.until_ms - now))
    }

    fn grant(&self) -> Grant {
        self.grant.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes note of a run as the API server gave it, `None` where there is none, as [`Grant::hear`] does.
    pub(super) fn hear(&self, run: Option<&DynamicObject>, asked: Option<u64>) -> Hold {
        let mut grant = self.grant.lock().unwrap_or_else(PoisonError::into_inner);
        let before = grant.clone();
        let word = word(run, &self.uid, before.attempt, &self.pod);
        grant.hear(word, asked);
        if *grant != before
            && let Err(error) = self.file.write(&grant)
        {
            // The engine stops then, as it has to.
            say(&format!("the lease cannot be written: {error}"));
        }
        if grant.revoked && !before.revoked {
            say("another attempt has the run, or none; nothing is pushed or told any more");
        }
        grant.hold(boot_ms())
    }
}

/// Who has the run.
fn word(run: Option<&DynamicObject>, uid: &str, attempt: u32, pod: &str) -> Word {
    let Some(run) = run.filter(|run| run.metadata.uid.as_deref() == Some(uid)) else { return Word::Theirs };
    let status = &run.data["status"];
    let named = status["podName"].as_str() == Some(pod);
    Word::of(status["attempt"].as_u64().unwrap_or_default(), named, attempt)
}

/// Renews the lease until the task is aborted, or it is another's.
pub(super) async fn renew(runs: Api<DynamicObject>, name: String, held: Held) {
    let seconds = held.grant().seconds;
    let third = Duration::from_millis(u64::from(seconds) * 1000 / 3);
    let mut away = false;
    let mut pause = third;
    loop {
        tokio::time::sleep(pause).await;
        let asked = boot_ms();
        // An answer that takes longer comes from a server that may have changed its mind.
        let hold = match tokio::time::timeout(third, runs.get_opt(&name)).await {
            Ok(Ok(run)) => {
                if away {
                    say("the API server answers again");
                }
                (pause, away) = (third, false);
                held.hear(run.as_ref(), Some(asked))
            }
            failed => {
                if !away {
                    let why = failed.map_or("no answer".to_owned(), |failed| {
                        failed.map_or_else(|error| error.to_string(), |_| String::new())
                    });
                    say(&format!(
                        "the API server cannot be reached ({why}); after {seconds} s the agent is stopped"
                    ));
                }
                (pause, away) = (PAUSE, true);
                held.grant().hold(boot_ms())
            }
        };
        if hold == Hold::Revoked {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "these are tests")]

    use serde_json::{Value, json};

    use super::*;

    fn run(uid: &str, status: &Value) -> DynamicObject {
        serde_json::from_value(json!({"metadata": {"name": "x", "uid": uid}, "status": status})).unwrap()
    }

    fn ours() -> Value {
        json!({"attempt": 2, "podName": "x-1-2", "leaseSeconds": 30})
    }

    fn held(folder: &tempfile::TempDir, asked: u64) -> Result<Held, String> {
        let (uid, pod) = ("u".to_owned(), "x-1-2".to_owned());
        let whose = Whose { uid, attempt: 2, pod, ..Whose::default() };
        Held::new(Lease::at(folder.path().join("lease")), &whose, &run("u", &ours()), asked)
    }

    #[test]
    fn who_has_a_run_is_said_by_its_status() {
        let word = |uid: &str, status: Value| word(Some(&run(uid, &status)), "u", 2, "x-1-2");
        assert_eq!(word("u", ours()), Word::Ours);
        assert_eq!(word("u", json!({"attempt": 1, "podName": "x-1-1"})), Word::Old);
        assert_eq!(word("u", json!({"attempt": 2})), Word::Theirs, "it was given up");
        assert_eq!(word("u", json!({"attempt": 3, "podName": "x-1-3"})), Word::Theirs);
        assert_eq!(word("other", ours()), Word::Theirs, "a run of the same name");
        assert_eq!(super::word(None, "u", 2, "x-1-2"), Word::Theirs, "it was deleted");
    }

    #[test]
    fn a_lease_counts_from_when_the_question_was_asked() {
        let folder = tempfile::tempdir().unwrap();
        let now = boot_ms();
        let held = held(&folder, now).unwrap();
        assert_eq!(held.grant(), Grant { attempt: 2, seconds: 30, until_ms: now + 30_000, revoked: false });
        assert_eq!(held.file.read(), Some(held.grant()), "the engine reads the same");
        assert!(held.left().is_some_and(|left| left <= Duration::from_secs(30)));
        held.hear(Some(&run("u", &ours())), None);
        assert_eq!(held.grant().until_ms, now + 30_000, "what a watch brings may be old");
        held.hear(Some(&run("u", &ours())), Some(now + 5));
        assert_eq!(held.grant().until_ms, now + 30_005);
    }

    #[test]
    fn what_was_taken_back_never_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let held = held(&folder, boot_ms()).unwrap();
        assert_eq!(held.hear(Some(&run("u", &json!({"attempt": 3}))), None), Hold::Revoked);
        assert_eq!(held.left(), None);
        assert_eq!(held.hear(Some(&run("u", &ours())), Some(boot_ms())), Hold::Revoked);
        assert_eq!(held.file.hold(), Hold::Revoked);
    }

    #[test]
    fn a_pod_of_an_attempt_that_is_over_has_none() {
        let folder = tempfile::tempdir().unwrap();
        let long_ago = boot_ms().saturating_sub(31_000);
        assert!(held(&folder, long_ago).is_err());
    }
}
