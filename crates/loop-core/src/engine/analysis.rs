//! What the trusted repository says about the agent's commits, against the base commit.

use std::collections::BTreeSet;

use loop_api::checklist::{self, Plan, Task};
use loop_api::journal::{Implemented, PlanFacts, Violation, WorktreeFacts, sha256};
use loop_api::run::{LoopRunSpec, Submodules};

use crate::git::{Error, Trusted};
use crate::protect::{self, Change, ChangeStatus, Rules};

/// Items of a list that go into the journal.
const MOST: usize = 10;
/// Test files whose added lines are looked at.
const MOST_TEST_FILES: usize = 200;
/// Bytes of a file that is read for a rule.
const MOST_TEXT: usize = 1 << 20;

/// What the base commit lays down.
#[derive(Debug)]
pub(crate) struct Base {
    commit: String,
    plan_path: String,
    plan: Plan,
    rules: Rules,
    /// The user's own prompt, if the base commit has one (SP-26).
    pub(super) prompt: Option<String>,
}

impl Base {
    /// Reads plan and protected paths from the base commit.
    pub(crate) fn load(
        trusted: &Trusted,
        facts: &WorktreeFacts,
        spec: &LoopRunSpec,
        prompt_file: &str,
    ) -> Result<Self, String> {
        let commit = facts.base_commit.clone();
        let plan = Plan::parse(&text(trusted, &commit, &facts.plan_path).unwrap_or_default());
        let listed = plan.listed_files();
        let listing = trusted.list(&commit).map_err(|error| error.to_string())?;
        let mut protected = spec.protect.paths.clone();
        if spec.repository.checkout.submodules == Submodules::Recursive {
            // What agents have before them of a submodule is what the base commit names, and so is what gates have.
            let submodules = listing.iter().filter(|(_, mode, _)| mode == "160000");
            protected.extend(submodules.map(|(path, ..)| globset::escape(path)));
            protected.push(".gitmodules".into());
        }
        let files: BTreeSet<String> = listing
            .into_iter()
            // A link is read as the text of its target, and so leads to the script behind it.
            .filter(|(_, mode, _)| mode.starts_with("100") || mode == "120000")
            .map(|(path, _, _)| path)
            .collect();
        let commands: Vec<String> = spec.gates.iter().map(|gate| gate.run.clone()).collect();
        let some = |path: &str| Some(path.to_owned()).filter(|path| !path.is_empty());
        let rules = Rules::new(
            some(&facts.spec_path).as_deref(),
            some(&facts.plan_path).as_deref(),
            &commands,
            &|path| files.contains(path),
            &|path| text(trusted, &commit, path),
            &protected,
            &spec.protect.allow,
            &listed,
        )
        .map_err(|error| error.to_string())?;
        let prompt = text(trusted, &commit, prompt_file).filter(|text| !text.trim().is_empty());
        Ok(Self { commit, plan_path: facts.plan_path.clone(), plan, rules, prompt })
    }

    /// The base plan's next task by the committed plan of `head`: its text and section.
    pub(super) fn selected(&self, trusted: &Trusted, head: &str) -> Option<(String, Option<String>)> {
        let plan = Plan::parse(&text(trusted, head, &self.plan_path)?);
        plan.selected().map(|task| (task.text.clone(), task.section.clone()))
    }

    /// Tasks ticked between two commits, when nothing but the plan changed between them.
    pub(super) fn ticked(&self, trusted: &Trusted, before: &str, head: &str) -> Vec<String> {
        let old = Plan::parse(&text(trusted, before, &self.plan_path).unwrap_or_default());
        let new = Plan::parse(&text(trusted, head, &self.plan_path).unwrap_or_default());
        checklist::compare(&old, &new).newly_done
    }

    /// The plan of a commit as text.
    pub(super) fn plan_text(&self, trusted: &Trusted, commit: &str) -> Option<String> {
        text(trusted, commit, &self.plan_path)
    }

    /// Files outside the plan that differ between two commits.
    pub(super) fn changed_files(&self, trusted: &Trusted, before: &str, head: &str) -> Result<u32, Error> {
        if before == head {
            return Ok(0);
        }
        let changes = trusted.changes(before, head)?;
        let count = changes.iter().filter(|change| change.path != self.plan_path).count();
        Ok(u32::try_from(count).unwrap_or(u32::MAX))
    }

