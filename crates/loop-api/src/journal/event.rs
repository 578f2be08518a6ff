//! The events of a run's journal.

use serde::{Deserialize, Serialize};

use crate::completion::Token;
use crate::phase::{ExitReason, StepPhase, WatchdogAction, WatchdogSignal};
use crate::run::{Limits, LoopRunSpec, QueueSettings};
use crate::usage::Usage;

/// What happened. Wire names are those of requirements section 10 where they exist.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Event {
    /// Always the first record (EVT-2, DOM-11).
    RunCreated(Box<Created>),
    /// An engine took the run up, when it was its turn; also after an interruption (EVT-3, RUN-77).
    RunStarted {
        /// Host and process id.
        worker_id: String,
        /// `bubblewrap VERSION` or `none: REASON`.
        isolation: String,
    },
    /// One attempt of a run on a cluster works by this lease, renewed by each word of the API server (EVT-20).
    LeaseGranted {
        /// Host and process id.
        worker_id: String,
        /// Which attempt.
        attempt: u32,
        /// Seconds that it counts after each word.
        seconds: u32,
    },
    /// That lease ran out, and the agent was stopped (EVT-21).
    LeaseExpired {
        /// Host and process id.
        worker_id: String,
        /// Whether another attempt has it; else nothing was heard of the API server for too long.
        revoked: bool,
    },
    /// The user wants a paused run or one that has ended to go on; it may have to wait for its turn (EVT-22).
    RunResumed {
        /// Whether it had ended, and is tried again with fresh limits (BUG-22).
        again: bool,
    },
    /// Which worktree provider is used (EVT-9).
    WorktreeProviderSelected {
        /// `git` or `worktrunk`.
        provider: String,
        /// Why it is not Worktrunk although that was preferred; empty otherwise.
        #[serde(default)]
        reason: String,
    },
    /// The intent to make branch and worktree, so that a killed creation can be undone.
    WorktreeCreating(WorktreeFacts),
    /// Branch and worktree are there (EVT-10).
    WorktreeCreated(WorktreeFacts),
    /// A step begins (EVT-4).
    StepStarted {
        /// `UUIDv7`.
        step_id: String,
        /// Kind of step.
        phase: StepPhase,
        /// Iteration it belongs to; 0 outside the loop.
        iteration: u32,
        /// Attempt within the iteration, from 1.
        attempt: u32,
        /// For a verification: starts from an empty checkout and may grant.
        clean: bool,
    },
    /// The agent is tried again within its step (RUN-24, RUN-25).
    AgentRetry {
        /// The open step.
        step_id: String,
        /// What went wrong.
        reason: String,
        /// Pause before the next try in milliseconds.
        wait_ms: u64,
    },
    /// A process of an agent that reports what it does is about to start.
    AgentStarted {
        /// The open step.
        step_id: String,
        /// Session that it begins or continues, as the CLI names it.
        session: String,
        /// Whether it continues one.
        resumed: bool,
        /// Bytes of raw output that earlier processes of the step left in its `.jsonl`.
        raw_offset: u64,
    },
    /// That process ended, or was found dead; what it used is counted here and nowhere else.
    AgentFinished(Box<AgentRun>),
    /// A snapshot of the worktree was taken in.
    Checkpoint {
        /// The open step.
        step_id: String,
        /// Tip of the run branch.
        head: String,
        /// Commit whose tree is the worktree, tracked and untracked.
        snapshot: String,
    },
    /// The run goes on in another clone, from what of the last checkpoint could be brought there.
    CheckpointRestored {
        /// Tip of the run branch.
        head: String,
        /// Commit whose tree is the worktree; the tip itself where what was not committed is lost.
        snapshot: String,
    },
    /// The user has changed the limits of the run; they count from here on.
    LimitsChanged {
        /// All of them.
        limits: Box<Limits>,
    },
    /// A step ended (EVT-5).
    StepFinished {
        /// The open step.
        step_id: String,
        /// Process exit code; -1 without one (RUN-23); 0 for steps without a process.
        exit_code: i32,
        /// Milliseconds.
        duration_ms: u64,
        /// Log, relative to the run's folder; empty without one.
        output_path: String,
        /// Bytes printed into that log, also those that were dropped from it.
        #[serde(default)]
        output_bytes: u64,
        /// Lines printed into that log.
        #[serde(default)]
        output_lines: u64,
        /// What came of it.
        outcome: Outcome,
    },
    /// A step had no end when the run was taken up again.
    StepInterrupted {
        /// The step.
        step_id: String,
    },
    /// Completion was asked for and refused.
    CompletionRefused(Refusal),
    /// Completion was asked for and granted.
    CompletionGranted(Granted),
    /// The watchdog saw a signal (DOM-23, EVT-6).
    WatchdogDecision {
        /// What it saw.
        signal: WatchdogSignal,
        /// What it does.
        action: WatchdogAction,
        /// Rewrites used, this one included.
        rewrite_count: u32,
    },
    /// An iteration is over and the next may begin.
    IterationFinished {
        /// Its number, from 1.
        iteration: u32,
    },
    /// The run ended well (EVT-7).
    RunCompleted {
        /// `exact`, `trailing` or `plan` (RUN-34).
        mode: String,
        /// Whether evidence stands behind it.
        verified: bool,
    },
    /// The run ended otherwise (EVT-8).
    RunFailed {
        /// For programs.
        exit_reason: ExitReason,
        /// For instance `iteration_limit_reached:50` (RUN-69).
        reason: String,
        /// A sentence with what to do.
        message: String,
    },
    /// The user canceled the run (EVT-22).
    RunCanceled,
    /// The user paused the run; it goes on when it is resumed (EVT-22).
    RunPaused,
    /// The worktree is gone or was left, with the reason (EVT-11, WT-20).
    WorktreeRemoved {
        /// `cleaned`, `skipped` or `failed`.
        status: String,
        /// Why it was left; empty when cleaned.
        message: String,
    },
    /// The user gave an ended run up: its branch and worktree go, and it is never taken up again (DOM-52).
    RunReset,
    /// An ended run is being analysed (EVT-12).
    PostmortemStart {
        /// How the run ended, for instance `run_completed`, or `manual` (ART-37).
        reason: String,
    },
    /// The analysis is over; it never changes how the run ended (EVT-13, ART-28).
    PostmortemEnd(Box<Postmortem>),
}

