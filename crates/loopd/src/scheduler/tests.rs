use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use loop_api::crd::LoopRun;
use loop_api::names;
use loop_api::worker::LoopWorkerSpec;
use serde_json::{Value, json};

use super::*;
use crate::testing::{run, uid};

const ALIVE: Pods<'static> = Pods { alive: Some("w"), over: false };
const OVER: Pods<'static> = Pods { alive: None, over: true };
const NONE: Pods<'static> = Pods { alive: None, over: false };

/// A worker that gives an image to runs without one.
pub(super) fn worker(mut spec: Value) -> LoopWorkerSpec {
    spec["defaults"] = json!({"agent": {"image": "given/image"}});
    serde_json::from_value(spec).expect("a worker")
}

/// An entry in namespace `a`, made in this second, that waits.
pub(super) fn waits(name: &str, created: i64) -> Entry<'_> {
    Entry {
        uid: name,
        namespace: "a",
        name,
        created,
        workspace: "git.example/app".into(),
        wants: Wants::default(),
        place: Place::Waits,
        keeps: true,
    }
}

fn holds<'a>(name: &'a str, worker: &'a str) -> Entry<'a> {
    Entry { place: Place::Holds(worker), ..waits(name, 0) }
}

/// What becomes of each entry: `worker` it is admitted to (`operator` for the operator), or the reason why not.
fn verdicts(workers: &[(&str, &LoopWorkerSpec)], entries: &[Entry<'_>]) -> Vec<String> {
    let own = worker(json!({"slots": 3}));
    let labels = BTreeMap::from([("team".to_owned(), "a".to_owned())]);
    let none = BTreeMap::new();
    let pools = workers.iter().map(|(name, spec)| Pool::new(name, Some(spec), &own));
    let cluster = Cluster::new(&own, pools, [("a", &labels), ("b", &none)]);
    let pass = Pass::new(&cluster, entries);
    let said = |run| match pass.verdict(run) {
        Some(Verdict::Admitted("")) => "operator".to_owned(),
        Some(Verdict::Admitted(worker)) => worker.to_owned(),
        Some(Verdict::Refused(refusal)) => refusal.reason().to_owned(),
        None => "-".to_owned(),
    };
    (0..entries.len()).map(said).collect()
}

#[test]
fn a_slot_is_held_from_the_admission_until_the_pod_is_over() {
    let admitted = json!({"attempt": 1, "phase": "Pending", "podName": "p", "workerName": "w"});
    let completed = json!({"attempt": 1, "phase": "Completed", "podName": "p", "workerName": "w"});
    let told = json!({"attempt": 1, "phase": "Running", "podName": "p", "result": {"exitReason": "failed", "attempt": 1}});
    let between = json!({"attempt": 1, "phase": "Pending", "workerName": "w"});
    let table = [
        (&Value::Null, NONE, None, true, Place::Waits),
        (&Value::Null, NONE, Some("v"), true, Place::Holds("v")),
        // The pod is seen before the status that names its worker.
        (&Value::Null, ALIVE, None, true, Place::Holds("w")),
        (&Value::Null, NONE, None, false, Place::Out),
        (&admitted, NONE, None, true, Place::Holds("w")),
        (&admitted, ALIVE, None, true, Place::Holds("w")),
        (&admitted, OVER, None, true, Place::Out),
        (&between, NONE, None, true, Place::Waits),
        (&between, ALIVE, None, true, Place::Holds("w")),
        (&between, NONE, Some("v"), true, Place::Holds("v")),
        (&completed, ALIVE, None, true, Place::Holds("w")),
        (&completed, OVER, None, true, Place::Out),
        (&completed, NONE, None, true, Place::Out),
        (&told, NONE, None, true, Place::Out),
    ];
    for (status, pods, admitted, able, expected) in table {
        let run = run(1, status);
        let entry = Entry::of(&run, Wants::of(&run, None), pods, admitted, able, Timestamp::UNIX_EPOCH);
        assert_eq!(entry.place, expected, "{status} with {pods:?}");
        assert_eq!((entry.uid, &*entry.workspace), (uid(1).as_str(), "git.example/app"));
    }
}

#[test]
fn repositories_on_claims_of_the_same_path_are_not_the_same() {
    let mut run = run(1, &Value::Null);
    run.spec.repository = serde_json::from_value(json!({
        "url": "file:///repository/app.git", "volume": {"claimName": "sources"},
    }))
    .expect("a repository");
    assert_eq!(workspace(&run), "team-a/sources/app");
}

#[test]
fn a_pod_that_its_run_has_gone_on_without_holds_a_slot_as_long_as_its_lease_may() {
    let now: Timestamp = "2026-01-01T00:10:00Z".parse().expect("a time");
    let pod = |name: &str, deleted: Option<&str>| {
        let mut pod = crate::testing::pod(&json!({"phase": "Running"}));
        let labels = [(names::RUN_UID_LABEL, uid(1)), (names::WORKER_LABEL, "w".to_owned())];
        pod.metadata.name = Some(name.to_owned());
        pod.metadata.labels = Some(labels.map(|(key, value)| (key.to_owned(), value)).into());
        let deleted = deleted.map(|time| serde_json::from_value(json!(time)).expect("a time"));
        pod.metadata.deletion_timestamp = deleted;
        pod
    };
    let place = |status: &Value, pod: &Pod| {
        let run = run(1, status);
        let more = |_: &LoopRun| (None, true);
        let admissions = Admissions::default();
        let entries = entries([&run], [pod], &admissions, more, now);
        match entries[0].place {
            Place::Waits => "waits".to_owned(),
            Place::Holds(worker) => worker.to_owned(),
            Place::Out => "out".to_owned(),
        }
    };
    let given_up = |expires: &str| json!({"attempt": 1, "phase": "Pending", "leaseExpires": expires});
    let old = pod("p-1", None);
    assert_eq!(place(&given_up("2026-01-01T00:10:01Z"), &old), "w");
    assert_eq!(place(&given_up("2026-01-01T00:10:00Z"), &old), "waits");
    let current = json!({"attempt": 1, "podName": "p-1", "leaseExpires": "2026-01-01T00:01:00Z"});
    assert_eq!(place(&current, &old), "w", "it is the next attempt's");
    // On a node that is lost the pod of a run that has ended, or is gone, stays for ever.
    let ended = json!({"attempt": 1, "podName": "p-1", "phase": "Completed"});
    assert_eq!(place(&ended, &pod("p-1", Some("2026-01-01T00:09:00Z"))), "w");
    assert_eq!(place(&ended, &pod("p-1", Some("2026-01-01T00:08:00Z"))), "out");
    let orphans = |deleted| {
        let pod = pod("p-1", Some(deleted));
        let admissions = Admissions::default();
        entries([], [&pod], &admissions, |_: &LoopRun| (None, true), now).len()
    };
    assert_eq!(["2026-01-01T00:09:00Z", "2026-01-01T00:08:00Z"].map(orphans), [1, 0]);
}

#[test]
fn a_run_goes_to_a_worker_in_its_reach_and_without_one_to_the_operator() {
    let (team, all) =
        (worker(json!({"namespaceSelector": {"matchLabels": {"team": "a"}}})), worker(json!({})));
    let named = |worker| Wants { worker: Some(worker), ..Wants::default() };
    let there = Entry { namespace: "b", ..waits("there", 1) };
    let unseen = Entry { namespace: "c", ..waits("unseen", 1) };
    assert_eq!(
        verdicts(&[], &[waits("one", 1), there.clone(), unseen.clone()]),
        ["operator", "operator", "NamespaceUnseen"]
    );
    assert_eq!(verdicts(&[("w", &team)], &[waits("one", 1), there.clone()]), ["w", "operator"]);
    assert_eq!(verdicts(&[("w", &all)], &[waits("one", 1), there.clone()]), ["w", "w"]);
    let asks = [
        Entry { wants: named("w"), ..waits("one", 1) },
        Entry { wants: named("w"), ..there },
        Entry { wants: named("x"), ..waits("two", 1) },
    ];
    assert_eq!(verdicts(&[("w", &team)], &asks), ["w", "WorkerNotInReach", "WorkerNotFound"]);
    let own = worker(json!({}));
    let alone = Cluster::alone(&own);
    let entries = [waits("one", 1), Entry { wants: named("w"), ..waits("two", 2) }];
    let pass = Pass::new(&alone, &entries);
    assert_eq!(pass.verdict(0), Some(Verdict::Admitted("")));
    assert_eq!(pass.verdict(1), Some(Verdict::Refused(Refusal::NoWorkers { worker: "w" })));
}

#[test]
fn the_first_policy_that_refuses_counts() {
    let gpu = ["gpu".to_owned()];
    let requires = |entry: Entry<'static>| Entry { wants: Wants { requires: &gpu, ..entry.wants }, ..entry };
    let limits = json!({"costUSD": "5", "images": ["good/*"], "runtimeClassNames": ["gvisor"]});
    let (bad, class) = (
        Asks { images: vec!["bad/image".into()], runtime_class: None },
        Asks { images: vec![], runtime_class: Some("runc".into()) },
    );
    let cost = Wants { cost: Some("5"), image: Some("good/one"), ..Wants::default() };
    let with = |wants| Entry { wants, ..waits("one", 1) };
    let table = [
        (json!({"drain": {"enabled": true}, "slots": 0}), requires(waits("one", 1)), "Draining"),
        (json!({"slots": 0, "policy": limits}), requires(waits("one", 1)), "NoWorkerOffers"),
        (json!({"capabilities": ["gpu"]}), requires(waits("one", 1)), "w"),
        (json!({"slots": 0, "policy": limits}), with(Wants { image: Some("bad/one"), ..cost }), "NotAllowed"),
        (json!({"policy": limits}), with(Wants { template: Some(&bad), ..cost }), "NotAllowed"),
        (json!({"policy": limits}), with(Wants { template: Some(&class), ..cost }), "NotAllowed"),
        (json!({"policy": limits}), with(Wants { cost: Some("5.01"), ..cost }), "NotAllowed"),
        (json!({"policy": limits}), with(Wants { cost: None, ..cost }), "NotAllowed"),
        (json!({"policy": limits}), with(cost), "w"),
        // What the worker gives is not asked for.
        (json!({"policy": limits}), with(Wants { image: None, ..cost }), "w"),
        (json!({"policy": limits}), with(Wants { image: Some("given/image"), ..cost }), "w"),
        (json!({"slots": 0, "slotsPerNamespace": 1}), waits("one", 1), "SlotsFull"),
    ];
    for (spec, entry, expected) in table {
        assert_eq!(verdicts(&[("w", &worker(spec.clone()))], &[entry]), [expected], "{spec}");
    }
    let held = [holds("held", "w"), waits("one", 1)];
    let capped = |spec: Value| verdicts(&[("w", &worker(spec))], &held)[1].clone();
    assert_eq!(
        capped(json!({"slots": 1, "slotsPerNamespace": 1, "maxRunsPerWorkspace": 1})),
        "NamespaceSlotsFull"
    );
    assert_eq!(capped(json!({"slots": 1, "maxRunsPerWorkspace": 1})), "WorkspaceBusy");
    assert_eq!(capped(json!({"slots": 1})), "SlotsFull");
    assert_eq!(capped(json!({"slots": 2, "slotsPerNamespace": 2, "maxRunsPerWorkspace": 2})), "w");
}

#[test]
fn a_run_without_an_image_goes_to_a_worker_that_gives_one() {
    let (own, none, gives) = (LoopWorkerSpec::default(), BTreeMap::new(), worker(json!({})));
    let verdict = |specs: &[(&str, &LoopWorkerSpec)], own: &LoopWorkerSpec, wants: Wants<'_>| {
        let pools = specs.iter().map(|(name, spec)| Pool::new(name, Some(spec), own));
        let cluster = Cluster::new(own, pools, [("a", &none)]);
        let entries = [Entry { wants, ..waits("one", 1) }];
        match Pass::new(&cluster, &entries).verdict(0) {
            Some(Verdict::Admitted(worker)) => worker.to_owned(),
            Some(Verdict::Refused(refusal)) => {
                assert!(refusal.is_stuck());
                refusal.reason().to_owned()
            }
            None => "-".to_owned(),
        }
    };
    let (plain, bare) = (LoopWorkerSpec::default(), Wants::default());
    assert_eq!(verdict(&[], &own, bare), "NoAgentImage");
    assert_eq!(verdict(&[("plain", &plain)], &own, bare), "NoAgentImage");
    assert_eq!(verdict(&[("a", &plain), ("gives", &gives)], &own, bare), "gives");
    assert_eq!(verdict(&[("plain", &plain)], &gives, bare), "plain", "the operator's is for all");
    assert_eq!(verdict(&[("plain", &plain)], &own, Wants { image: Some("i"), ..bare }), "plain");
    assert_eq!(verdict(&[("plain", &plain)], &own, Wants { by_template: true, ..bare }), "plain");
}

