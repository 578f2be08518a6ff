//! Spec files as they are listed: title, status and date from their first lines (SP-2, SP-4..6).

/// Lines that are read of a spec.
const HEAD_LINES: usize = 20;

/// What the head of a spec says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecHead {
    /// File name.
    pub file: String,
    /// First `# ` heading, else the file's stem.
    pub title: String,
    /// Behind `**Status:**`.
    pub status: Option<String>,
    /// Behind `**Last Updated:**`, when it is a date of the form YYYY-MM-DD.
    pub date: Option<String>,
}

/// Whether a file of the specs folder is a spec: an index and notes are none (BUG-27).
pub fn is_spec(file: &str) -> bool {
    file.strip_suffix(".md").is_some()
        && !file.contains('/')
        && !["README.md", "LEARNINGS.md"].contains(&file)
}

impl SpecHead {
    /// Reads the head of a spec.
    pub fn read(file: &str, text: &str) -> Self {
        let lines: Vec<&str> = text.lines().take(HEAD_LINES).map(str::trim).collect();
        let behind = |mark: &str| {
            let value = lines.iter().find_map(|line| line.strip_prefix(mark))?.trim();
            Some(value.to_owned()).filter(|value| !value.is_empty())
        };
        let title = lines.iter().find_map(|line| line.strip_prefix("# ")).map(str::trim);
        Self {
            file: file.to_owned(),
            title: title.filter(|title| !title.is_empty()).unwrap_or(file.trim_end_matches(".md")).to_owned(),
            status: behind("**Status:**"),
            date: behind("**Last Updated:**").filter(|date| is_date(date)),
        }
    }

    /// One line for people (SP-6); what is absent is left out.
    pub fn line(&self) -> String {
        let status = self.status.as_ref().map(|status| format!("[{status}] ")).unwrap_or_default();
        let date = self.date.as_ref().map(|date| format!(" ({date})")).unwrap_or_default();
        format!("{status}{}{date} - {}", self.title, self.file)
    }
}

/// Newest first, then by title (SP-5); those without a date come last.
pub fn sort(heads: &mut [SpecHead]) {
    heads.sort_by(|one, other| other.date.cmp(&one.date).then_with(|| one.title.cmp(&other.title)));
}

fn is_date(text: &str) -> bool {
    jiff::civil::Date::strptime("%Y-%m-%d", text).is_ok() && text.len() == 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_gives_title_status_and_date_and_absent_parts_are_left_out() {
        let text = "# Login\n\n**Status:** Draft\n**Last Updated:** 2026-02-30\n";
        let head = SpecHead::read("login.md", text);
        assert_eq!(head.line(), "[Draft] Login - login.md", "the 30th of February is no date");
        let dated = SpecHead::read("a.md", "**Last Updated:** 2026-02-03\n");
        assert_eq!(dated.line(), "a (2026-02-03) - a.md");
        let late = format!("{}# Title\n", "\n".repeat(HEAD_LINES));
        assert_eq!(SpecHead::read("b.md", &late).title, "b", "only the first lines are read");
    }

    #[test]
    fn newest_come_first_and_bug_27_learnings_are_no_spec() {
        let head = |title: &str, date: &str| {
            SpecHead::read("x.md", &format!("# {title}\n**Last Updated:** {date}\n"))
        };
        let mut heads =
            [head("b", "2026-01-01"), head("z", "none"), head("a", "2026-01-01"), head("c", "2026-03-01")];
        sort(&mut heads);
        assert_eq!(heads.map(|head| head.title), ["c", "a", "b", "z"]);
        assert!(
            is_spec("login.md") && !is_spec("LEARNINGS.md") && !is_spec("README.md") && !is_spec("a/b.md")
        );
    }
}
