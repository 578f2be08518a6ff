//! `loopctl run`.

use std::path::PathBuf;

use loop_api::journal::ConfigPlace;
use loop_api::run::{API_VERSION, KIND};
use loop_core::config::set;
use loop_core::create::{self, ConfigFile, Request};
use loop_core::store::Store;
use serde_json::{Value, json};

use super::drive;
use crate::cli::{Asked, Mode, Order, Run, Strategy, WorktreeProvider};
use crate::error::{Error, Result};
use crate::printer::{self, say};
use crate::view::clean;
use crate::{ask, runs, view};

/// What a manifest may have at its top; what `-o yaml` prints is a manifest too.
const FIELDS: [&str; 5] = ["apiVersion", "kind", "metadata", "spec", "status"];

pub(super) fn run(store: &Store, arguments: Run) -> Result {
    let Run { asked, output, quiet, detach } = arguments;
    if !asked.local {
        return Err(Error::usage(
            "say where to run: --local runs on this machine, the only place in this version",
        ));
    }
    let request = request(asked)?;
    let new = create::create(store, &request)?;
    for warning in &new.warnings {
        say(&format!("warning: {warning}"));
    }
    if !quiet {
        say(&format!("configuration: {}", new.configuration));
    }
    if detach {
        return super::detach::announce(store, &new.uid, output);
    }
    let code = drive::to_the_end(store, &new.uid, quiet)?;
    let recorded = runs::find(store, &new.uid)?;
    if !printer::object(&recorded.object, output)? {
        printer::data(&view::summary::text(&recorded))?;
    }
    Ok(code)
}

/// The request that these arguments make.
pub(super) fn request(arguments: Asked) -> Result<Request> {
    let flags = flags(&arguments)?;
    let queue = queue(&arguments);
    let Asked { spec, plan, prompt, filename, config, name, agent_script, pick, .. } = arguments;
    // A manifest may name a spec, and a prompt is one.
    let picks = pick || (spec.is_none() && prompt.is_none() && filename.is_none());
    if filename.as_deref() == Some("-") && prompt.as_deref() == Some("-") {
        return Err(Error::usage("stdin can be read only once; give the manifest or the prompt another way"));
    }
    let (manifest, manifest_name) = match &filename {
        Some(file) => manifest(file)?,
        None => (json!({}), None),
    };
    let mut request = Request {
        directory: drive::directory()?,
        spec,
        plan,
        prompt: prompt.map(|text| if text == "-" { drive::read("-") } else { Ok(text) }).transpose()?,
        name: name.or(manifest_name),
        agent_script,
        config: configuration(config),
        manifest,
        flags,
        queue,
        environment: loop_core::caller_environment(),
        identity: None,
        container: None,
    };
    // Where nobody can be asked, the run is refused with the list of specs.
    if picks && ask::can_ask() {
        request.spec = Some(picked(&request)?);
    }
    Ok(request)
}

/// The spec that the user picks from those of the repository (CLI-6).
fn picked(request: &Request) -> Result<String> {
    let (folder, heads) = create::specs(request)?;
    if heads.is_empty() {
        return Err(Error::usage(format!(
            "{folder}/ has no committed spec; write one, or say the task with --prompt"
        )));
    }
    let lines: Vec<String> = heads.iter().map(|head| clean::line(&head.line())).collect();
    match ask::pick("Spec", &lines)?.and_then(|at| heads.get(at)) {
        Some(head) => Ok(format!("{folder}/{}", head.file)),
        None => Err(Error::usage("no spec was picked, so nothing was done")),
    }
}

/// The configuration file that the caller names: by the flag, else by the variable (CFG-60).
fn configuration(flag: Option<PathBuf>) -> Option<ConfigFile> {
    let variable = || std::env::var_os("LOOP_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from);
    flag.map(|path| ConfigFile { path, place: ConfigPlace::Flag })
        .or_else(|| variable().map(|path| ConfigFile { path, place: ConfigPlace::Environment }))
}

/// What the flags say about the queue.
fn queue(arguments: &Asked) -> Value {
    let mut patch = json!({});
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            patch[name] = value;
        }
    };
    put("max_concurrency", arguments.max_concurrency.map(|count| json!(count)));
    put("max_runs_per_workspace", arguments.max_runs_per_workspace.map(|count| json!(count)));
    put(
        "policy",
        arguments.queue_policy.map(|order| match order {
            Order::Fifo => json!("fifo"),
            Order::NewestFirst => json!("newest_first"),
        }),
    );
    patch
}

/// Fields of the spec that mean something on a cluster only, and what a run on this machine uses instead.
const CLUSTER_ONLY: [(&str, &str); 7] = [
    ("/repository/secretRef", "the repository as it is here"),
    ("/agent/image", "the tools that are installed here"),
    ("/agent/secretRef", "the agent's own login and your environment"),
    ("/checkpoint", "the journal on its own disk"),
    ("/state", "loopctl pause and loopctl cancel"),
    ("/retry", "loopctl resume"),
    ("/ttlSecondsAfterFinished", "loopctl prune"),
];

