//! What the sidecar does while the loop is under way: it pushes what is asked for, takes checkpoints, and tells how the run
//! stands.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use kube::Api;
use kube::api::DynamicObject;
use loop_api::phase::RunPhase;
use loop_api::run::CheckpointStatus;
use loop_core::delivery::{Push, Pushed};
use loop_core::store::{RunDir, read_journal};
use tokio::signal::unix::{SignalKind, signal};

use super::artifacts::Artifacts;
use super::git::Origin;
use super::keep::Keep;
use super::publish::{self, Publisher};
use super::trial::{Cause, Trial};
use super::{FIRST_PAUSE, ask, submodules, wait, words};
use crate::mailbox::{Answer, Mailbox, Numbered, Wanted};
use crate::say;

/// Between two looks at the requests.
const LOOK: Duration = Duration::from_millis(200);
/// Between two looks at the journal.
const WATCH: Duration = Duration::from_secs(2);
/// Between two writes to the status, and between two checkpoints, while the loop is under way (design section 8).
const PAUSE: Duration = Duration::from_secs(30);
/// From a checkpoint that could not be taken to the next try; what fails again is told.
const SOON: Duration = Duration::from_secs(10);
/// Longest that a checkpoint, or a record, may be on its way to a bucket.
const UPLOAD: Duration = Duration::from_secs(120);
/// Longest that publishing the end is tried after a signal, within the grace of the pod; for half of it with the remote.
const GRACE: Duration = Duration::from_secs(40);

/// In which all submodules have to be asked for; the runner waits longer.
const FETCHES: Duration = Duration::from_mins(30);

/// What is said when the API server does not take a status.
const UNWRITTEN: &str = "the status could not be written";
/// What is said of a request that the runner has taken back, or forgotten.
const WITHDRAWN: &str = "nobody waits for it any more";

/// Serves the runner of one pod.
pub(super) struct Sidecar {
    origin: Origin,
    run: RunDir,
    /// Where the commits of submodules go.
    submodules: PathBuf,
    publisher: Publisher,
    /// Where its checkpoints are.
    keep: Keep,
    /// Where its record is kept, if that is elsewhere too.
    artifacts: Option<Artifacts>,
    /// Last commit of the run branch that was pushed.
    pushed: Option<String>,
    /// Whether somebody else moved the run branch.
    moved: bool,
    /// Bytes of the journal that another pod left: an end in there is not this one's to tell, unless it is asked to.
    found: Option<u64>,
    /// Whether the end has been told.
    over: bool,
    /// Why the work could not leave the pod when that was tried last.
    unkept: Option<String>,
    /// What the runner asks for and could not be done yet.
    trial: Option<Trial>,
}

impl Sidecar {
    pub(super) fn new(
        origin: Origin,
        (run, submodules): (RunDir, PathBuf),
        publisher: Publisher,
        (keep, artifacts): (Keep, Option<Artifacts>),
        found: Option<u64>,
    ) -> Self {
        Self {
            origin,
            run,
            submodules,
            publisher,
            keep,
            artifacts,
            pushed: None,
            moved: false,
            found,
            over: false,
            unkept: None,
            trial: None,
        }
    }

    /// Where the runs of the namespace are.
    pub(super) fn runs(&self) -> Api<DynamicObject> {
        self.publisher.runs()
    }

    /// Until the pod ends.
    pub(super) async fn serve(&mut self, mailbox: &Mailbox) -> Result<()> {
        let mut terminated = signal(SignalKind::terminate())?;
        let (mut watched, mut saved, mut written) = (None::<Instant>, None::<Instant>, None::<Instant>);
        let mut failures = 0_u32;
        loop {
            let mut requests = mailbox.open()?;
            let last = requests.pop();
            for before in requests {
                // The runner waits for one thing at a time.
                mailbox.reply(before.id, &Answer::Failed(WITHDRAWN.into()))?;
            }
            if let Some(request) = last
                && let Some(answer) = self.answer(&request, mailbox).await
            {
                mailbox.reply(request.id, &answer)?;
            }
            let due = |last: Option<Instant>, pause| last.is_none_or(|last| last.elapsed() >= pause);
            // What was told last stays.
            if due(watched, WATCH) && !self.over {
                watched = Some(Instant::now());
                let mut new = false;
                if due(saved, if failures == 1 { SOON } else { PAUSE }) {
                    let kept = self.save(false, UPLOAD).await;
                    new = kept.as_ref().is_ok_and(|new| *new);
                    if let Err(error) = &kept {
                        say(&format!("{error:#}"));
                        failures += 1;
                        if failures > 1 {
                            self.hinder(error).await;
                        }
                    } else {
                        failures = 0;
                        // What the runner asks for may be hindered by something else.
                        if self.trial.is_none() {
                            self.publisher.is_hindered(None);
                        }
                    }
                    // What fails may have cost as much as what succeeds.
                    if new || kept.is_err() {
                        saved = watched;
                    }
                }
                // A checkpoint counts when the status names it.
                if new || due(written, PAUSE) {
                    match self.status().await {
                        Ok(true) => written = watched,
                        Ok(false) => {}
                        Err(error) => say(&format!("{UNWRITTEN}: {error}")),
                    }
                }
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                _ = terminated.recv() => return self.leave().await,
            }
        }
    }

