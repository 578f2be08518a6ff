//! The ends that rest on what the agent claims and on what the plan says.

use loop_api::completion::Token;
use loop_api::journal::{Event, Implemented, PlanFacts, Verdict};
use loop_api::phase::RunPhase;
use loop_api::run::CompletionMode;

use super::{Answers, Next, Run, all_done, answers, next, spec, work};

fn asking(tree: &str) -> Implemented {
    Implemented { token: Token::Accepted, ..work(tree) }
}

#[test]
fn completion_refused_three_times_for_the_same_tree_ends_the_run_with_the_reason() {
    let mut run = Run::new(spec());
    let decisions = run.iterations(&["a", "a", "a"].map(|tree| answers(asking(tree))));
    assert!(matches!(&decisions[0], Event::CompletionRefused(refusal) if refusal.reason == "tasks_open"));
    assert_eq!((run.end().0, run.end().1), ("completion_refused", "completion_refused:tasks_open"));
    assert!(run.end().2.contains("second"), "the open task is named: {}", run.end().2);
    assert_eq!(run.state.iteration, 3);
}

#[test]
fn a_refusal_of_another_tree_or_for_another_reason_is_counted_anew() {
    let mut run = Run::new(spec());
    run.iterations(&["a", "a", "b", "b"].map(|tree| answers(asking(tree))));
    assert_eq!(run.state.same_refusal, 2);
    let reworded = PlanFacts { missing: vec!["first".into()], ..asking("b").plan };
    run.iteration(&answers(Implemented { plan: reworded, ..asking("b") }));
    assert_eq!((run.state.same_refusal, run.state.ended.is_none()), (1, true));
}

#[test]
fn refusals_are_counted_also_when_iterations_without_a_request_lie_between() {
    let mut run = Run::new(spec());
    run.iterations(&[asking("a"), asking("a"), work("a"), asking("a")].map(answers));
    assert_eq!(run.end().1, "completion_refused:tasks_open");
}

#[test]
fn bug_10_a_review_that_asks_for_changes_refuses_completion() {
    let mut spec = spec();
    spec.review.enabled = true;
    let rejected = Answers { verdict: Verdict::ChangesRequested, ..answers(all_done("a")) };
    let mut run = Run::new(spec);
    run.iterations(&[rejected.clone(), rejected.clone(), rejected]);
    assert_eq!(run.end().1, "completion_refused:review");
}

#[test]
fn only_blocked_tasks_left_end_the_run_in_the_words_of_the_plan() {
    let plan = PlanFacts {
        done: 1,
        total: 2,
        blocked: vec!["Call the service".into()],
        not_done: vec!["Call the service".into()],
        only_blocked: true,
        blockers: "The service needs a key.".into(),
        ..PlanFacts::default()
    };
    let mut run = Run::new(spec());
    run.iteration(&answers(Implemented { plan: plan.clone(), ..work("a") }));
    assert_eq!((run.end().0, run.end().1), ("plan_blocked", "plan_blocked"));
    assert!(run.end().2.contains("The service needs a key."), "{}", run.end().2);

    let mut run = Run::new(spec());
    run.iteration(&answers(Implemented { plan: PlanFacts { blockers: String::new(), ..plan }, ..work("a") }));
    assert!(run.end().2.contains("Call the service"), "without such a section the tasks are named");
}

#[test]
fn a_run_without_gate_and_reviewer_ends_unverified() {
    let mut spec = spec();
    spec.gates.clear();
    spec.settings.allow_unverified = true;
    let mut run = Run::new(spec);
    let decisions = run.iteration(&answers(all_done("a")));
    assert!(matches!(&decisions[0], Event::CompletionGranted(granted) if granted.level == "Unverified"));
    assert_eq!(decisions[1], Event::RunCompleted { mode: "plan".into(), verified: false });
    assert!(!run.state.evidenced);
}

#[test]
fn run_34_the_mode_says_what_asked_for_completion() {
    let asked = Implemented { token: Token::Accepted, ..all_done("a") };
    for (mode, work, said) in [
        (CompletionMode::Exact, asked.clone(), "exact"),
        (CompletionMode::Trailing, asked.clone(), "trailing"),
        (CompletionMode::Exact, all_done("a"), "plan"),
        (CompletionMode::Trailing, Implemented { token: Token::Malformed, ..asked }, "plan"),
    ] {
        let mut spec = spec();
        spec.settings.completion_mode = mode;
        let mut run = Run::new(spec);
        let decisions = run.iteration(&answers(work));
        assert_eq!(decisions.last(), Some(&Event::RunCompleted { mode: said.into(), verified: true }));
    }
}

#[test]
fn the_token_alone_completes_a_run_whose_plan_has_no_tasks() {
    let bare = Implemented { plan: PlanFacts::default(), ..work("a") };
    let mut run = Run::new(spec());
    run.iteration(&answers(bare.clone()));
    assert!(run.state.ended.is_none(), "an empty plan asks for nothing");
    run.iteration(&answers(Implemented { token: Token::Accepted, ..bare }));
    assert_eq!(run.end().0, "complete_plan");
}

#[test]
fn a_canceled_run_stays_canceled() {
    let mut run = Run::new(spec());
    run.iteration(&answers(work("a")));
    run.append(Event::RunCanceled);
    assert_eq!(run.state.phase, RunPhase::Canceled);
    assert_eq!(run.end().0, "canceled");
    assert_eq!(next(&run.state, i64::MAX), Next::Finish);
}
