//! What is written when a run has ended: evidence, and the rest of the record.
//!
//! Everything here is derived from the journal, so it can be written again after a kill; and it is best effort: what
//! fails is said and never changes the run (RUN-68).

use loop_api::evidence::{GateEvidence, PREDICATE_TYPE, Predicate, STATEMENT_TYPE, Statement, Subject};
use loop_api::journal::{GateOutcome, Verdict, sha256};
use loop_api::phase::RunPhase;
use loop_api::run::Gate;

use super::{Engine, Error};
use crate::machine::State;
use crate::store::{read_journal, replace_file};
use crate::{far, record};

impl Engine<'_> {
    /// Writes all that tells of the end: right after the terminal event, or once more where who drove the run may not have
    /// come to that.
    pub fn record_end(&mut self) {
        if self.state().phase == RunPhase::Completed
            && let Err(error) = self.write_evidence()
        {
            let name = &self.created.name;
            let note = format!(
                "evidence.json could not be written ({error}); loopctl resume {name} writes it again"
            );
            self.observer.note(&note);
        }
        for note in record::write(&self.run, Some(&self.trusted), false) {
            self.observer.note(&note);
        }
    }

    /// Writes again what postmortem and cleanup have changed, and tidies up.
    pub(super) fn finish(&mut self) {
        self.record_again();
        // Sandboxes hold nothing that the record needs; a failed run keeps them for a look. Last, since as long as
        // they are there somebody may take the run up again to write the rest.
        if self.state().phase == RunPhase::Completed
            && let Err(error) = far::remove(&self.setting.sandboxes)
        {
            self.observer.note(&format!("the run's sandboxes could not be removed: {error}"));
        }
    }

    /// Writes again what follows from the journal alone: after a postmortem, for one.
    pub(super) fn record_again(&mut self) {
        for note in record::write(&self.run, None, true) {
            self.observer.note(&note);
        }
    }

    fn write_evidence(&mut self) -> Result<(), String> {
        self.load_base().map_err(|_| "spec and plan of the base commit cannot be read".to_owned())?;
        let protected = self.protected_digest().map_err(|error| error.to_string())?;
        let (decoded, state) = read_journal(&self.run.journal()).map_err(|error| error.to_string())?;
        let head = record::completed_digest(&decoded).unwrap_or_default();
        let statement =
            statement(&state, &self.created.run_id, &protected, &head).ok_or("nothing was granted")?;
        let mut bytes = serde_json::to_vec_pretty(&statement).map_err(|error| error.to_string())?;
        bytes.push(b'\n');
        replace_file(&self.run.join("evidence.json"), &bytes).map_err(|error| error.to_string())
    }

    /// SHA-256 over path and blob of every protected file of the granted commit.
    fn protected_digest(&self) -> Result<String, Error> {
        let (Some(base), Some(granted)) = (&self.base, &self.state().granted) else {
            return Ok(String::new());
        };
        Ok(base.protected_digest(&self.trusted, &granted.commit)?)
    }
}

/// The evidence of a granted run; `None` where nothing was granted. `protected` is the digest of its protected files,
/// `journal_head` that of the record which completed it.
pub fn statement(state: &State, run: &str, protected: &str, journal_head: &str) -> Option<Statement> {
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
            program: state.program.clone(),
            isolation: state.isolation.clone(),
            level: granted.level.clone(),
            base_commit: facts.base_commit.clone(),
            head_commit: granted.commit.clone(),
            head_tree: granted.tree.clone(),
            merge_commit: state.merged.as_ref().map(|merged| merged.commit.clone()).unwrap_or_default(),
            spec_path: facts.spec_path.clone(),
            plan_path: facts.plan_path.clone(),
            protect: created.spec.protect.clone(),
            folders: crate::far::folders(&created.spec, &created.context_files),
            submodules: created.spec.repository.checkout.submodules,
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
            usage: Some(state.usage.clone()).filter(|usage| !usage.is_empty()),
        },
    })
}
