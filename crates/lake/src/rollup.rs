//! Aggregates of numbers by hour, beside the day files they were made of.
//!
//! *Invariant:* an hour's aggregate is that of the values in force of exactly one day file, which
//! names it in the Delta log; a day that has any other file or row is read as it is. Sums are made
//! hour by hour and then added in the order of time, so they are the same with and without.
//!
//! A file has a row for each device and hour, and for each number or boolean (false is 0, true 1) a
//! group {count, min, max, first, last, sum, first_at, last_at}, null when there was nothing.

use std::sync::Arc;

use arrow_array::builder::{Float64Builder, Int64Builder, NullBufferBuilder};
use arrow_array::types::{Float64Type, Int64Type, TimestampMillisecondType};
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, PrimitiveArray, RecordBatch, StructArray};
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef};
use model::{DeviceId, Name, Timestamp, Value};

use crate::columns::{DEVICE, DeviceColumn, Strange, TIME, device_type, primitive, time_type};
use crate::file::{self, Effort, Opened};
use crate::merge::Stored;
use crate::store::{Store, Written};
use crate::{Column, Error, Shape};

/// What rollups are made by.
pub(crate) const HOUR_MS: i64 = 3_600_000;

/// What can be said of some values in a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Aggregate {
    /// How many.
    pub count: u64,
    /// The smallest.
    pub min: f64,
    /// The greatest.
    pub max: f64,
    /// The earliest.
    pub first: f64,
    /// The latest.
    pub last: f64,
    /// All of them, added hour by hour.
    pub sum: f64,
    /// Time of the earliest.
    pub first_at: Timestamp,
    /// Time of the latest.
    pub last_at: Timestamp,
}

impl Aggregate {
    /// Of one value.
    pub(crate) fn of(time: i64, value: f64) -> Self {
        let at = Timestamp::from_millis(time);
        Self {
            count: 1,
            min: value,
            max: value,
            first: value,
            last: value,
            sum: value,
            first_at: at,
            last_at: at,
        }
    }

    /// Takes in what came later.
    pub(crate) fn add(&mut self, later: &Self) {
        self.count += later.count;
        self.min = self.min.min(later.min);
        self.max = self.max.max(later.max);
        self.last = later.last;
        self.sum += later.sum;
        self.last_at = later.last_at;
    }
}

/// A value as a number, if it can be added up.
pub(crate) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => Some(*number),
        Value::Boolean(truth) => Some(if *truth { 1.0 } else { 0.0 }),
        Value::Text(_) | Value::Position { .. } => None,
    }
}

/// Whether a column has aggregates.
pub(crate) fn is_numeric(shape: Shape) -> bool {
    matches!(shape, Shape::Number | Shape::Boolean)
}

/// Start of the hour of a time.
pub(crate) fn hour_of(time: i64) -> i64 {
    time.div_euclid(HOUR_MS) * HOUR_MS
}

/// What one device said in one hour.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct HourRow {
    pub(crate) device: DeviceId,
    pub(crate) hour: i64,
    pub(crate) cells: Vec<(u16, Aggregate)>,
}

/// Folds rows in file order into hours.
#[derive(Debug, Default)]
pub(crate) struct Hours {
    current: Option<HourRow>,
}

impl Hours {
    /// Takes a row; gives the hour before when it is over.
    pub(crate) fn push(&mut self, row: &Stored) -> Option<HourRow> {
        let hour = hour_of(row.time);
        let same = self.current.as_ref().is_some_and(|c| (c.device, c.hour) == (row.device, hour));
        let done = if same { None } else { self.take() };
        let current = self.current.get_or_insert_with(|| HourRow {
            device: row.device,
            hour,
            cells: Vec::new(),
        });
        for (column, value) in &row.cells {
            let Some(value) = number(value) else { continue };
            let one = Aggregate::of(row.time, value);
            match current.cells.iter_mut().find(|(known, _)| known == column) {
                Some((_, aggregate)) => aggregate.add(&one),
                None => current.cells.push((*column, one)),
            }
        }
        done
    }

    /// The last hour.
    pub(crate) fn take(&mut self) -> Option<HourRow> {
        self.current.take().filter(|hour| !hour.cells.is_empty())
    }
}

fn group_fields() -> Fields {
    let number = |name| Field::new(name, DataType::Float64, true);
    let time = |name| Field::new(name, time_type(), true);
    vec![
        Field::new("count", DataType::Int64, true),
        number("min"),
        number("max"),
        number("first"),
        number("last"),
        number("sum"),
        time("first_at"),
        time("last_at"),
    ]
    .into()
}

fn schema(columns: &[Column]) -> SchemaRef {
    let own = [Field::new(DEVICE, device_type(), false), Field::new(TIME, time_type(), false)];
    let groups = columns
        .iter()
        .filter(|column| is_numeric(column.shape))
        .map(|column| Field::new(column.name.as_str(), DataType::Struct(group_fields()), true));
    Arc::new(Schema::new(own.into_iter().chain(groups).collect::<Vec<_>>()))
}

