//! `LoopRun.spec`: what the user asks for, with the defaults of design section 5 and 7.

use serde::{Deserialize, Serialize};

#[cfg(feature = "crd")]
use super::LoopRunStatus;
use super::{ArtifactStore, Checkpoint, ClaimReference, RunState, S3Bucket, is_default};

/// What a run is asked to do and by which rules. Unknown fields are refused, so a typo is never silent.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(kube::CustomResource, schemars::JsonSchema))]
#[cfg_attr(
    feature = "crd",
    kube(
        group = "agentloop.dev",
        version = "v1alpha1",
        kind = "LoopRun",
        plural = "loopruns",
        shortname = "lr",
        category = "agentloop",
        namespaced,
        status = "LoopRunStatus",
        selectable = ".status.phase",
        selectable = ".status.workerName",
        selectable = ".status.workspace",
        doc = "A run of a coding agent in a loop, until its work is verified done.",
        annotation("helm.sh/resource-policy", "keep"),
    )
)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct LoopRunSpec {
    /// The repository; for a local run the workspace's top level.
    pub repository: Repository,
    /// Spec and plan, or a prompt.
    pub task: Task,
    /// Who implements.
    pub agent: Agent,
    /// Who reviews.
    pub review: Review,
    /// Named commands that judge the committed tree.
    pub gates: Vec<Gate>,
    /// Paths that the agent may not change.
    pub protect: Protect,
    /// The loop's own limits.
    #[serde(rename = "loop")]
    pub settings: LoopSettings,
    /// Time limits.
    pub limits: Limits,
    /// Branch and worktree naming.
    pub worktree: Worktree,
    /// What happens with a verified tree.
    pub delivery: Delivery,
    /// The analysis after the end.
    pub postmortem: Postmortem,
    /// Where the record of the run is kept.
    pub artifacts: Artifacts,
    /// On a cluster: a core/v1 `PodTemplate` with what a team adds to the pod. Its container `agent` stands for the agent and
    /// the gates, `gate` for the gates alone; every other container is a service beside them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_template_ref: Option<TemplateReference>,
    /// On a cluster: the `LoopWorker` that is to take the run; absent = any that takes runs of its namespace and offers what
    /// it requires, and if none does, the operator itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker_ref: Option<WorkerReference>,
    /// On a cluster: while it waits, a run with a higher number goes before those with a lower one. It can be changed until
    /// the run has ended, and counts whenever the run waits for a slot.
    #[serde(skip_serializing_if = "is_default")]
    pub priority: i32,
    /// On a cluster: what a `LoopWorker` must offer in spec.capabilities to take the run, such as gpu.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<String>,
    /// On a cluster: where the run goes on from when it loses its pod.
    #[serde(skip_serializing_if = "is_default")]
    pub checkpoint: Checkpoint,
    /// On a cluster: whether the run goes on, rests or ends.
    #[serde(skip_serializing_if = "is_default")]
    pub state: RunState,
    /// On a cluster: raised by one, it has a run that ended without completion go on from its last checkpoint, with
    /// fresh limits.
    #[serde(skip_serializing_if = "is_default")]
    pub retry: u32,
    /// On a cluster: seconds until the object of an ended run is deleted; absent = the operator's. What Flux or Argo CD
    /// look after is never deleted, for they would make it anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_seconds_after_finished: Option<u32>,
}

/// Which repository, and from where in it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Repository {
    /// Where to clone from: https, http, ssh, git or file URL, or `user@host:path`. For a local run a path on this
    /// machine.
    pub url: String,
    /// Branch to start from; empty = the branch checked out, on a cluster the remote's default branch.
    #[serde(rename = "ref", skip_serializing_if = "String::is_empty")]
    pub reference: String,
    /// Secret with the credentials, read anew for each command of git. For https: `username` and `password`, a token as
    /// the password or as `bearerToken`, and `ca.crt` for a server of your own authority. For ssh: `identity` (or
    /// `ssh-privatekey`) and `known_hosts`. Only the container that clones and pushes gets it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretReference>,
    /// On a cluster: a claim in the namespace of the run that holds the repository. The URL is then
    /// `file:///repository/NAME`, where NAME on the claim is a bare repository, or a git bundle that ends in `.bundle`.
    /// Of a bundle `app.bundle`, the bare repository `app.git` beside it is made when it is not there, and is what is
    /// cloned and delivered to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume: Option<ClaimReference>,
    /// How much of it is cloned and checked out.
    #[serde(skip_serializing_if = "is_default")]
    pub checkout: Checkout,
}

/// How much of a repository is cloned and checked out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Checkout {
    /// On a cluster: commits of each branch, the newest first; 0 = all.
    pub depth: u32,
    /// Folders that agent, reviewer and gates have before them, such as `services/login`; empty = all. With them come the
    /// files at the top and of every folder on the way, and the folders of spec, plan and context files. What is not
    /// before them stays in the commits as it is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sparse_paths: Vec<String>,
    /// What agent, reviewer and gates find in the folders of submodules.
    #[serde(skip_serializing_if = "is_default")]
    pub submodules: Submodules,
}

