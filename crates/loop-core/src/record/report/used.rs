//! Where time, tokens and money went, and what an agent thinks of it all.

use loop_api::phase::StepPhase;
use loop_api::usage::Usage;

use super::super::history::{History, Step};
use super::super::text::{code, duration};
use super::{Page, opinions};

pub(super) fn write(page: &mut Page, history: &History) {
    time(page, history);
    page.section("Usage");
    usage(page, &history.state.usage);
    postmortem(page, history);
}

fn time(page: &mut Page, history: &History) {
    let state = &history.state;
    page.section("Time");
    let until = if state.ended.is_some() { state.ended_ms } else { state.last_ms };
    let total = u64::try_from(until.saturating_sub(state.created_ms)).unwrap_or(0);
    let waits = history.steps.iter().flat_map(|step| &step.retries).map(|(_, wait)| wait).sum();
    page.item("in all", &duration(total));
    page.item("waiting to try an agent again", &duration(waits));
    page.text.push('\n');
    let phases = [
        StepPhase::Prepare,
        StepPhase::Baseline,
        StepPhase::Implementation,
        StepPhase::Review,
        StepPhase::Verification,
        StepPhase::Merge,
        StepPhase::Cleanup,
    ];
    let rows = phases.into_iter().filter_map(|phase| {
        let steps: Vec<&Step> = history.steps.iter().filter(|step| step.phase == phase).collect();
        let interrupted = steps.iter().filter(|step| step.is_interrupted());
        let lost: u64 = interrupted.clone().map(|step| step.duration_ms()).sum();
        let all: u64 = steps.iter().map(|step| step.duration_ms()).sum();
        (!steps.is_empty()).then(|| {
            [
                phase.as_str().to_owned(),
                steps.len().to_string(),
                duration(all - lost),
                interrupted.count().to_string(),
                duration(lost),
            ]
        })
    });
    let rows: Vec<[String; 5]> = rows.collect();
    if rows.is_empty() {
        page.nothing("No step began.");
    } else {
        page.table(
            ["Step", "Begun", "Time of finished ones", "Interrupted", "Time until that was seen"],
            &rows,
        );
    }
}

/// What processes of an agent used.
fn usage(page: &mut Page, usage: &Usage) {
    if usage.is_empty() {
        page.nothing("Not reported by the agents of this run.");
        return;
    }
    for (model, tokens) in &usage.models {
        let numbers = format!(
            "{} input, {} output, {} read from a cache, {} written to a cache, {} in all",
            tokens.input,
            tokens.output,
            tokens.cache_read,
            tokens.cache_write,
            tokens.total()
        );
        page.item(&format!("model {}", code(model)), &numbers);
    }
    let least = if usage.incomplete > 0 { "at least " } else { "" };
    page.item("tokens", &format!("{least}{}", usage.tokens().total()));
    page.item("cost", &format!("{least}${}", usage.cost_usd()));
    page.item("processes that did not say", &usage.incomplete.to_string());
    page.item("source", "reported by the agents themselves");
}

fn postmortem(page: &mut Page, history: &History) {
    page.section("Postmortem");
    let Some(postmortem) = &history.state.postmortem else {
        let word = if history.state.analysing { "It is being made." } else { "None was made." };
        page.nothing(word);
        return;
    };
    page.nothing("What follows is the opinion of an agent, not evidence.\n");
    page.quote("asked because", &history.analysis);
    page.quote("status", &postmortem.status);
    page.quote("spec compliance", &postmortem.verdict);
    page.quote("root cause", &postmortem.root_cause);
    page.quote("message", &postmortem.message);
    let reports = opinions(&postmortem.reports);
    if !reports.is_empty() {
        page.item("reports", &reports);
    }
    page.item("time", &duration(postmortem.duration_ms));
    usage(page, &postmortem.usage);
}
