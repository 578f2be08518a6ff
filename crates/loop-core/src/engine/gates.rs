//! Gates: named commands on a checkout that no agent process can write.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use loop_api::journal::{GateOutcome, Outcome, Verified, hex};
use loop_api::run::{Gate, GateWhen};
use sha2::{Digest as _, Sha256};

use super::{Engine, Finished, Halt};
use crate::counts;
use crate::exec::{Counts, Ended, KEEP, Limits, OutputFile, Sink, Stream};
use crate::far::{Setting, Side};
use crate::machine::Step;
use crate::notes::{self, FailedGate};

/// What a limit of 0 means (design section 5: nothing is unbounded).
pub(super) const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// Bytes at the end of an output in which test counts are looked for.
const COUNTED: u64 = 1 << 20;

/// A limit in seconds as a duration.
pub(super) fn seconds(limit: u32) -> Duration {
    if limit == 0 { LONGEST } else { Duration::from_secs(u64::from(limit)) }
}

/// Gates run on one commit.
pub(super) struct Gates {
    /// What goes into the journal.
    pub(super) verified: Verified,
    failed: Vec<FailedGate>,
}

fn one(
    side: &Side,
    gate: &Gate,
    log: &Path,
    path: &str,
    stop: &dyn Fn() -> bool,
) -> Result<Option<(GateOutcome, Option<FailedGate>)>, String> {
    let limits =
        Limits { total: seconds(gate.timeout_seconds), idle: None, term_grace: Duration::from_secs(5) };
    let failed = |error: crate::far::Error| error.to_string();
    let reports = match &gate.junit {
        Some(glob) if side.forget_reports(glob, path).map_err(failed)? => Some(glob),
        _ => None,
    };
    let argv = ["sh", "-c", &gate.run].map(str::to_owned).to_vec();
    let request = side.request(argv, &[], Vec::new(), limits);
    let mut sink = Log(OutputFile::create(log, KEEP).map_err(|error| error.to_string())?);
    let outcome = side.client().run(&request, &mut sink, stop).map_err(|error| error.to_string())?;
    sink.0.finish().map_err(|error| error.to_string())?;
    if outcome.ended == Ended::Canceled {
        return Ok(None);
    }
    let (digest, end) = read_back(log).map_err(|error| error.to_string())?;
    let reported = match reports {
        Some(glob) => counts::from_reports(&side.reports(glob, path).map_err(failed)?),
        None => None,
    };
    let counts = reported
        .or_else(|| counts::from_output(&end))
        .map(|counts| [counts.passed, counts.failed, counts.skipped]);
    let result = GateOutcome {
        name: gate.name.clone(),
        exit_code: outcome.code(),
        timed_out: outcome.ended == Ended::TimedOut,
        out_of_memory: outcome.out_of_memory.is_some() && !outcome.success(),
        duration_ms: outcome.duration_ms,
        output_sha256: digest,
        counts,
    };
    let failed = (!result.passed()).then(|| FailedGate {
        name: gate.name.clone(),
        command: gate.run.clone(),
        exit_code: result.exit_code,
        timed_out: result.timed_out,
        memory: outcome.out_of_memory,
        tail: match outcome.spawn_error {
            Some(error) => error,
            None => notes::tail(&end),
        },
    });
    Ok(Some((result, failed)))
}

struct Log(OutputFile);

impl Sink for Log {
    fn write(&mut self, _: Stream, bytes: &[u8]) -> io::Result<()> {
        self.0.write(bytes)
    }
}

/// Digest of a log, and its end as text.
fn read_back(log: &Path) -> io::Result<(String, String)> {
    let mut file = File::open(log)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 128 << 10];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
    }
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(COUNTED)))?;
    let mut end = Vec::new();
    file.take(COUNTED).read_to_end(&mut end)?;
    Ok((hex(&hasher.finalize()), String::from_utf8_lossy(&end).into_owned()))
}

/// Runs gates on a commit from a new, empty checkout; `None` when stopped. For replays.
pub(crate) fn run_gates(
    setting: &Setting,
    commit: &str,
    gates: &[Gate],
    place: (&Path, &str),
    stop: &dyn Fn() -> bool,
) -> Result<Option<Vec<GateOutcome>>, String> {
    let side = setting.gate(None, true).map_err(|error| error.to_string())?;
    let gates: Vec<&Gate> = gates.iter().collect();
    side.check_out(setting, commit).map_err(|error| error.to_string())?;
    let done = verify(setting, &side, commit, &gates, place, stop)?;
    Ok(done.map(|done| done.0))
}

/// Outcomes, and what the notes quote of the failing ones.
type Ran = (Vec<GateOutcome>, Vec<FailedGate>);

