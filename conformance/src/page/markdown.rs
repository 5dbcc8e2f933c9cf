//! The page as Markdown: a summary, a table for each section, and what failed.

use super::{Column, Found, intro, words};
use crate::report::Verdict;
use crate::row::{self, Standing};

/// The whole page.
pub(super) fn page(columns: &[Column]) -> String {
    let mut text = format!("# OCI runtime compatibility\n\n{}\n\n", intro(columns));
    text +=
        "| runtime | proven ✓ | broken ✗ | open ? | without a case – |\n|---|--:|--:|--:|--:|\n";
    for column in columns {
        let of = |standing| column.count(standing);
        text += &format!(
            "| {} | {} | {} | {} | {} |\n",
            cell(&column.name),
            of(Standing::Proven),
            of(Standing::Broken),
            of(Standing::Open),
            of(Standing::Unproven)
        );
    }
    let mut section = "";
    for row in row::all() {
        if row.section != section {
            section = row.section;
            text += &format!("\n## {section}\n\n| row | level | ");
            for column in columns {
                text += &format!("{} | ", cell(&column.name));
            }
            text += &format!("\n|---|---|{}\n", ":-:|".repeat(columns.len()));
        }
        text += &format!("| **{}** {} | {} |", row.id, cell(row.text), row.level.word());
        for column in columns {
            text += &format!(" {} |", words(column.standing(row)).1);
        }
        text.push('\n');
    }
    for column in columns {
        text += &failures(column);
    }
    text
}

fn failures(column: &Column) -> String {
    let failed = |verdict| matches!(verdict, Verdict::Failed | Verdict::Known);
    let lines: Vec<String> = column
        .cases
        .values()
        .filter(|found| failed(found.case.verdict))
        .map(|Found { case, .. }| {
            let reason: String = case.reason.split_whitespace().collect::<Vec<_>>().join(" ");
            let short: String = reason.chars().take(300).collect();
            format!("- `{}`: {}\n", case.name, cell(&short))
        })
        .collect();
    if lines.is_empty() {
        return String::new();
    }
    format!("\n## What failed with {}\n\n{}", cell(&column.name), lines.concat())
}

/// What would be markup is shown as it is.
fn cell(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '|' | '<' | '>' | '*' | '_' | '`' | '[' | ']' | '\\' | '&') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::tests::columns;
    use super::*;

    #[test]
    fn every_table_line_has_as_many_cells_as_its_head() {
        let text = page(&columns());
        let cells = |line: &str| line.replace("\\|", "").matches('|').count();
        let mut width = 0;
        let mut rows = 0;
        for line in text.lines() {
            if !line.starts_with('|') {
                width = 0;
            } else if width == 0 {
                width = cells(line);
            } else {
                assert_eq!(cells(line), width, "{line}");
                rows += usize::from(line.starts_with("| **"));
            }
        }
        assert_eq!(rows, row::all().len());
        assert!(text.contains("| **process/cwd** The program starts in cwd. | MUST | ✓ | ✗ |"));
        assert!(text.contains("- `process/cwd`: got \"\\</script\\>\" "), "{text}");
    }
}
