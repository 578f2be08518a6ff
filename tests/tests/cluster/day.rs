//! A day of many runs, on pods that are only said to run, sixty times as fast: against the real API server, scheduler and
//! operator, with the product's own sidecar words. Runs' lengths, users and progress are made faster; leases, the operator's
//! times, pauses after lost attempts and the start of a pod are not.
//!
//! The full size: `LOOP_DAY_RUNS=2000 LOOP_DAY_SECONDS=1440`; `LOOP_DAY_SPEED` (60) and `LOOP_DAY_SEED` (1) change it
//! (`tests/cluster/README.md`).

mod course;
mod kubelet;
mod record;
mod run;
mod sidecar;
mod table;
mod tally;
mod user;

use std::collections::BTreeMap;
use std::fs::File;
use std::future::Future;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{DeleteParams, DynamicObject};
use kube::core::{ApiResource, GroupVersionKind};
use kube::runtime::watcher;
use kube::{Api, Client, Config, ResourceExt as _};
use loop_api::journal::Event;
use loop_api::names;
use loop_core::store::Store;
use serde_json::Value;
use tokio::task::{LocalSet, spawn_local};

use super::faults::asked;
use super::place::{Place, is_ours, say};
use run::Run;

/// Real seconds that the last runs may still take when the day is over, and a quarter of its own.
const EVENING: f64 = 240.0;

/// Everything that takes part in the day.
struct Day {
    client: Client,
    config: Config,
    /// Name of the node.
    node: String,
    store: Store,
    told: Vec<Event>,
    runs: BTreeMap<(String, String), Rc<Run>>,
    speed: f64,
    began: Instant,
}

impl Day {
    /// Sleeps for so many seconds of the day.
    async fn sleep(&self, seconds: f64) {
        tokio::time::sleep(Duration::from_secs_f64(seconds / self.speed)).await;
    }

    /// Sleeps until that time of the day.
    async fn until(&self, seconds: f64) {
        let time = self.began + Duration::from_secs_f64(seconds / self.speed);
        tokio::time::sleep_until(time.into()).await;
    }

    fn run_of(&self, pod: &Pod) -> Option<Rc<Run>> {
        let name = pod.labels().get(names::RUN_LABEL)?;
        self.runs.get(&(pod.namespace()?, name.clone())).cloned()
    }

    /// Somebody deletes a pod.
    async fn delete_pod(&self, run: &Run, name: &str, grace: Option<u32>) {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &run.namespace);
        let parameters = DeleteParams { grace_period_seconds: grace, ..DeleteParams::default() };
        insist("a pod's end", async || pods.delete(name, &parameters).await).await;
    }

    /// Waits until a run says that its image cannot be pulled.
    async fn waits_for_image(&self, run: &Run) {
        let is = |seen: &Value| {
            let conditions = seen["status"]["conditions"].as_array();
            conditions.into_iter().flatten().any(|said| said["reason"] == "ImageNotPulled")
        };
        let _ = run.seen.subscribe().wait_for(is).await;
    }
}

/// Does something until the API server does it; `None` when it says that the object is not there, or is another one.
async fn insist<T, F: Future<Output = kube::Result<T>>>(
    what: &str,
    mut attempt: impl FnMut() -> F,
) -> Option<T> {
    for _ in 0..60 {
        match attempt().await {
            Ok(done) => return Some(done),
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409 | 422) => return None,
            Err(error) => say(&format!("{what}: {error}")),
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    panic!("the API server did not take {what} for a minute");
}

fn runs(client: &Client, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &resource())
}

fn resource() -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk("agentloop.dev", "v1alpha1", "LoopRun"))
}

/// Keeps what is known of the runs as new as the API server tells it.
async fn look(day: Rc<Day>) {
    let all: Api<DynamicObject> = Api::all_with(day.client.clone(), &resource());
    let mut changes = watcher(all, watcher::Config::default()).boxed_local();
    while let Some(change) = changes.next().await {
        let (object, gone) = match change {
            Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) => (object, false),
            Ok(watcher::Event::Delete(object)) => (object, true),
            Ok(_) => continue,
            Err(error) => {
                say(&format!("the watch of the runs: {error}"));
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
        };
        let key = (object.namespace().unwrap_or_default(), object.name_any());
        if let Some(run) = day.runs.get(&key) {
            run.seen.send_replace(if gone {
                Value::Null
            } else {
                serde_json::to_value(&object).expect("JSON")
            });
        }
    }
}

/// A worker that takes the runs of these namespaces.
fn worker(place: &Place, number: usize, of: &[&Place], slots: usize, more: &str) -> String {
    let name = format!("day{number}-{}", place.namespace);
    let names: Vec<&str> = of.iter().map(|place| place.namespace.as_str()).collect();
    place.apply(&format!(
        "apiVersion: agentloop.dev/v1alpha1\nkind: LoopWorker\nmetadata: {{name: {name}}}\nspec:\n  namespaceSelector: \
         {{matchExpressions: [{{key: kubernetes.io/metadata.name, operator: In, values: [{}]}}]}}\n  leaseSeconds: 30\n  \
         slots: {slots}\n{more}",
        names.join(", ")
    ));
    name
}

