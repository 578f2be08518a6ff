//! The protocol of attempts and leases in every order of events that small bounds allow (SCH-16..21): the operator decides
//! with [`decide`], pods keep their lease with [`Grant`], and between them are messages that come late, twice or never,
//! clocks that run differently, and crashes of each party.
//!
//! A unit of time is 5 s. A lease is 2 of them, the margin 3. A pod's clock may fall behind by one, the operator's may run
//! ahead by one, and an agent may need one to be killed: that is what the margin has to cover.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::Hash;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use loop_api::crd::LoopRun;
use loop_api::phase::RunPhase;
use loop_core::lease::{Grant, Hold, Word};
use serde_json::{Value, json};
use stateright::{Checker as _, Model, Property};

use super::decide::{Seen, Turn, decide};
use super::standing::{self, Standing};
use super::verdict::Step;
use crate::testing;

/// Seconds in a unit of time.
const UNIT: u8 = 5;
/// Units of a lease.
const LEASE: u8 = 2;
/// Units until an agent is dead that is being killed.
const KILL: u8 = 1;
/// Attempts that are followed in every order.
const PODS: u8 = 2;
/// Units of time in which something may go wrong, and in all.
const TROUBLE: u8 = 3;
const END: u8 = 9;
/// Things that may go wrong.
const FAULTS: u8 = 2;
/// Rounds in which a run has to end once nothing goes wrong any more.
const ROUNDS: u8 = 40;

/// What the API server has of the run.
#[allow(clippy::struct_excessive_bools, reason = "they are independent facts")]
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Run {
    attempt: u8,
    named: bool,
    made: bool,
    /// By the operator's clock, in units.
    expires: Option<u8>,
    begun: bool,
    result: Option<u8>,
    ended: bool,
}