/// A process of an agent, by its own report.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AgentRun {
    /// The open step.
    pub step_id: String,
    /// Session as the process named it at last; what a later process continues.
    pub session: String,
    /// Name and version of the CLI, for instance `claude 2.1.197`; empty when it said none.
    pub program: String,
    /// Model as it was announced; empty when it was not.
    pub model: String,
    /// `worked`, or the class of its error: `rate_limited`, `overloaded`, `auth`, `billing`, `context`, `max_turns`,
    /// `refused`, `network`, `session_lost`, `crash`, `timeout`, `idle`, `stopped`, `interrupted`.
    pub ending: String,
    /// Turns by its own count.
    pub turns: u32,
    /// Lines of its output that could not be read as events.
    pub unread_lines: u64,
    /// What it used.
    pub usage: Usage,
}

/// An analysis of an ended run by an agent: its opinion, not evidence.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Postmortem {
    /// `ok`, `failed`, or `skipped` when no agent could be asked.
    pub status: String,
    /// `pass` or `fail` by the report on spec compliance; empty when it has none that can be read.
    pub verdict: String,
    /// `spec gap`, `implementation deviation` or `execution failure` by the summary; empty likewise.
    pub root_cause: String,
    /// Why it failed or was skipped; empty when ok.
    pub message: String,
    /// Reports that were written, relative to the run's folder.
    pub reports: Vec<String>,
    /// Milliseconds.
    pub duration_ms: u64,
    /// What the analysing agent used; not part of the run's own usage.
    pub usage: Usage,
}

