//! The rules of the grant: each one, and that the first one broken is the one that is named.

use loop_api::completion::Token;
use loop_api::journal::{
    GateOutcome, Implemented, PlanFacts, Reviewed, Verdict, Verified, Violation, WorktreeFacts,
};
use loop_api::run::Require;

use super::{all_done, created, gate, outcome, spec, worktree};
use crate::machine::State;
use crate::machine::grant::{decide, is_asked, may_grant};

/// A state in which everything is as it should be, with review and a gate that failed before.
fn good() -> State {
    let mut state = State::default();
    let mut spec = spec();
    spec.review.enabled = true;
    spec.gates.push(gate("other"));
    state.apply(0, &created(spec)).unwrap();
    let gates = |exit_code| vec![outcome("check", exit_code), outcome("other", 0)];
    let verified = |tree: &str, exit_code| Verified {
        commit: format!("commit-{tree}"),
        tree: tree.into(),
        clean: true,
        gates: gates(exit_code),
    };
    state.baseline = Some(verified("base", 1));
    state.current.implemented = Some(Implemented { token: Token::Accepted, ..all_done("a") });
    state.current.reviewed =
        Some(Reviewed { tree: "a".into(), verdict: Verdict::Approved, findings: Vec::new() });
    state.current.verified = Some(verified("a", 0));
    state
}

fn work(state: &mut State) -> &mut Implemented {
    state.current.implemented.as_mut().unwrap()
}

fn after(state: &mut State) -> &mut GateOutcome {
    &mut state.current.verified.as_mut().unwrap().gates[0]
}

fn before(state: &mut State) -> &mut GateOutcome {
    &mut state.baseline.as_mut().unwrap().gates[0]
}

fn change_spec(state: &mut State, change: impl FnOnce(&mut loop_api::run::LoopRunSpec)) {
    change(&mut state.created.as_mut().unwrap().spec);
}

fn without_review(state: &mut State) {
    change_spec(state, |spec| spec.review.enabled = false);
    state.current.reviewed = None;
}

type Break = fn(&mut State);

/// Every way to break a rule, in the order in which the rules are asked.
const BREAKS: &[(&str, &str, Break)] = &[
    ("base_rewritten", "no longer contains", |state| work(state).descends = false),
    ("nothing_done", "nothing differs", |state| {
        state.worktree = Some(WorktreeFacts { base_tree: "a".into(), ..worktree() });
    }),
    ("tasks_missing", "first", |state| work(state).plan.missing = vec!["first".into()]),
    ("tasks_blocked", "second", |state| work(state).plan.blocked = vec!["second".into()]),
    ("tasks_open", "third", |state| work(state).plan.not_done = vec!["third".into()]),
    ("protected_paths", "ci.sh (a gate's script)", |state| {
        work(state).violations = vec![Violation { path: "ci.sh".into(), rule: "a gate's script".into() }];
    }),
    ("tests_weakened", "t.py: test file deleted", |state| {
        without_review(state);
        work(state).findings = vec!["t.py: test file deleted".into()];
    }),
    ("review", "did not approve", |state| {
        if let Some(review) = &mut state.current.reviewed {
            review.verdict = Verdict::ChangesRequested;
        }
    }),
    ("review", "did not approve", |state| {
        if let Some(review) = &mut state.current.reviewed {
            review.tree = "b".into();
        }
    }),
    ("review", "did not approve", |state| state.current.reviewed = None),
    ("not_verified", "did not run on this tree", |state| state.current.verified = None),
    ("not_verified", "clean checkout", |state| state.current.verified.as_mut().unwrap().clean = false),
    ("not_verified", "this tree", |state| state.current.verified.as_mut().unwrap().tree = "b".into()),
    ("gate_missing", "gate check", |state| after(state).name = "another".into()),
    ("gate_failed", "exit code 3", |state| after(state).exit_code = 3),
    ("gate_failed", "ran out of time", |state| after(state).timed_out = true),
    ("gate_failed", "ran out of memory", |state| {
        let after = after(state);
        (after.exit_code, after.out_of_memory) = (137, true);
    }),
    ("not_fail_to_pass", "already passed", |state| {
        change_spec(state, |spec| spec.gates[0].require = Require::FailToPass);
        if state.baseline.is_some() {
            before(state).exit_code = 0;
        }
    }),
    ("not_fail_to_pass", "already passed", |state| {
        change_spec(state, |spec| spec.gates[0].require = Require::FailToPass);
        state.baseline = None;
    }),
    ("gate_failed", "gate other", |state| {
        state.current.verified.as_mut().unwrap().gates[1].exit_code = 1;
    }),
    ("tests_weakened", "fewer tests run: 1, before 2", |state| {
        without_review(state);
        before(state).counts = Some([2, 0, 0]);
        after(state).counts = Some([1, 0, 0]);
    }),
    ("tests_weakened", "more tests skipped: 1, before 0", |state| {
        without_review(state);
        before(state).counts = Some([2, 0, 0]);
        after(state).counts = Some([2, 0, 1]);
    }),
    ("tests_weakened", "fewer tests run: 0, before 2", |state| {
        without_review(state);
        change_spec(state, |spec| spec.gates[0].junit = Some("*.xml".into()));
        before(state).counts = Some([2, 0, 0]);
    }),
];

#[test]
fn a_state_that_breaks_no_rule_is_granted_for_exactly_its_commit_and_tree() {
    let granted = decide(&good()).unwrap();
    assert_eq!((granted.commit.as_str(), granted.tree.as_str()), ("commit-a", "a"));
}

