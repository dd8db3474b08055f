//! Rows as Arrow columns and back.
//!
//! *Invariant:* `rows(batch(rows)) == rows`. Our own columns start with `_`, which no property name
//! can, so the two never meet.
//!
//! | column | type | what |
//! |---|---|---|
//! | `_device` | text | who |
//! | `_ts` | timestamp, ms, UTC | event time |
//! | `_offset`, `_index` | integer | frame, and place in it |
//! | `_origin` | text | real, replayed, virtual |
//! | `_device_time` | boolean | whether the device said when, otherwise it is the log's time |
//! | `_source` | integer or null | the first frame of these bytes, when they were decoded again |
//! | each property | double, boolean, text, or {latitude, longitude} | null: not in this row |

mod read;

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::builder::{
    BooleanBuilder, Float64Builder, Int8Builder, Int32Builder, Int64Builder, StringBuilder,
};
use arrow_array::types::{Int8Type, Int32Type, TimestampMillisecondType};
use arrow_array::{
    Array, ArrayRef, DictionaryArray, PrimitiveArray, RecordBatch, StringArray, StructArray,
};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use model::{DeviceId, Name, Origin, Value};

pub(crate) use read::{ALIKE, Alike, Strange, Whose, device_names, devices, primitive, rows};

use crate::merge::Stored;
use crate::{Column, Error, Shape, Stamp};

pub(crate) const DEVICE: &str = "_device";
pub(crate) const TIME: &str = "_ts";
pub(crate) const OFFSET: &str = "_offset";
pub(crate) const INDEX: &str = "_index";
pub(crate) const ORIGIN: &str = "_origin";
pub(crate) const DEVICE_TIME: &str = "_device_time";
pub(crate) const SOURCE: &str = "_source";
/// Our own columns, in their order.
pub(crate) const OWN: [&str; 7] = [DEVICE, TIME, OFFSET, INDEX, ORIGIN, DEVICE_TIME, SOURCE];

const ORIGINS: [Origin; 3] = [Origin::Real, Origin::Replayed, Origin::Virtual];

/// The properties of a table; a column's number never changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Columns {
    list: Vec<Column>,
    by_name: HashMap<Name, u16>,
}

impl Columns {
    pub(crate) fn new(list: Vec<Column>) -> Self {
        let mut columns = Self::default();
        for column in list {
            columns.push(column);
        }
        columns
    }

    pub(crate) fn list(&self) -> &[Column] {
        &self.list
    }

    pub(crate) fn find(&self, name: &str) -> Option<(u16, &Column)> {
        let number = *self.by_name.get(name)?;
        self.list.get(usize::from(number)).map(|column| (number, column))
    }

    pub(crate) fn get(&self, number: u16) -> Option<&Column> {
        self.list.get(usize::from(number))
    }

    /// Adds a column and returns its number; `None` when there are too many.
    pub(crate) fn push(&mut self, column: Column) -> Option<u16> {
        let number = u16::try_from(self.list.len()).ok().filter(|n| *n < COLUMNS_MAX)?;
        self.by_name.insert(column.name.clone(), number);
        self.list.push(column);
        Some(number)
    }

    /// Takes over unit and definition; says whether anything changed.
    pub(crate) fn describe(&mut self, column: &Column) -> bool {
        let number = self.by_name.get(&column.name).copied().map(usize::from);
        match number.and_then(|n| self.list.get_mut(n)) {
            Some(known) if known.shape == column.shape && known != column => {
                known.clone_from(column);
                true
            }
            Some(_) => false,
            None => self.push(column.clone()).is_some(),
        }
    }
}

/// Properties of one kind of device.
pub(crate) const COLUMNS_MAX: u16 = 4_096;

fn position_fields() -> Fields {
    vec![
        Field::new("latitude", DataType::Float64, true),
        Field::new("longitude", DataType::Float64, true),
    ]
    .into()
}

pub(crate) fn device_type() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

pub(crate) fn time_type() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))
}

fn property_field(column: &Column) -> Field {
    let data = match column.shape {
        Shape::Number => DataType::Float64,
        Shape::Boolean => DataType::Boolean,
        Shape::Text => DataType::Utf8,
        Shape::Position => DataType::Struct(position_fields()),
    };
    Field::new(column.name.as_str(), data, true).with_metadata(described(column))
}

