//! Bounds of `LoopWorker`.

use super::{CAPABILITIES, CAPABILITY, COUNT, DAY, Tables};

pub(in crate::crd) const TABLES: Tables = Tables {
    required: &[
        ("spec.namespaceSelector.matchExpressions[]", &["key", "operator"]),
        ("spec.budgets[]", &["periodSeconds"]),
        ("spec.repositoryCache", &["claimName"]),
    ],
    maps: &[("status.conditions", "type")],
    sets: &["spec.capabilities", "spec.policy.images", "spec.policy.runtimeClassNames"],
    most: MOST,
    from_one: FROM_ONE,
};

const MOST: &[(&str, u64)] = &[
    ("spec.namespaceSelector.matchLabels", 16),
    ("spec.namespaceSelector.matchLabels{}", 63),
    ("spec.namespaceSelector.matchExpressions", 16),
    ("spec.namespaceSelector.matchExpressions[].key", 317),
    ("spec.namespaceSelector.matchExpressions[].values[]", 63),
    ("spec.slots", 10_000),
    ("spec.slotsPerNamespace", 10_000),
    ("spec.maxRunsPerWorkspace", 10_000),
    ("spec.capabilities", CAPABILITIES),
    ("spec.capabilities[]", CAPABILITY),
    ("spec.drain.deadlineSeconds", DAY),
    ("spec.leaseSeconds", DAY),
    ("spec.defaults.agent.image", 512),
    ("spec.defaults.nodeSelector", 16),
    ("spec.defaults.nodeSelector{}", 63),
    ("spec.defaults.tolerations", 16),
    ("spec.defaults.tolerations[].key", 317),
    ("spec.defaults.tolerations[].value", 63),
    ("spec.defaults.tolerations[].tolerationSeconds", COUNT),
    ("spec.defaults.runtimeClassName", 253),
    ("spec.defaults.resources.requests", 16),
    ("spec.defaults.resources.requests{}", 32),
    ("spec.defaults.resources.limits", 16),
    ("spec.defaults.resources.limits{}", 32),
    ("spec.policy.costUSD", 20),
    ("spec.policy.images[]", 512),
    ("spec.policy.runtimeClassNames[]", 253),
    ("spec.budgets", 8),
    ("spec.budgets[].periodSeconds", 366 * DAY),
    ("spec.budgets[].costUSD", 20),
    ("spec.repositoryCache.claimName", 253),
];

const FROM_ONE: &[&str] = &[
    "spec.namespaceSelector.matchExpressions[].key",
    "spec.slotsPerNamespace",
    "spec.maxRunsPerWorkspace",
    "spec.drain.deadlineSeconds",
    "spec.leaseSeconds",
    "spec.defaults.agent.image",
    "spec.defaults.runtimeClassName",
    "spec.policy.images[]",
    "spec.policy.runtimeClassNames[]",
    "spec.budgets[].periodSeconds",
    "spec.budgets[].tokens",
    "spec.repositoryCache.claimName",
];
