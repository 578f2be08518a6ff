//! Replaying evidence: the gates again, on a clean clone, against what the evidence says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use loop_api::evidence::{GateEvidence, Statement};
use loop_api::journal::{GateOutcome, WorktreeFacts, sha256};
use loop_api::run::{Gate, GateWhen, LoopRunSpec, Require, Submodules};
use serde::Serialize;
use serde_json::Value;

use crate::engine::{Base, run_gates};
use crate::exec::Isolation;
use crate::far::{Setting, borrow_submodules};
use crate::git::{Git, Trusted};
use crate::machine::State;

/// Why evidence cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The evidence is not ours, or its commits are not there.
    #[error("{0}")]
    Refused(String),
    /// It failed on the way.
    #[error("replaying failed: {0}")]
    Failed(String),
}

/// What a replay found.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Replay {
    /// Run id.
    pub run: String,
    /// Commit that was checked.
    pub commit: String,
    /// Each gate, as the evidence has it and as it is now.
    pub gates: Vec<ReplayedGate>,
    /// What differs; empty when the evidence holds.
    pub differences: Vec<String>,
}

/// One gate, before and after, recorded and replayed.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplayedGate {
    /// Its name.
    pub name: String,
    /// On the base commit, now.
    pub before: Option<GateOutcome>,
    /// On the granted commit, now.
    pub after: GateOutcome,
}

/// Where and with what a replay runs.
#[derive(Debug)]
pub struct Place {
    /// Folder that is made for the replay and removed afterwards.
    pub scratch: PathBuf,
    /// Repository that holds the commits.
    pub repository: PathBuf,
    /// This program.
    pub executable: PathBuf,
    /// Whether bubblewrap works.
    pub isolation: Isolation,
    /// The caller's environment.
    pub environment: BTreeMap<String, String>,
}

/// Replays a statement in a clean clone.
pub fn replay(statement: &Statement, place: &Place, stop: &dyn Fn() -> bool) -> Result<Replay, Error> {
    let result = replay_in(statement, place, stop);
    // Best effort: the folder is the caller's, and a next replay makes a new one.
    let _ = fs::remove_dir_all(&place.scratch);
    result
}

fn replay_in(statement: &Statement, place: &Place, stop: &dyn Fn() -> bool) -> Result<Replay, Error> {
    let predicate = &statement.predicate;
    let failed = |error: String| Error::Failed(error);
    fs::create_dir_all(&place.scratch).map_err(|error| failed(error.to_string()))?;
    let clone = place.scratch.join("clone.git");
    let trusted = Trusted::open(&clone, "replay").map_err(|error| failed(error.to_string()))?;
    for (name, commit) in [("base", &predicate.base_commit), ("head", &predicate.head_commit)] {
        if commit.len() < 40 || !commit.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Error::Refused(format!(
                "the evidence names {commit:?} as {name} commit, which is no commit id"
            )));
        }
        trusted.import(&place.repository, commit, name).map_err(|_| {
            let repository = place.repository.display();
            Error::Refused(format!("{name} commit {commit} is not in {repository}; fetch it there first"))
        })?;
    }
    let mut differences = Vec::new();
    let tree = trusted.tree(&predicate.head_commit).map_err(|error| failed(error.to_string()))?;
    if tree != predicate.head_tree {
        differences
            .push(format!("the head commit has tree {tree}, the evidence says {}", predicate.head_tree));
    }
    differences.extend(rules(&trusted, statement).map_err(failed)?);
    let submodules =
        (predicate.submodules == Submodules::Recursive).then(|| place.scratch.join("submodules.git"));
    if let Some(submodules) = &submodules {
        let tree = (&trusted, predicate.base_commit.as_str());
        borrow_submodules(&Git::user(&place.repository), tree, submodules).map_err(Error::Refused)?;
    }
    let path = place.environment.get("PATH").cloned().unwrap_or_default();
    let setting = Setting {
        executable: place.executable.clone(),
        isolation: place.isolation.clone(),
        data: place.scratch.clone(),
        sandboxes: place.scratch.join("sandbox"),
        trusted: clone,
        workspace: place.repository.clone(),
        caller: place.environment.clone(),
        search_path: crate::environment::search_path(&path, &[&place.repository]),
        marker: format!("replay-{}", predicate.run),
        links: crate::far::Links::default(),
        folders: predicate.folders.clone(),
        submodules,
    };
    let gates: Vec<Gate> = predicate.gates.iter().map(gate).collect();
    let logs = place.scratch.join("logs");
    let run = |commit: &str, label: &str| -> Result<Vec<GateOutcome>, Error> {
        run_gates(&setting, commit, &gates, (&logs, label), stop)
            .map_err(failed)?
            .ok_or_else(|| Error::Failed("stopped".into()))
    };
    let before = run(&predicate.base_commit, "before")?;
    let after = run(&predicate.head_commit, "after")?;
    let mut replayed = Vec::new();
    for (recorded, (before, after)) in predicate.gates.iter().zip(before.into_iter().zip(after)) {
        if sha256(recorded.command.as_bytes()) != recorded.command_sha256 {
            differences
                .push(format!("gate {}: the command does not have the digest beside it", recorded.name));
        }
        compare(recorded, &before, &after, &mut differences);
        let before = recorded.before.as_ref().map(|_| before);
        replayed.push(ReplayedGate { name: recorded.name.clone(), before, after });
    }
    Ok(Replay {
        run: predicate.run.clone(),
        commit: predicate.head_commit.clone(),
        gates: replayed,
        differences,
    })
}

