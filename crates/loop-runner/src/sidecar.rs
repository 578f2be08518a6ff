//! The sidecar: the only container of the pod with the API token and the git credential. It clones before the loop begins,
//! pushes what the loop asks for, and tells the cluster how the run stands.

mod answer;
mod artifacts;
mod bucket;
mod bundle;
pub mod checkpoint;
mod claim;
pub mod credentials;
pub mod git;
mod https;
mod keep;
mod lease;
mod mirror;
pub mod publish;
mod serve;
mod stored;
mod submodules;
mod trial;
mod wish;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use kube::Client;
use loop_api::names;
use loop_api::run::{CheckpointStatus, LoopRun};
use loop_core::lease::boot_ms;
use loop_core::machine::State;
use loop_core::store::{Store, replace_file};
use serde_json::{Value, json};

use crate::mailbox::Mailbox;
use crate::place::Place;
use crate::say;
use artifacts::Artifacts;
use git::Origin;
use lease::Held;
use publish::Publisher;
use serve::Sidecar;
use trial::Cause;

/// Times that the remote is asked for something, and the pause after the first; each further one is twice as long.
const TRIES: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// After so long, a remote that does not answer is not asked again: the sidecar says so, is started again, and asks again.
const RESTART: Duration = Duration::from_secs(10);

/// Why the sidecar cannot do its work until somebody has put something right.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Refused(String);

/// Which run the pod is for.
#[derive(Debug, Clone, Default)]
pub struct Whose {
    /// Namespace of pod and run.
    pub namespace: String,
    /// Name of the run.
    pub name: String,
    /// Its uid, so that another run of the same name is never taken for it.
    pub uid: String,
    /// Which attempt the pod is.
    pub attempt: u32,
    /// Its name.
    pub pod: String,
}

impl Whose {
    /// As loopd wrote it into the pod.
    ///
    /// # Errors
    /// When a variable is missing.
    pub fn of_pod() -> Result<Self> {
        let variable = |name: &str| std::env::var(name).with_context(|| format!("{name} is not set"));
        Ok(Self {
            namespace: variable("POD_NAMESPACE")?,
            name: variable("LOOP_RUN_NAME")?,
            uid: variable("LOOP_RUN_UID")?,
            attempt: variable("LOOP_ATTEMPT")?.parse().context("LOOP_ATTEMPT is no number")?,
            pod: variable("POD_NAME")?,
        })
    }
}

/// Whether the loop has begun, in this pod or in an earlier one, by the status: then there may be work, and a remote that let
/// it in.
fn has_begun(status: &Value) -> bool {
    ["startTime", "checkpoint"].iter().any(|field| !status[field].is_null())
}

/// Sets the run up, then serves the runner until the pod ends.
///
/// # Errors
/// A sentence for the container's last words.
pub async fn run(place: &Place, whose: &Whose) -> Result<()> {
    let client = Client::try_default().await.context("the API server cannot be reached")?;
    let publisher = Publisher::new(&client, whose);
    let asked = boot_ms();
    let object = publisher.run().await.with_context(|| format!("LoopRun {} cannot be read", whose.name))?;
    if object.metadata.uid.as_deref() != Some(&whose.uid) {
        return Err(anyhow!(
            "LoopRun {} was deleted and made again; this pod is for the older one",
            whose.name
        ));
    }
    let held = Held::new(place.lease(), whose, &object, asked).map_err(|reason| anyhow!(reason))?;
    // Before anything else, as what follows may take its time.
    let renewing = tokio::spawn(lease::renew(publisher.runs(), whose.name.clone(), held.clone()));
    let metadata = json!({"name": whose.name, "namespace": whose.namespace, "uid": whose.uid});
    let plain = json!({
        "apiVersion": loop_api::run::API_VERSION, "kind": loop_api::run::KIND,
        "metadata": metadata, "spec": object.data["spec"],
    });
    let wanted: LoopRun = serde_json::from_value(plain.clone()).context("the LoopRun cannot be read")?;
    let mut repository = wanted.spec.repository.clone();
    if let Some(volume) = &repository.volume {
        repository.url = claim::open(&repository.url).map_err(|reason| {
            let name = &volume.claim_name;
            Refused(format!("the repository on the claim {name} cannot be used: {reason}"))
        })?;
    }
    let origin = Origin::new(&repository, place.origin()).held_by(held.clone());
    let reference = names::checkpoint_ref(&whose.uid);
    let began = Instant::now();
    let first = !is_ready(place);
    let begun = !first || has_begun(&object.data["status"]);
    // Of a remote that does not even answer, the user is to know soon.
    let end = began + RESTART;
    ask(Some(end), || origin.reach()).await.map_err(|reason| unusable("cloned", &reason, begun))?;
    let mirror = mirror::of(&repository.url, Path::new(names::MIRRORS));
    tried("cloned", begun, || origin.set_up(&wanted.spec.repository.reference, mirror.as_deref())).await?;
    say(&format!("cloned in {} ms", began.elapsed().as_millis()));
    // In a pod in which everything has begun, it is time enough when there is something to push.
    if first {
        tried("pushed to", begun, || origin.may_push(&reference)).await?;
    }
    let store = Store::at(place.data());
    std::fs::create_dir_all(place.data().join("repos"))?;
    let run = store.run(&whose.uid);
    let artifacts = Artifacts::new(&wanted.spec.artifacts, whose);
    if let Some(artifacts) = artifacts.as_ref().filter(|_| !begun) {
        artifacts.probe(&plain).await.map_err(no_place)?;
    }
    let known: Option<CheckpointStatus> =
        serde_json::from_value(object.data["status"]["checkpoint"].clone()).ok();
    let keep = keep::set_up(&wanted.spec.checkpoint, &origin, (place, whose, begun), &run, known).await?;
    if first {
        // On a volume, what an earlier pod was asked for is not this one's to do.
        Mailbox::of(place).clear();
    }
    // What the user wished of an earlier pod; the wishes of now are told when they are known.
    run.clear_pause();
    run.clear_cancel();
    // A journal that is there may have begun with others; the engine sees whether they are.
    run.clear_limits();
    let limits = plain["spec"]["limits"].clone();
    if run.journal().exists() && !limits.is_null() {
        run.request_limits(&limits)?;
    }
    let mut told = plain;
    if let Some(defaults) = object.data["status"].get("defaults") {
        told["status"] = json!({"defaults": defaults});
    }
    replace_file(&place.object(), &serde_json::to_vec(&told)?)?;
    let found = std::fs::metadata(run.journal()).map_or(0, |facts| facts.len());
    let found = Some(found).filter(|_| first);
    let mut sidecar =
        Sidecar::new(origin, (run.clone(), store.submodules()), publisher, (keep, artifacts), found);
    let identity = (whose.name.clone(), whose.uid.clone());
    let wishes = tokio::spawn(wish::follow(sidecar.runs(), identity, run, limits, held));
    replace_file(&place.ready(), b"")?;
    let served = sidecar.serve(&Mailbox::of(place)).await;
    for task in [wishes, renewing] {
        task.abort();
        // Aborted or done, it has ended.
        let _ = task.await;
    }
    served
}

