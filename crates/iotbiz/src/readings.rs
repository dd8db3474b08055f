//! Files of readings that others wrote, row by row.
//!
//! *Invariant:* a file of any size is read in bounded memory; a row that cannot be read is told
//! with its place and reason, and the next one is read.

mod columns;
mod csv;
mod influx;
mod parquet;

use std::collections::BTreeMap;
use std::path::Path;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};

use crate::exit::{self, Failure};

/// What a device said at one time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    /// Line of a text, row of a table, from 1.
    pub(crate) place: u64,
    pub(crate) device: String,
    pub(crate) ts: i64,
    pub(crate) values: Map<String, Value>,
}

/// A row that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) place: u64,
    pub(crate) reason: String,
}

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum FileFormat {
    /// Text with a header line; comma, semicolon or tab between.
    Csv,
    /// Parquet.
    Parquet,
    /// Influx line protocol.
    Influx,
}

/// What a file does not say itself.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// `column=property`, `column=time`, `column=device`, `column=` to leave one out.
    pub(crate) map: BTreeMap<String, String>,
    /// Whose the rows are, where there is no column of devices.
    pub(crate) device: Option<String>,
    /// Of times without one.
    pub(crate) zone: Option<TimeZone>,
    /// Of times of Influx line protocol.
    pub(crate) precision: ingress::influx::Precision,
}

/// A file that is being read.
pub(crate) enum Source {
    Csv(csv::Csv),
    Parquet(parquet::Parquet),
    Influx(influx::Influx),
}

impl FileFormat {
    /// As the name of a file says.
    pub(crate) fn of(file: &Path) -> Option<Self> {
        match file.extension()?.to_str()? {
            "csv" | "tsv" | "txt" => Some(Self::Csv),
            "parquet" | "pq" => Some(Self::Parquet),
            "lp" | "influx" | "line" => Some(Self::Influx),
            _ => None,
        }
    }
}

impl Source {
    pub(crate) fn open(file: &Path, format: FileFormat, options: Options) -> anyhow::Result<Self> {
        Ok(match format {
            FileFormat::Csv => Self::Csv(csv::Csv::open(file, options)?),
            FileFormat::Parquet => Self::Parquet(parquet::Parquet::open(file, options)?),
            FileFormat::Influx => Self::Influx(influx::Influx::open(file, options)?),
        })
    }

    /// The next row; `None` at the end.
    pub(crate) fn next(&mut self) -> anyhow::Result<Option<Result<Row, Wrong>>> {
        match self {
            Self::Csv(file) => file.next(),
            Self::Parquet(file) => file.next(),
            Self::Influx(file) => file.next(),
        }
    }

    /// Units that are not the blueprint's, by property.
    pub(crate) fn units(&self) -> BTreeMap<String, String> {
        match self {
            Self::Csv(file) => file.units(),
            Self::Parquet(file) => file.units(),
            Self::Influx(_) => BTreeMap::new(),
        }
    }

    /// How far it is read, and how far it goes.
    pub(crate) fn progress(&self) -> (u64, u64) {
        match self {
            Self::Csv(file) => file.progress(),
            Self::Parquet(file) => file.progress(),
            Self::Influx(file) => file.progress(),
        }
    }
}

fn unreadable(file: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::new(exit::USAGE, format!("{} cannot be read", file.display())).why(error.to_string())
}

/// Milliseconds of a time as people and programs write it.
fn time(text: &str, zone: Option<&TimeZone>) -> Result<i64, String> {
    let text = text.trim();
    if let Ok(number) = text.parse::<i64>() {
        return epoch(number).ok_or_else(|| format!("{text} is no time since 1970"));
    }
    if let Ok(instant) = text.parse::<jiff::Timestamp>() {
        return Ok(instant.as_millisecond());
    }
    let local = text.parse::<DateTime>().map_err(|_| {
        format!("{text:?} is no time such as 2026-11-29T12:00:00Z or milliseconds since 1970")
    })?;
    let zone = zone.ok_or_else(|| {
        format!("{text:?} has no time zone; add --timezone Europe/Berlin, or --timezone UTC")
    })?;
    let instant = local.to_zoned_datetime(zone.clone()).map_err(|error| error.to_string())?;
    Ok(instant.timestamp().as_millisecond())
}

/// Seconds, milliseconds, microseconds or nanoseconds since 1970: the one that is between 2000 and
/// 2100, which is never more than one.
fn epoch(number: i64) -> Option<i64> {
    /// 2000-01-01 and 2100-01-01 in seconds.
    const YEARS: std::ops::Range<i64> = 946_684_800..4_102_444_800;
    [1, 1_000, 1_000_000, 1_000_000_000].into_iter().find_map(|a_second| {
        let seconds = number.div_euclid(a_second);
        let rest = i128::from(number.rem_euclid(a_second)) * 1_000 / i128::from(a_second);
        YEARS.contains(&seconds).then(|| seconds * 1_000 + i64::try_from(rest).unwrap_or_default())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_written() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        for (text, ms) in [
            ("1795608000", 1_795_608_000_000),
            ("1795608000123", 1_795_608_000_123),
            ("1795608000123456", 1_795_608_000_123),
            ("1795608000123456789", 1_795_608_000_123),
            ("2026-11-25T12:00:00Z", 1_795_608_000_000),
            ("2026-11-25T13:00:00.5+01:00", 1_795_608_000_500),
            ("2026-11-25 13:00:00", 1_795_608_000_000),
        ] {
            assert_eq!(time(text, Some(&berlin)), Ok(ms), "{text}");
        }
        assert!(time("2026-11-25 13:00", None).unwrap_err().contains("--timezone"));
        assert!(time("12", None).unwrap_err().contains("no time"));
        assert!(time("yesterday", None).unwrap_err().contains("no time"));
    }
}
