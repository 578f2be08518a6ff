//! `LoopRun` and `LoopWorker` as custom resources of Kubernetes: the types of [`crate::run`] and [`crate::worker`] with bounds
//! and rules.
//!
//! The types say what a field is; what a server must know beside it is in tables here, in [`bounds`] and in [`rules`]. The
//! result is checked in as `crds/`.

mod bounds;
mod rules;

pub use crate::run::spec::LoopRun;
pub use crate::worker::LoopWorker;

use bounds::Tables;
use kube::CustomResourceExt as _;
use serde_json::{Map, Value, json};

/// What a definition is made from beside the types.
struct Resource {
    /// The definition of the types alone.
    types: fn() -> Value,
    /// What one object is.
    about: &'static str,
    /// Columns of `kubectl get`: name, type and place.
    columns: &'static [(&'static str, &'static str, &'static str)],
    tables: Tables,
    rules: fn() -> Vec<(String, Value)>,
    /// Whether the server fills in defaults of the spec. Into that of a run it does not: `.loop/config` of the base commit
    /// stands between them and what the user wrote, and the server does not know it.
    fills_in: bool,
}

/// `kubectl get looprun`: what is it doing.
const RUN: Resource = Resource {
    types: || serde_json::to_value(LoopRun::crd()).unwrap_or_default(),
    about: "A run of a coding agent in a loop, until its work is verified done.",
    columns: &[
        ("Phase", "string", ".status.phase"),
        ("Step", "string", ".status.progress.step"),
        ("Iter", "integer", ".status.progress.iteration"),
        ("Done", "integer", ".status.progress.tasksDone"),
        ("Tasks", "integer", ".status.progress.tasksTotal"),
        ("Cost", "string", ".status.usage.costUSD"),
        ("Age", "date", ".metadata.creationTimestamp"),
    ],
    tables: bounds::run::TABLES,
    rules: rules::run::all,
    fills_in: false,
};

/// `kubectl get loopworker`: is there room.
const WORKER: Resource = Resource {
    types: || serde_json::to_value(LoopWorker::crd()).unwrap_or_default(),
    about: "A share of the cluster for runs: which namespaces it takes runs from, how many at once, and what they get.",
    columns: &[
        ("Slots", "integer", ".spec.slots"),
        ("Active", "integer", ".status.active"),
        ("Queued", "integer", ".status.queued"),
        ("Online", "string", ".status.conditions[?(@.type==\"Online\")].status"),
        ("Draining", "string", ".status.conditions[?(@.type==\"Draining\")].status"),
        ("Age", "date", ".metadata.creationTimestamp"),
    ],
    tables: bounds::worker::TABLES,
    rules: rules::worker::all,
    fills_in: true,
};

/// The definitions to install, each with the name of the file that it is checked in as.
pub fn definitions() -> [(&'static str, Value); 2] {
    [
        ("agentloop.dev_loopruns.yaml", RUN.definition()),
        ("agentloop.dev_loopworkers.yaml", WORKER.definition()),
    ]
}

impl Resource {
    fn definition(&self) -> Value {
        let mut crd = (self.types)();
        // Nothing but a server fills these in.
        if let Some(fields) = crd.as_object_mut() {
            fields.remove("status");
        }
        let column =
            |(name, kind, path): &(&str, &str, &str)| json!({"name": name, "type": kind, "jsonPath": path});
        let columns: Vec<Value> = self.columns.iter().map(column).collect();
        if let Some(version) = crd.pointer_mut("/spec/versions/0") {
            version["additionalPrinterColumns"] = json!(columns);
            self.finish(&mut version["schema"]["openAPIV3Schema"]);
        }
        crd.sort_all_objects();
        crd
    }

    /// Makes the schema of the types that of the resource.
    fn finish(&self, schema: &mut Value) {
        schema["description"] = json!(self.about);
        for part in ["spec", "status"] {
            self.walk(&mut schema["properties"][part], part);
        }
        for (path, fields) in self.tables.required {
            if let Some(node) = at(schema, path) {
                node["required"] = json!(fields);
                for field in *fields {
                    remove(&mut node["properties"][field], "default");
                }
            }
        }
        for (path, key) in self.tables.maps {
            if let Some(node) = at(schema, path) {
                node["x-kubernetes-list-type"] = json!("map");
                node["x-kubernetes-list-map-keys"] = json!([key]);
            }
        }
        // A client that compares generations then knows that nobody has looked at the object yet (kstatus).
        schema["properties"]["status"]["default"] = json!({"observedGeneration": -1});
        for (path, rule) in (self.rules)() {
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
    fn walk(&self, node: &mut Value, path: &str) {
        let Some(fields) = node.as_object_mut() else { return };
        if let Some(Value::String(text)) = fields.get_mut("description") {
            *text = plain(text);
        }
        bounds::bound(fields, path, &self.tables);
        self.defaults(fields, path);
        if let Some(items) = fields.get_mut("items") {
            self.walk(items, &format!("{path}[]"));
        }
        if let Some(values) = fields.get_mut("additionalProperties") {
            self.walk(values, &format!("{path}{{}}"));
        }
        if let Some(Value::Object(properties)) = fields.get_mut("properties") {
            for (name, property) in properties {
                self.walk(property, &format!("{path}.{name}"));
            }
        }
    }

    /// Defaults of a spec that the server does not fill in are said.
    fn defaults(&self, fields: &mut Map<String, Value>, path: &str) {
        let default = fields.remove("default");
        if path.starts_with("status") {
            return;
        }
        // Without `nullable` the server takes a null for a field that is not there, as it is meant.
        fields.remove("nullable");
        if let Some(Value::Array(words)) = fields.get_mut("enum") {
            words.retain(|word| !word.is_null());
        }
        let default = match default {
            Some(Value::String(text)) if text.is_empty() => return,
            Some(value @ (Value::String(_) | Value::Bool(_) | Value::Number(_))) => value,
            _ => return,
        };
        if self.fills_in {
            fields.insert("default".into(), default);
        } else if let Some(Value::String(text)) = fields.get_mut("description") {
            let default = default.as_str().map_or_else(|| default.to_string(), str::to_owned);
            text.push_str(&format!(" Without it and a line in .loop/config: {default}."));
        }
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
        .map(|part| match (part.strip_suffix("[]"), part.strip_suffix("{}")) {
            (Some(name), _) => format!("/properties/{name}/items"),
            (_, Some(name)) => format!("/properties/{name}/additionalProperties"),
            _ => format!("/properties/{part}"),
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
