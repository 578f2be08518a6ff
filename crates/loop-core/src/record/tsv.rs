//! `report.tsv`: the run as rows of eleven columns, in the order of the journal (ART-19..22).

use loop_api::journal::{Event, GateOutcome, Outcome, Record, Verified};
use loop_api::phase::{StepPhase, WatchdogAction};

use super::text::line;
use crate::machine::State;
use crate::object::tasks;

const HEADER: &str = "timestamp_ms\tkind\titeration\tduration_ms\texit_code\toutput_bytes\toutput_lines\toutput_path\t\
                      message\ttasks_done\ttasks_total\n";

/// A row without its time and tasks; what is unknown is empty.
#[derive(Default)]
struct Row {
    kind: &'static str,
    label: String,
    duration_ms: Option<u64>,
    exit_code: Option<i32>,
    /// Bytes, lines and path.
    output: Option<(u64, u64, String)>,
    message: String,
}

/// A step without an end, by what its rows need.
struct Open {
    phase: StepPhase,
    label: String,
    started_ms: i64,
}

/// The table of a journal.
pub fn report_tsv(records: &[Record]) -> String {
    let mut text = HEADER.to_owned();
    let mut state = State::default();
    let mut open = None;
    for record in records {
        if state.apply(record.ts, &record.event).is_err() {
            break;
        }
        for row in rows(record, &state, &mut open) {
            write(&mut text, record.ts, &row, &state);
        }
    }
    text
}

fn write(text: &mut String, ts: i64, row: &Row, state: &State) {
    let number = |value: Option<u64>| value.map(|value| value.to_string()).unwrap_or_default();
    let (bytes, lines, path) = match &row.output {
        Some((bytes, lines, path)) => (bytes.to_string(), lines.to_string(), line(path)),
        None => Default::default(),
    };
    // Known from the base plan on.
    let tasks = state.worktree.as_ref().map(|_| tasks(state));
    let tasks = tasks.map_or_else(|| "\t".to_owned(), |(done, total)| format!("{done}\t{total}"));
    text.push_str(&format!(
        "{ts}\t{}\t{}\t{}\t{}\t{bytes}\t{lines}\t{path}\t{}\t{tasks}\n",
        row.kind,
        row.label,
        number(row.duration_ms),
        row.exit_code.map(|code| code.to_string()).unwrap_or_default(),
        line(&row.message)
    ));
}

fn rows(record: &Record, state: &State, open: &mut Option<Open>) -> Vec<Row> {
    let label = if state.iteration == 0 { String::new() } else { state.iteration.to_string() };
    let row = |kind, message: String| Row { kind, label: label.clone(), message, ..Row::default() };
    let since = |from: i64| u64::try_from(record.ts.saturating_sub(from)).ok();
    let end = |reason: String| {
        vec![Row { duration_ms: since(state.created_ms), ..row("RUN_END", format!("reason={reason}")) }]
    };
    match &record.event {
        Event::RunCreated(created) => {
            let task = &created.spec.task;
            let message = format!(
                "spec={} plan={} iterations={} model={} mode={}",
                task.spec_path.as_deref().unwrap_or("-"),
                task.plan_path.as_deref().unwrap_or("-"),
                created.spec.settings.iterations,
                super::model(created, StepPhase::Implementation).unwrap_or("-"),
                if task.prompt.is_some() { "prompt" } else { "plan" }
            );
            vec![row("RUN_START", message)]
        }
        Event::StepStarted { phase, iteration, attempt, .. } => {
            let begun = Open {
                phase: *phase,
                label: step_label(*phase, *iteration, *attempt),
                started_ms: record.ts,
            };
            let row =
                kinds(*phase).map(|(kind, _)| Row { kind, label: begun.label.clone(), ..Row::default() });
            *open = Some(begun);
            row.into_iter().collect()
        }
        Event::AgentRetry { reason, wait_ms, .. } => {
            let label = open.as_ref().map(|open| open.label.clone()).unwrap_or_default();
            vec![Row { label, duration_ms: Some(*wait_ms), ..row("AGENT_RETRY", reason.clone()) }]
        }
        Event::StepFinished {
            exit_code,
            duration_ms,
            output_path,
            output_bytes,
            output_lines,
            outcome,
            ..
        } => {
            let Some((open, kind)) = ended(open) else { return Vec::new() };
            let output =
                (!output_path.is_empty()).then(|| (*output_bytes, *output_lines, output_path.clone()));
            let mut rows = match outcome {
                Outcome::Verified(verified) => gates(verified, &open.label),
                _ => Vec::new(),
            };
            rows.push(Row {
                kind,
                label: open.label,
                duration_ms: Some(*duration_ms),
                exit_code: Some(*exit_code),
                output,
                message: message(outcome),
            });
            rows
        }
        Event::StepInterrupted { .. } => {
            let Some((open, kind)) = ended(open) else { return Vec::new() };
            vec![Row {
                kind,
                label: open.label,
                duration_ms: since(open.started_ms),
                exit_code: Some(-1),
                message: "interrupted".into(),
                ..Row::default()
            }]
        }
        Event::WatchdogDecision { signal, action: WatchdogAction::Rewrite, .. } => {
            vec![row("WATCHDOG_REWRITE", format!("signal={}", signal.as_str()))]
        }
        Event::CompletionRefused(refusal) => {
            vec![row("COMPLETION_REFUSED", format!("reason={} {}", refusal.reason, refusal.message))]
        }
        Event::CompletionGranted(granted) => vec![row("COMPLETE_DETECTED", format!("mode={}", granted.mode))],
        Event::RunCompleted { .. } => end("complete".into()),
        Event::RunFailed { reason, .. } => end(format!("failed:{reason}")),
        Event::RunCanceled => end("canceled".into()),
        Event::PostmortemStart { reason } => vec![row("POSTMORTEM_START", format!("reason={reason}"))],
        Event::PostmortemEnd(postmortem) => vec![Row {
            duration_ms: Some(postmortem.duration_ms),
            ..row("POSTMORTEM_END", format!("status={}", postmortem.status))
        }],
        _ => Vec::new(),
    }
}

