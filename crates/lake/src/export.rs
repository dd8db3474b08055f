//! History as one file for other programs: a row for each message and time, a column for each
//! property.
//!
//! *Invariant:* an export has exactly the values in force, by day, device and time; it breaks off
//! with an error at a damaged file rather than leaving something out.

use std::collections::BTreeSet;
use std::io::Write;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_ipc::writer::StreamWriter;
use model::{DeviceId, Offset, Timestamp, Value};
use parquet::arrow::ArrowWriter;

use crate::columns::{BatchBuilder, Columns, OWN};
use crate::day::Day;
use crate::file;
use crate::merge::{Keep, Merged, Rows, Stored};
use crate::table::Table;
use crate::{Error, Lake, Row, Shape, Span, Stamp, TableId};

/// How the comment begins that says the units of a CSV file.
pub const UNITS: &str = "# units: ";

/// How an export is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Text with a header line, the units in a comment before it; a position has two columns.
    Csv,
    /// One Parquet file.
    Parquet,
    /// An Arrow IPC stream.
    Arrow,
}

/// Which devices an export has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Devices {
    /// All.
    All,
    /// These.
    Of(BTreeSet<DeviceId>),
}

/// What an export has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// Of which kind of device.
    pub table: TableId,
    /// Of which devices.
    pub devices: Devices,
    /// Of which time.
    pub span: Span,
}

impl Devices {
    fn contains(&self, device: DeviceId) -> bool {
        match self {
            Self::All => true,
            Self::Of(devices) => devices.contains(&device),
        }
    }
}

impl Lake {
    /// Writes the history of a table; returns how many rows it had.
    ///
    /// # Errors
    /// No such table, a damaged file, a disk that does not answer, or `out` refuses.
    pub fn export(
        &self,
        what: &Selection,
        format: Format,
        out: &mut (dyn Write + Send),
    ) -> Result<u64, Error> {
        let source = Source { lake: self, table: self.table(&what.table)?, what };
        let columns = Arc::clone(&source.table.read().columns);
        match format {
            Format::Csv => source.csv(&columns, out),
            Format::Parquet => source.parquet(&columns, out),
            Format::Arrow => source.arrow(&columns, out),
        }
    }
}

impl Lake {
    /// The history of a table as rows, by device and time within each day, and the days in order:
    /// what was said, as if it were said again. `take` breaks off when it has enough.
    ///
    /// # Errors
    /// No such table, a damaged file, or a disk that does not answer.
    pub fn replay(
        &self,
        what: &Selection,
        take: &mut dyn FnMut(Row) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let source = Source { lake: self, table: self.table(&what.table)?, what };
        let columns = Arc::clone(&source.table.read().columns);
        let mut over = false;
        let read = source.rows(&columns, |row| {
            if take(as_row(row, &columns)).is_break() {
                over = true;
                // Only a way out of the loop: nobody sees it.
                return Err(Error::Invalid("the reader has enough".to_owned()));
            }
            Ok(())
        });
        if over { Ok(()) } else { read.map(drop) }
    }
}

fn as_row(row: &Stored, columns: &Columns) -> Row {
    let value =
        |(number, value): &(u16, Value)| Some((columns.get(*number)?.name.clone(), value.clone()));
    Row {
        device: row.device,
        time: Timestamp::from_millis(row.time),
        stamp: row.stamp,
        offset: Offset(row.offset),
        index: row.index,
        origin: row.origin,
        source: row.source.map(Offset),
        values: row.cells.iter().filter_map(value).collect(),
    }
}

struct Source<'e> {
    lake: &'e Lake,
    table: Arc<Table>,
    what: &'e Selection,
}

