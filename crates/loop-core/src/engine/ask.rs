//! An agent is asked: its processes, its retries, and the checkpoints while it works.

mod account;
mod analyst;
mod ending;
mod output;

use std::cell::Cell;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use loop_api::journal::Event;
use loop_api::phase::StepPhase;

use super::gates::seconds;
use super::{Engine, Error, Halt, Live};
use crate::agent::{self, Adapter, Values};
use crate::exec::{self, Counts, Limits, Sink, Stream};
use crate::far::Collected;
use crate::machine::Step;
use crate::retry::{self, Decision, Ending, Used};
use crate::{prompt, store};

pub(super) use account::account;
pub use account::unfinished;
pub(super) use analyst::{Analysis, Analyst};
pub(super) use ending::OUT_OF_MEMORY;
use ending::{Conclusion, Cut};
use output::{Moments, Output};

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

/// How an agent's last process ended, with its final message.
pub(super) struct Answer {
    pub(super) code: i32,
    pub(super) ending: Ending,
    pub(super) message: String,
    pub(super) complaint: String,
    /// The word for it in the journal.
    pub(super) word: &'static str,
    /// Processes that it left running, all tries together.
    pub(super) swept: u32,
    pub(super) output: Counts,
}

/// One process of an agent.
struct Call {
    adapter: &'static Adapter,
    argv: Vec<String>,
    stdin: Vec<u8>,
    /// Session that it begins or continues; empty for an agent that has none.
    session: String,
    resumed: bool,
}

/// Takes in what comes while a process works.
struct AgentSink<'a> {
    output: &'a mut Output,
    moments: &'a Moments,
    began: Instant,
    checkpoints: Option<&'a Receiver<Collected>>,
    keep: &'a mut dyn FnMut(Seen<'_>) -> Result<(), Error>,
    failure: Option<Error>,
}

/// What the engine does with what comes in.
enum Seen<'a> {
    Checkpoint(Collected),
    Live(Live<'a>),
}

impl Sink for AgentSink<'_> {
    fn write(&mut self, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        self.output.write(stream, bytes, self.moments)
    }

    fn tick(&mut self) {
        let usage = self.output.reading().usage();
        let live = Live { line: self.output.line(), usage: &usage, elapsed: self.began.elapsed() };
        let mut kept = (self.keep)(Seen::Live(live));
        while let Some(collected) = self.checkpoints.and_then(|receiver| receiver.try_recv().ok()) {
            kept = kept.and((self.keep)(Seen::Checkpoint(collected)));
        }
        if let Err(error) = kept {
            self.failure = Some(error);
        }
    }
}

