//! Who implements and who reviews: settled and checked before a run is made.

use std::fs;
use std::path::{Path, PathBuf};

use loop_api::phase::StepPhase;
use loop_api::run::LoopRunSpec;

use super::preflight::{Base, mode, refuse};
use super::{AGENT_SCRIPT, Error, Request};
use crate::agent::{self, Adapter};
use crate::far::Container;
use crate::git::Git;

/// Settles the agents of a run; gives the content of a script that is not taken from the base commit.
pub(super) fn settle(
    user: &Git,
    spec: &mut LoopRunSpec,
    request: &Request,
    base: &Base,
    search_path: &str,
) -> Result<Option<Vec<u8>>, Error> {
    let given = request.agent_script.clone().or_else(|| spec.agent.script.clone().map(PathBuf::from));
    let chosen = !spec.agent.adapter.is_empty();
    if !chosen {
        let script = given.is_some() || !mode(user, &base.commit, AGENT_SCRIPT)?.is_empty();
        spec.agent.adapter = if script { "script" } else { "claude" }.into();
    }
    let names = [Some(&spec.agent.adapter), spec.review.adapter.as_ref()];
    if let Some(name) = names.into_iter().flatten().find(|name| agent::adapter(name).is_none()) {
        return refuse(format!("agent {name} is not known; this version knows {}", agent::names()));
    }
    let mut asked: Vec<&Adapter> = Vec::new();
    for phase in [StepPhase::Implementation, StepPhase::Review] {
        asked.extend(agent::asked(spec, phase).map(|(adapter, _)| adapter));
    }
    for adapter in &asked {
        let Some(program) = adapter.program else { continue };
        let missing = match &request.container {
            Some(container) => missing_in(container, adapter, program),
            None => std::env::split_paths(search_path)
                .all(|entry| !is_executable(&entry.join(program)))
                .then(|| Missing {
                    what: "is not in PATH".into(),
                    remedy: format!("{}, or name a script with --agent-script", adapter.install),
                }),
        };
        if let Some(Missing { what, remedy }) = missing {
            let why = if chosen {
                format!("agent {} needs the command `{program}`, which {what}", adapter.name)
            } else {
                format!("no agent was found: {} has no {AGENT_SCRIPT}, and `{program}` {what}", base.branch)
            };
            return refuse(format!("{why}; {remedy}"));
        }
        let access = |container: &Container| adapter.credentials.iter().any(|name| container.has(name));
        if !adapter.credentials.is_empty() && !request.container.as_ref().is_none_or(access) {
            return refuse(format!(
                "agent {} has no credential: put one into a Secret, under one of the keys {}, and name that in \
                 spec.agent.secretRef",
                adapter.name,
                adapter.credentials.join(", ")
            ));
        }
    }
    if spec.agent.model.is_none() {
        // Frozen, so that a later version with another default continues the run as it was begun.
        spec.agent.model = asked[0].default_model.map(str::to_owned);
    }
    if asked.iter().all(|adapter| adapter.program.is_some()) {
        return match given {
            Some(path) => refuse(format!(
                "agent script {} would not be used, as the agent is {}; leave one of the two out",
                path.display(),
                spec.agent.adapter
            )),
            None => Ok(None),
        };
    }
    script(user, spec, request, base, given)
}

/// What is wrong with the command of an agent, and what to do.
struct Missing {
    what: String,
    remedy: String,
}

/// Has the command say its version: one that is there may be made for another system.
fn missing_in(container: &Container, adapter: &Adapter, program: &str) -> Option<Missing> {
    let what = container.version(adapter, program).err()?;
    let name = adapter.name;
    let remedy = format!(
        "give the operator the image that brings it (agents.{name}.image of the chart) and name {name} in \
         spec.agent.adapter or spec.review.adapter, or use a spec.agent.image with the command in its PATH"
    );
    Some(Missing { what, remedy })
}

fn script(
    user: &Git,
    spec: &mut LoopRunSpec,
    request: &Request,
    base: &Base,
    given: Option<PathBuf>,
) -> Result<Option<Vec<u8>>, Error> {
    if let Some(path) = given {
        let path = request.directory.join(path);
        let shown = path.display();
        if !path.is_file() {
            return refuse(format!("agent script {shown} is not a file; name an executable file"));
        }
        if !is_executable(&path) {
            return refuse(format!("agent script {shown} is not executable; run chmod +x {shown}"));
        }
        spec.agent.script = Some(path.to_string_lossy().into_owned());
        return match fs::read(&path) {
            Ok(content) => Ok(Some(content)),
            Err(error) => refuse(format!("agent script {shown} cannot be read: {error}")),
        };
    }
    match mode(user, &base.commit, AGENT_SCRIPT)?.as_str() {
        "100755" => Ok(None),
        "100644" => refuse(format!(
            "{AGENT_SCRIPT} is not executable in {}; run git update-index --chmod=+x {AGENT_SCRIPT} and commit",
            base.branch
        )),
        _ => refuse(format!(
            "agent `script` needs an executable {AGENT_SCRIPT} in {}; commit one, or name one with --agent-script",
            base.branch
        )),
    }
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).is_ok_and(|facts| facts.is_file() && facts.permissions().mode() & 0o111 != 0)
}