#[test]
fn priority_goes_before_shares_and_shares_before_the_policy() {
    let spec = worker(json!({"slots": 2}));
    let newest = worker(json!({"slots": 2, "queuePolicy": "NewestFirst"}));
    let entries = [waits("one", 1), waits("two", 2), waits("three", 3)];
    assert_eq!(verdicts(&[("w", &spec)], &entries), ["w", "w", "SlotsFull"]);
    assert_eq!(verdicts(&[("w", &newest)], &entries), ["SlotsFull", "w", "w"]);
    let urgent = Entry { wants: Wants { priority: 1, ..Wants::default() }, ..waits("urgent", 9) };
    assert_eq!(
        verdicts(&[("w", &spec)], &[waits("one", 1), waits("two", 2), urgent]),
        ["w", "SlotsFull", "w"]
    );
    // The other namespace has none, so it gets one though it came last.
    let other = Entry { namespace: "b", ..waits("other", 9) };
    assert_eq!(
        verdicts(&[("w", &spec)], &[waits("one", 1), waits("two", 2), other]),
        ["w", "SlotsFull", "w"]
    );
}

#[test]
fn a_run_that_is_kept_out_keeps_out_nobody_and_goes_where_there_is_room() {
    let capped = worker(json!({"slots": 3, "maxRunsPerWorkspace": 1}));
    let other = Entry { workspace: "git.example/other".into(), ..waits("other", 9) };
    let entries = [holds("held", "w"), waits("one", 1), other];
    assert_eq!(verdicts(&[("w", &capped)], &entries), ["-", "WorkspaceBusy", "w"]);
    let (small, large) = (worker(json!({"slots": 1})), worker(json!({"slots": 2})));
    let workers = [("small", &small), ("large", &large)];
    let four = [waits("one", 1), waits("two", 2), waits("three", 3), waits("four", 4)];
    // To the one with the most free slots; of equal ones to the first by name.
    assert_eq!(verdicts(&workers, &four), ["large", "large", "small", "SlotsFull"]);
    // What is least to wait for is said: room, not a worker that takes no more.
    let drained = worker(json!({"drain": {"enabled": true}}));
    let full = [holds("held", "small"), waits("one", 1)];
    assert_eq!(verdicts(&[("drained", &drained), ("small", &small)], &full)[1], "SlotsFull");
}

