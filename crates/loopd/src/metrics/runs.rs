//! What happened in runs, counted: their statuses say how much it was so far, and each look adds what is new since the one
//! before (SCH-28).

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

use jiff::Timestamp;
use kube::ResourceExt as _;
use loop_api::crd::LoopRun;
use loop_api::run::{Counts, LoopRunStatus};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::context::lock;
use crate::run::standing;
use crate::run::status::FAILED;

/// Pairs of agent and model that are told apart: names are the users' to choose.
const MOST_MODELS: usize = 100;
/// What the others are called.
const OTHER: &str = "other";

/// Counters of what runs did.
pub(super) struct Runs {
    past: Mutex<Past>,
    ended: Family<Ended, Counter>,
    iterations: Counter,
    verifications: Family<Verification, Counter>,
    rewrites: Counter,
    retries: Counter,
    worktree: Histogram,
    tokens: Family<Model, Counter>,
    cost: Family<Model, Counter<f64, AtomicU64>>,
    models: Mutex<Vec<Model>>,
}

/// What is not counted any more.
#[derive(Default)]
struct Past {
    /// When this operator began to act; never before it does. Of a run that is older, only what it does from its first look
    /// on is known to be new.
    since: Option<Timestamp>,
    /// What has been counted of each run, by its uid.
    known: HashMap<String, Known>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    exit_reason: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Verification {
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Model {
    agent: String,
    model: String,
}

/// What has been counted of a run.
#[derive(Debug, Clone, Default, PartialEq)]
struct Known {
    iteration: u32,
    counts: Counts,
    tokens: HashMap<String, u64>,
    cost: f64,
    /// Attempt that ended it, and how.
    ended: Option<(u32, String)>,
}

impl Known {
    fn of(run: &LoopRun) -> Self {
        let none = LoopRunStatus::default();
        let status = run.status.as_ref().unwrap_or(&none);
        let usage = status.usage.clone().unwrap_or_default();
        let failed = status.conditions.iter().find(|said| said.kind == FAILED && said.status == "True");
        // What an earlier attempt came to is not how this one ended.
        let reason = match (standing::result(status), failed) {
            (Some(result), _) => result.exit_reason.clone(),
            (None, Some(failed)) => failed.reason.clone(),
            (None, None) => status.phase.as_str().to_lowercase(),
        };
        Self {
            iteration: status.progress.iteration,
            counts: status.counts,
            tokens: usage.models.into_iter().map(|used| (used.model, used.tokens)).collect(),
            cost: usage.cost_usd.parse().unwrap_or_default(),
            ended: status.phase.is_terminal().then_some((status.attempt, reason)),
        }
    }
}

impl Past {
    /// What counts as known of a run that is seen for the first time.
    fn before(&self, run: &LoopRun, now: &Known) -> Known {
        let made = run.metadata.creation_timestamp.as_ref().map(|time| time.0);
        let is_new = made.zip(self.since).is_some_and(|(made, since)| made >= since);
        if is_new { Known::default() } else { now.clone() }
    }
}

impl Runs {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let runs = Self {
            past: Mutex::default(),
            ended: Family::default(),
            iterations: Counter::default(),
            verifications: Family::default(),
            rewrites: Counter::default(),
            retries: Counter::default(),
            worktree: Histogram::new(exponential_buckets(0.02, 2.0, 13)),
            tokens: Family::default(),
            cost: Family::default(),
            models: Mutex::default(),
        };
        for result in ["pass", "fail"] {
            let _ = runs.verifications.get_or_create(&Verification { result });
        }
        registry.register("runs_ended", "Runs that came to an end, by exit reason", runs.ended.clone());
        registry.register("iterations", "Iterations that runs began", runs.iterations.clone());
        let help = "Verifications of an agent's work, by what the gates said";
        registry.register("verifications", help, runs.verifications.clone());
        let help = "Prompts that the watchdog had rewritten";
        registry.register("watchdog_rewrites", help, runs.rewrites.clone());
        let help = "Steps that were begun once more in the same iteration";
        registry.register("step_retries", help, runs.retries.clone());
        let help = "Time that a run's branch and worktree took";
        registry.register_with_unit("worktree_create_duration", help, Unit::Seconds, runs.worktree.clone());
        let help = "Tokens that agents reported, by their adapter and the model that they named";
        registry.register("tokens", help, runs.tokens.clone());
        let help =
            "US dollars that agents reported, by their adapter and the model of which most tokens were used";
        registry.register("cost_usd", help, runs.cost.clone());
        runs
    }

    /// Begins anew: another operator has counted what came before.
    pub(super) fn lead(&self, since: Timestamp) {
        *lock(&self.past) = Past { since: Some(since), known: HashMap::new() };
    }

    /// Adds what is new in the runs that `all` shows, and forgets those that are gone.
    pub(super) fn count(&self, all: impl FnOnce(&mut dyn FnMut(&LoopRun))) {
        // Held while they are shown, or an older state could be counted after a newer one.
        let mut past = lock(&self.past);
        let mut known = HashMap::with_capacity(past.known.len());
        all(&mut |run| {
            let now = Known::of(run);
            let uid = run.uid().unwrap_or_default();
            let before = past.known.remove(&uid).unwrap_or_else(|| past.before(run, &now));
            if before != now {
                self.add(run, &before, &now);
            }
            known.insert(uid, now);
        });
        past.known = known;
    }

    fn add(&self, run: &LoopRun, before: &Known, now: &Known) {
        let more = |now: u32, before: u32| u64::from(now.saturating_sub(before));
        self.iterations.inc_by(more(now.iteration, before.iteration));
        self.rewrites.inc_by(more(now.counts.rewrites, before.counts.rewrites));
        self.retries.inc_by(more(now.counts.step_retries, before.counts.step_retries));
        for (result, now, before) in [
            ("pass", now.counts.verifications_passed, before.counts.verifications_passed),
            ("fail", now.counts.verifications_failed, before.counts.verifications_failed),
        ] {
            self.verifications.get_or_create(&Verification { result }).inc_by(more(now, before));
        }
        if before.counts.worktree_ms == 0 && now.counts.worktree_ms > 0 {
            let time = std::time::Duration::from_millis(now.counts.worktree_ms);
            self.worktree.observe(time.as_secs_f64());
        }
        // How it ended may be told better a moment later.
        let attempt = |known: &Known| known.ended.as_ref().map(|(attempt, _)| *attempt);
        if let Some((_, reason)) = now.ended.as_ref().filter(|_| attempt(before) != attempt(now)) {
            self.ended.get_or_create(&Ended { exit_reason: reason.clone() }).inc();
        }
        let agent = &run.spec.agent.adapter;
        for (model, tokens) in &now.tokens {
            let new = tokens.saturating_sub(before.tokens.get(model).copied().unwrap_or_default());
            self.tokens.get_or_create(&self.model(agent, model)).inc_by(new);
        }
        if now.cost > before.cost {
            let first = now.tokens.iter().max_by_key(|(_, tokens)| **tokens);
            let model = first.map_or("", |(model, _)| model);
            self.cost.get_or_create(&self.model(agent, model)).inc_by(now.cost - before.cost);
        }
    }

    /// Names of a pair, as long as there are not too many of them.
    fn model(&self, agent: &str, model: &str) -> Model {
        let wanted = Model { agent: agent.to_owned(), model: model.to_owned() };
        let mut models = lock(&self.models);
        if models.contains(&wanted) {
            return wanted;
        }
        if models.len() >= MOST_MODELS {
            return Model { agent: OTHER.into(), model: OTHER.into() };
        }
        models.push(wanted.clone());
        wanted
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text;
    use serde_json::json;

    use super::*;

    fn run(uid: &str, made: &str, status: &serde_json::Value) -> LoopRun {
        serde_json::from_value(json!({
            "apiVersion": "agentloop.dev/v1alpha1", "kind": "LoopRun",
            "metadata": {"name": uid, "uid": uid, "creationTimestamp": made},
            "spec": {
                "repository": {"url": "https://git.example/app"}, "task": {"prompt": "x"}, "agent": {"adapter": "claude"},
            },
            "status": status,
        }))
        .expect("a run")
    }

    fn shown(registry: &Registry) -> Vec<String> {
        let mut out = String::new();
        text::encode_registry(&mut out, registry).expect("text");
        out.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    }

    const BEFORE: &str = "2026-01-01T00:00:00Z";
    const AFTER: &str = "2026-01-01T02:00:00Z";

    fn runs() -> (Registry, Runs) {
        let mut registry = Registry::default();
        let runs = Runs::new(&mut registry);
        runs.lead("2026-01-01T01:00:00Z".parse().expect("a time"));
        (registry, runs)
    }

    #[test]
    fn what_is_new_since_the_last_look_is_added_once() {
        let (registry, runs) = runs();
        let begun = json!({
            "phase": "Running", "progress": {"iteration": 2},
            "counts": {"verificationsFailed": 1, "rewrites": 1, "worktreeMs": 150},
            "usage": {"costUSD": "0.5", "models": [{"model": "opus", "tokens": 100}, {"model": "haiku", "tokens": 7}]},
        });
        let ended = json!({
            "phase": "Completed", "attempt": 1, "progress": {"iteration": 3},
            "result": {"exitReason": "complete_plan", "attempt": 1},
            "counts": {"verificationsFailed": 1, "verificationsPassed": 2, "rewrites": 1, "stepRetries": 4, "worktreeMs": 150},
            "usage": {"costUSD": "0.75", "models": [{"model": "opus", "tokens": 160}, {"model": "haiku", "tokens": 7}]},
        });
        for status in [&begun, &begun, &ended, &ended] {
            runs.count(|each| each(&run("a", AFTER, status)));
        }
        let lines = shown(&registry);
        for line in [
            "runs_ended_total{exit_reason=\"complete_plan\"} 1",
            "iterations_total 3",
            "verifications_total{result=\"pass\"} 2",
            "verifications_total{result=\"fail\"} 1",
            "watchdog_rewrites_total 1",
            "step_retries_total 4",
            "worktree_create_duration_seconds_count 1",
            "tokens_total{agent=\"claude\",model=\"opus\"} 160",
            "tokens_total{agent=\"claude\",model=\"haiku\"} 7",
            "cost_usd_total{agent=\"claude\",model=\"opus\"} 0.75",
        ] {
            assert!(lines.iter().any(|shown| shown == line), "{line} in {lines:#?}");
        }
    }

    #[test]
    fn a_restart_counts_nothing_twice_and_a_retry_is_another_end() {
        let (registry, runs) = runs();
        let failed = |attempt: u32, iteration: u32| {
            let result = json!({"exitReason": "iteration_limit", "attempt": attempt});
            json!({"phase": "Failed", "attempt": attempt, "progress": {"iteration": iteration}, "result": result})
        };
        runs.count(|each| each(&run("old", BEFORE, &failed(1, 5))));
        let told = |lines: Vec<String>, name: &str| lines.iter().find(|line| line.starts_with(name)).cloned();
        assert_eq!(told(shown(&registry), "runs_ended_total"), None);
        assert_eq!(told(shown(&registry), "iterations_total").expect("a line"), "iterations_total 0");
        runs.count(|each| each(&run("old", BEFORE, &failed(2, 7))));
        assert_eq!(told(shown(&registry), "iterations_total").expect("a line"), "iterations_total 2");
        let ended = told(shown(&registry), "runs_ended_total").expect("a line");
        assert_eq!(ended, "runs_ended_total{exit_reason=\"iteration_limit\"} 1");
        runs.count(|_| {});
        assert!(lock(&runs.past).known.is_empty(), "what is gone is forgotten");
    }

    #[test]
    fn names_that_users_choose_do_not_grow_without_end() {
        let (registry, runs) = runs();
        for number in 0..MOST_MODELS * 2 {
            let models = json!([{"model": format!("m{number}"), "tokens": 1}]);
            let status = json!({"phase": "Running", "usage": {"costUSD": "0", "models": models}});
            runs.count(|each| each(&run(&format!("r{number}"), AFTER, &status)));
        }
        let lines = shown(&registry);
        assert_eq!(lines.iter().filter(|line| line.starts_with("tokens_total")).count(), MOST_MODELS + 1);
        let other = "tokens_total{agent=\"other\",model=\"other\"} 100";
        assert!(lines.iter().any(|line| line == other), "{lines:#?}");
    }
}
