//! The lines of each section, derived from the journal.

use serde_json::Value;

use crate::check::history::{History, Step, Used};
use crate::check::words::{date, dollars, list, number, quoted, span, text};

/// Titles and lines.
pub(super) fn all(history: &History<'_>) -> Vec<(&'static str, Vec<String>)> {
    vec![
        ("What was asked", asked(history)),
        ("Outcome", outcome(history)),
        ("Iterations", iterations(history)),
        ("Gates", gates(history)),
        ("Findings of the reviewer", findings(history)),
        ("Refusals of completion", refusals(history)),
        ("Put right or found in the work", work(history)),
        ("Retries, waits and the watchdog", retries(history)),
        ("Time", time(history)),
        ("Usage", used(&history.used())),
        ("Postmortem", postmortem(history)),
    ]
}

fn quote(lines: &mut Vec<String>, key: &str, value: &str) {
    if !value.trim().is_empty() {
        lines.push(format!("{key}: {}", quoted(value)));
    }
}

fn asked(history: &History<'_>) -> Vec<String> {
    let (created, spec) = (history.created, &history.created["spec"]);
    let mut lines = Vec::new();
    let task = &spec["task"];
    for (key, value) in [
        ("spec", text(task, "specPath")),
        ("plan", text(task, "planPath")),
        ("prompt", text(task, "prompt")),
        ("repository", text(created, "workspace_root")),
        ("base branch", text(created, "base_branch")),
        ("base commit", text(created, "base_commit")),
        ("target branch", text(created, "target_branch")),
    ] {
        quote(&mut lines, key, value);
    }
    if let Some(sources) = created["config_source"].as_array() {
        lines.extend(sources.iter().map(|source| {
            format!("configuration: {} ({})", quoted(text(source, "path")), text(source, "place"))
        }));
        if sources.is_empty() {
            lines.push("configuration: none".into());
        }
    }
    for (key, value) in
        [("agent", text(&spec["agent"], "adapter")), ("model", &history.model(false).unwrap_or_default())]
    {
        quote(&mut lines, key, value);
    }
    if spec["review"]["enabled"] == true {
        let adapter = spec["review"]["adapter"].as_str().unwrap_or(text(&spec["agent"], "adapter"));
        quote(&mut lines, "reviewer", adapter);
        quote(&mut lines, "reviewer's model", &history.model(true).unwrap_or_default());
    } else {
        lines.push("reviewer: none".into());
    }
    for gate in list(spec, "gates") {
        quote(&mut lines, &format!("gate {}", text(gate, "name")), text(gate, "run"));
    }
    quote(&mut lines, "made by", &format!("loopctl {}", text(created, "version")));
    let limits = &spec["limits"];
    let seconds = |key: &str| match number(limits, key) {
        0 => "one day".to_owned(),
        seconds => format!("{seconds} s"),
    };
    lines.push(format!("iterations at most: {}", number(&spec["loop"], "iterations")));
    let deadline = limits["activeDeadlineSeconds"].as_i64().map(|time| format!("{time} s"));
    lines.push(format!("deadline: {}", deadline.unwrap_or("none".into())));
    lines.push(format!("agent step at most: {}", seconds("agentStepSeconds")));
    lines.push(format!("agent silence at most: {}", seconds("agentIdleSeconds")));
    let cost = limits["costUSD"].as_str().map(|cost| {
        let (whole, part) = cost.split_once('.').unwrap_or((cost, ""));
        dollars(format!("{whole}{part:0<9}").parse().expect("an amount"))
    });
    lines.push(format!("cost at most: {}", cost.unwrap_or("none".into())));
    let tokens = limits["tokens"].as_u64().map(|tokens| tokens.to_string());
    lines.push(format!("tokens at most: {}", tokens.unwrap_or("none".into())));
    lines
}

