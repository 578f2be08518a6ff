//! Killing the engine anywhere changes nothing: same commits, plan and number of iterations as undisturbed.

mod append;
mod cancel;
mod creation;
mod cut;
mod far;
mod limits;
mod random;
mod scenario;
mod signal;
mod waiting;

pub(crate) use random::quiet;
pub(crate) use scenario::{RUN, name};
pub(crate) use waiting::{DRAFT, WAIT, agent_says, send, started, status, until_within, world_where};
