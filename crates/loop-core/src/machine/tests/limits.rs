//! What bounds a run: consecutive failures, iterations, the deadline, and what another try resets.

use loop_api::journal::{Event, Outcome, Verdict};
use loop_api::phase::{ExitReason, StepPhase};
use loop_api::run::DeliveryMode;

use super::{Answers, Next, Run, all_done, answers, next, resumed, spec, started, work};

fn failing(tree: &str) -> Answers {
    Answers { exit_code: 1, ..answers(work(tree)) }
}

fn rejected(tree: &str) -> Answers {
    Answers { verdict: Verdict::ChangesRequested, ..answers(work(tree)) }
}

#[test]
fn run_47_three_failed_verifications_in_a_row_end_the_run_and_one_that_passes_starts_anew() {
    let mut run = Run::new(spec());
    run.iterations(&[failing("a"), failing("b"), answers(work("c")), failing("d"), failing("e")]);
    assert!(run.state.ended.is_none());
    let decisions = run.iteration(&failing("f"));
    assert_eq!(decisions.len(), 1, "nothing comes between the third failure and the end");
    assert_eq!(run.end().1, "max_consecutive_failures:verification:3");
    assert_eq!(run.end().0, "failed");
    assert_eq!(run.state.iteration, 6);
}

#[test]
fn run_48_the_counters_are_rebuilt_from_the_journal() {
    let mut run = Run::new(spec());
    run.iterations(&[failing("a"), failing("b")]);
    run.state = run.reopened();
    run.append(started());
    assert_eq!(run.state.failed_verifications, 2, "an interruption is no new try");
    run.iteration(&failing("c"));
    assert_eq!(run.end().1, "max_consecutive_failures:verification:3");
}

#[test]
fn run_48_a_limit_of_zero_is_off() {
    let mut spec = spec();
    spec.settings.max_consecutive_verification_failures = 0;
    spec.settings.iterations = 6;
    let mut run = Run::new(spec);
    run.iterations(&["a", "b", "c", "d", "e", "f"].map(failing));
    assert_eq!(run.end().1, "iteration_limit_reached:6");
}

#[test]
fn run_47_the_verification_limit_is_tested_before_that_of_the_review() {
    let mut spec = spec();
    spec.review.enabled = true;
    spec.settings.max_consecutive_verification_failures = 2;
    spec.settings.max_consecutive_review_failures = 2;
    let both = |tree| Answers { verdict: Verdict::ChangesRequested, ..failing(tree) };
    let mut run = Run::new(spec);
    run.iterations(&[both("a"), both("b")]);
    assert_eq!(run.end().1, "max_consecutive_failures:verification:2");
}

#[test]
fn bug_8_a_failing_review_goes_on_to_verification_and_is_bounded() {
    let mut spec = spec();
    spec.review.enabled = true;
    spec.settings.iterations = 4;
    let mut run = Run::new(spec.clone());
    run.iterations(&["a", "b", "c", "d"].map(rejected));
    assert_eq!(run.end().1, "iteration_limit_reached:4", "off by default, so the iterations bound it");
    let verifications = run.phases().iter().filter(|phase| **phase == StepPhase::Verification).count();
    assert_eq!(verifications, 4);

    spec.settings.max_consecutive_review_failures = 2;
    let mut run = Run::new(spec);
    run.iterations(&[rejected("a"), answers(work("b")), rejected("c"), rejected("d")]);
    assert_eq!(run.end().1, "max_consecutive_failures:review:2");
}

#[test]
fn bug_22_another_try_starts_with_fresh_limits() {
    let mut spec = spec();
    spec.settings.iterations = 4;
    let mut run = Run::new(spec);
    run.iterations(&["a", "b", "c"].map(failing));
    assert_eq!(run.end().1, "max_consecutive_failures:verification:3");
    for event in resumed(true) {
        run.append(event);
    }
    assert!(run.state.ended.is_none());
    run.iterations(&["d", "e"].map(failing));
    assert!(run.state.ended.is_none(), "the old failures do not count");
    run.iteration(&failing("f"));
    assert_eq!(run.end().1, "max_consecutive_failures:verification:3");

    for event in resumed(true) {
        run.append(event);
    }
    run.iterations(&["g", "h", "i", "j"].map(|tree| answers(work(tree))));
    assert_eq!(run.end().1, "iteration_limit_reached:4", "four more were allowed");
    assert_eq!(run.state.iteration, 10, "iterations are numbered through");
}

#[test]
fn another_try_forgets_refusals_and_rewrites() {
    let mut run = Run::new(spec());
    let still = super::watchdog::still("a", true);
    run.iterations(&[answers(still.clone()), answers(still.clone()), answers(still.clone())]);
    assert_eq!(run.end().1, "watchdog_failed:no_progress");
    for event in resumed(true) {
        run.append(event);
    }
    assert_eq!((run.state.rewrites, run.state.same_refusal), (0, 0));
    let decisions = run.iteration(&answers(still));
    assert!(
        matches!(decisions[0], Event::WatchdogDecision { rewrite_count: 1, .. }),
        "the first rewrite of this try: {decisions:?}"
    );
}

