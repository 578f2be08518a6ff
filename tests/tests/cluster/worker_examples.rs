//! `examples/workers`: the commands at the head of each file, as they stand there, and what is promised of them.

use std::collections::VecDeque;
use std::path::Path;
use std::process::Command;

use super::disk::Disk;
use super::place::{Place, example, is_ours, say, until};
use super::workers::{field, waits_for};

/// An example that is followed command by command; its objects are gone when it is dropped.
struct Example<'a> {
    place: &'a Place,
    name: &'a str,
    commands: VecDeque<String>,
}

impl<'a> Example<'a> {
    /// With the git server of `looprun.yaml` in the namespace.
    fn new(place: &'a Place, name: &'a str) -> Self {
        let whole = example();
        let server: Vec<&str> =
            whole.split("\n---\n").filter(|part| !part.contains("kind: LoopRun")).collect();
        place.apply(&server.join("\n---\n"));
        place.must(&["wait", "--for=condition=Ready", "pod/demo-git", "--timeout=120s"]);
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let text = std::fs::read_to_string(root.join(format!("examples/workers/{name}.yaml")));
        let text = text.expect("the example");
        let command = |line: &str| {
            let line = line.strip_prefix("#   ")?;
            // A watch is for people.
            (!line.contains(" -w ")).then(|| {
                let files = format!(" {}/examples/", root.display());
                let line = line.replace(" examples/", &files);
                // Several examples run at once here.
                let line = ["60s", "120s"]
                    .iter()
                    .fold(line, |line, time| line.replace(&format!("--timeout={time}"), "--timeout=300s"));
                line.replace("namespace default ", &format!("namespace {} ", place.namespace))
            })
        };
        Self {
            place,
            name,
            commands: text
                .lines()
                .map_while(|line| line.starts_with('#').then_some(line))
                .filter_map(command)
                .collect(),
        }
    }

    /// Runs the next command, which begins like this; gives what it said.
    fn does(&mut self, begin: &str) -> String {
        let command = self.commands.pop_front().expect("a command");
        assert!(command.starts_with(begin), "{}: {command} is not {begin}", self.name);
        let (worked, said) = self.run(&command);
        assert!(worked, "{command}: {said}");
        said
    }

    fn run(&self, command: &str) -> (bool, String) {
        let kubectl = format!(
            "kubectl() {{ $LOOP_CLUSTER_RUN env kubectl --namespace {} \"$@\"; }}",
            self.place.namespace
        );
        let output =
            Command::new("sh").args(["-euc", &format!("{kubectl}\n{command}")]).output().expect("sh runs");
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    }

    /// The last command, after which nothing is left.
    fn ends(mut self) {
        assert_eq!(self.commands.len(), 1, "{:?}", self.commands);
        self.does("kubectl delete");
    }
}

impl Drop for Example<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            say(&self.run("kubectl get lr,lw -o yaml").1);
        }
        if let Some(last) = self.commands.pop_back() {
            self.run(&format!("{last} --ignore-not-found"));
        }
    }
}

/// Whether one run had ended before another began.
fn follows(place: &Place, first: &str, second: &str) {
    for run in [first, second] {
        place.reaches(run, "Completed");
    }
    let (ended, began) =
        (field(place, first, ".status.completionTime"), field(place, second, ".status.startTime"));
    assert!(ended <= began, "{first} ended at {ended}, {second} began at {began}");
}

/// Follows an example up to where its worker gets a slot, with both runs waiting for it.
fn opened<'a>(place: &'a Place, name: &'a str, waves: bool, runs: [&str; 2]) -> Example<'a> {
    let mut example = Example::new(place, name);
    example.does("kubectl label namespace");
    example.does("kubectl apply");
    if waves {
        example.does("sleep 1");
        example.does("kubectl apply");
    }
    for run in runs {
        until(&format!("{run} waits"), || waits_for(place, run) == "SlotsFull");
    }
    example.does("kubectl scale");
    example
}

/// Follows some examples, each in a namespace and with workers of its own.
fn all(examples: &[fn()]) {
    std::thread::scope(|scope| {
        for example in examples {
            scope.spawn(example);
        }
    });
}

#[test]
fn examples_say_who_goes_first() {
    all(&[fifo, newest_first, priority]);
}

#[test]
fn examples_say_who_goes_where_and_who_waits() {
    all(&[workspace, capabilities, drain, repository_cache]);
}

