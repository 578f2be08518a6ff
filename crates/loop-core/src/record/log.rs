//! `run.log`: what happened, a line an event, for people (ART-16).

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;

use loop_api::journal::{Event, Outcome, Record, Verdict, Verified};
use loop_api::run::{Limits, rfc3339};

use super::text::{duration, line};
use crate::store::{RunDir, replace_file};

/// The log of a run. Best effort: what cannot be written is in the journal all the same, and comes back when an engine
/// opens the run again.
#[derive(Debug)]
pub struct RunLog {
    path: PathBuf,
    file: Option<File>,
    last: u64,
}

impl RunLog {
    /// Writes the lines of a journal's records anew, so that a kill loses none.
    pub fn open(run: &RunDir, records: &[Record]) -> Self {
        let path = run.join("run.log");
        let lines: String = records.iter().filter_map(log_line).collect();
        // Nothing to say yet: the file appears with the first line.
        if !lines.is_empty() {
            let _ = replace_file(&path, lines.as_bytes());
        }
        Self { path, file: None, last: records.last().map_or(0, |record| record.seq) }
    }

    /// Adds the line of a new record; of one that it has already, nothing.
    pub fn append(&mut self, record: &Record) {
        if record.seq <= self.last {
            return;
        }
        self.last = record.seq;
        let Some(line) = log_line(record) else { return };
        if self.file.is_none() {
            self.file = File::options().create(true).append(true).open(&self.path).ok();
        }
        if let Some(file) = &mut self.file
            && file.write_all(line.as_bytes()).is_err()
        {
            self.file = None;
        }
    }
}

/// The line for a record, newline included: `[TIME] [LEVEL] text`; `None` for what is only bookkeeping.
pub fn log_line(record: &Record) -> Option<String> {
    let (level, text) = words(&record.event)?;
    Some(format!("[{}] [{level}] {}\n", rfc3339(record.ts), line(&text).trim_end()))
}

fn words(event: &Event) -> Option<(&'static str, String)> {
    let info = |text: String| Some(("INFO", text));
    let warn = |text: String| Some(("WARN", text));
    let error = |text: String| Some(("ERROR", text));
    match event {
        Event::RunCreated(created) => info(format!("run {} ({}) created", created.name, created.run_id)),
        Event::RunStarted { worker_id, isolation } => {
            info(format!("taken up by {worker_id}, isolation {isolation}"))
        }
        Event::LeaseGranted { attempt, seconds, .. } => {
            info(format!("attempt {attempt} holds the lease of the run, of {seconds} s"))
        }
        Event::LeaseExpired { revoked: true, .. } => {
            warn("the lease of the run was taken back; all work here has stopped".into())
        }
        Event::LeaseExpired { revoked: false, .. } => warn(
            "the API server was not heard for longer than the lease of the run; all work here has stopped"
                .into(),
        ),
        Event::RunResumed { again } => {
            info(if *again { "run is to be tried again" } else { "run is to go on" }.into())
        }
        Event::WorktreeProviderSelected { provider, reason } if reason.is_empty() => {
            info(format!("the worktree is made by {provider}"))
        }
        Event::WorktreeProviderSelected { provider, reason } => {
            info(format!("the worktree is made by {provider}, as {reason}"))
        }
        Event::WorktreeCreating(_) => None,
        Event::WorktreeCreated(facts) => info(format!(
            "worktree {} on {} from {}",
            facts.worktree_path, facts.run_branch, facts.base_commit
        )),
        Event::StepStarted { phase, iteration, attempt, clean, .. } => {
            let what = phase.as_str();
            let clean = if *clean { " from a clean checkout" } else { "" };
            info(match iteration {
                0 => format!("{what} begins, attempt {attempt}"),
                _ => format!("{what} of iteration {iteration} begins{clean}, attempt {attempt}"),
            })
        }
        Event::AgentRetry { reason, wait_ms, .. } => {
            warn(format!("trying again in {}: {reason}", duration(*wait_ms)))
        }
        Event::AgentStarted { resumed, .. } => {
            info(if *resumed { "agent goes on with its session" } else { "agent starts" }.into())
        }
        Event::AgentFinished(run) => {
            let used = format!("{} tokens, ${}", run.usage.tokens().total(), run.usage.cost_usd());
            let text = format!("agent ended: {}, {} turns, {used}", run.ending, run.turns);
            if run.ending == "worked" { info(text) } else { warn(text) }
        }
        Event::Checkpoint { head, .. } => info(format!("checkpoint at {head}")),
        Event::CheckpointRestored { head, snapshot } => {
            let lost = if head == snapshot { "; what was not committed did not come along" } else { "" };
            warn(format!("goes on in another clone, at {head}{lost}"))
        }
        Event::LimitsChanged { limits } => info(format!("limits changed: {}", changed(limits))),
        Event::StepFinished { duration_ms, exit_code, outcome, .. } => {
            let (level, text) = finished(outcome);
            Some((level, format!("{text}; exit code {exit_code}, {}", duration(*duration_ms))))
        }
        Event::StepInterrupted { .. } => warn("the open step was interrupted".into()),
        Event::CompletionRefused(refusal) => {
            warn(format!("completion refused ({}): {}", refusal.reason, refusal.message))
        }
        Event::CompletionGranted(granted) => {
            info(format!("completion granted at {}, evidence {}", granted.commit, granted.level))
        }
        Event::WatchdogDecision { signal, action, rewrite_count } => warn(format!(
            "watchdog: {}, {}, {rewrite_count} rewrites used",
            signal.as_str(),
            match action {
                loop_api::phase::WatchdogAction::Rewrite => "the next prompt is rewritten",
                loop_api::phase::WatchdogAction::Continue => "the loop goes on",
                loop_api::phase::WatchdogAction::Fail => "the run ends",
            }
        )),
        Event::IterationFinished { iteration } => info(format!("iteration {iteration} is over")),
        Event::RunCompleted { mode, verified } => {
            let word = if *verified { "verified" } else { "not verified" };
            info(format!("run completed ({mode}), {word}"))
        }
        Event::RunFailed { reason, message, .. } => error(format!("run failed: {reason}: {message}")),
        Event::RunCanceled => warn("run canceled".into()),
        Event::RunPaused => info("run paused".into()),
        Event::WorktreeRemoved { status, message } => info(format!("worktree {status} {message}")),
        Event::RunReset => warn("run reset: branch and worktree given up".into()),
        Event::PostmortemStart { reason } => info(format!("postmortem begins: {reason}")),
        Event::PostmortemEnd(postmortem) => {
            let text = format!("postmortem {} {}", postmortem.status, postmortem.message);
            if postmortem.status == "failed" { warn(text) } else { info(text) }
        }
    }
}

