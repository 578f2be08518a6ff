//! Which events may follow which state: the rest is refused and changes nothing.

use loop_api::journal::{AgentRun, Event, Granted, Merged, Outcome, Refusal, Reviewed, Verdict, Verified};
use loop_api::phase::{ExitReason, RunPhase, StepPhase, WatchdogAction, WatchdogSignal};
use loop_api::run::DeliveryMode;
use proptest::prelude::*;

use super::simulation::{Dice, any_work};
use super::{Next, Run, State, all_done, answers, created, next, outcome, resumed, spec, started, worktree};

const PHASES: [StepPhase; 7] = [
    StepPhase::Prepare,
    StepPhase::Baseline,
    StepPhase::Implementation,
    StepPhase::Review,
    StepPhase::Verification,
    StepPhase::Merge,
    StepPhase::Cleanup,
];

/// An outcome as a step of this kind has it, or now and then another one.
fn any_outcome(dice: &mut Dice, phase: StepPhase) -> Outcome {
    let tree: String = "tree".into();
    match if dice.one_in(5) { PHASES[usize::from(dice.roll(7))] } else { phase } {
        StepPhase::Prepare | StepPhase::Cleanup => Outcome::Done,
        StepPhase::Implementation => Outcome::Implemented(Box::new(any_work(dice, 0))),
        StepPhase::Review => {
            Outcome::Reviewed(Reviewed { tree, verdict: Verdict::Approved, findings: Vec::new() })
        }
        StepPhase::Baseline | StepPhase::Verification => {
            let gates = vec![outcome("check", i32::from(dice.one_in(3)))];
            Outcome::Verified(Verified { commit: "commit-tree".into(), tree, clean: true, gates })
        }
        StepPhase::Merge => {
            Outcome::Merged(Merged { commit: "m".into(), target: "t".into(), verified: None })
        }
    }
}

fn any_event(dice: &mut Dice, state: &State) -> Event {
    let open = state.open.as_ref().filter(|_| !dice.one_in(6));
    let step_id = open.map_or_else(|| "another".to_owned(), |open| open.id.clone());
    let phase = PHASES[usize::from(dice.roll(7))];
    match dice.roll(29) {
        0 => created(spec()),
        1 if dice.one_in(2) => started(),
        1 => Event::RunResumed { again: dice.one_in(2) },
        2 | 3 => {
            let near = state.iteration + u32::from(dice.roll(3));
            let iteration = if phase == StepPhase::Implementation { near } else { 0 };
            Event::StepStarted { step_id: "step".into(), phase, iteration, attempt: 1, clean: true }
        }
        4..=6 => {
            let phase = state.open.as_ref().map_or(phase, |open| open.phase);
            let (output_path, outcome) = (String::new(), any_outcome(dice, phase));
            Event::StepFinished {
                step_id,
                exit_code: 0,
                duration_ms: 1,
                output_path,
                output_bytes: 0,
                output_lines: 0,
                outcome,
            }
        }
        7 => Event::StepInterrupted { step_id },
        8 => Event::AgentRetry { step_id, reason: "busy".into(), wait_ms: 1 },
        9 => Event::Checkpoint { step_id, head: "commit-tree".into(), snapshot: "s".into() },
        10 => Event::WorktreeProviderSelected { provider: "git".into(), reason: String::new() },
        11 => Event::WorktreeCreating(worktree()),
        12 => Event::WorktreeCreated(worktree()),
        13 => Event::WorktreeRemoved { status: "cleaned".into(), message: String::new() },
        14 => Event::CompletionRefused(Refusal {
            reason: "r".into(),
            message: "m".into(),
            remedy: "r".into(),
            tree: "tree".into(),
        }),
        15 => Event::CompletionGranted(Granted {
            level: "NoRegression".into(),
            commit: "commit-tree".into(),
            tree: "tree".into(),
            mode: "plan".into(),
        }),
        16 => {
            let (signal, action) = (WatchdogSignal::NoProgress, WatchdogAction::Rewrite);
            Event::WatchdogDecision { signal, action, rewrite_count: 1 }
        }
        20 => Event::AgentStarted { step_id, session: "s".into(), resumed: dice.one_in(2), raw_offset: 0 },
        21 => Event::AgentFinished(Box::new(AgentRun {
            step_id,
            ending: "worked".into(),
            ..AgentRun::default()
        })),
        24 => Event::RunReset,
        25 => Event::CheckpointRestored { head: "commit-tree".into(), snapshot: "commit-tree".into() },
        26 => Event::LimitsChanged { limits: Box::default() },
        27 => Event::LeaseExpired { worker_id: "w".into(), revoked: dice.one_in(2) },
        28 => Event::LeaseGranted { worker_id: "w".into(), attempt: 1, seconds: 60 },
        22 => Event::PostmortemStart { reason: "manual".into() },
        23 => Event::PostmortemEnd(Box::default()),
        17 => Event::IterationFinished { iteration: state.iteration + u32::from(dice.roll(2)) },
        18 => match dice.roll(7) {
            0 => Event::RunCanceled,
            6 => Event::RunPaused,
            1 => {
                let (reason, message) = ("r".into(), "m".into());
                Event::RunFailed { exit_reason: ExitReason::Failed, reason, message }
            }
            _ => Event::RunCompleted { mode: "plan".into(), verified: true },
        },
        // What the machine itself would do, or the sequences would hardly ever get far.
        _ => match next(state, state.last_ms) {
            Next::Record(event) => event,
            Next::Run(step) => Event::StepStarted {
                step_id: "step".into(),
                phase: step.phase,
                iteration: step.iteration,
                attempt: step.attempt,
                clean: step.clean,
            },
            Next::Analyze(reason) => Event::PostmortemStart { reason },
            Next::Finish if dice.one_in(2) => started(),
            Next::Finish => Event::RunResumed { again: dice.one_in(2) },
        },
    }
}