#[test]
fn pods_without_a_run_and_runs_of_gone_workers_count_where_they_are() {
    let pod = serde_json::from_value(json!({"metadata": {
        "name": "p", "namespace": "a", "labels": {"agentloop.dev/worker": "w"},
        "annotations": {"agentloop.dev/workspace": "git.example/app"},
    }}));
    let pod = pod.expect("a pod");
    let spec = worker(json!({"slots": 1}));
    let busy = worker(json!({"maxRunsPerWorkspace": 1}));
    let entries = [Entry::orphan("gone", &pod), waits("one", 1)];
    assert_eq!(verdicts(&[("w", &spec)], &entries)[1], "SlotsFull");
    assert_eq!(verdicts(&[("w", &busy)], &entries)[1], "WorkspaceBusy");
    assert_eq!(verdicts(&[("w", &spec)], &[holds("held", "gone"), waits("one", 1)])[1], "w");
}

#[test]
fn a_worker_that_cannot_be_read_takes_nobody_and_lets_nobody_go_elsewhere() {
    let (own, none) = (worker(json!({})), BTreeMap::new());
    let cluster = Cluster::new(&own, [Pool::new("w", None, &own)], [("a", &none)]);
    let entries = [waits("one", 1)];
    let pass = Pass::new(&cluster, &entries);
    assert_eq!(pass.verdict(0), Some(Verdict::Refused(Refusal::Offline { worker: "w" })));
    assert_eq!((pass.online(), pass.waiting()), (0, 1));
}