/// The step that ended, with the kind of row that says so.
fn ended(open: &mut Option<Open>) -> Option<(Open, &'static str)> {
    let open = open.take()?;
    let (_, kind) = kinds(open.phase)?;
    Some((open, kind))
}

/// Kinds of the rows at a step's start and end; `None` for steps that are no part of the loop.
fn kinds(phase: StepPhase) -> Option<(&'static str, &'static str)> {
    match phase {
        StepPhase::Implementation | StepPhase::Review => Some(("ITERATION_START", "ITERATION_END")),
        StepPhase::Baseline | StepPhase::Verification => Some(("VERIFY_START", "VERIFY_END")),
        StepPhase::Prepare | StepPhase::Merge | StepPhase::Cleanup => None,
    }
}

fn step_label(phase: StepPhase, iteration: u32, attempt: u32) -> String {
    match phase {
        StepPhase::Review => format!("{iteration}R{attempt}"),
        StepPhase::Implementation if attempt > 1 => format!("{iteration}A{attempt}"),
        _ => iteration.to_string(),
    }
}

fn gates(verified: &Verified, label: &str) -> Vec<Row> {
    let row = |gate: &GateOutcome| {
        let word = if gate.passed() { "pass" } else { "fail" };
        let late = match (gate.timed_out, gate.out_of_memory) {
            (true, _) => " out of time",
            (false, true) => " out of memory",
            (false, false) => "",
        };
        let counts = gate
            .counts
            .map(|[passed, failed, skipped]| format!(" passed={passed} failed={failed} skipped={skipped}"));
        Row {
            kind: "VERIFY_CMD_END",
            label: label.to_owned(),
            duration_ms: Some(gate.duration_ms),
            exit_code: Some(gate.exit_code),
            message: format!("{} {word}{late}{}", gate.name, counts.unwrap_or_default()),
            ..Row::default()
        }
    };
    verified.gates.iter().map(row).collect()
}

fn message(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Verified(verified) if verified.passed() => "passed".into(),
        Outcome::Verified(_) => "failed".into(),
        Outcome::Reviewed(review) => match review.verdict {
            loop_api::journal::Verdict::Approved => "approved".into(),
            loop_api::journal::Verdict::ChangesRequested => "changes_requested".into(),
        },
        Outcome::Failed { reason, .. } => reason.clone(),
        Outcome::Implemented(_) | Outcome::Merged(_) | Outcome::Done => String::new(),
    }
}
