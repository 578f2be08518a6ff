//! Whole runs with arbitrary outcomes: whatever the steps come to, the run ends, within its limits, and completes
//! only on evidence.

use loop_api::completion::Token;
use loop_api::journal::{
    AgentRun, Event, Implemented, Merged, Outcome, PlanFacts, Record, Reviewed, Verdict, Verified, Violation,
    decode, digest, encode,
};
use loop_api::phase::{ExitReason, RunPhase, StepPhase, WatchdogAction};
use loop_api::run::{DeliveryMode, GateWhen, LoopRunSpec, Require};
use loop_api::usage::{Tokens, Usage};
use proptest::prelude::*;

use super::{created, gate, outcome, started, worktree};
use crate::machine::{Next, State, Step, next};

/// A source of choices that always says 0 once it is used up, which stands for the ordinary case.
pub(super) struct Dice(std::vec::IntoIter<u8>);

impl Dice {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self(bytes.into_iter())
    }

    pub(super) fn roll(&mut self, sides: u8) -> u8 {
        self.0.next().map_or(0, |byte| byte % sides)
    }

    pub(super) fn one_in(&mut self, sides: u8) -> bool {
        self.roll(sides) == sides - 1
    }
}

pub(super) fn any_work(dice: &mut Dice, fresh: usize) -> Implemented {
    let tree = if dice.one_in(3) { format!("tree-{fresh}") } else { "tree".into() };
    let some = |yes: bool| if yes { vec!["a task".to_owned()] } else { Vec::new() };
    let open = dice.one_in(2);
    let blocked = dice.one_in(12);
    Implemented {
        head: format!("commit-{tree}"),
        snapshot: format!("commit-{tree}"),
        tree,
        descends: !dice.one_in(16),
        token: [Token::Absent, Token::Accepted, Token::Malformed][usize::from(dice.roll(3))],
        plan: PlanFacts {
            done: if open || blocked { 1 } else { 2 },
            total: 2,
            missing: some(dice.one_in(12)),
            not_done: some(open),
            blocked: some(blocked),
            only_blocked: blocked && dice.one_in(2),
            blockers: String::new(),
        },
        violations: some(dice.one_in(12))
            .into_iter()
            .map(|path| Violation { path, rule: "a rule".into() })
            .collect(),
        findings: some(dice.one_in(8)),
        changed_files: u32::from(dice.roll(3)),
        similarity: dice.roll(101),
        stalled: dice.one_in(4),
        ..Implemented::default()
    }
}

fn any_gates(dice: &mut Dice, spec: &LoopRunSpec, step: Step, tree: &str) -> Verified {
    let tree = if dice.one_in(20) { "elsewhere" } else { tree };
    let mut gates: Vec<_> = spec
        .gates
        .iter()
        .filter(|gate| step.clean || gate.when == GateWhen::Always)
        .map(|gate| outcome(&gate.name, i32::from(dice.one_in(4))))
        .collect();
    if dice.one_in(20) {
        gates.pop();
    }
    let clean = step.clean && !dice.one_in(20);
    Verified { commit: format!("commit-{tree}"), tree: tree.into(), clean, gates }
}

struct Simulation {
    spec: LoopRunSpec,
    dice: Dice,
    state: State,
    now: i64,
    events: Vec<(i64, Event)>,
    /// What was decided, when, and after how many events.
    decisions: Vec<(usize, i64, Next)>,
    interruptions: usize,
    tries: usize,
}

impl Simulation {
    fn append(&mut self, event: Event) {
        self.now += 1;
        self.state.apply(self.now, &event).unwrap_or_else(|error| panic!("{error}: {event:?}"));
        self.events.push((self.now, event));
    }

    fn drive(&mut self) {
        self.append(created(self.spec.clone()));
        self.append(started());
        loop {
            // Per try: start, preparation, baseline, merge, end and cleanup; per iteration three steps and three
            // decisions.
            let iterations = self.spec.settings.iterations as usize;
            let bound = 1 + self.tries * (19 + iterations * 13) + self.interruptions * 4;
            assert!(self.events.len() <= bound, "{} events, at most {bound}", self.events.len());
            let decision = next(&self.state, self.now);
            self.decisions.push((self.events.len(), self.now, decision.clone()));
            match decision {
                Next::Record(event) => self.append(event),
                Next::Run(step) => self.step(step),
                Next::Analyze(reason) => {
                    self.append(Event::PostmortemStart { reason });
                    // A kill in the middle is recorded by the machine itself.
                    if !self.dice.one_in(3) {
                        self.append(Event::PostmortemEnd(Box::default()));
                    }
                }
                Next::Finish => {
                    if self.state.phase == RunPhase::Completed || !self.dice.one_in(3) {
                        return;
                    }
                    self.tries += 1;
                    for event in super::resumed(true) {
                        self.append(event);
                    }
                }
            }
        }
    }

