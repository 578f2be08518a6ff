//! What is written when a run has ended: evidence, and a copy of the record in the workspace.
//!
//! Everything here is derived from the journal, so it can be written again after a kill.

use std::fs;
use std::path::Path;

use loop_api::evidence::{GateEvidence, PREDICATE_TYPE, Predicate, STATEMENT_TYPE, Statement, Subject};
use loop_api::journal::{GateOutcome, Verdict, sha256};
use loop_api::phase::RunPhase;
use loop_api::run::Gate;

use super::{Engine, Error};
use crate::far;
use crate::machine::State;
use crate::store::replace_file;

/// Largest file that is copied into the workspace.
const COPIED: u64 = 16 << 20;

impl Engine<'_> {
    /// Writes what a finished run leaves behind.
    pub(super) fn finish(&mut self) -> Result<(), Error> {
        if self.state().phase == RunPhase::Completed && self.load_base().is_ok() {
            let protected = self.protected_digest()?;
            if let Some(statement) =
                statement(self.state(), &self.created.run_id, &protected, self.journal.head())
            {
                let mut bytes = serde_json::to_vec_pretty(&statement).unwrap_or_default();
                bytes.push(b'\n');
                let path = self.run.join("evidence.json");
                replace_file(&path, &bytes).map_err(|error| Error::Io { path, error })?;
            }
        }
        if let Err(error) = self.copy_to_workspace() {
            self.observer.note(&format!("the record could not be copied into the workspace: {error}"));
        }
        // Sandboxes hold nothing that the record needs; a failed run keeps them for a look. Last, since as long as
        // they are there somebody may take the run up again to write the rest.
        if self.state().phase == RunPhase::Completed
            && let Err(error) = far::remove(&self.setting.sandboxes)
        {
            self.observer.note(&format!("the run's sandboxes could not be removed: {error}"));
        }
        Ok(())
    }

    /// SHA-256 over path and blob of every protected file of the granted commit.
    fn protected_digest(&self) -> Result<String, Error> {
        let (Some(base), Some(granted)) = (&self.base, &self.state().granted) else {
            return Ok(String::new());
        };
        Ok(base.protected_digest(&self.trusted, &granted.commit)?)
    }

    /// A copy of the record under `logs/loop/` of the workspace, in a folder that ignores itself (ART-1, BUG-19).
    fn copy_to_workspace(&self) -> std::io::Result<()> {
        let logs = self.root.join("logs").join("loop");
        fs::create_dir_all(&logs)?;
        let ignore = logs.join(".gitignore");
        if !ignore.exists() {
            fs::write(&ignore, "*\n")?;
        }
        copy_files(self.run.path(), &logs.join(format!("run-{}", self.created.run_id)))
    }
}

fn copy_files(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        let name = entry.file_name();
        if kind.is_dir() && name == "verify" {
            copy_files(&entry.path(), &to.join(name))?;
        } else if kind.is_file() && name != "lock" && entry.metadata()?.len() <= COPIED {
            fs::copy(entry.path(), to.join(name))?;
        }
    }
    Ok(())
}

/// The evidence of a granted run.
pub(crate) fn statement(state: &State, run: &str, protected: &str, journal_head: &str) -> Option<Statement> {
    let created = state.created.as_ref()?;
    let facts = state.worktree.as_ref()?;
    let granted = state.granted.as_ref()?;
    let work = state.current.implemented.as_ref()?;
    let find =
        |outcomes: &[GateOutcome], gate: &Gate| outcomes.iter().find(|run| run.name == gate.name).cloned();
    let after = state.granted_gates.as_ref().map(|run| run.gates.clone()).unwrap_or_default();
    let before = state.baseline.as_ref().map(|run| run.gates.clone()).unwrap_or_default();
    let gates = created
        .spec
        .gates
        .iter()
        .filter_map(|gate| {
            Some(GateEvidence {
                name: gate.name.clone(),
                command: gate.run.clone(),
                command_sha256: sha256(gate.run.as_bytes()),
                timeout_seconds: gate.timeout_seconds,
                junit: gate.junit.clone(),
                before: find(&before, gate),
                after: find(&after, gate)?,
            })
        })
        .collect();
    let review = state.current.reviewed.as_ref().filter(|review| review.tree == granted.tree);
    let digest = [("gitCommit", &granted.commit), ("gitTree", &granted.tree)];
    Some(Statement {
        statement_type: STATEMENT_TYPE.into(),
        subject: vec![Subject {
            name: facts.run_branch.clone(),
            digest: digest.map(|(name, value)| (name.to_owned(), value.clone())).into(),
        }],
        predicate_type: PREDICATE_TYPE.into(),
        predicate: Predicate {
            run: run.to_owned(),
            engine: format!("loopctl {}", created.version),
            adapter: created.spec.agent.adapter.clone(),
            isolation: state.isolation.clone(),
            level: granted.level.clone(),
            base_commit: facts.base_commit.clone(),
            head_commit: granted.commit.clone(),
            head_tree: granted.tree.clone(),
            merge_commit: state.merged.as_ref().map(|merged| merged.commit.clone()).unwrap_or_default(),
            spec_path: facts.spec_path.clone(),
            plan_path: facts.plan_path.clone(),
            protect: created.spec.protect.clone(),
            gates,
            tasks: [work.plan.done, work.plan.total],
            review: match review.map(|review| review.verdict) {
                Some(Verdict::Approved) => "approved".into(),
                Some(Verdict::ChangesRequested) => "changes_requested".into(),
                None => String::new(),
            },
            protected_sha256: protected.to_owned(),
            journal_head: journal_head.to_owned(),
            iterations: state.iteration,
            usage: None,
        },
    })
}
