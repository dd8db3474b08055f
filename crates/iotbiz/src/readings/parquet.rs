//! Readings in a Parquet file.
//!
//! *Invariant:* a column of time is an instant or an integer since 1970; everything else goes on as
//! the file has it.

use std::collections::BTreeMap;
use std::path::Path;

use lake::{Cell, Foreign};
use serde_json::{Map, Value, json};

use super::columns::{Columns, Role};
use super::{Options, Row, Wrong, epoch, time, unreadable};

/// A file that is being read.
pub(crate) struct Parquet {
    file: Foreign,
    rows: std::vec::IntoIter<Vec<Cell>>,
    columns: Columns,
    options: Options,
    read: u64,
}

impl Parquet {
    pub(super) fn open(path: &Path, options: Options) -> anyhow::Result<Self> {
        let file = Foreign::open(path).map_err(|error| unreadable(path, &error))?;
        let heads = file.columns.iter().map(|column| (column.name.clone(), column.unit.clone()));
        let columns = Columns::of(path, &heads.collect::<Vec<_>>(), &options)?;
        Ok(Self { file, rows: Vec::new().into_iter(), columns, options, read: 0 })
    }

    pub(super) fn units(&self) -> BTreeMap<String, String> {
        self.columns.units.clone()
    }

    pub(super) fn progress(&self) -> (u64, u64) {
        (self.read, self.file.rows)
    }

    pub(super) fn next(&mut self) -> anyhow::Result<Option<Result<Row, Wrong>>> {
        loop {
            if let Some(cells) = self.rows.next() {
                self.read += 1;
                let place = self.read;
                return Ok(Some(self.row(place, cells).map_err(|reason| Wrong { place, reason })));
            }
            match self.file.next_rows()? {
                Some(rows) => self.rows = rows.into_iter(),
                None => return Ok(None),
            }
        }
    }

    fn row(&self, place: u64, cells: Vec<Cell>) -> Result<Row, String> {
        let (mut ts, mut device) = (None, self.options.device.clone());
        let mut values = Map::new();
        for (role, cell) in self.columns.roles.iter().zip(cells) {
            if cell == Cell::Null {
                continue;
            }
            match role {
                Role::Time => ts = Some(self.instant(&cell)?),
                Role::Device => {
                    let named = value(cell);
                    device = Some(named.as_str().map_or_else(|| named.to_string(), str::to_owned));
                }
                Role::Property(name) => {
                    values.insert(name.clone(), value(cell));
                }
                Role::Latitude(_) | Role::Longitude(_) | Role::Left => {}
            }
        }
        let ts = ts.ok_or("it has no time")?;
        let device = device.ok_or("it names no device")?;
        Ok(Row { place, device, ts, values })
    }

    fn instant(&self, cell: &Cell) -> Result<i64, String> {
        match cell {
            Cell::Time(ms) => Ok(*ms),
            Cell::Integer(number) => {
                epoch(*number).ok_or_else(|| format!("{number} is no time since 1970"))
            }
            Cell::Text(text) => time(text, self.options.zone.as_ref()),
            Cell::Null | Cell::Number(_) | Cell::Boolean(_) | Cell::Position(..) => {
                Err("its time is neither an instant nor an integer".to_owned())
            }
        }
    }
}

fn value(cell: Cell) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Number(number) => number.into(),
        Cell::Integer(number) | Cell::Time(number) => number.into(),
        Cell::Boolean(truth) => truth.into(),
        Cell::Text(text) => text.into(),
        Cell::Position(latitude, longitude) => json!([latitude, longitude]),
    }
}
