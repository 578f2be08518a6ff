//! Journals of runs that never were: the real machine decides, dice say what its steps come to.

use std::fs;
use std::path::PathBuf;

use loop_api::completion::Token;
use loop_api::journal::{
    AgentRun, Created, Event, GENESIS, GateOutcome, Implemented, Merged, Outcome, PlanFacts, Postmortem,
    Record, Reviewed, SCHEMA, Verdict, Verified, Violation, WorktreeFacts, digest, encode,
};
use loop_api::phase::{RunPhase, StepPhase};
use loop_api::run::{ArtifactMode, DeliveryMode, Gate, GateWhen, LoopRunSpec, Require};
use loop_api::usage::{Tokens, Usage};
use loop_core::machine::{Next, State, Step, next};
use loop_core::record;
use loop_core::store::{RunDir, Store};

/// What a run is steered to; the dice do the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bent {
    Nowhere,
    Completion,
    FailedStart,
    FailedBaseline,
    AgentFailure,
    Refusal,
    Blocked,
    Budget,
    Deadline,
    Watchdog,
    FailingGates,
    Conflict,
    Exhaustion,
    Cancel,
}

/// All of them.
pub(super) const BENTS: [Bent; 14] = [
    Bent::Nowhere,
    Bent::Completion,
    Bent::FailedStart,
    Bent::FailedBaseline,
    Bent::AgentFailure,
    Bent::Refusal,
    Bent::Blocked,
    Bent::Budget,
    Bent::Deadline,
    Bent::Watchdog,
    Bent::FailingGates,
    Bent::Conflict,
    Bent::Exhaustion,
    Bent::Cancel,
];

/// Text that agents and repositories might leave behind.
const NASTY: [&str; 8] = [
    "plain words, 3 of them",
    "<script>alert(1)</script> and <b>7</b>",
    "[a link](http://example.org/4) and http://example.org",
    "| a | table | 5 |\n| --- | --- | --- |\n## A title\n- an item: 6",
    "`code` and ``more`` ```\n```",
    "\u{1b}[31mred\u{1b}[0m \u{202e}turned\tround\r\n",
    "ends with `",
    "",
];

/// A run that is made up.
pub(super) struct Made {
    pub(super) bent: Bent,
    pub(super) folder: PathBuf,
    /// Kinds and reasons of what it has in it, for a look at what was covered.
    pub(super) seen: Vec<String>,
}

/// Numbers that look random and are the same every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn one_in(&mut self, sides: u64) -> bool {
        self.roll(sides) == 0
    }

    fn nasty(&mut self) -> String {
        let number = self.roll(100);
        format!("{} {number}", NASTY[self.roll(NASTY.len() as u64) as usize])
    }

    fn some(&mut self, sides: u64) -> Vec<String> {
        let count = if self.one_in(sides) { 1 + self.roll(2) } else { 0 };
        (0..count).map(|_| self.nasty()).collect()
    }
}

struct Maker {
    bent: Bent,
    dice: Dice,
    state: State,
    now: i64,
    line: String,
    journal: Vec<u8>,
    seq: u64,
    seen: Vec<String>,
    tries: u32,
}

/// Makes a run up and writes its record into a store.
pub(super) fn make(store: &Store, seed: u64) -> Made {
    let bent = BENTS[(seed % BENTS.len() as u64) as usize];
    let mut maker = Maker {
        bent,
        dice: Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) + 1),
        state: State::default(),
        now: 1_790_000_000_000 + (seed as i64) * 86_399_987,
        line: GENESIS.into(),
        journal: Vec::new(),
        seq: 0,
        seen: Vec::new(),
        tries: 1,
    };
    let uid = format!("{seed:08}");
    let run = store.create_run(&uid).expect("a folder");
    maker.drive(&uid, store);
    render(&run, &maker.journal);
    Made { bent, folder: run.path().to_owned(), seen: maker.seen }
}