fn phase(history: &History<'_>) -> &'static str {
    let turns = |kind: &&str| matches!(*kind, "RUN_STARTED" | "RUN_PAUSED" | "RUN_RESUMED");
    match history.ended.map(|record| text(record, "kind")) {
        Some("RUN_COMPLETED") => "Completed",
        Some("RUN_FAILED") => "Failed",
        Some(_) => "Canceled",
        None => match history.records.iter().rev().map(|record| text(record, "kind")).find(turns) {
            Some("RUN_STARTED") => "Running",
            Some("RUN_PAUSED") => "Paused",
            _ => "Pending",
        },
    }
}

/// Exit reason, reason and message of the end.
fn end<'a>(history: &History<'a>) -> Option<(&'a str, &'a str, &'a str)> {
    let record = history.ended?;
    Some(match text(record, "kind") {
        "RUN_COMPLETED" => ("complete_plan", "complete_plan", ""),
        "RUN_CANCELED" => ("canceled", "canceled", "canceled by the user"),
        _ => (text(record, "exit_reason"), text(record, "reason"), text(record, "message")),
    })
}

fn outcome(history: &History<'_>) -> Vec<String> {
    let mut lines = vec![format!("phase: {}", phase(history))];
    if let Some((exit, reason, message)) = end(history) {
        lines.push(format!("exit reason: {exit}"));
        quote(&mut lines, "reason", reason);
        quote(&mut lines, "message", message);
    }
    let base = history.last("WORKTREE_CREATED");
    let plan = history.last_result("implementation", "implemented").map(|work| &work["plan"]);
    let (done, total) = match (plan, base) {
        (Some(plan), _) => (number(plan, "done"), number(plan, "total")),
        (None, Some(base)) => (number(base, "tasks_done"), number(base, "tasks_total")),
        (None, None) => (0, 0),
    };
    lines.push(format!("tasks: {done} of {total}"));
    lines.push(format!("iterations: {}", history.iterations));
    lines.push(format!("engines: {}", history.count("RUN_STARTED")));
    let again = |record: &&Value| text(record, "kind") == "RUN_RESUMED" && record["again"] == true;
    lines.push(format!("further tries: {}", history.records.iter().filter(again).count()));
    if let Some(granted) = history.last("COMPLETION_GRANTED") {
        for (key, field) in [
            ("evidence", "level"),
            ("asked for by", "mode"),
            ("granted commit", "commit"),
            ("granted tree", "tree"),
        ] {
            quote(&mut lines, key, text(granted, field));
        }
    }
    if let Some(base) = base {
        quote(&mut lines, "run branch", text(base, "run_branch"));
        quote(&mut lines, "judged from", text(base, "base_commit"));
        quote(&mut lines, "worktree", text(base, "worktree_path"));
    }
    let head = history.records.iter().rev().find_map(|record| match text(record, "kind") {
        "WORKTREE_CREATED" => Some(text(record, "base_commit")),
        "CHECKPOINT" => Some(text(record, "head")),
        "STEP_FINISHED" if text(&record["outcome"], "result") == "implemented" => {
            Some(text(&record["outcome"], "head"))
        }
        _ => None,
    });
    quote(&mut lines, "head commit", head.unwrap_or_default());
    if let Some(removed) = history.last("WORKTREE_REMOVED") {
        let word = format!("{} {}", text(removed, "status"), text(removed, "message"));
        quote(&mut lines, "worktree at the end", &word);
    }
    if let Some(merged) = history.last_result("merge", "merged") {
        quote(&mut lines, "merged into", text(merged, "target"));
        quote(&mut lines, "merge commit", text(merged, "commit"));
    } else if text(&history.created["spec"]["delivery"], "mode") == "None" {
        lines.push("merged into: nothing, as asked".into());
    }
    quote(
        &mut lines,
        "isolation",
        history.last("RUN_STARTED").map_or("", |started| text(started, "isolation")),
    );
    lines.push(format!("created: {}", date(number(history.created, "ts"))));
    lines.extend(history.ended.map(|record| format!("ended: {}", date(number(record, "ts")))));
    lines
}