#[test]
fn a_failed_merge_is_tried_again_without_another_iteration() {
    let mut spec = spec();
    spec.delivery.mode = DeliveryMode::Merge;
    let mut run = Run::new(spec);
    let step_id = run.up_to(StepPhase::Merge, &answers(all_done("a")));
    let reason = "merge_failed:MergeConflict".to_owned();
    run.finish(step_id, Outcome::Failed { reason, message: "conflict".into() });
    run.iteration(&answers(work("x")));
    assert_eq!((run.end().0, run.end().1), ("failed", "merge_failed:MergeConflict"));
    for event in resumed(true) {
        run.append(event);
    }
    let Next::Run(step) = next(&run.state, run.now) else { panic!("the merge is tried again") };
    assert_eq!(step.phase, StepPhase::Merge);
}

#[test]
fn a_run_past_its_deadline_is_timed_out_and_another_try_gets_the_time_again() {
    let mut spec = spec();
    spec.limits.active_deadline_seconds = Some(100);
    let mut run = Run::new(spec);
    run.iteration(&answers(work("a")));
    run.now = run.state.started_ms + 99_999;
    assert!(matches!(next(&run.state, run.now), Next::Run(_)));
    run.now = run.state.started_ms + 100_000;
    run.iteration(&answers(work("b")));
    assert_eq!((run.end().0, run.end().1), ("timed_out", "timed_out:100s"));
    assert!(run.end().2.contains("100 s passed; resume it"), "{}", run.end().2);
    for event in resumed(true) {
        run.append(event);
    }
    assert!(matches!(next(&run.state, run.now), Next::Run(_)));
}

#[test]
fn an_interruption_does_not_move_the_deadline() {
    let mut spec = spec();
    spec.limits.active_deadline_seconds = Some(100);
    let mut run = Run::new(spec);
    run.iteration(&answers(work("a")));
    let started_ms = run.state.started_ms;
    run.now += 90_000;
    run.append(started());
    assert_eq!(run.state.started_ms, started_ms);
}

#[test]
fn a_pause_moves_the_deadline_by_its_own_length() {
    let mut spec = spec();
    spec.limits.active_deadline_seconds = Some(100);
    let mut run = Run::new(spec);
    run.iterations(&[answers(work("a"))]);
    let before = run.state.started_ms;
    run.now = before + 60_000;
    run.append(Event::RunPaused);
    assert_eq!(next(&run.state, run.now), Next::Finish);
    run.now += 1_000_000;
    for event in resumed(false) {
        run.append(event);
    }
    let moved = run.state.started_ms;
    assert!((before + 1_000_000..=before + 1_002_000).contains(&moved), "{before} {moved}");
    assert!(matches!(next(&run.state, moved + 99_999), Next::Run(_)));
    assert!(matches!(next(&run.state, moved + 100_000), Next::Record(Event::RunFailed { .. })));
}

#[test]
fn waiting_to_go_on_counts_for_no_deadline() {
    let mut spec = spec();
    spec.limits.active_deadline_seconds = Some(100);
    let mut run = Run::new(spec);
    run.iterations(&[answers(work("a"))]);
    let used = run.now - run.state.started_ms;
    for again in [false, true] {
        run.append(if again { Event::RunCanceled } else { Event::RunPaused });
        run.now += 500_000;
        // It waits for its turn, is paused meanwhile, and waits once more.
        run.append(Event::RunResumed { again });
        run.now += 500_000;
        run.append(Event::RunPaused);
        run.now += 500_000;
        for event in resumed(false) {
            run.append(event);
        }
        let counted = run.now - run.state.started_ms;
        assert!(counted <= if again { 0 } else { used + 1000 }, "{counted} ms of {used}");
    }
}

#[test]
fn the_budget_is_checked_before_agents_only_and_another_try_gets_as_much_again() {
    let mut spec = spec();
    spec.limits.cost_usd = Some("0.5".into());
    let mut run = Run::new(spec);
    run.iterations(&[answers(work("a"))]);
    run.state.usage.cost_nano_usd = 499_999_999;
    assert!(matches!(next(&run.state, run.now), Next::Run(_)));
    run.state.usage.cost_nano_usd = 500_000_000;
    let Next::Record(end) = next(&run.state, run.now) else { panic!("the budget is used") };
    run.append(end);
    assert_eq!(run.end().1, "budget_exceeded:cost");
    for event in resumed(true) {
        run.append(event);
    }
    assert!(matches!(next(&run.state, run.now), Next::Run(_)));
    run.state.usage.cost_nano_usd = 1_000_000_000;
    assert!(matches!(next(&run.state, run.now), Next::Record(Event::RunFailed { .. })));
}

#[test]
fn what_has_been_merged_is_completed_also_after_the_deadline() {
    let mut spec = spec();
    spec.limits.active_deadline_seconds = Some(100);
    spec.delivery.mode = DeliveryMode::Merge;
    let mut run = Run::new(spec);
    let step_id = run.up_to(StepPhase::Merge, &answers(all_done("a")));
    let (commit, target) = ("commit-merge".into(), "target".into());
    run.finish(step_id, Outcome::Merged(loop_api::journal::Merged { commit, target, verified: None }));
    run.now += 200_000;
    run.iteration(&answers(work("b")));
    assert_eq!(run.state.ended.as_ref().map(|end| end.0), Some(ExitReason::CompletePlan));
}
