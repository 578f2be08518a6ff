//! An agent is asked: its process, its output, its retries, and the checkpoints while it works.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use loop_api::journal::Event;
use loop_api::phase::StepPhase;

use super::gates::seconds;
use super::{Engine, Error, Halt};
use crate::exec::{self, Counts, Ended, KEEP, Limits, OutputFile, Sink, Stream};
use crate::far::Collected;
use crate::machine::Step;
use crate::retry::{self, Decision, Ending, Used};

/// Bytes of the final message that are kept in memory.
const MESSAGE: usize = 64 << 10;

/// What an agent is asked.
pub(super) struct Question<'a> {
    /// An implementation, or a review.
    pub(super) step: Step,
    /// Its id.
    pub(super) step_id: &'a str,
    /// Log, relative to the run's folder.
    pub(super) output_path: &'a str,
    /// The prompt.
    pub(super) prompt: &'a str,
}

/// How an agent's process ended, with its final message.
pub(super) struct Answer {
    pub(super) code: i32,
    pub(super) ending: Ending,
    pub(super) message: String,
    pub(super) complaint: String,
    pub(super) output: Counts,
}

/// Output of an agent: everything to disk, the end of standard output in memory.
struct AgentLog<'a> {
    file: OutputFile,
    message: Vec<u8>,
    checkpoints: Option<&'a Receiver<Collected>>,
    keep: &'a mut dyn FnMut(Collected) -> Result<(), Error>,
    failure: Option<Error>,
}

impl Sink for AgentLog<'_> {
    fn write(&mut self, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        if matches!(stream, Stream::Stdout) {
            let new = &bytes[bytes.len().saturating_sub(MESSAGE)..];
            self.message.extend_from_slice(new);
            if self.message.len() > 2 * MESSAGE {
                self.message.drain(..self.message.len() - MESSAGE);
            }
        }
        self.file.write(bytes)
    }

    fn tick(&mut self) {
        while let Some(collected) = self.checkpoints.and_then(|receiver| receiver.try_recv().ok()) {
            if let Err(error) = (self.keep)(collected) {
                self.failure = Some(error);
            }
        }
    }
}