fn passed(gate: &Value) -> bool {
    gate["exit_code"] == 0 && gate["timed_out"] == false
}

fn dash(value: Option<String>) -> String {
    value.unwrap_or_else(|| "-".into())
}

fn iterations(history: &History<'_>) -> Vec<String> {
    let row = |iteration: i64| {
        let steps: Vec<&Step<'_>> =
            history.steps.iter().filter(|step| step.iteration() == iteration).collect();
        let last = |kind: &str| history.results(iteration, kind).last().copied();
        let work = last("implemented");
        let review = last("reviewed").map(|review| text(review, "verdict").replace('_', " "));
        let gates = last("verified").map(|run| list(run, "gates"));
        let during = |kind: &str| {
            history.during.iter().any(|(of, record)| *of == iteration && text(record, "kind") == kind)
        };
        let granted = history.last("COMPLETION_GRANTED").is_some() && iteration == history.iterations;
        let mut sum = Used::default();
        for step in &steps {
            sum.join(&step.used);
        }
        let cells =
            [
                iteration.to_string(),
                steps.iter().filter(|step| step.phase() == "implementation").count().to_string(),
                dash(work.map(|work| number(work, "changed_files").to_string())),
                dash(work.map(|work| {
                    format!("{}/{}", number(&work["plan"], "done"), number(&work["plan"], "total"))
                })),
                dash(review),
                dash(gates.map(|gates| {
                    format!("{}/{}", gates.iter().filter(|gate| passed(gate)).count(), gates.len())
                })),
                if granted {
                    "granted"
                } else if during("COMPLETION_REFUSED") {
                    "refused"
                } else {
                    "-"
                }
                .into(),
                span(steps.iter().map(|step| step.took()).sum()),
                dash((!sum.is_nothing()).then(|| sum.tokens().to_string())),
                dash((!sum.is_nothing()).then(|| dollars(sum.nanos))),
            ];
        cells.join(" | ")
    };
    (1..=history.iterations).map(row).collect()
}

fn gates(history: &History<'_>) -> Vec<String> {
    let merged = history.last_result("merge", "merged").map(|merged| &merged["verified"]);
    let runs = [
        ("before", history.last_result("baseline", "verified")),
        ("after", history.last_result("verification", "verified")),
        ("merged", merged),
    ];
    let mut lines = Vec::new();
    for (at, run) in runs {
        for gate in run.map(|run| list(run, "gates")).unwrap_or_default() {
            let code = match (&gate["timed_out"], &gate["out_of_memory"]) {
                (Value::Bool(true), _) => "out of time".into(),
                (_, Value::Bool(true)) => "out of memory".into(),
                _ => gate["exit_code"].to_string(),
            };
            let mut cells = vec![text(gate, "name").to_owned(), at.to_owned(), code];
            cells.extend(
                (0..3).map(|count| dash(gate["counts"][count].as_u64().map(|count| count.to_string()))),
            );
            cells.push(span(number(gate, "duration_ms")));
            lines.push(cells.join(" | "));
        }
    }
    lines
}

fn about(iteration: i64, what: &str, said: &str) -> String {
    format!("iteration {iteration}, {what}: {}", quoted(said))
}

fn texts<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a str> {
    list(value, key).iter().filter_map(Value::as_str)
}

fn findings(history: &History<'_>) -> Vec<String> {
    let reviews = history.steps.iter().filter_map(|step| Some((step.iteration(), step.result("reviewed")?)));
    reviews
        .flat_map(|(iteration, review)| {
            texts(review, "findings").map(move |said| about(iteration, "finding", said)).collect::<Vec<_>>()
        })
        .collect()
}

