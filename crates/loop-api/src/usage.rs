//! What agents used: tokens by model, and cost.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Tokens of one model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Tokens {
    /// Input that was neither read from a cache nor written to one.
    pub input: u64,
    /// Output, reasoning included.
    pub output: u64,
    /// Input that was read from a cache.
    pub cache_read: u64,
    /// Input that was written to a cache.
    pub cache_write: u64,
}

impl Tokens {
    /// All of them.
    pub fn total(self) -> u64 {
        [self.output, self.cache_read, self.cache_write].into_iter().fold(self.input, u64::saturating_add)
    }

    /// Adds others.
    pub fn add(&mut self, other: Self) {
        for (mine, theirs) in [
            (&mut self.input, other.input),
            (&mut self.output, other.output),
            (&mut self.cache_read, other.cache_read),
            (&mut self.cache_write, other.cache_write),
        ] {
            *mine = mine.saturating_add(theirs);
        }
    }
}

/// What one or more processes of an agent used, by their own word (`source: reported`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// By model, as the CLI names it.
    pub models: BTreeMap<String, Tokens>,
    /// Cost in billionths of a US dollar, as far as it was reported.
    pub cost_nano_usd: u64,
    /// Processes that ended before they said what they used: there is more than the numbers here.
    pub incomplete: u32,
}

impl Usage {
    /// Tokens of all models.
    pub fn tokens(&self) -> Tokens {
        let mut sum = Tokens::default();
        self.models.values().for_each(|tokens| sum.add(*tokens));
        sum
    }

    /// Adds what other processes used.
    pub fn add(&mut self, other: &Self) {
        for (model, tokens) in &other.models {
            self.models.entry(model.clone()).or_default().add(*tokens);
        }
        self.cost_nano_usd = self.cost_nano_usd.saturating_add(other.cost_nano_usd);
        self.incomplete = self.incomplete.saturating_add(other.incomplete);
    }

    /// Whether nothing was reported at all.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The cost in US dollars as a decimal text without trailing zeros, for instance `0.00185`.
    pub fn cost_usd(&self) -> String {
        usd(self.cost_nano_usd)
    }
}

/// Billionths of a US dollar as dollars, without trailing zeros.
pub fn usd(nanos: u64) -> String {
    let text = format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Reads an amount of US dollars such as `25` or `0.5` as billionths; `None` for anything else.
pub fn nanos(usd: &str) -> Option<u64> {
    let (whole, part) = usd.split_once('.').unwrap_or((usd, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(part) || part.len() > 9 || usd.ends_with('.') {
        return None;
    }
    let part: u64 = format!("{part:0<9}").parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(1_000_000_000)?.checked_add(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_as_they_are_read() {
        for text in ["0", "25", "0.5", "0.00185", "0.000000001", "18.446744073"] {
            assert_eq!(nanos(text).map(usd).as_deref(), Some(text));
        }
        for wrong in ["", ".", "1.", ".5", "-1", "1e3", "1.0000000001", "99999999999999", " 1", "1,5"] {
            assert_eq!(nanos(wrong), None, "{wrong}");
        }
        assert_eq!(usd(nanos("2.50").unwrap_or_default()), "2.5");
    }

    #[test]
    fn sums_are_by_model() {
        let one = |model: &str, input| Usage {
            models: [(model.to_owned(), Tokens { input, output: 1, ..Tokens::default() })].into(),
            cost_nano_usd: 5,
            incomplete: 0,
        };
        let mut sum = one("a", 1);
        sum.add(&one("b", 2));
        sum.add(&one("a", u64::MAX));
        assert_eq!(sum.models.len(), 2);
        assert_eq!(sum.models["a"].input, u64::MAX);
        assert_eq!((sum.cost_nano_usd, sum.tokens().output), (15, 3));
    }
}
