//! Who makes the runs of the day, and changes their mind.

use std::rc::Rc;

use kube::Api;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::course::Fate;
use super::kubelet::MARK;
use super::{Day, Run, insist, runs};

/// What every pod of the day is placed by.
pub(super) fn template(day: &Day) -> Value {
    json!({"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "day"}, "template": {"spec": {
        "containers": [{"name": "agent", "image": "inherit"}], "nodeSelector": {MARK: day.node},
        "tolerations": [{"key": MARK, "operator": "Exists"}]}}})
}

/// One run, from when it is made until it has ended.
pub(super) async fn follow(day: Rc<Day>, run: Rc<Run>) {
    let course = &run.course;
    day.until(course.at).await;
    let object = json!({"apiVersion": "agentloop.dev/v1alpha1", "kind": "LoopRun",
        "metadata": {"name": course.name}, "spec": {
            "repository": {"url": format!("https://git.example/team/app-{}.git", course.repository)},
            "task": {"specPath": "specs/login.md"}, "agent": {"adapter": "script", "image": "example/ci:7"},
            "gates": [{"name": "test", "run": "cargo test --locked"}], "podTemplateRef": {"name": "day"},
            "priority": course.priority}});
    let object: DynamicObject = serde_json::from_value(object).expect("an object");
    let api = runs(&day.client, &run.namespace);
    insist("a run", async || api.create(&PostParams::default(), &object).await).await;
    let patch = async |spec: Value| {
        let patch = Patch::Merge(json!({"spec": spec}));
        insist("a wish", async || api.patch(&course.name, &PatchParams::default(), &patch).await).await;
    };
    let part = course.moment * course.work;
    match course.fate {
        Fate::Retried => {
            run.reaches(&["Failed"]).await;
            day.sleep(course.answer).await;
            patch(json!({"retry": 1})).await;
        }
        Fate::Stuck => {
            run.reaches(&["Pending"]).await;
            day.waits_for_image(&run).await;
            day.sleep(course.answer).await;
            patch(json!({"state": "Canceled"})).await;
        }
        Fate::Canceled => {
            run.reaches(&["Running"]).await;
            day.sleep(part).await;
            patch(json!({"state": "Canceled"})).await;
        }
        Fate::Paused => {
            run.reaches(&["Running"]).await;
            day.sleep(part).await;
            patch(json!({"state": "Paused"})).await;
            run.reaches(&["Paused"]).await;
            day.sleep(course.answer).await;
            patch(json!({"state": "Running"})).await;
        }
        Fate::Deleted => {
            run.reaches(&["Running"]).await;
            day.sleep(part).await;
            let api: Api<DynamicObject> = api.clone();
            insist("an end", async || api.delete(&course.name, &DeleteParams::default()).await).await;
            let _ = run.seen.subscribe().wait_for(Value::is_null).await;
            return;
        }
        _ => {}
    }
    // Where it ends is judged later; one that is tried again has been at an end before.
    let end = course.end().expect("others end");
    let ends: &[&str] =
        if course.fate == Fate::Retried { &[end] } else { &["Completed", "Failed", "Canceled"] };
    run.reaches(ends).await;
}
