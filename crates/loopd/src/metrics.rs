//! Numbers for Prometheus. What happens is counted; how things stand is read off the caches whenever somebody asks.

mod runs;

use std::time::Duration;

use axum::http::{HeaderMap, Method, header};
use jiff::Timestamp;
use loop_api::crd::LoopRun;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::context::Census;
use runs::Runs;

/// What is counted, from the start of the process.
pub(crate) struct Metrics {
    registry: Registry,
    looks: Family<Look, Counter>,
    duration: Histogram,
    watch_errors: Counter,
    writes: Family<Write, Counter>,
    blocked: Family<Reason, Counter>,
    waited: Histogram,
    leases_expired: Counter,
    runs: Runs,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Look {
    result: &'static str,
}

/// A write to the API server.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Write {
    /// Kind of the object, as paths name it; a part of an object after a slash.
    resource: String,
    verb: &'static str,
}

/// Why a run does not get a slot, as its condition says it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

/// Whose slots; the empty name is the operator.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Worker {
    worker: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Phase {
    phase: &'static str,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("agentloop");
        let (looks, watch_errors, writes) = (Family::default(), Counter::default(), Family::default());
        let duration = Histogram::new(exponential_buckets(0.005, 2.0, 13));
        registry.register("reconciles", "Looks at runs, by how they went", looks.clone());
        let help = "Time that a look at a run took";
        registry.register_with_unit("reconcile_duration", help, Unit::Seconds, duration.clone());
        registry.register("watch_errors", "Errors of the watches of runs and pods", watch_errors.clone());
        let help = "Writes sent to the API server, refused ones included";
        registry.register("api_writes", help, writes.clone());
        let blocked = Family::default();
        let help = "Runs that began to wait for a slot, or to wait for another reason";
        registry.register("queue_blocked", help, blocked.clone());
        let waited = Histogram::new(exponential_buckets(0.05, 3.0, 13));
        let help = "Time that a run waited for its first slot";
        registry.register_with_unit("queue_wait", help, Unit::Seconds, waited.clone());
        let leases_expired = Counter::default();
        let help = "Attempts that were lost without a word, so that their lease has to run out";
        registry.register("lease_expired", help, leases_expired.clone());
        let runs = Runs::new(&mut registry);
        for result in ["ok", "error"] {
            let _ = looks.get_or_create(&Look { result });
        }
        Self { registry, looks, duration, watch_errors, writes, blocked, waited, leases_expired, runs }
    }

    /// Counts a look at a run.
    pub(crate) fn looked(&self, well: bool, took: Duration) {
        self.looks.get_or_create(&Look { result: if well { "ok" } else { "error" } }).inc();
        self.duration.observe(took.as_secs_f64());
    }

    /// Counts a run that begins to wait for this reason.
    pub(crate) fn blocked(&self, reason: &'static str) {
        self.blocked.get_or_create(&Reason { reason }).inc();
    }

    /// Counts a run that is given its first slot after so much time.
    pub(crate) fn admitted(&self, waited: Duration) {
        self.waited.observe(waited.as_secs_f64());
    }

    /// Counts an attempt whose lease has to run out.
    pub(crate) fn lease_expired(&self) {
        self.leases_expired.inc();
    }

    /// Counts from now on what runs do, for this operator acts.
    pub(crate) fn lead(&self) {
        self.runs.lead(Timestamp::now());
    }

    /// Counts what is new in all runs, which `all` shows one by one.
    pub(crate) fn count(&self, all: impl FnOnce(&mut dyn FnMut(&LoopRun))) {
        self.runs.count(all);
    }

    /// Counts an error of a watch.
    pub(crate) fn watch_failed(&self) {
        self.watch_errors.inc();
    }

    /// Counts a request to the API server, if it is one that writes.
    pub(crate) fn requested(&self, method: &Method, path: &str, headers: &HeaderMap) {
        if let Some(write) = Write::of(method, path, headers) {
            self.writes.get_or_create(&write).inc();
        }
    }

    /// All numbers as text. Who does not lead knows of no runs, and says nothing of them.
    pub(crate) fn text(&self, leads: bool, census: Option<&Census>) -> Result<String, std::fmt::Error> {
        let mut now = Registry::with_prefix("agentloop");
        now.register(
            "leader",
            "1 for the operator that acts, 0 for one that stands by",
            gauge(usize::from(leads)),
        );
        if let Some(census) = census {
            let (slots, used): (Family<Worker, Gauge>, Family<Worker, Gauge>) = Default::default();
            for share in &census.shares {
                let worker = Worker { worker: share.worker.clone() };
                slots.get_or_create(&worker).set(as_i64(share.slots));
                used.get_or_create(&worker).set(as_i64(share.active));
            }
            let help = "Runs that may have a pod at the same time, by worker; without one, of the operator";
            now.register("slots", help, slots);
            now.register("slots_in_use", "Runs that have a pod or are about to, by worker", used);
            now.register(
                "workers_online",
                "Workers that the operator sees and can read",
                gauge(census.online),
            );
            now.register("queue_depth", "Runs that wait for a slot", gauge(census.waiting));
            let runs: Family<Phase, Gauge> = Family::default();
            for (phase, count) in &census.phases {
                runs.get_or_create(&Phase { phase }).set(as_i64(*count));
            }
            now.register("runs", "Runs by phase", runs);
        }
        let mut out = String::new();
        text::encode_registry(&mut out, &self.registry)?;
        text::encode_registry(&mut out, &now)?;
        text::encode_eof(&mut out)?;
        Ok(out)
    }
}

