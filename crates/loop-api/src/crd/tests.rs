use std::fs;
use std::path::Path;

use super::*;

/// Where the definition is checked in: for people, and where the chart can read it.
const FILES: [&str; 2] =
    ["crds/agentloop.dev_loopruns.yaml", "charts/agentloop/files/agentloop.dev_loopruns.yaml"];

fn schema() -> Value {
    definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}

/// Every node below `node` with its path.
fn nodes(node: &Value, path: &str, found: &mut Vec<(String, Value)>) {
    found.push((path.to_owned(), node.clone()));
    if node.get("items").is_some() {
        nodes(&node["items"], &format!("{path}[]"), found);
    }
    for (name, property) in node["properties"].as_object().into_iter().flatten() {
        nodes(property, &format!("{path}.{name}"), found);
    }
}

fn all() -> Vec<(String, Value)> {
    let schema = schema();
    let mut found = Vec::new();
    for part in ["spec", "status"] {
        nodes(&schema["properties"][part], part, &mut found);
    }
    found
}

#[test]
fn the_definition_that_is_checked_in_is_that_of_the_types() {
    let text = serde_saphyr::to_string(&definition()).expect("YAML");
    let text = format!("# Generated: UPDATE=1 cargo test -p loop-api --features crd\n{text}");
    assert!(text.len() < 100_000, "{} bytes", text.len());
    for file in FILES {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file);
        if std::env::var_os("UPDATE").is_some() {
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(&path, &text).expect("written");
        }
        let there = fs::read_to_string(&path).unwrap_or_default();
        assert!(there == text, "{file} is stale; run UPDATE=1 cargo test -p loop-api --features crd");
    }
}

#[test]
fn every_text_list_and_number_has_an_end_and_a_format_that_servers_know() {
    let found = all();
    assert!(found.len() > 100);
    for (path, node) in found {
        let has = |key: &str| node.get(key).is_some();
        match node["type"].as_str() {
            Some("string") => assert!(has("maxLength") || has("enum"), "{path}"),
            Some("array") => assert!(has("maxItems"), "{path}"),
            Some("integer") => {
                assert!(has("minimum") && has("maximum"), "{path}");
                assert!(["int32", "int64"].contains(&node["format"].as_str().unwrap_or_default()), "{path}");
            }
            Some("object") => assert!(has("properties"), "{path} takes anything"),
            Some("boolean") => {}
            other => panic!("{path} has type {other:?}"),
        }
        assert!(!has("anyOf") && !has("oneOf"), "{path}");
    }
}

#[test]
fn every_path_of_the_tables_exists() {
    let found = all();
    let exists = |path: &str| path.is_empty() || found.iter().any(|(name, _)| name == path);
    let rules = rules::all();
    let named = bounds::named().map(str::to_owned);
    for path in named.chain(rules.into_iter().map(|(path, _)| path)) {
        assert!(exists(&path), "{path}");
    }
}

#[test]
fn every_field_says_what_it_is() {
    for (path, node) in all() {
        if path.ends_with("[]") {
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
fn the_server_fills_in_nothing_of_a_spec_so_that_the_repositorys_configuration_counts() {
    for (path, node) in all().into_iter().filter(|(path, _)| path.starts_with("spec")) {
        assert!(node.get("default").is_none(), "{path}");
    }
    let said =
        |path: &str| schema().pointer(path).and_then(Value::as_str).map(str::to_owned).unwrap_or_default();
    let iterations = said("/properties/spec/properties/loop/properties/iterations/description");
    assert!(iterations.ends_with(".loop/config: 50."), "{iterations}");
}
