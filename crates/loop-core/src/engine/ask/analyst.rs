//! An agent that looks back at an ended run: one process for one report, without steps, sessions or retries.

use std::cell::Cell;
use std::path::Path;
use std::time::{Duration, Instant};

use loop_api::usage::Usage;

use super::ending::{self, Cut};
use super::output::{Moments, Output};
use super::{AgentSink, Seen};
use crate::agent::{Adapter, Values};
use crate::engine::{Engine, Error};
use crate::exec::Limits;
use crate::far::Side;
use crate::retry::Ending;
use crate::store;

/// Who is asked, where, and until when.
pub(in crate::engine) struct Analyst<'a> {
    pub(in crate::engine) side: &'a Side,
    pub(in crate::engine) adapter: &'static Adapter,
    pub(in crate::engine) program: &'a Path,
    pub(in crate::engine) model: Option<&'a str>,
    pub(in crate::engine) until: Instant,
}

/// What came of it.
pub(in crate::engine) struct Analysis {
    /// The final message, if there is one.
    pub(in crate::engine) text: Option<String>,
    pub(in crate::engine) usage: Usage,
    /// What went wrong; empty when nothing did.
    pub(in crate::engine) complaint: String,
}

impl Engine<'_> {
    pub(in crate::engine) fn ask_analyst(
        &mut self,
        analyst: &Analyst<'_>,
        prompt: &str,
        log: &Path,
    ) -> Analysis {
        self.try_analyst(analyst, prompt, log).unwrap_or_else(|complaint| Analysis {
            text: None,
            usage: Usage::default(),
            complaint,
        })
    }

    fn try_analyst(&mut self, analyst: &Analyst<'_>, prompt: &str, log: &Path) -> Result<Analysis, String> {
        let Analyst { side, adapter, program, model, until } = analyst;
        let mut output = Output::create(log, adapter).map_err(|error| format!("its log: {error}"))?;
        let session = crate::new_uid();
        let mut argv = vec![program.to_string_lossy().into_owned()];
        argv.extend(adapter.call(Values { model: *model, new_session: Some(&session), session: None }));
        let limits = &self.created.spec.limits;
        let idle = super::seconds(limits.agent_idle_seconds);
        let total = until.saturating_duration_since(Instant::now());
        if total.is_zero() {
            return Err("no time was left".into());
        }
        let variables =
            [("LOOP_PHASE", "postmortem".to_owned()), ("LOOP_RUN_ID", self.created.run_id.clone())];
        let mut request = side.request(
            argv,
            &variables,
            prompt.as_bytes().to_vec(),
            Limits { total, idle: Some(idle), term_grace: Duration::from_secs(5) },
        );
        request.credentials = true;
        let (moments, cut) = (Moments::default(), Cell::new(None));
        let (signals, exit) = (self.control.signals.clone(), super::seconds(limits.agent_exit_seconds));
        let stop = || {
            let lingering = moments.result.get().is_some_and(|at| at.elapsed() > exit);
            // A cancel or the deadline is about the run, which has ended.
            let reason = if signals.raised().is_some() { Some(Cut::Stopped) } else { None };
            cut.set(cut.get().or(reason).or(lingering.then_some(Cut::Lingering)));
            cut.get().is_some()
        };
        let observer = &mut self.observer;
        let mut show = |seen: Seen<'_>| -> Result<(), Error> {
            if let Seen::Live(live) = seen {
                observer.agent(&live);
            }
            Ok(())
        };
        let mut sink = AgentSink {
            output: &mut output,
            moments: &moments,
            began: Instant::now(),
            checkpoints: None,
            keep: &mut show,
            failure: None,
        };
        let outcome = side.client().run(&request, &mut sink, &stop).map_err(|error| error.to_string())?;
        output.end().and_then(|()| output.finish()).map_err(|error| format!("its log: {error}"))?;
        let cut = cut.get().filter(|_| outcome.ended == crate::exec::Ended::Canceled);
        let reading = output.reading();
        let conclusion =
            ending::of_report(&outcome, reading, cut, &output.tail(), store::now_ms(), adapter.access);
        let complaint =
            if conclusion.ending == Ending::Worked { String::new() } else { conclusion.complaint };
        Ok(Analysis { text: reading.message.clone(), usage: reading.usage(), complaint })
    }
}