fn times(mut builder: Int64Builder) -> ArrayRef {
    let array = builder.finish();
    let array: PrimitiveArray<TimestampMillisecondType> =
        PrimitiveArray::new(array.values().clone(), array.nulls().cloned());
    Arc::new(array.with_timezone("UTC"))
}

fn group(rows: &[HourRow], column: u16) -> Result<ArrayRef, Error> {
    let cells: Vec<Option<Aggregate>> = rows
        .iter()
        .map(|row| row.cells.iter().find(|(c, _)| *c == column).map(|(_, cell)| *cell))
        .collect();
    let numbers = |of: fn(&Aggregate) -> f64| -> ArrayRef {
        let mut builder = Float64Builder::with_capacity(cells.len());
        cells.iter().for_each(|cell| builder.append_option(cell.as_ref().map(of)));
        Arc::new(builder.finish())
    };
    let integers = |of: fn(&Aggregate) -> i64| -> Int64Builder {
        let mut builder = Int64Builder::with_capacity(cells.len());
        cells.iter().for_each(|cell| builder.append_option(cell.as_ref().map(of)));
        builder
    };
    let mut nulls = NullBufferBuilder::new(cells.len());
    cells.iter().for_each(|cell| nulls.append(cell.is_some()));
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(integers(|a| a.count.cast_signed()).finish()),
        numbers(|a| a.min),
        numbers(|a| a.max),
        numbers(|a| a.first),
        numbers(|a| a.last),
        numbers(|a| a.sum),
        times(integers(|a| a.first_at.as_millis())),
        times(integers(|a| a.last_at.as_millis())),
    ];
    let array = StructArray::try_new(group_fields(), arrays, nulls.finish());
    Ok(Arc::new(array.map_err(|error| Error::encode("aggregates", error))?))
}

fn batch(rows: &[HourRow], schema: &SchemaRef, columns: &[Column]) -> Result<RecordBatch, Error> {
    let mut devices = DeviceColumn::default();
    let mut hours = Int64Builder::with_capacity(rows.len());
    for row in rows {
        devices.push(row.device);
        hours.append_value(row.hour);
    }
    let mut arrays = vec![devices.finish()?, times(hours)];
    for (number, column) in (0..).zip(columns) {
        if is_numeric(column.shape) {
            arrays.push(group(rows, number)?);
        }
    }
    RecordBatch::try_new(Arc::clone(schema), arrays)
        .map_err(|error| Error::encode("aggregates", error))
}

/// Writes hours, which come by device and time, as a file; none when there are no hours.
pub(crate) fn write(
    store: &Store,
    name: &str,
    columns: &[Column],
    hours: &mut dyn Iterator<Item = Result<HourRow, Error>>,
) -> Result<Option<Written>, Error> {
    let schema = schema(columns);
    let mut batches = std::iter::from_fn(|| {
        let rows: Result<Vec<HourRow>, Error> = hours.take(file::BATCH_ROWS).collect();
        match rows {
            Ok(rows) if rows.is_empty() => None,
            rows => Some(rows.and_then(|rows| batch(&rows, &schema, columns))),
        }
    });
    let Some(head) = batches.next().transpose()? else { return Ok(None) };
    let mut batches = std::iter::once(Ok(head)).chain(batches);
    file::write(store, name, &schema, Effort::Thorough, &mut batches).map(Some)
}

/// The aggregates of one property in a batch, with their hours.
fn hours(batch: &RecordBatch, property: &str) -> Result<Vec<(i64, Option<Aggregate>)>, Strange> {
    let hour = primitive::<TimestampMillisecondType>(batch, TIME)?;
    let Some(group) = batch.column_by_name(property) else { return Ok(Vec::new()) };
    let group = group.as_any().downcast_ref::<StructArray>();
    let group = group.ok_or_else(|| format!("column {property} is no group"))?;
    let count = part::<Int64Type>(group, "count")?;
    let [min, max, first, last, sum] =
        ["min", "max", "first", "last", "sum"].map(|name| part::<Float64Type>(group, name));
    let (min, max, first, last, sum) = (min?, max?, first?, last?, sum?);
    let first_at = part::<TimestampMillisecondType>(group, "first_at")?;
    let last_at = part::<TimestampMillisecondType>(group, "last_at")?;
    let cell = |row: usize| Aggregate {
        count: count.value(row).cast_unsigned(),
        min: min.value(row),
        max: max.value(row),
        first: first.value(row),
        last: last.value(row),
        sum: sum.value(row),
        first_at: Timestamp::from_millis(first_at.value(row)),
        last_at: Timestamp::from_millis(last_at.value(row)),
    };
    let all =
        (0..batch.num_rows()).map(|row| (hour.value(row), group.is_valid(row).then(|| cell(row))));
    Ok(all.collect())
}

fn part<'g, T: ArrowPrimitiveType>(
    group: &'g StructArray,
    name: &str,
) -> Result<&'g PrimitiveArray<T>, Strange> {
    let array = group.column_by_name(name).and_then(|array| array.as_any().downcast_ref());
    array.ok_or_else(|| format!("part {name} is missing or has another type"))
}

