//! Workers of a platform team: their slots, their order, what they offer, and how they are taken out of service.

use super::operator::Operator;
use super::place::{Place, kubectl, until, work};

/// A worker of one namespace alone, until this is dropped.
struct Worker<'a> {
    place: &'a Place,
    name: String,
}

impl<'a> Worker<'a> {
    fn new(place: &'a Place, spec: &str) -> Self {
        Self::called("w", place, spec)
    }

    /// One of several, by the begin of its name.
    fn called(begin: &str, place: &'a Place, spec: &str) -> Self {
        let name = format!("{begin}-{}", place.namespace);
        place.apply(&format!(
            "apiVersion: agentloop.dev/v1alpha1\nkind: LoopWorker\nmetadata: {{name: {name}}}\nspec:\n  namespaceSelector: \
             {{matchLabels: {{kubernetes.io/metadata.name: {}}}}}\n{spec}",
            place.namespace
        ));
        Self { place, name }
    }

    fn patch(&self, spec: &str) {
        let patch = format!("{{\"spec\":{spec}}}");
        self.place.must(&["patch", "loopworker", &self.name, "--type=merge", "-p", &patch]);
    }

    /// A condition of it, as `True` or `False`.
    fn is(&self, kind: &str) -> String {
        self.condition(kind, "status")
    }

    /// A part of a condition of it.
    fn condition(&self, kind: &str, part: &str) -> String {
        let path = format!("jsonpath={{.status.conditions[?(@.type==\"{kind}\")].{part}}}");
        self.place.must(&["get", "loopworker", &self.name, "-o", &path])
    }
}

impl Drop for Worker<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            super::place::say(&self.place.kubectl(&["get", "loopworker", &self.name, "-o", "yaml"], "").1);
        }
        self.place.kubectl(&["delete", "loopworker", &self.name, "--ignore-not-found"], "");
    }
}

/// Why a run waits, as a word.
pub(super) fn waits_for(place: &Place, run: &str) -> String {
    let path = "jsonpath={.status.conditions[?(@.type==\"Admitted\")].reason}";
    place.must(&["get", "looprun", run, "-o", path])
}

/// A field of a run, by its path.
pub(super) fn field(place: &Place, run: &str, path: &str) -> String {
    place.must(&["get", "looprun", run, "-o", &format!("jsonpath={{{path}}}")])
}

#[test]
fn runs_of_a_worker_wait_for_its_slot_and_the_most_urgent_goes_first() {
    let Some(place) = Place::new("workers") else { return };
    place.held_project();
    let worker = Worker::new(
        &place,
        "  slots: 1\n  leaseSeconds: 45\n  queuePolicy: NewestFirst\n  capabilities: [gpu]\n",
    );
    until("the operator sees the worker", || worker.is("Online") == "True");
    until("it tells of it", || {
        let about = format!("reason=WorkerRegistered,regarding.name={}", worker.name);
        let events =
            ["get", "events.events.k8s.io", "-n", "default", "--field-selector", &about, "-o", "name"];
        kubectl().args(events).output().is_ok_and(|found| !found.stdout.is_empty())
    });
    place.run("first", &work("first"));
    until("its agent works", || place.log("first").contains("implementation of iteration 1 begins"));
    assert_eq!(field(&place, "first", ".status.workerName"), worker.name);
    assert_eq!(field(&place, "first", ".status.leaseSeconds"), "45", "the worker's");
    assert_eq!(field(&place, "first", ".status.workspace"), "demo-git/tally");
    // In this order, in seconds of their own.
    for (run, more) in
        [("older", ""), ("urgent", "  priority: 10\n"), ("newer", ""), ("asks", "  requires: [gpu, tpu]\n")]
    {
        std::thread::sleep(std::time::Duration::from_millis(1100));
        place.run(run, &format!("{}{more}", work(run)));
    }
    for (run, reason) in
        [("older", "SlotsFull"), ("urgent", "SlotsFull"), ("newer", "SlotsFull"), ("asks", "NoWorkerOffers")]
    {
        until(&format!("{run} waits"), || waits_for(&place, run) == reason);
    }
    let said = place.said("asks", "Admitted");
    assert!(said.contains("tpu") && !said.contains("gpu,"), "it names what nobody offers: {said}");
    until("the worker counts those that it would take", || {
        let count = |what: &str| place.get("loopworker", &worker.name)["status"][what].as_u64();
        (count("active"), count("queued")) == (Some(1), Some(3))
    });
    place.let_go();
    for run in ["first", "urgent", "newer", "older"] {
        place.reaches(run, "Completed");
    }
    let began = |run: &str| field(&place, run, ".status.startTime");
    let order = ["first", "urgent", "newer", "older"].map(began);
    assert!(order.is_sorted(), "{order:?}");
    worker.patch("{\"capabilities\":[\"gpu\",\"tpu\"]}");
    place.reaches("asks", "Completed");
    worker.patch("{\"drain\":{\"enabled\":true}}");
    until("the worker drains", || worker.is("Draining") == "True");
    place.run("late", &work("late"));
    until("late waits", || waits_for(&place, "late") == "Draining");
    worker.patch("{\"drain\":null}");
    place.reaches("late", "Completed");
    assert_eq!(field(&place, "late", ".status.workerName"), worker.name);
}

