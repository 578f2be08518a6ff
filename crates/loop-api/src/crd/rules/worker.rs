//! Rules of `LoopWorker`.

use serde_json::{Value, json};

use super::{AMOUNT, CAPABILITY, NAME, listed};
use crate::names::WORKER_LIMIT;

/// Labels with their keys, as Kubernetes takes them.
const LABELS: &str = "self.all(key, !format.qualifiedName().validate(key).hasValue() && \
    !format.labelValue().validate(self[key]).hasValue())";
/// The key of a label.
const KEY: &str = "!format.qualifiedName().validate(self).hasValue()";
/// The value of a label.
const VALUE: &str = "!format.labelValue().validate(self).hasValue()";
/// Amounts of resources.
const QUANTITIES: &str =
    "self.all(name, isQuantity(self[name]) && !quantity(self[name]).isLessThan(quantity('0')))";

/// Rule and message, by the path of what `self` is.
const RULES: &[(&str, &str, &str)] = &[
    (
        "spec.namespaceSelector.matchLabels",
        LABELS,
        "spec.namespaceSelector.matchLabels must be labels as a namespace can have them, such as team: backend",
    ),
    (
        "spec.namespaceSelector.matchExpressions[].key",
        KEY,
        "the key of a rule about labels must be one that a namespace can have, such as team or example.com/team",
    ),
    (
        "spec.namespaceSelector.matchExpressions[].values[]",
        VALUE,
        "the values of a rule about labels must be such as a namespace can have: letters, digits, '-', '_' and '.'",
    ),
    (
        "spec.namespaceSelector.matchExpressions[]",
        "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
        "a rule about labels has values with the operators In and NotIn, and none with Exists and DoesNotExist",
    ),
    (
        "spec.capabilities[]",
        CAPABILITY,
        "name a capability with lower case letters and digits, and '-', '_', '.' or '/' between them, for instance gpu",
    ),
    (
        "spec.defaults.nodeSelector",
        LABELS,
        "spec.defaults.nodeSelector must be labels as a node can have them, such as pool: agents",
    ),
    (
        "spec.defaults.tolerations[]",
        "has(self.key) || (has(self.operator) && self.operator == 'Exists')",
        "a toleration without a key tolerates every taint: name the key, or set its operator to Exists",
    ),
    (
        "spec.defaults.tolerations[]",
        "!has(self.operator) || self.operator != 'Exists' || !has(self.value)",
        "a toleration with the operator Exists has no value: leave the value out, or set the operator to Equal",
    ),
    (
        "spec.defaults.tolerations[]",
        "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
        "tolerationSeconds belongs to the effect NoExecute: set the effect, or leave the seconds out",
    ),
    (
        "spec.defaults.runtimeClassName",
        NAME,
        "spec.defaults.runtimeClassName must be the name of a RuntimeClass, such as gvisor",
    ),
    (
        "spec.defaults.resources.requests",
        QUANTITIES,
        "spec.defaults.resources.requests must be amounts, such as cpu: \"2\" and memory: 4Gi",
    ),
    (
        "spec.defaults.resources.limits",
        QUANTITIES,
        "spec.defaults.resources.limits must be amounts, such as cpu: \"2\" and memory: 4Gi",
    ),
    (
        "spec.policy.costUSD",
        AMOUNT,
        "spec.policy.costUSD must be an amount of US dollars in quotes, such as \"25\" or \"0.5\"",
    ),
    (
        "spec.policy.images[]",
        "self.matches('^[A-Za-z0-9*][A-Za-z0-9*._/:@-]*$')",
        "spec.policy.images must be images, in which * may stand for any text, such as registry.example/team-a/*",
    ),
    (
        "spec.policy.runtimeClassNames[]",
        NAME,
        "spec.policy.runtimeClassNames must be names of RuntimeClasses, such as gvisor",
    ),
    (
        "spec.budgets[]",
        "has(self.costUSD) || has(self.tokens)",
        "a budget limits something: give it costUSD, tokens or both",
    ),
    (
        "spec.budgets[].costUSD",
        AMOUNT,
        "the costUSD of a budget must be an amount of US dollars in quotes, such as \"100\" or \"0.5\"",
    ),
    (
        "spec.repositoryCache.claimName",
        NAME,
        "spec.repositoryCache.claimName must be the name of a claim, such as mirrors",
    ),
];

/// Every rule, by the path of the node it is put on.
pub(in crate::crd) fn all() -> Vec<(String, Value)> {
    let message =
        format!("the name of a worker has at most {WORKER_LIMIT} characters, for it is a label of its pods");
    let name = json!({"rule": format!("size(self.metadata.name) <= {WORKER_LIMIT}"), "message": message});
    let mut rules = vec![(String::new(), name)];
    rules.extend(listed(RULES));
    rules
}
