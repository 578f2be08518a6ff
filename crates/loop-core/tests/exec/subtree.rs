//! Nothing that a run started outlives it, or the far side, or the engine.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use loop_core::exec::{Client, MARKER, Request, Sandbox, sweep_marked};

use super::support::{Listening, eventually, in_each, isolated, server, stubborn, unique, with_argument};

#[test]
fn a_stubborn_grandchild_is_swept_and_counted() {
    in_each(|far| {
        let name = unique("swept");
        let start = Instant::now();
        let ran = far.capture(&far.here(&format!("{} echo done", stubborn(&name))));
        assert!(ran.outcome.success());
        // The shell, and mostly its sleep.
        assert!((1..=2).contains(&ran.outcome.swept), "{:?}", ran.outcome);
        assert_eq!(with_argument(&name), Vec::<i32>::new());
        assert!(start.elapsed() < Duration::from_secs(5));
    });
}

#[test]
fn without_a_sweep_the_group_dies_and_a_later_sweep_finds_the_rest() {
    in_each(|far| {
        let (name, group) = (unique("left"), unique("group"));
        let script = format!("{} sh -c 'sleep 50; true' {group} <&- >&- 2>&- & echo up", stubborn(&name));
        let ran = far.capture(&Request { sweep: false, ..far.here(&script) });
        assert_eq!((ran.outcome.swept, ran.stdout.as_slice()), (0, &b"up\n"[..]));
        eventually("the group is killed", || with_argument(&group).is_empty());
        // A child of it looks like itself until it has become another program.
        eventually("one is left", || with_argument(&name).len() == 1);
        assert!(far.client.sweep().unwrap() >= 1);
        assert!(with_argument(&name).is_empty());
        assert_eq!(far.client.sweep().unwrap(), 0);
    });
}

#[test]
fn pipes_held_by_someone_out_of_reach_are_given_up() {
    in_each(|far| {
        let start = Instant::now();
        let holder = Request { sweep: false, ..request_holding() };
        let ran = far.capture(&holder);
        assert!(ran.outcome.success());
        assert_eq!(ran.stdout, b"up\n");
        let took = start.elapsed();
        assert!((4..10).contains(&took.as_secs()), "{took:?}");
    });
}

fn request_holding() -> Request {
    super::support::request("setsid sleep 40 & echo up; sleep 0.3")
}

#[test]
fn closing_the_pipe_kills_everything() {
    in_each(|far| {
        let (name, marker) = (unique("closed"), unique("run"));
        let mut left = Request { sweep: false, ..far.here(&stubborn(&name)) };
        left.env.push((MARKER.into(), marker));
        // A container has served its only engine.
        let socket = far.folder.path().join("other.sock");
        let container = matches!(far.sandbox, Sandbox::Container(_)).then(|| Listening::start(&socket));
        let sandbox = if container.is_some() { &Sandbox::Container(socket) } else { &far.sandbox };
        let client = Client::start(&server(), sandbox).unwrap();
        client.capture(&left, &|| false, 100).unwrap();
        assert_eq!(with_argument(&name).len(), 1);
        let start = Instant::now();
        drop(client);
        assert!(start.elapsed() < Duration::from_secs(5));
        assert!(with_argument(&name).is_empty());
    });
}

#[test]
#[cfg(target_os = "linux")]
fn killing_the_engine_kills_everything() {
    for isolate in [false, true] {
        if isolate && !isolated() {
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        let name = unique("orphan");
        let place = if isolate { folder.path().to_str().unwrap() } else { "-" };
        let script =
            format!("cd {}; {} sh -c 'sleep 100; true' {name}", folder.path().display(), stubborn(&name));
        let mut engine = Command::new(server())
            .args(["engine", place, &script])
            .arg(folder.path().join("out"))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        eventually("both are up", || with_argument(&name).len() >= 2);
        engine.kill().unwrap();
        assert_eq!(engine.wait().unwrap().signal(), Some(9));
        eventually("nothing is left", || with_argument(&name).is_empty());
    }
}

#[test]
#[cfg(target_os = "linux")]
fn what_survived_both_is_found_by_its_marker() {
    let (folder, marker, name) = (tempfile::tempdir().unwrap(), unique("run"), unique("lost"));
    let mut shell = Command::new("sh");
    let shell = shell.args(["-c", &stubborn(&name)]).env(MARKER, &marker);
    assert!(shell.current_dir(folder.path()).status().unwrap().success());
    assert_eq!(with_argument(&name).len(), 1);
    assert_eq!(sweep_marked(&format!("{marker}x"), Duration::from_secs(5)), 0);
    assert!(sweep_marked(&marker, Duration::from_secs(5)) >= 1);
    assert!(with_argument(&name).is_empty());
}

#[test]
fn a_far_side_that_is_no_server_is_an_error_not_a_hang() {
    let error = Client::start("/bin/false".as_ref(), &loop_core::exec::Sandbox::None).unwrap_err();
    assert!(error.to_string().starts_with("cannot start the executor"));
}