/// What is in the folders of submodules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum Submodules {
    /// Nothing.
    #[default]
    None,
    /// Their files, and those of their own submodules, at the commits that the base commit names. Agents cannot change them.
    Recursive,
}

/// A Secret in the namespace of the run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SecretReference {
    /// Its name.
    pub name: String,
}

/// A `PodTemplate` in the namespace of the run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TemplateReference {
    /// Its name.
    pub name: String,
}

/// A `LoopWorker` of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct WorkerReference {
    /// Its name.
    pub name: String,
}

/// What is to be done. Either a spec (and a plan), or a prompt.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Task {
    /// Spec file, relative to the repository's top level.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spec_path: Option<String>,
    /// Plan file, relative to the repository's top level.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan_path: Option<String>,
    /// A task in plain words; spec and plan are made from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
}

/// Who implements.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Agent {
    /// Name of the adapter, `claude` or `script`; empty = `script` where the base commit has `.loop/agent.sh`, else
    /// `claude`.
    pub adapter: String,
    /// Model, as the CLI names it; absent = the adapter's default (CFG-11).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// For `script`: the executable, absolute, instead of `.loop/agent.sh` of the base commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    /// On a cluster: the image in which agent and gates work, with the project's toolchain; absent = the operator's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// On a cluster: Secret whose keys become environment variables of the agent's processes, and of no others: the
    /// credential of its CLI, such as `ANTHROPIC_API_KEY` or `CLAUDE_CODE_OAUTH_TOKEN`, and where its service is. A
    /// reviewer gets it too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretReference>,
}

/// Who reviews.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Review {
    /// Whether each iteration is reviewed (CFG-15).
    pub enabled: bool,
    /// Adapter of the reviewer; absent = the implementer's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adapter: Option<String>,
    /// Model of the reviewer; absent = the implementer's (CFG-12).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

impl Default for Review {
    fn default() -> Self {
        Self { enabled: true, adapter: None, model: None }
    }
}

/// A command that judges the committed tree.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Gate {
    /// Short name, unique in the run.
    pub name: String,
    /// Shell command, run by `sh -c` at the top of a checkout; exit 0 passes.
    pub run: String,
    /// Seconds it may take; 0 = the maximum of a day.
    #[serde(default = "gate_timeout")]
    pub timeout_seconds: u32,
    /// When it runs.
    #[serde(default)]
    pub when: GateWhen,
    /// What it must prove.
    #[serde(default)]
    pub require: Require,
    /// Glob of the `JUnit` reports that it writes, relative to the top of the checkout; `**` crosses folders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub junit: Option<String>,
}

/// Half an hour (design section 5).
pub(crate) const GATE_TIMEOUT_SECONDS: u32 = 1800;

fn gate_timeout() -> u32 {
    GATE_TIMEOUT_SECONDS
}

/// When a gate runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum GateWhen {
    /// On the base commit, in each iteration and for the grant.
    #[default]
    Always,
    /// On the base commit and for the grant only.
    Final,
}

/// What a gate must prove for completion to be granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum Require {
    /// It passes at the end.
    #[default]
    Pass,
    /// It failed on the base commit and passes at the end.
    FailToPass,
}

/// Paths that the agent may not change, beside the built-in ones.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Protect {
    /// Globs, relative to the repository's top level.
    pub paths: Vec<String>,
    /// Globs that are allowed although a rule protects them.
    pub allow: Vec<String>,
}

/// Where the completion token must stand (DOM-34).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum CompletionMode {
    /// The whole final message is the token.
    Exact,
    /// The last line that is not blank is the token.
    #[default]
    Trailing,
}

/// The loop's own limits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct LoopSettings {
    /// Implementations at most (CFG-13).
    pub iterations: u32,
    /// Where the completion token must stand.
    pub completion_mode: CompletionMode,
    /// Extra attempts per step after an agent failure (RUN-24).
    pub retries: u32,
    /// Seconds between them; the base of the back-off for transient errors (RUN-25).
    pub retry_backoff_seconds: u32,
    /// Prompt rewrites by the watchdog (RUN-56).
    pub max_rewrites: u32,
    /// Failed verifications in a row that end the run; 0 = off (RUN-48).
    pub max_consecutive_verification_failures: u32,
    /// Failed reviews in a row that end the run; 0 = off (RUN-48).
    pub max_consecutive_review_failures: u32,
    /// Lets a run start that has neither gate nor reviewer.
    pub allow_unverified: bool,
}

impl Default for LoopSettings {
    fn default() -> Self {
        Self {
            iterations: 50,
            completion_mode: CompletionMode::Trailing,
            retries: 0,
            retry_backoff_seconds: 5,
            max_rewrites: 2,
            max_consecutive_verification_failures: 3,
            max_consecutive_review_failures: 0,
            allow_unverified: false,
        }
    }
}

