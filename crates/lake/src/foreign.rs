//! Parquet files of others, row by row.
//!
//! *Invariant:* one batch of a file is in memory at a time, whatever its size; a column of a type
//! that no reading has is told by name, never left out in silence.

use std::fs::File;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, TimeUnit};
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use crate::Error;

/// Rows read at once.
const ROWS_AT_ONCE: usize = 4_096;

/// One cell.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Nothing.
    Null,
    /// A float or an integer.
    Number(f64),
    /// A whole number that may be a time, too.
    Integer(i64),
    /// True or false.
    Boolean(bool),
    /// Text.
    Text(String),
    /// An instant, in milliseconds since 1970.
    Time(i64),
    /// Latitude and longitude.
    Position(f64, f64),
}

/// A column as the file describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignColumn {
    /// Its name.
    pub name: String,
    /// Its unit, where its metadata says one.
    pub unit: Option<String>,
}

/// A file that is being read.
#[derive(Debug)]
pub struct Foreign {
    /// Its columns.
    pub columns: Vec<ForeignColumn>,
    /// How many rows it has.
    pub rows: u64,
    reader: ParquetRecordBatchReader,
}

fn unreadable(path: &Path, error: impl std::fmt::Display) -> Error {
    Error::Invalid(format!("{} is no Parquet file that can be read: {error}", path.display()))
}

impl Foreign {
    /// Opens a file.
    ///
    /// # Errors
    /// It is not there, or no Parquet file.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(|error| unreadable(path, error))?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(file);
        let builder = builder.map_err(|error| unreadable(path, error))?;
        let columns = builder.schema().fields().iter().map(|field| ForeignColumn {
            name: field.name().clone(),
            unit: field.metadata().get("unit").cloned(),
        });
        let columns = columns.collect();
        let rows = builder.metadata().file_metadata().num_rows();
        let reader = builder.with_batch_size(ROWS_AT_ONCE).build();
        let reader = reader.map_err(|error| unreadable(path, error))?;
        Ok(Self { columns, rows: u64::try_from(rows).unwrap_or_default(), reader })
    }

    /// The next rows, a cell for each column; `None` at the end.
    ///
    /// # Errors
    /// The file is damaged, or has a column of a type that no reading has.
    pub fn next_rows(&mut self) -> Result<Option<Vec<Vec<Cell>>>, Error> {
        let Some(batch) = self.reader.next() else { return Ok(None) };
        let batch = batch.map_err(|error| Error::Invalid(format!("damaged file: {error}")))?;
        rows(&batch).map(Some)
    }
}

fn rows(batch: &RecordBatch) -> Result<Vec<Vec<Cell>>, Error> {
    let schema = batch.schema();
    let columns = batch.columns().iter().zip(schema.fields());
    let columns = columns.map(|(array, field)| {
        cells(array).ok_or_else(|| {
            let (name, data) = (field.name(), field.data_type());
            Error::Invalid(format!("column {name} is {data}, which no reading can be"))
        })
    });
    let columns: Vec<Vec<Cell>> = columns.collect::<Result<_, _>>()?;
    let mut columns: Vec<_> = columns.into_iter().map(Vec::into_iter).collect();
    let row = |_| columns.iter_mut().map(|cells| cells.next().unwrap_or(Cell::Null)).collect();
    Ok((0..batch.num_rows()).map(row).collect())
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the types are Arrow's, and many")]
fn cells(array: &ArrayRef) -> Option<Vec<Cell>> {
    let found = match array.data_type() {
        DataType::Null => vec![Cell::Null; array.len()],
        DataType::Boolean => each(array.as_boolean().iter(), Cell::Boolean),
        DataType::Utf8 => each(array.as_string::<i32>().iter(), text),
        DataType::LargeUtf8 => each(array.as_string::<i64>().iter(), text),
        DataType::Utf8View => each(array.as_string_view().iter(), text),
        DataType::Float64 => of::<Float64Type>(array, Cell::Number),
        DataType::Float32 => of::<Float32Type>(array, |n| Cell::Number(n.into())),
        DataType::Int8 => of::<Int8Type>(array, |n| Cell::Integer(n.into())),
        DataType::Int16 => of::<Int16Type>(array, |n| Cell::Integer(n.into())),
        DataType::Int32 => of::<Int32Type>(array, |n| Cell::Integer(n.into())),
        DataType::Int64 => of::<Int64Type>(array, Cell::Integer),
        DataType::UInt8 => of::<UInt8Type>(array, |n| Cell::Integer(n.into())),
        DataType::UInt16 => of::<UInt16Type>(array, |n| Cell::Integer(n.into())),
        DataType::UInt32 => of::<UInt32Type>(array, |n| Cell::Integer(n.into())),
        DataType::UInt64 => of::<UInt64Type>(array, unsigned),
        DataType::Timestamp(TimeUnit::Second, _) => {
            of::<TimestampSecondType>(array, |n| Cell::Time(n.saturating_mul(1_000)))
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            of::<TimestampMillisecondType>(array, Cell::Time)
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            of::<TimestampMicrosecondType>(array, |n| Cell::Time(n.div_euclid(1_000)))
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            of::<TimestampNanosecondType>(array, |n| Cell::Time(n.div_euclid(1_000_000)))
        }
        DataType::Dictionary(_, _) => {
            let dictionary = array.as_any_dictionary();
            let values = cells(dictionary.values())?;
            let keys = dictionary.normalized_keys();
            let cell = |(row, key): (usize, usize)| {
                let value = values.get(key).filter(|_| array.is_valid(row));
                value.cloned().unwrap_or(Cell::Null)
            };
            keys.into_iter().enumerate().map(cell).collect()
        }
        DataType::Struct(_) => positions(array)?,
        _ => return None,
    };
    Some(found)
}

fn each<T>(values: impl Iterator<Item = Option<T>>, cell: impl Fn(T) -> Cell) -> Vec<Cell> {
    values.map(|value| value.map_or(Cell::Null, &cell)).collect()
}

fn of<T: ArrowPrimitiveType>(array: &ArrayRef, cell: impl Fn(T::Native) -> Cell) -> Vec<Cell> {
    each(array.as_primitive::<T>().iter(), cell)
}

fn text(text: &str) -> Cell {
    Cell::Text(text.to_owned())
}

fn unsigned(number: u64) -> Cell {
    #[expect(clippy::cast_precision_loss, reason = "readings are floats")]
    i64::try_from(number).map_or(Cell::Number(number as f64), Cell::Integer)
}

/// A struct of latitude and longitude, as our own exports have it.
fn positions(array: &ArrayRef) -> Option<Vec<Cell>> {
    let array = array.as_struct();
    let part = |name| array.column_by_name(name)?.as_primitive_opt::<Float64Type>();
    let (latitude, longitude) = (part("latitude")?, part("longitude")?);
    let cell = |row: usize| {
        let whole = array.is_valid(row) && latitude.is_valid(row) && longitude.is_valid(row);
        if whole { Cell::Position(latitude.value(row), longitude.value(row)) } else { Cell::Null }
    };
    Some((0..array.len()).map(cell).collect())
}