/// Unit and definition as the metadata of a field; `comment` is the key other programs show.
pub(crate) fn described(column: &Column) -> HashMap<String, String> {
    [("unit", &column.unit), ("comment", &column.definition)]
        .into_iter()
        .filter(|(_, text)| !text.is_empty())
        .map(|(key, text)| (key.to_owned(), text.clone()))
        .collect()
}

/// The schema of a file of these columns.
pub(crate) fn schema(columns: &[Column]) -> SchemaRef {
    let origin = DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8));
    let mut fields = vec![
        Field::new(DEVICE, device_type(), false),
        Field::new(TIME, time_type(), false),
        Field::new(OFFSET, DataType::Int64, false),
        Field::new(INDEX, DataType::Int32, false),
        Field::new(ORIGIN, origin, false),
        Field::new(DEVICE_TIME, DataType::Boolean, false),
        Field::new(SOURCE, DataType::Int64, true),
    ];
    fields.extend(columns.iter().map(property_field));
    Arc::new(Schema::new(fields))
}

/// Devices as a dictionary that grows as they come.
#[derive(Debug, Default)]
pub(crate) struct DeviceColumn {
    keys: Int32Builder,
    names: StringBuilder,
    count: i32,
    last: Option<DeviceId>,
}

impl DeviceColumn {
    pub(crate) fn push(&mut self, device: DeviceId) {
        if self.last != Some(device) {
            self.last = Some(device);
            self.names.append_value(device.to_string());
            self.count += 1;
        }
        self.keys.append_value(self.count - 1);
    }

    pub(crate) fn finish(&mut self) -> Result<ArrayRef, Error> {
        self.last = None;
        self.count = 0;
        dictionary::<Int32Type>(self.keys.finish(), self.names.finish())
    }
}

fn dictionary<K: arrow_array::types::ArrowDictionaryKeyType>(
    keys: PrimitiveArray<K>,
    names: StringArray,
) -> Result<ArrayRef, Error> {
    let array = DictionaryArray::try_new(keys, Arc::new(names));
    Ok(Arc::new(array.map_err(|error| Error::encode("a dictionary", error))?))
}

#[derive(Debug)]
enum Cells {
    Number(Float64Builder),
    Boolean(BooleanBuilder),
    Text(StringBuilder),
    Position { latitude: Float64Builder, longitude: Float64Builder },
}

/// Values of one property; nulls are made up for when the next value comes.
#[derive(Debug)]
struct CellColumn {
    cells: Cells,
    len: usize,
}

impl CellColumn {
    fn new(shape: Shape) -> Self {
        let cells = match shape {
            Shape::Number => Cells::Number(Float64Builder::new()),
            Shape::Boolean => Cells::Boolean(BooleanBuilder::new()),
            Shape::Text => Cells::Text(StringBuilder::new()),
            Shape::Position => Cells::Position {
                latitude: Float64Builder::new(),
                longitude: Float64Builder::new(),
            },
        };
        Self { cells, len: 0 }
    }

    fn pad(&mut self, rows: usize) {
        let missing = rows.saturating_sub(self.len);
        if missing == 0 {
            return;
        }
        self.len = rows;
        match &mut self.cells {
            Cells::Number(b) => b.append_nulls(missing),
            Cells::Boolean(b) => b.append_nulls(missing),
            Cells::Text(b) => b.append_nulls(missing),
            Cells::Position { latitude, longitude } => {
                latitude.append_nulls(missing);
                longitude.append_nulls(missing);
            }
        }
    }

    fn push(&mut self, row: usize, value: &Value) {
        self.pad(row);
        match (&mut self.cells, value) {
            (Cells::Number(b), Value::Number(number)) => b.append_value(*number),
            (Cells::Boolean(b), Value::Boolean(truth)) => b.append_value(*truth),
            (Cells::Text(b), Value::Text(text)) => b.append_value(text),
            (
                Cells::Position { latitude: la, longitude: lo },
                Value::Position { latitude, longitude },
            ) => {
                la.append_value(*latitude);
                lo.append_value(*longitude);
            }
            // Shapes are checked when a row comes in.
            _ => return,
        }
        self.len += 1;
    }