    fn step(&mut self, step: Step) {
        let may_stop = step.phase != StepPhase::Cleanup;
        if may_stop && self.dice.one_in(60) {
            return self.append(Event::RunCanceled);
        }
        if may_stop && self.dice.one_in(60) {
            self.interruptions += 1;
            self.append(Event::RunPaused);
            self.now += 1_000_000;
            for event in super::resumed(false) {
                self.append(event);
            }
            return;
        }
        let step_id = format!("step-{}", self.events.len());
        let Step { phase, iteration, attempt, clean } = step;
        self.append(Event::StepStarted { step_id: step_id.clone(), phase, iteration, attempt, clean });
        let asks = matches!(phase, StepPhase::Implementation | StepPhase::Review);
        if asks && self.spec.agent.adapter == "claude" {
            let (step_id, session) = (step_id.clone(), format!("session-{}", self.events.len()));
            self.append(Event::AgentStarted { step_id, session, resumed: false, raw_offset: 0 });
        }
        self.now += i64::from(self.dice.roll(200)) * 100;
        if self.dice.one_in(15) {
            self.interruptions += 1;
            if may_stop {
                self.append(started());
            }
            return;
        }
        if may_stop && self.dice.one_in(60) {
            self.append(Event::StepInterrupted { step_id });
            return self.append(Event::RunCanceled);
        }
        if let Some(open) = self.state.agent.clone() {
            let tokens = Tokens { input: 10, ..Tokens::default() };
            let usage = Usage { models: [("m".to_owned(), tokens)].into(), ..Usage::default() };
            let ending = if self.dice.one_in(5) { "context" } else { "worked" }.to_owned();
            self.append(Event::AgentFinished(Box::new(AgentRun {
                step_id: open.step_id,
                session: open.session,
                ending,
                usage,
                ..AgentRun::default()
            })));
        }
        if may_stop && self.dice.one_in(40) {
            let (reason, message) = ("run_error:x".into(), "x".into());
            return self.finish(step_id, Outcome::Failed { reason, message });
        }
        let tree = self.state.current.implemented.as_ref().map(|work| work.tree.clone()).unwrap_or_default();
        let outcome = match phase {
            StepPhase::Prepare => {
                self.append(Event::WorktreeCreating(worktree()));
                self.append(Event::WorktreeCreated(worktree()));
                Outcome::Done
            }
            StepPhase::Baseline => Outcome::Verified(any_gates(&mut self.dice, &self.spec, step, "base")),
            StepPhase::Implementation => {
                Outcome::Implemented(Box::new(any_work(&mut self.dice, self.events.len())))
            }
            StepPhase::Review => {
                let verdict = if self.dice.one_in(3) { Verdict::ChangesRequested } else { Verdict::Approved };
                let tree = if self.dice.one_in(20) { "elsewhere".into() } else { tree };
                Outcome::Reviewed(Reviewed { tree, verdict, findings: Vec::new() })
            }
            StepPhase::Verification => Outcome::Verified(any_gates(&mut self.dice, &self.spec, step, &tree)),
            StepPhase::Merge => Outcome::Merged(Merged {
                commit: "commit-merge".into(),
                target: "target".into(),
                verified: None,
            }),
            StepPhase::Cleanup => {
                self.append(Event::WorktreeRemoved { status: "cleaned".into(), message: String::new() });
                Outcome::Done
            }
        };
        self.finish(step_id, outcome);
    }

    fn finish(&mut self, step_id: String, outcome: Outcome) {
        let output_path = String::new();
        self.append(Event::StepFinished {
            step_id,
            exit_code: 0,
            duration_ms: 1,
            output_path,
            output_bytes: 0,
            output_lines: 0,
            outcome,
        });
    }
}