/// A pod as it is, and as its node tells.
#[allow(clippy::struct_excessive_bools, reason = "they are independent facts")]
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Attempt {
    /// Its processes are alive.
    alive: bool,
    /// The API server still has its object.
    shown: bool,
    /// Its node is heard.
    heard: bool,
    /// Kubernetes has deleted it.
    deleted: bool,
    /// Its worker is drained, and the deadline of that has passed.
    drained: bool,
    /// The operator has told it to end.
    stopped: bool,
    /// It reaches the API server.
    connected: bool,
    /// Its sidecar has begun.
    grant: Option<Grant>,
    /// Units that its clock is behind.
    behind: u8,
    /// An answer that is under way, and when it was asked for by the pod's clock: it may come late, twice or never. The
    /// question takes no time, since one that does makes the lease shorter.
    answer: Option<(u8, Word)>,
    /// A report under way to the API server.
    reports: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct World {
    now: u8,
    /// Units that the operator's clock is ahead.
    ahead: u8,
    run: Run,
    /// What an operator has seen of the pod, and may act on much later, unless somebody has written the run meanwhile.
    read: Option<Old>,
    pods: Vec<Attempt>,
    faults: u8,
    /// Attempts whose report was taken, as bits.
    told: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Action {
    Tick,
    /// The clock of a pod loses the unit.
    TickWithout(usize),
    /// The operator's clock gains one.
    Ahead,
    Look,
    /// An operator that read the run is paused; another acts meanwhile.
    Read,
    /// It wakes up and goes on where it was.
    LookAtOld,
    Begin(usize),
    Ask(usize),
    Hear(usize),
    Report(usize),
    Deliver(usize),
    /// Faults.
    Cut(usize),
    Kill(usize),
    Silence(usize),
    Force(usize),
    /// No fault, but as little to be foreseen.
    Drain(usize),
    /// And their end.
    Mend(usize),
    Delete(usize),
    Notice(usize),
}

impl World {
    fn local(&self, pod: usize) -> u8 {
        self.now - self.pods[pod].behind
    }

    fn ms(units: u8) -> u64 {
        u64::from(units) * u64::from(UNIT) * 1000
    }

    fn hold(&self, pod: usize) -> Hold {
        self.pods[pod].grant.as_ref().map_or(Hold::Lapsed, |grant| grant.hold(Self::ms(self.local(pod))))
    }

    /// Whether anything of a pod may still be at work or push: while it holds the lease, and until all is killed.
    fn works(&self, pod: usize) -> bool {
        let grant = self.pods[pod].grant.as_ref();
        let until = grant.filter(|grant| !grant.revoked).map_or(0, |grant| grant.until_ms);
        self.pods[pod].alive && Self::ms(self.local(pod)) < until + Self::ms(KILL)
    }

    /// What the API server says to a pod.
    fn word(&self, pod: usize) -> Word {
        Word::of(self.run.attempt.into(), self.run.named, attempt(pod).into())
    }

    /// The run's pod as an operator sees it, if it sees one.
    fn view(&self) -> Option<View> {
        let attempt = self.run.attempt;
        let pod =
            self.pods.get(usize::from(attempt).checked_sub(1)?).filter(|pod| pod.shown && self.run.named)?;
        let over = pod.heard && !pod.alive;
        Some(View { attempt, over, begun: pod.grant.is_some(), deleted: pod.deleted })
    }

    /// An operator looks at the run with what it has seen of the pod, and writes what it decides.
    fn look(&mut self, view: Option<View>, most: u8) {
        let place = usize::from(self.run.attempt).checked_sub(1);
        let drained = place.is_some_and(|place| self.pods.get(place).is_some_and(|pod| pod.drained));
        let (new, step) = decided(&self.run, view, drained, self.now + self.ahead, most);
        self.write(new.clone());
        if let (Step::Stop, Some(place)) = (step, place) {
            self.pods[place].stopped = true;
        }
        if step != Step::Start {
            return;
        }
        let place = usize::from(new.attempt) - 1;
        if self.pods.len() == place {
            self.pods.push(Attempt::new());
        }
        // Made, or found made; its uid comes last, on what was written before.
        if self.pods.get(place).is_some_and(|pod| pod.shown) && self.run == new {
            self.write(Run { made: true, ..new });
        }
    }

    /// Forgets what can no longer make a difference, so that states which are alike are the same.
    fn forget(&mut self) {
        for number in 0..self.pods.len() {
            let local = Self::ms(self.local(number));
            let pod = &mut self.pods[number];
            let Some(grant) = &mut pod.grant else { continue };
            if !pod.alive || grant.revoked {
                (grant.until_ms, pod.answer, pod.connected, pod.behind) = (0, None, true, 0);
            } else if grant.until_ms + Self::ms(KILL) <= local {
                grant.until_ms = 0;
            }
            // It would change nothing, however often it is heard.
            let changes = |(asked, word): (u8, Word)| {
                let mut after = grant.clone();
                after.hear(word, Some(Self::ms(asked)));
                after != *grant
            };
            pod.answer = pod.answer.filter(|answer| changes(*answer));
        }
    }

    fn write(&mut self, run: Run) {
        if self.run != run {
            self.run = run;
            self.read = None;
        }
    }

    /// Whether the run ends when from here on nothing goes wrong any more, but what has: nodes come `back`, or never do.
    fn ends(&self, back: bool) -> bool {
        let mut world = self.clone();
        for _ in 0..ROUNDS {
            world.now += 1;
            for number in 0..world.pods.len() {
                let word = world.word(number);
                let (local, hold) = (world.local(number), world.hold(number));
                let pod = &mut world.pods[number];
                pod.connected = true;
                if back {
                    pod.notice();
                } else {
                    pod.deleted |= !pod.heard;
                    pod.alive &= !(pod.heard && pod.stopped);
                }
                if !pod.alive {
                    continue;
                }
                let grant = pod.grant.get_or_insert_with(|| grant(number));
                grant.hear(word, Some(Self::ms(local)));
                if hold == Hold::Held && world.run.made && usize::from(world.run.attempt) == number + 1 {
                    world.run.result = Some(world.run.attempt);
                }
            }
            world.look(world.view(), u8::MAX);
            if world.run.ended {
                return true;
            }
        }
        false
    }
}

impl Attempt {
    fn new() -> Self {
        Self {
            alive: true,
            shown: true,
            heard: true,
            deleted: false,
            drained: false,
            stopped: false,
            connected: true,
            grant: None,
            behind: 0,
            answer: None,
            reports: false,
        }
    }

    /// Its node is back, or has heard: what is to end ends.
    fn notice(&mut self) {
        self.heard = true;
        self.alive &= self.shown && !self.deleted && !self.stopped;
    }
}

fn grant(pod: usize) -> Grant {
    Grant { attempt: attempt(pod).into(), seconds: u32::from(LEASE * UNIT), until_ms: 0, revoked: false }
}

fn attempt(pod: usize) -> u8 {
    u8::try_from(pod + 1).expect("a few")
}

/// A look that was taken a while ago, with the pod that was there then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Old(Option<View>);

/// Decisions by what they were made on: run, pod, whether its worker is drained, time, and whether there may be another
/// attempt.
type Decisions = HashMap<(Run, Option<View>, bool, u8, bool), (Run, Step)>;

/// What an operator sees of a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct View {
    attempt: u8,
    over: bool,
    begun: bool,
    deleted: bool,
}

thread_local! {
    /// Decisions that were made before: the same is asked over and over.
    static KNOWN: RefCell<Decisions> = RefCell::default();
}

/// What the operator itself decides: what the run is to say, and what is to be done.
fn decided(run: &Run, view: Option<View>, drained: bool, now: u8, most: u8) -> (Run, Step) {
    let key = (run.clone(), view, drained, now, run.attempt < most);
    if let Some(known) = KNOWN.with_borrow(|known| known.get(&key).cloned()) {
        return known;
    }
    let object = object(run);
    let pod = view.map(pod);
    let wants = standing::of(&object, time(now)) == Standing::Wants && run.attempt < most;
    let (worker, workspace) = (String::new(), String::new());
    let given = Turn::Given { worker, workspace, lease_seconds: u32::from(LEASE * UNIT), defaults: None };
    let turn = if wants { given } else { Turn::Unknown };
    let leave = drained.then(|| time(0));
    let seen = Seen { run: &object, pod: pod.as_ref(), able: true, gap: None, turn: &turn, ttl: None, leave };
    let decision = decide(&seen, time(now));
    let status = decision.status;
    let expires = status.lease_expires.map(|text| {
        let expires: Timestamp = text.parse().expect("a time");
        u8::try_from((expires.as_second() - time(0).as_second()) / i64::from(UNIT)).expect("a few units")
    });
    let new = Run {
        attempt: u8::try_from(status.attempt).expect("a few"),
        named: !status.pod_name.is_empty(),
        made: !status.pod_uid.is_empty(),
        expires,
        begun: status.start_time.is_some(),
        result: run.result,
        ended: status.phase == RunPhase::Completed,
    };
    let answer = (new, decision.step);
    KNOWN.with_borrow_mut(|known| known.insert(key, answer.clone()));
    answer
}

fn time(units: u8) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + i64::from(units) * i64::from(UNIT)).expect("a time")
}

