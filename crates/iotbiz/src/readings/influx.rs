//! Readings in Influx line protocol.
//!
//! *Invariant:* the same reader as that of `POST /api/v2/write`; a line is at most
//! [`LINE_BYTES_MAX`] long.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::Context;
use ingress::influx::{Field, Line, line};
use serde_json::{Map, Value};

use super::{Options, Row, Wrong, unreadable};

/// The longest line.
const LINE_BYTES_MAX: u64 = 1 << 20;

/// A file that is being read.
pub(crate) struct Influx {
    path: PathBuf,
    reader: BufReader<File>,
    options: Options,
    line: u64,
    read: u64,
    bytes: u64,
}

impl Influx {
    pub(super) fn open(path: &Path, options: Options) -> anyhow::Result<Self> {
        let file = File::open(path).map_err(|error| unreadable(path, &error))?;
        let bytes = file.metadata().map_or(0, |data| data.len());
        let (path, reader) = (path.to_owned(), BufReader::new(file));
        Ok(Self { path, reader, options, line: 0, read: 0, bytes })
    }

    pub(super) fn progress(&self) -> (u64, u64) {
        (self.read, self.bytes)
    }

    pub(super) fn next(&mut self) -> anyhow::Result<Option<Result<Row, Wrong>>> {
        loop {
            let mut bytes = Vec::new();
            let read = self.reader.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut bytes);
            let read = read.with_context(|| format!("read {}", self.path.display()))?;
            if read == 0 {
                return Ok(None);
            }
            self.line += 1;
            self.read += read as u64;
            let place = self.line;
            let wrong = |reason| Ok(Some(Err(Wrong { place, reason })));
            let Ok(text) = std::str::from_utf8(&bytes) else {
                return wrong("the line is no UTF-8 text".to_owned());
            };
            match line(text.trim_end_matches('\n'), self.options.precision) {
                Ok(None) => {}
                Ok(Some(line)) => return Ok(Some(self.row(place, &line))),
                Err(reason) => return wrong(reason),
            }
        }
    }

    fn row(&self, place: u64, line: &Line<'_>) -> Result<Row, Wrong> {
        let wrong = |reason: &str| Wrong { place, reason: reason.to_owned() };
        let device = line.device().map(str::to_owned).or_else(|| self.options.device.clone());
        let device = device.ok_or_else(|| wrong("no tag device, device_id or host"))?;
        let ts = line.time_ms.ok_or_else(|| wrong("it has no time"))?;
        let values = line.fields.iter().filter_map(|(name, field)| {
            let mapped = self.options.map.get(name.as_ref());
            let name = mapped.map_or_else(|| name.as_ref(), String::as_str);
            let value = match field {
                Field::Number(number) => Value::from(*number),
                Field::Boolean(truth) => Value::from(*truth),
                Field::Text(text) => Value::from(text.as_ref()),
            };
            (!name.is_empty()).then(|| (name.to_owned(), value))
        });
        let values: Map<_, _> = values.collect();
        Ok(Row { place, device, ts, values })
    }
}