impl Engine<'_> {
    /// Runs the agent until it answered, failed for good, or the run is stopped; retries stay within the step.
    pub(super) fn ask_agent(&mut self, question: &Question<'_>) -> Result<Answer, Halt> {
        let settings = self.created.spec.settings.clone();
        let (adapter, _) = self.asked(question.step.phase)?;
        let log = self.run.join(question.output_path);
        let mut output = Output::create(&log, adapter).map_err(|error| Halt::io(&log, error))?;
        let (mut used, mut swept) = (Used::default(), 0);
        loop {
            let (code, left, conclusion) = self.ask_once(question, &mut output)?;
            swept += left;
            let Conclusion { ending, complaint, word } = conclusion;
            let wait_ms =
                match retry::decide(ending, &mut used, settings.retries, settings.retry_backoff_seconds) {
                    Decision::Again(wait_ms) => wait_ms,
                    Decision::Accept | Decision::GiveUp => {
                        let message = output.message();
                        let counts = output.finish().map_err(|error| Halt::io(&log, error))?;
                        return Ok(Answer { code, ending, message, complaint, word, swept, output: counts });
                    }
                };
            output
                .remark(&format!("{complaint}; tried again after {} s", wait_ms.div_ceil(1000)))
                .map_err(|error| Halt::io(&log, error))?;
            let step_id = question.step_id.to_owned();
            self.append(Event::AgentRetry { step_id, reason: complaint, wait_ms }).map_err(Halt::Fatal)?;
            self.wait(wait_ms)?;
        }
    }

    /// Who is asked in such a step, and for which model.
    pub(super) fn asked(&self, phase: StepPhase) -> Result<(&'static Adapter, Option<&str>), Halt> {
        agent::asked(&self.created.spec, phase).ok_or_else(|| {
            Halt::failed("run_error", "the run's agent is not known to this version of loopctl".into())
        })
    }

    fn wait(&self, wait_ms: u64) -> Result<(), Halt> {
        let until = Instant::now() + Duration::from_millis(wait_ms);
        while Instant::now() < until {
            // A pause need not wait for a limit of the service to reset.
            if let Some(stop) = self.control.stop_at_boundary() {
                return Err(Halt::Stopped(stop));
            }
            std::thread::sleep(
                Duration::from_millis(50).min(until.saturating_duration_since(Instant::now())),
            );
        }
        Ok(())
    }

    /// The call of an agent: in a session of its own, or in the one that an earlier process of the same iteration left.
    fn call(&self, question: &Question<'_>) -> Result<Call, Halt> {
        let Step { phase, iteration, .. } = question.step;
        let (adapter, model) = self.asked(phase)?;
        let Some(program) = adapter.program else {
            let argv = vec![self.setting.agent_program().to_string_lossy().into_owned()];
            let stdin = question.prompt.as_bytes().to_vec();
            return Ok(Call { adapter, argv, stdin, session: String::new(), resumed: false });
        };
        let program = self.setting.command(program).ok_or_else(|| {
            Halt::failed(
                "runner_execution_failed",
                format!("`{program}` is no longer in PATH; {}", adapter.install),
            )
        })?;
        let left = self.state().session_of(iteration).filter(|_| phase == StepPhase::Implementation);
        let fresh = crate::new_uid();
        let values = Values { model, session: left, new_session: left.is_none().then_some(fresh.as_str()) };
        let mut argv = vec![program.to_string_lossy().into_owned()];
        argv.extend(adapter.call(values));
        let stdin = if left.is_some() { prompt::CONTINUATION } else { question.prompt };
        let session = left.unwrap_or(&fresh).to_owned();
        Ok(Call { adapter, argv, stdin: stdin.as_bytes().to_vec(), session, resumed: left.is_some() })
    }

    /// Exit code of one process, how many it left running, and how it ended.
    fn ask_once(
        &mut self,
        question: &Question<'_>,
        output: &mut Output,
    ) -> Result<(i32, u32, Conclusion), Halt> {
        let call = self.call(question)?;
        let reports = call.adapter.reports();
        let raw_offset = output.begin();
        if reports {
            self.append(Event::AgentStarted {
                step_id: question.step_id.to_owned(),
                session: call.session.clone(),
                resumed: call.resumed,
                raw_offset,
            })
            .map_err(Halt::Fatal)?;
        }
        let (outcome, cut) = self.process(question, &call, output)?;
        output.end().map_err(|error| Halt::io(&self.run.join(question.output_path), error))?;
        let conclusion = match &outcome {
            // What kills its own executor has failed, and not the engine.
            Err(error) => Conclusion { ending: Ending::Failed, word: "crash", complaint: error.to_string() },
            Ok(outcome) if reports => ending::of_report(
                outcome,
                output.reading(),
                cut,
                &output.tail(),
                store::now_ms(),
                call.adapter.access,
            ),
            Ok(outcome) => ending::of_text(outcome, cut, &output.tail()),
        };
        if reports {
            let (name, session) = (call.adapter.name, &call.session);
            let run = output.reading().record(name, question.step_id, session, conclusion.word);
            self.append(Event::AgentFinished(Box::new(run))).map_err(Halt::Fatal)?;
        }
        if let Some(stop) = self.control.stop().filter(|_| cut == Some(Cut::Stopped)) {
            return Err(Halt::Stopped(stop));
        }
        match outcome {
            Ok(outcome) => Ok((outcome.code(), outcome.swept, conclusion)),
            Err(exec::Error::Lost(_)) => Err(Halt::failed("runner_execution_failed", conclusion.complaint)),
            Err(error) => Err(error.into()),
        }
    }

    /// Runs one process to its end, or stops it, and says why.
    #[allow(clippy::type_complexity, reason = "the process's outcome, and the engine's own part in it")]
    fn process(
        &mut self,
        question: &Question<'_>,
        call: &Call,
        output: &mut Output,
    ) -> Result<(Result<exec::Outcome, exec::Error>, Option<Cut>), Halt> {
        let limits = self.created.spec.limits.clone();
        let variables = self.variables(question)?;
        let reviewing = question.step.phase == StepPhase::Review;
        let worktree = self.worktree()?;
        let known = self.known();
        let Self { agent, journal, observer, setting, trusted, control, reviewer, .. } = self;
        let side = if reviewing { reviewer.as_ref() } else { agent.as_ref() };
        let side = side.ok_or_else(|| Halt::failed("run_error", "no agent side".into()))?;
        let mut request = side.request(
            call.argv.clone(),
            &variables,
            call.stdin.clone(),
            Limits {
                total: seconds(limits.agent_step_seconds),
                idle: Some(seconds(limits.agent_idle_seconds)),
                term_grace: Duration::from_secs(5),
            },
        );
        request.credentials = true;
        let mut keep = |seen: Seen<'_>| -> Result<(), Error> {
            let collected = match seen {
                Seen::Live(live) => {
                    observer.agent(&live);
                    return Ok(());
                }
                Seen::Checkpoint(collected) => collected,
            };
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
        let (began, moments, cut) = (Instant::now(), Moments::default(), Cell::new(None));
        let announced = call.adapter.announces.then_some(limits.agent_start_seconds);
        let stop = || {
            let silent =
                announced.filter(|limit| moments.first.get().is_none() && began.elapsed() > seconds(*limit));
            let lingering =
                moments.result.get().is_some_and(|at| at.elapsed() > seconds(limits.agent_exit_seconds));
            let reason = match (control.stop(), silent) {
                (Some(_), _) => Some(Cut::Stopped),
                (None, Some(limit)) => Some(Cut::Silent(limit)),
                (None, None) => lingering.then_some(Cut::Lingering),
            };
            cut.set(cut.get().or(reason));
            cut.get().is_some()
        };
        let (done, ended) = channel::<()>();
        let (sender, receiver) = channel::<Collected>();
        let (setting, trusted, worktree, known) = (&*setting, &*trusted, &worktree, &known);
        let (outcome, failure) = std::thread::scope(|scope| {
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
            let checkpoints = Some(&receiver).filter(|_| !reviewing);
            let (moments, keep) = (&moments, &mut keep);
            let mut sink = AgentSink { output, moments, began, checkpoints, keep, failure: None };
            let outcome = side.client().run(&request, &mut sink, &stop);
            drop(done);
            (outcome, sink.failure.take())
        });
        if let Some(error) = failure {
            return Err(Halt::Fatal(error));
        }
        match outcome {
            // The disk's own trouble; the step stays open and is run again.
            Err(exec::Error::Sink(error)) => Err(Halt::io(&self.run.join(question.output_path), error)),
            outcome => {
                let canceled = outcome.as_ref().is_ok_and(|outcome| outcome.ended == exec::Ended::Canceled);
                Ok((outcome, cut.get().filter(|_| canceled)))
            }
        }
    }

    /// What an agent is told by its environment.
    fn variables(&self, question: &Question<'_>) -> Result<Vec<(&'static str, String)>, Halt> {
        let facts = self.facts()?;
        let step = question.step;
        let (name, email) = (&self.identity.name, &self.identity.email);
        let mut variables = vec![
            ("LOOP_RUN_ID", self.created.run_id.clone()),
            ("LOOP_PHASE", step.phase.as_str().to_owned()),
            ("LOOP_ITERATION", step.iteration.to_string()),
            ("LOOP_ATTEMPT", step.attempt.to_string()),
            ("LOOP_BASE_COMMIT", facts.base_commit),
            ("LOOP_SPEC_PATH", facts.spec_path),
            ("LOOP_PLAN_PATH", facts.plan_path),
        ];
        variables.extend(["GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"].map(|variable| (variable, name.clone())));
        variables
            .extend(["GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"].map(|variable| (variable, email.clone())));
        // Keys are out of reach, so a setting that signs every commit would fail each of them.
        let unsigned = [("GIT_CONFIG_KEY_0", "commit.gpgSign"), ("GIT_CONFIG_VALUE_0", "false")];
        let tags = [("GIT_CONFIG_KEY_1", "tag.gpgSign"), ("GIT_CONFIG_VALUE_1", "false")];
        let settings = [("GIT_CONFIG_COUNT", "2")].into_iter().chain(unsigned).chain(tags);
        variables.extend(settings.map(|(variable, value)| (variable, value.to_owned())));
        Ok(variables)
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