fn refusals(history: &History<'_>) -> Vec<String> {
    let refusals = history.during.iter().filter(|(_, record)| text(record, "kind") == "COMPLETION_REFUSED");
    refusals
        .flat_map(|(iteration, record)| {
            [("refused", "reason"), ("because", "message"), ("to do", "remedy")]
                .map(|(what, key)| about(*iteration, what, text(record, key)))
        })
        .collect()
}

fn work(history: &History<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    for iteration in 1..=history.iterations {
        let results = history.results(iteration, "implemented");
        let Some(work) = results.last() else { continue };
        let mut add = |what: &str, said: &str| lines.push(about(iteration, what, said));
        texts(work, "repairs").for_each(|said| add("put right", said));
        texts(work, "unticked").for_each(|said| add("unticked", said));
        for found in list(work, "violations") {
            add("protected path changed", &format!("{} ({})", text(found, "path"), text(found, "rule")));
        }
        texts(work, "findings").for_each(|said| add("about tests", said));
    }
    lines
}

fn retries(history: &History<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    for step in &history.steps {
        let what = format!("iteration {}, {}", step.iteration(), step.phase());
        for retry in &step.retries {
            let wait = span(number(retry, "wait_ms"));
            lines.push(format!("{what}, tried again after {wait}: {}", quoted(text(retry, "reason"))));
        }
        if step.interrupted() {
            lines.push(format!("{what}, interrupted: after {}", span(step.took())));
        }
    }
    for (iteration, record) in &history.during {
        if text(record, "kind") == "WATCHDOG_DECISION" {
            let action = match text(record, "action") {
                "rewrite" => "the prompt was rewritten",
                "continue" => "left to the notes",
                _ => "the run was ended",
            };
            lines.push(format!("iteration {iteration}, {}: {action}", text(record, "signal")));
        }
    }
    lines
}

