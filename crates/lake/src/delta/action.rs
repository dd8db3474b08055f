//! One line of a Delta log, in our words and in JSON.
//!
//! *Invariant:* `from_json(to_json(action)) == action`. Statistics name no device and no text
//! value, so that a version never has to be rewritten to forget somebody.

use std::collections::HashMap;
use std::sync::Arc;

use model::Timestamp;
use serde_json::{Map, Value, json};

use crate::columns::{DEVICE, DEVICE_TIME, INDEX, OFFSET, ORIGIN, SOURCE, TIME, described};
use crate::day::Day;
use crate::store::Written;
use crate::{Column, Shape, TableId};

/// The column that other programs see for the folder.
pub(crate) const DAY: &str = "_day";

/// How far a file has been merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// As it was flushed.
    Flushed,
    /// Neighbouring files of one day: first flushes, then runs of the same tier.
    Run(u8),
    /// All of a day up to an offset, with only the values in force.
    Day,
}

impl Level {
    /// The level of neighbours of this level, once they are one file.
    pub(crate) const fn next_run(self) -> Self {
        match self {
            Self::Flushed => Self::Run(1),
            Self::Run(tier) => Self::Run(tier.saturating_add(1)),
            Self::Day => Self::Day,
        }
    }

    fn to_text(self) -> String {
        match self {
            Self::Flushed => "flushed".to_owned(),
            Self::Run(tier) => format!("run{tier}"),
            Self::Day => "day".to_owned(),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        match text {
            "flushed" => Some(Self::Flushed),
            "day" => Some(Self::Day),
            run => run.strip_prefix("run")?.parse().ok().map(Self::Run),
        }
    }
}

/// Whether a version changes what the table says or only how it lies on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Changes {
    /// New or fewer readings.
    Data,
    /// The same readings in other files.
    Layout,
}

/// A file of hourly aggregates that covers a data file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rollup {
    /// Below the table's folder.
    pub(crate) path: String,
    /// Its bytes.
    pub(crate) written: Written,
}

/// A data file of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileEntry {
    /// Below the table's folder.
    pub(crate) path: String,
    /// Day of all its event times.
    pub(crate) day: Day,
    /// Its bytes.
    pub(crate) written: Written,
    /// How many rows.
    pub(crate) rows: u64,
    /// Smallest event time.
    pub(crate) first: i64,
    /// Greatest event time.
    pub(crate) last: i64,
    /// It has all rows of the day with offsets from here ...
    pub(crate) from: u64,
    /// ... to here.
    pub(crate) to: u64,
    /// How far merged.
    pub(crate) level: Level,
    /// When it was written.
    pub(crate) at: i64,
    /// Its hourly aggregates.
    pub(crate) rollup: Option<Arc<Rollup>>,
}

/// One line of a version.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Action {
    /// Versions of the protocol.
    Protocol,
    /// Columns of the table.
    Describe { columns: Vec<Column>, created: Timestamp },
    /// How far the event log is in the files.
    Flushed { offset: u64, at: Timestamp },
    /// A file that is part of the table, or a new description of one.
    Add(Arc<FileEntry>, Changes),
    /// A file that no longer is.
    Remove { path: String, day: Day, at: i64, changes: Changes },
}

fn data_type(shape: Shape) -> Value {
    match shape {
        Shape::Number => json!("double"),
        Shape::Boolean => json!("boolean"),
        Shape::Text => json!("string"),
        Shape::Position => json!({ "type": "struct", "fields": [
            field("latitude", &json!("double"), Filled::Sometimes, &HashMap::new()),
            field("longitude", &json!("double"), Filled::Sometimes, &HashMap::new()),
        ]}),
    }
}

fn shape(data: &Value) -> Option<Shape> {
    match data {
        Value::String(name) => match name.as_str() {
            "double" => Some(Shape::Number),
            "boolean" => Some(Shape::Boolean),
            "string" => Some(Shape::Text),
            _ => None,
        },
        Value::Object(_) => Some(Shape::Position),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
    }
}

