//! Aligned text tables: words to the left, numbers to the right.

use std::fmt;

/// How a column stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// A table that is laid out when it is shown.
#[derive(Debug)]
pub(crate) struct TextTable {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
}

impl TextTable {
    /// The first `words` columns hold words, the others numbers.
    pub(crate) fn new(columns: &[&str], words: usize) -> Self {
        let align = |i| if i < words { Align::Left } else { Align::Right };
        let columns = columns.iter().enumerate().map(|(i, c)| ((*c).to_owned(), align(i)));
        TextTable { columns: columns.collect(), rows: Vec::new() }
    }

    /// # Panics
    /// If `cells` are not as many as the columns.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        assert_eq!(cells.len(), self.columns.len(), "a cell for each column");
        self.rows.push(cells);
    }

    /// An empty line, to set groups apart.
    pub(crate) fn gap(&mut self) {
        if !self.rows.is_empty() {
            self.rows.push(Vec::new());
        }
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column));
        let head = &self.columns[column].0;
        cells.chain([head]).map(|cell| cell.chars().count()).max().unwrap_or(0)
    }
}

impl fmt::Display for TextTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths: Vec<usize> = (0..self.columns.len()).map(|c| self.width(c)).collect();
        let head: Vec<String> = self.columns.iter().map(|(name, _)| name.clone()).collect();
        let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
        for row in [&head, &rule].into_iter().chain(&self.rows) {
            let mut line = String::new();
            for ((cell, (_, align)), width) in row.iter().zip(&self.columns).zip(&widths) {
                line.push_str("  ");
                line.push_str(&match align {
                    Align::Left => format!("{cell:<width$}"),
                    Align::Right => format!("{cell:>width$}"),
                });
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = TextTable::new(&["subject", "ns"], 1);
        table.row(vec!["a".into(), "1.50".into()]);
        table.gap();
        table.row(vec!["much-longer".into(), "12".into()]);
        let expected = "  subject        ns\n  -----------  ----\n  a            1.50\n\n  \
                        much-longer    12\n";
        assert_eq!(table.to_string(), expected);
    }
}
