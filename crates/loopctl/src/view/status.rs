//! The line at the bottom of a terminal while a run is driven, and the sign of life where there is no terminal.

use std::time::{Duration, Instant};

use loop_api::journal::{Event, Record};
use loop_api::phase::StepPhase;
use loop_api::usage::Usage;
use loop_core::engine::Live;
use loop_core::machine::State;

use super::{clean, used};

/// Between two signs of life (RUN-22).
const BEAT: Duration = Duration::from_secs(30);
/// What a limit of 0 means.
const DAY: Duration = Duration::from_hours(24);

/// Where a run is, as far as it fits into a line.
#[derive(Debug, Default)]
pub(crate) struct Status {
    step: Option<(Step, Instant)>,
    /// Iterations that may be used.
    limit: u32,
    tasks: (u32, u32),
    ended: Usage,
    live: Usage,
    said: String,
}

#[derive(Debug)]
struct Step {
    phase: StepPhase,
    /// The iteration as it counts against the limit.
    iteration: u32,
    attempt: u32,
}

impl Status {
    /// Takes an event in; `state` is the state after it.
    pub(crate) fn record(&mut self, record: &Record, state: &State, now: Instant) {
        match &record.event {
            Event::StepStarted { phase, iteration, attempt, .. } => {
                let iteration = iteration.saturating_sub(state.iterations_before);
                self.step = Some((Step { phase: *phase, iteration, attempt: *attempt }, now));
                self.said.clear();
            }
            Event::StepFinished { .. } | Event::StepInterrupted { .. } => self.step = None,
            _ => {}
        }
        if !matches!(record.event, Event::Checkpoint { .. }) {
            self.live = Usage::default();
        }
        self.limit = state.spec().settings.iterations;
        self.tasks = loop_core::object::tasks(state);
        self.ended.clone_from(&state.usage);
    }

    /// Takes in what an agent does.
    pub(crate) fn agent(&mut self, live: &Live<'_>) {
        self.live.clone_from(live.usage);
        let line = clean::line(live.line);
        if !line.is_empty() {
            self.said = line;
        }
    }

    /// The line; empty between steps. At most `width` columns.
    pub(crate) fn line(&self, now: Instant, width: usize) -> String {
        let Some((step, began)) = &self.step else { return String::new() };
        let mut parts = Vec::new();
        if step.iteration > 0 {
            parts.push(format!("iteration {}/{}", step.iteration, self.limit));
        }
        let again = if step.attempt > 1 { format!(" (attempt {})", step.attempt) } else { String::new() };
        parts.push(format!("{}{again}", step.phase.as_str()));
        if self.tasks.1 > 0 {
            parts.push(format!("{}/{} tasks", self.tasks.0, self.tasks.1));
        }
        parts.push(clock(now.saturating_duration_since(*began)));
        let mut usage = self.ended.clone();
        usage.add(&self.live);
        if !usage.is_empty() {
            parts.push(used(&usage));
        }
        let mut text = parts.join("  ");
        if !self.said.is_empty() {
            text.push_str(" | ");
            text.push_str(&self.said);
        }
        console::truncate_str(&text, width, "...").into_owned()
    }
}

/// Whether it is time for a sign of life; `last` is the time of the last one and `elapsed` now, both since an agent's
/// process began. A process that begins anew counts anew.
pub(crate) fn heartbeat(last: &mut Duration, elapsed: Duration) -> bool {
    if elapsed < *last {
        *last = Duration::ZERO;
    }
    let due = elapsed.saturating_sub(*last) >= BEAT;
    if due {
        *last = elapsed;
    }
    due
}

/// The sign of life: how long it takes already, and how long it may.
pub(crate) fn beat(live: &Live<'_>, limit_seconds: u32) -> String {
    let limit = if limit_seconds == 0 { DAY } else { Duration::from_secs(limit_seconds.into()) };
    let usage = if live.usage.is_empty() { String::new() } else { format!(", {}", used(live.usage)) };
    format!("  still at work after {} of at most {}{usage}", clock(live.elapsed), clock(limit))
}

