//! The process that the tests of `exec` start: a far side, or an engine that can be killed.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "only tests run it, and read what it prints")]

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use loop_core::exec::{Bwrap, Client, Limits, Request, Sandbox, Sink, Stream, container, direct, server};

struct To(File);

impl Sink for To {
    fn write(&mut self, _: Stream, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["__exec"] => server::serve(false),
        [container::EXECUTOR] => container::executor(),
        [container::RELAY, socket] => container::relay(Path::new(socket)),
        ["serve", socket] => ExitCode::from(u8::from(
            container::listen(Path::new(socket), std::env::var_os("FIRST").as_deref().map(Path::new))
                .is_err(),
        )),
        ["engine", folder, script, out] => engine(folder, script, out),
        ["latency", folder] => latency(folder),
        _ => ExitCode::FAILURE,
    }
}

fn request(script: &str) -> Request {
    Request {
        argv: ["sh", "-c", script].map(String::from).to_vec(),
        cwd: "/".into(),
        env: vec![("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into())],
        stdin: Vec::new(),
        limits: Limits { total: Duration::from_mins(5), idle: None, term_grace: Duration::from_secs(1) },
        sweep: true,
        credentials: false,
    }
}

/// Sandboxed when a folder is given to be writable, plain for `-`.
fn client(folder: &str) -> Client {
    let sandbox = match folder {
        "-" => Sandbox::None,
        folder => Sandbox::Bubblewrap(Bwrap {
            tmp: folder.into(),
            writable: vec![PathBuf::from(folder)],
            ..Bwrap::default()
        }),
    };
    Client::start(&std::env::current_exe().unwrap(), &sandbox).unwrap()
}

/// Runs a script with its output into a file, then says what it took.
fn engine(folder: &str, script: &str, out: &str) -> ExitCode {
    let client = client(folder);
    let mut sink = To(File::create(out).unwrap());
    let start = Instant::now();
    let outcome = client.run(&request(script), &mut sink, &|| false).unwrap();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    let peak = peak.split_ascii_whitespace().nth(1).unwrap_or("0");
    println!("{} {} {peak}", outcome.stdout_bytes, start.elapsed().as_micros());
    ExitCode::SUCCESS
}

/// Prints the median time of one `true` through the far side and directly.
fn latency(folder: &str) -> ExitCode {
    let client = client(folder);
    let request = Request { argv: vec!["true".into()], ..request("") };
    let swept = |sweep| Request { sweep, ..request.clone() };
    for (name, request) in [("client", swept(false)), ("client, sweeping", swept(true))] {
        print_median(name, &mut || {
            client.capture(&request, &|| false, 100).unwrap();
        });
    }
    let long = Duration::from_mins(1);
    print_median("direct", &mut || {
        direct(&request.argv, Path::new("/"), &request.env, b"", long, 100).unwrap();
    });
    ExitCode::SUCCESS
}

fn print_median(name: &str, job: &mut dyn FnMut()) {
    let mut times: Vec<Duration> = (0..301)
        .map(|_| {
            let start = Instant::now();
            job();
            start.elapsed()
        })
        .collect();
    times.sort();
    println!("{name}: {:?}", times[times.len() / 2]);
}
