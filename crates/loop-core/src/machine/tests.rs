mod ends;
mod grant;
mod legal;
mod limits;
mod order;
mod simulation;
mod watchdog;

use loop_api::journal::{
    Created, Event, GateOutcome, Implemented, Merged, Outcome, PlanFacts, Reviewed, SCHEMA, Verdict,
    Verified, WorktreeFacts,
};
use loop_api::phase::StepPhase;
use loop_api::run::{DeliveryMode, Gate, GateWhen, LoopRunSpec, Require};

use super::{Next, State, Step, next};

/// One gate named `check`, no review, nothing to merge.
fn spec() -> LoopRunSpec {
    let mut spec = LoopRunSpec { gates: vec![gate("check")], ..LoopRunSpec::default() };
    spec.review.enabled = false;
    spec.delivery.mode = DeliveryMode::None;
    spec
}

fn gate(name: &str) -> Gate {
    Gate {
        name: name.into(),
        run: "true".into(),
        timeout_seconds: 60,
        when: GateWhen::Always,
        require: Require::Pass,
        junit: None,
    }
}

fn created(spec: LoopRunSpec) -> Event {
    Event::RunCreated(Box::new(Created {
        schema: SCHEMA,
        version: "0".into(),
        run_id: "run".into(),
        name: "name".into(),
        slug: "slug".into(),
        config_digest: String::new(),
        workspace_root: "/repo".into(),
        base_branch: "main".into(),
        base_commit: "commit-base".into(),
        target_branch: "target".into(),
        prompt_file: String::new(),
        context_files: Vec::new(),
        search_path: "/bin".into(),
        queue: loop_api::run::QueueSettings::default(),
        config_source: None,
        log_dir: String::new(),
        spec,
    }))
}

fn started() -> Event {
    Event::RunStarted { worker_id: "host:1".into(), isolation: "none: test".into() }
}

/// What makes a paused run, or one that has ended, go on.
fn resumed(again: bool) -> [Event; 2] {
    [Event::RunResumed { again }, started()]
}

fn worktree() -> WorktreeFacts {
    WorktreeFacts {
        provider: "git".into(),
        worktree_path: "/worktree".into(),
        run_branch: "run/slug".into(),
        git_folder: "/repo/.git/worktrees/w".into(),
        common_folder: "/repo/.git".into(),
        base_commit: "commit-base".into(),
        base_tree: "base".into(),
        spec_path: "spec.md".into(),
        plan_path: "plan.md".into(),
        tasks_done: 0,
        tasks_total: 2,
    }
}

fn outcome(name: &str, exit_code: i32) -> GateOutcome {
    GateOutcome {
        name: name.into(),
        exit_code,
        timed_out: false,
        out_of_memory: false,
        duration_ms: 1,
        output_sha256: String::new(),
        counts: None,
    }
}

/// Work that changed something and leaves one task open.
fn work(tree: &str) -> Implemented {
    Implemented {
        head: format!("commit-{tree}"),
        tree: tree.into(),
        snapshot: format!("snapshot-{tree}"),
        descends: true,
        plan: PlanFacts { done: 1, total: 2, not_done: vec!["second".into()], ..PlanFacts::default() },
        changed_files: 1,
        ..Implemented::default()
    }
}

/// Work after which every task is done.
fn all_done(tree: &str) -> Implemented {
    Implemented { plan: PlanFacts { done: 2, total: 2, ..PlanFacts::default() }, ..work(tree) }
}

/// What the steps of a run come to.
#[derive(Clone)]
struct Answers {
    work: Implemented,
    verdict: Verdict,
    exit_code: i32,
}

fn answers(work: Implemented) -> Answers {
    Answers { work, verdict: Verdict::Approved, exit_code: 0 }
}

/// A run whose steps are answered by the test; a second is between two events.
struct Run {
    state: State,
    events: Vec<(i64, Event)>,
    now: i64,
    steps: Vec<Step>,
    before: i32,
}

impl Run {
    fn new(spec: LoopRunSpec) -> Self {
        let (state, events, steps) = (State::default(), Vec::new(), Vec::new());
        let mut run = Self { state, events, now: 1_000_000, steps, before: 0 };
        run.append(created(spec));
        run.append(started());
        run
    }

