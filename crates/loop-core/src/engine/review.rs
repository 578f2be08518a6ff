//! The reviewer judges the committed tree in a throw-away checkout; its verdict is bound to that tree.

use loop_api::journal::{Outcome, Reviewed, Verdict};

use super::ask::Question;
use super::{Engine, Finished, Halt};
use crate::machine::{Step, grant};
use crate::retry::Ending;
use crate::{prompt, record};

impl Engine<'_> {
    pub(super) fn review(&mut self, step: Step, step_id: &str) -> Result<Finished, Halt> {
        let facts = self.facts()?;
        let worktree = self.worktree()?;
        let Some(work) = self.state().current.implemented.clone() else {
            return Err(Halt::failed("run_error", "nothing to review".into()));
        };
        let before = match &self.state().previous.implemented {
            Some(last) => last.head.clone(),
            None => facts.base_commit.clone(),
        };
        if !self.setting.agent_program().exists() {
            self.agent_side()?;
        }
        let mut findings = work.findings.clone();
        findings.extend(grant::shown_to_reviewer(self.state()));
        let text = prompt::review(&prompt::Review {
            spec: &facts.spec_path,
            plan: &facts.plan_path,
            base: &facts.base_commit,
            before: &before,
            head: &work.head,
            findings: &findings,
        });
        self.write("review-prompt.txt", text.as_bytes())?;
        let output_path = record::log_name(step.phase, step.iteration, step.attempt);
        let (adapter, _) = self.asked(step.phase)?;
        self.have_submodules()?;
        self.reviewer = Some(self.setting.reviewer(&worktree, &work.head, adapter)?);
        let answer = self.ask_agent(&Question { step, step_id, output_path: &output_path, prompt: &text });
        self.reviewer = None;
        let answer = answer?;
        if answer.ending == Ending::Hopeless {
            // Whoever reviews next fails in the same way, while implementing goes on to cost.
            return Ok(self.agent_failed(answer, output_path));
        }
        // A reviewer that failed has not approved; the loop goes on by its limits instead of asking for ever (BUG-8).
        let (verdict, findings) = if answer.ending == Ending::Worked {
            prompt::read_verdict(&answer.message)
        } else {
            (
                Verdict::ChangesRequested,
                vec![format!("no verdict: the reviewer failed: {}", answer.complaint)],
            )
        };
        let outcome = Outcome::Reviewed(Reviewed { tree: work.tree, verdict, findings });
        Ok(Finished { exit_code: answer.code, output_path, output: answer.output, outcome })
    }
}
