//! What the columns of a table mean.
//!
//! *Invariant:* a table without a time or a device is refused before a row is read; a column is a
//! property by its name, unless `--map` says otherwise.

use std::collections::BTreeMap;
use std::path::Path;

use model::Name;

use super::Options;
use crate::exit::{self, Failure};

/// Names of a column of times, in the order they are looked for.
const TIMES: [&str; 6] = ["_ts", "time", "ts", "timestamp", "datetime", "_time"];
/// Names of a column of devices, in the order they are looked for.
const DEVICES: [&str; 5] = ["_device", "device", "device_id", "device_name", "host"];

/// What a column means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Role {
    Time,
    Device,
    Property(String),
    Latitude(String),
    Longitude(String),
    Left,
}

/// What all columns mean, in their order.
#[derive(Debug, Clone)]
pub(super) struct Columns {
    pub(super) roles: Vec<Role>,
    /// By property.
    pub(super) units: BTreeMap<String, String>,
}

/// `temperature [°F]` or `temperature (°F)` is a name and a unit.
fn split(head: &str) -> (&str, Option<&str>) {
    let head = head.trim();
    for (open, close) in [('[', ']'), ('(', ')')] {
        let parts = head.strip_suffix(close).and_then(|head| head.rsplit_once(open));
        if let Some((name, unit)) = parts {
            return (name.trim(), Some(unit.trim()).filter(|unit| !unit.is_empty()));
        }
    }
    (head, None)
}

/// Column with that role: mapped to it, or by the usual names.
fn find(names: &[&str], options: &Options, role: &str, usual: &[&str]) -> Option<usize> {
    let mapped =
        names.iter().position(|name| options.map.get(*name).is_some_and(|mapped| mapped == role));
    let free = |name: &&str| !options.map.contains_key(*name);
    let by_name = |wanted: &&str| {
        names.iter().position(|name| free(name) && name.eq_ignore_ascii_case(wanted))
    };
    mapped.or_else(|| usual.iter().find_map(by_name))
}

impl Columns {
    /// From the header of a table, with units that stand beside it.
    pub(super) fn of(
        file: &Path,
        heads: &[(String, Option<String>)],
        options: &Options,
    ) -> Result<Self, Failure> {
        let names: Vec<&str> = heads.iter().map(|(head, _)| split(head).0).collect();
        let shown = || names.join(", ");
        if let Some(unknown) = options.map.keys().find(|name| !names.contains(&name.as_str())) {
            return Err(Failure::new(exit::USAGE, format!("there is no column {unknown:?}"))
                .why(format!("columns of {}: {}", file.display(), shown())));
        }
        let time = find(&names, options, "time", &TIMES).ok_or_else(|| {
            Failure::new(exit::USAGE, "no column has times")
                .why(format!("columns of {}: {}", file.display(), shown()))
                .fix("name it: --map COLUMN=time")
        })?;
        let device = find(&names, options, "device", &DEVICES);
        if device.is_none() && options.device.is_none() {
            return Err(Failure::new(exit::USAGE, "no column names the device")
                .why(format!("columns of {}: {}", file.display(), shown()))
                .fix("name it: --map COLUMN=device, or all rows are of one: --device NAME"));
        }
        let mut columns = Self { roles: Vec::new(), units: BTreeMap::new() };
        for (place, (head, beside)) in heads.iter().enumerate() {
            let role = if place == time {
                Role::Time
            } else if Some(place) == device {
                Role::Device
            } else {
                columns.property(head, beside.as_deref(), options)?
            };
            columns.roles.push(role);
        }
        Ok(columns)
    }

    fn property(
        &mut self,
        head: &str,
        beside: Option<&str>,
        options: &Options,
    ) -> Result<Role, Failure> {
        let (column, unit) = split(head);
        let name = options.map.get(column).map_or(column, String::as_str);
        // Columns of our own exports that are not properties begin with an underscore.
        if name.is_empty() || (name.starts_with('_') && !options.map.contains_key(column)) {
            return Ok(Role::Left);
        }
        let part = |suffix| name.strip_suffix(suffix).map(str::to_owned);
        if let Some(place) = part(".latitude") {
            return Ok(Role::Latitude(place));
        }
        if let Some(place) = part(".longitude") {
            return Ok(Role::Longitude(place));
        }
        if let Err(error) = name.parse::<Name>() {
            return Err(Failure::new(exit::USAGE, format!("column {column:?} is no property"))
                .why(error.to_string())
                .fix(format!(
                    "name it: --map '{column}=PROPERTY', or leave it out: --map '{column}='"
                )));
        }
        if let Some(unit) = unit.or(beside) {
            self.units.insert(name.to_owned(), unit.to_owned());
        }
        Ok(Role::Property(name.to_owned()))
    }
}