fn render(run: &RunDir, journal: &[u8]) {
    fs::write(run.journal(), journal).expect("a journal");
    let notes = record::write(run, None, true);
    assert_eq!(notes, Vec::<String>::new());
}

impl Maker {
    fn append(&mut self, event: Event) {
        self.now += 1 + self.dice.roll(4000) as i64;
        self.state.apply(self.now, &event).unwrap_or_else(|error| panic!("{error}: {event:?}"));
        self.seq += 1;
        let record = Record { seq: self.seq, ts: self.now, prev: self.line.clone(), event };
        let line = encode(&record).expect("a line");
        self.line = digest(&line[..line.len() - 1]);
        self.journal.extend(line);
        let value = serde_json::to_value(&record.event).expect("JSON");
        let text = |key: &str| value[key].as_str().unwrap_or_default();
        let reason = text("reason").split(':').next().unwrap_or_default().to_owned();
        self.seen.push(text("kind").to_owned());
        if text("kind") == "RUN_FAILED" {
            self.seen.push(reason);
        }
    }

    fn drive(&mut self, uid: &str, store: &Store) {
        let created = self.created(uid, store);
        self.append(created);
        if self.bent == Bent::Cancel && self.dice.one_in(4) {
            return self.append(Event::RunCanceled);
        }
        self.start();
        for _ in 0..2000 {
            match next(&self.state, self.now) {
                Next::Record(event) => self.append(event),
                Next::Run(step) => self.step(step),
                Next::Analyze(reason) => self.analyze(reason),
                Next::Finish => {
                    let done = self.state.phase == RunPhase::Completed || self.tries > 2;
                    if done || !self.dice.one_in(3) {
                        return;
                    }
                    // Another try, which goes well more often than not.
                    self.tries += 1;
                    self.bent = if self.dice.one_in(3) { self.bent } else { Bent::Completion };
                    self.append(Event::RunResumed { again: true });
                    self.start();
                }
            }
        }
        panic!("{:?} does not end", self.bent);
    }

    fn start(&mut self) {
        let isolation = if self.dice.one_in(3) { "none: no bubblewrap 2" } else { "bubblewrap 0.8.0" }.into();
        self.append(Event::RunStarted { worker_id: "host:1".into(), isolation });
    }

    fn created(&mut self, uid: &str, store: &Store) -> Event {
        let dice = &mut self.dice;
        let mut spec = LoopRunSpec::default();
        let claude = self.bent == Bent::Budget || dice.one_in(2);
        spec.agent.adapter = if claude { "claude" } else { "script" }.into();
        spec.agent.model = dice.one_in(3).then(|| "model 5 | `x`".into());
        spec.task.spec_path = Some("specs/files.md".into());
        spec.task.plan_path = (!dice.one_in(4)).then(|| "specs/planning/files-plan.md".into());
        if dice.one_in(5) {
            spec.task.prompt = Some(dice.nasty());
        }
        spec.review.enabled = dice.one_in(2);
        spec.review.model = dice.one_in(4).then(|| "reviewer-2".into());
        let least = u64::from(matches!(self.bent, Bent::FailingGates | Bent::FailedBaseline));
        for index in 0..least + dice.roll(3) {
            let last = index > 0 && dice.one_in(3);
            spec.gates.push(Gate {
                name: format!("gate-{index}"),
                run: format!("sh check.sh {}", dice.nasty()),
                timeout_seconds: 60,
                when: if last { GateWhen::Final } else { GateWhen::Always },
                require: Require::Pass,
                junit: None,
            });
        }
        spec.settings.allow_unverified = true;
        spec.settings.iterations = if self.bent == Bent::Exhaustion { 2 } else { 3 + dice.roll(5) as u32 };
        spec.settings.max_consecutive_review_failures = dice.roll(4) as u32;
        spec.limits.active_deadline_seconds = (self.bent == Bent::Deadline).then(|| 5 + dice.roll(20) as u32);
        spec.limits.tokens = (self.bent == Bent::Budget && dice.one_in(2)).then_some(900);
        spec.limits.cost_usd = (self.bent == Bent::Budget || dice.one_in(4)).then(|| "0.0004".into());
        if self.bent != Bent::Budget && spec.limits.cost_usd.is_some() {
            spec.limits.cost_usd = Some("2500.5".into());
        }
        let merges = self.bent == Bent::Conflict || dice.one_in(2);
        spec.delivery.mode = if merges { DeliveryMode::Merge } else { DeliveryMode::None };
        spec.postmortem.enabled = dice.one_in(2);
        spec.artifacts.mode = if dice.one_in(2) { ArtifactMode::Mirror } else { ArtifactMode::Global };
        Event::RunCreated(Box::new(Created {
            schema: SCHEMA,
            version: "0.1.0".into(),
            run_id: uid.into(),
            name: "files-1".into(),
            slug: "files".into(),
            config_digest: String::new(),
            workspace_root: store.root().join("workspace").to_string_lossy().into_owned(),
            base_branch: "main".into(),
            base_commit: "commit-base".into(),
            target_branch: "agent/files".into(),
            prompt_file: String::new(),
            context_files: Vec::new(),
            search_path: "/bin".into(),
            queue: loop_api::run::QueueSettings::default(),
            config_source: None,
            log_dir: String::new(),
            spec,
        }))
    }

