//! A scripted model endpoint, and the real agent CLIs that speak to it.
//!
//! The packages are installed by `tests/run.sh`, which names their folder in `LOOP_TEST_NPM`.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Key that the CLIs are given; it must be in no file of a record.
pub const KEY: &str = "sk-ant-test-4f1c9d5e7a";
/// Longest wait for the endpoint to start, and for its answers to the harness.
const DEADLINE: Duration = Duration::from_secs(30);

/// Folder with `node_modules` of the agents' packages; `None` where this machine has none and need not.
pub fn npm() -> Option<PathBuf> {
    let folder = std::env::var_os("LOOP_TEST_NPM").map(PathBuf::from);
    let found = folder.filter(|folder| folder.join("node_modules/.bin/claude").exists());
    let required = std::env::var("LOOP_REQUIRE").is_ok_and(|value| value == "all");
    assert!(
        found.is_some() || !required,
        "LOOP_TEST_NPM names no installed packages, and every rung is required"
    );
    if found.is_none() {
        let said = writeln!(std::io::stderr(), "MISSING: agents from npm; run tests/run.sh agent");
        said.expect("stderr");
    }
    found
}

/// How it is told what to answer, beside the fixtures: only as they say, and all of it is remembered.
const ARGUMENTS: [&str; 4] = ["--validate-on-load", "--strict", "--journal-max", "0"];

/// A running endpoint; ended and reaped when dropped.
pub struct Endpoint {
    process: Child,
    port: u16,
    npm: PathBuf,
    _folder: TempDir,
}

/// One request that an agent made, and what it was answered.
#[derive(Debug, Clone)]
pub struct Request {
    /// HTTP status of the answer.
    pub status: u64,
    /// Input and output tokens of the answer.
    pub tokens: (u64, u64),
}

impl Endpoint {
    /// Starts one with these fixtures, of which the first that matches a request answers it; `None` where the
    /// packages are missing.
    pub fn start(fixtures: &[Value]) -> Option<Self> {
        let npm = npm()?;
        let folder = tempfile::Builder::new().prefix("loop-endpoint-").tempdir().expect("a temp folder");
        let file = folder.path().join("fixtures.json");
        fs::write(&file, json!({ "fixtures": fixtures }).to_string()).expect("the fixtures");
        let mut process = Command::new(npm.join("node_modules/.bin/llmock"))
            .args(ARGUMENTS)
            .args(["--port", "0", "--fixtures"])
            .arg(&file)
            // A fixture for a later turn never answers an earlier one.
            .env("AIMOCK_STRICT_TURN_INDEX", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .process_group(0)
            .spawn()
            .expect("llmock starts");
        let output = process.stdout.take().expect("its output");
        let (sender, receiver) = channel();
        // Reads on after the line that it waits for, so that the endpoint never writes into a full pipe.
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let port =
                    line.rsplit_once("listening on http://127.0.0.1:").map(|(_, port)| port.trim().parse());
                if let Some(Ok(port)) = port {
                    // The other end is gone when the deadline has passed.
                    let _ = sender.send(port);
                }
            }
        });
        let mut endpoint = Self { process, port: 0, npm, _folder: folder };
        endpoint.port = receiver.recv_timeout(DEADLINE).expect("llmock says its port in time");
        Some(endpoint)
    }

    /// Variables with which the CLIs speak to it; PATH holds the CLIs first.
    pub fn environment(&self) -> Vec<(String, String)> {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut variables = vec![
            ("PATH", format!("{}:{path}", self.npm.join("node_modules/.bin").display())),
            ("ANTHROPIC_BASE_URL", format!("http://127.0.0.1:{}", self.port)),
            ("ANTHROPIC_API_KEY", KEY.to_owned()),
            ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1".to_owned()),
        ];
        if !crate::confined() {
            // Said by the adapter under bubblewrap only; without it root may not skip permissions.
            variables.push(("IS_SANDBOX", "1".to_owned()));
        }
        variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// The model requests so far, in order. Each has to be one that a fixture answers.
    pub fn requests(&self) -> Vec<Request> {
        requests(&self.get(JOURNAL))
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("the endpoint listens");
        stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n").expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        body.to_owned()
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        let group = Pid::from_raw(i32::try_from(self.process.id()).expect("a pid"));
        // It may have ended by itself.
        let _ = killpg(group, Signal::SIGKILL);
        self.process.wait().expect("the endpoint is reaped");
    }
}

/// Where an endpoint tells what it was asked.
pub const JOURNAL: &str = "/__aimock/journal";

/// The model requests of an endpoint's journal, in order. Each has to be one that a fixture answers.
pub fn requests(journal: &str) -> Vec<Request> {
    let journal: Value = serde_json::from_str(journal).expect("the endpoint's journal");
    let entries = journal.as_array().cloned().unwrap_or_default();
    let asked = entries.into_iter().filter(|entry| {
        entry["path"]
            .as_str()
            .is_some_and(|path| path.starts_with("/v1/messages") && !path.contains("count_tokens"))
    });
    asked
        .map(|entry| {
            let response = &entry["response"];
            let fixture = &response["fixture"];
            assert!(fixture.is_object(), "no fixture answers a request: {entry:#}");
            let usage = &fixture["response"]["usage"];
            let tokens = |name: &str| usage[name].as_u64().unwrap_or(0);
            Request {
                status: response["status"].as_u64().unwrap_or(0),
                tokens: (tokens("input_tokens"), tokens("output_tokens")),
            }
        })
        .collect()
}

/// What is matched in a prompt, before the agent used a tool or after.
pub fn prompt(text: &str, used: bool) -> Value {
    json!({"userMessage": text, "hasToolResult": used})
}

/// A use of the CLI's own shell.
pub fn bash(command: &str) -> (&'static str, Value) {
    ("Bash", json!({"command": command, "description": "work"}))
}

/// Writes the file of a task of [`crate::PROJECT`], ticks the task and commits both.
pub fn task(name: &str, content: &str) -> (&'static str, Value) {
    let plan = "specs/planning/files-plan.md";
    bash(&format!(
        "echo {content} > {name}.txt && sed -i 's/\\[ \\] Write {name}.txt/[x] Write {name}.txt/' {plan} && git add -A && git commit -qm 'Write {name}.txt'"
    ))
}

/// Input and output tokens of requests that were answered.
pub fn tokens(requests: &[Request]) -> (u64, u64) {
    requests
        .iter()
        .filter(|request| request.status == 200)
        .fold((0, 0), |sum, request| (sum.0 + request.tokens.0, sum.1 + request.tokens.1))
}

/// A fixture that answers with text, as the last thing in a turn. `wanted` is what has to match.
pub fn says(wanted: &Value, text: &str, tokens: (u64, u64)) -> Value {
    json!({"match": wanted, "response": {"content": text, "usage": usage(tokens)}})
}

/// A fixture that answers with uses of tools: their names and arguments.
pub fn uses(wanted: &Value, tools: &[(&str, Value)], tokens: (u64, u64)) -> Value {
    let calls: Vec<Value> = tools
        .iter()
        .map(|(name, arguments)| json!({"name": name, "arguments": arguments.to_string()}))
        .collect();
    json!({"match": wanted, "response": {"toolCalls": calls, "usage": usage(tokens)}})
}

/// A fixture that fails.
pub fn fails(wanted: &Value, status: u16, kind: &str, message: &str) -> Value {
    json!({"match": wanted, "response": {"error": {"type": kind, "message": message}, "status": status}})
}

fn usage((input, output): (u64, u64)) -> Value {
    json!({"input_tokens": input, "output_tokens": output})
}
