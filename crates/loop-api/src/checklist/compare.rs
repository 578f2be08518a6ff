//! What changed between the base commit's plan and the plan now.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::{Plan, Task, TaskState};

/// The difference of two plans, by task identity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanDiff {
    /// Tasks of the base plan that are gone or were reworded.
    pub missing: Vec<Task>,
    /// Tasks the base plan did not have, in whatever state.
    pub added: Vec<Task>,
    /// Tasks that are pending or carry an unknown box, as they are now.
    pub not_done: Vec<Task>,
    /// Tasks marked `[~]`, as they are now.
    pub blocked: Vec<Task>,
    /// Identities of tasks that are done now and were not, or did not exist, in the base plan.
    pub newly_done: Vec<String>,
}

impl PlanDiff {
    /// Whether no task stands in the way of completion: none missing, open or blocked.
    ///
    /// Two plans without tasks compare as clear, so ask [`Plan::is_done`] as well where a plan is required.
    pub fn is_clear(&self) -> bool {
        self.missing.is_empty() && self.not_done.is_empty() && self.blocked.is_empty()
    }
}

/// Compares the base commit's plan with the plan as it is now.
///
/// Adding tasks is allowed, an added one must be done like any other. A task moved to a place where it no
/// longer counts (a comment, a fence, a verification section) is missing.
pub fn compare(base: &Plan, now: &Plan) -> PlanDiff {
    let before = by_identity(base);
    let after = by_identity(now);
    let mut diff = PlanDiff {
        missing: base
            .tasks()
            .iter()
            .filter(|task| !after.contains_key(task.identity.as_str()))
            .cloned()
            .collect(),
        ..PlanDiff::default()
    };
    for task in now.tasks() {
        let earlier = before.get(task.identity.as_str());
        if earlier.is_none() {
            diff.added.push(task.clone());
        }
        match task.state {
            TaskState::Pending | TaskState::Unknown(_) => diff.not_done.push(task.clone()),
            TaskState::Blocked => diff.blocked.push(task.clone()),
            TaskState::Done | TaskState::Reviewed => {
                if !earlier.is_some_and(|earlier| earlier.is_done()) {
                    diff.newly_done.push(task.identity.clone());
                }
            }
        }
    }
    diff
}

fn by_identity(plan: &Plan) -> HashMap<&str, TaskState> {
    plan.tasks().iter().map(|task| (task.identity.as_str(), task.state)).collect()
}
