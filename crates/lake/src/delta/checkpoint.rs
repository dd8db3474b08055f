//! A table's whole state as one Parquet file, so that nobody has to read thousands of versions.
//!
//! *Invariant:* the file says the same as the versions up to its own, in the columns that
//! `PROTOCOL.md` of delta-io/delta names. Removed files are left out: they matter only to a vacuum
//! of another program, and we remove them ourselves.

use std::sync::Arc;

use arrow_array::builder::{ListBuilder, MapBuilder, MapFieldNames, StringBuilder};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Int32Array, Int64Array, RecordBatch, StringArray, StructArray,
};
use arrow_buffer::NullBuffer;
use arrow_schema::{Field, Fields, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use serde_json::Value;

use crate::Error;

/// Type of a column, as the protocol wants it.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Int,
    Long,
    Boolean,
    Map,
    List,
}

const PROTOCOL: [(&str, Kind); 2] =
    [("minReaderVersion", Kind::Int), ("minWriterVersion", Kind::Int)];
const TXN: [(&str, Kind); 3] =
    [("appId", Kind::Text), ("version", Kind::Long), ("lastUpdated", Kind::Long)];
const METADATA: [(&str, Kind); 6] = [
    ("id", Kind::Text),
    ("name", Kind::Text),
    ("schemaString", Kind::Text),
    ("partitionColumns", Kind::List),
    ("createdTime", Kind::Long),
    ("configuration", Kind::Map),
];
const ADD: [(&str, Kind); 7] = [
    ("path", Kind::Text),
    ("partitionValues", Kind::Map),
    ("size", Kind::Long),
    ("modificationTime", Kind::Long),
    ("dataChange", Kind::Boolean),
    ("stats", Kind::Text),
    ("tags", Kind::Map),
];

/// The bytes of a checkpoint of these lines of a log.
pub(crate) fn encode(lines: &[Value]) -> Result<Vec<u8>, Error> {
    let protocol = group(lines, "protocol", &PROTOCOL, Vec::new())?;
    let txn = group(lines, "txn", &TXN, Vec::new())?;
    let format = ("format", format(lines)?);
    let metadata = group(lines, "metaData", &METADATA, vec![format])?;
    let add = group(lines, "add", &ADD, Vec::new())?;
    let columns = [("txn", txn), ("add", add), ("metaData", metadata), ("protocol", protocol)];
    let failed = |error| Error::encode("a checkpoint", error);
    let fields = columns.iter().map(|(name, a)| Field::new(*name, a.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let arrays = columns.iter().map(|(_, array)| Arc::clone(array)).collect();
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays).map_err(failed)?;
    let properties =
        WriterProperties::builder().set_compression(Compression::ZSTD(Default::default())).build();
    let mut bytes = Vec::new();
    let failed = |error| Error::encode("a checkpoint", error);
    let mut writer = ArrowWriter::try_new(&mut bytes, schema, Some(properties)).map_err(failed)?;
    writer.write(&batch).map_err(failed)?;
    writer.close().map_err(failed)?;
    Ok(bytes)
}

/// One action's columns; null in the lines of other actions.
fn group(
    lines: &[Value],
    name: &str,
    columns: &[(&str, Kind)],
    more: Vec<(&'static str, ArrayRef)>,
) -> Result<ArrayRef, Error> {
    let bodies: Vec<Option<&Value>> = lines.iter().map(|line| line.get(name)).collect();
    let mut arrays: Vec<(&str, ArrayRef)> = Vec::new();
    for (key, kind) in columns {
        let cells: Vec<Option<&Value>> =
            bodies.iter().map(|body| body.as_ref()?.get(*key)).collect();
        arrays.push((key, array(&cells, *kind)?));
    }
    arrays.extend(more);
    structure(&bodies, arrays)
}

fn structure(bodies: &[Option<&Value>], arrays: Vec<(&str, ArrayRef)>) -> Result<ArrayRef, Error> {
    let fields: Fields =
        arrays.iter().map(|(key, a)| Field::new(*key, a.data_type().clone(), true)).collect();
    let nulls = NullBuffer::from_iter(bodies.iter().map(Option::is_some));
    let arrays = arrays.into_iter().map(|(_, array)| array).collect();
    let array = StructArray::try_new(fields, arrays, Some(nulls));
    Ok(Arc::new(array.map_err(|error| Error::encode("a checkpoint", error))?))
}

/// `metaData.format`, which is a group of its own.
fn format(lines: &[Value]) -> Result<ArrayRef, Error> {
    let bodies: Vec<Option<&Value>> =
        lines.iter().map(|line| line.get("metaData")?.get("format")).collect();
    let part = |key: &str| -> Vec<Option<&Value>> {
        bodies.iter().map(|body| body.as_ref()?.get(key)).collect()
    };
    let provider = array(&part("provider"), Kind::Text)?;
    let options = array(&part("options"), Kind::Map)?;
    structure(&bodies, vec![("provider", provider), ("options", options)])
}

fn array(cells: &[Option<&Value>], kind: Kind) -> Result<ArrayRef, Error> {
    let long = |cell: &Option<&Value>| cell.as_ref()?.as_i64();
    Ok(match kind {
        Kind::Text => {
            let text = cells.iter().map(|cell| cell.as_ref()?.as_str());
            Arc::new(text.collect::<StringArray>())
        }
        Kind::Int => {
            let int = cells.iter().map(|cell| i32::try_from(long(cell)?).ok());
            Arc::new(int.collect::<Int32Array>())
        }
        Kind::Long => Arc::new(cells.iter().map(long).collect::<Int64Array>()),
        Kind::Boolean => {
            let truth = cells.iter().map(|cell| cell.as_ref()?.as_bool());
            Arc::new(truth.collect::<BooleanArray>())
        }
        Kind::Map => map(cells)?,
        Kind::List => {
            let mut list = ListBuilder::new(StringBuilder::new());
            for cell in cells {
                let items = cell.and_then(Value::as_array);
                for item in items.into_iter().flatten() {
                    list.values().append_option(item.as_str());
                }
                list.append(items.is_some());
            }
            Arc::new(list.finish())
        }
    })
}

fn map(cells: &[Option<&Value>]) -> Result<ArrayRef, Error> {
    let names = MapFieldNames {
        entry: "key_value".to_owned(),
        key: "key".to_owned(),
        value: "value".to_owned(),
    };
    let mut map = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new());
    for cell in cells {
        let entries = cell.and_then(Value::as_object);
        for (key, value) in entries.into_iter().flatten() {
            map.keys().append_value(key);
            map.values().append_option(value.as_str());
        }
        map.append(entries.is_some()).map_err(|error| Error::encode("a checkpoint", error))?;
    }
    Ok(Arc::new(map.finish()))
}
