//! Rules of `LoopRun`.

use serde_json::{Value, json};

use super::{AMOUNT, CAPABILITY, NAME, listed};
use crate::names::NAME_LIMIT;

/// An address that git can clone from; other schemes would let a URL name a program to run (`ext::`).
const ADDRESS: &str = "self.matches('^(https?|ssh|git|file)://[^-].*$') || (!self.contains('://') && \
    self.matches('^([A-Za-z0-9_][A-Za-z0-9_.-]*@)?[A-Za-z0-9][A-Za-z0-9.-]*:[^:].*$'))";

/// A folder of a repository: no pattern, and nothing that leads out of it.
const FOLDER: &str = r#"!self.matches(r'(^|/)[.]{0,2}(/|$)') && !self.matches(r'[*?"\\\[[:cntrl:]]')"#;

/// Objects that name a bucket.
const BUCKETS: [&str; 2] = ["spec.checkpoint.s3", "spec.artifacts.s3"];

/// Fields of theirs, with rule and message.
const OF_A_BUCKET: &[(&str, &str, &str)] = &[
    (
        "bucket",
        "self.matches('^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$')",
        "must be the name of a bucket: 3 to 63 lower case letters, digits, '-' and '.'",
    ),
    (
        "prefix",
        "self.matches('^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$') && !self.matches('(^|/)[.][.]?(/|$)')",
        "must be a folder in the bucket, such as agentloop/team-a: names of letters, digits, '-', '_' and '.', with '/' \
         between them",
    ),
    (
        "endpoint",
        "self.matches('^https?://[A-Za-z0-9.:-]+(/[A-Za-z0-9._/-]*)?$')",
        "must be an https or http URL of the service without the bucket, a name or a password, such as \
         https://minio.example:9000",
    ),
    ("region", "self.matches('^[a-z0-9-]+$')", "must be the name of a region, such as eu-central-1"),
];

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
        "spec.repository.checkout.sparsePaths[]",
        FOLDER,
        "spec.repository.checkout.sparsePaths lists folders from the top of the repository, such as services/login: no \
         pattern, no '.' or '..', and no '/' before or behind",
    ),
    (
        "spec.repository",
        "has(self.volume) == self.url.startsWith('file:')",
        "spec.repository.volume names the claim with the repository of a file URL, and in a pod nothing else is behind \
         one: give both, or another URL and no volume",
    ),
    (
        "spec.repository",
        "!has(self.volume) || self.url.matches(r'^file:///repository(/[A-Za-z0-9_][A-Za-z0-9._-]*)+$')",
        "with spec.repository.volume, spec.repository.url is file:///repository/NAME, where NAME on the claim is a bare \
         repository or a bundle, such as app.git or app.bundle",
    ),
    (
        "spec.repository",
        "!has(self.volume) || !has(self.secretRef)",
        "spec.repository.secretRef is for a remote: leave it out, for a repository on a claim needs no credential",
    ),
    (
        "spec.repository.volume.claimName",
        NAME,
        "spec.repository.volume.claimName must be the name of a claim, such as sources",
    ),
    (
        "spec",
        "!has(self.agent) || !has(self.agent.secretRef) || !has(self.repository.secretRef) || \
         self.agent.secretRef.name != self.repository.secretRef.name",
        "spec.agent.secretRef names the Secret of the repository, by which the agent could push: put the credential of the \
         model into a Secret of its own",
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
        AMOUNT,
        "spec.limits.costUSD must be an amount of US dollars in quotes, such as \"25\" or \"0.5\"",
    ),
    (
        "spec.checkpoint",
        "!has(self.volume) || (has(self.store) && self.store == 'Volume')",
        "spec.checkpoint.volume belongs to the store Volume: set spec.checkpoint.store to Volume, or leave the volume out",
    ),
    (
        "spec.checkpoint",
        "(has(self.store) && self.store == 'S3') == has(self.s3)",
        "spec.checkpoint.s3 names the bucket of the store S3, and belongs to that store alone: give both, store: S3 and \
         s3: {bucket: NAME}, or neither",
    ),
    (
        "spec.artifacts",
        "(has(self.store) && self.store == 'S3') == has(self.s3)",
        "spec.artifacts.s3 names the bucket of the store S3, and belongs to that store alone: give both, store: S3 and \
         s3: {bucket: NAME}, or neither",
    ),
    (
        "spec.artifacts",
        "(has(self.store) && self.store == 'Volume') == has(self.volume)",
        "spec.artifacts.volume names the claim of the store Volume, and belongs to that store alone: give both, store: \
         Volume and volume: {claimName: NAME}, or neither",
    ),
    (
        "spec.artifacts.volume.claimName",
        NAME,
        "spec.artifacts.volume.claimName must be the name of a claim, such as records",
    ),
    (
        "spec.requires[]",
        CAPABILITY,
        "name what a run requires as a LoopWorker offers it: lower case letters and digits, with '-', '_', '.' or '/' between \
         them, for instance gpu",
    ),
    (
        "spec.checkpoint.volume.size",
        "isQuantity(self) && quantity(self).isGreaterThan(quantity('0'))",
        "spec.checkpoint.volume.size must be an amount of storage, such as 10Gi",
    ),
];

/// Rule and message for the whole object: whose priority may change, and when.
const PRIORITY: (&str, &str) = (
    "(has(self.spec.priority) ? self.spec.priority : 0) == (has(oldSelf.spec.priority) ? oldSelf.spec.priority : 0) || \
     !has(oldSelf.status) || !has(oldSelf.status.phase) || \
     !(oldSelf.status.phase in ['Completed', 'Failed', 'Canceled']) || \
     (has(self.spec.retry) ? self.spec.retry : 0) > (has(oldSelf.spec.retry) ? oldSelf.spec.retry : 0)",
    "spec.priority no longer matters to a run that has ended: change it together with a raise of spec.retry, which has the \
     run go on",
);

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
const FIXED: [&str; 15] = [
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
    "workerRef",
    "requires",
];

/// Every rule, by the path of the node it is put on.
pub(in crate::crd) fn all() -> Vec<(String, Value)> {
    let mut rules = vec![(
        String::new(),
        json!({
            "rule": format!("size(self.metadata.name) <= {NAME_LIMIT}"),
            "message": format!(
                "the name of a run has at most {NAME_LIMIT} characters, for the names of its pods are made from it"
            ),
        }),
    )];
    rules.push((String::new(), json!({"rule": PRIORITY.0, "message": PRIORITY.1})));
    rules.extend(listed(RULES));
    for bucket in BUCKETS {
        for (field, rule, message) in OF_A_BUCKET {
            let path = format!("{bucket}.{field}");
            let message = format!("{path} {message}");
            rules.push((path, json!({"rule": rule, "message": message})));
        }
    }
    for (rule, message) in CHANGES {
        rules.push(("spec".into(), json!({"rule": rule, "message": message})));
    }
    for field in FIXED {
        let message =
            format!("spec.{field} cannot be changed after the run was made: delete the run and make it anew");
        // On the spec, since a rule on a field that was not there before is not asked.
        // `loop` is a word of the language, and written like this there.
        let name = if field == "loop" { "__loop__" } else { field };
        let (new, old) = (format!("self.{name}"), format!("oldSelf.{name}"));
        let rule = format!("has({new}) == has({old}) && (!has({new}) || {new} == {old})");
        rules.push(("spec".into(), json!({"rule": rule, "message": message})));
    }
    rules
}
