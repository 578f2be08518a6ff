//! `loop-runner`: drives the loop of one `LoopRun` in its pod. It talks to the sidecar and to the executors in the
//! containers of agent and gates, and to nobody else.

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use loop_api::journal::{Event, Record};
use loop_api::names;
use loop_api::phase::RunPhase;
use loop_api::run::{LIFECYCLE_FIELDS, LoopRun};
use loop_core::control::{Signals, Stop};
use loop_core::create::{self, Request};
use loop_core::engine::{self, End, Engine, Host, Observer};
use loop_core::exec::{Containers, Isolation, container};
use loop_core::far::{Container, Links};
use loop_core::lease::{Hold, Lease};
use loop_core::machine::State;
use loop_core::record;
use loop_core::store::{RunDir, Store, read_journal};
use loop_runner::mailbox::{Answer, Mailbox, PUBLISH_TIME, Wanted};
use loop_runner::place::{Place, WORK};
use loop_runner::{say, say_last};
use serde_json::{Value, json};

/// Longest wait for the API server to be heard again, once the lease has run out: another pod may hear it.
const SILENCE: Duration = Duration::from_mins(30);
/// Between two looks at the lease meanwhile.
const LOOK: Duration = Duration::from_millis(200);
/// Exit code after SIGTERM.
const INTERRUPTED: i32 = 143;
/// Socket of the agent's container.
const AGENT_SOCKET: &str = "/run/agentloop-agent/exec.sock";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some(container::RELAY) {
        return container::relay(Path::new(&arguments.next().unwrap_or_default()));
    }
    let (code, words) = match run(&Place::of_pod()) {
        Ok(ended) => ended,
        Err(Failure::Refused(error)) => (names::EXIT_REFUSED, format!("{error:#}")),
        Err(Failure::Passing(error)) => {
            let words = format!("{error:#}");
            match loop_runner::full(&words, loop_runner::claim().as_deref()) {
                Some(words) => (names::EXIT_REFUSED, words),
                None => (names::EXIT_LOST, words),
            }
        }
    };
    say_last(&words);
    ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))
}

/// Why there is no end.
enum Failure {
    /// Another pod would fail like this one.
    Refused(anyhow::Error),
    /// Another pod may get on.
    Passing(anyhow::Error),
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Passing(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Passing(error.into())
    }
}

impl From<engine::Error> for Failure {
    fn from(error: engine::Error) -> Self {
        let passing = error.can_be_put_right()
            || matches!(
                error,
                engine::Error::ContainerLost
                    | engine::Error::Git(_)
                    // On a volume, by a pod that was deleted and is not yet gone.
                    | engine::Error::Locked(_)
                    | engine::Error::Unsettled(_)
            );
        if passing { Self::Passing(error.into()) } else { Self::Refused(error.into()) }
    }
}

/// Drives the run to its end; gives the exit code and the last words.
fn run(place: &Place) -> Result<(i32, String), Failure> {
    let text = fs::read(place.object()).context("the sidecar has left no LoopRun")?;
    let raw: Value = serde_json::from_slice(&text).context("the LoopRun cannot be read")?;
    let object: LoopRun = serde_json::from_value(raw.clone()).context("the LoopRun cannot be read")?;
    let uid = object.metadata.uid.clone();
    let store = Store::at(place.data());
    let links = Links::default();
    let begun = read_journal(&store.run(&uid).journal()).is_ok_and(|(_, state)| state.created.is_some());
    if !begun {
        let container = links.container(&std::env::current_exe()?, Path::new(AGENT_SOCKET));
        let container = container.map_err(|error| Failure::Passing(error.into()))?;
        begin(place, &store, &object, &raw, container).map_err(Failure::Refused)?;
    }
    let signals = Signals::default();
    let raised = signals.clone();
    let mut stream = signal_hook::iterator::Signals::new([signal_hook::consts::SIGTERM])?;
    // Ends with the process.
    std::thread::spawn(move || stream.forever().for_each(|signal| raised.raise(signal)));
    let mailbox = Mailbox::of(place);
    let host = Host {
        executable: std::env::current_exe()?,
        isolation: Isolation::Containers(Containers {
            agent: AGENT_SOCKET.into(),
            gate: "/run/agentloop-gate/exec.sock".into(),
            far: "/far".into(),
            program: "/program".into(),
            git_folder: "/agent-git".into(),
        }),
        signals,
        environment: loop_core::caller_environment(),
        remote: Some(Arc::new(mailbox.clone())),
        links,
        lease: Some(place.lease()),
    };
    let (ended, state) = loop {
        match drive(&store, &uid, &host)? {
            (End::Interrupted(_), _) => return Ok(interrupted()),
            (End::Expired, _) => {
                if let Some(end) = without_lease(&place.lease(), &host.signals) {
                    return Ok(end);
                }
            }
            ended => break ended,
        }
    };
    // The sidecar, which gets its own signal after this process has ended, publishes then what it can.
    let signaled = || host.signals.raised().is_some();
    let revoked = || (place.lease().hold() == Hold::Revoked).then_some(Stop::Lease);
    let stop = || host.signals.raised().map(Stop::Signal).or_else(revoked);
    match mailbox.ask(&Wanted::Ended, PUBLISH_TIME, &stop) {
        Ok(Answer::Published) => {}
        Err(_) | Ok(Answer::Failed(_)) if signaled() => return Ok(interrupted()),
        Ok(Answer::Failed(reason)) => {
            return Err(anyhow!("what the run came to could not be published: {reason}").into());
        }
        Err(reason) => return Err(anyhow!(reason).into()),
        Ok(other) => return Err(anyhow!("the sidecar answered {other:?} at the end").into()),
    }
    if ended == End::Paused {
        return Ok((names::EXIT_PAUSED, "paused; nothing is lost".into()));
    }
    let words = state.ended.as_ref().map_or(String::new(), |(_, reason, message)| match message.as_str() {
        "" => reason.clone(),
        message => format!("{reason}: {message}"),
    });
    Ok((i32::from(state.phase != RunPhase::Completed), words))
}

