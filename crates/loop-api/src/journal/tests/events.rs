//! Arbitrary events of every kind.

use proptest::prelude::*;

use crate::completion::Token;
use crate::journal::*;
use crate::phase::{ExitReason, StepPhase, WatchdogAction, WatchdogSignal};
use crate::run::{Gate, GateWhen, LoopRunSpec, QueueSettings, Require};
use crate::usage::{Tokens, Usage};

/// Texts with what JSON has to escape, and what it need not.
fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{0,8}", "\\PC{0,12}", Just("\"\\\n\r\t\0\u{7f}\u{2028}é😀".to_owned())]
}

fn texts() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(text(), 0..3)
}

fn phase() -> impl Strategy<Value = StepPhase> {
    use StepPhase::{Baseline, Cleanup, Implementation, Merge, Prepare, Review, Verification};
    prop::sample::select(vec![Prepare, Baseline, Implementation, Review, Verification, Merge, Cleanup])
}

fn spec() -> impl Strategy<Value = LoopRunSpec> {
    (texts(), prop::option::of(text()), any::<u32>(), any::<bool>()).prop_map(
        |(texts, some, number, flag)| {
            let mut spec = LoopRunSpec::default();
            spec.task.prompt.clone_from(&some);
            spec.settings.iterations = number;
            spec.review.enabled = flag;
            spec.limits.active_deadline_seconds = flag.then_some(number);
            spec.gates = texts
                .iter()
                .map(|text| Gate {
                    name: text.clone(),
                    run: text.clone(),
                    timeout_seconds: number,
                    when: if flag { GateWhen::Final } else { GateWhen::Always },
                    require: if flag { Require::FailToPass } else { Require::Pass },
                    junit: some.clone(),
                })
                .collect();
            spec.protect.paths = texts;
            spec
        },
    )
}

fn created() -> impl Strategy<Value = Event> {
    (spec(), text(), text(), texts()).prop_map(|(spec, one, other, texts)| {
        Event::RunCreated(Box::new(Created {
            schema: SCHEMA,
            version: one.clone(),
            run_id: other.clone(),
            name: one.clone(),
            slug: other.clone(),
            config_digest: one.clone(),
            workspace_root: other.clone(),
            base_branch: one.clone(),
            base_commit: other.clone(),
            target_branch: one,
            prompt_file: other.clone(),
            context_files: texts,
            search_path: other.clone(),
            queue: QueueSettings::default(),
            config_source: Some(vec![ConfigSource { path: other.clone(), place: ConfigPlace::WorkingTree }]),
            log_dir: other,
            spec,
        }))
    })
}

fn worktree() -> impl Strategy<Value = WorktreeFacts> {
    (text(), text(), any::<u32>(), any::<u32>()).prop_map(|(one, other, tasks_done, tasks_total)| {
        WorktreeFacts {
            provider: one.clone(),
            worktree_path: other.clone(),
            run_branch: one.clone(),
            git_folder: other.clone(),
            common_folder: one.clone(),
            base_commit: other.clone(),
            base_tree: one.clone(),
            spec_path: other.clone(),
            plan_path: one,
            tasks_done,
            tasks_total,
        }
    })
}

fn implemented() -> impl Strategy<Value = Implemented> {
    let token = prop::sample::select(vec![Token::Absent, Token::Accepted, Token::Malformed]);
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    (text(), texts(), token, any::<u32>(), any::<u8>(), flags).prop_map(
        |(text, texts, token, number, similarity, (descends, uncommitted, stalled))| Implemented {
            head: text.clone(),
            tree: text.clone(),
            snapshot: text.clone(),
            descends,
            token,
            plan: PlanFacts {
                done: number,
                total: number / 2,
                missing: texts.clone(),
                not_done: Vec::new(),
                blocked: texts.clone(),
                only_blocked: stalled,
                blockers: text.clone(),
            },
            violations: texts
                .iter()
                .map(|path| Violation { path: path.clone(), rule: text.clone() })
                .collect(),
            findings: texts.clone(),
            changed_files: number,
            ticked: number,
            unticked: texts.clone(),
            repairs: texts,
            uncommitted,
            similarity,
            stalled,
        },
    )
}

