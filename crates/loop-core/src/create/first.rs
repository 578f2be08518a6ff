//! What the agents of a run would be told first, without making the run (CLI-7).

use std::path::Path;

use loop_api::checklist::Plan;
use loop_api::journal::Created;

use super::{Error, Ready, Request, preflight, ready};
use crate::engine::{MOST_BRANCHES, prompt_files};
use crate::git::Git;
use crate::prompt;
use crate::store::Store;

/// The first prompts of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct First {
    /// Of the first implementation.
    pub implementation: String,
    /// Of the first review, as far as it is known before there is a commit to review: that one is called `HEAD`.
    /// `None` for a run without a reviewer.
    pub review: Option<String>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// Checks a request as [`super::create`] does, and gives its first prompts; nothing is made.
pub fn first_prompts(store: &Store, request: &Request) -> Result<First, Error> {
    let Ready { created, warnings, .. } = ready(store, request)?;
    let user = Git::user(Path::new(&created.workspace_root));
    let task = &created.spec.task;
    let (spec, plan) =
        (task.spec_path.as_deref().unwrap_or_default(), task.plan_path.as_deref().unwrap_or_default());
    let text = match &task.prompt {
        Some(prompt) => prompt_files(prompt, spec)[1].clone(),
        None => preflight::file(&user, &created.base_commit, plan)?.unwrap_or_default(),
    };
    let plan_tasks = Plan::parse(&text);
    let custom = preflight::file(&user, &created.base_commit, &created.prompt_file)?;
    let branch = run_branch(&user, &created)?;
    let implementation = prompt::implementation(&prompt::Implementation {
        spec,
        plan,
        context: &created.context_files,
        branch: &branch,
        custom: custom.as_deref().filter(|text| !text.trim().is_empty()),
        task: plan_tasks.selected().map(|task| (task.text.as_str(), task.section.as_deref())),
        mode: created.spec.settings.completion_mode,
        ..prompt::Implementation::default()
    });
    let review = created.spec.review.enabled.then(|| {
        prompt::review(&prompt::Review {
            spec,
            plan,
            base: &created.base_commit,
            before: &created.base_commit,
            head: "HEAD",
            findings: &[],
        })
    });
    Ok(First { implementation, review, warnings })
}

/// The name that the run's branch would get (WT-7).
fn run_branch(user: &Git, created: &Created) -> Result<String, Error> {
    let first = format!("{}{}", created.spec.worktree.run_branch_prefix, created.slug);
    let mut branch = first.clone();
    for number in 2..=MOST_BRANCHES {
        if user.commit(&format!("refs/heads/{branch}"))?.is_none() {
            break;
        }
        branch = format!("{first}-{number}");
    }
    Ok(branch)
}
