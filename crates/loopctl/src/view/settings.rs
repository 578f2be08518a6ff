//! Every setting with where it comes from.

use loop_core::config::keys::SECTIONS;
use loop_core::create::{Origin, Settings, Shown};

use super::clean;

/// The settings as a table under headings.
pub(crate) fn text(settings: &Settings) -> String {
    let rows: Vec<[String; 3]> = settings.values.iter().map(row).collect();
    let width = |at: usize, most: usize| {
        rows.iter().map(|row| row[at].chars().count()).filter(|width| *width <= most).max().unwrap_or(0)
    };
    let (key, value) = (width(0, 60), width(1, 44));
    let mut text = format!("configuration: {}\n", clean::line(&settings.read));
    for section in SECTIONS {
        text.push_str(&format!("\n{}\n", section.title));
        for (shown, [name, set, from]) in settings.values.iter().zip(&rows) {
            if section.keys.iter().any(|known| known.name == shown.key.name) {
                text.push_str(&format!("  {name:key$}  {set:value$}  {from}\n"));
            }
        }
    }
    text
}

fn row(shown: &Shown) -> [String; 3] {
    let value = match (&shown.value, &shown.origin) {
        (Some(value), _) => clean::line(value),
        (None, Origin::Default) => format!("({})", shown.key.otherwise),
        (None, _) => "(empty)".into(),
    };
    let from = match &shown.origin {
        Origin::Flag => "flag".into(),
        Origin::Manifest => "manifest".into(),
        Origin::File(place) => clean::line(&format!("{}:{}", place.file, place.line)),
        Origin::Default => "default".into(),
    };
    [shown.key.name.to_owned(), value, from]
}
