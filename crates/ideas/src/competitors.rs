//! Who else does it: a table in which every cell has a value, a date and a source.
//!
//! *Invariant:* there is no cell without a date and a source, and none is dated after today; an old
//! one stays and is marked as stale.

use std::collections::BTreeMap;
use std::time::Duration;

use model::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::{Error, count, line};

/// Competitors of one idea.
const COMPETITORS_MAX: usize = 50;
/// What they are compared by.
const ASPECTS_MAX: usize = 30;
/// The longest name of a competitor or an aspect, in characters.
const NAME_CHARS_MAX: usize = 80;
/// The longest value or source, in characters.
const CELL_CHARS_MAX: usize = 500;

/// What is known, since when and from where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// What is known: `199 EUR`, `yes, since 2024`, `not found`.
    pub value: String,
    /// The day it was seen: `2026-11-01`.
    pub on: String,
    /// Where: an address, a person, a document.
    pub source: String,
    /// Who wrote it down.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub by: String,
}

/// Whether a cell can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// It was seen lately.
    Fresh,
    /// It was seen so long ago that it has to be looked up again.
    Stale,
}

/// One cell to write, or to take away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellChange {
    /// Whose.
    pub competitor: String,
    /// In what respect.
    pub aspect: String,
    /// What is known; none takes the cell away.
    pub cell: Option<Cell>,
}

/// Cells by competitor and aspect.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Competitors(pub BTreeMap<String, BTreeMap<String, Cell>>);

/// The start of a day of the form `2026-11-01`, UTC.
pub(crate) fn day(place: &str, on: &str) -> Result<Timestamp, Error> {
    let shape = on.len() == 10 && on.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    let read = || format!("{on}T00:00:00Z").parse::<Timestamp>().ok();
    shape.then(read).flatten().ok_or_else(|| {
        let shown: String = on.chars().take(32).collect();
        Error::field(place, format!("{shown:?} is no day: write it as 2026-11-01"))
    })
}

/// A day with a source: what every claim about the world has.
pub(crate) fn dated(place: &str, (on, source): (&str, &str), now: Timestamp) -> Result<(), Error> {
    let seen = day(&format!("{place}/on"), on)?;
    // A day begins up to 14 hours earlier in the east.
    if seen > now + Duration::from_secs(14 * 3600) {
        return Err(Error::field(format!("{place}/on"), format!("{on} is after today")));
    }
    line(&format!("{place}/source"), source, CELL_CHARS_MAX)
}

impl Cell {
    fn check(&self, place: &str, now: Timestamp) -> Result<(), Error> {
        line(&format!("{place}/value"), &self.value, CELL_CHARS_MAX)?;
        dated(place, (&self.on, &self.source), now)
    }

    /// Whether it was seen in the last `stale_days`.
    #[must_use]
    pub fn freshness(&self, stale_days: u32, now: Timestamp) -> Freshness {
        let age = Duration::from_secs(86_400) * stale_days;
        match day("/on", &self.on) {
            Ok(seen) if now.since(seen) <= age => Freshness::Fresh,
            Ok(_) | Err(_) => Freshness::Stale,
        }
    }
}

impl Competitors {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What they are compared by, in order.
    #[must_use]
    pub fn aspects(&self) -> Vec<&str> {
        let mut aspects: Vec<_> =
            self.0.values().flat_map(|row| row.keys().map(String::as_str)).collect();
        aspects.sort_unstable();
        aspects.dedup();
        aspects
    }

    /// Writes cells and takes cells away; a competitor without cells is gone.
    pub fn change(&mut self, changes: Vec<CellChange>) {
        for CellChange { competitor, aspect, cell } in changes {
            let row = self.0.entry(competitor).or_default();
            match cell {
                Some(cell) => {
                    row.insert(aspect, cell);
                }
                None => {
                    row.remove(&aspect);
                }
            }
        }
        self.0.retain(|_, row| !row.is_empty());
    }

    pub(crate) fn check(&self, now: Timestamp) -> Result<(), Error> {
        count("/cells", ("competitors_max", COMPETITORS_MAX), self.0.len())?;
        count("/cells", ("aspects_max", ASPECTS_MAX), self.aspects().len())?;
        for (competitor, row) in &self.0 {
            line("/cells/competitor", competitor, NAME_CHARS_MAX)?;
            for (aspect, cell) in row {
                line("/cells/aspect", aspect, NAME_CHARS_MAX)?;
                cell.check("/cells", now)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-29T12:00:00Z".parse().unwrap()
    }

    fn cell(on: &str, source: &str) -> Cell {
        let (value, by) = ("199 EUR".to_owned(), "usr_1".to_owned());
        Cell { value, on: on.to_owned(), source: source.to_owned(), by }
    }

    fn table(cell: Cell) -> Competitors {
        let mut table = Competitors::default();
        let (competitor, aspect) = ("Testo".to_owned(), "price".to_owned());
        table.change(vec![CellChange { competitor, aspect, cell: Some(cell) }]);
        table
    }

    #[test]
    fn a_cell_without_a_source_or_of_tomorrow_is_refused() {
        assert!(table(cell("2026-11-29", "testo.com")).check(now()).is_ok());
        for (on, source, place) in [
            ("2026-11-29", " ", "/cells/source"),
            ("2026-12-02", "testo.com", "/cells/on"),
            ("2026-02-30", "testo.com", "/cells/on"),
            ("yesterday", "testo.com", "/cells/on"),
        ] {
            assert_eq!(table(cell(on, source)).check(now()).unwrap_err().place(), place, "{on}");
        }
    }

    #[test]
    fn a_cell_is_stale_after_180_days_and_not_before() {
        let fresh = |on: &str| cell(on, "x").freshness(180, now());
        assert_eq!(fresh("2026-06-03"), Freshness::Fresh);
        assert_eq!(fresh("2026-06-01"), Freshness::Stale);
    }

    #[test]
    fn who_has_no_cell_is_no_competitor() {
        let mut table = table(cell("2026-11-29", "testo.com"));
        let (competitor, aspect) = ("Testo".to_owned(), "price".to_owned());
        table.change(vec![CellChange { competitor, aspect, cell: None }]);
        assert!(table.is_empty());
    }
}