/// Those limits that end a run.
fn changed(limits: &Limits) -> String {
    let or_none = |limit: Option<String>| limit.unwrap_or_else(|| "none".into());
    format!(
        "deadline {}, cost {}, tokens {}, agent step {}",
        or_none(limits.active_deadline_seconds.map(|seconds| format!("{seconds} s"))),
        or_none(limits.cost_usd.as_ref().map(|cost| format!("${cost}"))),
        or_none(limits.tokens.map(|tokens| tokens.to_string())),
        if limits.agent_step_seconds == 0 {
            "a day".into()
        } else {
            format!("{} s", limits.agent_step_seconds)
        },
    )
}

fn finished(outcome: &Outcome) -> (&'static str, String) {
    match outcome {
        Outcome::Implemented(facts) => {
            let (done, total, files) = (facts.plan.done, facts.plan.total, facts.changed_files);
            (
                "INFO",
                format!(
                    "implemented: {done} of {total} tasks, files changed: {files}, commit {}",
                    facts.head
                ),
            )
        }
        Outcome::Reviewed(review) => match review.verdict {
            Verdict::Approved => ("INFO", "review: approved".into()),
            Verdict::ChangesRequested => {
                ("WARN", format!("review: changes requested, {} findings", review.findings.len()))
            }
        },
        Outcome::Verified(verified) => {
            (if verified.passed() { "INFO" } else { "WARN" }, format!("gates: {}", gates(verified)))
        }
        Outcome::Merged(merged) => ("INFO", format!("merged into {} as {}", merged.target, merged.commit)),
        Outcome::Done => ("INFO", "step done".into()),
        Outcome::Failed { reason, .. } => ("ERROR", format!("step failed: {reason}")),
    }
}

fn gates(verified: &Verified) -> String {
    let one = |gate: &loop_api::journal::GateOutcome| {
        format!("{} {}", gate.name, if gate.passed() { "pass" } else { "FAIL" })
    };
    verified.gates.iter().map(one).collect::<Vec<_>>().join(", ")
}
