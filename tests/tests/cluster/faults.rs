//! What goes wrong on the node and in the control plane while runs are under way. Each of them ends as if nothing had
//! happened, and never has two pods at once.

use std::fs;
use std::path::PathBuf;
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::leases::SILENT;
use super::lost::{processes, restart, status};
use super::operator::Operator;
use super::place::{OPERATOR, Place, is_ours, reaching, say, until, work};

/// A number that the environment may set.
pub(super) fn asked(name: &str, default: u32) -> u32 {
    std::env::var(name)
        .map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// A namespace of a cluster whose processes can be killed.
fn ours(test: &str) -> Option<Place> {
    let place = Place::new(test)?;
    if !is_ours() {
        say("skipped: only processes of the test cluster's own are killed");
        return None;
    }
    Some(place)
}

/// Waits for a run to complete, in its first attempt, with each step of its work done once.
fn completes_as_if_nothing_had_been(place: &Place, run: &str, tree: &str) {
    place.reaches_with_one_pod(run, "Completed");
    assert_eq!(status(place, run, "/attempt"), "1", "{run}");
    assert_eq!(place.pods_of(run).len(), 1, "{run}");
    assert_eq!(
        place.git(&["rev-list", "--count", &format!("main..run/{run}")]),
        "2",
        "{run}: no step was done twice"
    );
    assert_eq!(place.git(&["rev-parse", &format!("agent/{run}^{{tree}}")]), tree, "{run}");
    place.has_its_summary(run);
}

/// The tree that an undisturbed run comes to.
fn undisturbed(place: &Place) -> String {
    place.run("calm", &work("calm"));
    place.reaches("calm", "Completed");
    place.git(&["rev-parse", "agent/calm^{tree}"])
}

/// The agents of [`Place::held_project`] begin at once and wait; a calm run is not to wait.
fn let_go_and_hold_again(place: &Place) -> String {
    place.let_go();
    let tree = undisturbed(place);
    place.git(&["tag", "-d", "go"]);
    tree
}

#[test]
fn a_container_runtime_that_is_killed_costs_a_run_nothing() {
    let Some(place) = ours("runtime") else { return };
    place.held_project();
    let tree = let_go_and_hold_again(&place);
    place.run("kept", &work("kept"));
    until("its agent works", || place.log("kept").contains("implementation of iteration 1 begins"));
    restart("containerd", 10);
    until("the runtime answers again", || place.kubectl(&["exec", "demo-git", "--", "true"], "").0);
    place.let_go();
    completes_as_if_nothing_had_been(&place, "kept", &tree);
    place.run("after", &work("after"));
    completes_as_if_nothing_had_been(&place, "after", &tree);
}

/// Longer than the lease of runs and that of the operator. The agent stops, the operator stands by, and both go on.
#[test]
fn an_api_server_that_is_away_for_longer_than_all_leases_restarts_no_run() {
    let Some(place) = ours("leaseless") else { return };
    place.held_project();
    let tree = let_go_and_hold_again(&place);
    let operator = Operator::settled();
    let leader = operator.leader();
    place.run("patient", &work("patient"));
    until("its agent works", || place.log("patient").contains("implementation of iteration 1 begins"));
    restart("apiserver", asked("LOOP_OUTAGE_SECONDS", 40));
    place.let_go();
    completes_as_if_nothing_had_been(&place, "patient", &tree);
    let log = place.log("patient");
    assert!(log.contains(SILENT), "its agent was stopped meanwhile: {log}");
    until("the operator leads again", || operator.leader() == leader && operator.leads(&leader));
    let said = operator.kubectl(&["logs", &leader]);
    assert!(said.contains("this operator leads no more"), "its lease could not be renewed: {said}");
}

/// The operator's own program with its settings and rights, as a process that can be killed without a kubelet that waits
/// longer each time before it starts it again.
struct Mortal {
    folder: tempfile::TempDir,
    settings: Vec<(String, String)>,
}

impl Mortal {
    /// Of the operator that runs.
    fn of(operator: &Operator) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let pid =
            *processes(&operator.uid(), "/usr/local/bin/loopd").first().expect("it runs on this machine");
        fs::copy(format!("/proc/{pid}/exe"), folder.path().join("loopd")).expect("its program");
        let environment = fs::read_to_string(format!("/proc/{pid}/environ")).expect("its settings");
        let mut settings: Vec<(String, String)> = environment
            .split('\0')
            .filter_map(|entry| entry.split_once('='))
            .filter(|(name, _)| name.starts_with("LOOP_"))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let config = folder.path().join("config");
        for (name, value) in [("LOOP_PORT", "18080"), ("LOOP_IDENTITY", "mortal")] {
            settings.retain(|(known, _)| known != name);
            settings.push((name.to_owned(), value.to_owned()));
        }
        settings.push(("KUBECONFIG".into(), config.display().to_string()));
        let token = operator.kubectl(&["create", "token", "loopd", "--duration=2h"]);
        let mut view: Value =
            serde_json::from_str(&operator.kubectl(&["config", "view", "--raw", "-o", "json"]))
                .expect("JSON");
        view["users"][0]["user"] = json!({"token": token.trim()});
        view["contexts"][0]["context"]["namespace"] = OPERATOR.into();
        fs::write(config, view.to_string()).expect("its configuration");
        Self { folder, settings }
    }

    fn start(&self) -> Child {
        let mut command = reaching(self.folder.path().join("loopd"));
        let log = fs::File::options().create(true).append(true).open(self.log()).expect("a log");
        // Without a wrapper, so that what is killed is the operator.
        command.envs(self.settings.iter().cloned());
        command.stdout(log.try_clone().expect("a log")).stderr(log).spawn().expect("it starts")
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

/// Starts one operator after the other and kills each after 5 s, until this is dropped.
struct Killing {
    /// How many were killed; the highest bit says that it is to end.
    killed: Arc<AtomicU32>,
    thread: Option<JoinHandle<()>>,
}

const OVER: u32 = 1 << 31;

impl Killing {
    fn every_five_seconds(mortal: Mortal) -> Self {
        let killed = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&killed);
        let thread = std::thread::spawn(move || {
            while count.load(Ordering::Relaxed) & OVER == 0 {
                let mut child = mortal.start();
                let end = Instant::now() + Duration::from_secs(5);
                while Instant::now() < end && count.load(Ordering::Relaxed) & OVER == 0 {
                    std::thread::sleep(Duration::from_millis(100));
                }
                let ended = child.try_wait().expect("it is ours");
                child.kill().expect("it can be killed");
                child.wait().expect("it ends");
                let log = fs::read_to_string(mortal.log()).unwrap_or_default();
                assert!(ended.is_none(), "it ended by itself: {log}");
                assert!(!log.contains("panicked"), "{log}");
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { killed, thread: Some(thread) }
    }
}

impl Drop for Killing {
    fn drop(&mut self) {
        self.killed.fetch_or(OVER, Ordering::Relaxed);
        let ended = self.thread.take().expect("a thread").join();
        assert!(ended.is_ok() || std::thread::panicking(), "the operator did not live until it was killed");
    }
}

/// `LOOP_FAULT_RUNS` says how many.
#[test]
fn an_operator_that_is_killed_every_five_seconds_loses_no_run_and_starts_none_twice() {
    let Some(place) = ours("killed") else { return };
    place.slow_project(1);
    let operator = Operator::settled();
    let tree = undisturbed(&place);
    let mortal = Mortal::of(&operator);
    operator.scale(0);
    let killing = Killing::every_five_seconds(mortal);
    let began = Instant::now();
    let names: Vec<String> =
        (0..asked("LOOP_FAULT_RUNS", 6)).map(|number| format!("run-{number:03}")).collect();
    for name in &names {
        place.run(name, &work(name));
    }
    for name in &names {
        completes_as_if_nothing_had_been(&place, name, &tree);
    }
    let killed = killing.killed.load(Ordering::Relaxed);
    drop(killing);
    say(&format!(
        "{} runs in {} s; the operator was killed {killed} times",
        names.len(),
        began.elapsed().as_secs()
    ));
    assert!(killed >= 3, "{killed}");
    operator.scale(1);
}
