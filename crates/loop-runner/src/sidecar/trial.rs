//! How long something that the runner asks for is tried again: a pure decision on what failed, and when.

use std::time::{Duration, Instant};

use super::{FIRST_PAUSE, publish};
use crate::mailbox::NIGHT;

/// The longest pause after a failure; after the first it is short, and after each further one twice as long.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Longest that an API server is waited for which is away, or does not know our rights yet.
const UNHEARD_TIME: Duration = Duration::from_secs(240);
/// Longest that something is tried which is wrong here, or which the remote has seen and does not take.
const WRONG_TIME: Duration = Duration::from_secs(60);
/// What git says of a ref that the other end refuses for a reason of its own, such as a hook or a protected branch.
const REJECTED: &str = "[remote rejected]";
/// How an error begins that a remote or a bucket is the reason of.
const THEIRS: [&str; 6] =
    ["git clone: ", "git push: ", "git ls-remote: ", "git fetch: ", "the bucket ", UNFIT];
/// How one begins that is about the Secret for the remote, which somebody may be about to change.
pub(super) const UNFIT: &str = "the credential will not do: ";
/// How one begins that is the word of a lease which nobody renews.
pub(super) const UNLEASED: &str = "the lease of this pod has run out";

/// Why something failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// The API server refuses it, and would again.
    Refused,
    /// The API server does not answer, or not yet as it should.
    Unheard,
    /// Remote or bucket are away, or do not let anybody in: somebody may put that right.
    Away,
    /// It will most likely fail again.
    Wrong,
}

impl Cause {
    /// Of an error.
    pub(super) fn of(error: &anyhow::Error) -> Self {
        match error.downcast_ref::<publish::Error>() {
            Some(error) if error.is_final() => Self::Refused,
            Some(_) => Self::Unheard,
            None => Self::said(&error.to_string()),
        }
    }

    /// Of what was said.
    pub(super) fn said(reason: &str) -> Self {
        if reason.starts_with(UNLEASED) {
            return Self::Unheard;
        }
        let theirs = THEIRS.iter().any(|words| reason.starts_with(words));
        if theirs && !reason.contains(REJECTED) && !crate::is_full(reason) { Self::Away } else { Self::Wrong }
    }
}

/// A request that could not be done yet.
#[derive(Debug)]
pub(super) struct Trial {
    /// Its number.
    pub(super) id: u64,
    /// Since when it is tried.
    since: Instant,
    /// When it is tried next.
    pub(super) due: Instant,
    /// How long it waits after the next failure.
    pause: Duration,
    /// Why it failed last, and since when for that alone.
    streak: Option<(Cause, Instant)>,
    /// Failures so far.
    pub(super) failures: u32,
    /// Whether remote and bucket have had their time: an end is told without them.
    pub(super) late: bool,
}

impl Trial {
    /// Of a request that is tried for the first time at `now`.
    pub(super) fn new(id: u64, now: Instant) -> Self {
        Self { id, since: now, due: now, pause: FIRST_PAUSE, streak: None, failures: 0, late: false }
    }

    /// Takes note of a failure at `now`; says whether it is tried again. What `can_do_without` remote and bucket is, once
    /// these have had their time.
    pub(super) fn again(&mut self, cause: Cause, can_do_without: bool, now: Instant) -> bool {
        self.failures += 1;
        self.due = now + self.pause;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        let lately = self.streak.filter(|(last, _)| *last == cause).map_or(now, |(_, since)| since);
        self.streak = Some((cause, lately));
        let (since, limit) = match cause {
            Cause::Refused => return false,
            Cause::Unheard => (lately, UNHEARD_TIME),
            Cause::Away => (self.since, NIGHT),
            Cause::Wrong => (lately, WRONG_TIME),
        };
        let spent = now.duration_since(since) >= limit;
        let turns = spent && can_do_without && !self.late && cause != Cause::Unheard;
        self.late |= turns;
        !spent || turns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_away_is_waited_for_and_what_was_seen_and_refused_is_not() {
        let cause = Cause::said;
        assert_eq!(cause("the lease of this pod has run out, so that it pushes nothing"), Cause::Unheard);
        for away in [
            "git push: fatal: Authentication failed for 'https://git.example/app.git/'",
            "git push: no end of it within 120 s",
            "the credential will not do: the Secret has no key `known_hosts`",
            "git ls-remote: fatal: unable to access 'https://git.example/app.git/': Could not resolve host",
            "the bucket loops cannot be written, AccessDenied; look at spec.checkpoint.s3 and the Secret that it names",
        ] {
            assert_eq!(cause(away), Cause::Away, "{away}");
        }
        for wrong in [
            "git push: ! [remote rejected] c -> main (protected branch hook declined)",
            "the clone does not have c yet",
            "the checkpoint has 3 bytes, and no more than 2 are kept",
            "git commit-tree: fatal: not a valid object name",
            "git push: error: unable to write file: No space left on device",
        ] {
            assert_eq!(cause(wrong), Cause::Wrong, "{wrong}");
        }
    }

    #[test]
    fn a_push_is_tried_for_a_night_but_not_where_it_was_seen_and_refused() {
        let began = Instant::now();
        let tried = |cause, after: Duration| {
            let mut trial = Trial::new(1, began);
            trial.again(cause, false, began) && trial.again(cause, false, began + after)
        };
        let second = Duration::from_secs(1);
        assert!(tried(Cause::Away, NIGHT.saturating_sub(second)) && !tried(Cause::Away, NIGHT));
        assert!(tried(Cause::Wrong, WRONG_TIME.saturating_sub(second)) && !tried(Cause::Wrong, WRONG_TIME));
        assert!(!tried(Cause::Refused, Duration::ZERO));
        // A push that was thought to have failed may have moved what the next one expects.
        let mut trial = Trial::new(1, began);
        assert!(
            trial.again(Cause::Away, false, began)
                && trial.again(Cause::Wrong, false, began + WRONG_TIME * 9)
        );
    }

    #[test]
    fn an_end_is_told_without_a_remote_that_has_had_its_time() {
        let began = Instant::now();
        let mut trial = Trial::new(1, began);
        assert!(trial.again(Cause::Away, true, began) && !trial.late);
        assert!(trial.again(Cause::Away, true, began + NIGHT) && trial.late);
        assert!(!trial.again(Cause::Away, true, began + NIGHT), "once");
    }

    #[test]
    fn the_silence_of_the_api_server_counts_from_its_last_word() {
        let began = Instant::now();
        let mut trial = Trial::new(1, began);
        let hour = Duration::from_hours(1);
        assert!(trial.again(Cause::Away, true, began));
        assert!(trial.again(Cause::Unheard, true, began + hour));
        assert!(trial.again(Cause::Away, true, began + hour * 2));
        assert!(trial.again(Cause::Unheard, true, began + hour * 3));
        assert!(!trial.again(Cause::Unheard, true, began + hour * 3 + UNHEARD_TIME));
    }

    #[test]
    fn the_pauses_grow_and_stay_bounded() {
        let now = Instant::now();
        let mut trial = Trial::new(1, now);
        let mut pauses = [0; 7];
        for pause in &mut pauses {
            trial.again(Cause::Away, false, now);
            *pause = trial.due.duration_since(now).as_secs();
        }
        assert_eq!(pauses, [2, 4, 8, 16, 30, 30, 30]);
    }
}
