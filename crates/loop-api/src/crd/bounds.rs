//! How long, how many and how much: every text, list and number of the resource has an end.

use serde_json::{Map, Value, json};

/// Fields that a user has to give, by the path of their object.
pub(super) const REQUIRED: &[(&str, &[&str])] = &[
    ("spec", &["repository", "task"]),
    ("spec.repository", &["url"]),
    ("spec.checkpoint.s3", &["bucket"]),
    ("spec.artifacts.s3", &["bucket"]),
    ("spec.artifacts.volume", &["claimName"]),
    ("spec.repository.volume", &["claimName"]),
];

/// Lists whose items are known by one of their fields.
pub(super) const MAPS: &[(&str, &str)] = &[("spec.gates", "name"), ("status.conditions", "type")];

/// The most characters of a text that the tables do not name.
const TEXT: u64 = 1024;
/// The most items of a list that the tables do not name.
const ITEMS: u64 = 64;
/// The greatest number of 32 bits that a client of any language can hold.
const COUNT: u64 = 2_147_483_647;
/// The greatest whole number that JSON carries exactly.
const AMOUNT: u64 = 9_007_199_254_740_991;
/// A day in seconds, the most that any time limit allows.
const DAY: u64 = 86_400;

/// Characters, items or amounts at most, where the general limit does not fit.
const MOST: &[(&str, u64)] = &[
    ("spec.repository.url", 2048),
    ("spec.repository.ref", 255),
    ("spec.repository.secretRef.name", 253),
    ("spec.repository.checkout.sparsePaths[]", 256),
    ("spec.repository.volume.claimName", 253),
    ("spec.task.prompt", 16_384),
    ("spec.agent.adapter", 63),
    ("spec.agent.model", 255),
    ("spec.agent.image", 512),
    ("spec.agent.secretRef.name", 253),
    ("spec.review.adapter", 63),
    ("spec.review.model", 255),
    ("spec.postmortem.model", 255),
    ("spec.gates", 32),
    ("spec.gates[].name", 63),
    ("spec.gates[].run", 4096),
    ("spec.gates[].timeoutSeconds", DAY),
    ("spec.protect.paths[]", 256),
    ("spec.protect.allow[]", 256),
    ("spec.loop.iterations", 1000),
    ("spec.loop.retries", 100),
    ("spec.loop.retryBackoffSeconds", DAY),
    ("spec.loop.maxRewrites", 1000),
    ("spec.loop.maxConsecutiveVerificationFailures", 1000),
    ("spec.loop.maxConsecutiveReviewFailures", 1000),
    ("spec.limits.activeDeadlineSeconds", DAY),
    ("spec.limits.agentStepSeconds", DAY),
    ("spec.limits.agentIdleSeconds", DAY),
    ("spec.limits.agentStartSeconds", DAY),
    ("spec.limits.agentExitSeconds", DAY),
    ("spec.limits.costUSD", 20),
    ("spec.worktree.runBranchPrefix", 100),
    ("spec.delivery.targetBranch", 255),
    ("spec.checkpoint.volume.size", 32),
    ("spec.checkpoint.volume.storageClassName", 253),
    ("spec.podTemplateRef.name", 253),
    ("spec.checkpoint.s3.bucket", 63),
    ("spec.checkpoint.s3.prefix", 255),
    ("spec.checkpoint.s3.endpoint", 512),
    ("spec.checkpoint.s3.region", 63),
    ("spec.checkpoint.s3.secretRef.name", 253),
    ("spec.artifacts.s3.bucket", 63),
    ("spec.artifacts.s3.prefix", 255),
    ("spec.artifacts.s3.endpoint", 512),
    ("spec.artifacts.s3.region", 63),
    ("spec.artifacts.s3.secretRef.name", 253),
    ("spec.artifacts.volume.claimName", 253),
    ("spec.retry", 1000),
    ("spec.ttlSecondsAfterFinished", COUNT),
    ("status.conditions", 16),
    ("status.conditions[].type", 63),
    ("status.conditions[].status", 7),
    ("status.conditions[].reason", 128),
    ("status.conditions[].message", 4096),
    ("status.conditions[].lastTransitionTime", 40),
    ("status.podName", 253),
    ("status.podUID", 64),
    ("status.checkpoint.ref", 1024),
    ("status.checkpoint.commit", 64),
    ("status.startTime", 40),
    ("status.completionTime", 40),
    ("status.progress.lastEventTime", 40),
    ("status.progress.step", 63),
    ("status.usage.costUSD", 40),
    ("status.usage.source", 63),
    ("status.result.exitReason", 63),
    ("status.result.message", 4096),
    ("status.postmortem.message", 4096),
    ("status.postmortem.reports", 16),
    ("status.steps", 10),
];

/// Texts that may not be empty, and numbers that start at 1.
const FROM_ONE: &[&str] = &[
    "spec.repository.url",
    "spec.repository.secretRef.name",
    "spec.repository.checkout.sparsePaths[]",
    "spec.repository.volume.claimName",
    "spec.task.specPath",
    "spec.task.planPath",
    "spec.task.prompt",
    "spec.agent.model",
    "spec.agent.image",
    "spec.agent.secretRef.name",
    "spec.review.model",
    "spec.postmortem.model",
    "spec.gates[].name",
    "spec.gates[].run",
    "spec.checkpoint.volume.size",
    "spec.podTemplateRef.name",
    "spec.checkpoint.s3.secretRef.name",
    "spec.artifacts.s3.secretRef.name",
    "spec.artifacts.volume.claimName",
    "spec.loop.iterations",
    "spec.limits.activeDeadlineSeconds",
    "spec.limits.tokens",
];

/// Bounds one node of the schema.
pub(super) fn bound(fields: &mut Map<String, Value>, path: &str) {
    let named = MOST.iter().find(|(name, _)| *name == path).map(|(_, most)| *most);
    let least = u64::from(FROM_ONE.contains(&path));
    match kind(fields).as_deref() {
        Some("string") if !fields.contains_key("enum") => {
            fields.insert("maxLength".into(), json!(named.unwrap_or(TEXT)));
            if least > 0 {
                fields.insert("minLength".into(), json!(least));
            }
        }
        Some("array") => {
            fields.insert("maxItems".into(), json!(named.unwrap_or(ITEMS)));
        }
        Some("integer") => number(fields, named, least),
        _ => {}
    }
}

/// A server knows no unsigned formats and warns of them.
fn number(fields: &mut Map<String, Value>, named: Option<u64>, least: u64) {
    let format = fields.get("format").and_then(Value::as_str).unwrap_or_default();
    let signed = !format.starts_with('u');
    let most = named.unwrap_or(if format.ends_with("32") { COUNT } else { AMOUNT });
    if signed {
        fields.insert("minimum".into(), json!(-(AMOUNT.min(most) as i64)));
    } else {
        fields.insert("minimum".into(), json!(least));
        fields.insert("format".into(), json!("int64"));
    }
    fields.insert("maximum".into(), json!(most));
}

fn kind(fields: &Map<String, Value>) -> Option<String> {
    fields.get("type").and_then(Value::as_str).map(str::to_owned)
}

/// The paths that the tables name, for a test that each of them exists.
#[cfg(test)]
pub(super) fn named() -> impl Iterator<Item = &'static str> {
    let most = MOST.iter().map(|(path, _)| *path);
    most.chain(FROM_ONE.iter().copied())
        .chain(REQUIRED.iter().map(|(path, _)| *path))
        .chain(MAPS.iter().map(|(path, _)| *path))
}
