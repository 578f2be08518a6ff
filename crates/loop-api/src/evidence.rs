//! Evidence: an in-toto statement over base and head commit, which anyone can replay.

use serde::{Deserialize, Serialize};

use crate::journal::GateOutcome;
use crate::run::{Protect, Submodules};
use crate::usage::Usage;

/// `_type` of an in-toto statement, version 1.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
/// Our predicate.
pub const PREDICATE_TYPE: &str = "https://agentloop.dev/evidence/v1alpha1";

/// The file `evidence.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Statement {
    /// Always [`STATEMENT_TYPE`].
    #[serde(rename = "_type")]
    pub statement_type: String,
    /// What it is about: the head commit.
    pub subject: Vec<Subject>,
    /// Always [`PREDICATE_TYPE`].
    pub predicate_type: String,
    /// What was found.
    pub predicate: Predicate,
}

/// A commit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subject {
    /// Branch name.
    pub name: String,
    /// `gitCommit` and `gitTree`.
    pub digest: std::collections::BTreeMap<String, String>,
}

/// What was found about the head commit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Predicate {
    /// Run id.
    pub run: String,
    /// `loopctl VERSION`.
    pub engine: String,
    /// Adapter that implemented.
    pub adapter: String,
    /// Name and version of its CLI, by its own word; absent when it says none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub program: String,
    /// `bubblewrap VERSION`, `containers` or `none: REASON`.
    pub isolation: String,
    /// `FailToPass`, `NoRegression` or `Unverified`.
    pub level: String,
    /// Commit from which plan and protected paths are judged.
    pub base_commit: String,
    /// Commit that was granted.
    pub head_commit: String,
    /// Its tree.
    pub head_tree: String,
    /// Commit on the target branch; empty without a merge.
    pub merge_commit: String,
    /// Spec file in the base commit.
    pub spec_path: String,
    /// Plan file in the base commit; empty without one.
    pub plan_path: String,
    /// Paths that the user protected or allowed, beside the built-in rules.
    pub protect: Protect,
    /// Folders that the gates had before them; none = all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub folders: Vec<String>,
    /// What was in the folders of submodules, whose commits are in the trees.
    #[serde(default, skip_serializing_if = "crate::run::is_default")]
    pub submodules: Submodules,
    /// Gates of the grant with their "before".
    pub gates: Vec<GateEvidence>,
    /// Tasks done and in all.
    pub tasks: [u32; 2],
    /// The reviewer's verdict on this very tree; empty without a reviewer.
    pub review: String,
    /// SHA-256 over mode, blob and path of every protected file of the head commit.
    pub protected_sha256: String,
    /// Digest of the journal record that completed the run.
    pub journal_head: String,
    /// Iterations that the run took.
    pub iterations: u32,
    /// Tokens and cost by the agents' own word; null for an adapter that reports none.
    #[serde(default)]
    pub usage: Option<Usage>,
}

/// A gate before and after.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GateEvidence {
    /// Its name.
    pub name: String,
    /// Its command.
    pub command: String,
    /// SHA-256 of the command.
    pub command_sha256: String,
    /// Seconds it may take.
    pub timeout_seconds: u32,
    /// Glob of its `JUnit` reports; absent when it writes none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub junit: Option<String>,
    /// On the base commit; absent when the base run was not possible.
    pub before: Option<GateOutcome>,
    /// On the granted commit.
    pub after: GateOutcome,
}
