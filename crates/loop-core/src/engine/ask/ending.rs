//! How an agent's process ended, and what follows from it.

use crate::agent::{Class, Reading};
use crate::exec::{Ended, Outcome};
use crate::retry::{self, Ending};

/// Wait for a limit whose reset is not known.
const UNKNOWN_RESET_MS: u64 = 60_000;
/// Longest complaint in characters.
const COMPLAINT: usize = 300;

/// The word for an agent whose container had too little memory.
pub(in crate::engine) const OUT_OF_MEMORY: &str = "out_of_memory";

/// Why the engine itself stopped a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// The run is to stop.
    Stopped,
    /// It did not announce itself within so many seconds.
    Silent(u32),
    /// It gave its result and did not end.
    Lingering,
}

/// A process as it is seen from the loop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Conclusion {
    pub(super) ending: Ending,
    /// The word for it in the journal.
    pub(super) word: &'static str,
    /// What went wrong, for people.
    pub(super) complaint: String,
}

impl Conclusion {
    fn new(ending: Ending, word: &'static str, complaint: impl Into<String>) -> Self {
        Self { ending, word, complaint: complaint.into() }
    }
}

/// For an agent that reports: its result counts, however its process went. Without one it has failed, also with exit
/// code 0.
pub(super) fn of_report(
    outcome: &Outcome,
    reading: &Reading,
    cut: Option<Cut>,
    tail: &str,
    now_ms: i64,
    access: &str,
) -> Conclusion {
    if cut == Some(Cut::Stopped) {
        return Conclusion::new(Ending::Failed, "stopped", "stopped");
    }
    if reading.worked() {
        return Conclusion::new(Ending::Worked, "worked", "");
    }
    let said = reading.message.as_deref().unwrap_or_default().lines().next().unwrap_or_default();
    if let Some(class) = reading.class {
        let ending = match class {
            Class::RateLimited => {
                Ending::Limited { reset_ms: reading.reset_ms(now_ms).unwrap_or(UNKNOWN_RESET_MS) }
            }
            Class::Overloaded | Class::Network => Ending::Transient,
            Class::SessionLost => Ending::SessionLost,
            Class::Auth | Class::Billing => Ending::Hopeless,
            Class::Context | Class::MaxTurns | Class::Crash => Ending::Failed,
        };
        let mut complaint = short(said);
        if ending == Ending::Hopeless {
            complaint = format!("{complaint}; {access}");
        }
        return Conclusion::new(ending, class.as_str(), complaint);
    }
    if let (Ended::Exited, Some(starved)) = (outcome.ended, starved(outcome)) {
        return starved;
    }
    let (word, complaint) = match (outcome.ended, cut) {
        (_, Some(Cut::Silent(seconds))) => {
            ("start_timeout", format!("no output within {seconds} s of its start"))
        }
        (Ended::TimedOut, _) => ("timeout", "timeout".into()),
        (Ended::Idle, _) => ("idle", "no output for too long".into()),
        _ => ("crash", format!("{} without giving a result: {}", exit(outcome), last_lines(tail))),
    };
    // The service may have failed so early that there was no result to say it.
    let ending = match reading.error {
        Some(Class::Overloaded | Class::Network) if word == "crash" => Ending::Transient,
        _ => Ending::Failed,
    };
    Conclusion::new(ending, word, complaint)
}

/// For an agent that prints text: its exit code counts, and its last lines say what kind of failure it was.
pub(super) fn of_text(outcome: &Outcome, cut: Option<Cut>, tail: &str) -> Conclusion {
    let failed = |word, complaint: String| Conclusion::new(Ending::Failed, word, complaint);
    match (outcome.ended, cut) {
        (_, Some(Cut::Stopped)) | (Ended::Canceled, _) => failed("stopped", "stopped".into()),
        (Ended::TimedOut, _) => failed("timeout", "timeout".into()),
        (Ended::Idle, _) => failed("idle", "no output for too long".into()),
        (Ended::Exited, _) if outcome.spawn_error.is_some() || outcome.signal.is_some() => {
            starved(outcome).unwrap_or_else(|| failed("crash", exit(outcome)))
        }
        (Ended::Exited, _) => {
            let ending = retry::read_script(outcome.code(), tail);
            let complaint = format!("{}: {}", exit(outcome), last_lines(tail));
            let said = Conclusion::new(ending, "", complaint);
            starved(outcome).filter(|_| ending == Ending::Failed).unwrap_or(said)
        }
    }
}

/// One that failed after memory ran out: what was killed may be the agent, or what it waited for.
fn starved(outcome: &Outcome) -> Option<Conclusion> {
    let memory = outcome.out_of_memory?;
    let complaint = format!("out of memory: {memory}; raise the memory limit of container agent");
    Some(Conclusion::new(Ending::Failed, OUT_OF_MEMORY, complaint))
}

