//! The prompts: what the implementer and the reviewer are told (SP-18..30).

use loop_api::completion::TOKEN;
use loop_api::run::CompletionMode;

/// What goes into an implementation prompt.
#[derive(Debug, Clone, Default)]
pub(crate) struct Implementation<'a> {
    /// Spec, relative to the worktree.
    pub spec: &'a str,
    /// Plan, relative to the worktree; empty without one.
    pub plan: &'a str,
    /// Further files to read.
    pub context: &'a [String],
    /// The run branch.
    pub branch: &'a str,
    /// The user's own text instead of the default instructions (SP-26).
    pub custom: Option<&'a str>,
    /// The next task of the plan and its section.
    pub task: Option<(&'a str, Option<&'a str>)>,
    /// Why the last iteration was not good enough; empty when it was.
    pub notes: &'a str,
    /// What the watchdog advises.
    pub advice: Option<&'a str>,
    /// Where the completion token must stand.
    pub mode: CompletionMode,
}

/// The implementation prompt. The selected task is authoritative; notes are part of the text.
pub(crate) fn implementation(parts: &Implementation<'_>) -> String {
    let mut text = String::new();
    if let Some(advice) = parts.advice {
        text.push_str("## Watchdog Intervention\n\n");
        text.push_str(advice);
        text.push_str("\n\n");
    }
    match parts.custom {
        Some(custom) => {
            text.push_str(&custom.replace("SPEC_PATH", parts.spec).replace("PLAN_PATH", parts.plan));
            text.push('\n');
        }
        None => instructions(&mut text, parts),
    }
    if let Some((task, section)) = parts.task {
        text.push_str("\n## Selected task\n\n");
        text.push_str(task);
        text.push('\n');
        if let Some(section) = section {
            text.push_str(&format!("\nSection of the plan: {section}\n"));
        }
    }
    if !parts.notes.is_empty() {
        text.push_str("\n## Notes from the last iteration\n\n");
        text.push_str(parts.notes);
        if !parts.notes.ends_with('\n') {
            text.push('\n');
        }
    }
    text
}

fn instructions(text: &mut String, parts: &Implementation<'_>) {
    text.push_str("## Read first\n\n");
    for file in [parts.spec, parts.plan].into_iter().filter(|path| !path.is_empty()) {
        text.push_str(&format!("@{file}\n"));
    }
    for file in parts.context {
        text.push_str(&format!("@{file}\n"));
    }
    text.push_str(&format!(
        "\n## Your job\n\n\
         You implement the spec in this git worktree, on branch `{}`. Stay on that branch.\n\
         \n\
         1. Look at the plan's notes and learnings first. Name the sections of the spec and the contracts that your task touches before you write code. Match \
         schemas and names exactly. Leave no placeholder. Where the spec is ambiguous, do not guess: mark the task \
         blocked.\n\
         2. Do one task: the selected one below, or what the notes below ask for, which comes first.\n\
         3. Run the checks that concern it, and say which you could not run.\n\
         4. Make exactly one commit with `git add` and `git commit`. Only what is committed counts.\n",
        parts.branch
    ));
    if !parts.plan.is_empty() {
        text.push_str(
            "5. In the plan, in the same commit, turn the task's `[ ]` into `[x]` when, and only when, it is done. \
             If it cannot be done, turn it into `[~]` and say why under `## Blockers Discovered`.\n\
             \n\
             Legend: `[ ]` open, `[x]` done, `[R]` reviewed, `[~]` blocked, `[ ]?` for people to check, never for \
             you. Keep every task's text as it is; you may add tasks.\n",
        );
    }
    let place = match parts.mode {
        CompletionMode::Exact => "your whole final message is",
        CompletionMode::Trailing => "the last line of your final message is",
    };
    text.push_str(&format!(
        "\n## Rules\n\n\
         - Do not change the spec, the gates' scripts or the configuration of tests and CI unless the plan lists \
         them. Do not delete or skip tests.\n\
         - Answer with one sentence: the task, and how many are left or blocked.\n\
         - When every task is done, ask for completion: {place} `{TOKEN}`. The request is checked: plan, gates on a \
         clean checkout of your commit, protected files{}.\n",
        ", and the reviewer when one is on"
    ));
}

/// What an agent is told in a session that was cut short.
pub(crate) const CONTINUATION: &str = "You were cut short in the middle of this task, and go on in the same session. \
The worktree is as it was at the last checkpoint, so what you did last may be missing: look at it with `git status` \
and `git log` first. Then finish the task as you were told, with the same rules and the same form of the final \
message.\n";

/// What goes into a review prompt.
#[derive(Debug, Clone, Default)]
pub(crate) struct Review<'a> {
    /// Spec, relative to the checkout.
    pub spec: &'a str,
    /// Plan, relative to the checkout; empty without one.
    pub plan: &'a str,
    /// Commit before the run.
    pub base: &'a str,
    /// Commit before this iteration.
    pub before: &'a str,
    /// Commit under review.
    pub head: &'a str,
    /// What the engine found about tests, to be accepted or not.
    pub findings: &'a [String],
}

