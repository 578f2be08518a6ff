//! The command line, as types only; the comments here are the help texts.

use clap::Parser;

/// Run `LoopRun` objects as pods of a Kubernetes cluster
#[derive(Debug, Clone, Parser)]
#[command(name = "loopd", version, max_term_width = 100)]
pub(crate) struct Args {
    /// Look after this namespace only [default: all]
    #[arg(long, env = "LOOP_NAMESPACE", value_name = "NAME")]
    pub(crate) namespace: Option<String>,
    /// Runs without a `LoopWorker` that have a pod at the same time; further ones wait, the oldest goes first
    #[arg(long, env = "LOOP_SLOTS", default_value_t = 3, value_name = "COUNT")]
    pub(crate) slots: u32,
    /// Seconds until the object of an ended run is deleted, unless it says otherwise; 0 = never
    #[arg(long, env = "LOOP_TTL", default_value_t = 604_800, value_name = "SECONDS")]
    pub(crate) ttl: u32,
    /// Seconds without a word of the API server after which the pod of a run stops by itself, and after which the run may
    /// go on in another
    #[arg(long, env = "LOOP_LEASE_SECONDS", default_value_t = loop_api::run::LEASE_SECONDS, value_name = "SECONDS")]
    #[arg(value_parser = clap::value_parser!(u32).range(10..=3600))]
    pub(crate) lease_seconds: u32,
    /// Image with loop-runner, loop-sidecar and loop-exec
    #[arg(long, env = "LOOP_RUNNER_IMAGE", value_name = "IMAGE")]
    pub(crate) runner_image: String,
    /// Image in which agent and gates work when a run names none
    #[arg(long, env = "LOOP_AGENT_IMAGE", value_name = "IMAGE")]
    pub(crate) agent_image: Option<String>,
    /// Image with the CLI of Claude Code, copied into pods whose agent it may be [default: that of the agent's own image]
    #[arg(long, env = "LOOP_CLAUDE_IMAGE", value_name = "IMAGE")]
    pub(crate) claude_image: Option<String>,
    /// Admission policies, each with a binding of its name, without which no run is started
    #[arg(long, env = "LOOP_POLICIES", value_name = "NAMES", required = true, value_delimiter = ',')]
    #[arg(value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(crate) policies: Vec<String>,
    /// Make a network policy in each namespace that has runs, which keeps their pods from link-local addresses
    #[arg(long, env = "LOOP_NETWORK_POLICY")]
    pub(crate) network_policy: bool,
    /// Name of this operator; of several with different names, one acts and the others stand by
    #[arg(long, env = "LOOP_IDENTITY", value_name = "NAME")]
    #[arg(value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(crate) identity: String,
    /// Port of /livez, /readyz and /metrics
    #[arg(long, env = "LOOP_PORT", default_value_t = 8080, value_name = "PORT")]
    pub(crate) port: u16,
}