/// The drain is seen by one operator, and its deadline kept by the next.
#[test]
fn at_the_deadline_of_a_drain_runs_go_on_elsewhere_or_wait_or_stay() {
    let Some(place) = Place::new("drained") else { return };
    let operator = Operator::settled();
    place.held_project();
    let old = Worker::called("old", &place, "  slots: 3\n");
    until("the operator sees the worker", || old.is("Online") == "True");
    let runs = [
        ("moves", String::new()),
        ("named", format!("  workerRef: {{name: {}}}\n", old.name)),
        ("stays", "  checkpoint: {store: None}\n".to_owned()),
    ];
    for (run, more) in &runs {
        place.run(run, &format!("{}{more}", work(run)));
    }
    for (run, _) in &runs {
        until(&format!("{run} works"), || place.log(run).contains("implementation of iteration 1 begins"));
    }
    let new = Worker::called("new", &place, "  slots: 3\n");
    until("the operator sees the new worker", || new.is("Online") == "True");
    old.patch("{\"drain\":{\"enabled\":true,\"deadlineSeconds\":15}}");
    until("the drain is seen", || old.is("Draining") == "True");
    let since = old.condition("Draining", "lastTransitionTime");
    operator.scale(0);
    operator.scale(1);
    until("the run has moved", || field(&place, "moves", ".status.attempt") == "2");
    let due = since.parse::<jiff::Timestamp>().expect("a time").as_second() + 15;
    let again = place.get("looprun", "moves")["status"]["conditions"][0]["lastTransitionTime"].clone();
    let again: jiff::Timestamp = again.as_str().and_then(|time| time.parse().ok()).expect("a time");
    assert!(again.as_second() >= due, "{again} is before the deadline");
    assert_eq!(field(&place, "moves", ".status.workerName"), new.name);
    until("the one that names it waits", || waits_for(&place, "named") == "Draining");
    until("the worker says what cannot move", || old.condition("Draining", "reason") == "RunsCannotMove");
    assert_eq!(old.condition("Draining", "lastTransitionTime"), since);
    place.let_go();
    for (run, worker, attempt) in [("moves", &new, "2"), ("stays", &old, "1")] {
        place.reaches(run, "Completed");
        assert_eq!(field(&place, run, ".status.workerName"), worker.name, "{run}");
        assert_eq!(field(&place, run, ".status.attempt"), attempt, "{run}");
        assert_eq!(field(&place, run, ".status.lost"), "", "{run}");
    }
    until("nothing is left", || old.condition("Draining", "reason") == "Drained");
    assert_eq!(waits_for(&place, "named"), "Draining");
    old.patch("{\"drain\":null}");
    place.reaches("named", "Completed");
    assert_eq!(field(&place, "named", ".status.workerName"), old.name);
}

#[test]
fn what_a_run_does_not_say_its_worker_does_and_it_stays_so_when_the_run_moves() {
    let Some(place) = Place::new("defaults") else { return };
    place.held_project();
    let gives = |pool: &str, mode: &str| {
        format!(
            "  slots: 3\n  defaults:\n    agent: {{image: \"agentloop/toolchain:test\"}}\n    nodeSelector: \
             {{kubernetes.io/os: linux}}\n    tolerations: [{{key: {pool}, operator: Exists}}]\n    resources: {{limits: \
             {{memory: 1Gi}}}}\n    delivery: {{mode: {mode}}}\n"
        )
    };
    let first = Worker::called("first", &place, &gives("first", "None"));
    until("the operator sees the worker", || first.is("Accepted") == "True");
    assert_eq!(first.condition("Accepted", "reason"), "Accepted", "all of it is gone by");
    let spec = |name: &str, delivery: &str| {
        let whole = super::place::manifest(name, &work(name));
        let whole = whole.replace(", image: \"agentloop/toolchain:test\"", "");
        assert!(whole.contains("{adapter: script}") && whole.contains("  delivery: {"), "{whole}");
        place.apply(&whole.replace("delivery: {", &format!("delivery: {{{delivery}")));
    };
    spec("silent", "");
    spec("says", "mode: Merge, strategy: Merge, ");
    for run in ["silent", "says"] {
        until(&format!("{run} works"), || place.log(run).contains("implementation of iteration 1 begins"));
    }
    assert_eq!(field(&place, "silent", ".status.defaults.agent.image"), "agentloop/toolchain:test");
    let pod = place.get("pod", &field(&place, "silent", ".status.podName"))["spec"].clone();
    assert_eq!(pod["nodeSelector"]["kubernetes.io/os"], "linux");
    assert_eq!(pod["tolerations"][0]["key"], "first");
    let agent =
        pod["initContainers"].as_array().expect("containers").iter().find(|one| one["name"] == "agent");
    assert_eq!(agent.expect("an agent")["resources"]["limits"]["memory"], "1Gi");
    assert!(place.log("silent").contains("delivery.mode is None, from the worker, as the run does not say"));
    assert!(!place.log("says").contains("from the worker"));

    // The other one would place it elsewhere, and would deliver what the first does not.
    let second = Worker::called("second", &place, &gives("second", "Merge"));
    until("the operator sees the other", || second.is("Online") == "True");
    first.patch("{\"drain\":{\"enabled\":true,\"deadlineSeconds\":1}}");
    for run in ["silent", "says"] {
        until(&format!("{run} has moved"), || field(&place, run, ".status.attempt") == "2");
        assert_eq!(field(&place, run, ".status.defaults.tolerations[0].key"), "second");
        assert_eq!(field(&place, run, ".status.defaults.delivery.mode"), "None");
    }
    place.let_go();
    for run in ["silent", "says"] {
        place.reaches(run, "Completed");
    }
    let delivered = place.git(&["for-each-ref", "--format=%(refname:short)", "refs/heads/agent"]);
    assert_eq!(delivered, "agent/says");
    let merged = place.git(&["rev-list", "--parents", "--max-count=1", "agent/says"]);
    assert_eq!(merged.split_whitespace().count(), 3, "a commit with two parents: {merged}");
    assert_eq!(
        place.git(&["rev-list", "--count", "main..run/silent"]),
        "2",
        "the work is there all the same"
    );
}
