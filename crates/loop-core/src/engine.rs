//! The engine: asks the machine for the next move, executes it, and appends what came of it before the next one.

mod analysis;
mod ask;
mod baseline;
mod cleanup;
mod finish;
mod gates;
mod implement;
mod limits;
mod live;
mod merge;
mod moved;
mod postmortem;
mod prepare;
mod provider;
mod publish;
mod restore;
mod review;
mod turn;
mod warm;

pub(crate) use analysis::Base;
use ask::account;
pub use ask::unfinished;
pub use finish::statement;
pub(crate) use gates::run_gates;
pub use live::Live;
pub(crate) use merge::checked_out;
pub(crate) use prepare::{MOST_BRANCHES, prompt_files, worktree_path};

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use loop_api::journal::{Created, Event, Outcome, Record, WorktreeFacts};
use loop_api::phase::{ExitReason, RunPhase, StepPhase};
use loop_api::run::Submodules;

use crate::control::{Control, Signals, Stop};
use crate::delivery::Remote;
use crate::exec::{self, Counts, Isolation};
use crate::far::{self, Links, Setting, Side, Worktree};
use crate::git::{self, Git, Identity, Trusted};
use crate::lease::{Hold, Lease};
use crate::machine::{Next, State, Step, next};
use crate::queue::Turn;
use crate::record;
use crate::store::{Journal, JournalError, RunDir, RunLock, Store, now_ms};

/// Longest wait for processes of a dead engine to be gone.
const SWEEP_TIME: Duration = Duration::from_secs(10);
/// Longest wait for the git commands of a dead engine to end.
const SETTLE_TIME: Duration = Duration::from_mins(1);

/// Follows a run while it is driven; the command line prints from it.
pub trait Observer {
    /// An event was written.
    fn record(&mut self, record: &Record, state: &State);
    /// The engine waits, or did something that is no event.
    fn note(&mut self, text: &str);
    /// An agent works: called at most ten times a second, also while it says nothing (RUN-22).
    fn agent(&mut self, _live: &Live<'_>) {}
}

/// An engine cannot go on; the run is as it was at the last journal record, and can be resumed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The journal cannot be read or written.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Another engine works on the run.
    #[error("another process works on run {0} (its lock is held)")]
    Locked(String),
    /// The data directory cannot be used.
    #[error("cannot use the run's folder {path}: {error}")]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// The engine's own repository cannot be used.
    #[error("the engine's repository: {0}")]
    Git(#[from] git::Error),
    /// A git command of a dead engine is still at work.
    #[error(
        "git commands of an engine of run {0} that was killed are still at work; resume it when they have ended"
    )]
    Unsettled(String),
    /// A container that the run works in was restarted. Who runs in it now is not known, so that this engine cannot go on;
    /// another one, with containers of its own, can.
    #[error(
        "the container of agent or gates was restarted; what runs there now is not believed, and another pod goes on from \
         the last checkpoint"
    )]
    ContainerLost,
    /// The run was brought to a clone that does not have its work.
    #[error(
        "the clone has no commit {commit}, which the run is to go on from: its branch {branch} was deleted or replaced on \
         the remote; make the run anew"
    )]
    Elsewhere {
        /// Tip of the run branch at the last checkpoint.
        commit: String,
        /// The run branch.
        branch: String,
    },
    /// The run has no first record, because it was killed while it was made.
    #[error("run {0} was never fully created; start it again")]
    Empty(String),
}

/// How driving ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The run has ended.
    Ended,
    /// A signal came; the run can be resumed.
    Interrupted(i32),
    /// The user paused the run; it can be resumed.
    Paused,
    /// The lease of the run ran out; it can be resumed when there is one again.
    Expired,
}

/// Why a step has no result.
enum Halt {
    Stopped(Stop),
    Failed { reason: String, message: String },
    Fatal(Error),
}

impl From<JournalError> for Halt {
    fn from(error: JournalError) -> Self {
        Self::Fatal(error.into())
    }
}

impl From<far::Error> for Halt {
    fn from(error: far::Error) -> Self {
        Self::failed("run_error", error.to_string())
    }
}

impl From<exec::Error> for Halt {
    fn from(error: exec::Error) -> Self {
        Self::failed("run_error", error.to_string())
    }
}

impl From<git::Error> for Halt {
    fn from(error: git::Error) -> Self {
        Self::failed("run_error", error.to_string())
    }
}

