//! A namespace of a cluster for one test, and what a test sees of it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use loop_tests::{HONEST, PROJECT};
use serde_json::Value;

/// Longest wait for a run of seconds on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

/// Where the operator is installed.
pub(crate) const OPERATOR: &str = "agentloop";

/// A namespace in which Pod Security `restricted` is enforced.
pub(crate) struct Place {
    pub(crate) namespace: String,
}

impl Place {
    /// Makes one; `None` where there is no cluster, which is a failure where everything is required.
    pub(crate) fn new(test: &str) -> Option<Self> {
        if std::env::var_os("LOOP_CLUSTER_RUN").is_none() {
            let required = std::env::var("LOOP_REQUIRE").is_ok_and(|value| value == "all");
            assert!(!required, "no cluster is up; tests/run.sh cluster starts one");
            say("skipped: no cluster; tests/run.sh cluster starts one");
            return None;
        }
        let place = Self { namespace: format!("t-{}", &loop_core::new_uid()[24..]) };
        let labels = format!("agentloop-test={test}");
        place.must(&["create", "namespace", &place.namespace]);
        place.must(&[
            "label",
            "namespace",
            &place.namespace,
            &labels,
            "pod-security.kubernetes.io/enforce=restricted",
        ]);
        // Before, no pod is taken; it takes a while where the control plane has just come back.
        until("the namespace has its account", || place.get("serviceaccount", "default").is_object());
        Some(place)
    }

    /// `kubectl` in the namespace: exit code and both streams.
    pub(crate) fn kubectl(&self, arguments: &[&str], stdin: &str) -> (bool, String) {
        let mut command = kubectl();
        command.args(["--namespace", &self.namespace]).args(arguments);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("kubectl runs");
        let mut input = child.stdin.take().expect("a pipe");
        let text = stdin.to_owned();
        let writer = std::thread::spawn(move || {
            // A command that reads nothing closes it.
            let _ = input.write_all(text.as_bytes());
        });
        let output = child.wait_with_output().expect("kubectl ends");
        writer.join().expect("no panic");
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    }

    /// The same, which has to succeed.
    pub(crate) fn must(&self, arguments: &[&str]) -> String {
        let (worked, said) = self.kubectl(arguments, "");
        assert!(worked, "kubectl {}: {said}", arguments.join(" "));
        said
    }

    /// Applies a manifest.
    pub(crate) fn apply(&self, manifest: &str) {
        let (worked, said) = self.kubectl(&["apply", "-f", "-"], manifest);
        assert!(worked && !said.contains("Warning"), "{said}");
    }

    /// An object; null when it is not there.
    pub(crate) fn get(&self, kind: &str, name: &str) -> Value {
        let ask = || self.kubectl(&["get", kind, name, "--ignore-not-found", "-o", "json"], "");
        let (mut worked, mut said) = ask();
        // Of tens of thousands of questions, one may meet a moment in which nobody answers.
        let mut tries = 0..10;
        while !worked && tries.next().is_some() {
            std::thread::sleep(Duration::from_secs(1));
            (worked, said) = ask();
        }
        assert!(worked, "{said}");
        if said.trim().is_empty() { Value::Null } else { serde_json::from_str(&said).expect("JSON") }
    }

    /// Phase of a run; empty before it has one.
    pub(crate) fn phase(&self, run: &str) -> String {
        self.get("looprun", run)["status"]["phase"].as_str().unwrap_or_default().to_owned()
    }

    /// Message of a condition of a run; empty when it is not there.
    pub(crate) fn said(&self, run: &str, condition: &str) -> String {
        let run = self.get("looprun", run);
        let conditions = run["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let found = conditions.iter().find(|found| found["type"] == condition);
        found.map_or("", |found| found["message"].as_str().unwrap_or_default()).to_owned()
    }

    /// The phases of a run until its end, each once; `look` is called in between.
    pub(crate) fn phases(&self, run: &str, mut look: impl FnMut(&str)) -> Vec<String> {
        let mut phases: Vec<String> = Vec::new();
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            let phase = self.phase(run);
            if !phase.is_empty() && phases.last() != Some(&phase) {
                phases.push(phase.clone());
            }
            look(&phase);
            if ["Completed", "Failed", "Canceled"].contains(&phase.as_str()) {
                break;
            }
        }
        phases
    }