/// The first record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Created {
    /// Version of the journal format.
    pub schema: u32,
    /// Version of the program that made the run.
    pub version: String,
    /// `UUIDv7`.
    pub run_id: String,
    /// `metadata.name`.
    pub name: String,
    /// Slug of the spec or of the name that the user gave; names branch and worktree.
    pub slug: String,
    /// SHA-256 of the resolved spec as JSON.
    pub config_digest: String,
    /// Absolute top level of the repository (DOM-5).
    pub workspace_root: String,
    /// Branch the run starts from.
    pub base_branch: String,
    /// Its commit at creation.
    pub base_commit: String,
    /// Branch that a verified tree moves; empty for none.
    pub target_branch: String,
    /// Replaces the default implementation prompt, when the base commit has it (SP-26).
    pub prompt_file: String,
    /// Further files named in the prompt (CFG-17).
    pub context_files: Vec<String>,
    /// PATH of gates and helpers, without relative entries and entries under the repository.
    pub search_path: String,
    /// What the run asks of this machine's queue.
    #[serde(default)]
    pub queue: QueueSettings,
    /// Configuration files that were read, those that win first; empty when there was none. Absent in journals of
    /// versions that did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_source: Option<Vec<ConfigSource>>,
    /// Folder for the copies of the record, absolute or below `workspace_root` (CFG-9); empty = [`crate::run::LOG_DIR`].
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub log_dir: String,
    /// The resolved spec (DOM-11).
    pub spec: LoopRunSpec,
}

/// A configuration file that was read for a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigSource {
    /// As it was named, or relative to the repository's top.
    pub path: String,
    /// Where it was read.
    pub place: ConfigPlace,
}

/// Where a configuration file was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConfigPlace {
    /// In the commit that the run starts from.
    #[serde(rename = "base commit")]
    BaseCommit,
    /// In the working tree, as the base commit has none.
    #[serde(rename = "working tree")]
    WorkingTree,
    /// Where `--config` says.
    #[serde(rename = "--config")]
    Flag,
    /// Where the variable `LOOP_CONFIG` says.
    #[serde(rename = "LOOP_CONFIG")]
    Environment,
}

impl ConfigPlace {
    /// As it is on the wire and shown to people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BaseCommit => "base commit",
            Self::WorkingTree => "working tree",
            Self::Flag => "--config",
            Self::Environment => "LOOP_CONFIG",
        }
    }
}

impl std::fmt::Display for ConfigSource {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} ({})", self.path, self.place.as_str())
    }
}

/// Branch and worktree.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct WorktreeFacts {
    /// `git` or `worktrunk`.
    pub provider: String,
    /// Absolute.
    pub worktree_path: String,
    /// Branch of the run.
    pub run_branch: String,
    /// The worktree's own git folder; empty before it is made.
    pub git_folder: String,
    /// The repository's common git folder; empty before the worktree is made.
    pub common_folder: String,
    /// Commit from which plan and protected paths are judged; for a prompt the one that adds spec and plan.
    pub base_commit: String,
    /// Its tree.
    pub base_tree: String,
    /// Spec file in the base commit.
    pub spec_path: String,
    /// Plan file in the base commit; empty without one.
    pub plan_path: String,
    /// Tasks of the base plan that are done, and all of them.
    pub tasks_done: u32,
    /// Tasks of the base plan.
    pub tasks_total: u32,
}

/// What came of a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum Outcome {
    /// An implementation.
    Implemented(Box<Implemented>),
    /// A review.
    Reviewed(Reviewed),
    /// Gates on the base commit or on the committed tree.
    Verified(Verified),
    /// The target branch has it.
    Merged(Merged),
    /// Something without facts of its own.
    Done,
    /// It could not be done.
    Failed {
        /// For instance `runner_execution_failed:timeout` (RUN-27).
        reason: String,
        /// A sentence with what to do.
        message: String,
    },
}

