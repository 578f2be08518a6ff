//! Whether an agent that failed is tried again within its step, and when (RUN-24..26).

/// Attempts for errors that come from the model's service (RUN-25).
const TRANSIENT_ATTEMPTS: u32 = 5;
/// Longest pause between them in milliseconds.
const LONGEST_PAUSE_MS: u64 = 120_000;
/// Longest wait for a rate limit to reset; a longer one fails the step, as a clock somewhere is wrong.
const LONGEST_LIMIT_MS: u64 = 7 * 24 * 3_600_000;
/// Shortest wait for it, so that an agent that always says "now" is not asked without a pause.
const SHORTEST_LIMIT_MS: u64 = 1000;
/// Waits for limits in one step; an agent that is never let through has failed.
const LIMIT_WAITS: u32 = 100;
/// `EX_TEMPFAIL`: the script agent's way to say "later".
pub(crate) const TEMPORARY: i32 = 75;

/// How an agent's process ended, as its adapter reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It says it did its work.
    Worked,
    /// It failed, or was stopped.
    Failed,
    /// The model's service failed.
    Transient,
    /// It failed in a way that no further try can change: no login, nothing left to pay with.
    Hopeless,
    /// The session that it was to continue does not exist.
    SessionLost,
    /// A rate limit that resets after so many milliseconds.
    Limited {
        /// From now.
        reset_ms: u64,
    },
}

/// Attempts used in one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Used {
    /// Tries after plain failures.
    pub retries: u32,
    /// Failures of the service.
    pub transient: u32,
    /// Waits for a rate limit.
    pub limited: u32,
    /// Sessions that were lost.
    pub lost: u32,
}

/// What is done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// The step goes on to its result.
    Accept,
    /// Another try after a pause in milliseconds.
    Again(u64),
    /// The step has failed.
    GiveUp,
}

/// Decides from the ending, what was used, and the limits. The two budgets are independent; a rate limit uses
/// neither of them, but is not waited for without end.
pub(crate) fn decide(ending: Ending, used: &mut Used, retries: u32, backoff_seconds: u32) -> Decision {
    let backoff_ms = u64::from(backoff_seconds) * 1000;
    match ending {
        Ending::Worked => Decision::Accept,
        Ending::Limited { reset_ms } if reset_ms <= LONGEST_LIMIT_MS && used.limited < LIMIT_WAITS => {
            used.limited += 1;
            Decision::Again(reset_ms.max(SHORTEST_LIMIT_MS))
        }
        Ending::Transient => {
            used.transient += 1;
            if used.transient >= TRANSIENT_ATTEMPTS {
                return Decision::GiveUp;
            }
            Decision::Again(backoff_ms.saturating_mul(1 << (used.transient - 1)).min(LONGEST_PAUSE_MS))
        }
        // A new session follows at once, which cannot be lost.
        Ending::SessionLost if used.lost == 0 => {
            used.lost += 1;
            Decision::Again(0)
        }
        Ending::Failed if used.retries < retries => {
            used.retries += 1;
            Decision::Again(backoff_ms)
        }
        Ending::Limited { .. } | Ending::SessionLost | Ending::Hopeless | Ending::Failed => Decision::GiveUp,
    }
}

/// Reads the ending of a script agent: its exit code decides; the last lines of its output say what kind of failure it was.
pub(crate) fn read_script(exit_code: i32, tail: &str) -> Ending {
    if exit_code == 0 {
        return Ending::Worked;
    }
    let last: Vec<&str> = tail.lines().rev().filter(|line| !line.trim().is_empty()).take(5).collect();
    if exit_code == TEMPORARY {
        let seconds =
            last.iter().find_map(|line| line.trim().strip_prefix("Retry-After:")?.trim().parse().ok());
        return Ending::Limited { reset_ms: seconds.unwrap_or(60_u64).saturating_mul(1000) };
    }
    // Only lines that begin so: prose about overloaded operators is no outage (BUG-26).
    let outage = |line: &&str| line.starts_with("API Error: 5") || line.contains("\"overloaded_error\"");
    if last.iter().any(outage) { Ending::Transient } else { Ending::Failed }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_failures_have_a_flat_budget() {
        let mut used = Used::default();
        assert_eq!(decide(Ending::Failed, &mut used, 1, 5), Decision::Again(5000));
        assert_eq!(decide(Ending::Failed, &mut used, 1, 5), Decision::GiveUp);
        assert_eq!(decide(Ending::Failed, &mut Used::default(), 0, 5), Decision::GiveUp);
    }

    #[test]
    fn outages_double_their_pause_up_to_two_minutes_and_leave_the_other_budget_alone() {
        let mut used = Used::default();
        let pauses: Vec<_> = (0..5).map(|_| decide(Ending::Transient, &mut used, 3, 30)).collect();
        assert_eq!(pauses[..3], [Decision::Again(30_000), Decision::Again(60_000), Decision::Again(120_000)]);
        assert_eq!(pauses[3..], [Decision::Again(120_000), Decision::GiveUp]);
        assert_eq!(used.retries, 0);
    }

    #[test]
    fn a_rate_limit_is_a_wait_and_uses_no_retry() {
        let mut used = Used::default();
        let decision = decide(read_script(75, "limit\nRetry-After: 90\n"), &mut used, 0, 5);
        assert_eq!(decision, Decision::Again(90_000));
        assert_eq!((used.retries, used.transient), (0, 0));
    }

    #[test]
    fn a_limit_that_never_ends_is_neither_asked_without_pause_nor_for_ever() {
        let mut used = Used::default();
        let ending = read_script(75, "Retry-After: 0\n");
        for _ in 0..100 {
            assert_eq!(decide(ending, &mut used, 0, 5), Decision::Again(1000));
        }
        assert_eq!(decide(ending, &mut used, 0, 5), Decision::GiveUp);
    }

    #[test]
    fn without_a_login_nothing_is_tried_again() {
        assert_eq!(decide(Ending::Hopeless, &mut Used::default(), 9, 5), Decision::GiveUp);
    }

    #[test]
    fn bug_26_prose_about_overloading_is_no_outage() {
        assert_eq!(read_script(1, "I overloaded the operator\n"), Ending::Failed);
        assert_eq!(read_script(1, "API Error: 529 overloaded\n"), Ending::Transient);
        assert_eq!(read_script(0, "API Error: 500\n"), Ending::Worked);
    }
}
