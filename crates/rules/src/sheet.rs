//! Recorded readings as a table: `time,device,temperature,...`.
//!
//! *Invariant:* every column means something in the blueprint or is an error that names it; every
//! cell is read or is an error with its row and column. A value outside the bounds of its reading
//! is left out and counted, as the decoder would put it in quarantine.
//!
//! ```text
//! time                  RFC 3339, or milliseconds since 1970; in any order
//! device                the device's own name
//! kind                  its kind; only needed where columns fit several kinds
//! <reading>             a number in the stored unit, true or false, a text, or "52.5 13.4"
//! <link>                the name of the device it leads to
//! ```
//! Cells may be separated by `;` or tabs, as spreadsheets with a decimal comma do.

use std::collections::BTreeMap;
use std::io::{BufRead, Cursor, Read};

use blueprint::{Blueprint, Kind, PropertyKind};
use model::{Name, Timestamp, Value};

use crate::dry::Row;

/// The longest row, in cells.
const COLUMNS_MAX: usize = 512;

/// Why a table cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SheetError {
    /// The file is no CSV.
    #[error("the table cannot be read")]
    Csv(#[from] csv::Error),
    /// A column that must be there.
    #[error("there is no column {column}: the first two are time and device")]
    Missing {
        /// Which.
        column: &'static str,
    },
    /// A column that is there twice.
    #[error("there are two columns {column}: which one counts?")]
    Twice {
        /// Which.
        column: String,
    },
    /// Columns that mean nothing in the blueprint.
    #[error(
        "not in the blueprint: {}; known readings and links: {}",
        columns.join(", "),
        known.join(", ")
    )]
    Unknown {
        /// Which.
        columns: Vec<String>,
        /// What would be known.
        known: Vec<String>,
    },
    /// The columns fit no kind, or several.
    #[error("the columns fit {} kinds of device: add a column kind", fits.len())]
    Kind {
        /// The kinds they fit.
        fits: Vec<String>,
    },
    /// A cell.
    #[error("line {line}, column {column}: {text:?} is not {expected}")]
    Cell {
        /// Counted from 1, the header is 1.
        line: u64,
        /// Its name.
        column: String,
        /// What stands there.
        text: String,
        /// What should.
        expected: String,
    },
}

/// A table being read.
pub struct Sheet<'b, R> {
    blueprint: &'b Blueprint,
    records: csv::StringRecordsIntoIter<Whole<R>>,
    columns: Vec<String>,
    /// Whether numbers may have a decimal comma.
    comma: Comma,
    /// The kind of all rows, when no column says it.
    kind: Option<Name>,
    /// Values outside the bounds of their readings.
    pub left_out: usize,
}

/// The table with the header that was looked at.
type Whole<R> = std::io::Chain<Cursor<Vec<u8>>, R>;

/// What a comma in a number is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comma {
    /// No part of a number.
    Foreign,
    /// A decimal point: cells are separated by something else.
    Decimal,
}

/// The longest header, in bytes.
const HEADER_BYTES_MAX: u64 = 64 * 1024;

/// What separates the cells: of comma, semicolon and tab the one that the header has most.
fn separator(header: &[u8]) -> u8 {
    let count = |of: u8| header.iter().filter(|byte| **byte == of).count();
    let mut best = b',';
    for other in [b';', b'\t'] {
        if count(other) > count(best) {
            best = other;
        }
    }
    best
}

impl<R> std::fmt::Debug for Sheet<'_, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sheet").field("columns", &self.columns).finish_non_exhaustive()
    }
}

fn known(kind: &Kind) -> impl Iterator<Item = &Name> {
    kind.readings.keys().chain(kind.links.keys())
}

