//! The plan file's checklist: which tasks there are, what state they are in, and what changed (SP-9 to SP-16).
//!
//! A plan is written by people and by agents that are not trusted, so reading one never fails: what is not a
//! task is skipped, and a box nobody defined makes its task "not done" instead of making it disappear.

mod compare;
mod edit;
mod files;
mod scan;
mod task;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use compare::{PlanDiff, compare};
pub use edit::{tick, untick};

use files::FileList;
use scan::{Kind, Line};

/// The most bytes of the blockers section that are quoted.
const BLOCKERS_LIMIT: usize = 4096;
/// The most bytes of a heading kept on each task; without it, one huge heading would be copied once per task.
const SECTION_LIMIT: usize = 256;

/// What a task's box says (SP-9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// `[ ]`: still to be done.
    Pending,
    /// `[~]`: cannot be done now; it still stands in the way of completion.
    Blocked,
    /// `[x]`: implemented, awaiting review.
    Done,
    /// `[R]`: implemented and reviewed.
    Reviewed,
    /// A box that only looks like one of the others, with its first visible character; never done.
    Unknown(char),
}

impl TaskState {
    /// Whether the task no longer stands in the way of completion.
    pub fn is_done(self) -> bool {
        matches!(self, Self::Done | Self::Reviewed)
    }
}

/// One task of the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// The line it stands on, counted from 1.
    pub line: usize,
    /// The nearest `## ` heading above it, cut at 256 bytes.
    pub section: Option<String>,
    /// The text behind the box, as written, without surrounding whitespace.
    pub text: String,
    /// The text in NFC with whitespace collapsed; `#2`, `#3` ... tell equal texts apart.
    pub identity: String,
    /// What its box says.
    pub state: TaskState,
    /// The skills it names as `@name`, in order of appearance (SP-16).
    pub skill_hints: Vec<String>,
}

/// How much of a plan is done (SP-15).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Tasks with `[x]` or `[R]`.
    pub done: usize,
    /// All tasks, blocked ones too.
    pub total: usize,
}

impl Progress {
    /// The tasks that are not done, blocked ones included.
    pub fn left(self) -> usize {
        self.total.saturating_sub(self.done)
    }
}

/// A plan file as read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    tasks: Vec<Task>,
    blockers: Option<String>,
    files: Vec<String>,
}

impl Plan {
    /// Reads a plan; any text is a plan, if need be one without tasks.
    pub fn parse(text: &str) -> Self {
        let mut blockers = String::new();
        let mut files = FileList::default();
        let mut topic: Option<(Topic, usize)> = None;
        for line in scan::lines(text) {
            if let Kind::Heading { level, title } = line.kind {
                topic = topic.filter(|(_, own)| level > *own);
                if let Some(found) = Topic::of(title).filter(|_| matches!(level, 2 | 3)) {
                    topic = Some((found, level));
                    continue;
                }
            }
            match topic {
                Some((Topic::Blockers, _)) => gather(&mut blockers, &line),
                Some((Topic::Files, _)) => files.line(&line),
                None => {}
            }
        }
        let end = blockers.floor_char_boundary(BLOCKERS_LIMIT);
        let blockers = Some(blockers[..end].trim()).filter(|quoted| !quoted.is_empty()).map(str::to_owned);
        Self { tasks: task::found(text).map(|found| found.task).collect(), blockers, files: files.finish() }
    }

    /// All tasks in the order of the file.
    pub fn tasks(&self) -> &[Task] {
        &self.tasks
    }

    /// The task with this identity.
    pub fn task(&self, identity: &str) -> Option<&Task> {
        self.tasks.iter().find(|task| task.identity == identity)
    }

    /// The task to work on next: the first pending one (SP-13).
    pub fn selected(&self) -> Option<&Task> {
        self.tasks.iter().find(|task| task.state == TaskState::Pending)
    }

    /// How many tasks there are and how many of them are done (SP-15).
    pub fn progress(&self) -> Progress {
        Progress {
            done: self.tasks.iter().filter(|task| task.state.is_done()).count(),
            total: self.tasks.len(),
        }
    }

    /// Whether there is at least one task and every task is done.
    pub fn is_done(&self) -> bool {
        !self.tasks.is_empty() && self.progress().left() == 0
    }

    /// Whether something is left and all of it is blocked, so that another iteration could do nothing.
    pub fn only_blocked_left(&self) -> bool {
        let mut left = self.tasks.iter().filter(|task| !task.state.is_done()).peekable();
        left.peek().is_some() && left.all(|task| task.state == TaskState::Blocked)
    }

    /// The text of the "Blockers Discovered" section, at most 4 KiB (SP-11).
    pub fn blockers(&self) -> Option<String> {
        self.blockers.clone()
    }

    /// The paths and globs under "Files to Create" and "Files to Modify" (SP-11).
    ///
    /// They are relative to the repository, without `.` and `..`; a folder `a/` becomes `a/**`. A nested list
    /// item counts only if it begins with a backticked path, because such items mostly describe their parent,
    /// and a path mentioned in passing must not become one that may be changed.
    pub fn listed_files(&self) -> Vec<String> {
        self.files.clone()
    }
}

/// A section whose text matters beyond its tasks.
#[derive(Clone, Copy)]
enum Topic {
    Blockers,
    Files,
}

impl Topic {
    fn of(title: &str) -> Option<Self> {
        let title = title.to_lowercase();
        if title.contains("blockers discovered") {
            Some(Self::Blockers)
        } else if title.contains("files to create") || title.contains("files to modify") {
            Some(Self::Files)
        } else {
            None
        }
    }
}

/// Keeps a line of the blockers section, unless the limit is reached or it is a comment left by a template.
fn gather(blockers: &mut String, line: &Line<'_>) {
    let leading_blank = blockers.is_empty() && line.text.trim().is_empty();
    if !leading_blank && line.kind != Kind::Comment && blockers.len() < BLOCKERS_LIMIT {
        blockers.push_str(line.text);
        blockers.push('\n');
    }
}
