//! Rows as lines of one text, with the separators that ASCII has for fields and records.
//!
//! *Invariant:* no field holds a separator: contents are JSON and ids and names plain, both without
//! control characters, and a reason is refused with one and read without.
//!
//! SQLite works on a thread of its own, and each row that it gives wakes another. For pages of
//! hundreds of rows that costs several times what reading them does, so a page is one row.

use std::str::{FromStr, Split};

use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::Error;
use crate::registry::refused;

/// Between the fields of a line (ASCII unit separator); the same character stands in the SQL below.
pub(crate) const FIELD: char = '\u{1f}';
/// Between lines (ASCII record separator).
pub(crate) const LINE: char = '\u{1e}';

/// A record `r` as a line. What can hold anything is last.
macro_rules! record_line {
    () => {
        "concat_ws('\u{1f}', r.tenant, r.kind, r.id, r.revision, r.actor, r.at,
             replace(replace(r.reason, '\u{1f}', ' '), '\u{1e}', ' '), r.content)"
    };
}
pub(crate) use record_line;

/// All lines of a query as one text: `SELECT line FROM rest` in the order of columns `p1`, `p2`.
macro_rules! select_lines {
    ($line:expr, $places:literal, $rest:literal, $order:literal) => {
        concat!(
            "SELECT string_agg(line, '\u{1e}' ORDER BY ",
            $order,
            ") FROM (SELECT ",
            $line,
            " AS line, ",
            $places,
            " ",
            $rest,
            ") AS lines"
        )
    };
}
pub(crate) use select_lines;

/// The lines of a text that a query gave; none where it found no row.
pub(crate) fn lines(text: Option<&str>) -> impl Iterator<Item = &str> {
    text.into_iter().flat_map(|text| text.split(LINE))
}

/// The text of the one row that a query for lines gives.
pub(crate) fn text(row: &AnyRow) -> Result<Option<String>, Error> {
    row.try_get(0).map_err(refused("read lines"))
}

/// The fields of a line, one after another.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    table: &'static str,
    line: &'a str,
    rest: Split<'a, char>,
}

impl<'a> Fields<'a> {
    pub(crate) fn of(table: &'static str, line: &'a str) -> Self {
        Self { table, line, rest: line.split(FIELD) }
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, Error> {
        self.rest.next().ok_or_else(|| self.damaged("a field is missing"))
    }

    /// None where the column is null, which is read as an empty text.
    pub(crate) fn option(&mut self) -> Result<Option<String>, Error> {
        Ok(Some(self.text()?).filter(|text| !text.is_empty()).map(str::to_owned))
    }

    pub(crate) fn parsed<T: FromStr<Err: std::fmt::Display>>(&mut self) -> Result<T, Error> {
        self.text()?.parse().map_err(|error: T::Err| self.damaged(&error.to_string()))
    }

    /// That no field is left.
    pub(crate) fn end(mut self) -> Result<(), Error> {
        match self.rest.next() {
            None => Ok(()),
            Some(_) => Err(self.damaged("a field too many")),
        }
    }

    fn damaged(&self, why: &str) -> Error {
        // Of a content nobody wants to read all.
        let row = self.line.chars().take(80).map(|c| if c == FIELD { ' ' } else { c });
        Error::Corrupt { table: self.table, row: row.collect(), detail: why.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_to_their_end_and_no_further() {
        let mut fields = Fields::of("record", "12\u{1f}\u{1f}{}");
        assert_eq!(fields.parsed::<u64>().unwrap(), 12);
        assert_eq!(fields.option().unwrap(), None);
        assert_eq!(fields.text().unwrap(), "{}");
        assert!(fields.text().is_err());
        let mut fields = Fields::of("record", "x\u{1f}y");
        let refused = fields.parsed::<u64>().unwrap_err().to_string();
        assert!(refused.contains("x y"), "{refused}");
        assert!(fields.end().is_err());
        assert_eq!(lines(None).count(), 0);
        assert_eq!(lines(Some("a\u{1e}b")).collect::<Vec<_>>(), ["a", "b"]);
    }
}
