//! What somebody sees while a run is driven: lines for what happened, and on a terminal a line for what happens.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use loop_api::journal::{Event, Record};
use loop_core::engine::{Live, Observer};
use loop_core::machine::State;

use crate::printer::say;
use crate::view::progress;
use crate::view::status::{Status, beat, heartbeat};

/// Between two drawings of the line.
const REDRAW: Duration = Duration::from_millis(200);

/// Follows a run on stderr.
pub(crate) struct View {
    quiet: bool,
    status: Arc<Mutex<Status>>,
    /// The line; `None` where it cannot be drawn over again.
    bar: Option<ProgressBar>,
    /// Last sign of life, since the agent's process began.
    beat: Duration,
    limit_seconds: u32,
}

impl View {
    /// A view on stderr; a quiet one passes on notes only.
    pub(crate) fn new(quiet: bool) -> Self {
        let status = Arc::new(Mutex::new(Status::default()));
        let bar = if quiet { None } else { bar(&status) };
        Self { quiet, status, bar, beat: Duration::ZERO, limit_seconds: 0 }
    }

    fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| say(text)),
            None => say(text),
        }
    }
}

/// The line of a terminal that can move its cursor.
fn bar(status: &Arc<Mutex<Status>>) -> Option<ProgressBar> {
    // Not a terminal, or one that says that it is dumb.
    let target = ProgressDrawTarget::stderr();
    if target.is_hidden() {
        return None;
    }
    let status = Arc::clone(status);
    let line = move |_: &ProgressState, out: &mut dyn std::fmt::Write| {
        // In the last column some terminals begin a new line.
        let width = usize::from(Term::stderr().size().1).saturating_sub(1);
        let line = status.lock().unwrap_or_else(PoisonError::into_inner).line(Instant::now(), width);
        // Writing into a text cannot fail.
        let _ = out.write_str(&line);
    };
    let style = ProgressStyle::with_template("{line}").ok()?.with_key("line", line);
    let bar = ProgressBar::with_draw_target(None, target).with_style(style);
    bar.enable_steady_tick(REDRAW);
    Some(bar)
}

impl Observer for View {
    fn record(&mut self, record: &Record, state: &State) {
        if self.quiet {
            return;
        }
        if matches!(record.event, Event::StepStarted { .. } | Event::AgentRetry { .. }) {
            self.beat = Duration::ZERO;
        }
        self.limit_seconds = state.spec().limits.agent_step_seconds;
        self.status.lock().unwrap_or_else(PoisonError::into_inner).record(record, state, Instant::now());
        for line in progress::lines(record, state) {
            self.say(&line);
        }
    }

    fn note(&mut self, text: &str) {
        self.say(text);
    }

    fn agent(&mut self, live: &Live<'_>) {
        if self.quiet {
            return;
        }
        if self.bar.is_some() {
            self.status.lock().unwrap_or_else(PoisonError::into_inner).agent(live);
        } else if heartbeat(&mut self.beat, live.elapsed) {
            say(&beat(live, self.limit_seconds));
        }
    }
}

impl Drop for View {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
