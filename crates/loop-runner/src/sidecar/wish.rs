//! What the user wishes of the run meanwhile: the sidecar watches its object, and tells the engine by the files that
//! `loopctl pause` and `loopctl cancel` use too.

use std::time::Duration;

use futures::TryStreamExt as _;
use kube::Api;
use kube::api::DynamicObject;
use kube::runtime::{WatchStreamExt as _, watcher};
use loop_api::run::RunState;
use loop_core::store::RunDir;
use serde_json::Value;

use super::lease::Held;
use crate::say;

/// Between two tries to tell the engine, whose folder may not be there yet.
const LOOK: Duration = Duration::from_millis(500);

/// Follows the object of a run until the task is aborted; `limits` are those that the engine knows or was told of.
pub(super) async fn follow(
    runs: Api<DynamicObject>,
    (name, uid): (String, String),
    run: RunDir,
    mut limits: Value,
    held: Held,
) {
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let mut objects = Box::pin(watcher(runs, config).default_backoff().applied_objects());
    let (mut wish, mut told) = (RunState::Running, RunState::Running);
    let mut told_limits = limits.clone();
    let mut watching = true;
    loop {
        tokio::select! {
            object = objects.try_next(), if watching => match object {
                Ok(Some(object)) if object.metadata.uid.as_deref() == Some(&uid) => {
                    held.hear(Some(&object), None);
                    wish = of(&object);
                    limits = object.data["spec"]["limits"].clone();
                }
                // One of the same name that came later is none of ours.
                Ok(Some(_)) => {}
                Ok(None) => watching = false,
                Err(error) => say(&format!("the run cannot be watched: {error}")),
            },
            () = tokio::time::sleep(LOOK) => {}
        }
        if !run.journal().exists() {
            continue;
        }
        if limits != told_limits {
            match run.request_limits(&limits) {
                Ok(()) => told_limits = limits.clone(),
                Err(error) => say(&format!("the loop cannot be told of spec.limits: {error}")),
            }
        }
        if wish != told {
            match tell(&run, wish) {
                Ok(()) => told = wish,
                Err(error) => say(&format!("the loop cannot be told of spec.state: {error}")),
            }
        }
    }
}

fn of(object: &DynamicObject) -> RunState {
    serde_json::from_value(object.data["spec"]["state"].clone()).unwrap_or_default()
}

/// Tells the engine once; it forgets a request when it has taken note of it.
fn tell(run: &RunDir, wish: RunState) -> std::io::Result<()> {
    match wish {
        RunState::Running => run.clear_pause(),
        RunState::Paused => run.request_pause(false)?,
        RunState::Canceled => run.request_cancel()?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "these are tests")]

    use loop_core::store::Store;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_object_says_is_what_the_engine_is_told() {
        let object = |state: serde_json::Value| -> DynamicObject {
            serde_json::from_value(json!({"metadata": {"name": "x"}, "spec": {"state": state}})).unwrap()
        };
        assert_eq!(of(&object(json!("Paused"))), RunState::Paused);
        assert_eq!(of(&object(serde_json::Value::Null)), RunState::Running);
        let folder = tempfile::tempdir().unwrap();
        let run = Store::at(folder.path()).create_run("01").unwrap();
        tell(&run, RunState::Paused).unwrap();
        assert!(
            run.pause_requested().is_some_and(|since| since < Duration::from_secs(60)),
            "at the end of the step"
        );
        tell(&run, RunState::Running).unwrap();
        assert!(run.pause_requested().is_none());
        tell(&run, RunState::Canceled).unwrap();
        assert!(run.cancel_requested());
    }
}