    fn finish(&mut self, rows: usize) -> Result<ArrayRef, Error> {
        self.pad(rows);
        self.len = 0;
        Ok(match &mut self.cells {
            Cells::Number(b) => Arc::new(b.finish()),
            Cells::Boolean(b) => Arc::new(b.finish()),
            Cells::Text(b) => Arc::new(b.finish()),
            Cells::Position { latitude, longitude } => {
                let (latitude, longitude) = (latitude.finish(), longitude.finish());
                let nulls: Option<NullBuffer> = latitude.nulls().cloned();
                let arrays: Vec<ArrayRef> = vec![Arc::new(latitude), Arc::new(longitude)];
                let array = StructArray::try_new(position_fields(), arrays, nulls);
                Arc::new(array.map_err(|error| Error::encode("positions", error))?)
            }
        })
    }
}

/// Gathers rows into a batch.
#[derive(Debug)]
pub(crate) struct BatchBuilder {
    schema: SchemaRef,
    device: DeviceColumn,
    time: Int64Builder,
    offset: Int64Builder,
    index: Int32Builder,
    origin: Int8Builder,
    device_time: BooleanBuilder,
    source: Int64Builder,
    cells: Vec<CellColumn>,
    rows: usize,
}

impl BatchBuilder {
    pub(crate) fn new(columns: &[Column]) -> Self {
        Self {
            schema: schema(columns),
            device: DeviceColumn::default(),
            time: Int64Builder::new(),
            offset: Int64Builder::new(),
            index: Int32Builder::new(),
            origin: Int8Builder::new(),
            device_time: BooleanBuilder::new(),
            source: Int64Builder::new(),
            cells: columns.iter().map(|column| CellColumn::new(column.shape)).collect(),
            rows: 0,
        }
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn push(&mut self, row: &Stored) {
        self.device.push(row.device);
        self.time.append_value(row.time);
        self.offset.append_value(row.offset.cast_signed());
        self.index.append_value(row.index.cast_signed());
        self.origin.append_value((row.origin as u8).cast_signed());
        self.device_time.append_value(row.stamp == Stamp::Device);
        self.source.append_option(row.source.map(u64::cast_signed));
        for (column, value) in &row.cells {
            if let Some(cells) = self.cells.get_mut(usize::from(*column)) {
                cells.push(self.rows, value);
            }
        }
        self.rows += 1;
    }

    pub(crate) fn finish(&mut self) -> Result<RecordBatch, Error> {
        let rows = std::mem::take(&mut self.rows);
        let names = StringArray::from_iter_values(ORIGINS.map(Origin::as_str));
        let time: PrimitiveArray<TimestampMillisecondType> =
            PrimitiveArray::new(self.time.finish().values().clone(), None);
        let mut arrays: Vec<ArrayRef> = vec![
            self.device.finish()?,
            Arc::new(time.with_timezone("UTC")),
            Arc::new(self.offset.finish()),
            Arc::new(self.index.finish()),
            dictionary::<Int8Type>(self.origin.finish(), names)?,
            Arc::new(self.device_time.finish()),
            Arc::new(self.source.finish()),
        ];
        for cells in &mut self.cells {
            arrays.push(cells.finish(rows)?);
        }
        RecordBatch::try_new(Arc::clone(&self.schema), arrays)
            .map_err(|error| Error::encode("a batch", error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_read_back_from_their_batch() {
        let column = |name: &str, shape| Column {
            name: name.parse().unwrap(),
            shape,
            unit: String::new(),
            definition: String::new(),
        };
        let columns = Columns::new(vec![
            column("temperature", Shape::Number),
            column("open", Shape::Boolean),
            column("text", Shape::Text),
            column("place", Shape::Position),
        ]);
        let row = |device, offset, stamp, source, cells| Stored {
            device: DeviceId::from_u128(device),
            time: -5,
            offset,
            index: 3,
            stamp,
            origin: Origin::Virtual,
            source,
            cells,
        };
        let rows = vec![
            row(
                1,
                7,
                Stamp::Device,
                None,
                vec![(0, Value::Number(1.5)), (2, Value::Text("ä".into()))],
            ),
            row(1, 8, Stamp::Log, Some(2), vec![(1, Value::Boolean(true))]),
            row(
                9,
                9,
                Stamp::Log,
                None,
                vec![(3, Value::Position { latitude: 1.0, longitude: 2.0 })],
            ),
        ];
        let mut builder = BatchBuilder::new(columns.list());
        for _ in 0..2 {
            rows.iter().for_each(|row| builder.push(row));
            let batch = builder.finish().unwrap();
            assert_eq!(super::rows(&batch, &columns, Whose::Each, None).unwrap(), rows);
        }
    }
}
