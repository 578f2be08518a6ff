//! Rules between fields, in the Common Expression Language; each message says what to write instead.

pub(super) mod run;
pub(super) mod worker;

use serde_json::{Value, json};

/// A name of an object in Kubernetes.
const NAME: &str = "self.matches('^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$')";
/// An amount of money.
const AMOUNT: &str = "self.matches('^[0-9]{1,9}([.][0-9]{1,9})?$')";
/// Something that a worker offers.
const CAPABILITY: &str = "self.matches('^[a-z0-9]([a-z0-9._/-]*[a-z0-9])?$')";

/// Rules of a table of paths, rules and messages.
fn listed(table: &[(&str, &str, &str)]) -> Vec<(String, Value)> {
    let entry = |(path, rule, message): &(&str, &str, &str)| {
        ((*path).to_owned(), json!({"rule": rule, "message": message}))
    };
    table.iter().map(entry).collect()
}