/// Runs gates one after the other on a side that shows the commit, also after a failure (RUN-41).
fn verify(
    setting: &Setting,
    side: &Side,
    commit: &str,
    gates: &[&Gate],
    (folder, label): (&Path, &str),
    stop: &dyn Fn() -> bool,
) -> Result<Option<Ran>, String> {
    fs::create_dir_all(folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    let mut outcomes = Vec::new();
    let mut failed = Vec::new();
    for (number, gate) in gates.iter().enumerate() {
        if number > 0 {
            // Code of the agent runs inside a gate; it must not rewrite what the next gate reads.
            side.put_back(setting, commit).map_err(|error| error.to_string())?;
        }
        let log = folder.join(format!("{label}-{}.log", gate.name));
        match one(side, gate, &log, &setting.search_path, stop)
            .map_err(|error| format!("gate {}: {error}", gate.name))?
        {
            None => return Ok(None),
            Some((outcome, failure)) => {
                outcomes.push(outcome);
                failed.extend(failure);
            }
        }
    }
    Ok(Some((outcomes, failed)))
}

impl Engine<'_> {
    pub(super) fn verification(&mut self, step: Step) -> Result<Finished, Halt> {
        let head = self
            .state()
            .current
            .implemented
            .as_ref()
            .map(|facts| facts.head.clone())
            .ok_or_else(|| Halt::failed("run_error", "nothing to verify".into()))?;
        let label = format!("iter-{:02}", step.iteration);
        let gates = self.gates_on(&head, step.clean, &label)?;
        let notes = notes::gates(&gates.failed);
        let path = self.run.join("runner-notes.txt");
        crate::store::replace_file(&path, notes.as_bytes()).map_err(|error| Halt::io(&path, error))?;
        let output_path = format!("{label}-verify.log");
        let log = self.run.join(&output_path);
        let text = summary(&gates.verified) + &notes;
        crate::store::replace_file(&log, text.as_bytes()).map_err(|error| Halt::io(&log, error))?;
        let exit_code = i32::from(!gates.verified.passed());
        let output = Counts { bytes: text.len() as u64, lines: text.lines().count() as u64, dropped: 0 };
        Ok(Finished { exit_code, output_path, output, outcome: Outcome::Verified(gates.verified) })
    }

    /// Runs the gates on a commit; a clean run starts from nothing and includes the final ones.
    pub(super) fn gates_on(&mut self, commit: &str, clean: bool, label: &str) -> Result<Gates, Halt> {
        let worktree = self.state().worktree.as_ref().map(|facts| PathBuf::from(&facts.worktree_path));
        self.have_submodules()?;
        // Whatever the agent left alive ends before a gate begins.
        if let Some(agent) = &self.agent {
            agent.client().sweep()?;
        }
        let warm = self.warmed(commit).filter(|_| clean);
        let shown = warm.is_some();
        if shown {
            self.gate = warm;
        } else if clean || self.gate.is_none() {
            self.gate = None;
            self.gate = Some(self.setting.gate(worktree.as_deref(), clean)?);
        }
        let side = self.gate.as_ref().ok_or_else(|| Halt::failed("run_error", "no gate side".into()))?;
        let spec = &self.created.spec;
        let gates: Vec<&Gate> =
            spec.gates.iter().filter(|gate| clean || gate.when == GateWhen::Always).collect();
        let control = self.control.clone();
        let folder = self.run.join("verify");
        let tree = self.trusted.tree(commit)?;
        let stop = || control.stop().is_some();
        let verified = if shown { Ok(()) } else { side.check_out(&self.setting, commit) }
            .map_err(|error| error.to_string())
            .and_then(|()| verify(&self.setting, side, commit, &gates, (&folder, label), &stop));
        match verified {
            Ok(Some((outcomes, failed))) => Ok(Gates {
                verified: Verified { commit: commit.to_owned(), tree, clean, gates: outcomes },
                failed,
            }),
            Ok(None) => {
                Err(control.stop().map_or_else(|| Halt::failed("run_error", "stopped".into()), Halt::Stopped))
            }
            Err(message) => Err(Halt::failed("run_error", message)),
        }
    }
}

fn summary(verified: &Verified) -> String {
    let mut text =
        format!("commit {}\ntree {}\nclean {}\n\n", verified.commit, verified.tree, verified.clean);
    for gate in &verified.gates {
        let word = if gate.passed() { "pass" } else { "FAIL" };
        text.push_str(&format!("{word} {} exit {} in {} ms", gate.name, gate.exit_code, gate.duration_ms));
        if let Some([passed, failed, skipped]) = gate.counts {
            text.push_str(&format!(" ({passed} tests passed, {failed} failed, {skipped} skipped)"));
        }
        text.push('\n');
    }
    text.push('\n');
    text
}
