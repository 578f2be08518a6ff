//! `.loop/config`: `key=value` lines, never evaluated (CFG-1), as a patch on the run's spec.

mod agents;
mod worktree;

use loop_api::run::{LoopRunSpec, QueueSettings};
use serde_json::{Map, Value, json};

/// What is wrong with a configuration.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// A line cannot be used (CFG-3).
    #[error("{file} line {line}: {reason}")]
    Line {
        /// Where the text came from.
        file: String,
        /// From 1.
        line: usize,
        /// What is wrong and what is allowed.
        reason: String,
    },
    /// The pieces do not make a spec.
    #[error("{0}")]
    Spec(String),
}

/// A configuration file as read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Config {
    /// Patch on the spec, in the spec's own JSON form.
    pub patch: Value,
    /// Patch on the settings of the queue (CFG-31..33).
    pub queue: Value,
    /// Folder of specs (CFG-7).
    pub specs_dir: Option<String>,
    /// Folder of plans (CFG-8).
    pub plans_dir: Option<String>,
    /// Files named in the prompt beside spec and plan (CFG-17).
    pub context_files: Vec<String>,
    /// Replaces the default prompt (CFG-16).
    pub prompt_file: Option<String>,
    /// Sentences for the user, not errors.
    pub warnings: Vec<String>,
}

/// Keys of the catalogue that this version reads but has no use for yet.
const WITHOUT_EFFECT: [&str; 4] = ["log_dir", "global_log_dir", "run_naming_mode", "run_naming_model"];

/// Parses a configuration file; `file` names it in messages.
pub fn parse(file: &str, text: &str) -> Result<Config, Error> {
    let mut config = Config { patch: json!({}), queue: json!({}), ..Config::default() };
    let mut gates: Vec<(String, bool)> = Vec::new();
    let mut gate_timeout = None;
    for (index, raw) in text.lines().enumerate() {
        let line = raw.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = |reason: String| Error::Line { file: file.to_owned(), line: index + 1, reason };
        let Some((key, value)) = line.split_once('=') else {
            return Err(wrong(format!("expected key=value, found {line:?}")));
        };
        let (key, value) = (key.trim(), unquote(value.trim()));
        let number = || {
            value.parse::<u32>().map_err(|_| wrong(format!("{key} must be a whole number, found {value:?}")))
        };
        let truth =
            || boolean(value).ok_or_else(|| wrong(format!("{key} must be true or false, found {value:?}")));
        let filled = || {
            if value.is_empty() {
                Err(wrong(format!("{key} is empty; remove the line to use the default")))
            } else {
                Ok(value)
            }
        };
        match key {
            "verify_cmds" | "verify_final_cmds" => {
                let last = key == "verify_final_cmds";
                gates.retain(|(_, is_final)| *is_final != last);
                gates.extend(commands(value).map(|command| (command.to_owned(), last)));
            }
            "verify_timeout_sec" => gate_timeout = Some(number()?),
            "iterations" if number()? == 0 => {
                return Err(wrong("iterations is 0; at least one is needed".into()));
            }
            "iterations" => set(&mut config.patch, "/loop/iterations", json!(number()?)),
            "completion_mode" => {
                let mode = match value {
                    "exact" => "Exact",
                    "trailing" => "Trailing",
                    _ => {
                        return Err(wrong(format!(
                            "completion_mode must be exact or trailing, found {value:?}"
                        )));
                    }
                };
                set(&mut config.patch, "/loop/completionMode", json!(mode));
            }
            "reviewer" => set(&mut config.patch, "/review/enabled", json!(truth()?)),
            "base_branch" => set(&mut config.patch, "/repository/ref", json!(filled()?)),
            "merge_target_branch" => set(&mut config.patch, "/delivery/targetBranch", json!(filled()?)),
            "merge_strategy" => set_strategy(&mut config.patch, value).map_err(wrong)?,
            "agent_timeout_sec" | "claude_timeout_sec" => {
                set(&mut config.patch, "/limits/agentStepSeconds", json!(number()?));
            }
            "agent_idle_timeout_sec" => set(&mut config.patch, "/limits/agentIdleSeconds", json!(number()?)),
            "agent_retries" | "claude_retries" => set(&mut config.patch, "/loop/retries", json!(number()?)),
            "agent_retry_backoff_sec" | "claude_retry_backoff_sec" => {
                set(&mut config.patch, "/loop/retryBackoffSeconds", json!(number()?));
            }
            "max_consecutive_verification_failures" => {
                set(&mut config.patch, "/loop/maxConsecutiveVerificationFailures", json!(number()?));
            }
            "max_consecutive_review_failures" => {
                set(&mut config.patch, "/loop/maxConsecutiveReviewFailures", json!(number()?));
            }
            "protect_paths" => set(&mut config.patch, "/protect/paths", json!(words(value))),
            "protect_allow" => set(&mut config.patch, "/protect/allow", json!(words(value))),
            "max_concurrency" | "max_runs_per_workspace" if number()? == 0 => {
                return Err(wrong(format!("{key} is 0; at least one is needed")));
            }
            "max_concurrency" => set(&mut config.queue, "/max_concurrency", json!(number()?)),
            "max_runs_per_workspace" => set(&mut config.queue, "/max_runs_per_workspace", json!(number()?)),
            "queue_policy" => match value {
                "fifo" | "newest_first" => set(&mut config.queue, "/policy", json!(value)),
                _ => {
                    return Err(wrong(format!("queue_policy must be fifo or newest_first, found {value:?}")));
                }
            },
            "specs_dir" => config.specs_dir = Some(filled()?.to_owned()),
            "plans_dir" => config.plans_dir = Some(filled()?.to_owned()),
            "context_files" => config.context_files = words(value),
            "prompt_file" => config.prompt_file = Some(filled()?.to_owned()),
            _ if WITHOUT_EFFECT.contains(&key) => {
                config
                    .warnings
                    .push(format!("{file} line {}: {key} has no effect in this version", index + 1));
            }
            _ if agents::take(&mut config.patch, key, value).map_err(wrong)? => {}
            _ if worktree::take(&mut config.patch, key, value).map_err(wrong)? => {}
            _ => config.warnings.push(format!("{file} line {}: unknown key {key}, ignored", index + 1)),
        }
    }
    if !gates.is_empty() {
        set(&mut config.patch, "/gates", gate_list(&gates, gate_timeout));
    }
    Ok(config)
}

