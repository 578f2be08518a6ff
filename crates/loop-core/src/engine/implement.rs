//! The agent works; then its commits are taken in and judged.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use loop_api::checklist;
use loop_api::completion;
use loop_api::journal::{Event, Implemented, Outcome};
use loop_api::phase::WatchdogAction;

use super::gates::seconds;
use super::{Engine, Error, Finished, Halt};
use crate::exec::{self, Ended, KEEP, Limits, OutputFile, Sink, Stream};
use crate::far::Collected;
use crate::machine::{Step, watchdog};
use crate::retry::{self, Decision, Ending, Used};
use crate::{notes, prompt, store};

/// Bytes of the final message that are kept in memory.
const MESSAGE: usize = 64 << 10;
/// Lines of the final message that are kept for comparison (NFR-4).
const TAIL_LINES: usize = 200;

/// How an agent's process ended, with its final message.
pub(super) struct Answer {
    pub(super) code: i32,
    pub(super) ending: Ending,
    pub(super) message: String,
    pub(super) complaint: String,
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
    pub(super) fn implement(&mut self, step: Step, step_id: &str) -> Result<Finished, Halt> {
        self.agent_side()?;
        self.load_base()?;
        let facts = self.facts()?;
        let (before, _) = self.state().checkpoint.clone().unwrap_or_default();
        let text = self.implementation_prompt(&before)?;
        let label = format!("iter-{:02}", step.iteration);
        self.write("prompt.txt", text.as_bytes())?;
        if self.rewrite().is_some() {
            self.write(&format!("prompt.rewrite.{}.txt", self.state().rewrites), text.as_bytes())?;
        }
        let output_path = format!("{label}.log");
        let variables = [
            ("LOOP_PHASE", "implementation".to_owned()),
            ("LOOP_ITERATION", step.iteration.to_string()),
            ("LOOP_ATTEMPT", step.attempt.to_string()),
            ("LOOP_BASE_COMMIT", facts.base_commit.clone()),
            ("LOOP_SPEC_PATH", facts.spec_path.clone()),
            ("LOOP_PLAN_PATH", facts.plan_path.clone()),
        ];
        let answer = self.ask_agent(step_id, &output_path, &variables, text.as_bytes(), false)?;
        // Not the checkpoint at which this attempt began: it may hold work of an interrupted one.
        let mut judged = self.take_in(&self.state().iteration_base.clone())?;
        judged.token = completion::read(&answer.message, self.created.spec.settings.completion_mode);
        let tail = last_lines(&answer.message);
        let previous = self.previous_tail(step.iteration);
        judged.similarity = previous.map_or(0, |previous| watchdog::similarity(&previous, &tail));
        judged.stalled = watchdog::speaks_of_stalling(&tail);
        self.write(&format!("{label}.tail.txt"), tail.as_bytes())?;
        if answer.ending != Ending::Worked {
            let head = judged.head.clone();
            self.append(Event::Checkpoint { step_id: step_id.to_owned(), head, snapshot: judged.snapshot })
                .map_err(Halt::Fatal)?;
            let reason = format!("runner_execution_failed:{}", answer.complaint);
            let message = format!(
                "the agent failed: {}; its log is {}; `loopctl resume` tries again from the last checkpoint",
                answer.complaint,
                self.run.join(&output_path).display()
            );
            let outcome = Outcome::Failed { reason, message };
            return Ok(Finished { exit_code: answer.code, output_path, outcome });
        }
        Ok(Finished { exit_code: answer.code, output_path, outcome: Outcome::Implemented(Box::new(judged)) })
    }

