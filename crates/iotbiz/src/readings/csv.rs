//! Readings in a text with a header line.
//!
//! *Invariant:* values go on as text: what one means, the blueprint says.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::Context;
use csv::{Reader, ReaderBuilder, StringRecord};
use serde_json::{Map, Value};

use super::columns::{Columns, Role};
use super::{Options, Row, Wrong, time, unreadable};
use crate::exit::{self, Failure};

/// A file that is being read.
pub(crate) struct Csv {
    path: PathBuf,
    reader: Reader<BufReader<File>>,
    record: StringRecord,
    columns: Columns,
    options: Options,
    bytes: u64,
}

/// What is between the columns: what there is most of in the header.
fn delimiter(header: &str) -> u8 {
    let count = |byte: &u8| header.bytes().filter(|b| b == byte).count();
    [b',', b';', b'\t'].into_iter().rev().max_by_key(count).unwrap_or(b',')
}

/// The header line, and the units that an export of ours says before it.
fn head(path: &Path) -> anyhow::Result<(String, BTreeMap<String, String>)> {
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    let mut units = BTreeMap::new();
    for line in BufReader::new(file).lines() {
        let line = line.map_err(|error| unreadable(path, &error))?;
        if let Some(said) = line.strip_prefix(lake::UNITS) {
            let pairs = said.split_whitespace().filter_map(|pair| pair.split_once('='));
            units.extend(pairs.map(|(name, unit)| (name.to_owned(), unit.to_owned())));
        } else if !line.starts_with('#') && !line.trim().is_empty() {
            return Ok((line, units));
        }
    }
    Err(Failure::new(exit::USAGE, format!("{} has no header line", path.display()))
        .fix("the first line names the columns: time,device,temperature")
        .into())
}

impl Csv {
    pub(super) fn open(path: &Path, options: Options) -> anyhow::Result<Self> {
        let (header, units) = head(path)?;
        let file = File::open(path).map_err(|error| unreadable(path, &error))?;
        let bytes = file.metadata().map_or(0, |data| data.len());
        let mut reader = ReaderBuilder::new()
            .delimiter(delimiter(&header))
            .comment(Some(b'#'))
            .flexible(true)
            .from_reader(BufReader::new(file));
        let heads = reader.headers().map_err(|error| unreadable(path, &error))?;
        let heads = heads.iter().map(|head| {
            let head = head.trim_start_matches('\u{feff}').to_owned();
            let unit = units.get(&head).cloned();
            (head, unit)
        });
        let columns = Columns::of(path, &heads.collect::<Vec<_>>(), &options)?;
        let record = StringRecord::new();
        Ok(Self { path: path.to_owned(), reader, record, columns, options, bytes })
    }

    pub(super) fn units(&self) -> BTreeMap<String, String> {
        self.columns.units.clone()
    }

    pub(super) fn progress(&self) -> (u64, u64) {
        (self.reader.position().byte(), self.bytes)
    }

    pub(super) fn next(&mut self) -> anyhow::Result<Option<Result<Row, Wrong>>> {
        let place = self.reader.position().line();
        match self.reader.read_record(&mut self.record) {
            Ok(false) => Ok(None),
            Ok(true) => {
                let place = self.record.position().map_or(place, csv::Position::line);
                Ok(Some(self.row(place).map_err(|reason| Wrong { place, reason })))
            }
            Err(error) if matches!(error.kind(), csv::ErrorKind::Utf8 { .. }) => {
                Ok(Some(Err(Wrong { place, reason: "the line is no UTF-8 text".to_owned() })))
            }
            Err(error) => Err(error).with_context(|| format!("read {}", self.path.display())),
        }
    }

    fn row(&self, place: u64) -> Result<Row, String> {
        let (found, wanted) = (self.record.len(), self.columns.roles.len());
        if found != wanted {
            return Err(format!("{found} columns, the header has {wanted}"));
        }
        let (mut ts, mut device) = (None, self.options.device.clone());
        let mut values = Map::new();
        let mut places: BTreeMap<&str, [&str; 2]> = BTreeMap::new();
        for (role, cell) in self.columns.roles.iter().zip(self.record.iter()) {
            let cell = cell.trim();
            if cell.is_empty() {
                continue;
            }
            match role {
                Role::Time => ts = Some(time(cell, self.options.zone.as_ref())?),
                Role::Device => device = Some(cell.to_owned()),
                Role::Property(name) => {
                    values.insert(name.clone(), Value::from(cell));
                }
                Role::Latitude(name) => places.entry(name).or_default()[0] = cell,
                Role::Longitude(name) => places.entry(name).or_default()[1] = cell,
                Role::Left => {}
            }
        }
        for (name, [latitude, longitude]) in places {
            values.insert(name.to_owned(), format!("{latitude},{longitude}").into());
        }
        let ts = ts.ok_or("it has no time")?;
        let device = device.ok_or("it names no device")?;
        Ok(Row { place, device, ts, values })
    }
}