    /// A git server with a repository of these files, as `git://git/app.git`; what begins with `#!` is executable.
    pub(crate) fn git_server(&self, files: &[(&str, &str)]) {
        let mut map = serde_json::json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "demo-git"}, "data": {},
        });
        for (path, content) in files {
            map["data"][path.replace('/', "__")] = (*content).into();
        }
        // The server of the example, with other files.
        let example = example();
        let server: Vec<&str> = example
            .split("\n---\n")
            .filter(|part| part.contains("kind: Pod") || part.contains("kind: Service"))
            .collect();
        assert_eq!(server.len(), 2);
        self.apply(&format!("{}\n---\n{map}", server.join("\n---\n")));
        self.must(&["wait", "--for=condition=Ready", "pod/demo-git", "--timeout=120s"]);
        // Whoever leads there may not know it for a while after the API server was away.
        let asked = ["exec", "demo-git", "--", "git", "ls-remote", "git://demo-git/tally.git"];
        until("the server is found by its name", || self.kubectl(&asked, "").0);
    }

    /// The same with an honest agent that takes so many seconds for each step of its work.
    pub(crate) fn slow_project(&self, seconds: u32) {
        self.project_that(&format!("sleep {seconds}"));
    }

    /// The same with an agent that does none of its work before [`Place::let_go`].
    pub(crate) fn held_project(&self) {
        self.project_that(
            "until git ls-remote --exit-code git://demo-git/tally.git refs/tags/go >/dev/null; do sleep 1; done",
        );
    }

    /// Lets the agents of [`Place::held_project`] go on.
    pub(crate) fn let_go(&self) {
        self.git(&["tag", "go", "main"]);
    }

    /// The same with an agent that does this before each step of its work.
    pub(crate) fn project_that(&self, first: &str) {
        let (reviewer, rest) = HONEST.split_once("exit 0; fi\n").expect("it reviews first");
        let agent = format!("{reviewer}exit 0; fi\n{first}\n{rest}");
        let mut files = PROJECT.to_vec();
        files.push((".loop/agent.sh", &agent));
        self.git_server(&files);
    }

    /// Changes the spec of a run.
    pub(crate) fn patch(&self, run: &str, spec: &str) {
        self.must(&["patch", "looprun", run, "--type=merge", "-p", &format!("{{\"spec\":{spec}}}")]);
    }

    /// Waits until a run has a phase; another end is a failure.
    pub(crate) fn reaches(&self, run: &str, phase: &str) {
        until(&format!("{run} is {phase}"), || {
            let now = self.phase(run);
            let ended = ["Completed", "Failed", "Canceled"].contains(&now.as_str());
            assert!(
                now == phase || !ended,
                "{run} is {now}: {}{}",
                self.said(run, "Failed"),
                self.said(run, "Complete")
            );
            now == phase
        });
    }

    /// The same, with a look at each moment that no run has two pods.
    pub(crate) fn reaches_with_one_pod(&self, run: &str, phase: &str) {
        until(&format!("{run} is {phase}"), || {
            self.none_has_two_pods();
            let now = self.phase(run);
            assert!(now == phase || now != "Failed", "{run} is {now}: {}", self.said(run, "Failed"));
            now == phase
        });
    }

    /// Fails when a run has two pods that have not ended.
    pub(crate) fn none_has_two_pods(&self) {
        let (worked, said) =
            self.kubectl(&["get", "pods", "-l", "app.kubernetes.io/name=agentloop", "-o", "json"], "");
        if !worked {
            // The API server may be what is away.
            return;
        }
        let list: Value = serde_json::from_str(&said).expect("JSON");
        let mut alive: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for pod in list["items"].as_array().into_iter().flatten() {
            if !matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed")) {
                let run = pod["metadata"]["labels"]["agentloop.dev/run"].to_string();
                alive.entry(run).or_default().push(pod["metadata"]["name"].to_string());
            }
        }
        let twice: Vec<_> = alive.values().filter(|pods| pods.len() > 1).collect();
        assert!(twice.is_empty(), "{twice:?}");
    }

    /// Fails when `summary.json` of a run that has ended is not there, or is another's.
    pub(crate) fn has_its_summary(&self, run: &str) {
        let map = self.get("configmap", &format!("{run}-summary"));
        let summary = map["data"]["summary.json"].as_str().and_then(|text| serde_json::from_str(text).ok());
        let summary: Value = summary.unwrap_or_else(|| panic!("{run}: {map}"));
        let uid = &self.get("looprun", run)["metadata"]["uid"];
        assert_eq!((&summary["run_id"], &summary["exit_reason"]), (uid, &"complete_plan".into()), "{run}");
    }

    /// What the runners of a run have said so far.
    pub(crate) fn log(&self, run: &str) -> String {
        let label = format!("agentloop.dev/run={run}");
        self.kubectl(&["logs", "-l", &label, "-c", "runner", "--tail=-1"], "").1
    }

    /// Names of the pods of a run.
    pub(crate) fn pods_of(&self, run: &str) -> Vec<String> {
        let label = format!("agentloop.dev/run={run}");
        let names = self.must(&["get", "pods", "-l", &label, "-o", "name"]);
        names.lines().filter_map(|name| Some(name.strip_prefix("pod/")?.to_owned())).collect()
    }

    /// A git command in the server's repository.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        let command = [&["exec", "demo-git", "--", "git", "-C", "/srv/git/tally.git"], arguments].concat();
        self.must(&command).trim().to_owned()
    }

    /// Names of the chart's admission policies.
    pub(crate) fn policies(&self) -> Vec<String> {
        let chosen = "app.kubernetes.io/instance=agentloop";
        let names = self.must(&["get", "validatingadmissionpolicies", "-l", chosen, "-o", "name"]);
        names.lines().filter_map(|line| line.split('/').nth(1)).map(str::to_owned).collect()
    }

    /// Applies a run of the script agent on that repository, with more lines of its spec.
    pub(crate) fn run(&self, name: &str, more: &str) {
        self.apply(&manifest(name, more));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for arguments in [
                &["get", "loopruns,pods", "-o", "wide"][..],
                &["get", "loopruns", "-o", "yaml"],
                &["describe", "pods"],
                &["logs", "-l", "app.kubernetes.io/name=agentloop", "--all-containers", "--tail=40"],
            ] {
                say(&self.kubectl(arguments, "").1);
            }
        }
        // Before the namespace, of which the pods go first: what lost its pod by that keeps its slot for another attempt, and
        // the next test would wait for it.
        self.kubectl(&["delete", "loopruns", "--all", "--wait=false"], "");
        self.kubectl(&["delete", "namespace", &self.namespace, "--wait=false"], "");
    }
}