    fn analyze(&mut self, reason: String) {
        self.append(Event::PostmortemStart { reason });
        // Killed in the middle: the machine itself records that.
        if self.dice.one_in(4) {
            return;
        }
        let usage = self.usage();
        let ok = self.dice.one_in(2);
        let said = |text: &str| if ok { text.to_owned() } else { String::new() };
        let postmortem = Postmortem {
            status: if ok { "ok" } else { "failed" }.into(),
            verdict: said("pass"),
            root_cause: said("spec gap"),
            message: if ok { String::new() } else { self.dice.nasty() },
            // Only in the folder of a real run are there such files.
            reports: Vec::new(),
            duration_ms: self.dice.roll(700_000),
            usage,
        };
        self.append(Event::PostmortemEnd(Box::new(postmortem)));
    }

    fn usage(&mut self) -> Usage {
        let mut usage = Usage::default();
        for model in ["opus-4", "small | `<i>`"].iter().take(1 + self.dice.roll(2) as usize) {
            let dice = &mut self.dice;
            let tokens = Tokens {
                input: dice.roll(300),
                output: dice.roll(90_000),
                cache_read: dice.roll(1_000_000),
                cache_write: dice.roll(50),
            };
            usage.models.insert((*model).into(), tokens);
        }
        usage.cost_nano_usd = self.dice.roll(3_000_000_000);
        usage.incomplete = u32::from(self.dice.one_in(6));
        usage
    }

    fn step(&mut self, step: Step) {
        let Step { phase, iteration, attempt, clean } = step;
        let step_id = format!("step-{}", self.seq);
        let stoppable = phase != StepPhase::Cleanup;
        self.append(Event::StepStarted { step_id: step_id.clone(), phase, iteration, attempt, clean });
        let asks = matches!(phase, StepPhase::Implementation | StepPhase::Review);
        let reports = asks && self.state.spec().agent.adapter == "claude";
        if asks {
            self.ask(&step_id, reports);
        }
        self.now += self.dice.roll(3) as i64 * self.dice.roll(4_000_000) as i64;
        if stoppable && self.dice.one_in(12) {
            // Killed, and taken up again.
            return self.start();
        }
        let cancel = if self.bent == Bent::Cancel { 3 } else { 60 };
        if stoppable && self.dice.one_in(cancel) {
            self.append(Event::StepInterrupted { step_id });
            return self.append(Event::RunCanceled);
        }
        if let Some(open) = self.state.agent.clone() {
            self.agent_ends(&open.step_id, "worked");
        }
        let outcome = self.outcome(step);
        self.finish(step_id, step, outcome);
    }