impl Engine<'_> {
    /// Runs the agent until it answered, failed for good, or the run is stopped; retries stay within the step.
    pub(super) fn ask_agent(&mut self, question: &Question<'_>) -> Result<Answer, Halt> {
        let settings = self.created.spec.settings.clone();
        let mut used = Used::default();
        loop {
            let answer = self.ask_once(question)?;
            let wait_ms = match retry::decide(
                answer.ending,
                &mut used,
                settings.retries,
                settings.retry_backoff_seconds,
            ) {
                Decision::Accept | Decision::GiveUp => return Ok(answer),
                Decision::Again(wait_ms) => wait_ms,
            };
            let reason = answer.complaint.clone();
            self.append(Event::AgentRetry { step_id: question.step_id.to_owned(), reason, wait_ms })
                .map_err(Halt::Fatal)?;
            self.wait(wait_ms)?;
        }
    }

    fn wait(&self, wait_ms: u64) -> Result<(), Halt> {
        let until = Instant::now() + Duration::from_millis(wait_ms);
        while Instant::now() < until {
            if let Some(stop) = self.control.stop() {
                return Err(Halt::Stopped(stop));
            }
            std::thread::sleep(
                Duration::from_millis(50).min(until.saturating_duration_since(Instant::now())),
            );
        }
        Ok(())
    }

    fn ask_once(&mut self, question: &Question<'_>) -> Result<Answer, Halt> {
        let limits = &self.created.spec.limits;
        let limits = Limits {
            total: seconds(limits.agent_step_seconds),
            idle: Some(seconds(limits.agent_idle_seconds)),
            term_grace: Duration::from_secs(5),
        };
        let mut variables = self.variables(question)?;
        let reviewing = question.step.phase == StepPhase::Review;
        let worktree = self.worktree()?;
        let known = self.known();
        let log = self.run.join(question.output_path);
        let file = OutputFile::create(&log, KEEP).map_err(|error| Halt::io(&log, error))?;
        let Self { agent, journal, observer, setting, trusted, control, identity, reviewer, .. } = self;
        let side = if reviewing { reviewer.as_ref() } else { agent.as_ref() };
        let side = side.ok_or_else(|| Halt::failed("run_error", "no agent side".into()))?;
        let argv = vec![setting.agent_program().to_string_lossy().into_owned()];
        variables.extend(["GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"].map(|name| (name, identity.name.clone())));
        variables
            .extend(["GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"].map(|name| (name, identity.email.clone())));
        // Keys are out of reach, so a setting that signs every commit would fail each of them.
        let unsigned = [("GIT_CONFIG_KEY_0", "commit.gpgSign"), ("GIT_CONFIG_VALUE_0", "false")];
        let tags = [("GIT_CONFIG_KEY_1", "tag.gpgSign"), ("GIT_CONFIG_VALUE_1", "false")];
        let settings = [("GIT_CONFIG_COUNT", "2")].into_iter().chain(unsigned).chain(tags);
        variables.extend(settings.map(|(name, value)| (name, value.to_owned())));
        let request = side.request(argv, &variables, question.prompt.as_bytes().to_vec(), limits);
        let mut keep = |collected: Collected| -> Result<(), Error> {
            trusted.keep(&[("head", &collected.head), ("snapshot", &collected.snapshot)])?;
            let event = Event::Checkpoint {
                step_id: question.step_id.to_owned(),
                head: collected.head,
                snapshot: collected.snapshot,
            };
            let record = journal.append(event)?;
            observer.record(&record, journal.state());
            Ok(())
        };
        let (done, ended) = channel::<()>();
        let (sender, receiver) = channel::<Collected>();
        let (setting, trusted, worktree, known) = (&*setting, &*trusted, &worktree, &known);
        let (outcome, mut sink) = std::thread::scope(|scope| {
            if !reviewing {
                scope.spawn(move || {
                    watch(
                        &ended,
                        &sender,
                        &|last: &[&str]| side.collect(setting, worktree, trusted, last, false).ok(),
                        known,
                    );
                });
            }
            let mut sink = AgentLog {
                file,
                message: Vec::new(),
                checkpoints: Some(&receiver).filter(|_| !reviewing),
                keep: &mut keep,
                failure: None,
            };
            let outcome = side.client().run(&request, &mut sink, &|| control.stop().is_some());
            drop(done);
            (outcome, sink)
        });
        if let Some(error) = sink.failure.take() {
            return Err(Halt::Fatal(error));
        }
        let output = sink.file.finish().map_err(|error| Halt::io(&log, error))?;
        let outcome = outcome.map_err(|error| match error {
            // What kills its own executor has failed, and not the engine.
            exec::Error::Lost(_) => Halt::failed("runner_execution_failed", error.to_string()),
            error => error.into(),
        })?;
        if let Some(stop) = control.stop().filter(|_| outcome.ended == Ended::Canceled) {
            return Err(Halt::Stopped(stop));
        }
        let message =
            String::from_utf8_lossy(&sink.message[sink.message.len().saturating_sub(MESSAGE)..]).into_owned();
        Ok(Answer { output, ..read_answer(&outcome, message, &sink.file.tail_text()) })
    }

    /// What an agent is told by its environment.
    fn variables(&self, question: &Question<'_>) -> Result<Vec<(&'static str, String)>, Halt> {
        let facts = self.facts()?;
        let step = question.step;
        Ok(vec![
            ("LOOP_RUN_ID", self.created.run_id.clone()),
            ("LOOP_PHASE", step.phase.as_str().to_owned()),
            ("LOOP_ITERATION", step.iteration.to_string()),
            ("LOOP_ATTEMPT", step.attempt.to_string()),
            ("LOOP_BASE_COMMIT", facts.base_commit),
            ("LOOP_SPEC_PATH", facts.spec_path),
            ("LOOP_PLAN_PATH", facts.plan_path),
        ])
    }
}

/// Takes a snapshot every so often while the agent works, until the other end of `ended` is dropped.
fn watch(
    ended: &Receiver<()>,
    sender: &Sender<Collected>,
    collect: &dyn Fn(&[&str]) -> Option<Collected>,
    known: &[String],
) {
    let seconds =
        std::env::var("LOOP_CHECKPOINT_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    let mut known = known.to_vec();
    while ended.recv_timeout(Duration::from_secs(seconds)) == Err(RecvTimeoutError::Timeout) {
        let names: Vec<&str> = known.iter().map(String::as_str).collect();
        let Some(collected) = collect(&names) else { continue };
        if known.contains(&collected.snapshot) && known.contains(&collected.head) {
            continue;
        }
        known = vec![collected.head.clone(), collected.snapshot.clone()];
        if sender.send(collected).is_err() {
            return;
        }
    }
}

fn read_answer(outcome: &exec::Outcome, message: String, tail: &str) -> Answer {
    let code = outcome.code();
    let (ending, complaint) = match outcome.ended {
        Ended::TimedOut => (Ending::Failed, "timeout".to_owned()),
        Ended::Idle => (Ending::Failed, "no output for too long".to_owned()),
        Ended::Canceled => (Ending::Failed, "stopped".to_owned()),
        Ended::Exited => match (&outcome.spawn_error, outcome.signal) {
            (Some(error), _) => (Ending::Failed, error.clone()),
            (None, Some(signal)) => (Ending::Failed, format!("killed by signal {signal}")),
            (None, None) => {
                let last: Vec<&str> = tail.lines().filter(|line| !line.trim().is_empty()).collect();
                let last = last[last.len().saturating_sub(3)..].join(" / ");
                let short: String = last.chars().take(300).collect();
                (retry::read_script(code, tail), format!("exit code {code}: {short}"))
            }
        },
    };
    Answer { code, ending, message, complaint, output: Counts::default() }
}