/// The rules of the grant that need no gate, on the commits themselves.
fn rules(trusted: &Trusted, statement: &Statement) -> Result<Vec<String>, String> {
    let predicate = &statement.predicate;
    let mut spec = LoopRunSpec {
        gates: predicate.gates.iter().map(gate).collect(),
        protect: predicate.protect.clone(),
        ..LoopRunSpec::default()
    };
    spec.repository.checkout.submodules = predicate.submodules;
    let facts = WorktreeFacts {
        base_commit: predicate.base_commit.clone(),
        spec_path: predicate.spec_path.clone(),
        plan_path: predicate.plan_path.clone(),
        ..WorktreeFacts::default()
    };
    let base = Base::load(trusted, &facts, &spec, "")?;
    let head = base.judge(trusted, &predicate.head_commit).map_err(|error| error.to_string())?;
    let mut differences = Vec::new();
    if !head.descends {
        differences.push("the base commit is not in the history of the head commit".to_owned());
    }
    let tasks = [head.plan.done, head.plan.total];
    if tasks != predicate.tasks {
        let [done, total] = predicate.tasks;
        differences.push(format!(
            "plan: {} of {} tasks done now, {done} of {total} in the evidence",
            tasks[0], tasks[1]
        ));
    }
    differences.extend(
        head.plan.missing.iter().map(|task| format!("plan: a task of the base plan is gone: {task}")),
    );
    differences
        .extend(head.violations.iter().map(|found| format!("{} was changed ({})", found.path, found.rule)));
    let digest = base.protected_digest(trusted, &predicate.head_commit).map_err(|error| error.to_string())?;
    if digest != predicate.protected_sha256 {
        differences.push(format!(
            "protected files: digest {digest} now, {} in the evidence",
            predicate.protected_sha256
        ));
    }
    Ok(differences)
}

/// What an evidence file says otherwise than the run's journal, field by field; `journal_head` is the digest of the
/// record that completed the run.
pub fn against_journal(statement: &Statement, state: &State, journal_head: &str) -> Vec<String> {
    let given = &statement.predicate;
    let Some(mut expected) =
        crate::engine::statement(state, &given.run, &given.protected_sha256, journal_head)
    else {
        return vec!["the journal has no grant that evidence could be about".into()];
    };
    if given.program.is_empty() {
        // Written before there was this field.
        expected.predicate.program.clear();
    }
    let mut differences = Vec::new();
    let value = |statement: &Statement| serde_json::to_value(statement).unwrap_or_default();
    walk("", &value(statement), &value(&expected), &mut differences);
    if state.created.as_ref().is_some_and(|created| created.run_id != given.run) {
        differences.push(format!("predicate.run: the evidence is about another run, {}", given.run));
    }
    differences
}

fn walk(path: &str, given: &Value, expected: &Value, differences: &mut Vec<String>) {
    match (given, expected) {
        (Value::Object(given), Value::Object(expected)) => {
            let names: BTreeSet<&String> = given.keys().chain(expected.keys()).collect();
            for name in names {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                let side =
                    |fields: &serde_json::Map<String, Value>| fields.get(name).cloned().unwrap_or_default();
                walk(&path, &side(given), &side(expected), differences);
            }
        }
        (Value::Array(given), Value::Array(expected)) if given.len() == expected.len() => {
            for (at, (given, expected)) in given.iter().zip(expected).enumerate() {
                walk(&format!("{path}[{at}]"), given, expected, differences);
            }
        }
        _ if given == expected => {}
        _ => differences.push(format!("{path}: {given} in the evidence, {expected} by the run's journal")),
    }
}

fn gate(recorded: &GateEvidence) -> Gate {
    Gate {
        name: recorded.name.clone(),
        run: recorded.command.clone(),
        timeout_seconds: recorded.timeout_seconds,
        when: GateWhen::Always,
        require: Require::Pass,
        junit: recorded.junit.clone(),
    }
}

/// Exit codes and test counts have to be the same; times and the exact output need not be.
fn compare(
    recorded: &GateEvidence,
    before: &GateOutcome,
    after: &GateOutcome,
    differences: &mut Vec<String>,
) {
    let pairs =
        recorded.before.iter().map(|old| ("base", old, before)).chain([("head", &recorded.after, after)]);
    for (commit, old, new) in pairs {
        if (old.exit_code, old.timed_out) != (new.exit_code, new.timed_out) {
            differences.push(format!(
                "gate {} on the {commit} commit: exit code {} now, {} in the evidence",
                recorded.name, new.exit_code, old.exit_code
            ));
        }
        if old.counts != new.counts {
            let show = |counts: Option<[u64; 3]>| {
                counts.map_or_else(
                    || "no test counts".into(),
                    |[passed, failed, skipped]| {
                        format!("{passed} passed, {failed} failed, {skipped} skipped")
                    },
                )
            };
            differences.push(format!(
                "gate {} on the {commit} commit: {} now, {} in the evidence",
                recorded.name,
                show(new.counts),
                show(old.counts)
            ));
        }
    }
}

/// Reads an evidence file.
pub fn read(path: &Path) -> Result<Statement, Error> {
    let shown = path.display();
    let text = fs::read(path).map_err(|error| Error::Refused(format!("{shown} cannot be read: {error}")))?;
    let statement: Statement = serde_json::from_slice(&text)
        .map_err(|error| Error::Refused(format!("{shown} is no evidence of a run: {error}")))?;
    if statement.predicate_type != loop_api::evidence::PREDICATE_TYPE {
        return Err(Error::Refused(format!(
            "{shown} holds a statement of another kind: {}",
            statement.predicate_type
        )));
    }
    Ok(statement)
}
