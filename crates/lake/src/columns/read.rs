//! Arrow columns as rows.
//!
//! *Invariant:* whatever a batch holds, this gives rows or says what is strange; it never panics.

use arrow_array::types::{Float64Type, Int8Type, Int32Type, Int64Type, TimestampMillisecondType};
use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, BooleanArray, DictionaryArray, PrimitiveArray,
    RecordBatch, StringArray, StructArray,
};
use model::{DeviceId, Origin, Value};

use super::{Columns, DEVICE, DEVICE_TIME, INDEX, OFFSET, ORIGIN, SOURCE, TIME};
use crate::merge::Stored;
use crate::{Shape, Stamp};

/// What of a batch is not what we wrote.
pub(crate) type Strange = String;

/// A column of a batch, by its type.
pub(crate) fn primitive<'b, T: ArrowPrimitiveType>(
    batch: &'b RecordBatch,
    name: &str,
) -> Result<&'b PrimitiveArray<T>, Strange> {
    let array = batch.column_by_name(name).and_then(|a| a.as_any().downcast_ref());
    array.ok_or_else(|| format!("column {name} is missing or has another type"))
}

/// Devices of a batch: number in the dictionary of each row, and the dictionary.
pub(crate) fn devices(batch: &RecordBatch) -> Result<(&[i32], Vec<DeviceId>), Strange> {
    let (keys, names) = device_names(batch)?;
    let parsed = names.iter().map(|name| name.unwrap_or_default().parse::<DeviceId>());
    let parsed: Result<Vec<DeviceId>, _> = parsed.collect();
    Ok((keys, parsed.map_err(|error| error.to_string())?))
}

/// The same, with the dictionary as text.
pub(crate) fn device_names(batch: &RecordBatch) -> Result<(&[i32], &StringArray), Strange> {
    let array = batch
        .column_by_name(DEVICE)
        .and_then(|a| a.as_any().downcast_ref::<DictionaryArray<Int32Type>>())
        .ok_or_else(|| format!("column {DEVICE} is missing or has another type"))?;
    let names = array.values().as_any().downcast_ref::<StringArray>();
    let names = names.ok_or_else(|| format!("column {DEVICE} is no text"))?;
    Ok((array.keys().values(), names))
}

fn origins(batch: &RecordBatch) -> Result<Vec<Origin>, Strange> {
    let array = batch
        .column_by_name(ORIGIN)
        .and_then(|a| a.as_any().downcast_ref::<DictionaryArray<Int8Type>>())
        .ok_or_else(|| format!("column {ORIGIN} is missing or has another type"))?;
    let names = array.values().as_any().downcast_ref::<StringArray>();
    let names = names.ok_or_else(|| format!("column {ORIGIN} is no text"))?;
    let parsed = names.iter().map(|name| name.unwrap_or_default().parse::<Origin>());
    let parsed: Vec<Origin> =
        parsed.collect::<Result<_, _>>().map_err(|error| error.to_string())?;
    let of = |key: &i8| usize::try_from(*key).ok().and_then(|key| parsed.get(key)).copied();
    let all: Option<Vec<Origin>> = array.keys().values().iter().map(of).collect();
    all.ok_or_else(|| format!("column {ORIGIN} points outside its dictionary"))
}

/// The values of one property in a batch.
enum Values<'b> {
    Number(&'b PrimitiveArray<Float64Type>),
    Boolean(&'b BooleanArray),
    Text(&'b StringArray),
    Position {
        whole: &'b StructArray,
        latitude: &'b PrimitiveArray<Float64Type>,
        longitude: &'b PrimitiveArray<Float64Type>,
    },
}

impl<'b> Values<'b> {
    fn of(array: &'b ArrayRef, shape: Shape) -> Option<Self> {
        let any = array.as_any();
        Some(match shape {
            Shape::Number => Self::Number(any.downcast_ref()?),
            Shape::Boolean => Self::Boolean(any.downcast_ref()?),
            Shape::Text => Self::Text(any.downcast_ref()?),
            Shape::Position => {
                let whole = any.downcast_ref::<StructArray>()?;
                let part = |name| whole.column_by_name(name)?.as_any().downcast_ref();
                Self::Position { whole, latitude: part("latitude")?, longitude: part("longitude")? }
            }
        })
    }

    fn get(&self, row: usize) -> Option<Value> {
        match self {
            Self::Number(array) => array.is_valid(row).then(|| Value::Number(array.value(row))),
            Self::Boolean(array) => array.is_valid(row).then(|| Value::Boolean(array.value(row))),
            Self::Text(array) => array.is_valid(row).then(|| Value::Text(array.value(row).into())),
            Self::Position { whole, latitude, longitude } => whole.is_valid(row).then(|| {
                let (latitude, longitude) = (latitude.value(row), longitude.value(row));
                Value::Position { latitude, longitude }
            }),
        }
    }
}

/// Who a batch is about.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Whose {
    /// Column `_device` says.
    Each,
    /// It was left out, because all rows are of one device.
    One(DeviceId),
}

/// What all rows of a file have in common, so that these columns need not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Alike {
    pub(crate) index: u32,
    pub(crate) origin: Origin,
    pub(crate) stamp: Stamp,
}

