//! Enumerations of a run's life, in their wire forms.

use serde::{Deserialize, Serialize};

/// Where a run stands (DOM-31; `CamelCase` as in the Kubernetes API, design section 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum RunPhase {
    /// Created, not yet taken up by an engine.
    #[default]
    Pending,
    /// An engine works on it, or worked on it when it was interrupted.
    Running,
    /// Stopped at a boundary on the user's word.
    Paused,
    /// Ended with its completion granted.
    Completed,
    /// Ended without.
    Failed,
    /// Ended on the user's word.
    Canceled,
}

impl RunPhase {
    /// Whether the run has ended.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Canceled)
    }

    /// The name as printed and stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Paused => "Paused",
            Self::Completed => "Completed",
            Self::Failed => "Failed",
            Self::Canceled => "Canceled",
        }
    }
}

/// The kinds of step a run is made of (DOM-32, with the steps around the loop added).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepPhase {
    /// Branch and worktree are made.
    Prepare,
    /// The gates run on the base commit, so that each has a "before".
    Baseline,
    /// The agent works.
    Implementation,
    /// The reviewer judges the committed tree.
    Review,
    /// The gates run on the committed tree.
    Verification,
    /// The verified tree moves the target branch.
    Merge,
    /// The worktree of a merged run is removed.
    Cleanup,
}

impl StepPhase {
    /// The name as printed and stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prepare => "prepare",
            Self::Baseline => "baseline",
            Self::Implementation => "implementation",
            Self::Review => "review",
            Self::Verification => "verification",
            Self::Merge => "merge",
            Self::Cleanup => "cleanup",
        }
    }
}

/// What the watchdog saw (DOM-35), in the order of their priority (RUN-54).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WatchdogSignal {
    /// A gate failed; the notes handle it (RUN-50).
    VerificationFailed,
    /// The tree stands still (RUN-52).
    NoProgress,
    /// The same output again, and no change (RUN-51).
    RepeatedTask,
    /// The completion token is there, but not in its form or place (RUN-53).
    MalformedComplete,
}

impl WatchdogSignal {
    /// The wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::VerificationFailed => "verification_failed",
            Self::NoProgress => "no_progress",
            Self::RepeatedTask => "repeated_task",
            Self::MalformedComplete => "malformed_complete",
        }
    }
}

/// What the watchdog does about a signal (DOM-23).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WatchdogAction {
    /// The next implementation gets a rewritten prompt.
    Rewrite,
    /// The loop goes on by its own rules.
    Continue,
    /// The run ends.
    Fail,
}

/// Why a run ended (DOM-42 with the names of design section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitReason {
    /// Granted on evidence.
    CompletePlan,
    /// The last allowed iteration ended without a grant (RUN-14).
    IterationsExhausted,
    /// The agent's process failed for good (RUN-27).
    AgentFailed,
    /// The same refusal on the same tree three times.
    CompletionRefused,
    /// Only blocked tasks are left.
    PlanBlocked,
    /// The run used what its limits on cost or tokens allow.
    BudgetExceeded,
    /// The run's own deadline passed.
    TimedOut,
    /// Canceled by the user.
    Canceled,
    /// Anything else; the message says what.
    Failed,
}

impl ExitReason {
    /// The wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CompletePlan => "complete_plan",
            Self::IterationsExhausted => "iterations_exhausted",
            Self::AgentFailed => "agent_failed",
            Self::CompletionRefused => "completion_refused",
            Self::PlanBlocked => "plan_blocked",
            Self::BudgetExceeded => "budget_exceeded",
            Self::TimedOut => "timed_out",
            Self::Canceled => "canceled",
            Self::Failed => "failed",
        }
    }
}
