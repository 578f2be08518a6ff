//! What the cluster is told of a run: the sidecar's part of its status, and two `ConfigMaps` with its record. All of it
//! follows from the journal and the record, so it can be told again at any time.

use std::collections::BTreeMap;
use std::fs;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Patch, PatchParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{Api, Client};
use loop_api::names;
use loop_api::run::{API_VERSION, CheckpointStatus, KIND};
use loop_core::object;
use loop_core::postmortem::Report;
use loop_core::store::{RunDir, read_journal};
use serde_json::{Map, Value, json};

use super::Whose;

/// Fields of the status that are the sidecar's.
const FIELDS: [&str; 9] =
    ["progress", "usage", "counts", "worktree", "result", "summary", "postmortem", "steps", "artifactsPath"];
/// Those that say that a run has ended.
const LAST: [&str; 3] = ["result", "summary", "postmortem"];
/// Bytes of both `ConfigMaps` together (design section 2, 10).
const MOST: usize = 64 << 10;

/// Bytes of a text in the status, and of a message on the end of the run: the definition takes a little more.
const TEXT: usize = 1000;
const MESSAGE: usize = 4000;
/// Bytes of that for a remark on the end.
const REMARK: usize = 900;

/// What the API server said, without the parts of its answer that are for programs.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.words())]
pub struct Error(Box<kube::Error>);

impl From<kube::Error> for Error {
    fn from(error: kube::Error) -> Self {
        Self(Box::new(error))
    }
}

impl Error {
    fn words(&self) -> String {
        match self.0.as_ref() {
            kube::Error::Api(status) => status.message.clone(),
            other => other.to_string(),
        }
    }

    /// Whether it would say the same again. That somebody may not write is no such answer: a server that has just come
    /// back does not know its roles yet.
    pub fn is_final(&self) -> bool {
        match self.0.as_ref() {
            kube::Error::Api(status) => matches!(status.code, 400 | 404 | 410 | 413 | 422),
            _ => false,
        }
    }
}

/// Tells the cluster of one run.
pub struct Publisher {
    runs: Api<DynamicObject>,
    maps: Api<ConfigMap>,
    name: String,
    uid: String,
    attempt: u32,
    told: Value,
    /// Where the whole record is kept, beyond the pod.
    artifacts: Option<String>,
    /// Why the work cannot leave the pod.
    hindrance: Option<String>,
}

impl Publisher {
    /// For the run of a pod.
    pub fn new(client: &Client, whose: &Whose) -> Self {
        let namespace = &whose.namespace;
        let (group, version) = API_VERSION.split_once('/').unwrap_or_default();
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, KIND));
        Self {
            runs: Api::namespaced_with(client.clone(), namespace, &resource),
            maps: Api::namespaced(client.clone(), namespace),
            name: whose.name.clone(),
            uid: whose.uid.clone(),
            attempt: whose.attempt,
            told: Value::Null,
            artifacts: None,
            hindrance: None,
        }
    }

    /// From here on the status says why the work cannot leave the pod, or no longer says so; gives what it said before.
    pub fn is_hindered(&mut self, by: Option<String>) -> Option<String> {
        std::mem::replace(&mut self.hindrance, by)
    }

    /// From here on the status says that the record is kept there.
    pub fn is_kept_at(&mut self, place: Option<&str>) {
        self.artifacts = place.map(str::to_owned);
    }

    /// Where the runs of the namespace are.
    pub fn runs(&self) -> Api<DynamicObject> {
        self.runs.clone()
    }

    /// The run as the API server has it.
    ///
    /// # Errors
    /// When the API server does not give it.
    pub async fn run(&self) -> Result<DynamicObject, Error> {
        Ok(self.runs.get(&self.name).await?)
    }

    /// Whether the API server says that the run is no longer there.
    pub async fn is_gone(&self) -> bool {
        match self.runs.get_opt(&self.name).await {
            Ok(found) => found.is_none_or(|found| found.metadata.uid.as_ref() != Some(&self.uid)),
            Err(_) => false,
        }
    }

    /// Writes the status, if it has changed since it was told; says whether it was written. That the run has ended is told
    /// with `end` only, which also is a remark on it.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn status(
        &mut self,
        run: &RunDir,
        checkpoint: Option<&CheckpointStatus>,
        end: Option<&str>,
    ) -> Result<bool, Error> {
        let Some(mut status) = status(run, end.is_some()) else { return Ok(false) };
        if let Some(place) = &self.artifacts {
            status["artifactsPath"] = json!(place);
        }
        if let Some(hindrance) = &self.hindrance {
            status["publishError"] = json!(hindrance);
        }
        if let Some(checkpoint) = checkpoint {
            status["checkpoint"] = json!(checkpoint);
        }
        if let Some(result) = status.get_mut("result") {
            result["attempt"] = json!(self.attempt);
            let message = result["message"].as_str().unwrap_or_default();
            let remark = clip(end.unwrap_or_default(), REMARK);
            result["message"] = json!(format!("{}{remark}", clip(message, MESSAGE - REMARK)));
        }
        bound(&mut status);
        if status == self.told {
            return Ok(false);
        }
        let body = json!({"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": self.name}, "status": status});
        self.runs
            .patch_status(&self.name, &PatchParams::apply(names::SIDECAR).force(), &Patch::Apply(&body))
            .await?;
        self.told = status;
        Ok(true)
    }

    /// Whether the status that was told last names a checkpoint.
    pub fn has_told(&self, checkpoint: &CheckpointStatus) -> bool {
        self.told["checkpoint"]["commit"] == checkpoint.commit.as_str()
    }

    /// Fills the `ConfigMaps` with the record.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn record(&self, run: &RunDir) -> Result<(), Error> {
        let mut room = MOST;
        let reports = Report::ALL.map(Report::path);
        let reports: Vec<&str> = reports.iter().map(AsRef::as_ref).collect();
        let maps = [(names::summary(&self.name), &SUMMARY[..]), (names::postmortem(&self.name), &reports)];
        for (name, wanted) in maps {
            let data = files(run, wanted, &mut room);
            if data.is_empty() {
                continue;
            }
            let body =
                json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data});
            self.maps.patch(&name, &PatchParams::apply(names::SIDECAR).force(), &Patch::Apply(&body)).await?;
        }
        Ok(())
    }
}