/// Gates from shell commands; each gets a name made of its words.
fn gate_list(gates: &[(String, bool)], timeout: Option<u32>) -> Value {
    let mut names: Vec<String> = Vec::new();
    let list = gates.iter().map(|(command, last)| {
        let mut name = gate_name(command);
        let same = names.iter().filter(|taken| **taken == name).count();
        names.push(name.clone());
        if same > 0 {
            name = format!("{name}-{}", same + 1);
        }
        let mut gate = json!({"name": name, "run": command, "when": if *last { "Final" } else { "Always" }});
        if let Some(seconds) = timeout {
            gate["timeoutSeconds"] = json!(seconds);
        }
        gate
    });
    list.collect()
}

/// A short name for a command: its words without the shell before and the `.sh` behind a script.
fn gate_name(command: &str) -> String {
    let words: Vec<&str> = command.split_whitespace().collect();
    let shell = words.len() > 1 && ["sh", "bash", "dash"].contains(&words[0]);
    let text: Vec<&str> =
        words.iter().skip(usize::from(shell)).map(|word| word.strip_suffix(".sh").unwrap_or(word)).collect();
    let name: String = loop_api::naming::slug(&text.join(" ")).chars().take(32).collect();
    name.trim_matches('-').to_owned()
}

fn commands(value: &str) -> impl Iterator<Item = &str> {
    value.split('|').map(str::trim).filter(|command| !command.is_empty())
}

fn words(value: &str) -> Vec<String> {
    value.split_whitespace().map(str::to_owned).collect()
}

fn unquote(value: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some(inner) = value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            return inner;
        }
    }
    value
}

fn boolean(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "y" | "on" => Some(true),
        "false" | "0" | "no" | "n" | "off" => Some(false),
        _ => None,
    }
}

/// Sets mode and strategy together, so that a later strategy wins also over an earlier `none`.
fn set_strategy(patch: &mut Value, name: &str) -> Result<(), String> {
    let (mode, strategy) = match name {
        "none" => ("None", None),
        "merge" => ("Merge", Some("Merge")),
        "squash" => ("Merge", Some("Squash")),
        _ => return Err(format!("merge_strategy must be none, merge or squash, found {name:?}")),
    };
    set(patch, "/delivery/mode", json!(mode));
    if let Some(strategy) = strategy {
        set(patch, "/delivery/strategy", json!(strategy));
    }
    Ok(())
}

/// Sets a value in a JSON object by a path of keys, making objects on the way.
pub fn set(target: &mut Value, path: &str, value: Value) {
    let mut place = target;
    for key in path.trim_start_matches('/').split('/') {
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        place = &mut place[key];
    }
    *place = value;
}