    /// A process or two, as far as they report.
    fn ask(&mut self, step_id: &str, reports: bool) {
        while self.dice.one_in(5) {
            if reports {
                self.agent_starts(step_id);
                self.agent_ends(step_id, "overloaded");
            }
            let (reason, wait_ms) = (self.dice.nasty(), self.dice.roll(90_000));
            self.append(Event::AgentRetry { step_id: step_id.into(), reason, wait_ms });
        }
        if reports {
            self.agent_starts(step_id);
        }
        if self.dice.one_in(4) {
            let head = format!("commit-{}", self.seq);
            self.append(Event::Checkpoint { step_id: step_id.into(), head: head.clone(), snapshot: head });
        }
    }

    fn agent_starts(&mut self, step_id: &str) {
        let session = format!("session-{}", self.seq);
        self.append(Event::AgentStarted { step_id: step_id.into(), session, resumed: false, raw_offset: 0 });
    }

    fn agent_ends(&mut self, step_id: &str, ending: &str) {
        let usage = self.usage();
        let (step_id, ending) = (step_id.to_owned(), ending.to_owned());
        self.append(Event::AgentFinished(Box::new(AgentRun {
            step_id,
            ending,
            usage,
            ..AgentRun::default()
        })));
    }

    fn finish(&mut self, step_id: String, step: Step, outcome: Outcome) {
        let logged = !matches!(step.phase, StepPhase::Prepare | StepPhase::Merge | StepPhase::Cleanup);
        let output_path =
            if logged { record::log_name(step.phase, step.iteration, step.attempt) } else { String::new() };
        let failed = matches!(outcome, Outcome::Failed { .. });
        let dice = &mut self.dice;
        let finished = Event::StepFinished {
            step_id,
            exit_code: if failed { -1 } else { dice.roll(2) as i32 },
            duration_ms: dice.roll(5_000_000),
            output_path,
            output_bytes: dice.roll(1 << 30),
            output_lines: dice.roll(100_000),
            outcome,
        };
        self.append(finished);
    }

    fn fails(&mut self, step: Step) -> bool {
        match (self.bent, step.phase) {
            (Bent::FailedStart, StepPhase::Prepare)
            | (Bent::FailedBaseline, StepPhase::Baseline)
            | (Bent::AgentFailure, StepPhase::Implementation)
            | (Bent::Conflict, StepPhase::Merge) => true,
            (_, StepPhase::Cleanup) => false,
            _ => self.dice.one_in(80),
        }
    }

    fn outcome(&mut self, step: Step) -> Outcome {
        if self.fails(step) {
            let kind = match step.phase {
                StepPhase::Implementation => "runner_execution_failed",
                StepPhase::Merge => "merge_failed",
                _ => "run_error",
            };
            let text = self.dice.nasty();
            return Outcome::Failed { reason: format!("{kind}:{text}"), message: self.dice.nasty() };
        }
        let tree = self.state.current.implemented.as_ref().map(|work| work.tree.clone()).unwrap_or_default();
        match step.phase {
            StepPhase::Prepare => {
                let facts = self.worktree();
                self.append(Event::WorktreeCreating(facts.clone()));
                self.append(Event::WorktreeCreated(facts));
                Outcome::Done
            }
            StepPhase::Baseline => Outcome::Verified(self.gates(step, "base")),
            StepPhase::Implementation => Outcome::Implemented(Box::new(self.work())),
            StepPhase::Review => {
                let requested = self.bent != Bent::Completion && self.dice.one_in(4);
                let verdict = if requested { Verdict::ChangesRequested } else { Verdict::Approved };
                Outcome::Reviewed(Reviewed { tree, verdict, findings: self.dice.some(2) })
            }
            StepPhase::Verification => Outcome::Verified(self.gates(step, &tree)),
            StepPhase::Merge => {
                let verified = self.dice.one_in(3).then(|| self.gates(step, "merged"));
                Outcome::Merged(Merged {
                    commit: "commit-merge".into(),
                    target: "agent/files".into(),
                    verified,
                })
            }
            StepPhase::Cleanup => {
                let cleaned = self.dice.one_in(2);
                let status = if cleaned { "cleaned" } else { "failed" }.into();
                let message = if cleaned { String::new() } else { self.dice.nasty() };
                self.append(Event::WorktreeRemoved { status, message });
                Outcome::Done
            }
        }
    }

