//! The most that runs of a worker may ask for, and may use together.

use serde::{Deserialize, Serialize};

/// The most that a run may ask for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Policy {
    /// US dollars, as a decimal text such as "25": the most for spec.limits.costUSD of a run, which then has to be said.
    /// Absent = no limit.
    #[serde(rename = "costUSD", skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<String>,
    /// Images that a run or its pod template may name, as they are written there; * stands for any text, as in
    /// registry.example/team-a/*. Empty = every image.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<String>,
    /// Runtime classes that a pod template may name. Empty = every class.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub runtime_class_names: Vec<String>,
}

/// What runs may use together in a time.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Budget {
    /// Whose use is added up.
    pub scope: BudgetScope,
    /// Length of the time in seconds; one ends, and the next begins.
    pub period_seconds: u32,
    /// US dollars, as a decimal text such as "100".
    #[serde(rename = "costUSD", skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<String>,
    /// Tokens of all kinds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
}

/// Whose use a budget adds up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub enum BudgetScope {
    /// That of all runs of the worker.
    #[default]
    Worker,
    /// That of the runs of each namespace.
    Namespace,
}

impl Policy {
    /// Whether a run may name this image.
    pub fn allows_image(&self, image: &str) -> bool {
        self.images.is_empty() || self.images.iter().any(|pattern| fits(pattern, image))
    }

    /// Whether a run may name this runtime class.
    pub fn allows_runtime_class(&self, name: &str) -> bool {
        self.runtime_class_names.is_empty() || self.runtime_class_names.iter().any(|allowed| allowed == name)
    }

    /// Whether a run may use so many dollars; one without a limit may use any number.
    pub fn allows_cost(&self, limit: Option<&str>) -> bool {
        let Some(most) = &self.cost_usd else { return true };
        limit.is_some_and(|limit| {
            billionths(limit).is_some_and(|limit| billionths(most).is_some_and(|most| limit <= most))
        })
    }
}

/// An amount such as `2.50` in billionths, exactly, as the definition bounds it: nine digits on each side.
fn billionths(amount: &str) -> Option<u64> {
    let (whole, part) = amount.split_once('.').unwrap_or((amount, "0"));
    let number = |digits: &str| if digits.len() <= 9 { digits.parse::<u64>().ok() } else { None };
    number(part)?;
    Some(number(whole)? * 1_000_000_000 + number(&format!("{part:0<9}"))?)
}

/// Whether a text fits a pattern in which `*` stands for any text.
fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            // The earliest place leaves the most for the parts after it.
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        let table = [
            ("registry.example/team/*", "registry.example/team/ci:7", true),
            ("registry.example/*", "registry.example.evil.test/ci", false),
            ("registry.example/ci", "registry.example/ci", true),
            ("registry.example/ci", "registry.example/ci:7", false),
            ("*", "", true),
            ("*/ci:*", "registry.example/ci:7", true),
            ("*ab", "aab", true),
            ("a*a", "a", false),
            ("a*b*c", "abbc", true),
            ("a*b*c", "acb", false),
            ("", "a", false),
        ];
        for (pattern, image, expected) in table {
            let policy = Policy { images: vec![pattern.into()], ..Policy::default() };
            assert_eq!(policy.allows_image(image), expected, "{pattern} {image}");
        }
        assert!(Policy::default().allows_image("any"));
    }

    #[test]
    fn amounts_are_compared_as_they_are_written() {
        let policy = Policy { cost_usd: Some("2.5".into()), ..Policy::default() };
        for limit in ["2.50", "0", "2.499999999"] {
            assert!(policy.allows_cost(Some(limit)), "{limit}");
        }
        for limit in ["2.500000001", "3", "999999999", "many", "-1", "", "1234567890"] {
            assert!(!policy.allows_cost(Some(limit)), "{limit}");
        }
        assert!(!policy.allows_cost(None), "without a limit it may use more");
        assert!(Policy::default().allows_cost(None));
    }
}
