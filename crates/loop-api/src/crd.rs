//! `LoopRun` as a custom resource of Kubernetes: the types of [`crate::run`] with bounds and rules.
//!
//! The types say what a field is; what a server must know beside it is in tables here, in [`bounds`] and in [`rules`]. The
//! result is checked in as `crds/agentloop.dev_loopruns.yaml`.

mod bounds;
mod rules;

pub use crate::run::spec::LoopRun;

use kube::CustomResourceExt as _;
use serde_json::{Map, Value, json};

/// Columns of `kubectl get looprun`: what is it doing. Name, type and place.
const COLUMNS: [(&str, &str, &str); 7] = [
    ("Phase", "string", ".status.phase"),
    ("Step", "string", ".status.progress.step"),
    ("Iter", "integer", ".status.progress.iteration"),
    ("Done", "integer", ".status.progress.tasksDone"),
    ("Tasks", "integer", ".status.progress.tasksTotal"),
    ("Cost", "string", ".status.usage.costUSD"),
    ("Age", "date", ".metadata.creationTimestamp"),
];

/// The definition to install, as it is checked in.
pub fn definition() -> Value {
    let mut crd = serde_json::to_value(LoopRun::crd()).unwrap_or_default();
    // Nothing but a server fills these in.
    if let Some(fields) = crd.as_object_mut() {
        fields.remove("status");
    }
    let columns = COLUMNS.map(|(name, kind, path)| json!({"name": name, "type": kind, "jsonPath": path}));
    if let Some(version) = crd.pointer_mut("/spec/versions/0") {
        version["additionalPrinterColumns"] = json!(columns);
        finish(&mut version["schema"]["openAPIV3Schema"]);
    }
    crd.sort_all_objects();
    crd
}

/// Makes the schema of the types that of the resource.
fn finish(schema: &mut Value) {
    schema["description"] = json!("A run of a coding agent in a loop, until its work is verified done.");
    for part in ["spec", "status"] {
        walk(&mut schema["properties"][part], part);
    }
    for (path, fields) in bounds::REQUIRED {
        if let Some(node) = at(schema, path) {
            node["required"] = json!(fields);
            for field in *fields {
                remove(&mut node["properties"][field], "default");
            }
        }
    }
    for (path, key) in bounds::MAPS {
        if let Some(node) = at(schema, path) {
            node["x-kubernetes-list-type"] = json!("map");
            node["x-kubernetes-list-map-keys"] = json!([key]);
        }
    }
    // A client that compares generations then knows that nobody has looked at the object yet (kstatus).
    schema["properties"]["status"]["default"] = json!({"observedGeneration": -1});
    for (path, rule) in rules::all() {
        if let Some(node) = at(schema, &path) {
            let rules = &mut node["x-kubernetes-validations"];
            match rules.as_array_mut() {
                Some(rules) => rules.push(rule),
                None => *rules = json!([rule]),
            }
        }
    }
}

/// Bounds a node of the schema and all below it; `path` is its place, such as `spec.gates[].name`.
fn walk(node: &mut Value, path: &str) {
    let Some(fields) = node.as_object_mut() else { return };
    if let Some(Value::String(text)) = fields.get_mut("description") {
        *text = plain(text);
    }
    bounds::bound(fields, path);
    defaults(fields, path);
    if let Some(items) = fields.get_mut("items") {
        walk(items, &format!("{path}[]"));
    }
    if let Some(Value::Object(properties)) = fields.get_mut("properties") {
        for (name, property) in properties {
            walk(property, &format!("{path}.{name}"));
        }
    }
}

/// Defaults of the spec are said and not filled in: `.loop/config` of the base commit stands between them and what the
/// user wrote, and the server does not know it.
fn defaults(fields: &mut Map<String, Value>, path: &str) {
    let default = fields.remove("default");
    if path.starts_with("status") {
        return;
    }
    // Without `nullable` the server takes a null for a field that is not there, as it is meant.
    fields.remove("nullable");
    let said = match default {
        Some(Value::String(text)) if !text.is_empty() => text,
        Some(value @ (Value::Bool(_) | Value::Number(_))) => value.to_string(),
        _ => return,
    };
    if let Some(Value::String(text)) = fields.get_mut("description") {
        text.push_str(&format!(" Without it and a line in .loop/config: {said}."));
    }
}

/// A description for people who use the resource: no numbers of requirements, no marks of rustdoc, one line.
fn plain(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ").replace('`', "");
    let mut words = String::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once(" (") {
        words.push_str(before);
        rest = match after.split_once(')') {
            Some((remark, after)) if is_reference(remark) => after,
            _ => {
                words.push_str(" (");
                after
            }
        };
    }
    words + rest
}

/// Whether a remark in brackets names requirements or sections only: `CFG-15`, `WT-6, WT-9`, `design section 5`.
fn is_reference(remark: &str) -> bool {
    let number = |word: &str| {
        let (letters, digits) = word.split_once('-').unwrap_or_default();
        !letters.is_empty()
            && letters.bytes().all(|byte| byte.is_ascii_uppercase())
            && digits.starts_with(|character: char| character.is_ascii_digit())
    };
    remark.starts_with("design section") || remark.split(", ").all(number)
}

/// The node at a path such as `spec.gates[].name`; the empty path is the whole object.
fn at<'a>(schema: &'a mut Value, path: &str) -> Option<&'a mut Value> {
    let pointer: String = path
        .split('.')
        .filter(|part| !part.is_empty())
        .map(|part| match part.strip_suffix("[]") {
            Some(name) => format!("/properties/{name}/items"),
            None => format!("/properties/{part}"),
        })
        .collect();
    schema.pointer_mut(&pointer)
}

fn remove(node: &mut Value, key: &str) {
    if let Some(fields) = node.as_object_mut() {
        fields.remove(key);
    }
}

#[cfg(test)]
mod tests;