/// Whether every row has a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Filled {
    Always,
    Sometimes,
}

fn field(name: &str, data: &Value, filled: Filled, metadata: &HashMap<String, String>) -> Value {
    let nullable = filled == Filled::Sometimes;
    json!({ "name": name, "type": data, "nullable": nullable, "metadata": metadata })
}

fn schema(columns: &[Column]) -> Value {
    let none = HashMap::new();
    let own = [
        (DEVICE, "string", Filled::Always),
        (TIME, "timestamp", Filled::Always),
        (OFFSET, "long", Filled::Always),
        (INDEX, "integer", Filled::Always),
        (ORIGIN, "string", Filled::Always),
        (DEVICE_TIME, "boolean", Filled::Always),
        (SOURCE, "long", Filled::Sometimes),
    ];
    let own = own.map(|(name, data, filled)| field(name, &json!(data), filled, &none));
    let ours = columns.iter().map(|column| {
        field(column.name.as_str(), &data_type(column.shape), Filled::Sometimes, &described(column))
    });
    let day = field(DAY, &json!("date"), Filled::Sometimes, &none);
    let fields: Vec<Value> = own.into_iter().chain(ours).chain([day]).collect();
    json!({ "type": "struct", "fields": fields })
}

fn columns(schema: &Value) -> Option<Vec<Column>> {
    let mut columns = Vec::new();
    for field in schema.get("fields")?.as_array()? {
        let name = field.get("name")?.as_str()?;
        if name.starts_with('_') {
            continue;
        }
        let text = |key: &str| {
            let text = field.get("metadata").and_then(|m| m.get(key)).and_then(Value::as_str);
            text.unwrap_or_default().to_owned()
        };
        columns.push(Column {
            name: name.parse().ok()?,
            shape: shape(field.get("type")?)?,
            unit: text("unit"),
            definition: text("comment"),
        });
    }
    Some(columns)
}

/// A name of the table that no other has, in the form Delta wants.
fn guid(table: &TableId) -> String {
    let names = format!("{}/{}", table.venture, table.kind);
    let mixed = table.tenant.as_u128() ^ u128::from(crc32c::crc32c(names.as_bytes()));
    let hex = format!("{mixed:032x}");
    let mut guid = String::new();
    for (at, digit) in hex.chars().enumerate() {
        if matches!(at, 8 | 12 | 16 | 20) {
            guid.push('-');
        }
        guid.push(digit);
    }
    guid
}

fn stats(file: &FileEntry) -> String {
    let time = |ms| {
        // Other programs want the milliseconds even when there are none.
        let text = Timestamp::from_millis(ms).to_string();
        if text.contains('.') { text } else { text.replace('Z', ".000Z") }
    };
    json!({
        "numRecords": file.rows,
        "minValues": { TIME: time(file.first), OFFSET: file.from },
        "maxValues": { TIME: time(file.last), OFFSET: file.to },
    })
    .to_string()
}

impl FileEntry {
    fn tags(&self) -> Map<String, Value> {
        let mut tags = Map::new();
        let mut put = |key: &str, text: String| tags.insert(key.to_owned(), Value::String(text));
        put("crc32c", self.written.to_text());
        put("from", self.from.to_string());
        put("to", self.to.to_string());
        put("first", self.first.to_string());
        put("last", self.last.to_string());
        put("level", self.level.to_text());
        if let Some(rollup) = &self.rollup {
            put("rollup", rollup.path.clone());
            put("rollup_bytes", rollup.written.bytes.to_string());
            put("rollup_crc32c", rollup.written.to_text());
        }
        tags
    }

    fn to_json(&self, changes: Changes) -> Value {
        json!({ "add": {
            "path": self.path,
            "partitionValues": { DAY: self.day.to_string() },
            "size": self.written.bytes,
            "modificationTime": self.at,
            "dataChange": changes == Changes::Data,
            "stats": stats(self),
            "tags": self.tags(),
        }})
    }

