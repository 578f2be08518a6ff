//! The scheduler beside a model of a cluster: an API server with runs, pods and workers, and an operator whose caches lag
//! behind it, see events twice, and are lost with it.
//!
//! What is assumed: events of one kind come in their order, and a run does not end, and is not deleted, while its pod is there
//! and the operator has not seen it. `LOOP_MODEL_STEPS` is the number of steps, 1,000,000 unless it says otherwise, which takes a
//! quarter of a minute. With 20,000 it has missed a defect that these found.

use std::collections::{BTreeMap, VecDeque};
use std::sync::LazyLock;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use loop_api::crd::LoopRun;
use loop_api::phase::RunPhase;
use loop_api::run::{Condition, LostAttempts, RunState, WorkerReference, rfc3339};
use loop_api::worker::{Drain, LoopWorkerSpec, QueuePolicy};
use loop_api::{names, naming};
use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};
use serde_json::{Value, json};

use super::{Admissions, Cluster, Pass, Pool, Verdict, entries};
use crate::run::{health, standing};
use crate::testing;

/// Steps of one sequence.
const LENGTH: usize = 200;
/// The most runs at once: more say nothing new.
const RUNS: usize = 24;
const WORKERS: [&str; 3] = ["alpha", "beta", "gamma"];
const SPACES: [&str; 3] = ["team-a", "team-b", "team-c"];

/// Slots, of them for a namespace and for a workspace; whether it is drained, takes the newest first, has what is required.
type Shape = (u32, Option<u32>, Option<u32>, bool, bool, bool);

/// What happens.
#[derive(Debug, Clone)]
enum Step {
    /// A user makes a run.
    Create { space: usize, workspace: usize, priority: i32, worker: Option<usize>, gpu: bool },
    /// The operator looks at a run; `whole` = it is not killed between its writes.
    Look { run: usize, whole: bool },
    /// A pod ends, and with it the run, or only the attempt.
    End { run: usize, lost: bool },
    /// A sidecar tells a result; its pod goes on for a while.
    Tell(usize),
    /// A pod that goes on after its run has ended or is gone ends.
    PodEnds(usize),
    /// A user deletes a run; its pod, if there is one, goes on for a while.
    Delete(usize),
    /// A user has a run rest, or go on.
    Toggle(usize),
    /// Events of runs, pods or workers arrive; `twice` = the first of them again later.
    Deliver { kind: usize, count: usize, twice: bool },
    /// The operator lists everything anew.
    Relist,
    /// The operator is killed, and the next one begins.
    Crash,
    /// The clock jumps by seconds, also back.
    Jump(i64),
    /// A worker is changed, made, or taken away.
    Worker { worker: usize, spec: Option<Shape> },
    /// All events arrive and every run is looked at: now nothing may be left to be done.
    Settle,
}

fn step() -> BoxedStrategy<Step> {
    let run = 0..RUNS;
    let cap = || prop::option::of(1_u32..4);
    prop_oneof![
        4 => (0..3_usize, 0..3_usize, -1..2_i32, prop::option::weighted(0.3, 0..3_usize), prop::bool::weighted(0.2))
            .prop_map(|(space, workspace, priority, worker, gpu)| Step::Create { space, workspace, priority, worker, gpu }),
        8 => (run.clone(), prop::bool::weighted(0.9)).prop_map(|(run, whole)| Step::Look { run, whole }),
        4 => (run.clone(), prop::bool::weighted(0.3)).prop_map(|(run, lost)| Step::End { run, lost }),
        1 => run.clone().prop_map(Step::Tell),
        2 => run.clone().prop_map(Step::PodEnds),
        1 => run.clone().prop_map(Step::Delete),
        1 => run.prop_map(Step::Toggle),
        6 => (0..3_usize, 1..6_usize, any::<bool>()).prop_map(|(kind, count, twice)| Step::Deliver { kind, count, twice }),
        1 => Just(Step::Relist),
        1 => Just(Step::Crash),
        1 => (-100..400_i64).prop_map(Step::Jump),
        2 => (0..3_usize, prop::option::weighted(0.8, (0..5_u32, cap(), cap(), prop::bool::weighted(0.2), any::<bool>(), any::<bool>())))
            .prop_map(|(worker, spec)| Step::Worker { worker, spec }),
        1 => Just(Step::Settle),
    ]
    .boxed()
}

/// The reference decides nothing: which steps may follow does not depend on those before, and what must hold is asked of
/// the API server's own objects.
struct Steps;

impl ReferenceStateMachine for Steps {
    type State = ();
    type Transition = Step;

