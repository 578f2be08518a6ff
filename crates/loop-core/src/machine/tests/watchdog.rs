//! The watchdog's signals, their priority, and what is done about them (RUN-49 to RUN-60).

use loop_api::completion::Token;
use loop_api::journal::{Event, Implemented, Verified};
use loop_api::phase::{WatchdogAction, WatchdogSignal};

use super::{Answers, Run, answers, outcome, spec, work};
use crate::machine::Iteration;
use crate::machine::watchdog::{action, advice, signal, similarity, speaks_of_stalling};

/// An iteration that changed nothing.
pub(super) fn still(tree: &str, stalled: bool) -> Implemented {
    Implemented { changed_files: 0, stalled, ..work(tree) }
}

fn seen(work: Implemented, exit_code: i32) -> Iteration {
    let (commit, tree) = (work.head.clone(), work.tree.clone());
    let gates = vec![outcome("check", exit_code)];
    Iteration {
        implemented: Some(work),
        verified: Some(Verified { commit, tree, clean: false, gates }),
        ..Iteration::default()
    }
}

#[test]
fn run_54_the_strongest_signal_wins() {
    use WatchdogSignal::{MalformedComplete, NoProgress, RepeatedTask, VerificationFailed};
    let everything = Implemented { similarity: 100, token: Token::Malformed, ..still("a", true) };
    let calm = Implemented { stalled: false, ..everything.clone() };
    let moving = Implemented { changed_files: 1, ..everything.clone() };
    let quiet = Implemented { token: Token::Absent, ..moving.clone() };
    let (moved, stood) = (seen(work("z"), 0), seen(still("z", false), 0));
    for (case, now, before, expected) in [
        ("all four", seen(everything.clone(), 1), &moved, Some(VerificationFailed)),
        ("no change and words of stalling", seen(everything, 0), &moved, Some(NoProgress)),
        ("no change twice", seen(calm.clone(), 0), &stood, Some(NoProgress)),
        ("no change and the same words", seen(calm.clone(), 0), &moved, Some(RepeatedTask)),
        ("a token out of place", seen(moving, 0), &moved, Some(MalformedComplete)),
        (
            "the first iteration has nothing to repeat",
            seen(calm, 0),
            &Iteration::default(),
            Some(MalformedComplete),
        ),
        ("words of stalling and repeated words beside progress", seen(quiet, 0), &moved, None),
    ] {
        assert_eq!(signal(&now, before), expected, "{case}");
    }
}

#[test]
fn run_51_only_more_than_85_percent_is_the_same_output() {
    let moved = seen(work("z"), 0);
    for (similarity, expected) in [(85, None), (86, Some(WatchdogSignal::RepeatedTask))] {
        let now = seen(Implemented { similarity, ..still("a", false) }, 0);
        assert_eq!(signal(&now, &moved), expected, "{similarity}");
    }
}

#[test]
fn run_55_three_signals_are_rewritten_up_to_the_limit_and_a_failed_gate_never_fails_the_run() {
    use WatchdogSignal::{MalformedComplete, NoProgress, RepeatedTask, VerificationFailed};
    for signal in [NoProgress, RepeatedTask, MalformedComplete] {
        assert_eq!(action(signal, 0, 2), WatchdogAction::Rewrite);
        assert_eq!(action(signal, 1, 2), WatchdogAction::Rewrite);
        assert_eq!(action(signal, 2, 2), WatchdogAction::Fail);
        assert_eq!(action(signal, 0, 0), WatchdogAction::Fail);
    }
    assert_eq!(action(VerificationFailed, 2, 2), WatchdogAction::Continue, "BUG-16");
}

#[test]
fn run_56_after_two_rewrites_the_next_signal_ends_the_run() {
    let mut run = Run::new(spec());
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.extend(run.iteration(&answers(still("a", true))));
    }
    let decisions: Vec<_> = seen
        .iter()
        .filter_map(|event| match event {
            Event::WatchdogDecision { signal, action, rewrite_count } => {
                Some((signal.as_str(), *action, *rewrite_count))
            }
            _ => None,
        })
        .collect();
    assert_eq!(
        decisions,
        [
            ("no_progress", WatchdogAction::Rewrite, 1),
            ("no_progress", WatchdogAction::Rewrite, 2),
            ("no_progress", WatchdogAction::Fail, 2),
        ]
    );
    assert_eq!((run.end().0, run.end().1), ("failed", "watchdog_failed:no_progress"));
}

#[test]
fn bug_16_a_failed_gate_after_two_rewrites_does_not_end_the_run() {
    let mut run = Run::new(spec());
    run.iterations(&[answers(still("a", true)), answers(still("a", true))]);
    assert_eq!(run.state.rewrites, 2);
    let decisions = run.iteration(&Answers { exit_code: 1, ..answers(work("b")) });
    assert_eq!(
        decisions[0],
        Event::WatchdogDecision {
            signal: WatchdogSignal::VerificationFailed,
            action: WatchdogAction::Continue,
            rewrite_count: 2
        }
    );
    assert!(run.state.ended.is_none());
    run.iteration(&answers(super::all_done("c")));
    assert_eq!(run.end().0, "complete_plan");
}

#[test]
fn run_58_each_signal_has_advice_of_its_own() {
    use WatchdogSignal::{MalformedComplete, NoProgress, RepeatedTask, VerificationFailed};
    let all: std::collections::BTreeSet<_> =
        [MalformedComplete, NoProgress, RepeatedTask, VerificationFailed].map(advice).into();
    assert_eq!(all.len(), 4);
    assert!(advice(MalformedComplete).contains("<promise>COMPLETE</promise>"));
}

#[test]
fn run_51_similarity_is_the_share_of_equal_lines_at_the_same_place() {
    for (one, other, percent) in [
        ("", "", 100),
        ("a\n", "", 0),
        ("a\nb\n", "a\nb\n", 100),
        ("a\nb\n", "b\na\n", 0),
        ("a\nb\nc\nd\n", "a\nb\nc\n", 75),
        ("x\na\nb\n", "a\nb\n", 0),
        // Six of seven are more than 85 percent.
        ("1\n2\n3\n4\n5\n6\n7\n", "1\n2\n3\n4\n5\n6\n-\n", 86),
    ] {
        assert_eq!(similarity(one, other), percent, "{one:?} {other:?}");
        assert_eq!(similarity(other, one), percent, "{other:?} {one:?}");
    }
    let numbers: String = (0..20).map(|n| format!("{n}\n")).collect();
    let seventeen: String = (0..20).map(|n| if n < 17 { format!("{n}\n") } else { "-\n".into() }).collect();
    assert_eq!(similarity(&numbers, &seventeen), 85, "exactly 85 percent is not more");
}

#[test]
fn run_52_the_stall_phrases_are_found_in_any_case() {
    for said in ["I CANNOT PROCEED.", "I am stuck here", "Waiting for clarification\n"] {
        assert!(speaks_of_stalling(said), "{said}");
    }
    for said in ["", "All tests pass.", "The stuck valve is simulated"] {
        assert!(!speaks_of_stalling(said), "{said}");
    }
}