/// Settings of the queue, later patches winning.
pub fn queue(patches: &[Value]) -> Result<QueueSettings, Error> {
    let mut merged = json!({});
    patches.iter().filter(|patch| patch.is_object()).for_each(|patch| lay(&mut merged, patch));
    serde_json::from_value(merged).map_err(|error| Error::Spec(format!("the queue's settings: {error}")))
}

/// Lays patches over each other, later ones winning; lists are replaced whole (CFG-2).
pub fn resolve(patches: &[Value]) -> Result<LoopRunSpec, Error> {
    let mut merged = json!({});
    for patch in patches {
        lay(&mut merged, patch);
    }
    let spec: LoopRunSpec = serde_path_to_error::deserialize(merged).map_err(|error| named(&error))?;
    for (index, gate) in spec.gates.iter().enumerate() {
        let plain = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
        if gate.name.is_empty() || gate.name.len() > 63 || !gate.name.chars().all(plain) {
            return Err(Error::Spec(format!(
                "gate name {:?} must be 1 to 63 letters, digits, '-', '_' or '.'",
                gate.name
            )));
        }
        if gate.run.trim().is_empty() {
            return Err(Error::Spec(format!("gate {} has no command; write NAME=COMMAND", gate.name)));
        }
        if let Some(glob) = gate.junit.as_deref().filter(|glob| !stays_inside(glob)) {
            return Err(Error::Spec(format!(
                "gate {}: junit must be a glob below the top of the checkout, such as build/reports/*.xml, found {glob:?}",
                gate.name
            )));
        }
        if spec.gates[..index].iter().any(|other| other.name == gate.name) {
            return Err(Error::Spec(format!(
                "two gates are named {}; give each a name of its own",
                gate.name
            )));
        }
    }
    used(&spec).map_err(Error::Spec)?;
    if spec.settings.iterations == 0 {
        return Err(Error::Spec("spec.loop.iterations is 0; at least one is needed".into()));
    }
    Ok(spec)
}

/// Whether agents can be given the models and held to the costs that are named.
fn used(spec: &LoopRunSpec) -> Result<(), String> {
    let models = [
        ("spec.agent.model", &spec.agent.model),
        ("spec.review.model", &spec.review.model),
        ("spec.postmortem.model", &spec.postmortem.model),
    ];
    for (name, model) in models {
        model.as_deref().map(|model| agents::model(name, model)).transpose()?;
    }
    spec.limits.cost_usd.as_deref().map(|cost| agents::amount("spec.limits.costUSD", cost)).transpose()?;
    Ok(())
}

/// Names the field that does not fit, in the words of the manifest instead of Rust's.
fn named(error: &serde_path_to_error::Error<serde_json::Error>) -> Error {
    let reason = error
        .inner()
        .to_string()
        .replace("expected u32", "expected a whole number from 0")
        .replace("expected u64", "expected a whole number from 0")
        .replace("expected a string", "expected text in quotes");
    match error.path().to_string().as_str() {
        "." => Error::Spec(format!("spec: {reason}")),
        path => Error::Spec(format!("spec.{path}: {reason}")),
    }
}

fn stays_inside(glob: &str) -> bool {
    !glob.trim().is_empty()
        && !glob.starts_with('/')
        && !glob.contains(['\0', '\n'])
        && glob.split('/').all(|part| part != "..")
}