    /// The watchdog's advice, when the iteration before earned a rewrite.
    fn rewrite(&self) -> Option<&'static str> {
        match self.state().previous.watched {
            Some((signal, WatchdogAction::Rewrite)) => Some(watchdog::advice(signal)),
            _ => None,
        }
    }

    fn implementation_prompt(&self, head: &str) -> Result<String, Halt> {
        let facts = self.facts()?;
        let base = self.base.as_ref().ok_or_else(|| Halt::failed("run_error", "no base".into()))?;
        let task = base.selected(&self.trusted, head);
        let gate_notes = fs::read_to_string(self.run.join("runner-notes.txt")).unwrap_or_default();
        let notes = notes::compose(self.state(), &gate_notes);
        Ok(prompt::implementation(&prompt::Implementation {
            spec: &facts.spec_path,
            plan: &facts.plan_path,
            context: &self.created.context_files,
            branch: &facts.run_branch,
            custom: base.prompt.as_deref(),
            task: task.as_ref().map(|(text, section)| (text.as_str(), section.as_deref())),
            notes: &notes,
            advice: self.rewrite(),
            mode: self.created.spec.settings.completion_mode,
        }))
    }

    /// Runs the agent until it answered, failed for good, or the run is stopped; retries stay within the step.
    pub(super) fn ask_agent(
        &mut self,
        step_id: &str,
        output_path: &str,
        variables: &[(&str, String)],
        prompt: &[u8],
        reviewing: bool,
    ) -> Result<Answer, Halt> {
        let settings = self.created.spec.settings.clone();
        let mut used = Used::default();
        loop {
            let answer = self.ask_once(step_id, output_path, variables, prompt, reviewing)?;
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
            self.append(Event::AgentRetry { step_id: step_id.to_owned(), reason, wait_ms })
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

    fn ask_once(
        &mut self,
        step_id: &str,
        output_path: &str,
        variables: &[(&str, String)],
        prompt: &[u8],
        reviewing: bool,
    ) -> Result<Answer, Halt> {
        let limits = &self.created.spec.limits;
        let limits = Limits {
            total: seconds(limits.agent_step_seconds),
            idle: Some(seconds(limits.agent_idle_seconds)),
            term_grace: Duration::from_secs(5),
        };
        let worktree = self.worktree()?;
        let known = self.known();
        let log = self.run.join(output_path);
        let file = OutputFile::create(&log, KEEP).map_err(|error| Halt::io(&log, error))?;
        let Self { agent, journal, observer, setting, trusted, control, created, identity, reviewer, .. } =
            self;
        let side = if reviewing { reviewer.as_ref() } else { agent.as_ref() };
        let side = side.ok_or_else(|| Halt::failed("run_error", "no agent side".into()))?;
        let argv = vec![setting.agent_program().to_string_lossy().into_owned()];
        let mut variables = variables.to_vec();
        variables.extend([
            ("GIT_AUTHOR_NAME", identity.name.clone()),
            ("GIT_AUTHOR_EMAIL", identity.email.clone()),
        ]);
        variables.extend([
            ("GIT_COMMITTER_NAME", identity.name.clone()),
            ("GIT_COMMITTER_EMAIL", identity.email.clone()),
        ]);
        variables.push(("LOOP_RUN_ID", created.run_id.clone()));
        let request = side.request(argv, &variables, prompt.to_vec(), limits);
        let mut keep = |collected: Collected| -> Result<(), Error> {
            trusted.keep(&[("head", &collected.head), ("snapshot", &collected.snapshot)])?;
            let event = Event::Checkpoint {
                step_id: step_id.to_owned(),
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
        sink.file.finish().map_err(|error| Halt::io(&log, error))?;
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
        Ok(read_answer(&outcome, message, &sink.file.tail_text()))
    }

    /// Takes the agent's commits in and judges them; what is damaged beyond repair goes back to the last checkpoint.
    fn take_in(&mut self, before: &str) -> Result<Implemented, Halt> {
        let mut collected = self.collect_or_restore()?;
        let mut unticked = Vec::new();
        let base = self.base.as_ref().ok_or_else(|| Halt::failed("run_error", "no base".into()))?;
        let mut changed = base.changed_files(&self.trusted, before, &collected.head)?;
        let mut ticked = base.ticked(&self.trusted, before, &collected.head);
        let credit = self
            .state()
            .previous
            .implemented
            .as_ref()
            .is_some_and(|last| last.changed_files > 0 && last.ticked == 0);
        if changed == 0
            && !ticked.is_empty()
            && !credit
            && let Some(text) = base.plan_text(&self.trusted, &collected.head)
        {
            let plan_path = self.facts()?.plan_path;
            let text = checklist::untick(&text, &ticked);
            let message = "Untick tasks that were ticked without any change";
            let side =
                self.agent.as_ref().ok_or_else(|| Halt::failed("run_error", "no agent side".into()))?;
            side.commit_file(&plan_path, &text, message, &self.setting.search_path)?;
            unticked = ticked.iter().take(10).map(|task| task.chars().take(200).collect()).collect();
            let repairs = std::mem::take(&mut collected.repairs);
            collected = self.collect_or_restore()?;
            collected.repairs.splice(0..0, repairs);
            let base = self.base.as_ref().ok_or_else(|| Halt::failed("run_error", "no base".into()))?;
            changed = base.changed_files(&self.trusted, before, &collected.head)?;
            ticked = base.ticked(&self.trusted, before, &collected.head);
        }
        self.keep(&collected.head, &collected.snapshot)?;
        let base = self.base.as_ref().ok_or_else(|| Halt::failed("run_error", "no base".into()))?;
        let judged = base.judge(&self.trusted, &collected.head)?;
        Ok(Implemented {
            snapshot: collected.snapshot,
            changed_files: changed,
            ticked: u32::try_from(ticked.len()).unwrap_or(u32::MAX),
            unticked,
            repairs: collected.repairs,
            uncommitted: collected.uncommitted,
            ..judged
        })
    }

    fn collect_or_restore(&mut self) -> Result<Collected, Halt> {
        let worktree = self.worktree()?;
        let known = self.known();
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let side = self.agent.as_ref().ok_or_else(|| Halt::failed("run_error", "no agent side".into()))?;
        let problem = match side.collect(&self.setting, &worktree, &self.trusted, &known, true) {
            Ok(collected) => return Ok(collected),
            Err(error) => error.to_string(),
        };
        // A new git folder and the last checkpoint, whatever became of the old ones.
        self.agent = None;
        self.restore = true;
        self.agent_side()?;
        let (head, snapshot) = self.state().checkpoint.clone().unwrap_or_default();
        let why: String = problem.chars().take(200).collect();
        let repair =
            format!("the repository could not be read ({why}); the worktree is back at the last checkpoint");
        Ok(Collected { head, snapshot, uncommitted: false, repairs: vec![repair] })
    }

    pub(super) fn load_base(&mut self) -> Result<(), Halt> {
        if self.base.is_none() {
            let facts = self.facts()?;
            let base = super::analysis::Base::load(
                &self.trusted,
                &facts,
                &self.created.spec,
                &self.created.prompt_file,
            )
            .map_err(|message| Halt::failed("run_error", message))?;
            self.base = Some(base);
        }
        Ok(())
    }

    fn previous_tail(&self, iteration: u32) -> Option<String> {
        let before = iteration.checked_sub(1).filter(|before| *before > 0)?;
        fs::read_to_string(self.run.join(format!("iter-{before:02}.tail.txt"))).ok()
    }

    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, Halt> {
        let path = self.run.join(name);
        store::replace_file(&path, bytes).map_err(|error| Halt::io(&path, error))?;
        Ok(path)
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
    Answer { code, ending, message, complaint }
}

fn last_lines(message: &str) -> String {
    let lines: Vec<&str> = message.lines().collect();
    let mut text = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n");
    text.push('\n');
    text
}