impl Error {
    /// Whether the run goes on once something outside it has been put right, for instance a full disk.
    pub fn can_be_put_right(&self) -> bool {
        matches!(self, Self::Io { .. } | Self::Journal(JournalError::Io(_)))
    }
}

impl Halt {
    fn failed(kind: &str, message: String) -> Self {
        let first = message.lines().next().unwrap_or_default().chars().take(200).collect::<String>();
        Self::Failed { reason: format!("{kind}:{first}"), message }
    }

    fn io(path: &Path, error: std::io::Error) -> Self {
        Self::Fatal(Error::Io { path: path.to_owned(), error })
    }
}

/// What came of a step.
struct Finished {
    exit_code: i32,
    output_path: String,
    output: Counts,
    outcome: Outcome,
}

impl Finished {
    fn new(outcome: Outcome) -> Self {
        Self { exit_code: 0, output_path: String::new(), output: Counts::default(), outcome }
    }
}

/// What the caller brings.
pub struct Host {
    /// This program, which also serves as `loop-exec`.
    pub executable: PathBuf,
    /// Whether bubblewrap works here.
    pub isolation: Isolation,
    /// Signals to this process.
    pub signals: Signals,
    /// The caller's environment.
    pub environment: BTreeMap<String, String>,
    /// Where a merge has to arrive beside the user's repository; `None` on one machine.
    pub remote: Option<Arc<dyn Remote>>,
    /// Connections to containers that there are already.
    pub links: Links,
    /// What the engine may work by, where others could be given the run.
    pub lease: Option<Lease>,
}

/// One run, driven by this process alone.
pub struct Engine<'a> {
    run: RunDir,
    _lock: RunLock,
    journal: Journal,
    created: Created,
    root: PathBuf,
    user: Git,
    trusted: Trusted,
    identity: Identity,
    setting: Setting,
    control: Control,
    remote: Option<Arc<dyn Remote>>,
    store: Store,
    turn: Option<Turn>,
    agent: Option<Side>,
    reviewer: Option<Side>,
    gate: Option<Side>,
    warm: Option<warm::Warm>,
    base: Option<analysis::Base>,
    restore: bool,
    submodules_are_here: bool,
    published: Option<Instant>,
    observer: &'a mut dyn Observer,
}

impl<'a> Engine<'a> {
    /// Takes a run up: lock, journal, and an end to whatever a dead engine left running.
    pub fn open(
        store: &Store,
        uid: &str,
        host: &Host,
        observer: &'a mut dyn Observer,
    ) -> Result<Self, Error> {
        let run = store.run(uid);
        let in_run = |error| Error::Io { path: run.path().to_owned(), error };
        let lock = run.lock().map_err(in_run)?.ok_or_else(|| Error::Locked(uid.to_owned()))?;
        let journal = Journal::open(&run)?;
        let created = *journal.state().created.clone().ok_or_else(|| Error::Empty(uid.to_owned()))?;
        record::bring_back(&run, &created);
        if !journal.state().steps.is_empty() {
            // Its git may still be at work on the refs and worktree that this engine is about to look at.
            if !exec::settle(uid, SETTLE_TIME) {
                return Err(Error::Unsettled(uid.to_owned()));
            }
            exec::sweep_marked(uid, SWEEP_TIME);
        }
        let root = PathBuf::from(&created.workspace_root);
        let trusted = Trusted::open(&store.trusted_repository(&root), uid)?;
        let setting = Setting {
            executable: host.executable.clone(),
            isolation: host.isolation.clone(),
            data: store.root().to_owned(),
            sandboxes: run.join("sandbox"),
            trusted: trusted.directory().to_owned(),
            workspace: root.clone(),
            caller: host.environment.clone(),
            search_path: created.search_path.clone(),
            marker: uid.to_owned(),
            links: host.links.clone(),
            folders: far::folders(&created.spec, &created.context_files),
            submodules: (created.spec.repository.checkout.submodules == Submodules::Recursive)
                .then(|| if host.remote.is_some() { store.submodules() } else { run.join("submodules.git") }),
        };
        let control = Control {
            signals: host.signals.clone(),
            run: run.clone(),
            started: 0,
            deadline_seconds: None,
            lease: host.lease.clone(),
        };
        let user = Git::user(&root).with(exec::ENGINE_MARKER, uid);
        let identity = identity(&user, &host.environment);
        let mut engine = Self {
            restore: journal.state().worktree.is_some(),
            run,
            _lock: lock,
            journal,
            created,
            root,
            user,
            trusted,
            identity,
            setting,
            control,
            remote: host.remote.clone(),
            store: store.clone(),
            turn: None,
            agent: None,
            reviewer: None,
            gate: None,
            warm: None,
            base: None,
            submodules_are_here: false,
            published: None,
            observer,
        };
        engine.bring_here()?;
        Ok(engine)
    }

