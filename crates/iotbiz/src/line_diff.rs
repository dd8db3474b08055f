//! Two texts line by line, as people read a change.
//!
//! *Invariant:* the lines with ' ' and '-' are the old text in order, those with ' ' and '+' the
//! new one, apart from equal lines far from a change, which are left out.

use std::fmt::Write as _;

/// Equal lines shown around a change.
const CONTEXT: usize = 2;
/// Cells of the table of common lines; beyond it a part is shown as replaced whole.
const CELLS_MAX: usize = 4_000_000;

/// What became of a line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line<'a> {
    Both(&'a str),
    Old(&'a str),
    New(&'a str),
}

/// The changed lines with their neighbours; empty when the texts are equal.
pub(crate) fn line_diff(old: &str, new: &str) -> String {
    let lines = compared(&old.lines().collect::<Vec<_>>(), &new.lines().collect::<Vec<_>>());
    let changed = |line: &Line<'_>| !matches!(line, Line::Both(_));
    let near = |n: usize| {
        let from = n.saturating_sub(CONTEXT);
        lines.iter().skip(from).take(n - from + CONTEXT + 1).any(changed)
    };
    let mut out = String::new();
    let (mut number, mut shown) = (0, false);
    for (n, line) in lines.iter().enumerate() {
        number += usize::from(!matches!(line, Line::Old(_)));
        if !near(n) {
            shown = false;
            continue;
        }
        if !shown {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "@@ line {} @@", number.max(1));
        }
        shown = true;
        let (sign, text) = match line {
            Line::Both(text) => (' ', text),
            Line::Old(text) => ('-', text),
            Line::New(text) => ('+', text),
        };
        let _ = writeln!(out, "{}", format!("{sign} {text}").trim_end());
    }
    out
}

fn compared<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Line<'a>> {
    let start = old.iter().zip(new).take_while(|(one, two)| one == two).count();
    let most = old.len().min(new.len()) - start;
    let end = old.iter().rev().zip(new.iter().rev()).take(most);
    let end = end.take_while(|(one, two)| one == two).count();
    let part = |lines: &[&'a str]| {
        lines.iter().skip(start).take(lines.len() - start - end).copied().collect::<Vec<_>>()
    };
    let mut lines: Vec<_> = old.iter().take(start).map(|line| Line::Both(line)).collect();
    lines.extend(middle(&part(old), &part(new)));
    lines.extend(old.iter().skip(old.len() - end).map(|line| Line::Both(line)));
    lines
}

/// By the longest row of lines that both have.
fn middle<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Line<'a>> {
    let (rows, columns) = (old.len(), new.len());
    if rows.saturating_mul(columns) > CELLS_MAX {
        let gone = old.iter().map(|line| Line::Old(line));
        return gone.chain(new.iter().map(|line| Line::New(line))).collect();
    }
    let width = columns + 1;
    let mut common = vec![0_u32; (rows + 1) * width];
    for row in (0..rows).rev() {
        for column in (0..columns).rev() {
            common[row * width + column] = if old[row] == new[column] {
                common[(row + 1) * width + column + 1] + 1
            } else {
                common[(row + 1) * width + column].max(common[row * width + column + 1])
            };
        }
    }
    let (mut row, mut column) = (0, 0);
    let mut lines = Vec::new();
    while row < rows || column < columns {
        let same = row < rows && column < columns && old[row] == new[column];
        let gone = column == columns
            || (row < rows
                && common[(row + 1) * width + column] >= common[row * width + column + 1]);
        if same {
            lines.push(Line::Both(old[row]));
            (row, column) = (row + 1, column + 1);
        } else if gone {
            lines.push(Line::Old(old[row]));
            row += 1;
        } else {
            lines.push(Line::New(new[column]));
            column += 1;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::line_diff;

    #[test]
    fn a_change_is_shown_with_its_neighbours() {
        let old = "a\nb\nc\nd\ne\nf\ng\n";
        assert_eq!(line_diff(old, old), "");
        let found = line_diff(old, "a\nb\nc\nD\ne\nf\ng\nh\n");
        assert_eq!(found, "@@ line 2 @@\n  b\n  c\n- d\n+ D\n  e\n  f\n  g\n+ h\n");
        assert_eq!(line_diff("", "x\n"), "@@ line 1 @@\n+ x\n");
        assert_eq!(line_diff("x\n", ""), "@@ line 1 @@\n- x\n");
    }
}