    fn init_state() -> BoxedStrategy<()> {
        Just(()).boxed()
    }

    fn transitions((): &()) -> BoxedStrategy<Step> {
        step()
    }

    fn apply((): (), _: &Step) {}
}

/// Objects of one kind: as they are, as the operator sees them, and what is on its way.
struct Kind<K> {
    real: BTreeMap<String, K>,
    seen: BTreeMap<String, K>,
    events: VecDeque<(String, Option<K>)>,
}

impl<K: Clone> Kind<K> {
    fn new() -> Self {
        Self { real: BTreeMap::new(), seen: BTreeMap::new(), events: VecDeque::new() }
    }

    fn put(&mut self, name: &str, object: K) {
        self.real.insert(name.to_owned(), object.clone());
        self.events.push_back((name.to_owned(), Some(object)));
    }

    fn remove(&mut self, name: &str) {
        if self.real.remove(name).is_some() {
            self.events.push_back((name.to_owned(), None));
        }
    }

    fn deliver(&mut self, count: usize, twice: bool) {
        for _ in 0..count {
            let Some((name, object)) = self.events.pop_front() else { break };
            for _ in 0..=usize::from(twice) {
                match object.clone() {
                    Some(object) => self.seen.insert(name.clone(), object),
                    None => self.seen.remove(&name),
                };
            }
        }
    }

    fn relist(&mut self) {
        self.events.clear();
        self.seen = self.real.clone();
    }
}

struct World {
    now: Timestamp,
    runs: Kind<LoopRun>,
    pods: Kind<Pod>,
    workers: Kind<LoopWorkerSpec>,
    admissions: Admissions,
    own: LoopWorkerSpec,
    made: usize,
    version: u64,
}

static PROTOTYPE: LazyLock<LoopRun> = LazyLock::new(|| testing::run(1, &Value::Null));
static LABELS: LazyLock<BTreeMap<String, String>> = LazyLock::new(BTreeMap::new);

fn pod(run: &LoopRun, phase: &str) -> Pod {
    let status = run.status.as_ref().expect("a status");
    let mut labels = json!({names::RUN_UID_LABEL: run.uid()});
    if !status.worker_name.is_empty() {
        labels[names::WORKER_LABEL] = json!(status.worker_name);
    }
    let annotations = json!({names::WORKSPACE_ANNOTATION: status.workspace});
    let pod = json!({
        "metadata": {"name": status.pod_name, "namespace": run.namespace(), "labels": labels, "annotations": annotations},
        "status": {"phase": phase},
    });
    serde_json::from_value(pod).expect("a pod")
}

impl World {
    fn new() -> Self {
        Self {
            now: Timestamp::from_second(1_000_000).expect("a time"),
            runs: Kind::new(),
            pods: Kind::new(),
            workers: Kind::new(),
            admissions: Admissions::default(),
            own: LoopWorkerSpec { slots: 2, ..super::tests::worker(json!({})) },
            made: 0,
            version: 0,
        }
    }

    fn write(&mut self, uid: &str, mut run: LoopRun) {
        self.version += 1;
        run.metadata.resource_version = Some(self.version.to_string());
        self.runs.put(uid, run);
    }

    /// Changes a run that is there.
    fn change(&mut self, uid: &str, change: impl FnOnce(&mut LoopRun)) {
        if let Some(mut run) = self.runs.real.get(uid).cloned() {
            change(&mut run);
            self.write(uid, run);
        }
    }

    /// The uid of one of the runs that are there.
    fn pick(&self, number: usize) -> Option<String> {
        let count = self.runs.real.len();
        (count > 0).then(|| self.runs.real.keys().nth(number % count).cloned()).flatten()
    }

