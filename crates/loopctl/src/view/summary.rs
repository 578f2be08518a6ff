//! The end of a run in a dozen lines: what was done, what stands behind it, where everything lies.

use loop_api::journal::GateOutcome;
use loop_api::phase::RunPhase;

use super::{clean, count, duration, short, used, word};
use crate::printer::{BAD, BOLD, GOOD, paint};
use crate::runs::{Recorded, command, file, shown};

/// The summary of a run.
pub(crate) fn text(run: &Recorded) -> String {
    let state = &run.state;
    let name = &run.object.metadata.name;
    let style = if state.phase == RunPhase::Completed { GOOD } else { BAD };
    let mut lines = vec![String::new(), format!("{} {}", paint(BOLD, name), paint(style, word(run)))];
    if let Some((_, reason, message)) = &state.ended
        && state.phase != RunPhase::Completed
    {
        lines.push(format!("  why        {}", clean::text(reason)));
        if !message.is_empty() && message != reason {
            lines.push(format!("             {}", clean::text(message)));
        }
    }
    let (done, total) = loop_core::object::tasks(state);
    // What comes after the end, such as a postmortem, is not the run's own time.
    let until = if state.phase.is_terminal() { state.ended_ms } else { state.last_ms };
    let time = match u64::try_from(until - state.started_ms) {
        Ok(time) if state.started_ms > 0 => duration(time),
        _ => "not begun".into(),
    };
    let iterations = count(state.iteration as usize, "iteration");
    let tasks = match (total, &state.worktree) {
        (0, None) if state.spec().task.plan_path.is_some() => "plan not read yet".into(),
        (0, _) => "no plan".into(),
        _ => format!("{done} of {total} plan tasks"),
    };
    lines.push(format!("  done       {tasks}, {iterations}, {time}"));
    if !state.usage.is_empty() {
        lines.push(format!("  used       {}, as the agents reported it", used(&state.usage)));
    }
    evidence(run, &mut lines);
    delivery(run, &mut lines);
    opinion(run, &mut lines);
    if let Some(report) = file(run, "report.md") {
        lines.push(format!("  report     {}", shown(&report)));
    }
    lines.push(format!("  record     {}", shown(run.dir.path())));
    if let Some(created) = &state.created {
        let copy = loop_core::record::copy_folder(created);
        if copy.exists() {
            lines.push(format!("  copy       {}", shown(&copy)));
        }
    }
    // DATA/runs/run-UID
    let root = run.dir.path().ancestors().nth(2).unwrap_or(run.dir.path());
    let loopctl = command(root);
    let next = match state.phase {
        _ if state.reset => format!("{loopctl} inspect {name}; it was reset, so more work needs a new run"),
        RunPhase::Completed => format!("{loopctl} verify {name}"),
        RunPhase::Canceled | RunPhase::Failed => {
            format!("{loopctl} inspect {name}; with resume instead of inspect it tries again")
        }
        _ if run.waiting.is_some() => {
            format!(
                "it waits: {}; {loopctl} cancel {name} takes it out",
                run.waiting.as_deref().unwrap_or_default()
            )
        }
        _ if run.alive => format!(
            "it is under way; {loopctl} tail -f {name}, {loopctl} pause {name}, {loopctl} cancel {name}"
        ),
        _ => format!("{loopctl} resume {name}"),
    };
    lines.push(format!("  next       {next}"));
    lines.push(String::new());
    lines.join("\n")
}

fn evidence(run: &Recorded, lines: &mut Vec<String>) {
    let state = &run.state;
    let Some(granted) = &state.granted else { return };
    lines.push(format!(
        "  evidence   {} at {}; isolation {}",
        granted.level,
        short(&granted.commit),
        state.isolation
    ));
    let before = |name: &str| state.baseline.as_ref()?.gates.iter().find(|run| run.name == name);
    for after in state.granted_gates.iter().flat_map(|run| &run.gates) {
        let was = before(&after.name).map_or_else(|| "not run".into(), result);
        lines.push(format!("             gate {}: before {was}, after {}", after.name, result(after)));
    }
    if let Some(review) = state.current.reviewed.as_ref().filter(|review| review.tree == granted.tree) {
        lines.push(format!("             reviewer approved tree {}", short(&review.tree)));
    }
    if let Some(file) = run.evidence() {
        lines.push(format!("             {}", shown(&file)));
    }
}

/// What an agent thinks of the ended run, and where it says so.
fn opinion(run: &Recorded, lines: &mut Vec<String>) {
    let Some(postmortem) = &run.state.postmortem else { return };
    if postmortem.status != "ok" {
        let why = if postmortem.message.is_empty() { "no reason given" } else { &postmortem.message };
        lines.push(format!("  analysis   {}: {}", postmortem.status, clean::text(why)));
        return;
    }
    let said = |text: &str| if text.is_empty() { "not said".to_owned() } else { clean::text(text) };
    lines.push(format!(
        "  analysis   an agent's opinion: spec compliance {}, root cause {}",
        said(&postmortem.verdict),
        said(&postmortem.root_cause)
    ));
    let reports = postmortem.reports.iter().filter_map(|name| file(run, name));
    lines.extend(reports.map(|report| format!("             {}", shown(&report))));
}

fn result(run: &GateOutcome) -> String {
    let word = if run.passed() { "pass" } else { "fail" };
    match run.counts {
        Some([passed, failed, 0]) => format!("{word} ({passed} passed, {failed} failed)"),
        Some([passed, failed, skipped]) => {
            format!("{word} ({passed} passed, {failed} failed, {skipped} skipped)")
        }
        None => format!("{word} (exit {})", run.exit_code),
    }
}

fn delivery(run: &Recorded, lines: &mut Vec<String>) {
    let state = &run.state;
    let Some(facts) = &state.worktree else { return };
    lines.push(format!("  branch     {}", facts.run_branch));
    if let Some(merged) = &state.merged {
        lines.push(format!("  merged     {} at {}", merged.target, short(&merged.commit)));
    }
    match &state.cleanup {
        Some((status, _)) if status == "cleaned" => {
            lines.push(format!(
                "  worktree   removed; its diff is {}",
                shown(&run.file("changes.diff").unwrap_or_else(|| run.dir.join("changes.diff")))
            ));
        }
        Some((status, _)) if status == "reset" => {
            lines.push("  worktree   given up, and so is the branch".into());
        }
        Some((_, message)) => lines.push(format!("  worktree   {} (kept: {message})", facts.worktree_path)),
        None => lines.push(format!("  worktree   {}", facts.worktree_path)),
    }
}

/// What came of looking back at a run.
pub(crate) fn analysis(run: &Recorded) -> String {
    let Some(postmortem) = &run.state.postmortem else { return String::new() };
    let said = |text: &str| if text.is_empty() { "not said".to_owned() } else { text.to_owned() };
    let mut lines = vec![format!("{} postmortem: {}", run.object.metadata.name, postmortem.status)];
    if !postmortem.message.is_empty() {
        lines.push(format!("  why              {}", postmortem.message));
    }
    if postmortem.status == "ok" {
        lines.push(format!("  spec compliance  {} (the agent's opinion)", said(&postmortem.verdict)));
        lines.push(format!("  root cause       {} (the agent's opinion)", said(&postmortem.root_cause)));
    }
    lines.extend(
        postmortem
            .reports
            .iter()
            .map(|report| format!("  report           {}", shown(&run.dir.join(report)))),
    );
    if !postmortem.usage.is_empty() {
        lines.push(format!("  used             {}", super::used(&postmortem.usage)));
    }
    lines.push(String::new());
    lines.join("\n")
}