impl<'b, R: BufRead> Sheet<'b, R> {
    /// Reads the header.
    ///
    /// # Errors
    /// It lacks a column, or has one that means nothing.
    pub fn open(blueprint: &'b Blueprint, mut source: R) -> Result<Self, SheetError> {
        let mut header = Vec::new();
        let mut first = source.by_ref().take(HEADER_BYTES_MAX);
        first.read_until(b'\n', &mut header).map_err(csv::Error::from)?;
        let separator = separator(&header);
        let comma = if separator == b',' { Comma::Foreign } else { Comma::Decimal };
        let mut reader = csv::ReaderBuilder::new()
            .trim(csv::Trim::All)
            .delimiter(separator)
            .from_reader(Cursor::new(header).chain(source));
        let columns: Vec<String> =
            reader.headers()?.iter().take(COLUMNS_MAX).map(name_of_column).collect();
        let twice = columns
            .iter()
            .enumerate()
            .find(|(at, name)| columns.iter().take(*at).any(|before| before == *name));
        if let Some((_, column)) = twice {
            return Err(SheetError::Twice { column: column.clone() });
        }
        for column in ["time", "device"] {
            if !columns.iter().any(|name| name == column) {
                return Err(SheetError::Missing { column });
            }
        }
        let fixed = |name: &str| matches!(name, "time" | "device" | "kind");
        let named: Vec<&String> = columns.iter().filter(|name| !fixed(name)).collect();
        let fits = |kind: &Kind| {
            named.iter().all(|name| known(kind).any(|known| known.as_str() == name.as_str()))
        };
        let all = || blueprint.kinds.values().flat_map(known);
        let unknown: Vec<String> = named
            .iter()
            .filter(|name| !all().any(|known| known.as_str() == name.as_str()))
            .map(|name| (*name).clone())
            .collect();
        if !unknown.is_empty() {
            let mut known: Vec<String> = all().map(Name::to_string).collect();
            known.sort();
            known.dedup();
            return Err(SheetError::Unknown { columns: unknown, known });
        }
        let kind = if columns.iter().any(|name| name == "kind") {
            None
        } else {
            let fits: Vec<&Name> = blueprint
                .kinds
                .iter()
                .filter(|(_, kind)| fits(kind))
                .map(|(name, _)| name)
                .collect();
            let [only] = fits.as_slice() else {
                return Err(SheetError::Kind {
                    fits: fits.iter().map(|k| k.to_string()).collect(),
                });
            };
            Some((*only).clone())
        };
        let records = reader.into_records();
        Ok(Self { blueprint, records, columns, comma, kind, left_out: 0 })
    }

    fn row(&mut self, record: &csv::StringRecord) -> Result<Row, SheetError> {
        let line = record.position().map_or(0, csv::Position::line);
        let cell = |column: &str, text: &str, expected: String| SheetError::Cell {
            line,
            column: column.to_owned(),
            text: text.chars().take(40).collect(),
            expected,
        };
        let get = |column: &str| {
            let at = self.columns.iter().position(|name| name == column)?;
            record.get(at)
        };
        let text = get("time").unwrap_or_default();
        let time = time(text).ok_or_else(|| cell("time", text, TIME_EXPECTED.to_owned()))?;
        let device = get("device").unwrap_or_default();
        if device.is_empty() {
            return Err(cell("device", device, "a device's name".to_owned()));
        }
        let name = match &self.kind {
            Some(kind) => kind.clone(),
            None => {
                let text = get("kind").unwrap_or_default();
                let kinds = self.blueprint.kinds.keys();
                let kind = kinds.into_iter().find(|kind| kind.as_str() == text);
                kind.cloned().ok_or_else(|| cell("kind", text, "a kind of device".to_owned()))?
            }
        };
        let empty = Kind::default();
        let kind = self.blueprint.kinds.get(&name).unwrap_or(&empty);
        let mut row = Row {
            time,
            device: device.to_owned(),
            kind: name.clone(),
            links: BTreeMap::new(),
            values: Vec::new(),
        };
        for (column, text) in self.columns.iter().zip(record.iter()) {
            if text.is_empty() || matches!(column.as_str(), "time" | "device" | "kind") {
                continue;
            }
            if let Some((link, _)) = kind.links.get_key_value(column.as_str()) {
                row.links.insert(link.clone(), text.to_owned());
                continue;
            }
            let Some((reading, property)) = kind.readings.get_key_value(column.as_str()) else {
                return Err(cell(column, text, format!("a reading of {name}")));
            };
            match value(&property.kind, text, self.comma) {
                Some(Fit::Missing) => {}
                Some(Fit::Good(value)) => row.values.push((reading.clone(), value)),
                Some(Fit::Outside) => self.left_out += 1,
                None => return Err(cell(column, text, property.kind.shown())),
            }
        }
        Ok(row)
    }
}

impl<R: BufRead> Iterator for Sheet<'_, R> {
    type Item = Result<Row, SheetError>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(match self.records.next()? {
            Ok(record) => self.row(&record),
            Err(error) => Err(error.into()),
        })
    }
}

/// How a time is written.
const TIME_EXPECTED: &str =
    "an RFC 3339 time with its offset, such as 2026-10-01T12:00:00+02:00, or milliseconds";