    /// The pod is to end. What is new is taken to safety; an end that somebody else came to is none of ours.
    async fn leave(&mut self) -> Result<()> {
        let length = fs::metadata(self.run.journal()).map_or(0, |facts| facts.len());
        if self.over || self.found == Some(length) {
            return Ok(());
        }
        if self.publisher.is_gone().await {
            // Nobody is left to go on from it.
            self.keep.forget(&self.origin).await;
            return Ok(());
        }
        let began = Instant::now();
        loop {
            let spent = began.elapsed();
            // A remote that was away a moment ago has had its time.
            let late = self.away().is_some() || spent >= GRACE / 2;
            match self.try_end(late, GRACE.saturating_sub(spent) / 2).await {
                Err(error) if spent < GRACE && Cause::of(&error) != Cause::Refused => {
                    wait(&format!("{error:#}"), FIRST_PAUSE).await;
                }
                done => return done,
            }
        }
    }

    /// Does what the runner asks for; `None` when that is tried again later.
    async fn answer(&mut self, request: &Numbered<Wanted>, mailbox: &Mailbox) -> Option<Answer> {
        let now = Instant::now();
        let trial = self.trial.take().filter(|trial| trial.id == request.id);
        let mut trial = trial.unwrap_or_else(|| Trial::new(request.id, now));
        if now < trial.due {
            self.trial = Some(trial);
            return None;
        }
        let done = match &request.what {
            Wanted::Push(push) => self.push(push, || mailbox.is_awaited(request.id)).await,
            Wanted::Ended => self.try_end(trial.late, UPLOAD).await.map(|()| Answer::Published),
            Wanted::Submodules(commit) => return Some(self.submodules(commit).await),
            Wanted::Nothing => return Some(Answer::Nothing),
        };
        let error = match done {
            Ok(answer) => {
                self.over |= answer == Answer::Published;
                self.publisher.is_hindered(None);
                return Some(answer);
            }
            Err(error) => error,
        };
        say(&format!("{error:#}"));
        if !trial.again(Cause::of(&error), request.what == Wanted::Ended, Instant::now()) {
            return Some(Answer::Failed(format!("{error:#}")));
        }
        // What goes well the second time is not worth a word.
        if trial.failures > 1 {
            self.hinder(&error).await;
        }
        self.trial = Some(trial);
        None
    }

    /// Why remote or bucket could not be had when that was tried last.
    fn away(&self) -> Option<String> {
        self.unkept.clone().filter(|reason| Cause::said(reason) == Cause::Away)
    }

    /// Tells why the work cannot leave the pod.
    async fn hinder(&mut self, error: &anyhow::Error) {
        let reason = format!("{error:#}");
        let said = match Cause::of(error) {
            // Nobody would hear it.
            Cause::Refused | Cause::Unheard => return,
            Cause::Away if !reason.starts_with("the bucket ") => words("pushed to", &reason),
            Cause::Away | Cause::Wrong => reason,
        };
        self.publisher.is_hindered(Some(said));
        if let Err(error) = self.status().await {
            say(&format!("{UNWRITTEN}: {error}"));
        }
    }

    /// Writes the status of a run under way.
    async fn status(&mut self) -> Result<bool, publish::Error> {
        self.tell(self.keep.status(), None).await
    }

    /// Writes the status with this checkpoint; with `end`, also that the run has ended, and this remark on it.
    async fn tell(
        &mut self,
        checkpoint: Option<CheckpointStatus>,
        end: Option<&str>,
    ) -> Result<bool, publish::Error> {
        let written = self.publisher.status(&self.run, checkpoint.as_ref(), end).await?;
        if checkpoint.is_some_and(|checkpoint| self.publisher.has_told(&checkpoint)) {
            self.keep.named().await;
        }
        Ok(written)
    }

    /// Moves a branch that the engine asks for. The checkpoint goes before it: a pod that goes on from an older one would
    /// do the work again, and meet what this one has delivered.
    async fn push(&mut self, push: &Push, is_awaited: impl Fn() -> bool) -> Result<Answer> {
        if self.keep.is_some() {
            self.save(true, UPLOAD).await?;
            self.status().await.context(UNWRITTEN)?;
        } else if self.unkept.is_some() {
            self.origin.answers().map_err(|reason| anyhow!(reason))?;
        }
        // That may have taken a while.
        if !is_awaited() {
            return Ok(Answer::Failed(WITHDRAWN.into()));
        }
        let pushed = self.origin.push(push);
        self.unkept = pushed.as_ref().err().cloned();
        pushed.map(Answer::Pushed).map_err(|reason| anyhow!(reason))
    }

    async fn submodules(&self, commit: &str) -> Answer {
        let end = Instant::now() + FETCHES;
        match ask(Some(end), || submodules::fetch(&self.origin, &self.submodules, commit, end)).await {
            Ok(count) => {
                say(&format!("{count} submodules are at hand"));
                Answer::Fetched
            }
            Err(reason) => Answer::Failed(reason),
        }
    }

