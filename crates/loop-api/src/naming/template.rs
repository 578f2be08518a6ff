//! The worktree path template (WT-9).

use thiserror::Error;

use super::{BranchError, sanitize_branch, valid_branch};

/// Why a worktree path cannot be made from a template.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TemplateError {
    /// The template names something that does not exist.
    #[error("unknown variable `{0}` in the worktree path template; known: repo, run_branch, branch")]
    UnknownVariable(String),
    /// The template uses a filter that does not exist.
    #[error("unknown filter `{0}` in the worktree path template; known: sanitize")]
    UnknownFilter(String),
    /// `{{` without `}}`.
    #[error("the worktree path template opens `{{{{` without closing it")]
    Unclosed,
    /// The template is blank.
    #[error("the worktree path template is empty")]
    Empty,
    /// The repository has no usable directory name.
    #[error("`{0}` is not the name of a repository's directory")]
    Repository(String),
    /// The run branch is not a branch name.
    #[error("bad run branch: {0}")]
    Branch(#[from] BranchError),
}

/// Fills in a worktree path template (WT-9); the result may be relative and is not resolved.
///
/// Knows `{{ repo }}`, `{{ run_branch }}` and `{{ branch }}` with or without inner blanks, and the filter
/// `sanitize`. Values are not expanded again, and a branch or repository name that could lead to another
/// folder is refused.
pub fn worktree_path(template: &str, repo: &str, run_branch: &str) -> Result<String, TemplateError> {
    valid_branch(run_branch)?;
    if matches!(repo, "" | "." | "..") || repo.contains(['/', '\0']) {
        return Err(TemplateError::Repository(repo.to_owned()));
    }
    if template.trim().is_empty() {
        return Err(TemplateError::Empty);
    }
    let mut path = String::new();
    let mut rest = template;
    while let Some((literal, after)) = rest.split_once("{{") {
        let (expression, after) = after.split_once("}}").ok_or(TemplateError::Unclosed)?;
        path.push_str(literal);
        path.push_str(&evaluate(expression, repo, run_branch)?);
        rest = after;
    }
    path.push_str(rest);
    Ok(path)
}

fn evaluate(expression: &str, repo: &str, run_branch: &str) -> Result<String, TemplateError> {
    let mut parts = expression.split('|').map(str::trim);
    let value = match parts.next().unwrap_or_default() {
        "repo" => repo,
        "run_branch" | "branch" => run_branch,
        other => return Err(TemplateError::UnknownVariable(other.to_owned())),
    };
    parts.try_fold(value.to_owned(), |value, filter| match filter {
        "sanitize" => Ok(sanitize_branch(&value)),
        other => Err(TemplateError::UnknownFilter(other.to_owned())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_filled_in() {
        let table = [
            ("../{{ repo }}.{{ run_branch | sanitize }}", "../shop.run-login"),
            ("../{{repo}}.{{run_branch|sanitize}}", "../shop.run-login"),
            ("{{ repo }}/{{ run_branch }}", "shop/run/login"),
            ("{{branch}} {{ branch | sanitize }}", "run/login run-login"),
            ("/srv/{{  repo | sanitize  }}", "/srv/shop"),
            ("fixed", "fixed"),
            ("{repo} }} {", "{repo} }} {"),
        ];
        for (template, expected) in table {
            assert_eq!(worktree_path(template, "shop", "run/login").as_deref(), Ok(expected), "{template}");
        }
    }

    #[test]
    fn bad_templates_are_errors() {
        let table = [
            ("{{ owner }}", TemplateError::UnknownVariable("owner".to_owned())),
            ("{{ }}", TemplateError::UnknownVariable(String::new())),
            ("{{ Repo }}", TemplateError::UnknownVariable("Repo".to_owned())),
            ("{{ repo | upper }}", TemplateError::UnknownFilter("upper".to_owned())),
            ("{{ repo | }}", TemplateError::UnknownFilter(String::new())),
            ("a/{{ repo", TemplateError::Unclosed),
            (" ", TemplateError::Empty),
        ];
        for (template, expected) in table {
            assert_eq!(worktree_path(template, "shop", "run/login"), Err(expected), "{template:?}");
        }
    }

    #[test]
    fn values_are_checked_and_not_expanded_again() {
        assert_eq!(worktree_path("{{ repo }}", "{{ branch }}", "main").as_deref(), Ok("{{ branch }}"));
        for repo in ["", ".", "..", "a/b"] {
            assert_eq!(worktree_path("x", repo, "main"), Err(TemplateError::Repository(repo.to_owned())));
        }
        assert_eq!(worktree_path("x", "shop", "a/../b"), Err(BranchError::Revision.into()));
    }

    #[test]
    fn bug_24_an_empty_run_branch_is_refused() {
        let filled = worktree_path("../{{ repo }}.{{ run_branch | sanitize }}", "shop", "");
        assert_eq!(filled, Err(TemplateError::Branch(BranchError::Empty)));
    }
}
