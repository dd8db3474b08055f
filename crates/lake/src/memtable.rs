//! Rows that are not in files yet.
//!
//! *Invariant:* the rows of a device are in the order in which they came, sorted once the table is
//! frozen. What it holds is also in the event log, so losing it costs only time.

use std::collections::BTreeMap;

use model::{DeviceId, Value};

use crate::Span;
use crate::merge::Stored;

/// Rows of one table in memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memtable {
    devices: BTreeMap<DeviceId, Vec<Stored>>,
    bytes: usize,
    rows: usize,
    last: u64,
}

/// What a row takes in memory.
pub(crate) fn bytes_of(row: &Stored) -> usize {
    let text: usize = row
        .cells
        .iter()
        .map(|(_, value)| match value {
            Value::Text(text) => text.len(),
            Value::Number(_) | Value::Boolean(_) | Value::Position { .. } => 0,
        })
        .sum();
    size_of::<Stored>() + size_of_val(row.cells.as_slice()) + text
}

impl Memtable {
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The greatest offset in it.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    pub(crate) fn push(&mut self, row: Stored) {
        self.bytes += bytes_of(&row);
        self.rows += 1;
        self.last = self.last.max(row.offset);
        self.devices.entry(row.device).or_default().push(row);
    }

    /// Sorts every device's rows into file order.
    pub(crate) fn sort(&mut self) {
        for rows in self.devices.values_mut() {
            rows.sort_by_key(Stored::order);
        }
    }

    /// Rows in file order, once sorted.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &Stored> {
        self.devices.values().flatten()
    }

    /// Rows of a device in a span.
    pub(crate) fn of(&self, device: DeviceId, span: Span) -> impl Iterator<Item = &Stored> {
        let rows = self.devices.get(&device).into_iter().flatten();
        rows.filter(move |row| span.contains(model::Timestamp::from_millis(row.time)))
    }

    /// Takes in later rows.
    pub(crate) fn append(&mut self, later: Self) {
        self.bytes += later.bytes;
        self.rows += later.rows;
        self.last = self.last.max(later.last);
        for (device, mut rows) in later.devices {
            self.devices.entry(device).or_default().append(&mut rows);
        }
    }

    /// Forgets rows that are in files; returns what they took.
    pub(crate) fn forget_up_to(&mut self, offset: u64) -> usize {
        let mut freed = 0;
        let mut gone = 0;
        for rows in self.devices.values_mut() {
            rows.retain(|row| {
                let stays = row.offset > offset;
                if !stays {
                    freed += bytes_of(row);
                    gone += 1;
                }
                stays
            });
        }
        self.devices.retain(|_, rows| !rows.is_empty());
        self.bytes -= freed;
        self.rows -= gone;
        freed
    }

    /// Forgets a device; returns how many rows it had and what they took.
    pub(crate) fn forget(&mut self, device: DeviceId) -> (usize, usize) {
        let rows = self.devices.remove(&device).unwrap_or_default();
        let bytes = rows.iter().map(bytes_of).sum();
        self.bytes -= bytes;
        self.rows -= rows.len();
        (rows.len(), bytes)
    }
}