/// Columns that are left out when all rows are alike; `_source` is then null throughout.
pub(crate) const ALIKE: [&str; 4] = [INDEX, ORIGIN, DEVICE_TIME, SOURCE];

/// The columns that rows may have in common, as they were read.
enum Provenance<'b> {
    Alike(Alike),
    Columns {
        index: &'b PrimitiveArray<Int32Type>,
        origin: Vec<Origin>,
        stamp: &'b BooleanArray,
        source: &'b PrimitiveArray<Int64Type>,
    },
}

impl<'b> Provenance<'b> {
    fn of(batch: &'b RecordBatch, alike: Option<Alike>) -> Result<Self, Strange> {
        if let Some(alike) = alike {
            return Ok(Self::Alike(alike));
        }
        let stamp = batch.column_by_name(DEVICE_TIME).and_then(|a| a.as_any().downcast_ref());
        let stamp =
            stamp.ok_or_else(|| format!("column {DEVICE_TIME} is missing or has another type"))?;
        Ok(Self::Columns {
            index: primitive(batch, INDEX)?,
            origin: origins(batch)?,
            stamp,
            source: primitive(batch, SOURCE)?,
        })
    }

    fn get(&self, row: usize) -> (Alike, Option<u64>) {
        match self {
            Self::Alike(alike) => (*alike, None),
            Self::Columns { index, origin, stamp, source } => {
                let stamp = if stamp.value(row) { Stamp::Device } else { Stamp::Log };
                let origin = origin.get(row).copied().unwrap_or(Origin::Real);
                let index = index.value(row).cast_unsigned();
                let source = source.is_valid(row).then(|| source.value(row).cast_unsigned());
                (Alike { index, origin, stamp }, source)
            }
        }
    }
}

/// Rows of a batch, with the values of the columns that it has; rows without any are left out.
pub(crate) fn rows(
    batch: &RecordBatch,
    columns: &Columns,
    whose: Whose,
    alike: Option<Alike>,
) -> Result<Vec<Stored>, Strange> {
    let (keys, names) = match whose {
        Whose::Each => devices(batch)?,
        Whose::One(device) => (&[][..], vec![device]),
    };
    let time = primitive::<TimestampMillisecondType>(batch, TIME)?;
    let offset = primitive::<Int64Type>(batch, OFFSET)?;
    let provenance = Provenance::of(batch, alike)?;
    let mut values = Vec::new();
    for (number, column) in (0_u16..).zip(columns.list()) {
        if let Some(array) = batch.column_by_name(column.name.as_str()) {
            let cells = Values::of(array, column.shape)
                .ok_or_else(|| format!("column {} has another type", column.name))?;
            values.push((number, cells));
        }
    }
    let mut rows = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        let cells: Vec<(u16, Value)> = values
            .iter()
            .filter_map(|(number, cells)| cells.get(row).map(|value| (*number, value)))
            .collect();
        if cells.is_empty() {
            continue;
        }
        let key = keys.get(row).map_or(Some(0), |key| usize::try_from(*key).ok());
        let device = key.and_then(|key| names.get(key)).copied();
        let (alike, source) = provenance.get(row);
        rows.push(Stored {
            device: device.ok_or_else(|| format!("{DEVICE} points outside its dictionary"))?,
            time: time.value(row),
            offset: offset.value(row).cast_unsigned(),
            index: alike.index,
            stamp: alike.stamp,
            origin: alike.origin,
            source,
            cells,
        });
    }
    Ok(rows)
}