fn verified() -> impl Strategy<Value = Verified> {
    let gate = (text(), any::<i32>(), any::<u64>(), any::<bool>(), prop::option::of(any::<[u64; 3]>()));
    (text(), any::<bool>(), prop::collection::vec(gate, 0..3)).prop_map(|(commit, clean, gates)| Verified {
        tree: commit.clone(),
        commit,
        clean,
        gates: gates
            .into_iter()
            .map(|(name, exit_code, duration_ms, timed_out, counts)| GateOutcome {
                output_sha256: name.clone(),
                name,
                exit_code,
                timed_out,
                out_of_memory: timed_out,
                duration_ms,
                counts,
            })
            .collect(),
    })
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let verdict = prop::sample::select(vec![Verdict::Approved, Verdict::ChangesRequested]);
    prop_oneof![
        implemented().prop_map(|facts| Outcome::Implemented(Box::new(facts))),
        (text(), verdict, texts()).prop_map(|(tree, verdict, findings)| {
            Outcome::Reviewed(Reviewed { tree, verdict, findings })
        }),
        verified().prop_map(Outcome::Verified),
        (text(), text(), prop::option::of(verified()))
            .prop_map(|(commit, target, verified)| Outcome::Merged(Merged { commit, target, verified })),
        Just(Outcome::Done),
        (text(), text()).prop_map(|(reason, message)| Outcome::Failed { reason, message }),
    ]
}

fn step_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (text(), phase(), any::<u32>(), any::<u32>(), any::<bool>()).prop_map(
            |(step_id, phase, iteration, attempt, clean)| Event::StepStarted {
                step_id,
                phase,
                iteration,
                attempt,
                clean
            }
        ),
        (text(), text(), any::<u64>()).prop_map(|(step_id, reason, wait_ms)| Event::AgentRetry {
            step_id,
            reason,
            wait_ms
        }),
        (text(), text(), text()).prop_map(|(step_id, head, snapshot)| Event::Checkpoint {
            step_id,
            head,
            snapshot
        }),
        (text(), text()).prop_map(|(head, snapshot)| Event::CheckpointRestored { head, snapshot }),
        (text(), any::<u32>(), any::<u32>()).prop_map(|(worker_id, attempt, seconds)| Event::LeaseGranted {
            worker_id,
            attempt,
            seconds
        }),
        (text(), any::<bool>()).prop_map(|(worker_id, revoked)| Event::LeaseExpired { worker_id, revoked }),
        spec().prop_map(|spec| Event::LimitsChanged { limits: Box::new(spec.limits) }),
        (text(), any::<i32>(), any::<u64>(), text(), outcome()).prop_map(
            |(step_id, exit_code, duration_ms, output_path, outcome)| Event::StepFinished {
                step_id,
                exit_code,
                duration_ms,
                output_path,
                output_bytes: duration_ms,
                output_lines: duration_ms / 2,
                outcome
            }
        ),
        text().prop_map(|step_id| Event::StepInterrupted { step_id }),
        (text(), text(), any::<bool>(), any::<u64>()).prop_map(|(step_id, session, resumed, raw_offset)| {
            Event::AgentStarted { step_id, session, resumed, raw_offset }
        }),
        (text(), text(), any::<u32>(), usage()).prop_map(|(step_id, ending, turns, usage)| {
            Event::AgentFinished(Box::new(AgentRun {
                session: step_id.clone(),
                program: ending.clone(),
                model: step_id.clone(),
                unread_lines: u64::from(turns),
                step_id,
                ending,
                turns,
                usage,
            }))
        }),
    ]
}

fn usage() -> impl Strategy<Value = Usage> {
    let tokens = any::<[u64; 4]>().prop_map(|[input, output, cache_read, cache_write]| Tokens {
        input,
        output,
        cache_read,
        cache_write,
    });
    (prop::collection::btree_map(text(), tokens, 0..3), any::<u64>(), any::<u32>())
        .prop_map(|(models, cost_nano_usd, incomplete)| Usage { models, cost_nano_usd, incomplete })
}