#[test]
fn what_was_admitted_is_judged_again_by_all_but_room() {
    let (own, none) = (worker(json!({})), BTreeMap::new());
    let spec = worker(json!({"slots": 0, "drain": {"enabled": true}, "policy": {"images": ["good/*"]}}));
    let cluster = Cluster::new(&own, [Pool::new("w", Some(&spec), &own)], [("a", &none)]);
    let good = waits("one", 1);
    let bad = Asks { images: vec!["bad/image".into()], runtime_class: None };
    let changed = Entry { wants: Wants { template: Some(&bad), ..Wants::default() }, ..waits("one", 1) };
    assert_eq!(cluster.not_allowed(&good, "w"), None);
    assert_eq!(cluster.not_allowed(&changed, "w"), Some(Refusal::Image { worker: "w", image: "bad/image" }));
    assert_eq!(cluster.not_allowed(&changed, ""), None);
    assert_eq!(cluster.not_allowed(&changed, "gone"), None);
}

#[test]
fn shares_tell_how_workers_stand() {
    let (spec, gpu, none) = (worker(json!({"slots": 1})), ["gpu".to_owned()], BTreeMap::new());
    let own = worker(json!({}));
    let cluster = Cluster::new(&own, [Pool::new("w", Some(&spec), &own)], [("a", &none)]);
    let picky = Entry { wants: Wants { requires: &gpu, ..Wants::default() }, ..waits("picky", 1) };
    let stays = Entry { keeps: false, ..holds("own", "") };
    let entries = [holds("held", "w"), stays, waits("one", 1), picky];
    let pass = Pass::new(&cluster, &entries);
    let share = |worker: &str, slots, active, queued, bound| pass::Share {
        worker: worker.into(),
        slots,
        active,
        queued,
        bound,
    };
    assert_eq!(pass.shares(), [share("", 3, 1, 0, true), share("w", 1, 1, 1, false)]);
}