fn lay(target: &mut Value, patch: &Value) {
    match (target, patch) {
        (Value::Object(target), Value::Object(patch)) => {
            for (key, value) in patch {
                lay(target.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (target, patch) => *target = patch.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_becomes_gates_and_limits() {
        let text = "# gates\nverify_cmds = \"sh tests/run.sh | sh lint.sh\"\nverify_final_cmds=./e2e\nreviewer=off\n\
                    iterations=7\nmerge_strategy=merge\nprotect_paths=ci/** Makefile\nclaude_retries=2\n";
        let config = parse(".loop/config", text).unwrap();
        let spec = resolve(&[config.patch]).unwrap();
        assert_eq!(spec.gates.len(), 3);
        assert_eq!(spec.gates[0].name, "tests-run");
        assert_eq!(spec.gates[2].when, loop_api::run::GateWhen::Final);
        assert!(!spec.review.enabled);
        assert_eq!((spec.settings.iterations, spec.settings.retries), (7, 2));
        assert_eq!(spec.protect.paths, ["ci/**", "Makefile"]);
    }

    #[test]
    fn a_later_strategy_wins_also_over_none() {
        let config = parse("c", "merge_strategy=none\nmerge_strategy=squash\n").unwrap();
        let spec = resolve(&[config.patch]).unwrap();
        assert_eq!(spec.delivery.mode, loop_api::run::DeliveryMode::Merge);
        assert_eq!(spec.delivery.strategy, loop_api::run::MergeStrategy::Squash);
    }

    #[test]
    fn bug_24_empty_branch_names_are_refused_with_file_and_line() {
        let error = parse(".loop/config", "\nbase_branch=\n").unwrap_err();
        assert_eq!(
            error.to_string(),
            ".loop/config line 2: base_branch is empty; remove the line to use the default"
        );
        assert!(parse("c", "merge_target_branch=").is_err());
    }

    #[test]
    fn bad_values_say_what_is_allowed_and_unknown_keys_only_warn() {
        let error = parse("c", "completion_mode=maybe").unwrap_err();
        assert_eq!(error.to_string(), "c line 1: completion_mode must be exact or trailing, found \"maybe\"");
        assert!(parse("c", "iterations").is_err());
        assert!(parse("c", "iterations=-1").is_err());
        let config = parse("c", "colour=blue\nlog_dir=x").unwrap();
        assert_eq!(config.warnings.len(), 2);
    }

    #[test]
    fn later_patches_win_and_two_gates_cannot_share_a_name() {
        let first = json!({"loop": {"iterations": 3, "retries": 1}});
        let spec = resolve(&[first, json!({"loop": {"iterations": 9}})]).unwrap();
        assert_eq!((spec.settings.iterations, spec.settings.retries), (9, 1));
        let twice = json!({"gates": [{"name": "a", "run": "true"}, {"name": "a", "run": "true"}]});
        assert!(resolve(&[twice]).unwrap_err().to_string().contains("two gates are named a"));
    }

    #[test]
    fn a_field_that_does_not_fit_is_named_by_its_path() {
        let said = |patch| resolve(&[patch]).unwrap_err().to_string();
        assert_eq!(
            said(json!({"loop": {"iterations": "many"}})),
            "spec.loop.iterations: invalid type: string \"many\", expected a whole number from 0"
        );
        assert_eq!(said(json!({"gates": [{"name": "a"}]})), "spec.gates[0]: missing field `run`");
        assert_eq!(
            said(json!({"task": {"specPth": "a"}})),
            "spec.task.specPth: unknown field `specPth`, expected one of `specPath`, `planPath`, `prompt`"
        );
        assert_eq!(
            said(json!({"delivery": {"strategy": "Rebase"}})),
            "spec.delivery.strategy: unknown variant `Rebase`, expected `Squash` or `Merge`"
        );
        assert!(said(json!({"lopo": {}})).starts_with("spec.lopo: unknown field `lopo`, expected one of"));
    }

    #[test]
    fn a_report_pattern_stays_below_the_checkout() {
        let with =
            |glob: &str| resolve(&[json!({"gates": [{"name": "unit", "run": "true", "junit": glob}]})]);
        for good in ["report.xml", "build/**/TEST-*.xml", "..hidden/a.xml"] {
            assert_eq!(with(good).unwrap().gates[0].junit.as_deref(), Some(good));
        }
        for bad in ["", " ", "/tmp/*.xml", "../x.xml", "a/../../x.xml", "a\nb"] {
            let error = with(bad).unwrap_err().to_string();
            assert!(
                error.starts_with("gate unit: junit must be a glob below the top of the checkout"),
                "{error}"
            );
        }
    }

    #[test]
    fn gates_need_a_plain_name_and_a_command_and_a_run_an_iteration() {
        for (patch, says) in [
            (json!({"gates": [{"name": "a/b", "run": "true"}]}), "gate name \"a/b\" must be"),
            (json!({"gates": [{"name": "", "run": "true"}]}), "gate name \"\" must be"),
            (json!({"gates": [{"name": "a", "run": "  "}]}), "gate a has no command"),
            (json!({"loop": {"iterations": 0}}), "loop.iterations is 0"),
        ] {
            let error = resolve(&[patch]).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn values_may_be_quoted_and_truth_has_many_words() {
        for (text, enabled) in
            [("reviewer=\"off\"", false), ("reviewer = 'YES'", true), ("reviewer=0", false)]
        {
            let spec = resolve(&[parse("c", text).unwrap().patch]).unwrap();
            assert_eq!(spec.review.enabled, enabled, "{text}");
        }
        assert!(parse("c", "reviewer=perhaps").unwrap_err().to_string().contains("true or false"));
        assert_eq!(
            parse("c", "# a\n\n  # b\n").unwrap(),
            Config { patch: json!({}), queue: json!({}), ..Config::default() }
        );
    }
}