fn exit(outcome: &Outcome) -> String {
    match (&outcome.spawn_error, outcome.signal) {
        (Some(error), _) => error.clone(),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => format!("exit code {}", outcome.code()),
    }
}

fn last_lines(tail: &str) -> String {
    let lines: Vec<&str> = tail.lines().filter(|line| !line.trim().is_empty()).collect();
    short(&lines[lines.len().saturating_sub(3)..].join(" / "))
}

fn short(text: &str) -> String {
    text.chars().take(COMPLAINT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(code: i32, ended: Ended) -> Outcome {
        Outcome {
            exit_code: Some(code),
            signal: None,
            ended,
            spawn_error: None,
            duration_ms: 1,
            swept: 0,
            stdout_bytes: 0,
            stderr_bytes: 0,
            out_of_memory: None,
        }
    }

    fn report(message: Option<&str>, class: Option<Class>, code: i32, ended: Ended) -> Conclusion {
        let mut reading = Reading::default();
        reading.message = message.map(str::to_owned);
        reading.class = class;
        of_report(&outcome(code, ended), &reading, None, "first\nlast\n", 0, "get a key")
    }

    #[test]
    fn a_result_counts_and_not_the_exit_code() {
        assert_eq!(report(Some("done"), None, 1, Ended::Exited).ending, Ending::Worked);
        assert_eq!(report(Some("done"), None, 0, Ended::TimedOut).ending, Ending::Worked);
        let none = report(None, None, 0, Ended::Exited);
        assert_eq!((none.ending, none.word), (Ending::Failed, "crash"));
        assert_eq!(none.complaint, "exit code 0 without giving a result: first / last");
    }

    #[test]
    fn each_class_has_its_own_way_on() {
        let ending = |class| report(Some("said"), Some(class), 1, Ended::Exited).ending;
        assert_eq!(ending(Class::RateLimited), Ending::Limited { reset_ms: UNKNOWN_RESET_MS });
        assert_eq!(ending(Class::Overloaded), Ending::Transient);
        assert_eq!(ending(Class::Network), Ending::Transient);
        assert_eq!(ending(Class::SessionLost), Ending::SessionLost);
        assert_eq!(ending(Class::Auth), Ending::Hopeless);
        assert_eq!(ending(Class::Billing), Ending::Hopeless);
        assert_eq!(ending(Class::Crash), Ending::Failed);
        let login = report(Some("Not logged in\nmore"), Some(Class::Auth), 1, Ended::Exited);
        assert_eq!((login.word, login.complaint.as_str()), ("auth", "Not logged in; get a key"));
    }

    #[test]
    fn a_failure_after_memory_ran_out_says_so_and_a_result_counts_all_the_same() {
        let starving = |code, signal| {
            let out_of_memory = Some(crate::exec::OutOfMemory { limit_bytes: Some(256 << 20) });
            Outcome { exit_code: code, signal, out_of_memory, ..outcome(0, Ended::Exited) }
        };
        let said =
            "out of memory: the container's limit is 256 MiB; raise the memory limit of container agent";
        for outcome in [starving(Some(1), None), starving(None, Some(9))] {
            let text = of_text(&outcome, None, "Killed");
            assert_eq!(
                (text.ending, text.word, text.complaint.as_str()),
                (Ending::Failed, OUT_OF_MEMORY, said)
            );
            let report = of_report(&outcome, &Reading::default(), None, "Killed", 0, "");
            assert_eq!((report.word, report.complaint.as_str()), (OUT_OF_MEMORY, said));
        }
        // It went on without the process that was killed, or has a better reason.
        assert_eq!(of_text(&starving(Some(0), None), None, "").ending, Ending::Worked);
        assert!(matches!(of_text(&starving(Some(75), None), None, "").ending, Ending::Limited { .. }));
        let mut reading = Reading::default();
        reading.message = Some("done".into());
        let worked = of_report(&starving(Some(1), None), &reading, None, "", 0, "");
        assert_eq!(worked.ending, Ending::Worked);
    }

    #[test]
    fn silence_is_named_by_its_kind() {
        assert_eq!(report(None, None, 0, Ended::Idle).word, "idle");
        let cut = Some(Cut::Silent(3));
        let silent = of_report(&outcome(0, Ended::Canceled), &Reading::default(), cut, "", 0, "");
        assert_eq!(
            (silent.word, silent.complaint.as_str()),
            ("start_timeout", "no output within 3 s of its start")
        );
        let stopped =
            of_report(&outcome(0, Ended::Canceled), &Reading::default(), Some(Cut::Stopped), "", 0, "");
        assert_eq!(stopped.word, "stopped");
    }
}
