//! What to look at first: a short list by rules, the worst first.

use loop_api::journal::GateOutcome;
use loop_api::phase::{ExitReason, RunPhase};
use loop_api::run::LoopRunSpec;

use super::super::history::History;
use super::super::text::code;
use super::Page;

/// One thing to look at: its name, how many of it there are, and a sentence.
type Found = (&'static str, Option<usize>, String);

pub(super) fn write(page: &mut Page, history: &History) {
    page.section("What to look at first");
    let found = [end(history), doubts(history), trouble(history), left(history)].concat();
    if found.is_empty() {
        page.nothing(
            "Nothing stands out: completed on evidence, without refusals, repairs or findings about tests.",
        );
    }
    for (at, (name, count, sentence)) in found.iter().enumerate() {
        let count = count.map(|count| format!(" ({count})")).unwrap_or_default();
        page.text.push_str(&format!("{}. **{name}**{count}: {sentence}\n", at + 1));
    }
}

/// How it ended, if not well.
fn end(history: &History) -> Vec<Found> {
    let state = &history.state;
    match &state.ended {
        None => vec![("not ended", None, "the run is under way, or its engine is gone".into())],
        Some(_) if state.phase == RunPhase::Completed => Vec::new(),
        Some((exit, reason, message)) => {
            let sentence = format!("{}; {}; to do: {}", code(reason), code(message), remedy(*exit));
            vec![("not completed", None, sentence)]
        }
    }
}

fn remedy(exit: ExitReason) -> &'static str {
    match exit {
        ExitReason::AgentFailed => "read the end of the agent's last log, then loopctl resume",
        ExitReason::CompletionRefused => {
            "read the refusals below; change spec, plan or gates, or loopctl resume"
        }
        ExitReason::PlanBlocked => "clear what blocks the plan, then loopctl resume",
        ExitReason::BudgetExceeded => "see below what was used; loopctl resume gives it as much again",
        ExitReason::IterationsExhausted => {
            "see what the iterations came to; loopctl resume gives as many again"
        }
        ExitReason::TimedOut => "see below where the time went; loopctl resume gives it as much again",
        ExitReason::Canceled => "loopctl resume goes on from the last checkpoint",
        ExitReason::CompletePlan | ExitReason::Failed => "put the reason right, then loopctl resume",
    }
}

/// What speaks against believing the result.
fn doubts(history: &History) -> Vec<Found> {
    let state = &history.state;
    let spec = state.spec();
    let mut found = Vec::new();
    if state.phase == RunPhase::Completed && !state.evidenced {
        found.push(("unverified", None, "neither a gate nor a reviewer stands behind the result".into()));
    }
    if spec.gates.is_empty() && spec.review.enabled {
        found.push(("no gates", None, "only the reviewer judged the work".into()));
    }
    if state.isolation.starts_with("none") {
        let sentence = format!("{}: agent and gates were not confined", code(&state.isolation));
        found.push(("isolation none", None, sentence));
    }
    let work = history.last_implemented();
    let findings = work.map_or(0, |work| work.findings.len());
    if findings > 0 {
        let sentence = "tests were deleted or skipped; see what was put right or found";
        found.push(("findings about tests", Some(findings), sentence.into()));
    }
    let violations = work.map_or(0, |work| work.violations.len());
    if violations > 0 {
        found.push(("protected paths changed", Some(violations), "on the run branch as it is now".into()));
    }
    let weaker = weaker(history, &spec);
    if !weaker.is_empty() {
        let sentence =
            format!("fewer tests ran or more were skipped than on the base commit: {}", names(&weaker));
        found.push(("weaker gates", Some(weaker.len()), sentence));
    }
    let uncounted: Vec<&str> = history
        .last_verified()
        .map(|verified| verified.gates.iter().filter(|gate| gate.counts.is_none()))
        .into_iter()
        .flatten()
        .map(|gate| gate.name.as_str())
        .collect();
    if !uncounted.is_empty() {
        let sentence = format!("only their exit codes are known: {}", names(&uncounted));
        found.push(("gates without test counts", Some(uncounted.len()), sentence));
    }
    found
}

/// Gates that counted fewer tests, or more skipped ones, than on the base commit.
fn weaker<'a>(history: &'a History, spec: &LoopRunSpec) -> Vec<&'a str> {
    let before =
        |name: &str| history.state.baseline.as_ref()?.gates.iter().find(|gate| gate.name == name)?.counts;
    let is_weaker = |gate: &&GateOutcome| {
        let (Some(before), Some(after)) = (before(&gate.name), gate.counts) else { return false };
        after[0].saturating_add(after[1]) < before[0].saturating_add(before[1]) || after[2] > before[2]
    };
    let last = history.last_verified().map(|verified| verified.gates.as_slice()).unwrap_or_default();
    let known = |gate: &&GateOutcome| spec.gates.iter().any(|asked| asked.name == gate.name);
    last.iter().filter(known).filter(is_weaker).map(|gate| gate.name.as_str()).collect()
}

/// What went wrong on the way.
fn trouble(history: &History) -> Vec<Found> {
    let mut found = Vec::new();
    let mut add = |name, count: usize, sentence: &str| {
        if count > 0 {
            found.push((name, Some(count), sentence.to_owned()));
        }
    };
    let works = || history.iterations().filter_map(|iteration| history.implemented(iteration));
    add("refusals of completion", history.refusals.len(), "the agent asked for completion too early");
    add("repairs", works().map(|work| work.repairs.len()).sum(), "the worktree had to be put right");
    add("unticked tasks", works().map(|work| work.unticked.len()).sum(), "ticked without any work for them");
    let interrupted = history.steps.iter().filter(|step| step.is_interrupted()).count();
    add("interrupted steps", interrupted, "they ran again from a checkpoint, or the run ended there");
    let incomplete = history.state.usage.incomplete as usize;
    add(
        "incomplete usage",
        incomplete,
        "processes that ended before they said what they used: there is more",
    );
    found
}

/// What is left lying about.
fn left(history: &History) -> Vec<Found> {
    let state = &history.state;
    let mut found = Vec::new();
    if history.last_implemented().is_some_and(|work| work.uncommitted) {
        found.push(("uncommitted changes", None, "the agent left work that it did not commit".into()));
    }
    let kept = !matches!(&state.cleanup, Some((status, _)) if status == "cleaned");
    if let Some(facts) = state.worktree.as_ref().filter(|_| state.ended.is_some() && kept) {
        found.push(("worktree kept", None, code(&facts.worktree_path)));
    }
    if let Some(postmortem) = state.postmortem.as_ref().filter(|postmortem| postmortem.status == "failed") {
        found.push(("postmortem failed", None, code(&postmortem.message)));
    }
    found
}

fn names(gates: &[&str]) -> String {
    gates.iter().map(|name| code(name)).collect::<Vec<_>>().join(", ")
}