/// The `spec` of a manifest and its name.
fn manifest(file: &str) -> Result<(Value, Option<String>)> {
    let text = drive::read(file)?;
    let shown = if file == "-" { "stdin" } else { file };
    let wrong = |reason: String| Error::usage(format!("{shown} is no LoopRun manifest: {reason}"));
    let value: Value =
        serde_saphyr::from_str(&text).map_err(|error| wrong(first_line(&error.to_string())))?;
    let Some(fields) = value.as_object() else {
        return Err(wrong("it has no fields; `loopctl list -o yaml` shows how a run looks".into()));
    };
    let said = |field: &str| fields.get(field).map_or_else(|| "missing".into(), Value::to_string);
    for (field, expected) in [("apiVersion", API_VERSION), ("kind", KIND)] {
        if value[field] != expected {
            return Err(wrong(format!("{field} is {}, expected {expected}", said(field))));
        }
    }
    if let Some(unknown) = fields.keys().find(|name| !FIELDS.contains(&name.as_str())) {
        return Err(wrong(format!("unknown field `{unknown}`, expected one of {}", FIELDS.join(", "))));
    }
    if !value["spec"].is_object() {
        return Err(wrong(format!("spec is {}, expected fields such as task and gates", said("spec"))));
    }
    for (field, instead) in CLUSTER_ONLY {
        if value["spec"].pointer(field).is_some_and(|given| !given.is_null()) {
            let field = field.replace('/', ".");
            return Err(Error::usage(format!(
                "{shown}: spec{field} is for runs on a cluster; a run on this machine uses {instead}, so leave it out"
            )));
        }
    }
    let name = match &value["metadata"]["name"] {
        Value::Null => None,
        Value::String(name) => Some(name.clone()),
        other => return Err(wrong(format!("metadata.name is {other}, expected text"))),
    };
    Ok((value["spec"].clone(), name))
}

/// The complaint of the YAML reader without the picture of the place below it.
fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

/// A path of the command line, which is meant from the current folder.
fn from_here(path: &str) -> Result<String> {
    if path.starts_with("~/") {
        return Ok(path.to_owned());
    }
    Ok(drive::directory()?.join(path).to_string_lossy().into_owned())
}

/// Flags as a patch on the spec.
fn flags(arguments: &Asked) -> Result<Value> {
    let given = |path: &Option<String>| path.as_deref().map(from_here).transpose();
    let config = given(&arguments.worktrunk_config)?;
    let program = match &arguments.worktrunk_bin {
        Some(name) if !name.contains('/') => Some(name.clone()),
        path => given(path)?,
    };
    let mut patch = json!({});
    let mut put = |path: &str, value: Option<Value>| {
        if let Some(value) = value {
            set(&mut patch, path, value);
        }
    };
    put("/agent/adapter", arguments.agent.as_ref().map(|name| json!(name)));
    put("/agent/model", arguments.model.as_ref().map(|name| json!(name)));
    put("/review/adapter", arguments.review_agent.as_ref().map(|name| json!(name)));
    put("/review/model", arguments.review_model.as_ref().map(|name| json!(name)));
    put("/limits/costUSD", arguments.max_cost.as_ref().map(|amount| json!(amount)));
    put("/limits/tokens", arguments.max_tokens.map(|count| json!(count)));
    put("/postmortem/enabled", arguments.no_postmortem.then_some(json!(false)));
    put("/review/enabled", arguments.no_review.then_some(json!(false)));
    put("/loop/allowUnverified", arguments.allow_unverified.then_some(json!(true)));
    put("/loop/iterations", arguments.iterations.map(|count| json!(count)));
    put("/limits/activeDeadlineSeconds", arguments.deadline.map(|seconds| json!(seconds)));
    put("/repository/ref", arguments.base_branch.as_ref().map(|name| json!(name)));
    put("/worktree/runBranchPrefix", arguments.run_branch_prefix.as_ref().map(|prefix| json!(prefix)));
    put("/worktree/pathTemplate", arguments.worktree_path_template.as_ref().map(|template| json!(template)));
    put(
        "/worktree/provider",
        arguments.worktree_provider.map(|provider| match provider {
            WorktreeProvider::Auto => json!("Auto"),
            WorktreeProvider::Worktrunk => json!("Worktrunk"),
            WorktreeProvider::Git => json!("Git"),
        }),
    );
    put("/worktree/worktrunkBin", program.map(|name| json!(name)));
    put("/worktree/worktrunkConfig", config.map(|path| json!(path)));
    put("/worktree/copyIgnored", arguments.worktrunk_copy_ignored.then_some(json!(true)));
    put("/delivery/targetBranch", arguments.merge_target.as_ref().map(|name| json!(name)));
    put(
        "/loop/completionMode",
        arguments.completion_mode.map(|mode| match mode {
            Mode::Exact => json!("Exact"),
            Mode::Trailing => json!("Trailing"),
        }),
    );
    let strategy = arguments.merge_strategy.map(|strategy| match strategy {
        Strategy::None => ("None", None),
        Strategy::Merge => ("Merge", Some("Merge")),
        Strategy::Squash => ("Merge", Some("Squash")),
    });
    put("/delivery/mode", strategy.map(|(mode, _)| json!(mode)));
    put("/delivery/strategy", strategy.and_then(|(_, strategy)| strategy).map(|name| json!(name)));
    let mut gates = Vec::new();
    for (given, when) in arguments
        .gate
        .iter()
        .map(|gate| (gate, "Always"))
        .chain(arguments.final_gate.iter().map(|gate| (gate, "Final")))
    {
        let Some((name, command)) = given.split_once('=') else {
            return Err(Error::usage(format!(
                "gate {given:?} has no name; write NAME=COMMAND, for instance test='make test'"
            )));
        };
        gates.push(json!({"name": name.trim(), "run": command, "when": when}));
    }
    put("/gates", Some(json!(gates)).filter(|_| !gates.is_empty()));
    Ok(patch)
}
