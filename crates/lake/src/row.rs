//! What the lake takes in and gives back: rows of readings, and the columns they go to.
//!
//! *Invariant:* a row is what one message said of one point in time; every value in it has the same
//! device, time, offset, origin and kind of identity. Rows of one lake arrive in offset order.

use std::fmt;

use model::{DeviceId, Name, Offset, Origin, Reading, ReadingMark, TenantId, Timestamp, Value};

/// One table: what devices of one kind of one venture said.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableId {
    /// Isolation boundary.
    pub tenant: TenantId,
    /// The venture whose blueprint names the kind.
    pub venture: Name,
    /// The kind of device.
    pub kind: Name,
}

impl fmt::Display for TableId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.tenant, self.venture, self.kind)
    }
}

/// Type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Shape {
    /// A finite number.
    Number,
    /// True or false.
    Boolean,
    /// Text.
    Text,
    /// WGS 84 latitude and longitude.
    Position,
}

impl Shape {
    /// The shape of a value.
    #[must_use]
    pub const fn of(value: &Value) -> Self {
        match value {
            Value::Number(_) => Self::Number,
            Value::Boolean(_) => Self::Boolean,
            Value::Text(_) => Self::Text,
            Value::Position { .. } => Self::Position,
        }
    }

    /// The word used in errors.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Text => "text",
            Self::Position => "position",
        }
    }
}

/// One property of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// The property's name.
    pub name: Name,
    /// Its type, for ever.
    pub shape: Shape,
    /// UCUM code of the stored unit; empty is none.
    pub unit: String,
    /// What it means, for readers of the files; may be empty.
    pub definition: String,
}

/// What a reading's time is worth, and so what makes it the same reading as another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stamp {
    /// The device said when: the same device, property and time is the same reading.
    Device,
    /// It has the log's time: only the same place in the same message is the same reading.
    Log,
}

/// What one message said of one point in time.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Who said it.
    pub device: DeviceId,
    /// Event time.
    pub time: Timestamp,
    /// Whose time that is.
    pub stamp: Stamp,
    /// The frame.
    pub offset: Offset,
    /// Place among the rows of that frame.
    pub index: u32,
    /// Set by the credential.
    pub origin: Origin,
    /// The first frame of these bytes, when they were decoded again.
    pub source: Option<Offset>,
    /// Values by property, each property at most once.
    pub values: Vec<(Name, Value)>,
}

/// Where the readings of one message come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message {
    /// Who said it.
    pub device: DeviceId,
    /// The frame.
    pub offset: Offset,
    /// Log time of the frame, of the first frame when it is decoded again.
    pub log_time: Timestamp,
    /// Set by the credential.
    pub origin: Origin,
    /// The first frame of these bytes, when they are decoded again.
    pub source: Option<Offset>,
}

impl Message {
    /// Rows of a decoded message, in its order.
    #[must_use]
    pub fn rows(&self, readings: Vec<Reading>) -> Vec<Row> {
        let mut rows: Vec<Row> = Vec::new();
        for reading in readings {
            let stamp = self.stamp(&reading);
            // A list of objects without times repeats a property at the same time.
            let continues = rows.last().is_some_and(|row| {
                row.time == reading.time
                    && row.stamp == stamp
                    && !row.values.iter().any(|(name, _)| *name == reading.property)
            });
            if !continues {
                let index = u32::try_from(rows.len()).unwrap_or(u32::MAX);
                rows.push(Row {
                    device: self.device,
                    time: reading.time,
                    stamp,
                    offset: self.offset,
                    index,
                    origin: self.origin,
                    source: self.source,
                    values: Vec::new(),
                });
            }
            if let Some(row) = rows.last_mut() {
                row.values.push((reading.property, reading.value));
            }
        }
        rows
    }

    fn stamp(&self, reading: &Reading) -> Stamp {
        match reading.mark {
            ReadingMark::DeviceTime => Stamp::Device,
            ReadingMark::LogTime | ReadingMark::FutureClamped => Stamp::Log,
            // The mark no longer tells; a device's clock hits the log's millisecond only by chance.
            ReadingMark::Redecoded if reading.time == self.log_time => Stamp::Log,
            ReadingMark::Redecoded => Stamp::Device,
        }
    }
}

/// One value of one property, as history tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Event time.
    pub time: Timestamp,
    /// The value.
    pub value: Value,
    /// Whose time that is.
    pub stamp: Stamp,
    /// The frame it came in.
    pub offset: Offset,
    /// Place among the rows of that frame.
    pub index: u32,
    /// Set by the credential.
    pub origin: Origin,
    /// The first frame of these bytes, when they were decoded again.
    pub source: Option<Offset>,
}

/// A stretch of event time, `from` included, `to` excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// First instant.
    pub from: Timestamp,
    /// First instant after it.
    pub to: Timestamp,
}

impl Span {
    /// Whether an instant lies in it.
    #[must_use]
    pub fn contains(self, time: Timestamp) -> bool {
        self.from <= time && time < self.to
    }
}

/// One property of one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    /// Its table.
    pub table: TableId,
    /// Which device.
    pub device: DeviceId,
    /// Which property.
    pub property: Name,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(property: &str, at: i64, mark: ReadingMark) -> Reading {
        let time = Timestamp::from_millis(at);
        Reading { property: property.parse().unwrap(), time, value: Value::Number(1.0), mark }
    }

    fn message(source: Option<Offset>) -> Message {
        Message {
            device: DeviceId::from_u128(1),
            offset: Offset(7),
            log_time: Timestamp::from_millis(100),
            origin: Origin::Real,
            source,
        }
    }

    #[test]
    fn a_list_without_times_becomes_a_row_for_each_repetition() {
        let rows = message(None).rows(vec![
            reading("a", 100, ReadingMark::LogTime),
            reading("b", 100, ReadingMark::LogTime),
            reading("a", 100, ReadingMark::LogTime),
            reading("a", 90, ReadingMark::DeviceTime),
        ]);
        let told: Vec<_> =
            rows.iter().map(|r| (r.index, r.time.as_millis(), r.stamp, r.values.len())).collect();
        assert_eq!(
            told,
            [(0, 100, Stamp::Log, 2), (1, 100, Stamp::Log, 1), (2, 90, Stamp::Device, 1)]
        );
    }

    #[test]
    fn a_redecoded_reading_with_the_logs_time_had_none_of_its_own() {
        let rows = message(Some(Offset(3))).rows(vec![
            reading("a", 100, ReadingMark::Redecoded),
            reading("a", 90, ReadingMark::Redecoded),
        ]);
        let stamps: Vec<_> = rows.iter().map(|r| r.stamp).collect();
        assert_eq!(stamps, [Stamp::Log, Stamp::Device]);
    }
}