    /// Where the run stands.
    pub fn state(&self) -> &State {
        self.journal.state()
    }

    /// Waits for the run's turn, then drives it to its end, or until a signal or a pause comes.
    pub fn drive(&mut self) -> Result<End, Error> {
        if let Some(end) = self.take_turn()? {
            return Ok(end);
        }
        if self.state().phase != RunPhase::Completed {
            let worker_id = worker_id();
            let isolation = self.setting.isolation.to_string();
            self.append(Event::RunStarted { worker_id: worker_id.clone(), isolation })?;
            if let Some(grant) = self.control.lease.as_ref().and_then(Lease::read) {
                let (attempt, seconds) = (grant.attempt, grant.seconds);
                self.append(Event::LeaseGranted { worker_id, attempt, seconds })?;
            }
        }
        if let Some(event) = account(&self.run, self.state()) {
            self.append(event)?;
        }
        self.set_deadline();
        let end = self.drive_on();
        self.agent = None;
        self.gate = None;
        // Nothing of it goes on without the engine.
        drop(self.warmed(""));
        self.publish();
        let end = end?;
        if end == End::Ended {
            self.finish();
        }
        Ok(end)
    }

    /// Ends a run that nobody drives any more, so that it can be tried again; one that has ended is left as it is.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub fn give_up(&mut self, message: &str) -> Result<(), Error> {
        if self.state().ended.is_some() || self.state().worktree.is_none() {
            // Without a worktree it has done nothing, and goes on as it is.
            return Ok(());
        }
        for event in unfinished(&self.run, self.state()) {
            self.append(event)?;
        }
        if self.state().phase != RunPhase::Running {
            return self.append(Event::RunCanceled);
        }
        let (exit_reason, reason) = (ExitReason::Failed, "given_up".to_owned());
        self.append(Event::RunFailed { exit_reason, reason, message: message.to_owned() })
    }

    fn drive_on(&mut self) -> Result<End, Error> {
        let mut recorded = false;
        loop {
            if self.state().ended.is_some() && !recorded {
                // The end comes first, then all that tells of it; only then postmortem and cleanup (RUN-67, BUG-2).
                self.record_end();
                recorded = true;
                // Nobody waits for an opinion, nor for the tidying up (RUN-67).
                self.turn = None;
                self.run.clear_pause();
            }
            self.heed_limits()?;
            match next(self.state(), now_ms()) {
                Next::Record(event) => self.append(event)?,
                Next::Analyze(reason) => self.analyze(&reason)?,
                Next::Finish => return Ok(End::Ended),
                Next::Run(step) => {
                    if let Some(end) = self.step(step)? {
                        return Ok(end);
                    }
                }
            }
        }
    }

    fn append(&mut self, event: Event) -> Result<(), Error> {
        let record = self.journal.append(event)?;
        self.observer.record(&record, self.journal.state());
        Ok(())
    }

    fn step(&mut self, step: Step) -> Result<Option<End>, Error> {
        if step.phase != StepPhase::Cleanup
            && let Some(stop) = self.control.stop_at_boundary()
        {
            return self.stopped(stop, None);
        }
        let step_id = crate::new_uid();
        let Step { phase, iteration, attempt, clean } = step;
        self.append(Event::StepStarted { step_id: step_id.clone(), phase, iteration, attempt, clean })?;
        let began = Instant::now();
        let result = match phase {
            StepPhase::Prepare => self.prepare(),
            StepPhase::Baseline => self.baseline(),
            StepPhase::Implementation => self.implement(step, &step_id),
            StepPhase::Review => self.review(step, &step_id),
            StepPhase::Verification => self.verification(step),
            StepPhase::Merge => self.merge(),
            StepPhase::Cleanup => self.clean_up(),
        };
        let finished = match result {
            Ok(finished) => finished,
            // The step stays open, as after a signal: what it came to is not known.
            Err(Halt::Failed { .. }) if self.setting.links.is_lost() => return Err(Error::ContainerLost),
            Err(Halt::Failed { reason, message }) => {
                // A far side that was lost could not take what it ran with it.
                exec::sweep_marked(&self.created.run_id, SWEEP_TIME);
                Finished { exit_code: -1, ..Finished::new(Outcome::Failed { reason, message }) }
            }
            Err(Halt::Stopped(stop)) => return self.stopped(stop, Some(&step_id)),
            Err(Halt::Fatal(error)) => return Err(error),
        };
        self.append(Event::StepFinished {
            step_id,
            exit_code: finished.exit_code,
            duration_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            output_path: finished.output_path,
            output_bytes: finished.output.bytes,
            output_lines: finished.output.lines,
            outcome: finished.outcome,
        })?;
        if phase == StepPhase::Implementation {
            self.publish_now_and_then();
        }
        Ok(None)
    }

    fn stopped(&mut self, stop: Stop, open: Option<&str>) -> Result<Option<End>, Error> {
        if let Some(step_id) = open {
            self.checkpoint(step_id)?;
        }
        match stop {
            // The step stays open: whoever resumes finds it interrupted and begins at the checkpoint.
            Stop::Signal(signal) => Ok(Some(End::Interrupted(signal))),
            Stop::Lease => {
                let revoked = self.control.lease.as_ref().is_some_and(|lease| lease.hold() == Hold::Revoked);
                self.append(Event::LeaseExpired { worker_id: worker_id(), revoked })?;
                Ok(Some(End::Expired))
            }
            Stop::Cancel | Stop::Deadline | Stop::Pause => {
                if let Some(step_id) = open {
                    self.append(Event::StepInterrupted { step_id: step_id.to_owned() })?;
                }
                match stop {
                    Stop::Cancel => {
                        self.append(Event::RunCanceled)?;
                        self.run.clear_cancel();
                    }
                    Stop::Pause => {
                        self.append(Event::RunPaused)?;
                        self.run.clear_pause();
                        return Ok(Some(End::Paused));
                    }
                    _ => {}
                }
                Ok(None)
            }
        }
    }

    /// Takes what the agent has so far; on the way out, so a failure only costs the work since the last one.
    fn checkpoint(&mut self, step_id: &str) -> Result<(), Error> {
        let (Some(side), Ok(worktree)) = (&self.agent, self.worktree()) else { return Ok(()) };
        let known = self.known();
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        if let Ok(collected) = side.collect(&self.setting, &worktree, &self.trusted, &known, false)
            && self.keep(&collected.head, &collected.snapshot).is_ok()
        {
            self.append(Event::Checkpoint {
                step_id: step_id.to_owned(),
                head: collected.head,
                snapshot: collected.snapshot,
            })?;
        }
        Ok(())
    }

    fn facts(&self) -> Result<WorktreeFacts, Halt> {
        self.state()
            .worktree
            .clone()
            .ok_or_else(|| Halt::failed("run_error", "the run has no worktree".into()))
    }

    fn worktree(&self) -> Result<Worktree, Halt> {
        // From the journal only: what the worktree says of itself is the agent's to write.
        let facts = self.facts()?;
        Ok(Worktree {
            path: facts.worktree_path.into(),
            git_folder: facts.git_folder.into(),
            common: facts.common_folder.into(),
            branch: facts.run_branch,
        })
    }

    /// Commits that the trusted repository has: tip and snapshot of the last checkpoint, and the base.
    fn known(&self) -> Vec<String> {
        let mut known = Vec::new();
        if let Some((head, snapshot)) = &self.state().checkpoint {
            known.extend([head.clone(), snapshot.clone()]);
        }
        known.extend(self.state().worktree.as_ref().map(|facts| facts.base_commit.clone()));
        known.dedup();
        known
    }

    fn keep(&self, head: &str, snapshot: &str) -> Result<(), git::Error> {
        let (_, last) = self.state().checkpoint.clone().unwrap_or_default();
        if last != snapshot {
            self.trusted.keep(&[("head", head), ("snapshot", snapshot)])?;
        }
        Ok(())
    }
}

fn identity(user: &Git, environment: &BTreeMap<String, String>) -> Identity {
    let pick = |variable: &str, key: &str, fallback: &str| {
        environment
            .get(variable)
            .cloned()
            .or_else(|| user.text(&["config", "--get", key]).ok())
            .filter(|value| !value.trim().is_empty())
            .unwrap_or_else(|| fallback.to_owned())
    };
    Identity {
        name: pick("GIT_AUTHOR_NAME", "user.name", "Agentloop"),
        email: pick("GIT_AUTHOR_EMAIL", "user.email", "agentloop@localhost"),
    }
}

/// Who drives a run: host and process id.
fn worker_id() -> String {
    format!("{}:{}", host_name(), std::process::id())
}

fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "localhost".into(), |name| name.trim().to_owned())
}
