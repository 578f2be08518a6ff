//! Which step follows which (RUN-10 to RUN-14).

use loop_api::journal::{Event, Outcome, Verdict};
use loop_api::phase::StepPhase::{
    self, Baseline, Cleanup, Implementation, Merge, Prepare, Review, Verification,
};
use loop_api::run::{DeliveryMode, GateWhen};

use super::{Answers, Next, Run, all_done, answers, gate, next, spec, work};

#[test]
fn run_10_implementation_then_review_then_verification_then_the_next_iteration() {
    let mut spec = spec();
    spec.review.enabled = true;
    let mut run = Run::new(spec);
    let decisions = run.iteration(&answers(work("a")));
    assert_eq!(run.phases(), [Prepare, Baseline, Implementation, Review, Verification]);
    assert_eq!(decisions, [Event::IterationFinished { iteration: 1 }]);
    run.iteration(&answers(work("b")));
    assert_eq!(run.phases()[5..], [Implementation, Review, Verification]);
    assert_eq!(run.state.iteration, 2);
}

#[test]
fn run_12_review_and_verification_are_left_out_when_there_is_nothing_to_do() {
    let mut run = Run::new(spec());
    run.iteration(&answers(work("a")));
    assert_eq!(run.phases(), [Prepare, Baseline, Implementation, Verification]);

    let mut reviewed = spec();
    reviewed.gates.clear();
    reviewed.review.enabled = true;
    let mut run = Run::new(reviewed);
    run.iteration(&answers(work("a")));
    assert_eq!(run.phases(), [Prepare, Implementation, Review]);
}

#[test]
fn run_11_a_failed_gate_or_review_leads_to_the_next_implementation() {
    let mut spec = spec();
    spec.review.enabled = true;
    for (verdict, exit_code) in [(Verdict::ChangesRequested, 0), (Verdict::Approved, 1)] {
        let mut run = Run::new(spec.clone());
        run.iteration(&Answers { work: work("a"), verdict, exit_code });
        assert_eq!(run.phases(), [Prepare, Baseline, Implementation, Review, Verification]);
        let Next::Run(step) = next(&run.state, run.now) else { panic!("the run goes on") };
        assert_eq!((step.phase, step.iteration, step.attempt), (Implementation, 2, 1));
    }
}

#[test]
fn a_granted_run_is_merged_completed_and_cleaned_up() {
    let mut spec = spec();
    spec.delivery.mode = DeliveryMode::Merge;
    let mut run = Run::new(spec);
    let decisions = run.iteration(&answers(all_done("a")));
    assert_eq!(run.phases(), [Prepare, Baseline, Implementation, Verification, Merge, Cleanup]);
    assert!(matches!(&decisions[0], Event::CompletionGranted(granted) if granted.tree == "a"));
    assert_eq!(decisions[1], Event::RunCompleted { mode: "plan".into(), verified: true });
    assert_eq!(next(&run.state, run.now), Next::Finish);
}

#[test]
fn nothing_is_merged_or_cleaned_up_without_delivery() {
    let mut run = Run::new(spec());
    run.iteration(&answers(all_done("a")));
    assert_eq!(run.end().0, "complete_plan");
    assert_eq!(run.phases(), [Prepare, Baseline, Implementation, Verification]);
}

#[test]
fn only_a_verification_that_may_grant_is_clean_and_includes_the_final_gates() {
    let mut spec = spec();
    spec.gates.push(gate("final"));
    spec.gates[1].when = GateWhen::Final;
    let mut run = Run::new(spec);
    run.iteration(&answers(work("a")));
    run.iteration(&answers(all_done("b")));
    let clean: Vec<bool> =
        run.steps.iter().filter(|step| step.phase == Verification).map(|step| step.clean).collect();
    assert_eq!(clean, [false, true]);
    assert_eq!(run.state.granted_gates.as_ref().map(|run| run.gates.len()), Some(2));
    assert_eq!(run.end().0, "complete_plan");
}

#[test]
fn bug_9_the_last_allowed_iteration_is_reviewed_and_verified_and_may_complete() {
    let mut spec = spec();
    spec.review.enabled = true;
    spec.settings.iterations = 2;
    let mut run = Run::new(spec.clone());
    run.iterations(&[answers(work("a")), answers(all_done("b"))]);
    assert_eq!(run.phases()[5..], [Implementation, Review, Verification]);
    assert_eq!(run.end().0, "complete_plan");

    let mut run = Run::new(spec);
    run.iterations(&[answers(work("a")), answers(work("b"))]);
    assert_eq!(run.phases()[5..], [Implementation, Review, Verification]);
    assert_eq!((run.end().0, run.end().1), ("iterations_exhausted", "iteration_limit_reached:2"));
}

#[test]
fn run_78_a_step_without_an_end_is_run_again_as_a_further_attempt() {
    for phase in [Prepare, Baseline, Implementation, Review, Verification, Merge, Cleanup] {
        let mut spec = spec();
        spec.review.enabled = true;
        spec.delivery.mode = DeliveryMode::Merge;
        let mut run = Run::new(spec);
        let step_id = run.up_to(phase, &answers(all_done("a")));
        let begun = *run.steps_begun().last().unwrap();
        run.state = run.reopened();
        if phase != Cleanup {
            run.append(super::started());
        }
        let Next::Record(event) = next(&run.state, run.now) else { panic!("{phase:?} is interrupted first") };
        assert_eq!(event, Event::StepInterrupted { step_id });
        run.append(event);
        let Next::Run(step) = next(&run.state, run.now) else { panic!("{phase:?} is run again") };
        assert_eq!((step.phase, step.attempt), (phase, begun.1 + 1));
        run.iteration(&answers(all_done("a")));
        assert_eq!(run.end().0, "complete_plan", "{phase:?}");
    }
}

#[test]
fn run_27_an_agent_that_fails_for_good_ends_the_run_with_its_own_reason() {
    let mut run = Run::new(spec());
    let step_id = run.up_to(Implementation, &answers(work("a")));
    let reason = "runner_execution_failed:timeout".to_owned();
    run.finish(step_id, Outcome::Failed { reason, message: "the agent failed".into() });
    run.iteration(&answers(work("a")));
    assert_eq!(run.end(), ("agent_failed", "runner_execution_failed:timeout", "the agent failed"));
}

#[test]
fn any_other_step_that_cannot_be_done_ends_the_run_as_failed() {
    for phase in [Prepare, Baseline, Verification, Merge] {
        let mut spec = spec();
        spec.delivery.mode = DeliveryMode::Merge;
        let mut run = Run::new(spec);
        let step_id = run.up_to(phase, &answers(all_done("a")));
        let reason = "run_error:disk full".to_owned();
        run.finish(step_id, Outcome::Failed { reason, message: "make room".into() });
        run.iteration(&answers(work("a")));
        assert_eq!(run.end(), ("failed", "run_error:disk full", "make room"), "{phase:?}");
    }
}

impl Run {
    fn steps_begun(&self) -> Vec<(StepPhase, u32)> {
        let begun = self.events.iter().filter_map(|(_, event)| match event {
            Event::StepStarted { phase, attempt, .. } => Some((*phase, *attempt)),
            _ => None,
        });
        begun.collect()
    }
}