fn may_follow(before: RunPhase, after: RunPhase) -> bool {
    use RunPhase::{Canceled, Completed, Failed, Paused, Pending, Running};
    before == after
        || matches!(
            (before, after),
            (Pending, Running | Canceled | Paused)
                | (Running, Completed | Failed | Canceled | Paused)
                | (Paused, Pending | Canceled)
                | (Failed | Canceled, Pending)
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn an_illegal_event_is_refused_and_changes_nothing_and_the_next_move_is_always_legal(
        merge in any::<bool>(),
        review in any::<bool>(),
        bytes in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        let mut spec = spec();
        spec.review.enabled = review;
        spec.delivery.mode = if merge { DeliveryMode::Merge } else { DeliveryMode::None };
        let mut dice = Dice::new(bytes);
        let mut state = State::default();
        state.apply(1, &created(spec)).unwrap();
        for ts in 2..200 {
            let event = any_event(&mut dice, &state);
            let before = state.clone();
            if let Err(error) = state.apply(ts, &event) {
                prop_assert_eq!(&state, &before);
                prop_assert!(error.to_string().starts_with("illegal transition: "), "{}", error);
            } else {
                    prop_assert!(may_follow(before.phase, state.phase), "{:?}", event);
                    prop_assert_eq!(state.phase.is_terminal(), state.ended.is_some());
                    prop_assert!(before.created.is_none() || state.created == before.created);
                    prop_assert!(before.granted.is_none() || state.granted == before.granted);
                    prop_assert!(before.merged.is_none() || state.merged == before.merged);
                    prop_assert!(state.iteration - before.iteration <= 1);
            }
            if matches!(state.phase, RunPhase::Pending | RunPhase::Paused) {
                // The engine starts a run before it asks for the next move.
                continue;
            }
            let decided = match next(&state, ts) {
                Next::Finish => continue,
                Next::Record(event) => event,
                Next::Analyze(reason) => Event::PostmortemStart { reason },
                Next::Run(step) => Event::StepStarted {
                    step_id: "next".into(),
                    phase: step.phase,
                    iteration: step.iteration,
                    attempt: step.attempt,
                    clean: step.clean,
                },
            };
            let mut after = state.clone();
            prop_assert_eq!(after.apply(ts, &decided), Ok(()), "{:?}", state);
        }
    }
}

/// A run in its cleanup, the last step of all.
fn cleaning() -> (Run, String) {
    let mut spec = spec();
    spec.delivery.mode = DeliveryMode::Merge;
    let mut run = Run::new(spec);
    let step_id = run.up_to(StepPhase::Cleanup, &answers(all_done("a")));
    (run, step_id)
}

#[test]
fn nothing_but_its_own_end_happens_while_a_completed_run_is_cleaned_up() {
    let (run, _) = cleaning();
    let failed =
        Event::RunFailed { exit_reason: ExitReason::Failed, reason: "r".into(), message: "m".into() };
    let another = Event::StepInterrupted { step_id: "another".into() };
    for event in [
        failed,
        another,
        Event::RunCanceled,
        Event::IterationFinished { iteration: 1 },
        started(),
        resumed(true)[0].clone(),
    ] {
        let mut state = run.state.clone();
        assert!(state.apply(1, &event).is_err(), "{event:?}");
        assert_eq!(state, run.state);
    }
}

#[test]
fn a_cleanup_is_over_only_when_it_says_what_became_of_the_worktree() {
    let (run, step_id) = cleaning();
    let done = |outcome| {
        let (step_id, output_path) = (step_id.clone(), String::new());
        Event::StepFinished {
            step_id,
            exit_code: 0,
            duration_ms: 1,
            output_path,
            output_bytes: 0,
            output_lines: 0,
            outcome,
        }
    };
    let failed = Outcome::Failed { reason: "r".into(), message: "m".into() };
    for outcome in [Outcome::Done, failed] {
        assert!(run.state.clone().apply(1, &done(outcome)).is_err());
    }
    let mut state = run.state;
    let removed = Event::WorktreeRemoved { status: "failed".into(), message: "busy".into() };
    state.apply(1, &removed).unwrap();
    state.apply(2, &done(Outcome::Done)).unwrap();
    assert_eq!(next(&state, 3), Next::Finish);
}

#[test]
fn a_run_that_was_reset_is_never_taken_up_again() {
    let mut run = Run::new(spec());
    assert!(
        run.state.clone().apply(1, &Event::RunReset).is_err(),
        "one that has not ended is canceled first"
    );
    run.state.apply(1, &Event::RunCanceled).unwrap();
    run.state.apply(2, &Event::RunReset).unwrap();
    assert!(run.state.reset && next(&run.state, 3) == Next::Finish);
    assert_eq!(run.state.cleanup, Some(("reset".into(), String::new())));
    for event in [Event::RunReset, resumed(true)[0].clone(), started(), Event::RunCanceled] {
        assert!(run.state.clone().apply(3, &event).is_err(), "{event:?}");
    }
    let (cleaning, _) = cleaning();
    assert!(cleaning.state.clone().apply(1, &Event::RunReset).is_err(), "its cleanup is open");
}

#[test]
fn a_grant_of_another_tree_than_the_one_worked_on_is_refused() {
    let mut run = Run::new(spec());
    run.iteration(&answers(super::work("a")));
    for (commit, tree) in [("commit-a", "b"), ("commit-b", "a")] {
        let (level, mode) = ("NoRegression".into(), "plan".into());
        let granted = Granted { level, commit: commit.into(), tree: tree.into(), mode };
        assert!(run.state.apply(1, &Event::CompletionGranted(granted)).is_err());
    }
}

#[test]
fn a_refused_event_is_named_together_with_what_it_met() {
    let mut run = Run::new(spec());
    run.up_to(StepPhase::Implementation, &answers(super::work("a")));
    let error = run.state.apply(1, &Event::RunCanceled).unwrap_err();
    assert_eq!(error.to_string(), "illegal transition: RUN_CANCELED while Running, step implementation open");
    let error = State::default().apply(1, &started()).unwrap_err();
    assert_eq!(error.to_string(), "illegal transition: RUN_STARTED while Pending");
}
