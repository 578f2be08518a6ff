//! Rules between fields, in the Common Expression Language; each message says what to write instead.

use serde_json::{Value, json};

use crate::names::NAME_LIMIT;

/// An address that git can clone from; other schemes would let a URL name a program to run (`ext::`).
const ADDRESS: &str = "self.matches('^(https?|ssh|git|file)://[^-].*$') || (!self.contains('://') && \
    self.matches('^([A-Za-z0-9_][A-Za-z0-9_.-]*@)?[A-Za-z0-9][A-Za-z0-9.-]*:[^:].*$'))";

/// Rule and message, by the path of what `self` is.
const RULES: &[(&str, &str, &str)] = &[
    (
        "spec.repository.url",
        ADDRESS,
        "spec.repository.url must be an https, http, ssh, git or file URL, or user@host:path",
    ),
    (
        "spec.repository.url",
        "!self.matches('^[a-z]+://[^/@]*:[^/@]*@')",
        "leave the password out of spec.repository.url, where everybody can read it: put it into a Secret with the keys \
         username and password, and name that in spec.repository.secretRef",
    ),
    (
        "spec.task",
        "has(self.specPath) != has(self.prompt)",
        "say what to do in one way: spec.task.specPath names a spec in the repository, spec.task.prompt says it in plain \
         words",
    ),
    (
        "spec.task",
        "!has(self.planPath) || has(self.specPath)",
        "spec.task.planPath belongs to spec.task.specPath: name the spec too, or leave the plan out, for a prompt makes \
         its own",
    ),
    (
        "spec.gates[].name",
        "self.matches('^[A-Za-z0-9._-]+$')",
        "name a gate with letters, digits, '-', '_' or '.', for instance unit-tests",
    ),
    (
        "spec.limits.costUSD",
        "self.matches('^[0-9]{1,9}([.][0-9]{1,9})?$')",
        "spec.limits.costUSD must be an amount of US dollars in quotes, such as \"25\" or \"0.5\"",
    ),
];

/// Parts of the spec that a run is made from, and that it therefore keeps.
const FIXED: [&str; 4] = ["repository", "task", "agent", "gates"];

/// Every rule, by the path of the node it is put on.
pub(super) fn all() -> Vec<(&'static str, Value)> {
    let mut rules = vec![(
        "",
        json!({
            "rule": format!("size(self.metadata.name) <= {NAME_LIMIT}"),
            "message": format!(
                "the name of a run has at most {NAME_LIMIT} characters, for the names of its pods are made from it"
            ),
        }),
    )];
    for (path, rule, message) in RULES {
        rules.push((path, json!({"rule": rule, "message": message})));
    }
    for field in FIXED {
        let message =
            format!("spec.{field} cannot be changed after the run was made: delete the run and make it anew");
        // On the spec, since a rule on a field that was not there before is not asked.
        let (new, old) = (format!("self.{field}"), format!("oldSelf.{field}"));
        let rule = format!("has({new}) == has({old}) && (!has({new}) || {new} == {old})");
        rules.push(("spec", json!({"rule": rule, "message": message})));
    }
    rules
}