#[test]
fn each_rule_refuses_with_its_reason_what_was_seen_and_a_remedy() {
    for (reason, seen, break_it) in BREAKS {
        let mut state = good();
        break_it(&mut state);
        let refusal = decide(&state).unwrap_err();
        assert_eq!(refusal.reason, *reason, "{seen}");
        assert!(refusal.message.contains(seen), "{reason}: {}", refusal.message);
        assert!(!refusal.remedy.is_empty(), "{reason}");
        assert_eq!(refusal.tree, "a", "{reason}");
    }
}

/// Breaks one rule after the other, from the last to the first: the newest break is always the one that is named.
fn first_wins(
    mut state: State,
    rules: impl DoubleEndedIterator<Item = &'static (&'static str, &'static str, Break)>,
) {
    for (reason, seen, break_it) in rules.rev() {
        break_it(&mut state);
        assert_eq!(decide(&state).unwrap_err().reason, *reason, "{seen}");
    }
}

#[test]
fn of_many_broken_rules_the_first_is_named() {
    first_wins(good(), BREAKS.iter().filter(|(reason, ..)| *reason != "tests_weakened"));
    first_wins(good(), BREAKS.iter().filter(|(reason, ..)| *reason != "review"));
}

#[test]
fn a_tree_that_is_the_bases_is_complete_only_when_the_base_plan_was_done_already() {
    let mut state = good();
    let base = WorktreeFacts { base_tree: "a".into(), tasks_done: 2, tasks_total: 2, ..worktree() };
    state.worktree = Some(base.clone());
    assert!(decide(&state).is_ok());
    state.worktree = Some(WorktreeFacts { tasks_done: 1, ..base });
    assert_eq!(decide(&state).unwrap_err().reason, "nothing_done");
}

#[test]
fn before_any_implementation_nothing_is_granted() {
    let mut state = good();
    state.current.implemented = None;
    assert!(!is_asked(&state));
    assert_eq!(decide(&state).unwrap_err().reason, "nothing_done");
}

#[test]
fn a_reviewer_may_accept_lost_tests_and_fewer_counts() {
    let mut state = good();
    work(&mut state).findings = vec!["t.py: test file deleted".into()];
    before(&mut state).counts = Some([2, 0, 0]);
    after(&mut state).counts = Some([1, 0, 1]);
    let refusal = decide(&state).unwrap_err();
    assert_eq!(refusal.reason, "tests_weakened", "the reviewer has not been shown the counts yet");
    state.previous.verified = state.current.verified.clone();
    assert!(decide(&state).is_ok(), "approved with the counts in view");
    after(&mut state).counts = Some([0, 0, 2]);
    assert_eq!(decide(&state).unwrap_err().reason, "tests_weakened", "other counts than the ones shown");
}

#[test]
fn more_tests_or_counts_that_only_exist_now_are_no_finding() {
    for (old, new) in [(None, Some([1, 0, 0])), (Some([1, 1, 0]), Some([3, 0, 0])), (Some([2, 0, 0]), None)] {
        let mut state = good();
        without_review(&mut state);
        before(&mut state).counts = old;
        after(&mut state).counts = new;
        assert!(decide(&state).is_ok(), "{old:?} {new:?}");
    }
}

#[test]
fn completion_is_asked_for_by_the_token_or_by_a_plan_that_is_all_done() {
    let plan = |done, total, missing: &[&str]| PlanFacts {
        done,
        total,
        missing: missing.iter().map(|&text| text.to_owned()).collect(),
        ..PlanFacts::default()
    };
    for (token, plan, asked) in [
        (Token::Absent, plan(2, 2, &[]), true),
        (Token::Malformed, plan(2, 2, &[]), true),
        (Token::Accepted, plan(1, 2, &[]), true),
        (Token::Accepted, plan(0, 0, &[]), true),
        (Token::Absent, plan(1, 2, &[]), false),
        (Token::Malformed, plan(1, 2, &[]), false),
        (Token::Absent, plan(0, 0, &[]), false),
        (Token::Absent, plan(2, 2, &["a task"]), false),
    ] {
        let mut state = good();
        *work(&mut state) = Implemented { token, plan: plan.clone(), ..all_done("a") };
        assert_eq!(is_asked(&state), asked, "{token:?} {plan:?}");
    }
}

#[test]
fn a_verification_is_the_granting_one_only_when_nothing_but_the_gates_is_left() {
    assert!(may_grant(&good()));
    for (reason, seen, break_it) in BREAKS {
        let mut state = good();
        break_it(&mut state);
        let by_gates =
            matches!(*reason, "not_verified" | "gate_missing" | "gate_failed" | "not_fail_to_pass")
                || seen.contains("tests run")
                || seen.contains("tests skipped");
        assert_eq!(may_grant(&state), by_gates, "{reason}: {seen}");
    }
}

#[test]
fn the_evidence_level_says_what_the_gates_prove() {
    let mut state = good();
    assert_eq!(decide(&state).unwrap().level, "FailToPass");
    before(&mut state).exit_code = 0;
    assert_eq!(decide(&state).unwrap().level, "NoRegression");
    change_spec(&mut state, |spec| spec.gates.clear());
    assert_eq!(decide(&state).unwrap().level, "NoRegression", "the reviewer alone stands behind it");
    without_review(&mut state);
    assert_eq!(decide(&state).unwrap().level, "Unverified");
}

#[test]
fn a_gate_that_failed_before_meets_the_fail_to_pass_requirement() {
    let mut state = good();
    change_spec(&mut state, |spec| spec.gates[0].require = Require::FailToPass);
    assert!(decide(&state).is_ok());
}
