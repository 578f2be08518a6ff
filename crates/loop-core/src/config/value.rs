//! A value as it is written, made into the value of a field; and values as they are shown again.

use loop_api::usage::nanos;
use serde_json::{Value, json};

use super::keys::{Field, Key, Kind, one_of};
use crate::agent;

/// The JSON value that a text stands for. `name` is the key as the user wrote it, for the reason why it cannot be used.
pub(super) fn read(key: &Key, name: &str, text: &str) -> Result<Value, String> {
    Ok(match key.kind {
        Kind::Whole { least, most } => {
            let number = text.parse::<u64>().ok().filter(|number| *number <= most);
            match number {
                None => return Err(format!("{name} must be a whole number, found {text:?}")),
                Some(number) if number < least => {
                    return Err(format!("{name} is {number}; at least one is needed"));
                }
                Some(number) => json!(number),
            }
        }
        Kind::Truth => {
            json!(boolean(text).ok_or_else(|| format!("{name} must be true or false, found {text:?}"))?)
        }
        Kind::Name | Kind::Path if text.is_empty() => {
            return Err(format!("{name} is empty; remove the line to use the default"));
        }
        Kind::Text | Kind::Name | Kind::Path => json!(text),
        Kind::Globs | Kind::Paths => json!(text.split_whitespace().collect::<Vec<_>>()),
        Kind::Commands => json!(commands(text).collect::<Vec<_>>()),
        Kind::OneOf(words) if !words.contains(&text) => {
            return Err(format!("{name} must be {}, found {text:?}", one_of(words)));
        }
        Kind::OneOf(_) if matches!(key.field, Field::Spec(_)) => json!(camel(text)),
        Kind::OneOf(_) => json!(text),
        Kind::Agent => json!(known(name, text)?),
        Kind::Model { empty: true } if text.is_empty() => Value::Null,
        Kind::Model { .. } => json!(model(name, text)?),
        Kind::Amount => json!(amount(name, text)?),
    })
}

/// A field's value in the words of the configuration; `None` for nothing.
pub fn shown(kind: Kind, value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) if matches!(kind, Kind::OneOf(_)) => snake(text),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    Some(text).filter(|text| !text.is_empty())
}

pub(super) fn commands(value: &str) -> impl Iterator<Item = &str> {
    value.split('|').map(str::trim).filter(|command| !command.is_empty())
}

fn boolean(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "y" | "on" => Some(true),
        "false" | "0" | "no" | "n" | "off" => Some(false),
        _ => None,
    }
}

/// `newest_first` as the API writes it: `NewestFirst`.
fn camel(word: &str) -> String {
    let part = |part: &str| part[..1].to_ascii_uppercase() + &part[1..];
    word.split('_').filter(|word| !word.is_empty()).map(part).collect()
}

fn snake(word: &str) -> String {
    let mut text = String::new();
    for (at, letter) in word.char_indices() {
        if letter.is_ascii_uppercase() && at > 0 {
            text.push('_');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
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
