//! The sidecar: the only container of the pod with the API token and the git credential. It clones before the loop begins,
//! pushes what the loop asks for, and tells the cluster how the run stands.

pub mod checkpoint;
pub mod git;
pub mod publish;
mod wish;

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use kube::Client;
use loop_api::phase::RunPhase;
use loop_api::run::{CheckpointStatus, CheckpointStore, LoopRun};
use loop_core::delivery::{Push, Pushed};
use loop_core::machine::State;
use loop_core::store::{RunDir, Store, read_journal, replace_file};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::mailbox::{Answer, Mailbox, Wanted};
use crate::place::Place;
use crate::say;
use checkpoint::Keeper;
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
/// Longest that publishing the end is tried; the runner waits a little longer.
const END_TIME: Duration = Duration::from_secs(240);
/// The same after a signal, within the grace of the pod.
const GRACE: Duration = Duration::from_secs(40);

/// Why the sidecar cannot do its work until somebody has put something right.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Refused(String);

/// Which run the pod is for.
#[derive(Debug, Clone)]
pub struct Whose {
    /// Namespace of pod and run.
    pub namespace: String,
    /// Name of the run.
    pub name: String,
    /// Its uid, so that another run of the same name is never taken for it.
    pub uid: String,
    /// Which attempt the pod is.
    pub attempt: u32,
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
        })
    }
}

/// Sets the run up, then serves the runner until the pod ends.
///
/// # Errors
/// A sentence for the container's last words.
pub async fn run(place: &Place, whose: &Whose) -> Result<()> {
    let client = Client::try_default().await.context("the API server cannot be reached")?;
    let publisher = Publisher::new(&client, whose);
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
    let run = store.run(&whose.uid);
    let known: Option<CheckpointStatus> =
        serde_json::from_value(object.data["status"]["checkpoint"].clone()).ok();
    let keeper = (wanted.spec.checkpoint.store == CheckpointStore::Branch)
        .then(|| Keeper::new(&whose.uid, known.as_ref().map(|known| known.commit.clone())));
    if let Some(known) = known.filter(|_| keeper.is_some()) {
        checkpoint::restore(&origin, &store, &whose.uid, &known).map_err(Refused)?;
    }
    // What the user wished of an earlier pod; the wishes of now are told when they are known.
    run.clear_pause();
    run.clear_cancel();
    replace_file(&place.object(), &serde_json::to_vec(&plain)?)?;
    replace_file(&place.ready(), b"")?;
    let wishes =
        tokio::spawn(wish::follow(publisher.runs(), whose.name.clone(), whose.uid.clone(), run.clone()));
    let mut sidecar = Sidecar { origin, run, publisher, keeper, pushed: None };
    let served = sidecar.serve(&Mailbox::of(place)).await;
    wishes.abort();
    // Aborted or done, it has ended.
    let _ = wishes.await;
    served
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
        let words = format!(
            "the repository cannot be cloned, {reason}; look at spec.repository and the Secret that it names"
        );
        Refused(words).into()
    })
}

/// What serving needs.
struct Sidecar {
    origin: Origin,
    run: RunDir,
    publisher: Publisher,
    /// Of a run whose checkpoints are on the remote.
    keeper: Option<Keeper>,
    /// Last commit of the run branch that was pushed.
    pushed: Option<String>,
}

impl Sidecar {
    async fn serve(&mut self, mailbox: &Mailbox) -> Result<()> {
        let mut terminated = signal(SignalKind::terminate())?;
        let (mut watched, mut saved, mut written) = (None::<Instant>, None::<Instant>, None::<Instant>);
        loop {
            for request in mailbox.open()? {
                let answer = match &request.what {
                    Wanted::Push(push) => self.push(push).await,
                    Wanted::Ended => self.end(END_TIME).await.map(|()| Answer::Published),
                };
                let answer = answer.unwrap_or_else(|error| Answer::Failed(format!("{error:#}")));
                mailbox.reply(request.id, &answer)?;
            }
            let due = |last: Option<Instant>, pause| last.is_none_or(|last| last.elapsed() >= pause);
            if due(watched, WATCH) {
                watched = Some(Instant::now());
                let new = due(saved, PAUSE)
                    && self.save().unwrap_or_else(|reason| {
                        say(&reason);
                        false
                    });
                if new {
                    saved = watched;
                }
                // A checkpoint counts when the status names it.
                if new || due(written, PAUSE) {
                    match self.status(false).await {
                        Ok(true) => written = watched,
                        Ok(false) => {}
                        Err(error) => say(&format!("the status could not be written: {error}")),
                    }
                }
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                _ = terminated.recv() => return self.end(GRACE).await,
            }
        }
    }