    fn append(&mut self, event: Event) {
        self.now += 1000;
        self.state.apply(self.now, &event).unwrap();
        self.events.push((self.now, event));
    }

    fn begin(&mut self, step: Step) -> String {
        let step_id = format!("step-{}", self.events.len());
        let Step { phase, iteration, attempt, clean } = step;
        self.append(Event::StepStarted { step_id: step_id.clone(), phase, iteration, attempt, clean });
        self.steps.push(step);
        step_id
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

    fn verified(&self, step: Step, tree: &str, exit_code: i32) -> Outcome {
        let gates = self.state.spec().gates;
        Outcome::Verified(Verified {
            commit: format!("commit-{tree}"),
            tree: tree.into(),
            clean: step.clean,
            gates: gates
                .iter()
                .filter(|gate| step.clean || gate.when == GateWhen::Always)
                .map(|gate| outcome(&gate.name, exit_code))
                .collect(),
        })
    }

    /// Runs steps until the next implementation, which is not begun, or to the end; gives the decisions.
    fn iteration(&mut self, answers: &Answers) -> Vec<Event> {
        let mut decisions = Vec::new();
        let mut worked = false;
        loop {
            let step = match next(&self.state, self.now) {
                Next::Finish | Next::Analyze(_) => return decisions,
                Next::Record(event) => {
                    decisions.push(event.clone());
                    self.append(event);
                    continue;
                }
                Next::Run(step) => step,
            };
            if worked && step.phase == StepPhase::Implementation {
                return decisions;
            }
            worked |= step.phase == StepPhase::Implementation;
            let id = self.begin(step);
            let tree = answers.work.tree.as_str();
            let outcome = match step.phase {
                StepPhase::Prepare => {
                    self.append(Event::WorktreeCreating(worktree()));
                    self.append(Event::WorktreeCreated(worktree()));
                    Outcome::Done
                }
                StepPhase::Baseline => self.verified(step, "base", self.before),
                StepPhase::Implementation => Outcome::Implemented(Box::new(answers.work.clone())),
                StepPhase::Review => Outcome::Reviewed(Reviewed {
                    tree: tree.into(),
                    verdict: answers.verdict,
                    findings: Vec::new(),
                }),
                StepPhase::Verification => self.verified(step, tree, answers.exit_code),
                StepPhase::Merge => Outcome::Merged(Merged {
                    commit: "commit-merge".into(),
                    target: "target".into(),
                    verified: None,
                }),
                StepPhase::Cleanup => {
                    let message = String::new();
                    self.append(Event::WorktreeRemoved { status: "cleaned".into(), message });
                    Outcome::Done
                }
            };
            self.finish(id, outcome);
        }
    }

    /// The same for several iterations; the decisions of the last one.
    fn iterations(&mut self, all: &[Answers]) -> Vec<Event> {
        all.iter().fold(Vec::new(), |_, answers| self.iteration(answers))
    }

    /// Brings the run to a step of this kind, which is begun; gives its id.
    fn up_to(&mut self, phase: StepPhase, answers: &Answers) -> String {
        let before = self.state.clone();
        let (events, steps) = (self.events.len(), self.steps.len());
        self.iteration(answers);
        let at = self.events[events..]
            .iter()
            .position(
                |(_, event)| matches!(event, Event::StepStarted { phase: found, .. } if *found == phase),
            )
            .expect("the iteration has such a step");
        let replayed = self.events.drain(events..).take(at + 1).collect::<Vec<_>>();
        self.state = before;
        self.steps.truncate(steps);
        for (_, event) in replayed {
            self.append(event);
        }
        self.state.open.clone().expect("a step is open").id
    }

    fn phases(&self) -> Vec<StepPhase> {
        self.steps.iter().map(|step| step.phase).collect()
    }

    /// Exit reason, reason and message of the end.
    fn end(&self) -> (&str, &str, &str) {
        let (exit, reason, message) = self.state.ended.as_ref().expect("the run has ended");
        (exit.as_str(), reason, message)
    }

    /// The same run as another engine would find it.
    fn reopened(&self) -> State {
        State::replay(self.events.iter().map(|(ts, event)| (ts, event))).unwrap()
    }
}