fn analysis() -> impl Strategy<Value = Event> {
    prop_oneof![
        text().prop_map(|reason| Event::PostmortemStart { reason }),
        (text(), texts(), any::<u64>(), usage()).prop_map(|(status, reports, duration_ms, usage)| {
            Event::PostmortemEnd(Box::new(Postmortem {
                verdict: status.clone(),
                root_cause: status.clone(),
                message: status.clone(),
                status,
                reports,
                duration_ms,
                usage,
            }))
        }),
    ]
}

fn decision() -> impl Strategy<Value = Event> {
    use WatchdogSignal::{MalformedComplete, NoProgress, RepeatedTask, VerificationFailed};
    let signal = prop::sample::select(vec![VerificationFailed, NoProgress, RepeatedTask, MalformedComplete]);
    let action =
        prop::sample::select(vec![WatchdogAction::Rewrite, WatchdogAction::Continue, WatchdogAction::Fail]);
    prop_oneof![
        (text(), text(), text(), text()).prop_map(|(reason, message, remedy, tree)| {
            Event::CompletionRefused(Refusal { reason, message, remedy, tree })
        }),
        (text(), text(), text(), text()).prop_map(|(level, commit, tree, mode)| {
            Event::CompletionGranted(Granted { level, commit, tree, mode })
        }),
        (signal, action, any::<u32>()).prop_map(|(signal, action, rewrite_count)| {
            Event::WatchdogDecision { signal, action, rewrite_count }
        }),
        any::<u32>().prop_map(|iteration| Event::IterationFinished { iteration }),
    ]
}

fn life() -> impl Strategy<Value = Event> {
    let exit = prop::sample::select(vec![
        ExitReason::CompletePlan,
        ExitReason::IterationsExhausted,
        ExitReason::AgentFailed,
        ExitReason::CompletionRefused,
        ExitReason::PlanBlocked,
        ExitReason::BudgetExceeded,
        ExitReason::TimedOut,
        ExitReason::Canceled,
        ExitReason::Failed,
    ]);
    prop_oneof![
        created(),
        any::<bool>().prop_map(|again| Event::RunResumed { again }),
        (text(), text()).prop_map(|(worker_id, isolation)| Event::RunStarted { worker_id, isolation }),
        (text(), text()).prop_map(|(provider, reason)| Event::WorktreeProviderSelected { provider, reason }),
        worktree().prop_map(Event::WorktreeCreating),
        worktree().prop_map(Event::WorktreeCreated),
        (text(), any::<bool>()).prop_map(|(mode, verified)| Event::RunCompleted { mode, verified }),
        (exit, text(), text()).prop_map(|(exit_reason, reason, message)| Event::RunFailed {
            exit_reason,
            reason,
            message
        }),
        Just(Event::RunCanceled),
        Just(Event::RunPaused),
        Just(Event::RunReset),
        (text(), text()).prop_map(|(status, message)| Event::WorktreeRemoved { status, message }),
    ]
}

pub(super) fn any_events() -> impl Strategy<Value = Vec<(i64, Event)>> {
    prop::collection::vec((any::<i64>(), prop_oneof![life(), step_event(), decision(), analysis()]), 1..6)
}

/// Some events of each kind, the first of them a creation; the same ones every time.
pub(super) fn one_of_each() -> Vec<(i64, Event)> {
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let strategy = prop_oneof![life(), step_event(), decision(), analysis()];
    let mut found = std::collections::BTreeMap::new();
    let first = created().new_tree(&mut runner).unwrap().current();
    for _ in 0..2000 {
        let event = strategy.new_tree(&mut runner).unwrap().current();
        let kind = serde_json::to_value(&event).unwrap()["kind"].as_str().unwrap().to_owned();
        found.entry(kind).or_insert(event);
    }
    assert_eq!(found.len(), 29, "{:?}", found.keys());
    [first].into_iter().chain(found.into_values()).zip(1..).map(|(event, ts)| (ts, event)).collect()
}