fn time(history: &History<'_>) -> Vec<String> {
    let until = history.ended.or(history.records.last()).map_or(0, |record| number(record, "ts"));
    let waits =
        history.steps.iter().flat_map(|step| &step.retries).map(|retry| number(retry, "wait_ms")).sum();
    let mut lines = vec![
        format!("in all: {}", span(until - number(history.created, "ts"))),
        format!("waiting to try an agent again: {}", span(waits)),
    ];
    for phase in ["prepare", "baseline", "implementation", "review", "verification", "merge", "cleanup"] {
        let (lost, kept): (Vec<&Step<'_>>, Vec<&Step<'_>>) =
            history.steps.iter().filter(|step| step.phase() == phase).partition(|step| step.interrupted());
        if lost.len() + kept.len() > 0 {
            let took = |steps: &[&Step<'_>]| span(steps.iter().map(|step| step.took()).sum());
            let begun = lost.len() + kept.len();
            lines.push(format!("{phase} | {begun} | {} | {} | {}", took(&kept), lost.len(), took(&lost)));
        }
    }
    lines
}

fn used(used: &Used) -> Vec<String> {
    if used.is_nothing() {
        return Vec::new();
    }
    let mut lines: Vec<String> = used
        .models
        .iter()
        .map(|(model, [input, output, read, written])| {
            let all = input + output + read + written;
            format!(
                "model {}: {input} input, {output} output, {read} read from a cache, {written} written to a cache, {all} \
                 in all",
                quoted(model)
            )
        })
        .collect();
    let least = if used.silent > 0 { "at least " } else { "" };
    lines.push(format!("tokens: {least}{}", used.tokens()));
    lines.push(format!("cost: {least}{}", dollars(used.nanos)));
    lines.push(format!("processes that did not say: {}", used.silent));
    lines.push("source: reported by the agents themselves".into());
    lines
}

fn postmortem(history: &History<'_>) -> Vec<String> {
    let Some(record) = history.postmortem else { return Vec::new() };
    let mut lines = Vec::new();
    quote(
        &mut lines,
        "asked because",
        history.last("POSTMORTEM_START").map_or("", |start| text(start, "reason")),
    );
    for (key, field) in [
        ("status", "status"),
        ("spec compliance", "verdict"),
        ("root cause", "root_cause"),
        ("message", "message"),
    ] {
        quote(&mut lines, key, text(record, field));
    }
    let known = ["spec-compliance", "run-quality", "summary"].map(|name| format!("analysis/{name}.md"));
    let reports: Vec<String> = known
        .into_iter()
        .filter(|name| texts(record, "reports").any(|report| report == name))
        .map(|name| format!("[{name}]({name})"))
        .collect();
    if !reports.is_empty() {
        lines.push(format!("reports: {}", reports.join(", ")));
    }
    lines.push(format!("time: {}", span(number(record, "duration_ms"))));
    let mut usage = Used::default();
    usage.add(&record["usage"]);
    lines.extend(used(&usage));
    lines
}

/// What is to be looked at first, with the counts that belong to it.
pub(super) fn first(history: &History<'_>) -> Vec<(&'static str, Option<usize>)> {
    let spec = &history.created["spec"];
    let mut found = Vec::new();
    match phase(history) {
        "Completed" => {
            if history.ended.is_some_and(|end| end["verified"] == false) {
                found.push(("unverified", None));
            }
        }
        "Failed" | "Canceled" => found.push(("not completed", None)),
        _ => found.push(("not ended", None)),
    }
    if list(spec, "gates").is_empty() && spec["review"]["enabled"] == true {
        found.push(("no gates", None));
    }
    if history.last("RUN_STARTED").is_some_and(|started| text(started, "isolation").starts_with("none")) {
        found.push(("isolation none", None));
    }
    let mut some = |name: &'static str, count: usize| {
        if count > 0 {
            found.push((name, Some(count)));
        }
    };
    let work = history.last_result("implementation", "implemented");
    let size = |key: &str| work.map_or(0, |work| list(work, key).len());
    some("findings about tests", size("findings"));
    some("protected paths changed", size("violations"));
    let gates =
        history.last_result("verification", "verified").map(|run| list(run, "gates")).unwrap_or_default();
    let before =
        history.last_result("baseline", "verified").map(|run| list(run, "gates")).unwrap_or_default();
    let count = |gate: &Value, at: usize| gate["counts"][at].as_u64();
    let weaker = |gate: &&Value| {
        let old = before.iter().find(|old| old["name"] == gate["name"]);
        let old = old.and_then(|old| Some((count(old, 0)? + count(old, 1)?, count(old, 2)?)));
        let new = count(gate, 0).and_then(|ran| Some((ran + count(gate, 1)?, count(gate, 2)?)));
        matches!((old, new), (Some(old), Some(new)) if new.0 < old.0 || new.1 > old.1)
    };
    some("weaker gates", gates.iter().filter(weaker).count());
    some("gates without test counts", gates.iter().filter(|gate| count(gate, 0).is_none()).count());
    some("refusals of completion", history.count("COMPLETION_REFUSED"));
    let sum = |key: &str| {
        let each = (1..=history.iterations).map(|iteration| {
            history.results(iteration, "implemented").last().map_or(0, |work| list(work, key).len())
        });
        each.sum()
    };
    some("repairs", sum("repairs"));
    some("unticked tasks", sum("unticked"));
    some("interrupted steps", history.steps.iter().filter(|step| step.interrupted()).count());
    some("incomplete usage", history.used().silent as usize);
    if work.is_some_and(|work| work["uncommitted"] == true) {
        found.push(("uncommitted changes", None));
    }
    let cleaned =
        history.last("WORKTREE_REMOVED").is_some_and(|removed| text(removed, "status") == "cleaned");
    if history.ended.is_some() && history.last("WORKTREE_CREATED").is_some() && !cleaned {
        found.push(("worktree kept", None));
    }
    if history.postmortem.is_some_and(|record| text(record, "status") == "failed") {
        found.push(("postmortem failed", None));
    }
    found
}
