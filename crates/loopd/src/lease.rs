//! Which operator acts: the holder of one Lease, which is written with the resourceVersion that it was read with.
//!
//! Own code, since it is two writes and a decision, and the crates for it lag behind or wrap more than that.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client, ResourceExt as _};
use loop_api::names;
use tracing::{info, warn};

use crate::run::words;

/// How long a lease counts after it was last renewed.
const LEASE: Duration = Duration::from_secs(15);
/// How often its holder renews it.
const RENEW: Duration = Duration::from_secs(5);
/// After how long without renewal its holder stops acting: before anybody else may begin.
const GIVE_UP: Duration = Duration::from_secs(10);
/// The pause after a renewal that failed.
const RETRY: Duration = Duration::from_secs(1);
/// How often those who stand by look at it.
const LOOK: Duration = Duration::from_secs(2);
/// The most that one request may take.
const ANSWER: Duration = Duration::from_secs(4);

/// What is to be done about a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// It is free, or ours: write our name into it.
    Claim,
    /// Somebody else has it: look again after this.
    Wait(Duration),
}

/// Decides for `me` about a lease that nobody has written for so long, by the clock of who looks on: clocks of others
/// count for nothing.
fn decide(lease: Option<&LeaseSpec>, me: &str, unwritten: Duration) -> Step {
    let Some(lease) = lease else { return Step::Claim };
    let holder = lease.holder_identity.as_deref().unwrap_or_default();
    let counts =
        lease.lease_duration_seconds.map_or(LEASE, |seconds| Duration::from_secs(seconds.max(0) as u64));
    if holder.is_empty() || holder == me || unwritten >= counts {
        return Step::Claim;
    }
    Step::Wait(LOOK.min(counts.saturating_sub(unwritten)))
}

/// The lease as `me` holds it at `now`, made from what was read.
fn held(read: Option<&Lease>, me: &str, now: Timestamp) -> Lease {
    let before = read.and_then(|lease| lease.spec.clone()).unwrap_or_default();
    let ours = before.holder_identity.as_deref() == Some(me);
    let transitions = before.lease_transitions.unwrap_or_default();
    let spec = LeaseSpec {
        holder_identity: Some(me.to_owned()),
        lease_duration_seconds: Some(LEASE.as_secs() as i32),
        acquire_time: before.acquire_time.filter(|_| ours).or(Some(MicroTime(now))),
        renew_time: Some(MicroTime(now)),
        lease_transitions: Some(if ours || read.is_none() {
            transitions
        } else {
            transitions.saturating_add(1)
        }),
        ..LeaseSpec::default()
    };
    Lease { metadata: metadata(read), spec: Some(spec) }
}

/// The lease as nobody holds it, so that the next one need not wait.
fn free(read: &Lease, now: Timestamp) -> Lease {
    let spec = LeaseSpec {
        holder_identity: None,
        acquire_time: None,
        renew_time: Some(MicroTime(now)),
        ..read.spec.clone().unwrap_or_default()
    };
    Lease { metadata: metadata(Some(read)), spec: Some(spec) }
}

fn metadata(read: Option<&Lease>) -> ObjectMeta {
    match read {
        Some(lease) => ObjectMeta { managed_fields: None, ..lease.metadata.clone() },
        None => ObjectMeta { name: Some(names::OPERATOR.into()), ..ObjectMeta::default() },
    }
}