/// Follows the limits through the record, by counting what the machine is not asked about.
fn limits_hold(spec: &LoopRunSpec, events: &[(i64, Event)]) {
    let settings = &spec.settings;
    let (mut iterations, mut last, mut rewrites) = (0, 0, 0);
    let (mut failed, mut tokens) = ([0_u32; 2], 0);
    let limits = [settings.max_consecutive_verification_failures, settings.max_consecutive_review_failures];
    let mut open = StepPhase::Prepare;
    for (_, event) in events {
        match event {
            Event::RunResumed { again: true } => {
                (iterations, rewrites, failed, tokens) = (0, 0, [0, 0], 0);
            }
            Event::AgentStarted { .. } => {
                assert!(spec.limits.tokens.is_none_or(|limit| tokens < limit), "{tokens} tokens used");
            }
            Event::AgentFinished(run) => tokens += run.usage.tokens().total(),
            Event::StepStarted { phase, iteration, .. } => {
                open = *phase;
                if *phase == StepPhase::Implementation {
                    let reached =
                        failed.iter().zip(limits).any(|(failed, limit)| limit > 0 && *failed >= limit);
                    assert!(!reached, "an iteration began although a limit of failures was reached");
                    iterations += u32::from(*iteration > last);
                    last = *iteration;
                    assert!(iterations <= settings.iterations, "{iterations} iterations");
                }
            }
            Event::StepFinished { outcome: Outcome::Verified(run), .. }
                if open == StepPhase::Verification =>
            {
                failed[0] = if run.passed() { 0 } else { failed[0] + 1 };
            }
            Event::StepFinished { outcome: Outcome::Reviewed(review), .. } => {
                failed[1] = if review.verdict == Verdict::Approved { 0 } else { failed[1] + 1 };
            }
            Event::WatchdogDecision { action: WatchdogAction::Rewrite, rewrite_count, .. } => {
                rewrites += 1;
                assert_eq!(rewrites, *rewrite_count);
                assert!(rewrites <= settings.max_rewrites, "{rewrites} rewrites");
            }
            Event::RunFailed { exit_reason: ExitReason::IterationsExhausted, .. } => {
                assert_eq!(iterations, settings.iterations, "every allowed iteration was used");
            }
            Event::RunFailed { reason, .. }
                if reason.starts_with("max_consecutive_failures:verification") =>
            {
                assert_eq!(failed[0], limits[0], "exactly at the limit");
            }
            Event::RunFailed { reason, .. } if reason.starts_with("max_consecutive_failures:review") => {
                assert_eq!(failed[1], limits[1], "exactly at the limit");
            }
            _ => {}
        }
    }
}

/// What stands behind a completed run, read from the record alone.
fn completed_on_evidence(spec: &LoopRunSpec, events: &[(i64, Event)]) {
    let (mut work, mut review, mut gates, mut base) = (None, None, None, None);
    let (mut open, mut granted) = (StepPhase::Prepare, None);
    for (_, event) in events {
        match event {
            Event::StepStarted { phase, .. } => open = *phase,
            Event::StepFinished { outcome, .. } => match outcome {
                Outcome::Implemented(facts) => (work, review, gates) = (Some(facts), None, None),
                Outcome::Reviewed(verdict) => review = Some(verdict),
                Outcome::Verified(run) if open == StepPhase::Baseline => base = Some(run),
                Outcome::Verified(run) => gates = Some(run),
                _ => {}
            },
            Event::CompletionGranted(grant) => granted = Some((grant, work, review, gates)),
            Event::RunCompleted { verified, .. } => {
                let (grant, work, review, gates) = granted.expect("a run completes only with a grant");
                let work = work.expect("a grant is about work");
                assert_eq!((&grant.commit, &grant.tree), (&work.head, &work.tree));
                assert!(work.descends && work.violations.is_empty());
                let plan = &work.plan;
                assert!(plan.missing.is_empty() && plan.not_done.is_empty() && plan.blocked.is_empty());
                assert!(spec.review.enabled || work.findings.is_empty());
                if spec.review.enabled {
                    let review = review.expect("the reviewer was asked");
                    assert_eq!((&review.tree, review.verdict), (&work.tree, Verdict::Approved));
                }
                for gate in &spec.gates {
                    let run = gates.expect("the gates ran");
                    assert!(run.clean);
                    assert_eq!(run.tree, work.tree);
                    assert!(run.gates.iter().any(|outcome| outcome.name == gate.name && outcome.passed()));
                    assert!(run.passed());
                    if gate.require == Require::FailToPass {
                        let before = base.expect("the gates ran on the base");
                        assert!(
                            before.gates.iter().any(|outcome| outcome.name == gate.name && !outcome.passed())
                        );
                    }
                }
                assert_eq!(*verified, spec.review.enabled || !spec.gates.is_empty());
            }
            _ => {}
        }
    }
}