/// Minutes and seconds, with hours where there are some.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

#[cfg(test)]
mod tests {
    use loop_api::usage::Tokens;
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn usage(input: u64) -> Usage {
        let tokens = Tokens { input, ..Tokens::default() };
        Usage { models: [("m".into(), tokens)].into(), cost_nano_usd: 250_000_000, incomplete: 0 }
    }

    fn working(now: Instant) -> Status {
        let mut status = Status::default();
        let event = Event::StepStarted {
            step_id: "s".into(),
            phase: StepPhase::Implementation,
            iteration: 5,
            attempt: 2,
            clean: false,
        };
        let mut state = State::default();
        (state.iterations_before, state.usage) = (2, usage(40));
        status.record(&Record { seq: 1, ts: 0, prev: String::new(), event }, &state, now);
        status
    }

    #[test]
    fn it_says_where_the_run_is_and_what_the_agent_said_last() {
        let now = Instant::now();
        let mut status = working(now);
        assert_eq!(
            status.line(now + at(62), 200),
            "iteration 3/50  implementation (attempt 2)  1:02  40 tokens, $0.25"
        );
        status.tasks = (2, 5);
        status.agent(&Live { line: "\x1b[31mRead\x1b[0m\tsrc/lib.rs\r\n", usage: &usage(2), elapsed: at(1) });
        let line = status.line(now + at(3700), 200);
        assert_eq!(
            line,
            "iteration 3/50  implementation (attempt 2)  2/5 tasks  1:01:40  42 tokens, $0.5 | Read src/lib.rs"
        );
        status.agent(&Live { line: "", usage: &usage(2), elapsed: at(2) });
        assert_eq!(status.line(now + at(3700), 200), line, "silence leaves what was said");
    }

    #[test]
    fn it_is_empty_between_steps_and_does_not_count_twice() {
        let now = Instant::now();
        let mut status = working(now);
        status.agent(&Live { line: "x", usage: &usage(2), elapsed: at(1) });
        let event = Event::StepInterrupted { step_id: "s".into() };
        let mut state = State::default();
        state.usage = usage(42);
        status.record(&Record { seq: 2, ts: 0, prev: String::new(), event }, &state, now);
        assert_eq!(status.line(now, 80), "");
        assert_eq!((status.ended.tokens().input, status.live.is_empty()), (42, true));
    }

    proptest! {
        #[test]
        fn it_never_is_wider_than_the_terminal(said in "\\PC{0,80}", width in 0_usize..120) {
            let now = Instant::now();
            let mut status = working(now);
            status.agent(&Live { line: &said, usage: &Usage::default(), elapsed: at(1) });
            let line = status.line(now, width);
            prop_assert!(console::measure_text_width(&line) <= width.max(3));
            prop_assert!(!line.contains(char::is_control));
        }
    }

    #[test]
    fn a_sign_of_life_comes_every_half_minute_whatever_the_agent_says() {
        let mut last = Duration::ZERO;
        // One process for 35 s, another for 100 s, a third for 40 s.
        let seconds = (0..=35).chain(0..=100).chain(0..=40);
        let beats: Vec<u64> = seconds.filter(|elapsed| heartbeat(&mut last, at(*elapsed))).collect();
        assert_eq!(beats, [30, 30, 60, 90, 30]);
    }

    #[test]
    fn it_names_time_limit_and_usage() {
        let live = Live { line: "", usage: &Usage::default(), elapsed: at(90) };
        assert_eq!(beat(&live, 3600), "  still at work after 1:30 of at most 1:00:00");
        let live = Live { usage: &usage(7), ..live };
        assert_eq!(beat(&live, 0), "  still at work after 1:30 of at most 24:00:00, 7 tokens, $0.25");
    }
}