/// Why an operator does not lead any more, or could not do something with the lease.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Somebody else has it.
    #[error("operator {0} has taken the lease")]
    Taken(String),
    /// It was not renewed in time.
    #[error("the lease could not be renewed for {} s, and another operator may take it: {why}", GIVE_UP.as_secs())]
    Lapsed {
        /// What went wrong last.
        why: String,
    },
    /// The API server refused.
    #[error("{}", words(.0))]
    Api(#[from] kube::Error),
    /// The API server was silent.
    #[error("the API server did not answer within {} s", ANSWER.as_secs())]
    Silent(#[from] tokio::time::error::Elapsed),
}

impl Error {
    /// Somebody else has written the lease since it was read, or made or deleted it.
    fn is_overtaken(&self) -> bool {
        matches!(self, Self::Api(kube::Error::Api(status)) if matches!(status.code, 404 | 409))
    }
}

/// One who would lead.
pub(crate) struct Candidate {
    leases: Api<Lease>,
    me: String,
    /// The lease as last read or written.
    lease: Option<Lease>,
    /// When it was first seen as it is.
    since: Instant,
    /// When the request began by which it was last renewed.
    renewed: Instant,
}

impl Candidate {
    /// Called `me`, for the lease in the namespace of the operator.
    pub(crate) fn new(client: &Client, me: &str) -> Self {
        let (leases, now) = (Api::default_namespaced(client.clone()), Instant::now());
        Self { leases, me: me.to_owned(), lease: None, since: now, renewed: now }
    }

    /// Waits until the lease is ours; `stands_by` is called whenever it was seen to be another's.
    pub(crate) async fn win(&mut self, stands_by: impl Fn()) {
        loop {
            let pause = match self.look().await {
                Ok(Step::Claim) => return,
                Ok(Step::Wait(pause)) => {
                    stands_by();
                    pause
                }
                Err(error) if error.is_overtaken() => LOOK,
                Err(error) => {
                    warn!(%error, "the lease cannot be had yet");
                    RENEW
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Keeps the lease until it is lost, and says why it is.
    pub(crate) async fn hold(&mut self) -> Error {
        let (mut pause, mut last) = (RENEW, String::new());
        loop {
            tokio::time::sleep(pause).await;
            let left = GIVE_UP.saturating_sub(self.renewed.elapsed());
            if left.is_zero() {
                return Error::Lapsed { why: last };
            }
            let renewed = tokio::time::timeout(left, self.renew()).await.map_err(Error::from).flatten();
            pause = match renewed {
                Ok(()) => RENEW,
                Err(error @ Error::Taken(_)) => return error,
                Err(error) => {
                    warn!(%error, "the lease was not renewed");
                    last = error.to_string();
                    RETRY
                }
            };
        }
    }

    /// Gives the lease back if it is ours.
    pub(crate) async fn release(mut self) {
        // A write that was on its way may come between reading and writing, once.
        for _ in 0..2 {
            match self.give_back().await {
                Ok(()) => return,
                Err(error) if error.is_overtaken() => {}
                Err(error) => {
                    return warn!(%error, "the lease was not given back; the next operator waits for its end");
                }
            }
        }
    }

    async fn look(&mut self) -> Result<Step, Error> {
        self.read().await?;
        let spec = self.lease.as_ref().and_then(|lease| lease.spec.as_ref());
        let step = decide(spec, &self.me, self.since.elapsed());
        if step == Step::Claim {
            self.write(held(self.lease.as_ref(), &self.me, Timestamp::now())).await?;
        }
        Ok(step)
    }

    async fn renew(&mut self) -> Result<(), Error> {
        match self.write(held(self.lease.as_ref(), &self.me, Timestamp::now())).await {
            Err(error) if error.is_overtaken() => {}
            other => return other,
        }
        // Perhaps only its labels were changed, or an earlier write of ours arrived without our knowing.
        self.read().await?;
        let spec = self.lease.as_ref().and_then(|lease| lease.spec.as_ref());
        let holder = spec.and_then(|spec| spec.holder_identity.clone()).unwrap_or_default();
        if !holder.is_empty() && holder != self.me {
            return Err(Error::Taken(holder));
        }
        self.write(held(self.lease.as_ref(), &self.me, Timestamp::now())).await
    }

    async fn give_back(&mut self) -> Result<(), Error> {
        self.read().await?;
        let Some(lease) = &self.lease else { return Ok(()) };
        if lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_ref()) == Some(&self.me) {
            self.write(free(lease, Timestamp::now())).await?;
            info!("the lease was given back");
        }
        Ok(())
    }

    async fn read(&mut self) -> Result<(), Error> {
        let begun = Instant::now();
        let found = tokio::time::timeout(ANSWER, self.leases.get_opt(names::OPERATOR)).await??;
        let version = |lease: &Option<Lease>| lease.as_ref().and_then(kube::ResourceExt::resource_version);
        if version(&found) != version(&self.lease) {
            self.since = begun;
        }
        self.lease = found;
        Ok(())
    }

    async fn write(&mut self, lease: Lease) -> Result<(), Error> {
        let begun = Instant::now();
        let parameters = PostParams { field_manager: Some(names::OPERATOR.into()), ..PostParams::default() };
        let write = async {
            match lease.resource_version() {
                Some(_) => self.leases.replace(names::OPERATOR, &parameters, &lease).await,
                None => self.leases.create(&parameters, &lease).await,
            }
        };
        self.lease = Some(tokio::time::timeout(ANSWER, write).await??);
        self.renewed = begun;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
