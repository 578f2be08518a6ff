//! What reviewer, rules and repairs had to say, iteration by iteration.

use loop_api::phase::WatchdogAction;

use super::super::history::{History, Step};
use super::super::text::{code, duration};
use super::Page;

pub(super) fn write(page: &mut Page, history: &History) {
    findings(page, history);
    refusals(page, history);
    repairs(page, history);
    retries(page, history);
}

/// An item about an iteration; the text is foreign.
fn about(page: &mut Page, iteration: u32, what: &str, text: &str) {
    page.item(&format!("iteration {iteration}, {what}"), &code(text));
}

fn findings(page: &mut Page, history: &History) {
    page.section("Findings of the reviewer");
    let mut none = true;
    for step in &history.steps {
        for finding in step.reviewed().map(|review| review.findings.as_slice()).unwrap_or_default() {
            about(page, step.iteration, "finding", finding);
            none = false;
        }
    }
    if none {
        page.nothing("None.");
    }
}

fn refusals(page: &mut Page, history: &History) {
    page.section("Refusals of completion");
    for (iteration, refusal) in &history.refusals {
        about(page, *iteration, "refused", &refusal.reason);
        about(page, *iteration, "because", &refusal.message);
        about(page, *iteration, "to do", &refusal.remedy);
    }
    if history.refusals.is_empty() {
        page.nothing("None.");
    }
}

fn repairs(page: &mut Page, history: &History) {
    page.section("Put right or found in the work");
    let before = page.text.len();
    for iteration in history.iterations() {
        let Some(work) = history.implemented(iteration) else { continue };
        let violations: Vec<String> =
            work.violations.iter().map(|found| format!("{} ({})", found.path, found.rule)).collect();
        let kinds = [
            ("put right", &work.repairs),
            ("unticked", &work.unticked),
            ("protected path changed", &violations),
            ("about tests", &work.findings),
        ];
        for (what, texts) in kinds {
            for text in texts {
                about(page, iteration, what, text);
            }
        }
    }
    if page.text.len() == before {
        page.nothing("Nothing.");
    }
}

fn retries(page: &mut Page, history: &History) {
    page.section("Retries, waits and the watchdog");
    let before = page.text.len();
    for step in &history.steps {
        let what = format!("iteration {}, {}", step.iteration, step.phase.as_str());
        for (reason, wait) in &step.retries {
            page.item(&format!("{what}, tried again after {}", duration(*wait)), &code(reason));
        }
        if step.is_interrupted() {
            page.item(
                &format!("{what}, interrupted"),
                &format!("after {}", duration(Step::duration_ms(step))),
            );
        }
    }
    for (iteration, signal, action) in &history.watched {
        let action = match action {
            WatchdogAction::Rewrite => "the prompt was rewritten",
            WatchdogAction::Continue => "left to the notes",
            WatchdogAction::Fail => "the run was ended",
        };
        page.item(&format!("iteration {iteration}, {}", signal.as_str()), action);
    }
    if page.text.len() == before {
        page.nothing("None.");
    }
}
