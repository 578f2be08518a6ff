use std::fs;
use std::path::Path;

use super::*;

/// Where definitions are checked in: for people, and where the chart can read them.
const FOLDERS: [&str; 2] = ["crds", "charts/agentloop/files"];

const ALL: [Resource; 2] = [RUN, WORKER];

fn schema(resource: &Resource) -> Value {
    resource.definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}

/// Every node below `node` with its path.
fn nodes(node: &Value, path: &str, found: &mut Vec<(String, Value)>) {
    found.push((path.to_owned(), node.clone()));
    for (part, suffix) in [("items", "[]"), ("additionalProperties", "{}")] {
        if node.get(part).is_some() {
            nodes(&node[part], &format!("{path}{suffix}"), found);
        }
    }
    for (name, property) in node["properties"].as_object().into_iter().flatten() {
        nodes(property, &format!("{path}.{name}"), found);
    }
}

fn all(resource: &Resource) -> Vec<(String, Value)> {
    let schema = schema(resource);
    let mut found = Vec::new();
    for part in ["spec", "status"] {
        nodes(&schema["properties"][part], part, &mut found);
    }
    found
}

#[test]
fn the_definitions_that_are_checked_in_are_those_of_the_types() {
    for (file, definition) in definitions() {
        let text = serde_saphyr::to_string(&definition).expect("YAML");
        let text = format!("# Generated: UPDATE=1 cargo test -p loop-api --features crd\n{text}");
        assert!(text.len() < 100_000, "{file}: {} bytes", text.len());
        for folder in FOLDERS {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(folder).join(file);
            if std::env::var_os("UPDATE").is_some() {
                fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
                fs::write(&path, &text).expect("written");
            }
            let there = fs::read_to_string(&path).unwrap_or_default();
            assert!(
                there == text,
                "{folder}/{file} is stale; run UPDATE=1 cargo test -p loop-api --features crd"
            );
        }
    }
}

#[test]
fn every_text_list_map_and_number_has_an_end_and_a_format_that_servers_know() {
    for (path, node) in ALL.iter().flat_map(all) {
        let has = |key: &str| node.get(key).is_some();
        match node["type"].as_str() {
            Some("string") => {
                assert!(has("maxLength") || has("enum"), "{path}");
                assert!(node["enum"].as_array().is_none_or(|words| !words.contains(&Value::Null)), "{path}");
            }
            Some("array") => assert!(has("maxItems"), "{path}"),
            Some("integer") => {
                assert!(has("minimum") && has("maximum"), "{path}");
                assert!(["int32", "int64"].contains(&node["format"].as_str().unwrap_or_default()), "{path}");
            }
            Some("object") if has("additionalProperties") => assert!(has("maxProperties"), "{path}"),
            Some("object") => assert!(has("properties"), "{path} takes anything"),
            Some("boolean") => {}
            other => panic!("{path} has type {other:?}"),
        }
        assert!(!has("anyOf") && !has("oneOf"), "{path}");
    }
}

#[test]
fn every_path_of_the_tables_exists() {
    for resource in ALL {
        let found = all(&resource);
        assert!(found.len() > 40);
        let exists = |path: &str| path.is_empty() || found.iter().any(|(name, _)| name == path);
        let named = bounds::named(&resource.tables).map(str::to_owned);
        for path in named.chain((resource.rules)().into_iter().map(|(path, _)| path)) {
            assert!(exists(&path), "{path}");
        }
    }
}

#[test]
fn every_field_says_what_it_is() {
    for (path, node) in ALL.iter().flat_map(all) {
        if path.ends_with("[]") || path.ends_with("{}") {
            continue;
        }
        let text = node["description"].as_str().unwrap_or_default();
        assert!(!text.is_empty(), "{path} has no description");
        assert!(!text.contains(['`', '[']), "{path}: {text}");
    }
}

#[test]
fn descriptions_keep_remarks_and_lose_references() {
    assert_eq!(
        plain("Runs (CFG-15,\nWT-2a) at `x` (see below) once (DOM-3)."),
        "Runs at x (see below) once."
    );
    assert_eq!(plain("Half an hour (design section 5) (open"), "Half an hour (open");
}

#[test]
fn the_server_fills_in_nothing_of_a_run_so_that_the_repositorys_configuration_counts() {
    let filled = |resource: &Resource| -> Vec<(String, Value)> {
        let spec = all(resource).into_iter().filter(|(path, _)| path.starts_with("spec"));
        spec.filter_map(|(path, node)| Some((path, node.get("default")?.clone()))).collect()
    };
    assert_eq!(filled(&RUN), []);
    let worker = [
        ("spec.drain.enabled", json!(false)),
        ("spec.budgets[].scope", json!("Worker")),
        ("spec.leaseSeconds", json!(60)),
        ("spec.queuePolicy", json!("Fifo")),
        ("spec.slots", json!(3)),
    ];
    let mut expected = worker.map(|(path, value)| (path.to_owned(), value));
    let mut found = filled(&WORKER);
    found.sort_by(|one, other| one.0.cmp(&other.0));
    expected.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(found, expected);
    let schema = schema(&RUN);
    let said =
        |path: &str| schema.pointer(path).and_then(Value::as_str).map(str::to_owned).unwrap_or_default();
    let iterations = said("/properties/spec/properties/loop/properties/iterations/description");
    assert!(iterations.ends_with(".loop/config: 50."), "{iterations}");
}
