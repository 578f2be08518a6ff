//! The journal, sorted by what is asked about it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::words::{number, text};

/// One step.
pub(super) struct Step<'a> {
    pub(super) began: &'a Value,
    /// Its end: `STEP_FINISHED` or `STEP_INTERRUPTED`.
    pub(super) end: Option<&'a Value>,
    pub(super) retries: Vec<&'a Value>,
    pub(super) used: Used,
}

/// What agents used.
#[derive(Default)]
pub(super) struct Used {
    pub(super) models: BTreeMap<String, [u64; 4]>,
    pub(super) nanos: u64,
    pub(super) silent: u64,
}

/// A run.
pub(super) struct History<'a> {
    pub(super) records: &'a [Value],
    pub(super) created: &'a Value,
    pub(super) steps: Vec<Step<'a>>,
    /// The terminal event, unless the run was tried again since.
    pub(super) ended: Option<&'a Value>,
    pub(super) postmortem: Option<&'a Value>,
    /// Iterations begun.
    pub(super) iterations: i64,
    /// Records with the iteration in which they came.
    pub(super) during: Vec<(i64, &'a Value)>,
}

impl Used {
    pub(super) fn add(&mut self, usage: &Value) {
        for (model, tokens) in usage["models"].as_object().into_iter().flatten() {
            let sums = self.models.entry(model.clone()).or_default();
            for (sum, key) in sums.iter_mut().zip(["input", "output", "cache_read", "cache_write"]) {
                *sum += tokens[key].as_u64().unwrap_or(0);
            }
        }
        self.nanos += usage["cost_nano_usd"].as_u64().unwrap_or(0);
        self.silent += usage["incomplete"].as_u64().unwrap_or(0);
    }

    pub(super) fn join(&mut self, other: &Self) {
        for (model, tokens) in &other.models {
            let sums = self.models.entry(model.clone()).or_default();
            sums.iter_mut().zip(tokens).for_each(|(sum, more)| *sum += more);
        }
        self.nanos += other.nanos;
        self.silent += other.silent;
    }

    pub(super) fn tokens(&self) -> u64 {
        self.models.values().flatten().sum()
    }

    pub(super) fn is_nothing(&self) -> bool {
        self.models.is_empty() && self.nanos == 0 && self.silent == 0
    }
}

impl Step<'_> {
    pub(super) fn phase(&self) -> &str {
        text(self.began, "phase")
    }

    pub(super) fn iteration(&self) -> i64 {
        number(self.began, "iteration")
    }

    pub(super) fn interrupted(&self) -> bool {
        self.end.is_some_and(|end| text(end, "kind") == "STEP_INTERRUPTED")
    }

    pub(super) fn took(&self) -> i64 {
        match self.end {
            None => 0,
            Some(end) if self.interrupted() => number(end, "ts") - number(self.began, "ts"),
            Some(end) => number(end, "duration_ms"),
        }
    }

    /// The outcome, when it is of this kind.
    pub(super) fn result(&self, kind: &str) -> Option<&Value> {
        let outcome = &self.end?["outcome"];
        (text(outcome, "result") == kind).then_some(outcome)
    }
}

impl<'a> History<'a> {
    pub(super) fn of(records: &'a [Value]) -> Self {
        let mut history = Self {
            records,
            created: &records[0],
            steps: Vec::new(),
            ended: None,
            postmortem: None,
            iterations: 0,
            during: Vec::new(),
        };
        let mut working = false;
        for record in records {
            match text(record, "kind") {
                "RUN_RESUMED" if record["again"] == true => {
                    (history.ended, history.postmortem) = (None, None);
                }
                "RUN_COMPLETED" | "RUN_FAILED" | "RUN_CANCELED" => history.ended = Some(record),
                "POSTMORTEM_END" => history.postmortem = Some(record),
                "STEP_STARTED" => {
                    if text(record, "phase") == "implementation" {
                        history.iterations = number(record, "iteration");
                    }
                    let (retries, used) = (Vec::new(), Used::default());
                    history.steps.push(Step { began: record, end: None, retries, used });
                }
                kind => {
                    let last = history.steps.last_mut().filter(|step| step.end.is_none());
                    match (kind, last) {
                        ("AGENT_STARTED", _) => working = true,
                        ("AGENT_FINISHED", Some(step)) => {
                            working = false;
                            step.used.add(&record["usage"]);
                        }
                        ("AGENT_RETRY", Some(step)) => step.retries.push(record),
                        ("STEP_FINISHED" | "STEP_INTERRUPTED", Some(step)) => {
                            step.used.silent += u64::from(working);
                            working = false;
                            step.end = Some(record);
                        }
                        _ => {}
                    }
                }
            }
            history.during.push((history.iterations, record));
        }
        history
    }

    /// The last record of a kind.
    pub(super) fn last(&self, kind: &str) -> Option<&'a Value> {
        self.records.iter().rev().find(|record| text(record, "kind") == kind)
    }

    pub(super) fn count(&self, kind: &str) -> usize {
        self.records.iter().filter(|record| text(record, "kind") == kind).count()
    }

    /// Outcomes of a kind in an iteration.
    pub(super) fn results(&self, iteration: i64, kind: &str) -> Vec<&Value> {
        let steps = self.steps.iter().filter(|step| step.iteration() == iteration && iteration > 0);
        steps.filter_map(|step| step.result(kind)).collect()
    }

    /// The last outcome of a kind in steps of a phase.
    pub(super) fn last_result(&self, phase: &str, kind: &str) -> Option<&Value> {
        self.steps.iter().rev().filter(|step| step.phase() == phase).find_map(|step| step.result(kind))
    }

    pub(super) fn used(&self) -> Used {
        let mut sum = Used::default();
        self.steps.iter().for_each(|step| sum.join(&step.used));
        sum
    }

    /// Model of steps of the implementer, or of the reviewer.
    pub(super) fn model(&self, reviewing: bool) -> Option<String> {
        let (agent, review) = (&self.created["spec"]["agent"], &self.created["spec"]["review"]);
        let own = text(agent, "adapter");
        let name = review["adapter"].as_str().filter(|_| reviewing).unwrap_or(own);
        let asked = review["model"].as_str().filter(|_| reviewing);
        let inherited = agent["model"].as_str().filter(|_| name == own);
        let usual = match name {
            "claude" => Some("opus"),
            "script" => None,
            _ => return None,
        };
        asked.or(inherited).or(usual).map(str::to_owned)
    }
}
