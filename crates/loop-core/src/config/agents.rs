//! Keys about agents, what they may use, and the record of the run (CFG-11, 12, 23, 39, 40).

use loop_api::usage::nanos;
use serde_json::{Value, json};

use super::{boolean, set};
use crate::agent;

/// Lays a key on the patch; `false` when it is none of these, and the reason when its value cannot be used.
pub(super) fn take(patch: &mut Value, key: &str, value: &str) -> Result<bool, String> {
    let number = |most: u64| {
        value
            .parse::<u64>()
            .ok()
            .filter(|number| *number <= most)
            .ok_or_else(|| format!("{key} must be a whole number, found {value:?}"))
    };
    let seconds = || number(u64::from(u32::MAX));
    let truth = || boolean(value).ok_or_else(|| format!("{key} must be true or false, found {value:?}"));
    let (path, value) = match key {
        "agent" => ("/agent/adapter", json!(known(key, value)?)),
        "review_agent" => ("/review/adapter", json!(known(key, value)?)),
        "model" => ("/agent/model", json!(model(key, value)?)),
        // Empty is the default of the catalogue: the implementer's.
        "review_model" if value.is_empty() => ("/review/model", Value::Null),
        "review_model" => ("/review/model", json!(model(key, value)?)),
        "postmortem_model" => ("/postmortem/model", json!(model(key, value)?)),
        "postmortem" => ("/postmortem/enabled", json!(truth()?)),
        "summary_json" => ("/artifacts/summary", json!(truth()?)),
        "artifact_mode" => ("/artifacts/mode", json!(mode(value)?)),
        "max_cost_usd" => ("/limits/costUSD", json!(amount(key, value)?)),
        "max_tokens" => ("/limits/tokens", json!(number(u64::MAX)?)),
        "agent_start_timeout_sec" => ("/limits/agentStartSeconds", json!(seconds()?)),
        "agent_exit_timeout_sec" => ("/limits/agentExitSeconds", json!(seconds()?)),
        _ => return Ok(false),
    };
    set(patch, path, value);
    Ok(true)
}

/// An amount of US dollars that can be reckoned with.
pub(super) fn amount<'a>(name: &str, value: &'a str) -> Result<&'a str, String> {
    nanos(value).map(|_| value).ok_or_else(|| {
        format!(
            "{name} must be an amount of US dollars such as 25 or 0.5, with at most nine digits after the point, \
             found {value:?}"
        )
    })
}

/// A model's name as it is handed to the agent: an argument of its own, and not an option.
pub(super) fn model<'a>(name: &str, value: &'a str) -> Result<&'a str, String> {
    if value.trim().is_empty() {
        return Err(format!("{name} is empty; leave it out to use the agent's default model"));
    }
    if value.starts_with('-') || value.contains(char::is_control) {
        return Err(format!("{name} must be the name of a model such as opus, found {value:?}"));
    }
    Ok(value)
}

fn known<'a>(key: &str, value: &'a str) -> Result<&'a str, String> {
    agent::adapter(value)
        .map(|_| value)
        .ok_or_else(|| format!("{key} must name an agent, found {value:?}; known are {}", agent::names()))
}

fn mode(value: &str) -> Result<&'static str, String> {
    match value {
        "workspace" => Ok("Workspace"),
        "global" => Ok("Global"),
        "mirror" => Ok("Mirror"),
        _ => Err(format!("artifact_mode must be workspace, global or mirror, found {value:?}")),
    }
}

#[cfg(test)]
mod tests {
    use loop_api::run::ArtifactMode;
    use serde_json::json;

    use crate::config::{parse, resolve};

    #[test]
    fn agents_models_budgets_and_the_record_are_settled_by_keys() {
        let text = "agent=claude\nmodel=sonnet\nreview_agent=script\nreview_model=opus\nartifact_mode=workspace\n\
                    summary_json=no\npostmortem=off\npostmortem_model=haiku\nmax_cost_usd=2.50\nmax_tokens=9000000000\n\
                    agent_start_timeout_sec=7\nagent_exit_timeout_sec=8\n";
        let config = parse("c", text).unwrap();
        assert_eq!(config.warnings, Vec::<String>::new());
        let spec = resolve(&[config.patch]).unwrap();
        assert_eq!((spec.agent.adapter.as_str(), spec.agent.model.as_deref()), ("claude", Some("sonnet")));
        assert_eq!(spec.review.adapter.as_deref(), Some("script"));
        assert_eq!(spec.review.model.as_deref(), Some("opus"));
        assert_eq!((spec.artifacts.mode, spec.artifacts.summary), (ArtifactMode::Workspace, false));
        assert_eq!((spec.postmortem.enabled, spec.postmortem.model.as_deref()), (false, Some("haiku")));
        assert_eq!(
            (spec.limits.cost_usd.as_deref(), spec.limits.tokens),
            (Some("2.50"), Some(9_000_000_000))
        );
        assert_eq!((spec.limits.agent_start_seconds, spec.limits.agent_exit_seconds), (7, 8));
        let unset = parse("c", "review_model=opus\nreview_model=\n").unwrap();
        assert_eq!(resolve(&[unset.patch]).unwrap().review.model, None);
    }

    #[test]
    fn values_that_cannot_be_used_are_refused_with_what_is_allowed() {
        let said = |line: &str| parse("c", line).unwrap_err().to_string();
        assert_eq!(
            said("agent=cobol"),
            "c line 1: agent must name an agent, found \"cobol\"; known are script and claude"
        );
        assert_eq!(
            said("max_cost_usd=1e3"),
            "c line 1: max_cost_usd must be an amount of US dollars such as 25 or 0.5, with at most nine digits after \
             the point, found \"1e3\""
        );
        assert_eq!(
            said("artifact_mode=cloud"),
            "c line 1: artifact_mode must be workspace, global or mirror, found \"cloud\""
        );
        assert_eq!(said("max_tokens=-1"), "c line 1: max_tokens must be a whole number, found \"-1\"");
        assert_eq!(
            said("agent_start_timeout_sec=4294967296"),
            "c line 1: agent_start_timeout_sec must be a whole number, found \"4294967296\""
        );
        assert_eq!(
            said("summary_json=maybe"),
            "c line 1: summary_json must be true or false, found \"maybe\""
        );
        assert_eq!(said("model="), "c line 1: model is empty; leave it out to use the agent's default model");
        assert_eq!(
            said("model=--yolo"),
            "c line 1: model must be the name of a model such as opus, found \"--yolo\""
        );
    }

    #[test]
    fn a_manifest_is_held_to_the_same() {
        let said = |patch| resolve(&[patch]).unwrap_err().to_string();
        assert_eq!(
            said(json!({"limits": {"costUSD": "ten"}})),
            "spec.limits.costUSD must be an amount of US dollars such as 25 or 0.5, with at most nine digits after the \
             point, found \"ten\""
        );
        assert_eq!(
            said(json!({"limits": {"costUSD": 25}})),
            "spec.limits.costUSD: invalid type: integer `25`, expected text in quotes"
        );
        assert_eq!(
            said(json!({"review": {"model": ""}})),
            "spec.review.model is empty; leave it out to use the agent's default model"
        );
    }
}
