//! Completion is granted, not taken: one pure chain of rules, the first refusal wins.

use loop_api::completion::Token;
use loop_api::journal::{GateOutcome, Granted, Implemented, Refusal, Verdict, Verified};
use loop_api::run::{CompletionMode, Gate, LoopRunSpec, Require};

use super::state::State;
use crate::counts::{self, TestCounts};

/// Evidence level of a run that ends without gate and reviewer.
pub const UNVERIFIED: &str = "Unverified";
/// Evidence level: a gate failed before and passes now.
pub const FAIL_TO_PASS: &str = "FailToPass";
/// Evidence level: every gate passed before and passes now, or the reviewer alone stands behind it.
pub const NO_REGRESSION: &str = "NoRegression";

/// A refusal before its tree is known: reason, what was seen, what to do.
type Rule = Result<(), (&'static str, String, String)>;

/// Whether this iteration asks for completion: by the token, or by a plan that is all done.
pub fn is_asked(state: &State) -> bool {
    state
        .current
        .implemented
        .as_ref()
        .is_some_and(|facts| facts.token == Token::Accepted || plan_is_done(facts))
}

fn plan_is_done(facts: &Implemented) -> bool {
    facts.plan.total > 0 && facts.plan.done == facts.plan.total && facts.plan.missing.is_empty()
}

/// Whether everything but the gates would grant, so that the coming verification can be the granting one.
pub fn may_grant(state: &State) -> bool {
    is_asked(state)
        && state
            .current
            .implemented
            .as_ref()
            .is_some_and(|facts| without_gates(state, &state.spec(), facts).is_ok())
}

/// Grants completion of the committed tree, or names the first rule against it with its remedy.
pub fn decide(state: &State) -> Result<Granted, Refusal> {
    let spec = state.spec();
    let Some(facts) = &state.current.implemented else {
        return Err(Refusal {
            reason: "nothing_done".into(),
            message: "no implementation has ended yet".into(),
            remedy: String::new(),
            tree: String::new(),
        });
    };
    without_gates(state, &spec, facts).and_then(|()| gates(state, &spec, facts)).map_err(
        |(reason, message, remedy)| Refusal {
            reason: reason.into(),
            message,
            remedy,
            tree: facts.tree.clone(),
        },
    )?;
    let mode = match (facts.token, spec.settings.completion_mode) {
        (Token::Accepted, CompletionMode::Exact) => "exact",
        (Token::Accepted, CompletionMode::Trailing) => "trailing",
        _ => "plan",
    };
    Ok(Granted {
        level: level(state, &spec).into(),
        commit: facts.head.clone(),
        tree: facts.tree.clone(),
        mode: mode.into(),
    })
}

fn without_gates(state: &State, spec: &LoopRunSpec, facts: &Implemented) -> Rule {
    history(facts)?;
    work(state, facts)?;
    plan(facts)?;
    protected(facts)?;
    findings(spec, facts)?;
    review(state, spec, facts)
}

fn refuse(reason: &'static str, message: String, remedy: &str) -> Rule {
    Err((reason, message, remedy.into()))
}

fn history(facts: &Implemented) -> Rule {
    if facts.descends {
        return Ok(());
    }
    refuse(
        "base_rewritten",
        "the run branch no longer contains its base commit".into(),
        "put your commits on top of the base commit again (git rebase --onto) instead of rewriting it",
    )
}

/// Without a plan nothing else stands between a bare token and a grant: gates that pass on the base commit pass again.
fn work(state: &State, facts: &Implemented) -> Rule {
    let Some(base) = &state.worktree else { return Ok(()) };
    let was_done = base.tasks_total > 0 && base.tasks_done == base.tasks_total;
    if was_done || base.base_tree.is_empty() || facts.tree != base.base_tree {
        return Ok(());
    }
    refuse(
        "nothing_done",
        "nothing differs from the base commit".into(),
        "do what the spec asks for and commit it; only then ask for completion",
    )
}

fn plan(facts: &Implemented) -> Rule {
    let plan = &facts.plan;
    if !plan.missing.is_empty() {
        return refuse(
            "tasks_missing",
            format!("tasks of the base plan are gone or reworded: {}", plan.missing.join("; ")),
            "restore these lines of the plan word for word, and tick them only when they are done",
        );
    }
    if !plan.blocked.is_empty() {
        return refuse(
            "tasks_blocked",
            format!("tasks are marked blocked: {}", plan.blocked.join("; ")),
            "do them and mark them `[x]`; blocked tasks cannot be completed",
        );
    }
    if !plan.not_done.is_empty() {
        return refuse(
            "tasks_open",
            format!("tasks are not done in the committed plan: {}", plan.not_done.join("; ")),
            "do the next one, mark it `[x]` (a plain x) and commit; only then ask for completion",
        );
    }
    Ok(())
}

fn protected(facts: &Implemented) -> Rule {
    if facts.violations.is_empty() {
        return Ok(());
    }
    let list: Vec<String> =
        facts.violations.iter().map(|violation| format!("{} ({})", violation.path, violation.rule)).collect();
    refuse(
        "protected_paths",
        format!("protected files were changed: {}", list.join("; ")),
        "restore them as they are in the base commit (git checkout BASE -- PATH) and commit",
    )
}

fn findings(spec: &LoopRunSpec, facts: &Implemented) -> Rule {
    if facts.findings.is_empty() || spec.review.enabled {
        return Ok(());
    }
    refuse(
        "tests_weakened",
        format!(
            "tests were deleted or skipped and no reviewer is on to accept it: {}",
            facts.findings.join("; ")
        ),
        "restore the tests; make the code pass them instead",
    )
}

fn review(state: &State, spec: &LoopRunSpec, facts: &Implemented) -> Rule {
    if !spec.review.enabled {
        return Ok(());
    }
    let approved = state
        .current
        .reviewed
        .as_ref()
        .is_some_and(|review| review.verdict == Verdict::Approved && review.tree == facts.tree);
    if approved {
        return Ok(());
    }
    refuse(
        "review",
        "the reviewer did not approve this tree".into(),
        "address the reviewer's findings and commit",
    )
}

fn gates(state: &State, spec: &LoopRunSpec, facts: &Implemented) -> Rule {
    if spec.gates.is_empty() {
        return Ok(());
    }
    let Some(verified) = state.current.verified.as_ref().filter(|run| run.clean && run.tree == facts.tree)
    else {
        return refuse(
            "not_verified",
            "the gates did not run on this tree from a clean checkout".into(),
            "ask for completion again once the other rules are met",
        );
    };
    for gate in &spec.gates {
        let Some(after) = verified.gates.iter().find(|outcome| outcome.name == gate.name) else {
            return refuse(
                "gate_missing",
                format!("gate {} did not run on this tree", gate.name),
                "ask for completion again once the other rules are met",
            );
        };
        if !after.passed() {
            let how = if after.timed_out {
                "ran out of time".into()
            } else if after.out_of_memory {
                "ran out of memory".into()
            } else {
                format!("exit code {}", after.exit_code)
            };
            return refuse(
                "gate_failed",
                format!("gate {} failed on a clean checkout of the committed tree: {how}", gate.name),
                if after.out_of_memory {
                    "have it use less memory, or raise the memory limit of container gate"
                } else {
                    "repair what the notes show; remember that only committed files are there"
                },
            );
        }
        let before = before(state, &gate.name);
        if gate.require == Require::FailToPass && before.is_none_or(GateOutcome::passed) {
            return refuse(
                "not_fail_to_pass",
                format!("gate {} already passed on the base commit, so it proves nothing", gate.name),
                "a person has to choose a gate that fails on the base commit, or drop the requirement",
            );
        }
    }
    let weakened = weakened_gates(state, verified);
    if weakened.is_empty() {
        return Ok(());
    }
    if !spec.review.enabled {
        return refuse(
            "tests_weakened",
            format!("{}, and no reviewer is on to accept it", weakened.join("; ")),
            "restore the tests; make the code pass them instead",
        );
    }
    // Gates run after the review, so the reviewer of the next iteration is the first who can be told.
    if shown_to_reviewer(state) == weakened {
        return Ok(());
    }
    refuse(
        "tests_weakened",
        weakened.join("; "),
        "restore the tests, or ask for completion again: the reviewer is shown this and has to accept it",
    )
}

/// What the test counts of a verification say against the base commit; the next reviewer is shown it.
pub fn weakened_gates(state: &State, verified: &Verified) -> Vec<String> {
    let found = state.spec().gates.into_iter().filter_map(|gate| {
        let after = verified.gates.iter().find(|outcome| outcome.name == gate.name)?;
        let weakened = weakened(&gate, before(state, &gate.name), after);
        (!weakened.is_empty()).then(|| format!("gate {}: {}", gate.name, weakened.join(", ")))
    });
    found.collect()
}

/// What the reviewer of the current iteration was shown of test counts.
pub fn shown_to_reviewer(state: &State) -> Vec<String> {
    state.previous.verified.as_ref().map(|verified| weakened_gates(state, verified)).unwrap_or_default()
}

/// What the test counts of a gate say against its run on the base commit.
fn weakened(gate: &Gate, before: Option<&GateOutcome>, after: &GateOutcome) -> Vec<String> {
    let read = |[passed, failed, skipped]: [u64; 3]| TestCounts { passed, failed, skipped };
    let after = match after.counts {
        // A gate that is said to report, and reported before, has run no test when it does not any more.
        None if gate.junit.is_some() => Some([0; 3]),
        counts => counts,
    };
    match (before.and_then(|run| run.counts), after) {
        (Some(before), Some(after)) => {
            counts::findings(&read(before), &read(after)).iter().map(ToString::to_string).collect()
        }
        _ => Vec::new(),
    }
}

fn before<'a>(state: &'a State, name: &str) -> Option<&'a GateOutcome> {
    state.baseline.as_ref()?.gates.iter().find(|outcome| outcome.name == name)
}

fn level(state: &State, spec: &LoopRunSpec) -> &'static str {
    if spec.gates.is_empty() && !spec.review.enabled {
        return UNVERIFIED;
    }
    let failed_before =
        spec.gates.iter().any(|gate| before(state, &gate.name).is_some_and(|run| !run.passed()));
    if failed_before { FAIL_TO_PASS } else { NO_REGRESSION }
}