/// Time limits, in seconds; 0 = the maximum of a day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Limits {
    /// For the whole run, from its start; absent = none but the steps' own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_deadline_seconds: Option<u32>,
    /// For one agent step.
    pub agent_step_seconds: u32,
    /// For silence of an agent.
    pub agent_idle_seconds: u32,
    /// Until the first output of an agent that announces itself, as `claude` does.
    pub agent_start_seconds: u32,
    /// For an agent's process to end after it gave its result.
    pub agent_exit_seconds: u32,
    /// US dollars that agents may use, as a decimal text such as `"25"`; checked between steps. Absent = no limit.
    #[serde(rename = "costUSD", skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<String>,
    /// Tokens that agents may use, of all kinds together; checked between steps. Absent = no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            active_deadline_seconds: None,
            agent_step_seconds: 3600,
            agent_idle_seconds: 900,
            agent_start_seconds: 120,
            agent_exit_seconds: 60,
            cost_usd: None,
            tokens: None,
        }
    }
}

/// Who makes worktrees (DOM-40, WT-1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum Provider {
    /// Worktrunk when its `wt` can be run, else git.
    #[default]
    Auto,
    /// Worktrunk; without it the run fails.
    Worktrunk,
    /// `git worktree`.
    Git,
}

/// What becomes of the project hooks that Worktrunk would run for a new worktree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum WorktreeHooks {
    /// None runs.
    #[default]
    Skip,
    /// Those of the base commit run on the agent's side before its first step, once the user has approved them (WT-24); on
    /// a cluster this is the approval.
    Approved,
}

/// Branch and worktree.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Worktree {
    /// Who makes it.
    pub provider: Provider,
    /// Worktrunk's command: a name in PATH, or a path outside the repository (CFG-35).
    pub worktrunk_bin: String,
    /// Configuration file of the user for Worktrunk; absent = the one it finds itself (CFG-36). A cluster has its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worktrunk_config: Option<String>,
    /// Whether Worktrunk copies ignored files of the primary checkout into the new worktree (CFG-37).
    pub copy_ignored: bool,
    /// What becomes of Worktrunk's project hooks.
    pub hooks: WorktreeHooks,
    /// Put before the slug of the run's name (WT-6).
    pub run_branch_prefix: String,
    /// Where git puts it (WT-9); Worktrunk is asked for its own answer. On a cluster it is in the pod's volume.
    pub path_template: String,
    /// Whether the worktree of a merged run is removed (WT-20).
    pub cleanup: bool,
}

impl Default for Worktree {
    fn default() -> Self {
        Self {
            provider: Provider::Auto,
            worktrunk_bin: "wt".into(),
            worktrunk_config: None,
            copy_ignored: false,
            hooks: WorktreeHooks::Skip,
            run_branch_prefix: "run/".into(),
            path_template: "../{{ repo }}.{{ run_branch | sanitize }}".into(),
            cleanup: true,
        }
    }
}

/// How the verified tree gets into the target branch (DOM-38).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum MergeStrategy {
    /// One commit.
    #[default]
    Squash,
    /// A merge commit.
    Merge,
}

/// Whether the target branch is moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum DeliveryMode {
    /// The verified tree is merged into the target branch; nothing is pushed.
    #[default]
    Merge,
    /// The run branch is all there is.
    None,
}

/// What happens with a verified tree.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Delivery {
    /// Whether the target branch is moved.
    pub mode: DeliveryMode,
    /// The target; empty = `agent/<spec-slug>` (WT-8).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub target_branch: String,
    /// How.
    pub strategy: MergeStrategy,
}

/// The analysis of an ended run by an agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Postmortem {
    /// Whether it is made at every end (CFG-40).
    pub enabled: bool,
    /// Model; absent = the implementer's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

impl Default for Postmortem {
    fn default() -> Self {
        Self { enabled: true, model: None }
    }
}

/// Folder of the workspace that gets copies of records, a folder each, unless a run says otherwise (ART-1).
pub const LOG_DIR: &str = "logs/loop";

/// Where the files of a run's record are kept (ART-2, DOM-36); the journal is always in the data directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum ArtifactMode {
    /// In the data directory, with a copy under `logs/loop/` of the workspace.
    #[default]
    Mirror,
    /// Only under `logs/loop/` of the workspace, once the run has ended.
    Workspace,
    /// Only in the data directory.
    Global,
}

/// The record of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Artifacts {
    /// Where it is kept (CFG-23).
    pub mode: ArtifactMode,
    /// Whether `summary.json` is written (CFG-39).
    pub summary: bool,
    /// On a cluster: where the whole of it is kept beside the `ConfigMaps` with summary, evidence and reports, which every
    /// run has; absent = nowhere, `ConfigMap`.
    #[serde(skip_serializing_if = "is_default")]
    pub store: ArtifactStore,
    /// The claim for the store Volume.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume: Option<ClaimReference>,
    /// The bucket for the store S3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s3: Option<S3Bucket>,
}

impl Default for Artifacts {
    fn default() -> Self {
        Self {
            mode: ArtifactMode::Mirror,
            summary: true,
            store: ArtifactStore::ConfigMap,
            volume: None,
            s3: None,
        }
    }
}
