//! `LoopRun.status`: what has become of a run, derived from its journal.

use serde::{Deserialize, Serialize};

use super::{Defaults, is_default};
use crate::phase::RunPhase;
use crate::summary::Summary;

/// Seconds that an attempt's lease counts, where nobody says otherwise (design section 7).
pub const LEASE_SECONDS: u32 = 60;

/// Where a run stands. Every field is derived; nothing here decides anything.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct LoopRunStatus {
    /// Generation of the spec that this status is about; -1 on a cluster before the operator has seen the run, absent
    /// for a local run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The one word.
    pub phase: RunPhase,
    /// Kubernetes-style conditions.
    pub conditions: Vec<Condition>,
    /// On a cluster: how often the run was given a pod; 0 before it was admitted.
    #[serde(skip_serializing_if = "is_default")]
    pub attempt: u32,
    /// On a cluster: name of the attempt's pod.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub pod_name: String,
    /// On a cluster: uid of that pod, once it was made.
    #[serde(rename = "podUID", skip_serializing_if = "String::is_empty")]
    pub pod_uid: String,
    /// On a cluster: seconds without a word of the API server after which the attempt stops by itself, and after which
    /// another may begin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease_seconds: Option<u32>,
    /// On a cluster: until when an attempt that was lost may still be at work somewhere, RFC 3339; no other begins before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease_expires: Option<String>,
    /// On a cluster: the `LoopWorker` that took the run, whose slot it has or last had; absent where it was the operator itself.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub worker_name: String,
    /// On a cluster: what the worker gives where the run, or its pod template, does not say otherwise: where the pod of this
    /// attempt is placed, and, since the first attempt, the image of agent and gates and what happens with the work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub defaults: Option<Defaults>,
    /// On a cluster: the repository, as spec.repository.url names it however it is written, such as git.example/team/app;
    /// namespace and claim before it where it is on one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub workspace: String,
    /// On a cluster: attempts that lost their pods since the loop last got further; absent when none did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<LostAttempts>,
    /// On a cluster: the `spec.retry` that the current attempt answers.
    #[serde(skip_serializing_if = "is_default")]
    pub observed_retry: u32,
    /// On a cluster: why the work, or the record that another pod would go on from, cannot leave the pod now, and what to do;
    /// absent while it can. It is tried again by itself while there is a pod.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub publish_error: String,
    /// On a cluster: the last checkpoint on the remote or in the bucket; absent before the first one, and with other stores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<CheckpointStatus>,
    /// How far the loop is.
    pub progress: Progress,
    /// What the agents used; absent when none of them reports it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<UsageStatus>,
    /// What happened in it so far, as numbers.
    #[serde(skip_serializing_if = "is_default")]
    pub counts: Counts,
    /// Branch and worktree; absent until they are made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worktree: Option<WorktreeStatus>,
    /// How it ended; absent until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<RunResult>,
    /// The fields of `summary.json`; absent until the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<Summary>,
    /// What an agent thinks of the ended run; absent until it was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postmortem: Option<PostmortemStatus>,
    /// The last ten steps, oldest first.
    pub steps: Vec<StepSummary>,
    /// Folder with journal, logs and evidence; on a cluster in the pod, or where spec.artifacts has it kept, such as
    /// `s3://BUCKET/FOLDER` or `CLAIM:FOLDER`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub artifacts_path: String,
    /// RFC 3339; absent before the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<String>,
    /// RFC 3339; absent before the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<String>,
}

/// What the agents of a run used, its postmortem not included.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct UsageStatus {
    /// Tokens of all kinds.
    pub tokens: u64,
    /// US dollars as a decimal text.
    #[serde(rename = "costUSD")]
    pub cost_usd: String,
    /// `reported`: the agents' own word.
    pub source: String,
    /// Processes that ended before they said what they used; with any, the numbers are lower bounds.
    pub incomplete: u32,
    /// Tokens by model, as the CLIs name them: those of which most were used.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<ModelUsage>,
}

