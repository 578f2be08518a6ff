//! When a usage limit resets, for the CLI's sentences about it.

use jiff::civil::{DateTime, Time};
use jiff::{Timestamp, ToSpan as _};

/// Words that stand before a time.
const BEFORE: [&str; 3] = ["resets at ", "reset at ", "resets "];
const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// Epoch seconds at which a limit resets, from `... limit reached|1795374055`, or from a time in a zone such as
/// `resets 3:45pm (Europe/Berlin)` or `resets Nov 26, 7:29pm (UTC)`, of which the next one after `now_ms` is meant.
///
/// The CLI leaves the seconds out, so the end of the minute is taken: who comes earlier is refused with the same words.
pub(in crate::agent) fn resets_at(message: &str, now_ms: i64) -> Option<i64> {
    if let Some((_, number)) = message.rsplit_once("limit reached|") {
        return number.trim().parse().ok();
    }
    let (_, rest) = BEFORE.iter().find_map(|words| message.split_once(words))?;
    let (said, rest) = rest.split_once('(')?;
    let (zone, _) = rest.split_once(')')?;
    let now = Timestamp::from_millisecond(now_ms).ok()?.in_tz(zone.trim()).ok()?;
    let (day, clock) = said.rsplit_once(',').map_or((None, said), |(day, clock)| (Some(day), clock));
    let time = time(clock.trim())?;
    let at = |moment: DateTime| Some(moment.in_tz(zone.trim()).ok()?.timestamp().as_second() + 60);
    let Some(day) = day else {
        let today = now.date().to_datetime(time);
        let next = at(today)?;
        return if next > now.timestamp().as_second() {
            Some(next)
        } else {
            at(today.checked_add(1.day()).ok()?)
        };
    };
    let (day, year) = day.split_once(',').map_or((day, None), |(day, year)| (day, Some(year)));
    let (month, day) = day.trim().split_once(' ')?;
    let month = MONTHS.iter().position(|name| month.to_ascii_lowercase().starts_with(name))?;
    let year = year.map_or(Some(now.year()), |year| year.trim().parse().ok())?;
    at(DateTime::new(
        year,
        i8::try_from(month + 1).ok()?,
        day.trim().parse().ok()?,
        time.hour(),
        time.minute(),
        0,
        0,
    )
    .ok()?)
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

    // 2026-11-22 19:00 UTC, 14:00 in New York.
    const NOW: i64 = 1_795_374_000;

    #[test]
    fn a_clock_time_is_the_next_one_in_its_zone() {
        let minute = 60;
        let hour = 60 * minute;
        let at = |text: &str| resets_at(text, NOW * 1000).map(|at| at - NOW);
        assert_eq!(at("You've hit your limit · resets 3pm (America/New_York)"), Some(hour + minute));
        assert_eq!(at("limit · resets 12:30am (UTC)"), Some(5 * hour + 31 * minute));
        assert_eq!(at("limit · resets 1:59pm (America/New_York)"), Some(24 * hour));
        assert_eq!(at("resets at 20:00 (UTC)"), Some(hour + minute));
        assert_eq!(at("Your limit will reset at 8pm (UTC)."), Some(hour + minute));
        assert_eq!(at("Claude AI usage limit reached|1795377600"), Some(hour));
        assert_eq!(at("weekly limit · resets Nov 26, 7:29pm (UTC)"), Some(4 * 24 * hour + 30 * minute));
        assert_eq!(at("weekly limit · resets Jan 2, 2027, 7pm (UTC)"), Some(41 * 24 * hour + minute));
        let odd = [
            "resets soon",
            "resets 25:00 (UTC)",
            "resets 13pm (UTC)",
            "resets 3pm (Mars/Base)",
            "resets ,",
            "",
        ];
        for odd in
            odd.into_iter().chain(["resets Foo 3, 3pm (UTC)", "resets Nov 31, 3pm (UTC)", "resets (UTC)"])
        {
            assert_eq!(at(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_time_in_the_minute_that_runs_is_not_tomorrow() {
        let at = |text: &str, now: i64| resets_at(text, now * 1000).map(|at| at - now);
        assert_eq!(at("resets 2pm (America/New_York)", NOW), Some(60));
        assert_eq!(at("resets 2pm (America/New_York)", NOW + 59), Some(1));
        assert_eq!(at("resets 2pm (America/New_York)", NOW + 60), Some(24 * 3600));
    }
}