/// The committed plan against the base plan.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PlanFacts {
    /// Tasks done.
    pub done: u32,
    /// Tasks in all.
    pub total: u32,
    /// Base tasks that are gone (at most 10 texts).
    pub missing: Vec<String>,
    /// Tasks that are not done (at most 10 texts).
    pub not_done: Vec<String>,
    /// Tasks marked `[~]` (at most 10 texts).
    pub blocked: Vec<String>,
    /// Whether blocked tasks are all that is left.
    pub only_blocked: bool,
    /// The plan's own words about blockers.
    pub blockers: String,
}

/// A protected path that was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// Relative to the top level.
    pub path: String,
    /// Why it is protected.
    pub rule: String,
}

/// What the engine found in the committed tree after an implementation; nothing of it is the agent's word but `token`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Implemented {
    /// Tip of the run branch.
    pub head: String,
    /// Its tree.
    pub tree: String,
    /// Snapshot of the worktree.
    pub snapshot: String,
    /// Whether the base commit is an ancestor.
    pub descends: bool,
    /// The completion token in the final message.
    pub token: Token,
    /// The plan.
    pub plan: PlanFacts,
    /// Protected paths changed (at most 10).
    pub violations: Vec<Violation>,
    /// Tests deleted or skipped, for the reviewer (at most 10).
    pub findings: Vec<String>,
    /// Files changed in this iteration.
    pub changed_files: u32,
    /// Tasks ticked in this iteration.
    pub ticked: u32,
    /// Tasks ticked without any change, and unticked again.
    pub unticked: Vec<String>,
    /// What was put right in the worktree.
    pub repairs: Vec<String>,
    /// Whether the worktree holds changes that are not committed.
    pub uncommitted: bool,
    /// Percent of lines equal to those of the iteration before.
    pub similarity: u8,
    /// Whether the output speaks of being stuck.
    pub stalled: bool,
}

/// A reviewer's verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// This tree may be completed.
    Approved,
    /// It may not.
    ChangesRequested,
}

/// A review, bound to the tree it saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reviewed {
    /// Tree that was seen.
    pub tree: String,
    /// The verdict.
    pub verdict: Verdict,
    /// What is to be changed (at most 20, each at most 1000 characters).
    pub findings: Vec<String>,
}

/// One gate, run once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateOutcome {
    /// Its name.
    pub name: String,
    /// Exit code; -1 when killed.
    pub exit_code: i32,
    /// Whether its time ran out.
    pub timed_out: bool,
    /// Whether it failed after the container's memory ran out and processes were killed for it.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub out_of_memory: bool,
    /// Milliseconds.
    pub duration_ms: u64,
    /// SHA-256 of its whole output as kept.
    pub output_sha256: String,
    /// Tests passed, failed and skipped, when its `JUnit` reports or its output say.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub counts: Option<[u64; 3]>,
}

impl GateOutcome {
    /// Whether it passed.
    pub fn passed(&self) -> bool {
        self.exit_code == 0 && !self.timed_out
    }
}

/// Gates run on a commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// Commit that was checked out.
    pub commit: String,
    /// Its tree.
    pub tree: String,
    /// Whether the checkout, HOME and temp folder were new.
    pub clean: bool,
    /// All gates that ran, in order.
    pub gates: Vec<GateOutcome>,
}

impl Verified {
    /// Whether every gate passed.
    pub fn passed(&self) -> bool {
        self.gates.iter().all(GateOutcome::passed)
    }
}

/// A refusal of completion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// For programs, for instance `tasks_missing`.
    pub reason: String,
    /// What was seen.
    pub message: String,
    /// What to do.
    pub remedy: String,
    /// Tree it was about.
    pub tree: String,
}

/// A grant of completion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Granted {
    /// `FailToPass`, `NoRegression` or `Unverified`.
    pub level: String,
    /// Commit that is complete.
    pub commit: String,
    /// Its tree.
    pub tree: String,
    /// What asked for it: `exact`, `trailing` or `plan`.
    pub mode: String,
}

/// A merge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merged {
    /// Commit on the target branch.
    pub commit: String,
    /// Target branch.
    pub target: String,
    /// Gates on the merged tree, when it differs from the verified one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub verified: Option<Verified>,
}