/// What was used of a model.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct ModelUsage {
    /// Its name.
    pub model: String,
    /// Tokens of all kinds.
    pub tokens: u64,
}

/// What happened in a run, over all of its attempts and retries (SCH-28).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct Counts {
    /// Verifications in which all gates passed; the baseline is none.
    pub verifications_passed: u32,
    /// Verifications in which one did not.
    pub verifications_failed: u32,
    /// Prompts that the watchdog had rewritten.
    pub rewrites: u32,
    /// Steps that were begun once more in the same iteration.
    pub step_retries: u32,
    /// Milliseconds that branch and worktree took; 0 before they are made.
    pub worktree_ms: u64,
}

/// An agent's opinion of an ended run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct PostmortemStatus {
    /// `ok`, `failed` or `skipped`.
    pub status: String,
    /// `pass`, `fail` or empty.
    pub verdict: String,
    /// `spec gap`, `implementation deviation`, `execution failure` or empty.
    pub root_cause: String,
    /// Why it failed or was skipped.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Reports, relative to `artifactsPath`.
    pub reports: Vec<String>,
}

/// One observation about a run, as Kubernetes' `meta/v1 Condition`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// For instance `Complete` or `Verified`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// `CamelCase` word.
    pub reason: String,
    /// A sentence.
    pub message: String,
    /// RFC 3339.
    pub last_transition_time: String,
    /// Generation of the spec that was looked at; absent for a local run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

/// How far the loop is.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct Progress {
    /// Implementations begun.
    pub iteration: u32,
    /// Step that is running, or was the last.
    pub step: String,
    /// Plan tasks done on the run branch.
    pub tasks_done: u32,
    /// Plan tasks in all.
    pub tasks_total: u32,
    /// RFC 3339.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub last_event_time: String,
}

/// Branch and worktree of a run (DOM-15).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct WorktreeStatus {
    /// `git` or `worktrunk`.
    pub provider: String,
    /// Absolute.
    pub path: String,
    /// Commit from which plan and protected paths are judged.
    pub base_commit: String,
    /// Branch of the run.
    pub run_branch: String,
    /// Last commit of the run branch that the engine has taken in.
    pub head_commit: String,
    /// Commit on the target branch; empty until merged.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub merge_commit: String,
    /// Target branch; empty when nothing is delivered.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub target_branch: String,
    /// `cleaned`, `skipped` or `failed` (DOM-9); empty until decided.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cleanup: String,
}

/// Attempts that lost their pods.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct LostAttempts {
    /// How many in a row, in this iteration.
    pub attempts: u32,
    /// Iteration that they were in.
    pub iteration: u32,
    /// How the last of them was lost.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// A checkpoint that another pod can go on from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct CheckpointStatus {
    /// Ref of the remote that it is on, or the object in the bucket that holds it, as `s3://BUCKET/NAME`.
    #[serde(rename = "ref")]
    pub reference: String,
    /// Commit that holds the journal; the run branch is one of its parents.
    pub commit: String,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct RunResult {
    /// Wire form of an exit reason.
    pub exit_reason: String,
    /// A sentence with what was seen and what to do.
    pub message: String,
    /// What stands behind a granted completion: `FailToPass`, `NoRegression` or `Unverified`; empty without a grant.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub evidence: String,
    /// On a cluster: the attempt that came to it, so that it is not taken for the result of a later one.
    #[serde(skip_serializing_if = "is_default")]
    pub attempt: u32,
}

/// One step in short.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct StepSummary {
    /// Step phase.
    pub phase: String,
    /// Iteration it belongs to; 0 outside the loop.
    pub iteration: u32,
    /// Attempt within the iteration, from 1.
    pub attempt: u32,
    /// `running`, `succeeded`, `failed` or `interrupted`.
    pub state: String,
    /// Milliseconds.
    pub duration_ms: u64,
    /// One line.
    pub message: String,
}