fn object(run: &Run) -> LoopRun {
    let mut status = json!({"observedGeneration": 1, "attempt": run.attempt, "leaseSeconds": LEASE * UNIT});
    let mut say = |field: &str, value: Option<Value>| {
        if let Some(value) = value {
            status[field] = value;
        }
    };
    say("podName", run.named.then(|| json!(format!("run-1-abcd1-{}", run.attempt))));
    say("podUID", run.made.then(|| json!("pod")));
    say("startTime", run.begun.then(|| json!(time(0).to_string())));
    say("leaseExpires", run.expires.map(|expires| json!(time(expires).to_string())));
    let result =
        |attempt| json!({"exitReason": "complete_plan", "evidence": "NoRegression", "attempt": attempt});
    say("result", run.result.map(result));
    say("phase", run.ended.then(|| json!("Completed")));
    testing::run(1, &status)
}

fn pod(view: View) -> Pod {
    let state = if view.over {
        json!({"terminated": {"exitCode": 137, "startedAt": time(0).to_string()}})
    } else {
        json!({"running": {"startedAt": time(0).to_string()}})
    };
    let runner = json!({"name": "runner", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state});
    let statuses = if view.begun { vec![runner] } else { Vec::new() };
    let phase = if view.over { "Failed" } else { "Running" };
    let mut pod = testing::pod(&json!({"phase": phase, "containerStatuses": statuses}));
    pod.metadata.name = Some(format!("run-1-abcd1-{}", view.attempt));
    let long_ago = json!("2026-01-01T00:00:00Z");
    pod.metadata.deletion_timestamp = view.deleted.then(|| serde_json::from_value(long_ago).expect("a time"));
    pod
}

struct Protocol;

