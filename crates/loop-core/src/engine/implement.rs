//! The agent works; then its commits are taken in and judged.

use std::fs;
use std::path::PathBuf;

use loop_api::checklist;
use loop_api::completion;
use loop_api::journal::{Event, Implemented, Outcome};
use loop_api::phase::WatchdogAction;

use super::ask::{Answer, OUT_OF_MEMORY, Question};
use super::{Engine, Finished, Halt};
use crate::far::Collected;
use crate::machine::{Step, watchdog};
use crate::retry::Ending;
use crate::{notes, prompt, record, store};

/// Lines of the final message that are kept for comparison (NFR-4).
const TAIL_LINES: usize = 200;

impl Engine<'_> {
    pub(super) fn implement(&mut self, step: Step, step_id: &str) -> Result<Finished, Halt> {
        self.agent_side()?;
        self.load_base()?;
        let (before, _) = self.state().checkpoint.clone().unwrap_or_default();
        let text = self.implementation_prompt(&before)?;
        self.write("prompt.txt", text.as_bytes())?;
        if self.rewrite().is_some() {
            self.write(&format!("prompt.rewrite.{}.txt", self.state().rewrites), text.as_bytes())?;
        }
        let output_path = record::log_name(step.phase, step.iteration, step.attempt);
        let question = Question { step, step_id, output_path: &output_path, prompt: &text };
        let answer = self.ask_agent(&question)?;
        let mut judged = self.take_in(&self.state().iteration_base.clone())?;
        if answer.swept > 0 {
            judged.repairs.insert(0, format!("processes that it left running were ended: {}", answer.swept));
        }
        judged.token = completion::read(&answer.message, self.created.spec.settings.completion_mode);
        let tail = last_lines(&answer.message);
        let previous = self.previous_tail();
        judged.similarity = previous.map_or(0, |previous| watchdog::similarity(&previous, &tail));
        judged.stalled = watchdog::speaks_of_stalling(&tail);
        self.write(&record::tail_name(&output_path), tail.as_bytes())?;
        if answer.ending != Ending::Worked {
            let head = judged.head.clone();
            self.append(Event::Checkpoint { step_id: step_id.to_owned(), head, snapshot: judged.snapshot })
                .map_err(Halt::Fatal)?;
            return Ok(self.agent_failed(answer, output_path));
        }
        let outcome = Outcome::Implemented(Box::new(judged));
        Ok(Finished { exit_code: answer.code, output_path, output: answer.output, outcome })
    }

    /// The end of a step whose agent failed for good.
    pub(super) fn agent_failed(&self, answer: Answer, output_path: String) -> Finished {
        let Answer { code, complaint, word, output, .. } = answer;
        let message = format!(
            "the agent failed: {complaint}; its log is {}; `loopctl resume` tries again from the last checkpoint",
            self.run.join(&output_path).display()
        );
        // The rest of that complaint is for people: a limit, and what to do.
        let why = if word == OUT_OF_MEMORY { word } else { &complaint };
        let outcome = Outcome::Failed { reason: format!("runner_execution_failed:{why}"), message };
        Finished { exit_code: code, output_path, output, outcome }
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

    fn previous_tail(&self) -> Option<String> {
        let (_, log) = self.state().last_implementation.as_ref()?;
        fs::read_to_string(self.run.join(record::tail_name(log))).ok()
    }

    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, Halt> {
        let path = self.run.join(name);
        store::replace_file(&path, bytes).map_err(|error| Halt::io(&path, error))?;
        Ok(path)
    }
}

fn last_lines(message: &str) -> String {
    let lines: Vec<&str> = message.lines().collect();
    let mut text = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n");
    text.push('\n');
    text
}
