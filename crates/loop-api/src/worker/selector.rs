//! Namespaces by their labels, as Kubernetes' `LabelSelector` chooses them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A choice by labels: all of its parts must hold. Without any part it chooses everything.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct NamespaceSelector {
    /// Labels that a namespace has, with these values. Every namespace has kubernetes.io/metadata.name, its name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
    /// Rules about labels.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub match_expressions: Vec<LabelRule>,
}

/// A rule about one label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LabelRule {
    /// Its key.
    pub key: String,
    /// What must be so.
    pub operator: LabelRuleOperator,
    /// Values, for In and `NotIn`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

/// What a rule says of a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum LabelRuleOperator {
    /// It is there, with one of the values.
    In,
    /// It is not there, or has none of the values.
    NotIn,
    /// It is there.
    Exists,
    /// It is not there.
    DoesNotExist,
}

impl NamespaceSelector {
    /// Whether a namespace with these labels is chosen.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
            && self.match_expressions.iter().all(|rule| rule.holds(labels))
    }
}

impl LabelRule {
    fn holds(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&self.key);
        let listed = value.is_some_and(|value| self.values.contains(value));
        match self.operator {
            LabelRuleOperator::In => listed,
            LabelRuleOperator::NotIn => !listed,
            LabelRuleOperator::Exists => value.is_some(),
            LabelRuleOperator::DoesNotExist => value.is_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn namespaces_are_chosen_as_kubernetes_would() {
        let labels =
            BTreeMap::from([("team".to_owned(), "a".to_owned()), ("tier".to_owned(), "gold".to_owned())]);
        let rule = |operator: &str, key: &str, values: Value| json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]});
        let table = [
            (json!({}), true),
            (json!({"matchLabels": {"team": "a"}}), true),
            (json!({"matchLabels": {"team": "a", "tier": "gold"}}), true),
            (json!({"matchLabels": {"team": "b"}}), false),
            (json!({"matchLabels": {"stage": "a"}}), false),
            (rule("In", "team", json!(["b", "a"])), true),
            (rule("In", "stage", json!(["a"])), false),
            (rule("NotIn", "team", json!(["b"])), true),
            (rule("NotIn", "team", json!(["a"])), false),
            (rule("NotIn", "stage", json!(["a"])), true),
            (rule("Exists", "team", json!([])), true),
            (rule("Exists", "stage", json!([])), false),
            (rule("DoesNotExist", "stage", json!([])), true),
            (rule("DoesNotExist", "team", json!([])), false),
        ];
        for (selector, expected) in table {
            let chosen: NamespaceSelector = serde_json::from_value(selector.clone()).expect("a selector");
            assert_eq!(chosen.matches(&labels), expected, "{selector}");
        }
    }
}