impl Model for Protocol {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let run = Run {
            attempt: 0,
            named: false,
            made: false,
            expires: None,
            begun: false,
            result: None,
            ended: false,
        };
        vec![World { now: 1, ahead: 0, run, read: None, pods: Vec::new(), faults: 0, told: 0 }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        if world.run.ended {
            return;
        }
        actions.extend([Action::Tick, Action::Look]);
        let trouble = world.now < TROUBLE;
        let may_fail = trouble && world.faults < FAULTS;
        if trouble && world.ahead == 0 {
            actions.push(Action::Ahead);
        }
        if world.read.is_some() {
            actions.push(Action::LookAtOld);
        } else if may_fail {
            actions.push(Action::Read);
        }
        for (number, pod) in world.pods.iter().enumerate() {
            if pod.alive {
                if pod.grant.is_none() {
                    actions.push(Action::Begin(number));
                } else {
                    let words = [Action::Ask(number), Action::Report(number)];
                    actions.extend(words.into_iter().filter(|_| pod.connected));
                }
                if trouble && pod.behind == 0 {
                    actions.push(Action::TickWithout(number));
                }
                if may_fail {
                    actions.extend([Action::Kill(number), Action::Silence(number), Action::Force(number)]);
                    actions.extend((!pod.drained).then_some(Action::Drain(number)));
                    actions.extend(pod.connected.then_some(Action::Cut(number)));
                }
            }
            actions.extend(pod.answer.is_some().then_some(Action::Hear(number)));
            actions.extend(pod.reports.then_some(Action::Deliver(number)));
            actions.extend((!pod.connected).then_some(Action::Mend(number)));
            actions.extend((!pod.heard && !pod.deleted).then_some(Action::Delete(number)));
            let ends = pod.alive && (!pod.shown || pod.stopped);
            actions.extend((ends || !pod.heard).then_some(Action::Notice(number)));
        }
    }

    fn next_state(&self, before: &World, action: Action) -> Option<World> {
        let mut world = before.clone();
        match action {
            Action::Tick => {
                world.now += 1;
            }
            Action::TickWithout(pod) => {
                world.now += 1;
                world.pods[pod].behind = 1;
            }
            Action::Ahead => world.ahead = 1,
            Action::Look => world.look(world.view(), PODS),
            Action::Read => {
                world.faults += 1;
                world.read = Some(Old(world.view()));
            }
            Action::LookAtOld => {
                let Old(view) = world.read.take()?;
                world.look(view, PODS);
            }
            Action::Begin(pod) => world.pods[pod].grant = Some(grant(pod)),
            Action::Ask(pod) => world.pods[pod].answer = Some((world.local(pod), world.word(pod))),
            Action::Hear(pod) => {
                let (asked, word) = world.pods[pod].answer?;
                world.pods[pod].grant.as_mut()?.hear(word, Some(World::ms(asked)));
            }
            // It has come to an end while it held the lease, and tells; the message may take its time.
            Action::Report(pod) if world.hold(pod) == Hold::Held => world.pods[pod].reports = true,
            Action::Report(_) => return None,
            Action::Deliver(pod) => {
                world.pods[pod].reports = false;
                // As the admission policy does.
                if world.run.made && world.run.attempt == attempt(pod) {
                    world.told |= 1 << pod;
                    let result = Some(attempt(pod));
                    world.write(Run { result, ..world.run.clone() });
                }
            }
            Action::Cut(pod) => {
                world.faults += 1;
                world.pods[pod].connected = false;
            }
            Action::Kill(pod) => {
                world.faults += 1;
                world.pods[pod].alive = false;
            }
            Action::Silence(pod) => {
                world.faults += 1;
                world.pods[pod].heard = false;
            }
            Action::Force(pod) => {
                world.faults += 1;
                world.pods[pod].shown = false;
            }
            Action::Drain(pod) => {
                world.faults += 1;
                world.pods[pod].drained = true;
            }
            Action::Mend(pod) => world.pods[pod].connected = true,
            Action::Delete(pod) => world.pods[pod].deleted = true,
            Action::Notice(pod) => world.pods[pod].notice(),
        }
        world.forget();
        (world != *before).then_some(world)
    }

    fn within_boundary(&self, world: &World) -> bool {
        world.now <= END
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no two attempts are at work", |_, world: &World| {
                (0..world.pods.len()).filter(|&pod| world.works(pod)).count() <= 1
            }),
            Property::always("no two attempts have reported", |_, world: &World| {
                world.told.count_ones() <= 1
            }),
            Property::sometimes("a second attempt is made", |_, world: &World| world.pods.len() == 2),
            Property::always("the run ends when nothing goes wrong any more", |_, world: &World| {
                world.now != TROUBLE || [true, false].into_iter().all(|back| world.ends(back))
            }),
            Property::sometimes("a run leaves a drained worker", |_, world: &World| {
                world.pods.len() == 2 && world.pods[0].stopped && world.run.expires.is_none()
            }),
            Property::sometimes("a lease lapses and comes back", |_, world: &World| {
                world
                    .pods
                    .first()
                    .is_some_and(|pod| pod.grant.as_ref().is_some_and(|grant| grant.until_ms > World::ms(8)))
            }),
        ]
    }
}

#[test]
fn no_two_attempts_can_work_or_report_at_once() {
    let checker = Protocol.checker().threads(2).spawn_bfs().join();
    println!("{} states, {} of them different", checker.state_count(), checker.unique_state_count());
    checker.assert_properties();
}
