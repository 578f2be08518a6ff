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
    (
        "spec.checkpoint",
        "!has(self.volume) || (has(self.store) && self.store == 'Volume')",
        "spec.checkpoint.volume belongs to the store Volume: set spec.checkpoint.store to Volume, or leave the volume out",
    ),
    (
        "spec.checkpoint.volume.size",
        "isQuantity(self) && quantity(self).isGreaterThan(quantity('0'))",
        "spec.checkpoint.volume.size must be an amount of storage, such as 10Gi",
    ),
];

/// Rule and message for a change of the spec.
const CHANGES: &[(&str, &str)] = &[
    (
        "!has(oldSelf.retry) || (has(self.retry) && self.retry >= oldSelf.retry)",
        "spec.retry is only ever raised: each raise has an ended run go on once",
    ),
    (
        "!has(oldSelf.state) || oldSelf.state != 'Canceled' || (has(self.state) && self.state == 'Canceled') || \
         (has(self.retry) && (!has(oldSelf.retry) || self.retry > oldSelf.retry))",
        "a canceled run stays canceled: to have it go on, set spec.state to Running and raise spec.retry by one",
    ),
];

/// Parts of the spec that a run is made from, and that it therefore keeps.
const FIXED: [&str; 13] = [
    "repository",
    "task",
    "agent",
    "review",
    "gates",
    "protect",
    "loop",
    "worktree",
    "delivery",
    "postmortem",
    "artifacts",
    "checkpoint",
    "podTemplateRef",
];

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
    for (rule, message) in CHANGES {
        rules.push(("spec", json!({"rule": rule, "message": message})));
    }
    for field in FIXED {
        let message =
            format!("spec.{field} cannot be changed after the run was made: delete the run and make it anew");
        // On the spec, since a rule on a field that was not there before is not asked.
        // `loop` is a word of the language, and written like this there.
        let name = if field == "loop" { "__loop__" } else { field };
        let (new, old) = (format!("self.{name}"), format!("oldSelf.{name}"));
        let rule = format!("has({new}) == has({old}) && (!has({new}) || {new} == {old})");
        rules.push(("spec", json!({"rule": rule, "message": message})));
    }
    rules
}
