//! `loopd`, the operator: makes one pod of each `LoopRun`, when a `LoopWorker` or the operator itself has a slot
//! for it, and tells in its status how it stands.

mod admin;
mod args;
mod context;
mod events;
mod fence;
mod lease;
mod metrics;
mod run;
mod runtime;
mod scheduler;
#[cfg(test)]
mod testing;
mod worker;

use clap::Parser as _;
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = args::Args::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().json().flatten_event(true);
    log.with_current_span(false).with_span_list(false).with_env_filter(filter).init();
    runtime::serve(args).await
}