fn as_i64(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn gauge(value: usize) -> Gauge {
    let gauge = Gauge::default();
    gauge.set(as_i64(value));
    gauge
}

impl Write {
    /// Of a request; `None` for one that reads.
    fn of(method: &Method, path: &str, headers: &HeaderMap) -> Option<Self> {
        let content =
            headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let verb = match method.as_str() {
            "POST" => "create",
            "PUT" => "update",
            "PATCH" if content.starts_with("application/apply-patch") => "apply",
            "PATCH" => "patch",
            "DELETE" => "delete",
            _ => return None,
        };
        let mut parts = path.split('/').filter(|part| !part.is_empty());
        // /api/VERSION or /apis/GROUP/VERSION, then perhaps namespaces/NAME, then RESOURCE/NAME/PART.
        let before = if parts.next()? == "api" { 1 } else { 2 };
        let rest: Vec<&str> = parts.skip(before).collect();
        let rest = if rest.len() > 2 && rest[0] == "namespaces" { &rest[2..] } else { &rest[..] };
        let resource = match rest {
            [resource, _, part, ..] => format!("{resource}/{part}"),
            [resource, ..] => (*resource).to_owned(),
            [] => return None,
        };
        Some(Self { resource, verb })
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;
    use crate::scheduler::Share;

    fn write(method: &Method, path: &str, content: &'static str) -> Option<(String, &'static str)> {
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(content))]);
        Write::of(method, path, &headers).map(|write| (write.resource, write.verb))
    }

    #[test]
    fn a_write_is_known_by_its_request() {
        let of = |resource: &str, verb| Some((resource.to_owned(), verb));
        let run = "/apis/agentloop.dev/v1alpha1/namespaces/a/loopruns/tally/status";
        assert_eq!(
            write(&Method::PATCH, run, "application/apply-patch+yaml"),
            of("loopruns/status", "apply")
        );
        assert_eq!(write(&Method::POST, "/api/v1/namespaces/a/pods", ""), of("pods", "create"));
        assert_eq!(write(&Method::DELETE, "/api/v1/namespaces/a/pods/tally", ""), of("pods", "delete"));
        let map = "/api/v1/namespaces/a/configmaps/tally-summary";
        assert_eq!(write(&Method::PATCH, map, "application/merge-patch+json"), of("configmaps", "patch"));
        let lease = "/apis/coordination.k8s.io/v1/namespaces/a/leases/loopd";
        assert_eq!(write(&Method::PUT, lease, "application/json"), of("leases", "update"));
        assert_eq!(write(&Method::GET, lease, ""), None);
        assert_eq!(write(&Method::POST, "/api", ""), None);
    }

    #[test]
    fn numbers_are_told_in_words_that_prometheus_reads() {
        let metrics = Metrics::new();
        metrics.looked(true, Duration::from_millis(20));
        metrics.requested(&Method::POST, "/api/v1/namespaces/a/pods", &HeaderMap::new());
        let waits = metrics.text(false, None).expect("text");
        assert!(waits.contains("agentloop_leader 0\n") && !waits.contains("agentloop_runs"), "{waits}");
        metrics.blocked("SlotsFull");
        let share =
            |worker: &str, active| Share { worker: worker.into(), slots: 3, active, ..Share::default() };
        let census = Census {
            shares: vec![share("", 2), share("backend", 1)],
            online: 1,
            waiting: 1,
            phases: [("Pending", 1), ("Running", 2)].into(),
        };
        let text = metrics.text(true, Some(&census)).expect("text");
        for line in [
            "agentloop_reconciles_total{result=\"ok\"} 1",
            "agentloop_reconciles_total{result=\"error\"} 0",
            "agentloop_reconcile_duration_seconds_count 1",
            "agentloop_api_writes_total{resource=\"pods\",verb=\"create\"} 1",
            "agentloop_leader 1",
            "agentloop_slots{worker=\"\"} 3",
            "agentloop_slots_in_use{worker=\"\"} 2",
            "agentloop_slots_in_use{worker=\"backend\"} 1",
            "agentloop_workers_online 1",
            "agentloop_queue_blocked_total{reason=\"SlotsFull\"} 1",
            "agentloop_queue_depth 1",
            "agentloop_runs{phase=\"Running\"} 2",
            "# EOF",
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line} in {text}");
        }
    }
}