/// Files of the first map, those that matter most before the others.
const SUMMARY: [&str; 4] = ["summary.json", "evidence.json", "report.tsv", "report.md"];

/// The sidecar's fields; `None` before the journal has its first record.
fn status(run: &RunDir, with_end: bool) -> Option<Value> {
    let (_, state) = read_journal(&run.journal()).ok()?;
    let status = object::loop_run(&state, run, true, None)?.status?;
    let Ok(Value::Object(all)) = serde_json::to_value(status) else { return None };
    let wanted = |name: &str| FIELDS.contains(&name) && (with_end || !LAST.contains(&name));
    Some(Value::Object(all.into_iter().filter(|(name, _)| wanted(name)).collect::<Map<_, _>>()))
}

/// Cuts texts that the definition would not take: a status that is refused would never be told.
fn bound(status: &mut Value) {
    fn walk(value: &mut Value, most: usize) {
        match value {
            Value::String(text) => *text = clip(text, most),
            Value::Array(items) => items.iter_mut().for_each(|item| walk(item, most)),
            Value::Object(fields) => fields.values_mut().for_each(|field| walk(field, most)),
            _ => {}
        }
    }
    for (name, value) in status.as_object_mut().into_iter().flatten() {
        let most = if ["result", "postmortem"].contains(&name.as_str()) { MESSAGE } else { TEXT };
        walk(value, most);
    }
}

fn clip(text: &str, most: usize) -> String {
    const MORE: &str = " ...";
    if text.len() <= most {
        return text.to_owned();
    }
    let mut end = most - MORE.len();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{MORE}", &text[..end])
}

/// Texts of a record by the last part of their names, cut where there is no more room, which is then said.
fn files(run: &RunDir, names: &[&str], room: &mut usize) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for name in names {
        let Ok(text) = fs::read(run.join(name)) else { continue };
        let text = String::from_utf8_lossy(&text).into_owned();
        let key = name.rsplit('/').next().unwrap_or(name).to_owned();
        let text = cut(text, *room, name);
        *room = room.saturating_sub(text.len());
        found.insert(key, text);
    }
    found
}

fn cut(text: String, room: usize, name: &str) -> String {
    if text.len() <= room {
        return text;
    }
    let note = format!("\n(cut here; the whole {name} is in the run's artifacts)\n");
    let mut end = room.saturating_sub(note.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{note}", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_of_a_status_is_longer_than_the_definition_takes() {
        let long = "\u{20ac}".repeat(5000);
        let mut status = json!({"steps": [{"message": long, "iteration": 1}], "result": {"message": long}});
        bound(&mut status);
        let length = |path: &str| status.pointer(path).and_then(Value::as_str).map(str::len);
        assert_eq!(length("/steps/0/message"), Some(1000));
        assert_eq!(length("/result/message"), Some(4000));
        assert_eq!(status["steps"][0]["iteration"], 1);
        assert_eq!(clip("short", 5), "short");
    }

    #[test]
    fn what_does_not_fit_is_cut_and_says_so() {
        assert_eq!(cut("short".into(), 5, "a"), "short");
        let text = cut("\u{20ac}".repeat(100), 100, "report.md");
        assert!(text.len() <= 100 && text.ends_with("artifacts)\n"), "{text}");
    }
}