    /// Asks the scheduler about everything, as it was seen.
    fn with_pass<T>(&self, ask: impl FnOnce(&Pass<'_>) -> T) -> T {
        let all = entries(
            self.runs.seen.values(),
            self.pods.seen.values(),
            &self.admissions,
            |_| (None, true),
            self.now,
        );
        let pools = self.workers.seen.iter().map(|(name, spec)| Pool::new(name, Some(spec), &self.own));
        let cluster = Cluster::new(&self.own, pools, SPACES.map(|name| (name, &*LABELS)));
        ask(&Pass::new(&cluster, &all))
    }

    /// What the operator does about one run.
    fn look(&mut self, uid: &str, whole: bool) {
        self.admissions.tidy(self.runs.seen.values(), self.now);
        let Some(run) = self.runs.seen.get(uid).cloned() else { return };
        let stage = standing::of(&run, self.now);
        if stage == standing::Standing::Wants {
            let fresh = self.admissions.worker(uid).is_none();
            let verdict = match self.admissions.worker(uid) {
                Some(worker) => Some(worker.to_owned()),
                None => self.with_pass(|pass| match pass.verdict_on(uid) {
                    Some(Verdict::Admitted(worker)) => Some(worker.to_owned()),
                    _ => None,
                }),
            };
            let Some(worker) = verdict else { return };
            self.admissions.give(&run, &worker);
            let real = self.runs.real.get(uid);
            // Written with the version that was read.
            if real.is_none_or(|real| real.resource_version() != run.resource_version()) {
                return;
            }
            self.change(uid, |run| {
                let name = run.name_any();
                let status = run.status.get_or_insert_default();
                status.attempt += 1;
                status.pod_name = names::pod(&name, uid, status.attempt);
                status.pod_uid.clear();
                status.worker_name.clone_from(&worker);
                status.workspace = naming::workspace(&run.spec.repository.url).into_owned();
            });
            // What was given before and had to be written again was within them then.
            if fresh {
                self.within_caps(&worker, uid);
            }
            if !whole {
                self.crash();
                return;
            }
            self.make_pod(uid);
        } else if stage == standing::Standing::Attempt {
            self.make_pod(uid);
        }
    }

    fn make_pod(&mut self, uid: &str) {
        let Some(run) = self.runs.real.get(uid) else { return };
        let status = run.status.clone().unwrap_or_default();
        if status.pod_name.is_empty() || !status.pod_uid.is_empty() || status.phase.is_terminal() {
            return;
        }
        let pod = pod(run, "Running");
        self.pods.put(&status.pod_name, pod);
        self.change(uid, |run| run.status.get_or_insert_default().pod_uid = "made".into());
    }

    fn crash(&mut self) {
        self.admissions = Admissions::default();
        self.relist();
    }

    fn relist(&mut self) {
        self.runs.relist();
        self.pods.relist();
        self.workers.relist();
    }

    /// Uids of runs, there or not, that have a slot of a worker: namespace and workspace of each.
    fn holders(&self, worker: &str) -> BTreeMap<String, (String, String)> {
        let mut holders = BTreeMap::new();
        for pod in self.pods.real.values().filter(|pod| !health::is_over(pod)) {
            if pod.labels().get(names::WORKER_LABEL).map_or("", String::as_str) == worker {
                let uid = pod.labels()[names::RUN_UID_LABEL].clone();
                let workspace = pod.annotations()[names::WORKSPACE_ANNOTATION].clone();
                holders.insert(uid, (pod.namespace().unwrap_or_default(), workspace));
            }
        }
        for (uid, run) in &self.runs.real {
            let Some(status) = &run.status else { continue };
            let over = self.pods.real.get(&status.pod_name).is_some_and(health::is_over);
            if !status.pod_name.is_empty()
                && !status.phase.is_terminal()
                && !over
                && status.worker_name == worker
            {
                holders.insert(uid.clone(), (run.namespace().unwrap_or_default(), status.workspace.clone()));
            }
        }
        holders
    }

    /// Caps hold after an admission, by what the operator has seen of the worker.
    fn within_caps(&self, worker: &str, uid: &str) {
        let spec = if worker.is_empty() { &self.own } else { &self.workers.seen[worker] };
        let holders = self.holders(worker);
        let (space, workspace) = &holders[uid];
        let in_space = holders.values().filter(|holder| holder.0 == *space).count();
        let in_workspace = holders.values().filter(|holder| holder.1 == *workspace).count();
        let most = |most: Option<u32>| most.map_or(usize::MAX, |most| most as usize);
        assert!(holders.len() <= spec.slots as usize, "{worker}: {holders:?}");
        assert!(in_space <= most(spec.slots_per_namespace), "{worker}: {holders:?}");
        assert!(in_workspace <= most(spec.max_runs_per_workspace), "{worker}: {holders:?}");
    }

    /// Whether a pool would take a run, given what is in use of it. Written anew, so that it shares no mistake.
    fn would_take(&self, run: &LoopRun, worker: &str, spec: &LoopWorkerSpec, empty: bool) -> bool {
        let holders = if empty { BTreeMap::new() } else { self.holders(worker) };
        let space = run.namespace().unwrap_or_default();
        let workspace = naming::workspace(&run.spec.repository.url);
        let in_space = holders.values().filter(|holder| holder.0 == space).count() as u32;
        let in_workspace = holders.values().filter(|holder| *holder.1 == *workspace).count() as u32;
        !spec.drain.as_ref().is_some_and(|drain| drain.enabled)
            && run.spec.requires.iter().all(|capability| spec.capabilities.contains(capability))
            && (holders.len() as u32) < spec.slots
            && spec.slots_per_namespace.is_none_or(|most| in_space < most)
            && spec.max_runs_per_workspace.is_none_or(|most| in_workspace < most)
    }

    /// Whether any pool would take a run now, or if all were empty.
    fn is_admissible(&self, run: &LoopRun, empty: bool) -> bool {
        let workers = &self.workers.real;
        match &run.spec.worker_ref {
            Some(named) => {
                workers.get(&named.name).is_some_and(|spec| self.would_take(run, &named.name, spec, empty))
            }
            None if workers.is_empty() => self.would_take(run, "", &self.own, empty),
            None => workers.iter().any(|(name, spec)| self.would_take(run, name, spec, empty)),
        }
    }

    fn waiting(&self) -> Vec<LoopRun> {
        let waits = |run: &&LoopRun| standing::of(run, self.now) == standing::Standing::Wants;
        self.runs.real.values().filter(waits).cloned().collect()
    }

    /// Until nothing changes any more.
    fn settle(&mut self) {
        loop {
            self.relist();
            let before = self.version;
            for uid in self.runs.real.keys().cloned().collect::<Vec<_>>() {
                self.look(&uid, true);
            }
            if self.version == before {
                break;
            }
        }
        for run in self.waiting() {
            let alive = self.pods.real.values().any(|pod| {
                pod.labels().get(names::RUN_UID_LABEL) == run.uid().as_ref() && !health::is_over(pod)
            });
            assert!(alive || !self.is_admissible(&run, false), "{} waits for nothing", run.name_any());
        }
    }

    fn end(&mut self, uid: &str, lost: bool) {
        let Some(run) = self.runs.real.get(uid) else { return };
        let Some(status) = run.status.clone().filter(|status| !status.pod_name.is_empty()) else { return };
        if status.phase.is_terminal() || !self.pods.real.contains_key(&status.pod_name) {
            return;
        }
        if lost {
            self.pods.remove(&status.pod_name);
            let admitted = Condition {
                kind: "Admitted".into(),
                status: "False".into(),
                reason: "PodGone".into(),
                message: String::new(),
                last_transition_time: rfc3339(self.now.as_millisecond()),
                observed_generation: None,
            };
            self.change(uid, |run| {
                let status = run.status.get_or_insert_default();
                status.pod_name.clear();
                status.pod_uid.clear();
                status.lost = Some(LostAttempts { attempts: 3, ..LostAttempts::default() });
                status.conditions = vec![admitted];
            });
        } else {
            self.pods.put(&status.pod_name, pod(run, "Succeeded"));
            self.change(uid, |run| run.status.get_or_insert_default().phase = RunPhase::Completed);
        }
    }

    /// Whether the pod of a run's attempt is among some.
    fn pod_is(&self, uid: &str, among: &BTreeMap<String, Pod>) -> bool {
        let status = self.runs.real[uid].status.as_ref();
        status.is_some_and(|status| among.contains_key(&status.pod_name))
    }

    fn create(&mut self, space: usize, workspace: usize, priority: i32, worker: Option<usize>, gpu: bool) {
        if self.runs.real.len() >= RUNS {
            let ended = |run: &&LoopRun| run.status.as_ref().is_some_and(|status| status.phase.is_terminal());
            let Some(uid) = self.runs.real.values().find(ended).and_then(ResourceExt::uid) else { return };
            self.runs.remove(&uid);
        }
        self.made += 1;
        let mut run = PROTOTYPE.clone();
        let uid = format!("{:08x}-0000-7000-8000-000000000000", self.made);
        run.metadata.uid = Some(uid.clone());
        run.metadata.name = Some(format!("run-{}", self.made));
        run.metadata.namespace = Some(SPACES[space].into());
        run.spec.repository.url = format!("https://git.example/{workspace}.git");
        run.spec.priority = priority;
        run.spec.worker_ref = worker.map(|worker| WorkerReference { name: WORKERS[worker].into() });
        run.spec.requires = if gpu { vec!["gpu".into()] } else { vec![] };
        self.write(&uid, run);
    }

    fn change_worker(&mut self, name: &str, shape: Option<Shape>) {
        let Some((slots, slots_per_namespace, max_runs_per_workspace, drained, newest, gpu)) = shape else {
            self.workers.remove(name);
            return;
        };
        let spec = LoopWorkerSpec {
            slots,
            slots_per_namespace,
            max_runs_per_workspace,
            queue_policy: if newest { QueuePolicy::NewestFirst } else { QueuePolicy::Fifo },
            capabilities: if gpu { vec!["gpu".into()] } else { vec![] },
            drain: drained.then_some(Drain { enabled: true, deadline_seconds: None }),
            ..LoopWorkerSpec::default()
        };
        self.workers.put(name, spec);
    }

    /// Ends one of the pods that go on without a run that does, and has one of those that are over removed.
    fn pod_ends(&mut self, number: usize) {
        let rests = |pod: &Pod| {
            let run = pod.labels().get(names::RUN_UID_LABEL).and_then(|uid| self.runs.real.get(uid));
            run.is_none_or(|run| run.status.as_ref().is_some_and(|status| status.phase.is_terminal()))
        };
        let left: Vec<String> =
            self.pods.real.iter().filter(|(_, pod)| rests(pod)).map(|(name, _)| name.clone()).collect();
        let Some(name) = (!left.is_empty()).then(|| left[number % left.len()].clone()) else { return };
        let mut pod = self.pods.real[&name].clone();
        if health::is_over(&pod) {
            self.pods.remove(&name);
        } else {
            pod.status.get_or_insert_default().phase = Some("Succeeded".into());
            self.pods.put(&name, pod);
        }
    }

    /// Time goes on until every run has ended that can.
    fn finish(&mut self) {
        self.now = Timestamp::from_second(100_000_000).expect("a time");
        loop {
            self.settle();
            let before = self.version;
            for uid in self.runs.real.keys().cloned().collect::<Vec<_>>() {
                self.end(&uid, false);
            }
            let mut ended = false;
            while self.pods.real.values().any(|pod| !health::is_over(pod)) {
                let pods = self.pods.real.len();
                (0..pods).for_each(|number| self.pod_ends(number));
                ended = true;
            }
            if self.version == before && !ended {
                break;
            }
        }
        for run in self.waiting() {
            assert!(!self.is_admissible(&run, true), "{} was never admitted", run.name_any());
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Create { space, workspace, priority, worker, gpu } => {
                self.create(space, workspace, priority, worker, gpu);
            }
            Step::Look { run, whole } => {
                if let Some(uid) = self.pick(run) {
                    self.look(&uid, whole);
                }
            }
            Step::End { run, lost } => {
                if let Some(uid) = self.pick(run) {
                    self.end(&uid, lost);
                }
            }
            Step::Tell(run) => {
                let Some(uid) = self.pick(run) else { return };
                if self.pod_is(&uid, &self.pods.seen) && self.pod_is(&uid, &self.pods.real) {
                    self.change(&uid, |run| run.status.get_or_insert_default().phase = RunPhase::Completed);
                }
            }
            Step::PodEnds(number) => self.pod_ends(number),
            Step::Delete(run) => {
                if let Some(uid) = self.pick(run)
                    && (self.pod_is(&uid, &self.pods.seen) || !self.pod_is(&uid, &self.pods.real))
                {
                    self.runs.remove(&uid);
                }
            }
            Step::Toggle(run) => {
                let Some(uid) = self.pick(run) else { return };
                self.change(&uid, |run| {
                    let paused = run.spec.state == RunState::Paused;
                    run.spec.state = if paused { RunState::Running } else { RunState::Paused };
                });
            }
            Step::Deliver { kind: 0, count, twice } => self.runs.deliver(count, twice),
            Step::Deliver { kind: 1, count, twice } => self.pods.deliver(count, twice),
            Step::Deliver { count, twice, .. } => self.workers.deliver(count, twice),
            Step::Relist => self.relist(),
            Step::Crash => self.crash(),
            Step::Jump(seconds) => {
                let moved = self.now.as_second() + seconds;
                self.now = Timestamp::from_second(moved).expect("a time");
            }
            Step::Worker { worker, spec } => self.change_worker(WORKERS[worker], spec),
            Step::Settle => self.settle(),
        }
    }
}

struct Model;

impl StateMachineTest for Model {
    type SystemUnderTest = World;
    type Reference = Steps;

    fn init_test((): &()) -> World {
        World::new()
    }

    fn apply(mut world: World, (): &(), step: Step) -> World {
        world.step(&step);
        world
    }

    fn teardown(mut world: World, (): ()) {
        world.finish();
    }
}

fn cases() -> u32 {
    let steps = std::env::var("LOOP_MODEL_STEPS")
        .ok()
        .and_then(|steps| steps.parse().ok())
        .unwrap_or(1_000_000_usize);
    (steps / LENGTH).max(1) as u32
}

prop_state_machine! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn caps_hold_no_run_is_lost_and_whoever_can_start_does(sequential LENGTH..LENGTH + 1 => Model);
}
