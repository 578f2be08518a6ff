//! `loopctl analyze`.

use loop_core::agent::{self, Adapter};
use loop_core::engine::Engine;
use loop_core::postmortem::{self, Report};
use loop_core::store::Store;

use super::drive;
use crate::cli::Analyze;
use crate::error::{Error, FAILED, OK, Result};
use crate::live::View;
use crate::runs::{self, Recorded};
use crate::{printer, view};

pub(super) fn run(store: &Store, arguments: &Analyze) -> Result {
    let recorded = match &arguments.run {
        Some(name) => runs::find(store, name)?,
        None => runs::find(store, runs::LAST)?,
    };
    let name = &recorded.object.metadata.name;
    if arguments.prompt_only {
        let folder = recorded.dir.path();
        let texts = Report::ALL.map(|report| postmortem::prompt(report, &recorded.state, folder));
        printer::data(&texts.join("\n"))?;
        return Ok(OK);
    }
    if !recorded.state.phase.is_terminal() {
        let remedy = if recorded.alive { "wait for its end or cancel it" } else { "resume or cancel it" };
        return Err(Error::usage(format!(
            "{name} has not ended, so there is nothing to look back at; {remedy}"
        )));
    }
    let adapter = adapter(&recorded, arguments)?;
    let model = model(&recorded, arguments, adapter);
    let (status, stop) = drive::with_signals(|signals| {
        let host = drive::host(signals)?;
        let mut view = View::new(false);
        let mut engine = Engine::open(store, &recorded.uid, &host, &mut view)?;
        engine.analyze_on_demand(adapter, model.as_deref())?;
        let status = engine.state().postmortem.as_ref().map(|postmortem| postmortem.status.clone());
        Ok((status.unwrap_or_default(), host.signals.raised()))
    })?;
    let recorded = runs::find(store, &recorded.uid)?;
    if !printer::object(&recorded.object, arguments.output)? {
        printer::data(&view::summary::analysis(&recorded))?;
    }
    Ok(match stop {
        Some(signal) => drive::code_of(signal),
        None if status == "ok" => OK,
        None => FAILED,
    })
}

fn adapter(recorded: &Recorded, arguments: &Analyze) -> Result<&'static Adapter> {
    let own = agent::adapter(&recorded.object.spec.agent.adapter).filter(|adapter| adapter.analyses);
    let name = match (&arguments.agent, own) {
        (None, Some(own)) => return Ok(own),
        (None, None) => "claude",
        (Some(name), _) => name,
    };
    match agent::adapter(name) {
        Some(adapter) if adapter.analyses => Ok(adapter),
        Some(_) => Err(Error::usage(format!("agent {name} cannot look back at a run; claude can"))),
        None => {
            Err(Error::usage(format!("agent {name} is not known; this version knows {}", agent::names())))
        }
    }
}

fn model(recorded: &Recorded, arguments: &Analyze, adapter: &Adapter) -> Option<String> {
    let spec = &recorded.object.spec;
    let own = spec.agent.model.clone().filter(|_| spec.agent.adapter == adapter.name);
    let default = || adapter.default_model.map(str::to_owned);
    arguments.model.clone().or_else(|| spec.postmortem.model.clone()).or(own).or_else(default)
}