    fn worktree(&mut self) -> WorktreeFacts {
        WorktreeFacts {
            provider: "git".into(),
            worktree_path: "/worktree 9".into(),
            run_branch: "run/files-2".into(),
            base_commit: "commit-base".into(),
            base_tree: "base".into(),
            spec_path: "specs/files.md".into(),
            plan_path: "specs/planning/files-plan.md".into(),
            tasks_done: self.dice.roll(2) as u32,
            tasks_total: 7,
            ..WorktreeFacts::default()
        }
    }

    fn gates(&mut self, step: Step, tree: &str) -> Verified {
        let gates = self.state.spec().gates;
        let odds = match self.bent {
            Bent::FailingGates if step.phase == StepPhase::Verification => 1,
            Bent::Completion | Bent::Conflict => 1000,
            _ => 6,
        };
        let mut run = |gate: &Gate| {
            let failed = self.dice.one_in(odds);
            let timed_out = failed && self.dice.one_in(4);
            let before = if step.phase == StepPhase::Baseline { 40 } else { 50 };
            GateOutcome {
                name: gate.name.clone(),
                exit_code: if timed_out { -1 } else { i32::from(failed) * 3 },
                timed_out,
                out_of_memory: failed && !timed_out && self.dice.one_in(4),
                duration_ms: self.dice.roll(200_000),
                output_sha256: "0".repeat(64),
                counts: self
                    .dice
                    .one_in(2)
                    .then(|| [before, self.dice.roll(9), u64::from(self.dice.one_in(9))]),
            }
        };
        let ran = gates.iter().filter(|gate| step.clean || gate.when == GateWhen::Always);
        let gates = ran.map(&mut run).collect();
        Verified { commit: format!("commit-{tree}"), tree: tree.into(), clean: step.clean, gates }
    }

    fn work(&mut self) -> Implemented {
        let still = matches!(self.bent, Bent::Refusal | Bent::Watchdog);
        let tree = if still { "tree-still".to_owned() } else { format!("tree-{}", self.seq) };
        let done = matches!(self.bent, Bent::Completion | Bent::Conflict)
            || (self.bent == Bent::Nowhere && self.dice.one_in(3));
        let blocked = self.bent == Bent::Blocked;
        let nasty = self.dice.nasty();
        Implemented {
            head: format!("commit-{tree}"),
            snapshot: format!("snapshot-{tree}"),
            tree,
            descends: true,
            token: if self.bent == Bent::Refusal || done { Token::Accepted } else { Token::Absent },
            plan: PlanFacts {
                done: if done { 7 } else { self.dice.roll(7) as u32 },
                total: 7,
                not_done: if done { Vec::new() } else { vec![nasty.clone()] },
                blocked: if blocked { vec![nasty.clone()] } else { Vec::new() },
                only_blocked: blocked,
                blockers: if blocked && self.dice.one_in(2) { nasty } else { String::new() },
                ..PlanFacts::default()
            },
            violations: if done { Vec::new() } else { self.dice.some(6) }
                .into_iter()
                .map(|path| Violation { path, rule: "rule 1".into() })
                .collect(),
            findings: if done { Vec::new() } else { self.dice.some(6) },
            changed_files: if still { 0 } else { 1 + self.dice.roll(30) as u32 },
            ticked: 1,
            unticked: self.dice.some(6),
            repairs: self.dice.some(5),
            uncommitted: self.dice.one_in(5),
            similarity: if still { 100 } else { self.dice.roll(50) as u8 },
            stalled: still,
        }
    }
}