/// Asks something of the remote, several times if need be. One that does not answer is not asked again after `end`.
async fn ask<T>(end: Option<Instant>, question: impl Fn() -> Result<T, String>) -> Result<T, String> {
    let mut pause = FIRST_PAUSE;
    for _ in 1..TRIES {
        match question() {
            Err(reason) if end.is_none_or(|end| Instant::now() < end || !answer::is_missing(&reason)) => {
                wait(&reason, pause).await;
            }
            answer => return answer,
        }
        pause *= 2;
    }
    question()
}

/// Says why something is tried again, and waits until then.
async fn wait(reason: &str, pause: Duration) {
    say(&format!("{reason}; tried again in {} s", pause.as_secs()));
    tokio::time::sleep(pause).await;
}

/// Asks what nothing can begin without.
async fn tried<T>(what: &str, begun: bool, question: impl Fn() -> Result<T, String>) -> Result<T> {
    ask(None, question).await.map_err(|reason| unusable(what, &reason, begun))
}

/// Why a repository cannot be used. One that does not answer is waited for, or its outage would end every run of a queue;
/// a run that has begun ends only where nobody can let it in again.
fn unusable(what: &str, reason: &str, begun: bool) -> anyhow::Error {
    let words = words(what, reason);
    let waits = Cause::said(reason) == Cause::Away && (begun || answer::is_missing(reason));
    if waits { anyhow!(words) } else { Refused(words).into() }
}

/// Why what a run keeps has no place to go to, before it has begun.
fn no_place(reason: String) -> anyhow::Error {
    if answer::is_missing(&reason) { anyhow!(reason) } else { Refused(reason).into() }
}

/// What to say of a repository that cannot be used.
fn words(what: &str, reason: &str) -> String {
    if crate::is_full(reason) {
        return format!("the repository cannot be {what}, for there is no room: {reason}");
    }
    // Of a token that it did not take, git says nothing but that it cannot ask for a password.
    let asks = reason.contains("terminal prompts disabled");
    let reason = if asks {
        format!("the server takes no credential that it is given ({reason})")
    } else {
        reason.into()
    };
    let reason = steady(&reason);
    format!("the repository cannot be {what}, {reason}; look at spec.repository and the Secret that it names")
}

/// Without how long it took, which is another time with each try, and would make a write of each.
fn steady(reason: &str) -> String {
    let time = |(before, after): (&str, &str)| {
        let rest = after.trim_start_matches(|digit: char| digit.is_ascii_digit()).strip_prefix(" ms")?;
        Some(format!("{before}{rest}"))
    };
    reason.split_once(" after ").and_then(time).unwrap_or_else(|| reason.to_owned())
}

/// Run branch and last commit of it, once there is one beyond the base.
fn work(state: &State) -> Option<(String, String)> {
    let facts = state.worktree.as_ref()?;
    let (head, _) = state.checkpoint.clone()?;
    (head != facts.base_commit).then(|| (facts.run_branch.clone(), head))
}

/// Whether the run is set up, as the probe of the container asks.
pub fn is_ready(place: &Place) -> bool {
    place.ready().exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remote_that_does_not_answer_ends_no_run_and_one_that_refuses_none_that_has_begun() {
        let refused = |reason: &str, begun| unusable("cloned", reason, begun).is::<Refused>();
        let silent = "git ls-remote: fatal: unable to look up git (port 9418) (Name or service not known)";
        assert!(!refused(silent, false) && !refused(silent, true));
        for told in ["git clone: fatal: Authentication failed", "git clone: no end of it within 600 s"] {
            assert!(refused(told, false) && !refused(told, true), "{told}");
        }
        assert!(no_place("the bucket loops cannot be listed, NoSuchBucket".into()).is::<Refused>());
        assert!(
            !no_place("the bucket loops cannot be listed, it took longer than 40 s".into()).is::<Refused>()
        );
        let asks = "git push: fatal: could not read Username for 'http://h': terminal prompts disabled";
        assert!(words("pushed to", asks).contains("the server takes no credential that it is given"));
        assert!(refused("git clone: fatal: write error: No space left on device", true));
        let slow =
            "git clone: fatal: Failed to connect to h port 443 after 12 ms: Couldn't connect to server";
        assert!(words("cloned", slow).contains("to h port 443: Couldn't connect to server; look at"));
        assert_eq!(steady("an end after all"), "an end after all");
    }
}