impl Opened {
    /// Hours of one property of a device, in order.
    pub(crate) fn hours_of(
        &self,
        device: DeviceId,
        property: &Name,
    ) -> Result<Vec<(i64, Aggregate)>, Error> {
        let mut found = Vec::new();
        for batch in self.batches_of(&self.reader(), device, &[TIME, property.as_str()])? {
            let hours = hours(&batch, property.as_str()).map_err(|what| self.strange(what))?;
            found.extend(hours.into_iter().filter_map(|(hour, cell)| Some((hour, cell?))));
        }
        Ok(found)
    }

    /// All hours, by device and time.
    pub(crate) fn all_hours(
        self: &Arc<Self>,
        columns: &Arc<[Column]>,
    ) -> Result<impl Iterator<Item = Result<HourRow, Error>> + Send + use<>, Error> {
        let names: Vec<&str> =
            [DEVICE, TIME].into_iter().chain(columns.iter().map(|c| c.name.as_str())).collect();
        let (opened, columns) = (Arc::clone(self), Arc::clone(columns));
        Ok(self.scan(&names)?.flat_map(move |batch| {
            let rows = batch
                .and_then(|batch| hour_rows(&batch, &columns).map_err(|what| opened.strange(what)));
            let (rows, error) = match rows {
                Ok(rows) => (rows, None),
                Err(error) => (Vec::new(), Some(Err(error))),
            };
            rows.into_iter().map(Ok).chain(error)
        }))
    }
}

fn hour_rows(batch: &RecordBatch, columns: &[Column]) -> Result<Vec<HourRow>, Strange> {
    let (keys, names) = crate::columns::devices(batch)?;
    let hour = primitive::<TimestampMillisecondType>(batch, TIME)?;
    let mut rows = Vec::with_capacity(batch.num_rows());
    for (key, hour) in keys.iter().zip(hour.values()) {
        let device = usize::try_from(*key).ok().and_then(|key| names.get(key)).copied();
        let device = device.ok_or_else(|| format!("{DEVICE} points outside its dictionary"))?;
        rows.push(HourRow { device, hour: *hour, cells: Vec::new() });
    }
    for (number, column) in (0_u16..).zip(columns) {
        if is_numeric(column.shape) {
            for (row, (_, cell)) in rows.iter_mut().zip(hours(batch, column.name.as_str())?) {
                row.cells.extend(cell.map(|cell| (number, cell)));
            }
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Stamp;
    use faultsim::SimDisk;
    use model::Origin;
    use std::path::PathBuf;

    #[test]
    fn hours_read_back_by_device_and_all_together() {
        let column = |name: &str, shape| Column {
            name: name.parse().unwrap(),
            shape,
            unit: String::new(),
            definition: String::new(),
        };
        let columns: Arc<[Column]> =
            [column("t", Shape::Number), column("x", Shape::Text), column("open", Shape::Boolean)]
                .into();
        let row = |device, time, cells| Stored {
            device: DeviceId::from_u128(device),
            time,
            offset: 1,
            index: 0,
            stamp: Stamp::Device,
            origin: Origin::Real,
            source: None,
            cells,
        };
        let rows = [
            row(1, 5, vec![(0, Value::Number(2.0)), (1, Value::Text("a".into()))]),
            row(1, 9, vec![(0, Value::Number(1.0))]),
            row(1, HOUR_MS, vec![(2, Value::Boolean(true))]),
            row(2, 7, vec![(1, Value::Text("a".into()))]),
            row(3, 7, vec![(0, Value::Number(4.0))]),
        ];
        let mut fold = Hours::default();
        let mut folded: Vec<HourRow> = rows.iter().filter_map(|row| fold.push(row)).collect();
        folded.extend(fold.take());
        let mut first = Aggregate::of(5, 2.0);
        first.add(&Aggregate::of(9, 1.0));
        assert_eq!((first.min, first.max, first.sum, first.count), (1.0, 2.0, 3.0, 2));
        assert_eq!(folded.len(), 3);
        assert_eq!(folded[0].cells, [(0, first)]);

        let store = Store::new(Arc::new(SimDisk::new(1)), PathBuf::from("t"));
        let mut hours = folded.iter().cloned().map(Ok);
        let written = write(&store, "a", &columns, &mut hours).unwrap().unwrap();
        let opened = Arc::new(Opened::new(store.open("a", &written).unwrap()).unwrap());
        let all: Vec<HourRow> = opened.all_hours(&columns).unwrap().map(Result::unwrap).collect();
        assert_eq!(all, folded);
        let device = DeviceId::from_u128(1);
        assert_eq!(opened.hours_of(device, &"t".parse().unwrap()).unwrap(), [(0, first)]);
        let open = opened.hours_of(device, &"open".parse().unwrap()).unwrap();
        assert_eq!(open, [(HOUR_MS, Aggregate::of(HOUR_MS, 1.0))]);
        assert_eq!(opened.hours_of(device, &"none".parse().unwrap()).unwrap(), []);
    }
}
