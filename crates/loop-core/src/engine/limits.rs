//! Limits that the user changes while the run is under way.

use loop_api::journal::Event;
use loop_api::phase::RunPhase;
use loop_api::run::Limits;
use loop_api::usage;
use serde_json::Value;

use super::{Engine, Error};

impl Engine<'_> {
    /// Goes by limits that the user has changed, if any were, between two steps.
    pub(super) fn heed_limits(&mut self) -> Result<(), Error> {
        let deciding = self.state().phase == RunPhase::Running && self.state().open.is_none();
        let Some(bytes) = deciding.then(|| self.run.take_limits()).flatten() else { return Ok(()) };
        match merged(&self.created.spec.limits, &bytes) {
            Ok(limits) if limits == self.created.spec.limits => {}
            Ok(limits) => {
                self.append(Event::LimitsChanged { limits: Box::new(limits.clone()) })?;
                self.created.spec.limits = limits;
                self.set_deadline();
            }
            Err(reason) => self.observer.note(&format!("the changed limits are not gone by: {reason}")),
        }
        self.run.clear_taken_limits();
        Ok(())
    }

    /// When the run has to end, by its limits of now.
    pub(super) fn set_deadline(&mut self) {
        self.control.started = self.state().started_ms;
        self.control.deadline_seconds = self.created.spec.limits.active_deadline_seconds;
    }
}

/// Limits with those that are named anew. What is not named stays: where it came from, the journal does not say.
fn merged(limits: &Limits, wanted: &[u8]) -> Result<Limits, String> {
    let wanted: Value = serde_json::from_slice(wanted).map_err(|error| error.to_string())?;
    let mut all = serde_json::to_value(limits).map_err(|error| error.to_string())?;
    if let (Value::Object(all), Value::Object(wanted)) = (&mut all, wanted) {
        all.extend(wanted);
    }
    let merged: Limits = serde_json::from_value(all).map_err(|error| error.to_string())?;
    match merged.cost_usd.as_deref() {
        Some(cost) if usage::nanos(cost).is_none() => {
            Err(format!("costUSD {cost} is no amount of US dollars"))
        }
        _ => Ok(merged),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_counts_and_the_rest_stays() {
        let limits = Limits { cost_usd: Some("5".into()), tokens: Some(7), ..Limits::default() };
        let said = merged(&limits, br#"{"costUSD": "25", "agentIdleSeconds": 60}"#);
        let wanted = Limits { cost_usd: Some("25".into()), agent_idle_seconds: 60, ..limits.clone() };
        assert_eq!(said, Ok(wanted));
        assert_eq!(merged(&limits, b"{}"), Ok(limits.clone()));
        assert_eq!(merged(&limits, b"null"), Ok(limits.clone()));
        for wrong in [&br#"{"costUSD": "much"}"#[..], br#"{"patience": 1}"#, br#"{"tokens": "many"}"#, b"{"] {
            assert!(merged(&limits, wrong).is_err());
        }
    }
}
