//! `loopd`, the operator: makes one pod of each `LoopRun` and tells in its status how it stands.

mod admin;
mod args;
mod context;
mod fence;
mod lease;
mod metrics;
mod queue;
mod run;
mod runtime;
#[cfg(test)]
mod testing;

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
