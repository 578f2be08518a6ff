//! What was asked, and what came of it.

use loop_api::journal::Created;
use loop_api::phase::StepPhase;
use loop_api::run::{DeliveryMode, rfc3339};
use loop_api::usage;

use super::super::history::History;
use super::super::model;
use super::super::text::code;
use super::Page;
use crate::object::tasks;

pub(super) fn write(page: &mut Page, history: &History, created: &Created) {
    asked(page, created);
    limits(page, created);
    outcome(page, history);
}

fn asked(page: &mut Page, created: &Created) {
    let spec = &created.spec;
    page.section("What was asked");
    page.quote("spec", spec.task.spec_path.as_deref().unwrap_or_default());
    page.quote("plan", spec.task.plan_path.as_deref().unwrap_or_default());
    page.quote("prompt", spec.task.prompt.as_deref().unwrap_or_default());
    page.quote("repository", &created.workspace_root);
    page.quote("base branch", &created.base_branch);
    page.quote("base commit", &created.base_commit);
    page.quote("target branch", &created.target_branch);
    match created.config_source.as_deref() {
        None => {}
        Some([]) => page.item("configuration", "none"),
        Some(sources) => {
            for source in sources {
                page.item("configuration", &format!("{} ({})", code(&source.path), source.place.as_str()));
            }
        }
    }
    page.quote("agent", &spec.agent.adapter);
    page.quote("model", model(created, StepPhase::Implementation).unwrap_or_default());
    if spec.review.enabled {
        page.quote("reviewer", spec.review.adapter.as_ref().unwrap_or(&spec.agent.adapter));
        page.quote("reviewer's model", model(created, StepPhase::Review).unwrap_or_default());
    } else {
        page.item("reviewer", "none");
    }
    for gate in &spec.gates {
        page.quote(&format!("gate {}", code(&gate.name)), &gate.run);
    }
    page.quote("made by", &format!("loopctl {}", created.version));
}

fn limits(page: &mut Page, created: &Created) {
    let (settings, limits) = (&created.spec.settings, &created.spec.limits);
    let seconds = |seconds: u32| if seconds == 0 { "one day".to_owned() } else { format!("{seconds} s") };
    page.item("iterations at most", &settings.iterations.to_string());
    page.item(
        "deadline",
        &limits.active_deadline_seconds.map_or_else(|| "none".into(), |time| format!("{time} s")),
    );
    page.item("agent step at most", &seconds(limits.agent_step_seconds));
    page.item("agent silence at most", &seconds(limits.agent_idle_seconds));
    // Written anew from the amount that counts, not from the user's words.
    let cost = limits.cost_usd.as_deref().and_then(usage::nanos);
    page.item("cost at most", &cost.map_or_else(|| "none".into(), |nanos| format!("${}", usage::usd(nanos))));
    page.item("tokens at most", &limits.tokens.map_or_else(|| "none".into(), |tokens| tokens.to_string()));
}

fn outcome(page: &mut Page, history: &History) {
    let state = &history.state;
    page.section("Outcome");
    page.item("phase", state.phase.as_str());
    if let Some((exit, reason, message)) = &state.ended {
        page.item("exit reason", exit.as_str());
        page.quote("reason", reason);
        page.quote("message", message);
    }
    let (done, total) = tasks(state);
    page.item("tasks", &format!("{done} of {total}"));
    page.item("iterations", &state.iteration.to_string());
    page.item("engines", &history.starts.to_string());
    page.item("further tries", &history.tries.to_string());
    if let Some(granted) = &state.granted {
        page.quote("evidence", &granted.level);
        page.quote("asked for by", &granted.mode);
        page.quote("granted commit", &granted.commit);
        page.quote("granted tree", &granted.tree);
    }
    if let Some(facts) = &state.worktree {
        page.quote("run branch", &facts.run_branch);
        page.quote("judged from", &facts.base_commit);
        page.quote("worktree", &facts.worktree_path);
    }
    if let Some((head, _)) = &state.checkpoint {
        page.quote("head commit", head);
    }
    if let Some((status, message)) = &state.cleanup {
        page.quote("worktree at the end", &format!("{status} {message}"));
    }
    if let Some(merged) = &state.merged {
        page.quote("merged into", &merged.target);
        page.quote("merge commit", &merged.commit);
    } else if state.created.as_ref().is_some_and(|created| created.spec.delivery.mode == DeliveryMode::None) {
        page.item("merged into", "nothing, as asked");
    }
    page.quote("isolation", &state.isolation);
    page.item("created", &rfc3339(state.created_ms));
    if state.ended.is_some() {
        page.item("ended", &rfc3339(state.ended_ms));
    }
}