impl Source<'_> {
    fn has(&self, row: &Stored) -> bool {
        self.what.devices.contains(row.device)
            && self.what.span.contains(Timestamp::from_millis(row.time))
    }

    /// Hands over all rows, day by day.
    fn rows(
        &self,
        columns: &Arc<Columns>,
        mut take: impl FnMut(&Stored) -> Result<(), Error>,
    ) -> Result<u64, Error> {
        let (state, mut memory) = {
            let live = self.table.read();
            let tables = live.frozen.as_deref().into_iter().chain([&live.active]);
            let rows = tables.flat_map(|table| table.rows()).filter(|row| self.has(row));
            (Arc::clone(&live.state), rows.cloned().collect::<Vec<_>>())
        };
        memory.sort_by_key(|row| (Day::of(row.time), row.order()));
        let Some(range) = Day::range(self.what.span) else { return Ok(0) };
        let mut days: BTreeSet<Day> = state.days.range(range).map(|(day, _)| *day).collect();
        days.extend(memory.iter().map(|row| Day::of(row.time)));
        let mut count = 0;
        for day in days {
            let mut sources: Vec<Rows<'_>> = Vec::new();
            for file in state.days.get(&day).into_iter().flatten() {
                let opened = self.lake.cache.open(&self.table.store, &file.path, &file.written);
                sources.push(opened.and_then(|opened| opened.stored(columns))?);
            }
            let from = memory.partition_point(|row| Day::of(row.time) < day);
            let to = memory.partition_point(|row| Day::of(row.time) <= day);
            let rows = memory.get(from..to).unwrap_or_default();
            sources.push(Box::new(rows.iter().cloned().map(Ok)));
            for row in Merged::new(sources, Keep::InForce) {
                let row = row.inspect_err(|error| self.lake.cache.note(error))?;
                if self.has(&row) {
                    take(&row)?;
                    count += 1;
                }
            }
        }
        Ok(count)
    }

    /// Hands over all rows as batches.
    fn batches(
        &self,
        columns: &Arc<Columns>,
        mut take: impl FnMut(&RecordBatch) -> Result<(), Error>,
    ) -> Result<u64, Error> {
        let mut builder = BatchBuilder::new(columns.list());
        let count = self.rows(columns, |row| {
            builder.push(row);
            if builder.rows() >= file::BATCH_ROWS { take(&builder.finish()?) } else { Ok(()) }
        })?;
        take(&builder.finish()?)?;
        Ok(count)
    }

    fn parquet(&self, columns: &Arc<Columns>, out: &mut (dyn Write + Send)) -> Result<u64, Error> {
        let schema = crate::columns::schema(columns.list());
        let properties = file::properties(&schema, file::Effort::Thorough, &[])?;
        let failed = |error| Error::Export(std::io::Error::other(error));
        let mut writer = ArrowWriter::try_new(out, schema, Some(properties)).map_err(failed)?;
        let count = self.batches(columns, |batch| writer.write(batch).map_err(failed))?;
        writer.close().map_err(failed)?;
        Ok(count)
    }

    fn arrow(&self, columns: &Arc<Columns>, out: &mut (dyn Write + Send)) -> Result<u64, Error> {
        let schema = crate::columns::schema(columns.list());
        let failed = |error| Error::Export(std::io::Error::other(error));
        let mut writer = StreamWriter::try_new(out, &schema).map_err(failed)?;
        let count = self.batches(columns, |batch| writer.write(batch).map_err(failed))?;
        writer.finish().map_err(failed)?;
        Ok(count)
    }

    fn csv(&self, columns: &Arc<Columns>, out: &mut (dyn Write + Send)) -> Result<u64, Error> {
        let mut line = header(columns);
        out.write_all(line.as_bytes()).map_err(Error::Export)?;
        self.rows(columns, |row| {
            line.clear();
            csv_row(columns, row, &mut line);
            out.write_all(line.as_bytes()).map_err(Error::Export)
        })
    }
}

/// Units in a comment, then the names of the columns.
fn header(columns: &Columns) -> String {
    let with_unit = columns.list().iter().filter(|column| !column.unit.is_empty());
    let units: Vec<_> =
        with_unit.map(|column| format!("{}={}", column.name, column.unit)).collect();
    let mut header = String::new();
    if !units.is_empty() {
        header = format!("{UNITS}{}\r\n", units.join(" "));
    }
    header.push_str(&OWN.join(","));
    for column in columns.list() {
        header.push(',');
        header.push_str(column.name.as_str());
        if column.shape == Shape::Position {
            header.push_str(".latitude,");
            header.push_str(column.name.as_str());
            header.push_str(".longitude");
        }
    }
    header.push_str("\r\n");
    header
}

/// One line of RFC 4180.
fn csv_row(columns: &Columns, row: &Stored, line: &mut String) {
    use std::fmt::Write as _;
    let time = Timestamp::from_millis(row.time);
    let device_time = row.stamp == Stamp::Device;
    let source = row.source.map(|offset| offset.to_string()).unwrap_or_default();
    // A String takes everything that is written to it.
    let _ = write!(
        line,
        "{},{time},{},{},{},{device_time},{source}",
        row.device,
        row.offset,
        row.index,
        row.origin.as_str()
    );
    for (number, column) in (0..).zip(columns.list()) {
        line.push(',');
        let _ = match crate::merge::cell(row, number) {
            Some(Value::Number(value)) => write!(line, "{value}"),
            Some(Value::Boolean(value)) => write!(line, "{value}"),
            Some(Value::Text(text)) => write!(line, "\"{}\"", text.replace('"', "\"\"")),
            Some(Value::Position { latitude, longitude }) => {
                write!(line, "{latitude},{longitude}")
            }
            None if column.shape == Shape::Position => write!(line, ","),
            None => Ok(()),
        };
    }
    line.push_str("\r\n");
}
