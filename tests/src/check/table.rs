//! `report.tsv`, row by row.

use serde_json::Value;

use super::history::History;
use super::words::{flat, list, number, text};

const COLUMNS: [&str; 11] = [
    "timestamp_ms",
    "kind",
    "iteration",
    "duration_ms",
    "exit_code",
    "output_bytes",
    "output_lines",
    "output_path",
    "message",
    "tasks_done",
    "tasks_total",
];

type Row = [String; 11];

/// What is wrong with the table.
pub(super) fn check(table: &str, records: &[Value]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut lines = table.split_terminator('\n');
    if lines.next() != Some(COLUMNS.join("\t").as_str()) {
        wrong.push("report.tsv has another header".into());
    }
    let found: Vec<Vec<&str>> = lines.map(|line| line.split('\t').collect()).collect();
    let expected = rows(records);
    if found.len() != expected.len() {
        wrong.push(format!("report.tsv has {} rows, by the journal {}", found.len(), expected.len()));
    }
    for (at, (found, expected)) in found.iter().zip(&expected).enumerate() {
        if found.len() != COLUMNS.len() {
            wrong.push(format!("report.tsv row {} has {} columns", at + 1, found.len()));
        }
        for ((found, expected), column) in found.iter().zip(expected).zip(COLUMNS) {
            if found != expected {
                wrong.push(format!(
                    "report.tsv row {} {column}: {found:?}, by the journal {expected:?}",
                    at + 1
                ));
            }
        }
    }
    wrong
}

fn rows(records: &[Value]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let mut tasks = (String::new(), String::new());
    let (mut iteration, mut step) = (0, &Value::Null);
    for record in records {
        match text(record, "kind") {
            "WORKTREE_CREATED" => tasks = pair(record, "tasks_done", "tasks_total"),
            "STEP_FINISHED" if text(&record["outcome"], "result") == "implemented" => {
                tasks = pair(&record["outcome"]["plan"], "done", "total");
            }
            "STEP_STARTED" => {
                step = record;
                if text(record, "phase") == "implementation" {
                    iteration = number(record, "iteration");
                }
            }
            _ => {}
        }
        let begin = rows.len();
        add(&mut rows, record, step, iteration, &records[0]);
        for row in &mut rows[begin..] {
            row[0] = number(record, "ts").to_string();
            (row[9], row[10]) = tasks.clone();
        }
    }
    rows
}

fn pair(value: &Value, done: &str, total: &str) -> (String, String) {
    (number(value, done).to_string(), number(value, total).to_string())
}

fn add(rows: &mut Vec<Row>, record: &Value, step: &Value, iteration: i64, first: &Value) {
    let now = if iteration > 0 { iteration.to_string() } else { String::new() };
    let mut row = |kind: &str, label: &str, time: Option<i64>, code: Option<i64>, message: &str| {
        let mut row = Row::default();
        row[1] = kind.into();
        row[2] = label.into();
        row[3] = time.map(|time| time.to_string()).unwrap_or_default();
        row[4] = code.map(|code| code.to_string()).unwrap_or_default();
        row[8] = flat(message);
        rows.push(row);
    };
    let phase = text(step, "phase");
    let asks = phase == "implementation" || phase == "review";
    let label = match (phase, number(step, "attempt")) {
        ("review", attempt) => format!("{}R{attempt}", number(step, "iteration")),
        ("implementation", attempt) if attempt > 1 => format!("{}A{attempt}", number(step, "iteration")),
        _ => number(step, "iteration").to_string(),
    };
    let shown = asks || phase == "baseline" || phase == "verification";
    let kind = if asks { "ITERATION" } else { "VERIFY" };
    let outcome = &record["outcome"];
    let whole = Some(number(record, "ts") - number(first, "ts"));
    match text(record, "kind") {
        "RUN_CREATED" => {
            let spec = &record["spec"];
            let or = |value: &Value| value.as_str().unwrap_or("-").to_owned();
            let message = format!(
                "spec={} plan={} iterations={} model={} mode={}",
                or(&spec["task"]["specPath"]),
                or(&spec["task"]["planPath"]),
                number(&spec["loop"], "iterations"),
                History::of(std::slice::from_ref(record)).model(false).unwrap_or_else(|| "-".into()),
                if spec["task"]["prompt"].is_string() { "prompt" } else { "plan" },
            );
            row("RUN_START", "", None, None, &message);
        }
        "STEP_STARTED" if shown => row(&format!("{kind}_START"), &label, None, None, ""),
        "STEP_INTERRUPTED" if shown => {
            let time = number(record, "ts") - number(step, "ts");
            row(&format!("{kind}_END"), &label, Some(time), Some(-1), "interrupted");
        }
        "STEP_FINISHED" if shown => {
            let gates = list(outcome, "gates");
            let passed = |gate: &Value| gate["exit_code"] == 0 && gate["timed_out"] == false;
            for gate in gates {
                let mut message = text(gate, "name").to_owned();
                message += if passed(gate) { " pass" } else { " fail" };
                message += if gate["timed_out"] == true { " out of time" } else { "" };
                message += if gate["out_of_memory"] == true { " out of memory" } else { "" };
                if let [passed, failed, skipped] = list(gate, "counts") {
                    message += &format!(" passed={passed} failed={failed} skipped={skipped}");
                }
                let (time, code) = (number(gate, "duration_ms"), number(gate, "exit_code"));
                row("VERIFY_CMD_END", &label, Some(time), Some(code), &message);
            }
            let message = match text(outcome, "result") {
                "verified" if gates.iter().all(passed) => "passed",
                "verified" => "failed",
                "reviewed" => text(outcome, "verdict"),
                "failed" => text(outcome, "reason"),
                _ => "",
            };
            let (time, code) = (number(record, "duration_ms"), number(record, "exit_code"));
            row(&format!("{kind}_END"), &label, Some(time), Some(code), message);
            if let Some(row) = rows.last_mut().filter(|_| !text(record, "output_path").is_empty()) {
                row[5] = number(record, "output_bytes").to_string();
                row[6] = number(record, "output_lines").to_string();
                row[7] = flat(text(record, "output_path"));
            }
        }
        "AGENT_RETRY" => {
            row("AGENT_RETRY", &label, Some(number(record, "wait_ms")), None, text(record, "reason"));
        }
        "WATCHDOG_DECISION" if text(record, "action") == "rewrite" => {
            row("WATCHDOG_REWRITE", &now, None, None, &format!("signal={}", text(record, "signal")));
        }
        "COMPLETION_REFUSED" => {
            let message = format!("reason={} {}", text(record, "reason"), text(record, "message"));
            row("COMPLETION_REFUSED", &now, None, None, &message);
        }
        "COMPLETION_GRANTED" => {
            row("COMPLETE_DETECTED", &now, None, None, &format!("mode={}", text(record, "mode")));
        }
        "RUN_COMPLETED" => row("RUN_END", &now, whole, None, "reason=complete"),
        "RUN_FAILED" => {
            row("RUN_END", &now, whole, None, &format!("reason=failed:{}", text(record, "reason")));
        }
        "RUN_CANCELED" => row("RUN_END", &now, whole, None, "reason=canceled"),
        "POSTMORTEM_START" => {
            row("POSTMORTEM_START", &now, None, None, &format!("reason={}", text(record, "reason")));
        }
        "POSTMORTEM_END" => {
            let (time, message) =
                (number(record, "duration_ms"), format!("status={}", text(record, "status")));
            row("POSTMORTEM_END", &now, Some(time), None, &message);
        }
        _ => {}
    }
}
