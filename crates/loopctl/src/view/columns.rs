//! Tables in the manner of kubectl: no borders, columns by content; on a terminal no wider than it is.

use console::{measure_text_width, truncate_str};

/// Between two columns.
const GAP: usize = 3;
/// Narrowest that a column which can give way is made before it is left out.
const NARROW: usize = 10;

/// Columns by content that never get narrower again, so that rows which come later stand below those before.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    widths: Vec<usize>,
}

impl Columns {
    /// Rows as lines. With a width, columns of `yielding` titles (the first row's, the least wanted first) are narrowed
    /// and left out until the rest fits; then the widest give way. Without one nothing is cut.
    pub(crate) fn lines(
        &mut self,
        mut rows: Vec<Vec<String>>,
        width: Option<usize>,
        yielding: &[&str],
    ) -> Vec<String> {
        let measured = measure(&rows);
        self.widths.resize(measured.len(), 0);
        for (kept, new) in self.widths.iter_mut().zip(measured) {
            *kept = new.max(*kept);
        }
        let mut widths = self.widths.clone();
        if let Some(width) = width {
            fit(&mut rows, &mut widths, width, yielding);
        }
        rows.iter().map(|row| line(row, &widths)).collect()
    }
}

/// A table that is printed once.
pub(crate) fn table(rows: Vec<Vec<String>>, width: Option<usize>, yielding: &[&str]) -> String {
    Columns::default().lines(rows, width, yielding).iter().map(|line| format!("{line}\n")).collect()
}

fn measure(rows: &[Vec<String>]) -> Vec<usize> {
    let columns = rows.first().map_or(0, Vec::len);
    (0..columns).map(|at| rows.iter().map(|row| measure_text_width(&row[at])).max().unwrap_or(0)).collect()
}

fn fit(rows: &mut [Vec<String>], widths: &mut Vec<usize>, width: usize, yielding: &[&str]) {
    let excess =
        |widths: &[usize]| (widths.iter().sum::<usize>() + GAP * (widths.len() - 1)).saturating_sub(width);
    for title in yielding {
        let over = excess(widths);
        let Some(at) = rows[0].iter().position(|cell| cell == title).filter(|_| over > 0) else { continue };
        if widths[at] >= over + NARROW.max(measure_text_width(title)) {
            widths[at] -= over;
        } else {
            widths.remove(at);
            for row in &mut *rows {
                row.remove(at);
            }
        }
    }
    // Last of all the widest give way, as long as something of them is left.
    loop {
        let over = excess(widths);
        let Some(widest) = widths.iter_mut().max().filter(|widest| over > 0 && **widest > NARROW) else {
            return;
        };
        *widest -= 1;
    }
}

fn line(row: &[String], widths: &[usize]) -> String {
    let mut text = String::new();
    for (at, (cell, width)) in row.iter().zip(widths).enumerate() {
        let cell = if measure_text_width(cell) > *width {
            truncate_str(cell, *width, "\u{2026}")
        } else {
            cell.into()
        };
        text.push_str(&cell);
        let blanks = width.saturating_sub(measure_text_width(&cell)) + GAP;
        text.extend(std::iter::repeat_n(' ', if at + 1 == row.len() { 0 } else { blanks }));
    }
    text.truncate(text.trim_end().len());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Vec<String>> {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        vec![
            row(["NAME", "REASON", "PHASE"]),
            row(["files-12345", "a reason that goes on", "Failed"]),
            row(["\u{6587}\u{5b57}", "-", "Running"]),
        ]
    }

    #[test]
    fn without_a_width_nothing_is_cut() {
        let text = table(rows(), None, &["REASON"]);
        assert_eq!(
            text,
            "NAME          REASON                  PHASE\nfiles-12345   a reason that goes on   Failed\n\
             \u{6587}\u{5b57}          -                       Running\n"
        );
    }

    #[test]
    fn a_column_is_narrowed_then_left_out_and_then_the_widest_gives_way() {
        let narrowed = table(rows(), Some(40), &["REASON"]);
        assert!(narrowed.contains("files-12345   a reason that g\u{2026}   Failed\n"), "{narrowed}");
        let left_out = table(rows(), Some(25), &["REASON"]);
        assert!(left_out.starts_with("NAME          PHASE\nfiles-12345   Failed\n"), "{left_out}");
        let last = table(rows(), Some(20), &["REASON"]);
        assert!(last.contains("\nfiles-123\u{2026}   Failed\n"), "{last}");
        for text in [narrowed, left_out, last] {
            assert!(text.lines().all(|line| measure_text_width(line) <= 40), "{text}");
        }
    }

    #[test]
    fn rows_that_come_later_stand_below_those_before() {
        let mut columns = Columns::default();
        columns.lines(rows(), None, &[]);
        let later = columns.lines(vec![["a", "b", "c"].map(str::to_owned).to_vec()], None, &[]);
        assert_eq!(later, ["a             b                       c"]);
    }
}