/// The record through its own wire form, decision by decision: what was decided is decided again.
fn replays(simulation: &Simulation) {
    let mut bytes = Vec::new();
    let mut prev = loop_api::journal::GENESIS.to_owned();
    for (index, (ts, event)) in simulation.events.iter().enumerate() {
        let line = encode(&Record { seq: index as u64 + 1, ts: *ts, prev, event: event.clone() }).unwrap();
        prev = digest(&line[..line.len() - 1]);
        bytes.extend(line);
    }
    let records = decode(&bytes).unwrap().records;
    let mut state = State::default();
    let mut taken = 0;
    for (length, now, decision) in &simulation.decisions {
        for record in &records[taken..*length] {
            state.apply(record.ts, &record.event).unwrap();
        }
        taken = *length;
        assert_eq!(&next(&state, *now), decision, "after {length} events");
    }
    assert_eq!(state, simulation.state);
}

fn any_spec() -> impl Strategy<Value = LoopRunSpec> {
    let gates = prop::collection::vec((any::<bool>(), any::<bool>()), 0..3);
    let limits = (1_u32..6, 0_u32..3, 0_u32..4, 0_u32..4);
    let agent = (any::<bool>(), prop::option::weighted(0.3, 1_u64..60));
    (gates, limits, any::<bool>(), any::<bool>(), prop::option::weighted(0.2, 1_u32..60), agent).prop_map(
        |(
            gates,
            (iterations, rewrites, verifications, reviews),
            review,
            merge,
            deadline,
            (claude, tokens),
        )| {
            let mut spec = LoopRunSpec::default();
            for (index, (last, fail_to_pass)) in gates.into_iter().enumerate() {
                let mut gate = gate(&format!("gate-{index}"));
                gate.when = if last { GateWhen::Final } else { GateWhen::Always };
                gate.require = if fail_to_pass { Require::FailToPass } else { Require::Pass };
                spec.gates.push(gate);
            }
            spec.review.enabled = review;
            spec.delivery.mode = if merge { DeliveryMode::Merge } else { DeliveryMode::None };
            spec.limits.active_deadline_seconds = deadline;
            spec.limits.tokens = tokens;
            spec.agent.adapter = if claude { "claude" } else { "script" }.into();
            spec.settings.iterations = iterations;
            spec.settings.max_rewrites = rewrites;
            spec.settings.max_consecutive_verification_failures = verifications;
            spec.settings.max_consecutive_review_failures = reviews;
            spec
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn every_run_ends_within_its_limits_completes_only_on_evidence_and_replays(
        spec in any_spec(),
        bytes in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let mut simulation = Simulation {
            spec,
            dice: Dice::new(bytes),
            state: State::default(),
            now: 1_000_000,
            events: Vec::new(),
            decisions: Vec::new(),
            interruptions: 0,
            tries: 1,
        };
        simulation.drive();
        prop_assert!(simulation.state.phase.is_terminal());
        prop_assert!(simulation.state.ended.is_some());
        limits_hold(&simulation.spec, &simulation.events);
        completed_on_evidence(&simulation.spec, &simulation.events);
        replays(&simulation);
    }
}

#[test]
fn the_simulation_reaches_every_end() {
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let strategy = (any_spec(), prop::collection::vec(any::<u8>(), 0..400));
    let mut reached = std::collections::BTreeSet::new();
    for _ in 0..1000 {
        let (spec, bytes) = strategy.new_tree(&mut runner).unwrap().current();
        let (state, dice) = (State::default(), Dice::new(bytes));
        let (events, decisions) = (Vec::new(), Vec::new());
        let mut simulation =
            Simulation { spec, dice, state, now: 0, events, decisions, interruptions: 0, tries: 1 };
        simulation.drive();
        let ends = simulation.events.iter().filter_map(|(_, event)| match event {
            Event::RunCompleted { .. } => Some("completed".to_owned()),
            Event::RunFailed { reason, .. } => Some(reason.split(':').next().unwrap_or_default().to_owned()),
            Event::RunCanceled => Some("canceled".to_owned()),
            _ => None,
        });
        reached.extend(ends);
    }
    let reached: Vec<&str> = reached.iter().map(String::as_str).collect();
    assert_eq!(
        reached,
        [
            "budget_exceeded",
            "canceled",
            "completed",
            "completion_refused",
            "iteration_limit_reached",
            "max_consecutive_failures",
            "plan_blocked",
            "run_error",
            "timed_out",
            "watchdog_failed",
        ]
    );
}
