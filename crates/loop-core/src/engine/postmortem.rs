//! An ended run is analysed by an agent: its opinion, which changes nothing about the run (ART-28).

use std::time::{Duration, Instant};

use loop_api::journal::{Event, Postmortem};
use loop_api::phase::StepPhase;

use super::ask::{Analysis, Analyst};
use super::{Engine, Error};
use crate::agent::{self, Adapter};
use crate::postmortem::{self, Report};

/// For all three reports together (design section 5).
const DEADLINE: Duration = Duration::from_mins(10);

impl Engine<'_> {
    /// Has the analysis made and recorded; whatever goes wrong with it is its own result.
    pub(super) fn analyze(&mut self, reason: &str) -> Result<(), Error> {
        let spec = &self.created.spec;
        let (adapter, model) = match agent::asked(spec, StepPhase::Implementation) {
            Some((adapter, model)) => {
                (adapter, spec.postmortem.model.as_deref().or(model).map(str::to_owned))
            }
            None => return Ok(()),
        };
        self.analyze_with(reason, adapter, model.as_deref())
    }

    /// The same on demand, with any agent and model; the record is written again with what came of it.
    pub fn analyze_on_demand(&mut self, adapter: &'static Adapter, model: Option<&str>) -> Result<(), Error> {
        if self.state().analysing {
            // An earlier one was killed.
            self.append(Event::PostmortemEnd(Box::new(Postmortem {
                status: "failed".into(),
                ..Postmortem::default()
            })))?;
        }
        self.analyze_with("manual", adapter, model)?;
        let sandboxes = &self.setting.sandboxes;
        // A completed run has none left; one that failed keeps its own for a look.
        let completed = self.state().phase == loop_api::phase::RunPhase::Completed;
        let mine = if completed { sandboxes.clone() } else { sandboxes.join("analysis") };
        if let Err(error) = crate::far::remove(&mine) {
            self.observer.note(&format!("the sandbox could not be removed: {error}"));
        }
        self.record_again();
        Ok(())
    }

    fn analyze_with(
        &mut self,
        reason: &str,
        adapter: &'static Adapter,
        model: Option<&str>,
    ) -> Result<(), Error> {
        self.append(Event::PostmortemStart { reason: reason.to_owned() })?;
        let began = Instant::now();
        let mut result = Postmortem { status: "ok".into(), ..Postmortem::default() };
        // Whatever the implementer left alive ends before somebody looks at its work.
        self.agent = None;
        self.gate = None;
        // Nor does the run's branch wait for an opinion.
        self.publish();
        match self.reports(adapter, model, &mut result) {
            Ok(()) => {}
            Err(Trouble::Skipped(message)) => (result.status, result.message) = ("skipped".into(), message),
            Err(Trouble::Failed(message)) => (result.status, result.message) = ("failed".into(), message),
        }
        result.duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.append(Event::PostmortemEnd(Box::new(result)))
    }

    fn reports(
        &mut self,
        adapter: &'static Adapter,
        model: Option<&str>,
        result: &mut Postmortem,
    ) -> Result<(), Trouble> {
        postmortem::write_prompts(&self.run, self.state())
            .map_err(|error| Trouble::Failed(format!("the prompts: {error}")))?;
        let Some(program) = adapter.program.and_then(|program| self.setting.command(program)) else {
            return Err(Trouble::Skipped(format!("the agent {} is not in PATH", adapter.name)));
        };
        let (Ok(worktree), Some((head, _))) = (self.worktree(), self.state().checkpoint.clone()) else {
            return Err(Trouble::Skipped("the run ended before an agent worked".into()));
        };
        let failed = |what: &str, error: String| Trouble::Failed(format!("{what}: {error}"));
        let side = self
            .setting
            .analyst(&worktree, &head, adapter, self.run.path())
            .map_err(|error| failed("the sandbox", error.to_string()))?;
        let until = Instant::now() + DEADLINE;
        let analyst = Analyst { side: &side, adapter, program: &program, model, until };
        let mut trouble = None;
        for report in Report::ALL {
            if report == Report::Summary && trouble.is_some() {
                break;
            }
            match self.report(&analyst, report, result) {
                Ok(text) => match report {
                    Report::SpecCompliance => result.verdict = postmortem::verdict(&text),
                    Report::Summary => result.root_cause = postmortem::root_cause(&text),
                    Report::RunQuality => {}
                },
                Err(complaint) => trouble = trouble.or_else(|| Some(failed(report.name(), complaint))),
            }
        }
        trouble.map_or(Ok(()), Err)
    }

    /// Asks for one report; gives its text.
    fn report(
        &mut self,
        analyst: &Analyst<'_>,
        report: Report,
        result: &mut Postmortem,
    ) -> Result<String, String> {
        let names = postmortem::inputs(report, self.state());
        analyst
            .side
            .show_record(&self.setting, self.run.path(), &names)
            .map_err(|error| format!("the record: {error}"))?;
        let shown = self.setting.shown_record(self.run.path());
        let prompt = postmortem::prompt(report, self.state(), &shown);
        let log = self.run.join(report.path()).with_extension("log");
        let Analysis { text, usage, complaint } = self.ask_analyst(analyst, &prompt, &log);
        result.usage.add(&usage);
        if let Some(text) = &text {
            let path = self.run.join(report.path());
            crate::store::replace_file(&path, format!("{}\n", text.trim_end()).as_bytes())
                .map_err(|error| format!("{} cannot be written: {error}", path.display()))?;
            result.reports.push(report.path());
        }
        text.filter(|_| complaint.is_empty()).ok_or(complaint)
    }
}

enum Trouble {
    Skipped(String),
    Failed(String),
}