/// Of two runs that wait for the slot of an example's worker, which one gets it; whether they were made one after the other.
fn order(name: &str, waves: bool, [first, second]: [&str; 2]) {
    let Some(place) = Place::new(name) else { return };
    let example = opened(&place, name, waves, [first, second]);
    follows(&place, first, second);
    example.ends();
}

fn fifo() {
    order("fifo", true, ["fifo-old", "fifo-new"]);
}

fn newest_first() {
    order("newest-first", true, ["newest-2", "newest-1"]);
}

fn priority() {
    order("priority", false, ["priority-urgent", "priority-normal"]);
}

fn workspace() {
    let Some(place) = Place::new("workspace") else { return };
    let mut example = Example::new(&place, "workspace");
    example.does("kubectl label namespace");
    example.does("kubectl apply");
    let runs = ["workspace-1", "workspace-2"];
    until("one waits for the other", || {
        let reasons = runs.map(|run| waits_for(&place, run));
        let mut reasons = reasons.each_ref().map(String::as_str);
        reasons.sort_unstable();
        reasons == ["Admitted", "WorkspaceBusy"]
    });
    let [first, second] = if waits_for(&place, runs[0]) == "Admitted" { runs } else { [runs[1], runs[0]] };
    follows(&place, first, second);
    example.ends();
}

fn capabilities() {
    let Some(place) = Place::new("capabilities") else { return };
    let mut example = Example::new(&place, "capabilities");
    example.does("kubectl label namespace");
    example.does("kubectl apply");
    until("nobody offers a gpu", || waits_for(&place, "needs-gpu") == "NoWorkerOffers");
    let worker = |run: &str| {
        place.reaches(run, "Completed");
        field(&place, run, ".status.workerName")
    };
    assert_eq!(worker("needs-memory"), "large");
    assert_eq!(waits_for(&place, "needs-gpu"), "NoWorkerOffers");
    example.does("kubectl patch lw large");
    assert_eq!(worker("needs-gpu"), "large");
    example.ends();
}

fn drain() {
    let Some(place) = Place::new("drain") else { return };
    let mut example = Example::new(&place, "drain");
    for command in [
        "kubectl label",
        "kubectl apply",
        "kubectl wait",
        "kubectl patch lw leaving",
        "kubectl wait",
        "kubectl apply",
    ] {
        example.does(command);
    }
    until("the one that names the worker waits", || waits_for(&place, "drain-named") == "Draining");
    let drained = "jsonpath={.status.conditions[?(@.type==\"Draining\")].reason}";
    until("nothing is left", || place.must(&["get", "lw", "leaving", "-o", drained]) == "Drained");
    example.does("kubectl get lw leaving");
    for (run, attempt) in [("drain-first", "2"), ("drain-second", "1")] {
        place.reaches(run, "Completed");
        assert_eq!(field(&place, run, ".status.workerName"), "staying");
        assert_eq!(field(&place, run, ".status.attempt"), attempt);
        assert_eq!(field(&place, run, ".status.lost"), "", "nothing was lost");
    }
    assert_eq!(waits_for(&place, "drain-named"), "Draining");
    example.does("kubectl patch lw leaving");
    place.reaches("drain-named", "Completed");
    assert_eq!(field(&place, "drain-named", ".status.workerName"), "leaving");
    example.ends();
}

fn repository_cache() {
    let Some(place) = Place::new("cache") else { return };
    let mut example = Example::new(&place, "repository-cache");
    // Elsewhere there is somebody who makes volumes for claims.
    let _disk = is_ours().then(|| {
        let disk = Disk::new(&place, None);
        let claim = format!(
            "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {{name: mirrors}}\nspec:\n  accessModes: \
             [ReadWriteMany]\n  storageClassName: {}\n  resources: {{requests: {{storage: 1Gi}}}}\n",
            place.namespace
        );
        assert!(place.kubectl(&["create", "-f", "-"], &claim).0);
        disk
    });
    for command in [
        "kubectl label",
        "kubectl apply",
        "kubectl create job",
        "kubectl wait",
        "kubectl apply",
        "kubectl wait --for=condition=Complete looprun",
    ] {
        example.does(command);
    }
    let said = example.does("kubectl logs");
    assert!(said.contains("what the mirror /mirrors/demo-git/tally.git has was taken from there"), "{said}");
    assert!(!said.contains("tried again"), "{said}");
    example.ends();
}
