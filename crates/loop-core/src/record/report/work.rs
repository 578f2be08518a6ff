//! What the iterations came to, and what the gates said before and after.

use loop_api::journal::{GateOutcome, Verdict, Verified};
use loop_api::phase::StepPhase;
use loop_api::usage::Usage;

use super::super::history::History;
use super::super::text::duration;
use super::{Page, or_dash};

pub(super) fn write(page: &mut Page, history: &History) {
    page.section("Iterations");
    let rows: Vec<[String; 10]> = history.iterations().map(|iteration| row(history, iteration)).collect();
    if rows.is_empty() {
        page.nothing("None began.");
    } else {
        let header = [
            "Iteration",
            "Attempts",
            "Files changed",
            "Tasks",
            "Review",
            "Gates passed",
            "Completion",
            "Time",
            "Tokens",
            "Cost",
        ];
        page.table(header, &rows);
    }
    page.section("Gates");
    let rows: Vec<[String; 7]> = runs(history).iter().flat_map(|(at, run)| gates(at, run)).collect();
    if rows.is_empty() {
        page.nothing("None ran.");
    } else {
        page.table(["Gate", "Run", "Exit code", "Passed", "Failed", "Skipped", "Time"], &rows);
    }
}

fn row(history: &History, iteration: u32) -> [String; 10] {
    let steps = || history.steps_of(iteration);
    let attempts = steps().filter(|step| step.phase == StepPhase::Implementation).count();
    let work = history.implemented(iteration);
    let tasks = work.map(|work| format!("{}/{}", work.plan.done, work.plan.total));
    let review = history.reviewed(iteration).map(|review| match review.verdict {
        Verdict::Approved => "approved",
        Verdict::ChangesRequested => "changes requested",
    });
    let gates = history.verified(iteration).map(|verified| {
        let passed = verified.gates.iter().filter(|gate| gate.passed()).count();
        format!("{passed}/{}", verified.gates.len())
    });
    let refused = history.refusals.iter().any(|(of, _)| *of == iteration);
    // A grant is about the last iteration, or there would be no last one.
    let granted = history.state.granted.is_some() && iteration == history.state.iteration;
    let mut usage = Usage::default();
    steps().for_each(|step| usage.add(&step.usage));
    let known = !usage.is_empty();
    [
        iteration.to_string(),
        attempts.to_string(),
        or_dash(work.map(|work| work.changed_files)),
        or_dash(tasks),
        or_dash(review),
        or_dash(gates),
        if granted {
            "granted"
        } else if refused {
            "refused"
        } else {
            "-"
        }
        .into(),
        duration(steps().map(super::super::history::Step::duration_ms).sum()),
        or_dash(known.then(|| usage.tokens().total())),
        or_dash(known.then(|| format!("${}", usage.cost_usd()))),
    ]
}

/// The gates on the base commit, the last ones, and those on the merge.
fn runs(history: &History) -> Vec<(&'static str, &Verified)> {
    let merged = history.state.merged.as_ref().and_then(|merged| merged.verified.as_ref());
    let all =
        [("before", history.state.baseline.as_ref()), ("after", history.last_verified()), ("merged", merged)];
    all.into_iter().filter_map(|(at, run)| Some((at, run?))).collect()
}

fn gates(at: &str, run: &Verified) -> Vec<[String; 7]> {
    let count = |gate: &GateOutcome, at: usize| or_dash(gate.counts.map(|counts| counts[at]));
    let row = |gate: &GateOutcome| {
        let exit = match (gate.timed_out, gate.out_of_memory) {
            (true, _) => "out of time".into(),
            (false, true) => "out of memory".into(),
            (false, false) => gate.exit_code.to_string(),
        };
        // Names of gates are letters, digits and `-_.`; anything else comes from an altered journal.
        let plain = |sign: &char| sign.is_ascii_alphanumeric() || matches!(sign, '-' | '_' | '.');
        let name: String = gate.name.chars().filter(plain).collect();
        [
            format!("`{name}`"),
            at.to_owned(),
            exit,
            count(gate, 0),
            count(gate, 1),
            count(gate, 2),
            duration(gate.duration_ms),
        ]
    };
    run.gates.iter().map(row).collect()
}