/// A run of the script agent on the repository of [`Place::git_server`].
pub(crate) fn manifest(name: &str, more: &str) -> String {
    format!(
        "apiVersion: agentloop.dev/v1alpha1\nkind: LoopRun\nmetadata: {{name: {name}}}\nspec:\n  repository: {{url: \
         \"git://demo-git/tally.git\"}}\n  agent: {{adapter: script, image: \"agentloop/toolchain:test\"}}\n{more}"
    )
}

/// The spec of a run on that repository that delivers to a branch of its own.
pub(crate) fn work(target: &str) -> String {
    format!(
        "  task: {{specPath: specs/files.md}}\n  gates: [{{name: check, run: sh check.sh}}]\n  delivery: {{targetBranch: \
         agent/{target}}}\n"
    )
}

/// Waits until something is so.
pub(crate) fn until(what: &str, is: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is() {
        assert!(Instant::now() < end, "not so: {what}");
        std::thread::sleep(Duration::from_millis(300));
    }
}

/// Whether the cluster is the test cluster's own, whose processes and files are on this machine.
pub(crate) fn is_ours() -> bool {
    std::env::var("LOOP_CLUSTER_RUN").is_ok_and(|run| run.starts_with("nsenter"))
}

/// A program, where the cluster can be reached from.
pub(crate) fn reaching(program: impl AsRef<OsStr>) -> Command {
    let run = std::env::var("LOOP_CLUSTER_RUN").unwrap_or_default();
    let mut words = run.split_whitespace().map(OsStr::new).chain([program.as_ref()]);
    let mut command = Command::new(words.next().expect("a word"));
    command.args(words);
    command
}

/// `kubectl`, where the cluster can be reached from.
pub(crate) fn kubectl() -> Command {
    reaching("kubectl")
}

/// The example that is applied as it is.
pub(crate) fn example() -> String {
    let place = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/looprun.yaml");
    std::fs::read_to_string(place).expect("the example")
}

/// The test's own words, which a captured stdout would hide until it fails.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
