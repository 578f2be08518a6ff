//! Names of the logs of steps, seen from the run's folder (ART-3).

use loop_api::phase::StepPhase;

/// The log of a step: `iter-01.log` for an implementation, `iter-01-review.log`, `iter-01-verify.log`; with the
/// attempt, from the second one on: `iter-01A03.log`, `iter-01A03-review.log`.
///
/// The journal names a log when its step has ended; this names it before, for who writes and who follows it.
pub fn log_name(phase: StepPhase, iteration: u32, attempt: u32) -> String {
    let attempt = if attempt > 1 { format!("A{attempt:02}") } else { String::new() };
    let kind = match phase {
        StepPhase::Implementation => String::new(),
        StepPhase::Review => "-review".into(),
        StepPhase::Verification => "-verify".into(),
        other => format!("-{}", other.as_str()),
    };
    format!("iter-{iteration:02}{attempt}{kind}.log")
}

/// The raw events beside a log, of agents that report: `iter-01.jsonl` for `iter-01.log` (RUN-20).
pub fn raw_name(log: &str) -> String {
    format!("{}.jsonl", log.strip_suffix(".log").unwrap_or(log))
}

/// The last lines of a log: `iter-01.tail.txt` for `iter-01.log` (ART-11).
pub fn tail_name(log: &str) -> String {
    format!("{}.tail.txt", log.strip_suffix(".log").unwrap_or(log))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_kind_iteration_and_attempt() {
        let cases = [
            (StepPhase::Implementation, 1, 1, "iter-01.log"),
            (StepPhase::Review, 1, 1, "iter-01-review.log"),
            (StepPhase::Verification, 12, 1, "iter-12-verify.log"),
            (StepPhase::Implementation, 1, 3, "iter-01A03.log"),
            (StepPhase::Review, 1, 3, "iter-01A03-review.log"),
            (StepPhase::Implementation, 123, 100, "iter-123A100.log"),
        ];
        for (phase, iteration, attempt, name) in cases {
            assert_eq!(log_name(phase, iteration, attempt), name);
        }
        assert_eq!(raw_name("iter-01A03-review.log"), "iter-01A03-review.jsonl");
        assert_eq!(tail_name("iter-01.log"), "iter-01.tail.txt");
    }
}
