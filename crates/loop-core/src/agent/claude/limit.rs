//! When a usage limit resets, for the CLI's sentences about it.

use jiff::civil::Time;
use jiff::{Timestamp, ToSpan as _};

/// Epoch seconds at which a limit resets, from `... limit reached|1795374055`, or from a clock time in a zone such as
/// `resets 3:45pm (Europe/Berlin)`, of which the next one after `now_ms` is meant.
pub(in crate::agent) fn resets_at(message: &str, now_ms: i64) -> Option<i64> {
    if let Some((_, number)) = message.rsplit_once("limit reached|") {
        return number.trim().parse().ok();
    }
    let (_, rest) = message.split_once("resets ")?;
    let rest = rest.strip_prefix("at ").unwrap_or(rest);
    let (clock, rest) = rest.split_once('(')?;
    let (zone, _) = rest.split_once(')')?;
    let now = Timestamp::from_millisecond(now_ms).ok()?.in_tz(zone.trim()).ok()?;
    let mut at = now.with().time(time(clock.trim())?).build().ok()?;
    if at <= now {
        at = at.checked_add(1.day()).ok()?;
    }
    Some(at.timestamp().as_second())
}

/// `3pm`, `3:45 PM` or `15:45`.
fn time(text: &str) -> Option<Time> {
    let text = text.to_ascii_lowercase();
    let (digits, afternoon) = match (text.strip_suffix("am"), text.strip_suffix("pm")) {
        (Some(rest), _) => (rest, Some(false)),
        (_, Some(rest)) => (rest, Some(true)),
        _ => (text.as_str(), None),
    };
    let (hour, minute) = digits.trim().split_once(':').unwrap_or((digits.trim(), "0"));
    let (hour, minute): (i8, i8) = (hour.parse().ok()?, minute.parse().ok()?);
    let hour = match afternoon {
        Some(_) if !(1..=12).contains(&hour) => return None,
        Some(afternoon) => hour % 12 + if afternoon { 12 } else { 0 },
        None => hour,
    };
    Time::new(hour, minute, 0, 0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_time_is_the_next_one_in_its_zone() {
        // 2026-11-22 19:00 UTC, 14:00 in New York.
        let now = 1_795_374_000_000;
        let hour = 3600;
        let at = |text: &str| resets_at(text, now).map(|at| at - now / 1000);
        assert_eq!(at("You've hit your limit · resets 3pm (America/New_York)"), Some(hour));
        assert_eq!(at("limit · resets 12:30am (UTC)"), Some(5 * hour + 1800));
        assert_eq!(at("limit · resets 2:00pm (America/New_York)"), Some(24 * hour));
        assert_eq!(at("resets at 20:00 (UTC)"), Some(hour));
        assert_eq!(at("Claude AI usage limit reached|1795377600"), Some(hour));
        for odd in ["resets soon", "resets 25:00 (UTC)", "resets 13pm (UTC)", "resets 3pm (Mars/Base)", ""] {
            assert_eq!(at(odd), None, "{odd}");
        }
    }
}