/// Fixed columns are found however they are written; names of the blueprint are as they are there.
fn name_of_column(header: &str) -> String {
    let lower = header.to_ascii_lowercase();
    if matches!(lower.as_str(), "time" | "device" | "kind") { lower } else { header.to_owned() }
}

/// What spreadsheets and data frames write where there is no value.
fn missing(text: &str) -> bool {
    ["nan", "na", "n/a", "null"].contains(&text.to_ascii_lowercase().as_str())
}

fn time(text: &str) -> Option<Timestamp> {
    let millis = text.parse().ok().map(Timestamp::from_millis);
    millis.or_else(|| text.parse().ok())
}

enum Fit {
    Good(Value),
    Outside,
    Missing,
}

fn value(kind: &PropertyKind, text: &str, comma: Comma) -> Option<Fit> {
    let text_itself = matches!(kind, PropertyKind::Text);
    if !text_itself && missing(text) {
        return Some(Fit::Missing);
    }
    Some(Fit::Good(match kind {
        PropertyKind::Number { min, max, .. } => {
            let pointed = match comma {
                Comma::Decimal if !text.contains('.') => text.replacen(',', ".", 1),
                Comma::Decimal | Comma::Foreign => text.to_owned(),
            };
            let number = pointed.parse::<f64>().ok().filter(|number| number.is_finite())?;
            if min.is_some_and(|min| number < min) || max.is_some_and(|max| number > max) {
                return Some(Fit::Outside);
            }
            Value::Number(number)
        }
        PropertyKind::Boolean => match text.to_ascii_lowercase().as_str() {
            "true" | "1" => Value::Boolean(true),
            "false" | "0" => Value::Boolean(false),
            _ => return None,
        },
        PropertyKind::Text => Value::Text(text.into()),
        PropertyKind::Position => {
            let (latitude, longitude) = text.split_once([' ', ';'])?;
            let (latitude, longitude) =
                (latitude.trim().parse::<f64>().ok()?, longitude.trim().parse::<f64>().ok()?);
            let on_earth =
                (-90.0..=90.0).contains(&latitude) && (-180.0..=180.0).contains(&longitude);
            if !on_earth {
                return None;
            }
            Value::Position { latitude, longitude }
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const COOLBOX: &str = include_str!("../../../blueprints/coolbox/blueprint.toml");

    fn read(table: &str) -> Result<Vec<Row>, String> {
        let blueprint = Blueprint::parse(COOLBOX).blueprint.unwrap();
        let sheet = Sheet::open(&blueprint, table.as_bytes()).map_err(|e| e.to_string())?;
        sheet.collect::<Result<_, _>>().map_err(|error| error.to_string())
    }

    #[test]
    fn an_empty_cell_is_no_value_and_a_link_is_a_name() {
        let rows = read("time,device,temperature,lid_open,base\n0,b,,true,hall\n60000,b,4.5,,\n");
        let rows = rows.unwrap();
        assert_eq!(rows[0].values, [("lid_open".parse().unwrap(), Value::Boolean(true))]);
        assert_eq!(rows[0].links.values().next().unwrap(), "hall");
        assert_eq!(rows[1].values, [("temperature".parse().unwrap(), Value::Number(4.5))]);
    }

    #[test]
    fn a_table_of_a_spreadsheet_is_read() {
        let plain = read("time,device,temperature,lid_open\n0,b,4.5,true\n60000,b,,\n").unwrap();
        let table = "\u{feff}Time;Device;temperature;lid_open\r\n0;b;4,5;TRUE\r\n60000;b;NaN;\r\n";
        assert_eq!(read(table).unwrap(), plain);
        assert_eq!(read(&table.replace(';', "\t")).unwrap(), plain);
    }

    #[test]
    fn a_column_that_is_there_twice_is_refused() {
        let error = read("time,device,temperature,temperature\n0,b,9,1\n").unwrap_err();
        assert_eq!(error, "there are two columns temperature: which one counts?");
    }

    #[test]
    fn a_column_that_is_not_in_the_blueprint_is_named() {
        let error = read("time,device,temprature,foo\n").unwrap_err();
        assert!(error.starts_with("not in the blueprint: temprature, foo; known"), "{error}");
        assert!(read("device,temperature\n").unwrap_err().contains("no column time"));
    }

    #[test]
    fn a_cell_that_cannot_be_read_is_named_by_line_and_column() {
        let error = read("time,device,temperature\n0,b,4\n1,b,warm\n").unwrap_err();
        assert_eq!(error, "line 3, column temperature: \"warm\" is not a number in °C");
    }
}