#[test]
fn every_refusal_says_a_sentence_with_what_to_do() {
    let (worker, namespace) = ("w", "a");
    for refusal in [
        Refusal::NamespaceUnseen { namespace },
        Refusal::NoWorkers { worker },
        Refusal::WorkerNotFound { worker },
        Refusal::WorkerNotInReach { worker, namespace },
        Refusal::Offline { worker },
        Refusal::Draining { worker },
        Refusal::NoWorkerOffers { worker, namespace, capability: "gpu" },
        Refusal::NoWorkerOffers { worker: "", namespace, capability: "gpu" },
        Refusal::NoImage { worker },
        Refusal::NoImage { worker: "" },
        Refusal::Image { worker, image: "i" },
        Refusal::RuntimeClass { worker, name: "r" },
        Refusal::Cost { worker, limit: None, most: "5" },
        Refusal::Cost { worker, limit: Some("6"), most: "5" },
        Refusal::NamespaceSlotsFull { worker, namespace, most: 1 },
        Refusal::WorkspaceBusy { worker, workspace: "git.example/app", most: 1 },
        Refusal::SlotsFull { worker: "", slots: 0 },
        Refusal::SlotsFull { worker: "", slots: 1 },
        Refusal::SlotsFull { worker: "", slots: 3 },
        Refusal::SlotsFull { worker, slots: 0 },
        Refusal::SlotsFull { worker, slots: 3 },
    ] {
        let message = refusal.message();
        assert!(message.contains("; "), "{message}");
        assert!(!message.contains("  ") && message.len() < 400, "{message}");
    }
}

/// Ten thousand runs wait, and a slot becomes free: the time until it is known whose it is, from the objects on. The fastest
/// of many counts, since others use the machine too. It is run when it is asked for: `cargo test --release -p loopd ten_thousand -- --ignored
/// --nocapture`.
#[test]
#[ignore = "measures time"]
#[allow(clippy::print_stdout)]
fn among_ten_thousand_runs_the_one_for_a_free_slot_is_found_in_five_milliseconds() {
    let runs: Vec<LoopRun> = (0..10_000_u32)
        .map(|number| {
            let mut one = run(1, &Value::Null);
            one.metadata.uid = Some(format!("{number:08}-0000-7000-8000-000000000000"));
            one.metadata.name = Some(format!("run-{number}"));
            one.metadata.namespace = Some(format!("team-{}", number % 50));
            one.spec.priority = (number % 7) as i32;
            one
        })
        .collect();
    let namespaces: Vec<String> = (0..50).map(|number| format!("team-{number}")).collect();
    let spec = worker(json!({"slots": 21, "slotsPerNamespace": 5, "maxRunsPerWorkspace": 100}));
    let (own, none) = (worker(json!({})), BTreeMap::new());
    let now = Timestamp::now();
    let mut times: Vec<Duration> = (0..50)
        .map(|_| {
            let begun = Instant::now();
            let mut entries: Vec<Entry<'_>> =
                runs.iter().map(|run| Entry::of(run, Wants::of(run, None), NONE, None, true, now)).collect();
            for entry in entries.iter_mut().take(20) {
                entry.place = Place::Holds("w");
            }
            let labels = namespaces.iter().map(|name| (name.as_str(), &none));
            let cluster = Cluster::new(&own, [Pool::new("w", Some(&spec), &own)], labels);
            let pass = Pass::new(&cluster, &entries);
            assert_eq!(pass.admitted().count(), 1);
            begun.elapsed()
        })
        .collect();
    times.sort();
    println!("fastest of 50 {:?}, median {:?}", times[0], times[25]);
    assert!(times[0] < Duration::from_millis(5), "{:?}", times[0]);
}