/// In the network of the cluster, for this thread and those that it starts.
fn enter() {
    let run = std::env::var("LOOP_CLUSTER_RUN").unwrap_or_default();
    let net = run.split_whitespace().find_map(|word| word.strip_prefix("--net="));
    if let Some(net) = net {
        let file = File::open(net).expect("the network of the cluster");
        nix::sched::setns(file, nix::sched::CloneFlags::CLONE_NEWNET).expect("it can be entered");
    }
}

fn a_day(count: usize, seconds: u32) {
    let Some(places) = (0..course::NAMESPACES).map(|_| Place::new("day")).collect::<Option<Vec<_>>>() else {
        return;
    };
    let Some(log) = super::writes::audit_log().filter(|_| is_ours()) else { return };
    let (speed, seed) = (f64::from(asked("LOOP_DAY_SPEED", 60)), u64::from(asked("LOOP_DAY_SEED", 1)));
    let length = f64::from(seconds) * speed;
    let courses = course::courses(count, length, seed);
    let busy: f64 = courses.iter().map(|course| course.work).sum::<f64>() / (0.7 * length);
    // A third more than what is needed on average; the rest waits for a while.
    let slots = ((busy * 1.3 / 2.0) as usize).max(4);
    let workers = [
        worker(&places[0], 0, &[&places[0], &places[1]], slots, ""),
        worker(
            &places[0],
            1,
            &[&places[1], &places[2]],
            slots,
            "  queuePolicy: NewestFirst\n  maxRunsPerWorkspace: 2\n",
        ),
    ];
    let told = table::Told { count, seconds, speed, seed, slots, before: tally::store() };
    let namespaces: Vec<String> = places.iter().map(|place| place.namespace.clone()).collect();
    let spaces = namespaces.clone();
    let played = std::thread::spawn(move || {
        enter();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        LocalSet::new().block_on(&runtime, play(courses, spaces, speed, f64::from(seconds)))
    });
    let runs = played.join().expect("no panic");
    for worker in &workers {
        places[0].must(&["delete", "loopworker", worker]);
    }
    table::judge(&told, &runs, &tally::writes(&log, &namespaces), &namespaces);
}

/// Plays the whole day; gives the runs as they were found at its end.
async fn play(courses: Vec<course::Course>, namespaces: Vec<String>, speed: f64, seconds: f64) -> Vec<Run> {
    let config = Config::infer().await.expect("a configuration");
    let client = Client::try_from(config.clone()).expect("a client");
    let folder = tempfile::tempdir().expect("a folder");
    let runs = courses.into_iter().map(|course| {
        let namespace = namespaces[course.namespace].clone();
        ((namespace.clone(), course.name.clone()), Rc::new(Run::new(course, namespace)))
    });
    let node = format!("day-{}", &namespaces[0]);
    let (store, told) = (Store::at(folder.path()), record::told());
    let day = Day { client, config, node, store, told, runs: runs.collect(), speed, began: Instant::now() };
    let day = Rc::new(day);
    for namespace in &namespaces {
        let templates: Api<k8s_openapi::api::core::v1::PodTemplate> =
            Api::namespaced(day.client.clone(), namespace);
        let template = serde_json::from_value(user::template(&day)).expect("a template");
        templates.create(&kube::api::PostParams::default(), &template).await.expect("it is taken");
    }
    let always = [
        spawn_local(kubelet::beat(Rc::clone(&day))),
        spawn_local(kubelet::serve(Rc::clone(&day))),
        spawn_local(look(Rc::clone(&day))),
    ];
    let users: Vec<_> =
        day.runs.values().map(|run| spawn_local(user::follow(Rc::clone(&day), Rc::clone(run)))).collect();
    let over = async {
        for user in users {
            user.await.expect("no panic");
        }
    };
    let evening = Duration::from_secs_f64(EVENING + 1.25 * seconds);
    if tokio::time::timeout(evening, over).await.is_err() {
        say("the day is over, and not every run has ended");
    }
    say(&format!("all users are content after {:.0} s", day.began.elapsed().as_secs_f64()));
    // The last pods end.
    tokio::time::sleep(Duration::from_secs(10)).await;
    for task in always {
        task.abort();
        let _ = task.await;
    }
    let nodes: Api<Node> = Api::all(day.client.clone());
    let _ = nodes.delete(&day.node, &DeleteParams::default()).await;
    day.runs.values().map(|run| run.closed()).collect()
}

#[test]
fn a_short_day_of_runs_ends_with_each_of_them_where_it_was_to_end() {
    a_day(asked("LOOP_DAY_RUNS", 40) as usize, asked("LOOP_DAY_SECONDS", 40));
}