    fn from_json(add: &Value) -> Option<Self> {
        let tag = |key: &str| add.get("tags")?.get(key)?.as_str();
        let bytes = add.get("size")?.as_u64()?;
        let stats: Value = serde_json::from_str(add.get("stats")?.as_str()?).ok()?;
        let rollup = tag("rollup").and_then(|path| {
            let bytes = tag("rollup_bytes")?.parse().ok()?;
            let written = Written::from_text(bytes, tag("rollup_crc32c")?)?;
            Some(Arc::new(Rollup { path: path.to_owned(), written }))
        });
        Some(Self {
            path: add.get("path")?.as_str()?.to_owned(),
            day: day_of(add)?,
            written: Written::from_text(bytes, tag("crc32c")?)?,
            rows: stats.get("numRecords")?.as_u64()?,
            first: tag("first")?.parse().ok()?,
            last: tag("last")?.parse().ok()?,
            from: tag("from")?.parse().ok()?,
            to: tag("to")?.parse().ok()?,
            level: Level::parse(tag("level")?)?,
            at: add.get("modificationTime")?.as_i64()?,
            rollup,
        })
    }
}

fn day_of(action: &Value) -> Option<Day> {
    action.get("partitionValues")?.get(DAY)?.as_str()?.parse().ok()
}

fn changes_of(action: &Value) -> Option<Changes> {
    let data = action.get("dataChange")?.as_bool()?;
    Some(if data { Changes::Data } else { Changes::Layout })
}

impl Action {
    pub(crate) fn to_json(&self, table: &TableId, app: &str) -> Value {
        match self {
            Self::Protocol => {
                json!({ "protocol": { "minReaderVersion": 1, "minWriterVersion": 2 } })
            }
            Self::Describe { columns, created } => json!({ "metaData": {
                "id": guid(table),
                "name": table.to_string(),
                "format": { "provider": "parquet", "options": {} },
                "schemaString": schema(columns).to_string(),
                "partitionColumns": [DAY],
                "configuration": {},
                "createdTime": created.as_millis(),
            }}),
            Self::Flushed { offset, at } => json!({ "txn": {
                "appId": app,
                "version": offset,
                "lastUpdated": at.as_millis(),
            }}),
            Self::Add(file, changes) => file.to_json(*changes),
            Self::Remove { path, day, at, changes } => json!({ "remove": {
                "path": path,
                "deletionTimestamp": at,
                "dataChange": *changes == Changes::Data,
                "extendedFileMetadata": true,
                "partitionValues": { DAY: day.to_string() },
            }}),
        }
    }

    pub(crate) fn from_json(line: &Value, app: &str) -> Option<Self> {
        let (key, body) = line.as_object()?.iter().next()?;
        let at = |key: &str| body.get(key)?.as_i64().map(Timestamp::from_millis);
        match key.as_str() {
            "protocol" => Some(Self::Protocol),
            "metaData" => {
                let schema = serde_json::from_str(body.get("schemaString")?.as_str()?).ok()?;
                Some(Self::Describe { columns: columns(&schema)?, created: at("createdTime")? })
            }
            "txn" => {
                // Another shard's mark says nothing about ours.
                let ours = body.get("appId")?.as_str()? == app;
                let offset = if ours { body.get("version")?.as_u64()? } else { 0 };
                Some(Self::Flushed { offset, at: at("lastUpdated")? })
            }
            "add" => Some(Self::Add(Arc::new(FileEntry::from_json(body)?), changes_of(body)?)),
            "remove" => Some(Self::Remove {
                path: body.get("path")?.as_str()?.to_owned(),
                day: day_of(body)?,
                at: at("deletionTimestamp")?.as_millis(),
                changes: changes_of(body)?,
            }),
            _ => None,
        }
    }
}
