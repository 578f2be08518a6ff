//! What is special about a far side in a container.

use std::os::unix::net::UnixListener;
use std::process::Command;

use loop_core::exec::{Client, Request, Sandbox, container};

use super::support::{Listening, PATH, eventually, request, server, stubborn, unique, with_argument};

#[test]
fn the_engine_is_told_the_containers_environment_and_nothing_is_inherited_by_itself() {
    let place = tempfile::tempdir().unwrap();
    let socket = place.path().join("exec.sock");
    let _listens = Listening::start(&socket);
    let client = Client::start(&server(), &Sandbox::Container(socket)).unwrap();
    assert_eq!(client.environment().get("OF_THE_CONTAINER").map(String::as_str), Some("yes"));
    let captured = client.capture(&request("echo ${OF_THE_CONTAINER:-no}"), &|| false, 100).unwrap();
    assert_eq!(captured.stdout, b"no\n");
}

#[test]
fn what_a_killed_or_stopped_executor_leaves_is_killed() {
    // The agent shares the executor's user and can do this, but not to the first process, which it cannot even see into.
    for signal in ["KILL", "STOP"] {
        let place = tempfile::tempdir().unwrap();
        let socket = place.path().join("exec.sock");
        let listens = Listening::start(&socket);
        let client = Client::start(&server(), &Sandbox::Container(socket.clone())).unwrap();
        let name = place.path().join(unique("left")).to_string_lossy().into_owned();
        let script = format!("{} kill -{signal} $PPID; sleep 60", stubborn(&name));
        assert!(client.capture(&request(&script), &|| false, 100).is_err(), "its executor is dead");
        eventually("what it left is killed", || with_argument(&name).is_empty());
        assert!(client.is_lost() && client.was_killed(), "its parent has said so");
        let environ = format!("/proc/{}/environ", listens.0.id());
        let user = Command::new("id").arg("-u").output().unwrap();
        // Root may read everything; for others it is closed.
        assert!(user.stdout == b"0\n" || std::fs::read(environ).is_err());
    }
}

#[test]
fn a_credential_reaches_whom_it_is_for_and_the_engine_knows_its_name_only() {
    let place = tempfile::tempdir().unwrap();
    let socket = place.path().join("exec.sock");
    let _listens = Listening::start(&socket);
    let client = Client::start(&server(), &Sandbox::Container(socket)).unwrap();
    assert_eq!(client.credentials(), ["KEY"]);
    assert!(!format!("{:?}", client.environment()).contains("secret"));
    assert!(!client.environment().contains_key("KEY"), "the image's own is no longer what counts");
    let said = |request: Request| client.capture(&request, &|| false, 100).unwrap().stdout;
    let asks = request("echo ${KEY:-none} ${LOOP_CREDENTIAL_KEY:-none}");
    assert_eq!(said(asks.clone()), b"none none\n");
    let trusted = Request { credentials: true, ..asks };
    assert_eq!(said(trusted.clone()), b"secret none\n");
    let mut own = trusted;
    own.env.push(("KEY".into(), "the engine's".into()));
    assert_eq!(said(own), b"the engine's none\n");
}

#[test]
fn programs_that_were_brought_are_found_before_those_of_the_image() {
    let place = tempfile::tempdir().unwrap();
    let socket = place.path().join("exec.sock");
    let _listens = Listening::start_with(&socket, &[("FIRST", place.path())]);
    let client = Client::start(&server(), &Sandbox::Container(socket)).unwrap();
    let path = format!("{}:{PATH}", place.path().display());
    assert_eq!(client.environment().get("PATH"), Some(&path));
}

#[test]
fn nobody_connects_after_the_engine_and_a_probe_is_none() {
    let place = tempfile::tempdir().unwrap();
    let socket = place.path().join("exec.sock");
    let _listens = Listening::start(&socket);
    eventually("it listens", || container::is_listening(&socket));
    assert!(container::is_listening(&socket), "it was only asked");
    let client = Client::start(&server(), &Sandbox::Container(socket.clone())).unwrap();
    assert!(!container::is_listening(&socket) && !socket.exists());
    // A forger in its place is not asked for anything.
    let forger = UnixListener::bind(&socket).unwrap();
    forger.set_nonblocking(true).unwrap();
    let said = client.capture(&request("echo still here"), &|| false, 100).unwrap();
    assert_eq!(said.stdout, b"still here\n");
    assert!(forger.accept().is_err());
}

#[test]
fn a_container_that_does_not_listen_is_named() {
    let place = tempfile::tempdir().unwrap();
    let socket = place.path().join("gone.sock");
    let error = Client::start(&server(), &Sandbox::Container(socket.clone())).unwrap_err().to_string();
    assert!(error.contains("gone.sock"), "{error}");
}