    async fn status(&mut self, with_end: bool) -> kube::Result<bool> {
        let checkpoint = self.keeper.as_ref().and_then(Keeper::status);
        self.publisher.status(&self.run, checkpoint.as_ref(), with_end).await
    }

    /// Moves a branch that the engine asks for. The checkpoint goes before it: a pod that goes on from an older one would
    /// do the work again, and meet what this one has delivered.
    async fn push(&mut self, push: &Push) -> Result<Answer> {
        let end = Instant::now() + END_TIME;
        while self.keeper.is_some() {
            let saved = match self.save() {
                Ok(_) => self.status(false).await.context("the status could not be written"),
                Err(reason) => Err(anyhow!(reason)),
            };
            match saved {
                Ok(_) => break,
                Err(error) if Instant::now() >= end || is_refusal(&error) => return Err(error),
                Err(error) => say(&format!("{error:#}; tried again in {} s", FIRST_PAUSE.as_secs())),
            }
            tokio::time::sleep(FIRST_PAUSE).await;
        }
        let mut pause = FIRST_PAUSE;
        for _ in 1..TRIES {
            match self.origin.push(push) {
                Ok(pushed) => return Ok(Answer::Pushed(pushed)),
                Err(reason) => say(&format!("{reason}; tried again in {} s", pause.as_secs())),
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        Ok(Answer::Pushed(self.origin.push(push).map_err(|reason| anyhow!(reason))?))
    }

    /// The last that is told, in this order: the work, its record, and that the run has ended. The API server may be away
    /// for a while; what it refuses, it refuses again.
    async fn end(&mut self, patience: Duration) -> Result<()> {
        let end = Instant::now() + patience;
        loop {
            match self.try_end().await {
                Err(error) if Instant::now() < end && !is_refusal(&error) => {
                    say(&format!("{error:#}; tried again in {} s", FIRST_PAUSE.as_secs()));
                    tokio::time::sleep(FIRST_PAUSE).await;
                }
                other => return other,
            }
        }
    }

    async fn try_end(&mut self) -> Result<()> {
        let ended =
            read_journal(&self.run.journal()).ok().and_then(|(_, state)| state.ended.map(|_| state.phase));
        if ended == Some(RunPhase::Completed) {
            self.push_run_branch().map_err(|reason| anyhow!(reason))?;
            self.keeper.iter_mut().for_each(Keeper::retire);
        } else {
            self.save().map_err(|reason| anyhow!(reason))?;
        }
        if ended.is_some() {
            self.publisher.record(&self.run).await.context("the ConfigMaps could not be written")?;
        }
        self.status(true).await.context("the status could not be written")?;
        if ended == Some(RunPhase::Completed)
            && let Some(keeper) = &mut self.keeper
        {
            keeper.forget(&self.origin);
        }
        Ok(())
    }

    /// Takes work and journal to the remote; says whether there was anything new.
    fn save(&mut self) -> Result<bool, String> {
        let kept = match &mut self.keeper {
            Some(keeper) => keeper.save(&self.origin, &self.run)?,
            None => false,
        };
        Ok(self.push_run_branch()? || kept)
    }

    /// Lets the remote's run branch follow what the engine has taken in.
    fn push_run_branch(&mut self) -> Result<bool, String> {
        let Ok((_, state)) = read_journal(&self.run.journal()) else { return Ok(false) };
        let Some((branch, head)) = work(&state).filter(|(_, head)| self.pushed.as_ref() != Some(head)) else {
            return Ok(false);
        };
        if !self.origin.has(&head) {
            // The engine publishes a moment after it has taken something in.
            return Ok(false);
        }
        let reference = format!("refs/heads/{branch}");
        let kept = self.keeper.as_ref().and_then(Keeper::status).map(|kept| kept.reference);
        let ours: Vec<&str> = [head.as_str()].into_iter().chain(kept.as_deref()).collect();
        let expected = self.pushed.clone().or_else(|| self.origin.pushed_before(&reference, &ours));
        let push = Push { reference, commit: head.clone(), expected };
        if self.origin.push(&push)? == Pushed::Moved {
            // It is for people to look at; what is delivered is the target branch.
            say(&format!("{branch} was moved by somebody else on the remote and is left as it is there"));
        }
        self.pushed = Some(head);
        Ok(true)
    }
}

fn is_refusal(error: &anyhow::Error) -> bool {
    match error.downcast_ref::<kube::Error>() {
        Some(kube::Error::Api(status)) => {
            (400..500).contains(&status.code) && ![409, 429].contains(&status.code)
        }
        _ => false,
    }
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
