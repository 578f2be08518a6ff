//! Whether the admission policies are in force that keep a sidecar to its own run. Without them no run is started.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy as Policy, ValidatingAdmissionPolicyBinding as Binding,
};
use kube::{Api, Client};

use crate::context::lock;

/// How long an answer counts: that all is there, and that something is missing.
const GOOD: Duration = Duration::from_secs(30);
const BAD: Duration = Duration::from_secs(10);

/// The policies, and what was last seen of them.
#[derive(Debug)]
pub(crate) struct Fence {
    /// Names, each of a policy and of its binding.
    names: Vec<String>,
    /// When they were asked for, and what was wrong with them.
    seen: Mutex<Option<(Instant, Option<String>)>>,
}

impl Fence {
    /// Of these policies, which have not been asked for yet.
    pub(crate) fn new(names: Vec<String>) -> Self {
        Self { names, seen: Mutex::default() }
    }

    /// Why no run may start, with the remedy; `None` when all policies are in force.
    pub(crate) async fn gap(&self, client: &Client) -> Result<Option<String>, kube::Error> {
        let now = Instant::now();
        if let Some((at, gap)) = self.last()
            && fresh(now - at, gap.is_some())
        {
            return Ok(gap);
        }
        let gap = match self.ask(client).await {
            // A role of an older chart does not know of them.
            Err(kube::Error::Api(status)) if status.code == 403 => Some(status.message.clone()),
            other => other?,
        };
        let gap = gap.map(|gap| {
            format!(
                "{gap}: the pod of a run could report about other runs, so none is started; install or upgrade the \
                 operator's chart, and this run goes on by itself"
            )
        });
        *lock(&self.seen) = Some((now, gap.clone()));
        Ok(gap)
    }

    /// Whether they were in force when they were last asked for.
    pub(crate) fn stood(&self) -> bool {
        self.last().is_some_and(|(_, gap)| gap.is_none())
    }

    fn last(&self) -> Option<(Instant, Option<String>)> {
        lock(&self.seen).clone()
    }

    async fn ask(&self, client: &Client) -> Result<Option<String>, kube::Error> {
        let policies: Api<Policy> = Api::all(client.clone());
        let bindings: Api<Binding> = Api::all(client.clone());
        for name in &self.names {
            let (policy, binding) = (policies.get_opt(name).await?, bindings.get_opt(name).await?);
            let gap = wrong(name, policy.as_ref(), binding.as_ref());
            if gap.is_some() {
                return Ok(gap);
            }
        }
        Ok(None)
    }
}

/// Whether an answer of this age still counts.
fn fresh(age: Duration, bad: bool) -> bool {
    age < if bad { BAD } else { GOOD }
}

/// What is wrong with a policy. What its rules say is the chart's; here it counts that they are applied.
fn wrong(name: &str, policy: Option<&Policy>, binding: Option<&Binding>) -> Option<String> {
    let Some(policy) = policy.and_then(|policy| policy.spec.as_ref()) else {
        return Some(format!("admission policy {name} is missing"));
    };
    if policy.failure_policy.as_deref().is_some_and(|policy| policy != "Fail") {
        return Some(format!("admission policy {name} lets pass what it cannot judge"));
    }
    let Some(binding) = binding.and_then(|binding| binding.spec.as_ref()) else {
        return Some(format!("the binding of admission policy {name} is missing"));
    };
    let denies = binding.validation_actions.iter().flatten().any(|action| action == "Deny");
    let all = binding.match_resources.is_none() && binding.param_ref.is_none();
    if binding.policy_name.as_deref() != Some(name) || !denies || !all {
        return Some(format!("the binding of admission policy {name} does not deny everywhere"));
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn policy(spec: &Value) -> Policy {
        serde_json::from_value(json!({"metadata": {}, "spec": spec})).expect("a policy")
    }

    fn binding(spec: &Value) -> Binding {
        serde_json::from_value(json!({"metadata": {}, "spec": spec})).expect("a binding")
    }

    #[test]
    fn a_policy_counts_when_it_denies_what_it_does_not_let_pass() {
        let (good, bound) = (policy(&json!({"failurePolicy": "Fail"})), |name: &str, action: &str| {
            binding(&json!({"policyName": name, "validationActions": [action]}))
        });
        assert_eq!(wrong("p", Some(&good), Some(&bound("p", "Deny"))), None);
        let said = |policy: Option<&Policy>, binding: Option<&Binding>| {
            wrong("p", policy, binding).expect("something is wrong")
        };
        assert_eq!(said(None, Some(&bound("p", "Deny"))), "admission policy p is missing");
        assert_eq!(said(Some(&good), None), "the binding of admission policy p is missing");
        let lax = policy(&json!({"failurePolicy": "Ignore"}));
        assert!(said(Some(&lax), Some(&bound("p", "Deny"))).contains("lets pass"));
        let narrow = json!({"policyName": "p", "validationActions": ["Deny"], "matchResources": {}});
        for other in [bound("p", "Warn"), bound("another", "Deny"), binding(&narrow)] {
            assert!(said(Some(&good), Some(&other)).contains("does not deny"));
        }
    }

    #[test]
    fn a_good_answer_counts_longer_than_a_bad_one() {
        let seconds = Duration::from_secs;
        assert!(fresh(seconds(29), false) && !fresh(seconds(30), false));
        assert!(fresh(seconds(9), true) && !fresh(seconds(10), true));
    }
}