/// The review prompt. It names diff and spec, and nothing that the implementer said.
pub(crate) fn review(parts: &Review<'_>) -> String {
    let mut text = String::from("## Read first\n\n");
    for file in [parts.spec, parts.plan].into_iter().filter(|path| !path.is_empty()) {
        text.push_str(&format!("@{file}\n"));
    }
    text.push_str(&format!(
        "\n## Your job\n\n\
         You are a senior engineer who reviews a commit that you did not write. You stand in a throw-away checkout \
         of it; nothing that you change here is kept.\n\
         \n\
         - What this iteration changed: `git diff {before} {head}`\n\
         - The whole run so far: `git diff {base} {head}`\n\
         \n\
         Judge what is there: does it do what the spec says, is it correct, safe, and in the style of this \
         codebase? A plan that is not finished yet is no finding. Tests that were deleted, skipped or weakened are.\n",
        before = parts.before,
        head = parts.head,
        base = parts.base,
    ));
    if !parts.findings.is_empty() {
        text.push_str("\n## Found by the loop; approve only if each is right\n\n");
        for finding in parts.findings {
            text.push_str(&format!("- {finding}\n"));
        }
    }
    text.push_str(
        "\n## Answer\n\n\
         Either the last line of your message is the one word `APPROVED`, or there is a line `CHANGES REQUESTED` \
         followed by one line `- finding` for each thing that has to change, with file and reason.\n",
    );
    text
}

/// Reads a reviewer's final message. What cannot be read is no approval.
pub(crate) fn read_verdict(message: &str) -> (loop_api::journal::Verdict, Vec<String>) {
    use loop_api::journal::Verdict;
    const MOST: usize = 20;
    let short = |line: &str| line.chars().take(1000).collect::<String>();
    let lines: Vec<&str> = message.lines().map(str::trim).collect();
    // Models set their verdicts in bold, as headings, or with a full stop.
    let word = |line: &str| line.trim_matches(['*', '#', '`', '_', '.', ':', ' ']).to_owned();
    let requested = lines.iter().position(|line| word(line) == "CHANGES REQUESTED");
    if let Some(at) = requested {
        let items = lines[at + 1..].iter().filter_map(|line| line.strip_prefix("- ")).map(short);
        let mut findings: Vec<String> = items.take(MOST).collect();
        if findings.is_empty() {
            findings = lines[at + 1..]
                .iter()
                .filter(|line| !line.is_empty())
                .map(|line| short(line))
                .take(MOST)
                .collect();
        }
        if findings.is_empty() {
            findings.push("the reviewer asks for changes without saying which".into());
        }
        return (Verdict::ChangesRequested, findings);
    }
    if lines.iter().rev().find(|line| !line.is_empty()).is_some_and(|line| word(line) == "APPROVED") {
        return (Verdict::Approved, Vec::new());
    }
    let said: String = message.trim().chars().rev().take(600).collect::<Vec<_>>().into_iter().rev().collect();
    (Verdict::ChangesRequested, vec![format!("no verdict in the reviewer's answer, which ends: {said:?}")])
}

#[cfg(test)]
mod tests {
    use loop_api::journal::Verdict;

    use super::*;

    #[test]
    fn the_selected_task_and_the_notes_stand_in_the_prompt() {
        let text = implementation(&Implementation {
            spec: "specs/a.md",
            plan: "specs/planning/a-plan.md",
            branch: "run/a",
            task: Some(("Add words", Some("Phase 1"))),
            notes: "gate unit failed",
            ..Implementation::default()
        });
        assert!(text.contains("@specs/a.md\n@specs/planning/a-plan.md\n"));
        assert!(text.contains("## Selected task\n\nAdd words\n"));
        assert!(text.contains("## Notes from the last iteration\n\ngate unit failed\n"));
    }

    #[test]
    fn a_custom_prompt_replaces_the_instructions_and_its_placeholders() {
        let text = implementation(&Implementation {
            spec: "s.md",
            custom: Some("Do SPEC_PATH by PLAN_PATH."),
            ..Implementation::default()
        });
        assert_eq!(text, "Do s.md by .\n");
    }

    #[test]
    fn bug_10_only_a_verdict_that_can_be_read_approves() {
        assert_eq!(read_verdict("Fine.\n\nAPPROVED\n").0, Verdict::Approved);
        assert_eq!(read_verdict("APPROVED, but see below").0, Verdict::ChangesRequested);
        assert_eq!(read_verdict("").0, Verdict::ChangesRequested);
        assert_eq!(read_verdict("NOT APPROVED").0, Verdict::ChangesRequested);
        assert_eq!(read_verdict("I would not say APPROVED").0, Verdict::ChangesRequested);
        assert_eq!(read_verdict("Fine.\n\n**APPROVED**.\n").0, Verdict::Approved);
        let bold = read_verdict("## Changes\n**CHANGES REQUESTED:**\n- quote $1");
        assert_eq!(bold, (Verdict::ChangesRequested, vec!["quote $1".to_owned()]));
        let (verdict, findings) = read_verdict("CHANGES REQUESTED\n- quote $1\n- name it\nAPPROVED");
        assert_eq!((verdict, findings.len()), (Verdict::ChangesRequested, 2));
    }
}
