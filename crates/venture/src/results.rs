//! Results of an experiment from a CSV file (RFC 4180; comma or semicolon).
//!
//! Each row is one person or thing asked, or a sum of several: the columns named by the
//! assumption's `count` hold numbers, or yes and no. Without the second column a row counts one.
//!
//! *Invariant:* a file is read whole or refused with line and column; no row is skipped silently.

use blueprint::Counts;

use crate::Error;

/// The longest file.
pub const CSV_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What a file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// How many did.
    pub of: u64,
    /// Out of how many.
    pub out_of: u64,
    /// Rows read.
    pub rows: usize,
}

/// Reads the counts of an assumption from CSV.
///
/// # Errors
/// A column is missing, a cell is neither a number nor yes or no, or more did than were asked.
pub fn tally(csv: &str, counts: &Counts) -> Result<Tally, Error> {
    if csv.len() > CSV_BYTES_MAX {
        return Err(Error::TooMany {
            what: "bytes of CSV",
            number: csv.len(),
            limit: "CSV_BYTES_MAX",
            max: CSV_BYTES_MAX,
        });
    }
    let refuse = |line, column, reason: String| Err(Error::Results { line, column, reason });
    let text = csv.strip_prefix('\u{feff}').unwrap_or(csv);
    let rows = rows(text)?;
    let Some((_, head)) = rows.first() else {
        return refuse(1, 1, "the file is empty; its first line names the columns".to_owned());
    };
    let column = |name: &str| head.iter().position(|h| h.trim().eq_ignore_ascii_case(name));
    let Some(of) = column(counts.of.as_str()) else {
        let reason = format!("no column is called {}; there is {}", counts.of, head.join(", "));
        return refuse(1, 1, reason);
    };
    let out_of = column(counts.out_of.as_str());
    let mut tally = Tally { of: 0, out_of: 0, rows: 0 };
    for (line, row) in rows.iter().skip(1) {
        let (did, asked) = (
            cell(row, of, *line)?,
            match out_of {
                Some(at) => cell(row, at, *line)?,
                None => 1,
            },
        );
        if did > asked {
            let reason = format!("{did} {} of {asked} {}", counts.of, counts.out_of);
            return refuse(*line, of + 1, reason);
        }
        let sum = |a: u64, b: u64| a.checked_add(b);
        match (sum(tally.of, did), sum(tally.out_of, asked)) {
            (Some(of), Some(out_of)) => tally = Tally { of, out_of, rows: tally.rows + 1 },
            _ => return refuse(*line, of + 1, "the sum exceeds 64 bits".to_owned()),
        }
    }
    Ok(tally)
}

fn cell(row: &[String], at: usize, line: usize) -> Result<u64, Error> {
    let text = row.get(at).map(|text| text.trim()).unwrap_or_default();
    match text.to_ascii_lowercase().as_str() {
        "yes" | "true" | "y" | "x" => Ok(1),
        "no" | "false" | "n" | "" => Ok(0),
        number => number.parse().map_err(|_| Error::Results {
            line,
            column: at + 1,
            reason: format!("{text:?} is neither a whole number nor yes or no"),
        }),
    }
}

/// Rows with the line each starts on; empty lines are left out.
fn rows(text: &str) -> Result<Vec<(usize, Vec<String>)>, Error> {
    let first = text.lines().next().unwrap_or_default();
    let comma = if first.contains(';') && !first.contains(',') { ';' } else { ',' };
    let mut rows = Vec::new();
    let mut row: Vec<String> = Vec::new();
    let mut field = String::new();
    let (mut line, mut start, mut quoted) = (1, 1, false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if field.is_empty() => quoted = true,
            '\r' if !quoted && chars.peek() == Some(&'\n') => {}
            '\n' if !quoted => {
                row.push(std::mem::take(&mut field));
                if row.len() > 1 || row.iter().any(|f| !f.trim().is_empty()) {
                    rows.push((start, std::mem::take(&mut row)));
                }
                row.clear();
                line += 1;
                start = line;
            }
            c if c == comma && !quoted => row.push(std::mem::take(&mut field)),
            c => {
                line += usize::from(c == '\n');
                field.push(c);
            }
        }
    }
    if quoted {
        let reason = "a quotation mark is not closed".to_owned();
        return Err(Error::Results { line: start, column: row.len() + 1, reason });
    }
    if !field.is_empty() || !row.is_empty() {
        row.push(field);
        rows.push((start, row));
    }
    Ok(rows)
}