/// Takes the run up and drives it as far as it goes.
fn drive(store: &Store, uid: &str, host: &Host) -> Result<(End, State), Failure> {
    let mut log = Log;
    let mut engine = Engine::open(store, uid, host, &mut log)?;
    let wanted = wanted_again(&store.run(uid))?;
    if wanted {
        // Of an end that the operator came to, the journal knows nothing.
        engine.give_up("the operator ended the pod of this run")?;
    }
    let phase = engine.state().phase;
    // An earlier pod drove it to its end, and was lost before all was published. What has completed is tidied up.
    let ended = if !wanted && matches!(phase, RunPhase::Failed | RunPhase::Canceled) {
        engine.record_end();
        End::Ended
    } else {
        engine.drive()?
    };
    Ok((ended, engine.state().clone()))
}

fn interrupted() -> (i32, String) {
    (INTERRUPTED, "interrupted; nothing is lost".into())
}

/// Waits for a lease that has run out: the API server may come back, and then nobody else was given the run. Gives exit
/// code and last words where it does not.
fn without_lease(lease: &Lease, signals: &Signals) -> Option<(i32, String)> {
    let since = Instant::now();
    loop {
        match lease.hold() {
            Hold::Held => return None,
            Hold::Revoked => {
                return Some((names::EXIT_LOST, "another attempt has the run; nothing is lost".into()));
            }
            Hold::Lapsed if signals.raised().is_some() => {
                return Some(interrupted());
            }
            Hold::Lapsed if since.elapsed() >= SILENCE => {
                let words = format!("the API server was not reached for {} min", SILENCE.as_secs() / 60);
                return Some((names::EXIT_LOST, words));
            }
            Hold::Lapsed => std::thread::sleep(LOOK),
        }
    }
}

/// Whether the run is to be tried again: each raise of `spec.retry` has it go on once after an end.
fn wanted_again(run: &RunDir) -> Result<bool> {
    let wanted: usize = std::env::var("LOOP_RETRY").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let (decoded, _) = read_journal(&run.journal())?;
    let again = |record: &&Record| matches!(record.event, Event::RunResumed { again: true });
    Ok(decoded.records.iter().filter(again).count() < wanted)
}

/// Checks what is asked for, and makes the run's journal. The spec as the user wrote it, without the types' defaults:
/// what the worker gives and the configuration of the base commit stand between the two.
fn begin(place: &Place, store: &Store, object: &LoopRun, raw: &Value, container: Container) -> Result<()> {
    let mut spec = raw["spec"].clone();
    for given in loop_runner::give_delivery(&mut spec, &raw["status"]["defaults"]["delivery"]) {
        say(&format!("{given}, from the worker, as the run does not say"));
    }
    if let Some(fields) = spec.as_object_mut() {
        fields.retain(|name, _| !LIFECYCLE_FIELDS.contains(&name.as_str()));
    }
    // Worktrunk says itself where a worktree goes, and here it has no configuration but this one.
    let worktrunk = place.folder().join("worktrunk.toml");
    fs::write(&worktrunk, format!("worktree-path = \"{WORK}/{{{{ branch | sanitize }}}}\"\n"))?;
    let request = Request {
        directory: place.origin(),
        manifest: spec,
        // In the pod these are where the other containers expect them.
        flags: json!({
            "worktree": {
                "pathTemplate": format!("{WORK}/{{{{ run_branch | sanitize }}}}"),
                "worktrunkConfig": worktrunk,
                "cleanup": false,
            },
            "artifacts": {"mode": "Global"},
        }),
        environment: loop_core::caller_environment(),
        // Branches are named after the run: those of runs that are under way elsewhere cannot be seen in the clone.
        name: Some(object.metadata.name.clone()),
        container: Some(container),
        identity: Some((object.metadata.uid.clone(), object.metadata.name.clone())),
        ..Request::default()
    };
    let new = create::create(store, &request)?;
    say(&format!("run {}: {}", new.name, new.configuration));
    for warning in new.warnings {
        say(&format!("warning: {warning}"));
    }
    Ok(())
}

/// The container's log: the lines of `run.log`.
struct Log;

impl Observer for Log {
    fn record(&mut self, record: &Record, _: &State) {
        if let Some(line) = record::log_line(record) {
            say(line.trim_end());
        }
    }

    fn note(&mut self, text: &str) {
        say(text);
    }
}