    /// Judges the tip of the run branch against the base commit.
    pub(crate) fn judge(&self, trusted: &Trusted, head: &str) -> Result<Implemented, Error> {
        let mut facts = Implemented {
            head: head.to_owned(),
            tree: trusted.tree(head)?,
            descends: head == self.commit || trusted.descends(&self.commit, head)?,
            plan: self.plan_facts(trusted, head),
            ..Implemented::default()
        };
        if head == self.commit {
            return Ok(facts);
        }
        let changes = trusted.changes(&self.commit, head)?;
        facts.violations = self.violations(trusted, head, &changes);
        let added = |path: &str| added_lines(trusted, &self.commit, head, path);
        let looked_at = std::cell::Cell::new(0_usize);
        let findings = protect::test_findings(&changes, &|path| {
            looked_at.set(looked_at.get() + 1);
            if looked_at.get() > MOST_TEST_FILES { Vec::new() } else { added(path) }
        });
        facts.findings = findings
            .into_iter()
            .map(|finding| format!("{}: {}", finding.path, finding.what))
            .chain(self.emptied_tests(trusted, head, &changes))
            .take(MOST)
            .collect();
        Ok(facts)
    }

    /// Test files that hold nothing any more, which is a deletion that keeps the name.
    fn emptied_tests(&self, trusted: &Trusted, head: &str, changes: &[Change]) -> Vec<String> {
        let is_empty = |commit: &str, path: &str| {
            text(trusted, commit, path).is_some_and(|content| content.trim().is_empty())
        };
        changes
            .iter()
            .filter(|change| change.status == ChangeStatus::Modified && protect::is_test_path(&change.path))
            .take(MOST_TEST_FILES)
            .filter(|change| is_empty(head, &change.path) && !is_empty(&self.commit, &change.path))
            .map(|change| format!("{}: test file emptied", change.path))
            .collect()
    }

    fn violations(&self, trusted: &Trusted, head: &str, changes: &[Change]) -> Vec<Violation> {
        let mut found: Vec<Violation> = self
            .rules
            .violations(changes)
            .into_iter()
            .map(|violation| Violation { path: violation.path, rule: violation.rule })
            .collect();
        let paths =
            changes.iter().flat_map(|change| [Some(&change.path), change.old_path.as_ref()]).flatten();
        for path in paths.filter(|path| self.rules.needs_semantic_check(path)) {
            let before = text(trusted, &self.commit, path);
            let after = text(trusted, head, path);
            let violation = self.rules.semantic_violation(path, before.as_deref(), after.as_deref());
            found.extend(violation.map(|found| Violation { path: found.path, rule: found.rule }));
        }
        let nested = changes.iter().filter(|change| change.nested && is_new(change.status));
        found.extend(nested.map(|change| Violation {
            path: change.path.clone(),
            rule: "a repository inside the repository cannot be part of the result".into(),
        }));
        found.truncate(MOST);
        found
    }

    fn plan_facts(&self, trusted: &Trusted, head: &str) -> PlanFacts {
        if self.plan_path.is_empty() {
            return PlanFacts::default();
        }
        let now = Plan::parse(&text(trusted, head, &self.plan_path).unwrap_or_default());
        let difference = checklist::compare(&self.plan, &now);
        let progress = now.progress();
        PlanFacts {
            done: u32::try_from(progress.done).unwrap_or(u32::MAX),
            total: u32::try_from(progress.total).unwrap_or(u32::MAX),
            missing: texts(&difference.missing),
            not_done: texts(&difference.not_done),
            blocked: texts(&difference.blocked),
            only_blocked: now.only_blocked_left() && difference.missing.is_empty(),
            blockers: now.blockers().unwrap_or_default().chars().take(1000).collect(),
        }
    }

    /// SHA-256 over mode, blob and path of every protected file of a commit.
    pub(crate) fn protected_digest(&self, trusted: &Trusted, commit: &str) -> Result<String, Error> {
        let files = trusted.list(commit)?.into_iter().filter(|(path, ..)| self.rules.rule(path).is_some());
        let text: String = files.map(|(path, mode, blob)| format!("{mode} {blob} {path}\n")).collect();
        Ok(sha256(text.as_bytes()))
    }
}

fn texts(tasks: &[Task]) -> Vec<String> {
    tasks.iter().take(MOST).map(|task| task.text.chars().take(200).collect()).collect()
}

fn text(trusted: &Trusted, commit: &str, path: &str) -> Option<String> {
    if path.is_empty() {
        return None;
    }
    let mut bytes = trusted.file(commit, path).ok().flatten()?;
    bytes.truncate(MOST_TEXT * 8);
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn added_lines(trusted: &Trusted, base: &str, head: &str, path: &str) -> Vec<String> {
    let pathspec = format!(":(literal){path}");
    let Ok(diff) =
        trusted.git().run(&["diff", "-U0", "--no-color", "--no-ext-diff", base, head, "--", &pathspec])
    else {
        return Vec::new();
    };
    String::from_utf8_lossy(&diff[..diff.len().min(MOST_TEXT)])
        .lines()
        .filter(|line| line.starts_with('+') && !line.starts_with("+++"))
        .map(|line| line[1..].to_owned())
        .collect()
}

/// Whether something of another kind stood there before; a repository that was there already may move on.
fn is_new(status: ChangeStatus) -> bool {
    matches!(status, ChangeStatus::Added | ChangeStatus::TypeChanged)
}
