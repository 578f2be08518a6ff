//! What kubelet and Prometheus ask: `/livez`, `/readyz` and `/metrics`.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::extract::State as Shared;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::channel::oneshot;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tracing::warn;

use crate::context::{Context, lock};
use crate::metrics::Metrics;

/// What answers may still take when the process ends.
const LAST: Duration = Duration::from_secs(2);

/// How far an operator is.
#[derive(Clone)]
pub(crate) enum Stage {
    /// It has not seen the lease yet.
    Starts,
    /// Another operator leads.
    StandsBy,
    /// It leads; its caches may still fill.
    Leads(Arc<Context>),
}

/// What is told to those who ask.
pub(crate) struct State {
    /// What is counted.
    pub(crate) metrics: Arc<Metrics>,
    stage: Mutex<Stage>,
}

impl State {
    /// Of an operator that starts.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { metrics: Arc::new(Metrics::new()), stage: Mutex::new(Stage::Starts) })
    }

    /// It is this far now.
    pub(crate) fn reached(&self, stage: Stage) {
        *lock(&self.stage) = stage;
    }

    fn stage(&self) -> Stage {
        lock(&self.stage).clone()
    }
}

/// The server of these answers.
pub(crate) struct Admin {
    task: JoinHandle<std::io::Result<()>>,
    end: oneshot::Sender<()>,
}

impl Admin {
    /// Listens on a port of all addresses, of IPv6 where the machine has it.
    pub(crate) async fn start(port: u16, state: Arc<State>) -> anyhow::Result<Self> {
        let addresses = [([0_u16; 8], port).into(), ([0_u8; 4], port).into()];
        let listener = TcpListener::bind(&addresses[..]).await.with_context(|| {
            format!("port {port} cannot be listened on for probes and metrics; name a free one with --port")
        })?;
        let router = Router::new()
            .route("/livez", get("ok"))
            .route("/readyz", get(ready))
            .route("/metrics", get(metrics))
            .with_state(state);
        let (end, ending) = oneshot::channel::<()>();
        let server = axum::serve(listener, router).with_graceful_shutdown(async {
            let _ = ending.await;
        });
        Ok(Self { task: tokio::spawn(server.into_future()), end })
    }

    /// Ends it; who has not got an answer soon gets none.
    pub(crate) async fn end(mut self) {
        drop(self.end);
        if tokio::time::timeout(LAST, &mut self.task).await.is_err() {
            self.task.abort();
            let _ = self.task.await;
        }
    }
}

async fn ready(Shared(state): Shared<Arc<State>>) -> (StatusCode, &'static str) {
    match state.stage() {
        Stage::StandsBy => (StatusCode::OK, "stands by for the operator that leads\n"),
        Stage::Leads(context) if context.seen.synced() => (StatusCode::OK, "leads\n"),
        Stage::Leads(_) => {
            (StatusCode::SERVICE_UNAVAILABLE, "leads, and has not listed all runs and pods yet\n")
        }
        Stage::Starts => (StatusCode::SERVICE_UNAVAILABLE, "has not read the lease yet\n"),
    }
}

async fn metrics(Shared(state): Shared<Arc<State>>) -> Response {
    let (leads, census) = match state.stage() {
        Stage::Leads(context) if context.seen.synced() => {
            context.count();
            (true, Some(context.census()))
        }
        Stage::Leads(_) => (true, None),
        Stage::Starts | Stage::StandsBy => (false, None),
    };
    match state.metrics.text(leads, census.as_ref()) {
        Ok(text) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(error) => {
            warn!(%error, "metrics");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
