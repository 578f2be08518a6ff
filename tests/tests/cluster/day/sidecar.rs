//! What the sidecar of a fake pod tells the API server, by the product's own code and with a token that was made for that
//! pod, so that the admission policies judge each write.

use std::rc::Rc;
use std::time::{Duration, Instant};

use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
use kube::api::PostParams;
use kube::config::AuthInfo;
use kube::{Api, Client, ResourceExt as _};
use loop_api::names;
use loop_runner::sidecar::Whose;
use loop_runner::sidecar::publish::Publisher;
use tokio::sync::watch;

use super::course::Fate;
use super::kubelet::Wish;
use super::record::Record;
use super::{Day, Run, insist};

/// Seconds of the day between two words on the progress, as the product's `PAUSE`.
pub(super) const PAUSE: f64 = 30.0;
/// Between two questions for the run, a third of the lease of 30 s. Leases are not made faster.
const RENEW: Duration = Duration::from_secs(10);
/// How long the end is tried to be told, as the product's `PATIENCE`.
const PATIENCE: Duration = Duration::from_secs(240);
/// How long the containers of a pod that was deleted by force go on.
const UNHEARD: Duration = Duration::from_secs(8);

/// How a pod ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// Its runner ends by itself with this exit code.
    Ended(i32),
    Evicted,
    /// It is killed.
    Lost,
}

/// A client with a token for this pod.
async fn client(day: &Day, pod: &Pod) -> Client {
    let accounts: Api<ServiceAccount> =
        Api::namespaced(day.client.clone(), &pod.namespace().expect("a namespace"));
    let bound = BoundObjectReference {
        api_version: Some("v1".into()),
        kind: Some("Pod".into()),
        name: Some(pod.name_any()),
        uid: pod.uid(),
    };
    let spec = TokenRequestSpec {
        bound_object_ref: Some(bound),
        expiration_seconds: Some(3600),
        ..Default::default()
    };
    let request = TokenRequest { spec, ..Default::default() };
    let made = insist("a token", async || {
        accounts.create_token_request(names::RUN_ROLE, &PostParams::default(), &request).await
    })
    .await;
    let token = made.and_then(|made| made.status).map(|status| status.token).unwrap_or_default();
    let auth_info = AuthInfo { token: Some(token.into()), ..AuthInfo::default() };
    let mut config = day.config.clone();
    config.auth_info = auth_info;
    Client::try_from(config).expect("a client")
}

/// Works and tells of it until the pod ends.
pub(super) async fn serve(
    day: &Day,
    run: &Rc<Run>,
    pod: &Pod,
    attempt: u32,
    wishes: &mut watch::Receiver<Wish>,
) -> How {
    let name = pod.name_any();
    let whose = Whose {
        namespace: run.namespace.clone(),
        name: run.course.name.clone(),
        uid: pod.labels()[names::RUN_UID_LABEL].clone(),
        attempt,
        pod: name.clone(),
    };
    let mut publisher = Publisher::new(&client(day, pod).await, &whose);
    let mut record = run.record(day, &whose.uid);
    record.take_up(attempt, 30, run.resumed(attempt));
    let fate = if attempt == 1 { run.course.fate } else { Fate::Completes };
    let (mut worked, mut before) = (run.worked(), Instant::now());
    let mut renewed = Instant::now();
    loop {
        let now = Instant::now();
        worked += (now - before).as_secs_f64() * day.speed;
        before = now;
        let part = worked / run.course.work;
        let struck = part >= run.course.moment;
        let wish = *wishes.borrow();
        let spec = run.spec_state();
        if wish == Wish::Gone && fate != Fate::Forced {
            return How::Lost;
        }
        if struck && [Fate::Fails, Fate::Retried].contains(&fate) {
            record.fail(&day.told);
        } else if spec == "Canceled" && !record.ended {
            record.stop(false);
        } else if spec == "Paused" && record.is_between() {
            record.stop(true);
            run.leave(worked);
            tell(run, &mut publisher, &record, Some("")).await;
            return How::Ended(names::EXIT_PAUSED);
        } else if record.advance(&day.told, part) {
            // Before the merge.
            tell(run, &mut publisher, &record, None).await;
        }
        if record.ended {
            record.write();
            let end = Instant::now() + PATIENCE;
            while Instant::now() < end && !told_all(run, &mut publisher, &record).await {
                tokio::time::sleep(Duration::from_secs(2)).await;
            }
            return How::Ended(0);
        }
        run.leave(worked);
        if wish == Wish::Leave || (struck && fate == Fate::Evicted) {
            tell(run, &mut publisher, &record, Some("")).await;
            return if wish == Wish::Leave { How::Lost } else { How::Evicted };
        }
        if wish == Wish::Expire || (struck && fate == Fate::Killed) {
            return How::Lost;
        }
        tell(run, &mut publisher, &record, None).await;
        if struck && fate == Fate::Drained {
            day.delete_pod(run, &name, None).await;
        }
        if struck && fate == Fate::Forced {
            day.delete_pod(run, &name, Some(0)).await;
            let end = Instant::now() + UNHEARD;
            while Instant::now() < end {
                // Nobody wants to hear it any more.
                tokio::time::sleep(Duration::from_secs(2)).await;
                record.advance(&day.told, (worked / run.course.work).min(0.8));
                // Until the operator has taken the run back, its word counts.
                let given_up = run.text("/status/podUID").is_empty();
                let refused = publisher.status(&record.dir, None, Some("from the grave")).await.is_err();
                if given_up {
                    run.refused(refused);
                }
            }
            return How::Lost;
        }
        if renewed.elapsed() > RENEW {
            renewed = Instant::now();
            let holder = publisher.run().await.map(|found| found.data["status"]["podName"].clone());
            if holder.is_ok_and(|holder| holder != name.as_str()) {
                return How::Lost;
            }
        }
        let pause = Duration::from_secs_f64(PAUSE / day.speed);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = wishes.wait_for(|after| *after > wish) => {}
        }
    }
}

/// Tells how the run stands; a failure is no reason to stop.
async fn tell(run: &Run, publisher: &mut Publisher, record: &Record, end: Option<&str>) {
    if let Err(error) = publisher.status(&record.dir, Some(&record.checkpoint()), end).await {
        run.note(&format!("the status could not be written: {error}"));
    }
}

/// The end: the record first, and then that there is one.
async fn told_all(run: &Run, publisher: &mut Publisher, record: &Record) -> bool {
    let done = match publisher.record(&record.dir).await {
        Ok(()) => publisher.status(&record.dir, Some(&record.checkpoint()), Some("")).await.map(drop),
        Err(error) => Err(error),
    };
    if let Err(error) = &done {
        run.note(&format!("the end could not be told: {error}"));
    }
    done.is_ok()
}
