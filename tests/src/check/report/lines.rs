//! A page of Markdown as sections of lines.

use crate::check::words::unquoted;

/// A section; a line stands in it in several forms.
#[derive(Default)]
pub(super) struct Section {
    pub(super) title: String,
    /// Items without their dash, and rows of tables with their cells; quoted parts as they are.
    pub(super) lines: Vec<String>,
    /// Items without their dash and without their quoted parts.
    pub(super) items: Vec<String>,
    /// Numbered lines without their quoted parts.
    pub(super) own: Vec<String>,
    /// The quoted parts of items and numbered lines.
    pub(super) parts: Vec<Vec<String>>,
}

/// Reads a page, and says which of its lines have a number that is in no item and no row, or markup of their own.
pub(super) fn parse(page: &str) -> (Vec<Section>, Vec<String>) {
    let mut sections: Vec<Section> = Vec::new();
    let mut wrong = Vec::new();
    let mut table = 0;
    for line in page.lines() {
        let (all, own, parts) = unquoted(line);
        table = if line.starts_with('|') { table + 1 } else { 0 };
        let named = own.contains("](") && !own.contains("](analysis/") && !is_file_link(&own);
        if own.contains('<') || named {
            wrong.push(format!("report.md: markup outside of quotations in {line:?}"));
        }
        if line.starts_with("# ") || line.starts_with("## ") {
            let title = all.strip_prefix("## ").unwrap_or(&all).to_owned();
            sections.push(Section { title, ..Section::default() });
            continue;
        }
        let Some(section) = sections.last_mut() else { continue };
        if let Some(item) = all.strip_prefix("- ") {
            section.lines.push(item.to_owned());
            section.items.push(own.trim_start_matches("- ").to_owned());
            section.parts.push(parts);
        } else if table > 2 {
            section.lines.push(all.trim_matches(['|', ' ']).to_owned());
        } else if own.starts_with(|sign: char| sign.is_ascii_digit()) {
            section.own.push(own);
            section.parts.push(parts);
        } else if own.contains(|sign: char| sign.is_ascii_digit()) {
            wrong.push(format!("report.md: a number outside of items and tables in {line:?}"));
        }
    }
    (sections, wrong)
}

/// Links to files of the record are all that the page may have: `[](NAME)` once the quoted name is cut out.
fn is_file_link(own: &str) -> bool {
    own.split("](").skip(1).all(|rest| {
        let target = rest.split(')').next().unwrap_or_default();
        !target.is_empty()
            && target.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte))
    })
}
