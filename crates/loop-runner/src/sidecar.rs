//! The sidecar: the only container of the pod with the API token and the git credential. It clones before the loop begins,
//! pushes what the loop asks for, and tells the cluster how the run stands.

pub mod git;
pub mod publish;

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use kube::Client;
use loop_api::run::LoopRun;
use loop_core::delivery::{Push, Pushed};
use loop_core::machine::State;
use loop_core::store::{RunDir, Store, read_journal, replace_file};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::mailbox::{Answer, Mailbox, Wanted};
use crate::place::Place;
use crate::say;
use git::Origin;
use publish::Publisher;

/// Between two looks at the requests.
const LOOK: Duration = Duration::from_millis(200);
/// Between two looks at the journal.
const WATCH: Duration = Duration::from_secs(2);
/// Between two writes to the status while the loop is under way (design section 8).
const PAUSE: Duration = Duration::from_secs(30);
/// Times that the repository is asked for, and the pause after the first; each further one is twice as long.
const TRIES: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_secs(2);

/// Which run the pod is for.
#[derive(Debug, Clone)]
pub struct Whose {
    /// Namespace of pod and run.
    pub namespace: String,
    /// Name of the run.
    pub name: String,
    /// Its uid, so that another run of the same name is never taken for it.
    pub uid: String,
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
        })
    }
}

/// Sets the run up, then serves the runner until the pod ends.
///
/// # Errors
/// A sentence for the container's last words.
pub async fn run(place: &Place, whose: &Whose) -> Result<()> {
    let client = Client::try_default().await.context("the API server cannot be reached")?;
    let mut publisher = Publisher::new(&client, &whose.namespace, &whose.name);
    let object = publisher.run().await.with_context(|| format!("LoopRun {} cannot be read", whose.name))?;
    if object.metadata.uid.as_deref() != Some(&whose.uid) {
        return Err(anyhow!(
            "LoopRun {} was deleted and made again; this pod is for the older one",
            whose.name
        ));
    }
    let metadata = json!({"name": whose.name, "namespace": whose.namespace, "uid": whose.uid});
    let plain = json!({
        "apiVersion": loop_api::run::API_VERSION, "kind": loop_api::run::KIND,
        "metadata": metadata, "spec": object.data["spec"],
    });
    let wanted: LoopRun = serde_json::from_value(plain.clone()).context("the LoopRun cannot be read")?;
    let origin = Origin::new(&wanted.spec.repository.url, place.origin());
    clone(&origin, &wanted.spec.repository.reference).await?;
    let store = Store::at(place.data());
    std::fs::create_dir_all(place.data().join("repos"))?;
    replace_file(&place.object(), &serde_json::to_vec(&plain)?)?;
    replace_file(&place.ready(), b"")?;
    serve(place, &origin, &store.run(&whose.uid), &mut publisher).await
}

async fn clone(origin: &Origin, branch: &str) -> Result<()> {
    let mut pause = FIRST_PAUSE;
    for _ in 1..TRIES {
        match origin.set_up(branch) {
            Ok(()) => return Ok(()),
            Err(reason) => say(&format!("{reason}; tried again in {} s", pause.as_secs())),
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
    origin.set_up(branch).map_err(|reason| {
        anyhow!(
            "the repository cannot be cloned, {reason}; look at spec.repository and the Secret that it names"
        )
    })
}

async fn serve(place: &Place, origin: &Origin, run: &RunDir, publisher: &mut Publisher) -> Result<()> {
    let mut terminated = signal(SignalKind::terminate())?;
    let mailbox = Mailbox::of(place);
    let (mut pushed, mut watched, mut written) = (None, None::<Instant>, None::<Instant>);
    loop {
        for request in mailbox.open()? {
            let answer = match &request.what {
                Wanted::Push(push) => match origin.push(push) {
                    Ok(done) => Answer::Pushed(done),
                    Err(reason) => Answer::Failed(reason),
                },
                Wanted::Ended => match end(origin, run, publisher, &mut pushed).await {
                    Ok(()) => Answer::Published,
                    Err(error) => Answer::Failed(format!("{error:#}")),
                },
            };
            mailbox.reply(request.id, &answer)?;
        }
        if watched.is_none_or(|last| last.elapsed() >= WATCH) {
            watched = Some(Instant::now());
            if let Err(reason) = push_run_branch(origin, run, &mut pushed) {
                say(&reason);
            }
            if written.is_none_or(|last| last.elapsed() >= PAUSE) {
                match publisher.status(run, false).await {
                    Ok(true) => written = Some(Instant::now()),
                    Ok(false) => {}
                    Err(error) => say(&format!("the status could not be written: {error}")),
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = terminated.recv() => return end(origin, run, publisher, &mut pushed).await,
        }
    }
}

/// The last that is told, in this order: the work, its record, and that the run has ended.
async fn end(
    origin: &Origin,
    run: &RunDir,
    publisher: &mut Publisher,
    pushed: &mut Option<String>,
) -> Result<()> {
    push_run_branch(origin, run, pushed).map_err(|reason| anyhow!(reason))?;
    let ended = read_journal(&run.journal()).is_ok_and(|(_, state)| state.ended.is_some());
    if ended {
        publisher.record(run).await.context("the ConfigMaps could not be written")?;
    }
    publisher.status(run, true).await.context("the status could not be written")?;
    Ok(())
}

/// Lets the remote's run branch follow what the engine has taken in.
fn push_run_branch(origin: &Origin, run: &RunDir, pushed: &mut Option<String>) -> Result<(), String> {
    let Ok((_, state)) = read_journal(&run.journal()) else { return Ok(()) };
    let Some((branch, head)) = work(&state).filter(|(_, head)| pushed.as_ref() != Some(head)) else {
        return Ok(());
    };
    if !origin.has(&head) {
        // The engine publishes a moment after it has taken something in.
        return Ok(());
    }
    let reference = format!("refs/heads/{branch}");
    let expected = pushed.clone().or_else(|| origin.pushed_before(&reference, &head));
    let push = Push { reference, commit: head.clone(), expected };
    if origin.push(&push)? == Pushed::Moved {
        // It is for people to look at; what is delivered is the target branch.
        say(&format!("{branch} was moved by somebody else on the remote and is left as it is there"));
    }
    *pushed = Some(head);
    Ok(())
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