    /// The last that is told, in this order: the work, its record, and that the run has ended; the end also without remote
    /// or bucket, once these have had their time. Nothing may be on its way to a bucket for longer than `time`.
    async fn try_end(&mut self, without_remote: bool, time: Duration) -> Result<()> {
        let state = read_journal(&self.run.journal()).ok().map(|(_, state)| state);
        let ended = state.filter(|state| state.ended.is_some()).map(|state| state.phase);
        let complete = ended == Some(RunPhase::Completed);
        let taken = match self.away().filter(|_| without_remote && ended.is_some()) {
            // It has had its time; where the loop is to go on elsewhere, each further try counts.
            Some(reason) => Err(anyhow!(reason)),
            None if complete => self.push_last(true).map(|()| false),
            None => self.save(!without_remote, time).await,
        };
        let mut remark = match taken {
            Ok(_) => String::new(),
            Err(error) if without_remote && ended.is_some() && Cause::of(&error) != Cause::Refused => {
                say(&format!("{error:#}"));
                let bucket = self.keep.is_apart() && !complete;
                if bucket && self.origin.answers().is_ok() && self.push_last(false).is_ok() {
                    format!("; the last checkpoint could not be kept ({error:#})")
                } else {
                    format!("; the run branch could not be pushed ({error:#})")
                }
            }
            Err(error) => return Err(error),
        };
        if ended.is_some() {
            self.publisher.record(&self.run).await.context("the ConfigMaps could not be written")?;
            if let Some(artifacts) = &mut self.artifacts {
                remark.push_str(&artifacts.keep(&self.run, time).await);
                self.publisher.is_kept_at(artifacts.place());
            }
        }
        // Nobody goes on from the checkpoints of a run whose completion is told.
        let checkpoint = self.keep.status().filter(|_| !complete);
        let hindrance = self.publisher.is_hindered(None);
        if let Err(error) = self.tell(checkpoint, Some(&remark)).await {
            self.publisher.is_hindered(hindrance);
            return Err(error).context(UNWRITTEN);
        }
        if complete {
            self.keep.forget(&self.origin).await;
        }
        Ok(())
    }

    /// Takes work and journal to safety in so much time; says whether there was anything new.
    async fn save(&mut self, must: bool, time: Duration) -> Result<bool> {
        // One that is not named counts for nobody, so there is never more than that one.
        self.name().await?;
        let pushed = self.pushed.as_deref();
        let away = if self.unkept.is_some() { self.origin.answers().err() } else { None };
        let kept = match &away {
            Some(reason) if !self.keep.is_apart() => Err(reason.clone()),
            _ => self.keep.save(&self.origin, &self.run, must, (pushed, time)).await,
        };
        self.unkept = kept.as_ref().err().cloned();
        let kept = kept.map_err(|reason| anyhow!(reason))?;
        self.name().await?;
        let pushed = away.map_or_else(|| self.push_run_branch(must, false), Err);
        self.unkept = pushed.as_ref().err().cloned();
        Ok(pushed.map_err(|reason| anyhow!(reason))? || kept)
    }

    /// The run branch at its end, whoever would take it for somebody else's.
    fn push_last(&mut self, must: bool) -> Result<()> {
        let pushed = self.push_run_branch(must, true);
        self.unkept = pushed.as_ref().err().cloned();
        pushed.map(drop).map_err(|reason| anyhow!(reason))
    }

    /// Has the status name a checkpoint that counts only then.
    async fn name(&mut self) -> Result<()> {
        if self.keep.is_unnamed() {
            self.status().await.context(UNWRITTEN)?;
        }
        Ok(())
    }

    /// Lets the remote's run branch follow what the engine has taken in; `anyway`, also where a pod that goes on would take
    /// it for somebody else's.
    fn push_run_branch(&mut self, must: bool, anyway: bool) -> Result<bool, String> {
        let Ok((_, state)) = read_journal(&self.run.journal()) else { return Ok(false) };
        let Some((branch, head)) = super::work(&state).filter(|(_, head)| self.pushed.as_ref() != Some(head))
        else {
            return Ok(false);
        };
        if self.moved {
            return Ok(false);
        }
        if !self.origin.has(&head) {
            // The engine hands it over a moment after it has taken it in.
            return if must { Err(format!("the clone does not have {head} yet")) } else { Ok(false) };
        }
        if !anyway && !self.keep.covers(&head) {
            let newer = "the engine has taken in more than the last checkpoint holds";
            return if must { Err(newer.into()) } else { Ok(false) };
        }
        let reference = format!("refs/heads/{branch}");
        let ours: Vec<&str> = [head.as_str()].into_iter().chain(self.keep.known()).collect();
        let expected = self.pushed.clone().or_else(|| self.origin.pushed_before(&reference, &ours));
        let push = Push { reference, commit: head.clone(), expected };
        if self.origin.swap(&push)? == Pushed::Moved {
            // It is for people to look at; what is delivered is the target branch.
            say(&format!("{branch} was moved by somebody else on the remote and is left as it is there"));
            self.moved = true;
            return Ok(false);
        }
        self.pushed = Some(head);
        Ok(true)
    }
}
