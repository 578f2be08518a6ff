//! A far side to test, in each of its ways to run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;
use std::time::{Duration, Instant};

use loop_core::exec::{Bwrap, Captured, Client, Isolation, Limits, Request, Sandbox, probe};
use tempfile::TempDir;

pub(super) const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// The example binary beside this test; `cargo test --test exec` alone does not build it.
pub(super) fn server() -> PathBuf {
    static BUILT: Once = Once::new();
    let test = std::env::current_exe().unwrap();
    let profile = test.ancestors().nth(2).unwrap();
    let server = profile.join("examples/exec_server");
    BUILT.call_once(|| {
        let age = |path: &Path| fs::metadata(path).and_then(|meta| meta.modified()).ok();
        let library = fs::read_dir(profile.join("deps"))
            .unwrap()
            .flatten()
            .filter(|entry| entry.file_name().to_string_lossy().starts_with("libloop_core-"))
            .filter_map(|entry| age(&entry.path()))
            .max();
        if age(&server).is_none() || age(&server) < library {
            let mut cargo = Command::new(env!("CARGO"));
            cargo.args(["build", "--quiet", "--example", "exec_server"]);
            if !cfg!(debug_assertions) {
                cargo.arg("--release");
            }
            let target = profile.parent().unwrap();
            let cargo = cargo.arg("--target-dir").arg(target).current_dir(env!("CARGO_MANIFEST_DIR"));
            assert!(cargo.status().unwrap().success(), "the example must build");
        }
    });
    server
}

pub(super) struct Far {
    pub(super) client: Client,
    /// Writable, at the same place, in each way to run.
    pub(super) folder: TempDir,
    pub(super) sandbox: Sandbox,
}

/// Whether the bubblewrap half can run; where everything is required, it must.
pub(super) fn isolated() -> bool {
    match probe() {
        Isolation::Bubblewrap { .. } => true,
        Isolation::Containers(_) => unreachable!("nobody asked for them"),
        Isolation::None { reason } => {
            let set = |name: &str, value: &str| std::env::var(name).is_ok_and(|is| is == value);
            assert!(!set("CI", "true") && !set("LOOP_REQUIRE", "all"), "bubblewrap: {reason}");
            println!("skipped the bubblewrap half: {reason}");
            false
        }
    }
}

/// A sandbox in which only `folder` is writable.
pub(super) fn bwrap(folder: &Path) -> Bwrap {
    let tmp = folder.join(".tmp");
    fs::create_dir_all(&tmp).unwrap();
    Bwrap { tmp, writable: vec![folder.to_owned()], ..Bwrap::default() }
}

/// Runs a test on a plain far side, on one behind a container's socket, and on a sandboxed one.
pub(super) fn in_each(test: impl Fn(&Far)) {
    for way in ["plain", "container", "bubblewrap"] {
        if way == "bubblewrap" && !isolated() {
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        let place = tempfile::tempdir().unwrap();
        let socket = place.path().join("exec.sock");
        let listens = (way == "container").then(|| Listening::start(&socket));
        let sandbox = match way {
            "plain" => Sandbox::None,
            "container" => Sandbox::Container(socket),
            _ => Sandbox::Bubblewrap(bwrap(folder.path())),
        };
        let client = Client::start(&server(), &sandbox).unwrap();
        assert_eq!(client.pid1(), way == "bubblewrap");
        test(&Far { client, folder, sandbox });
        drop(listens);
    }
}

/// What would be the first process of a container.
pub(super) struct Listening(pub(super) std::process::Child);

impl Listening {
    pub(super) fn start(socket: &Path) -> Self {
        Self::start_with(socket, &[])
    }

    pub(super) fn start_with(socket: &Path, more: &[(&str, &Path)]) -> Self {
        let mut command = Command::new(server());
        command.arg("serve").arg(socket).env_clear().env("PATH", PATH).env("OF_THE_CONTAINER", "yes");
        command.env("KEY", "of the image").env("LOOP_CREDENTIAL_KEY", "secret");
        command.envs(more.iter().copied());
        Self(command.spawn().unwrap())
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        assert!(self.0.wait().unwrap().success(), "it ends when it is told to");
    }
}

pub(super) fn request(script: &str) -> Request {
    Request {
        argv: ["sh", "-c", script].map(String::from).to_vec(),
        cwd: "/".into(),
        env: vec![("PATH".into(), PATH.into())],
        stdin: Vec::new(),
        limits: Limits { total: Duration::from_mins(1), idle: None, term_grace: Duration::from_millis(200) },
        sweep: true,
        credentials: false,
    }
}

impl Far {
    pub(super) fn capture(&self, request: &Request) -> Captured {
        self.client.capture(request, &|| false, 1 << 20).unwrap()
    }

    pub(super) fn sh(&self, script: &str) -> Captured {
        self.capture(&request(script))
    }

    /// A request in the writable folder.
    pub(super) fn here(&self, script: &str) -> Request {
        Request { cwd: self.folder.path().to_owned(), ..request(script) }
    }
}

/// Starts something that no signal but SIGKILL ends, in a session of its own, and that leaves its
/// process group; it is marked by `name` in its arguments. Waits until it is up.
pub(super) fn stubborn(name: &str) -> String {
    format!(
        "setsid sh -c 'trap \"\" TERM HUP INT; touch {name}; while :; do sleep 1; done' {name} \
         <&- >&- 2>&- & while [ ! -e {name} ]; do sleep 0.01; done; "
    )
}

/// Pids of living processes with this argument, as this test sees them.
pub(super) fn with_argument(argument: &str) -> Vec<i32> {
    let has = |pid: &i32| {
        fs::read(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|line| line.split(|byte| *byte == 0).any(|arg| arg == argument.as_bytes()))
    };
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(has).collect()
}

pub(super) fn unique(name: &str) -> String {
    format!("{name}-{}", uuid::Uuid::now_v7())
}

pub(super) fn eventually(what: &str, check: impl Fn() -> bool) {
    let start = Instant::now();
    while !check() {
        assert!(start.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
