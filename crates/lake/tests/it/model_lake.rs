//! What history should be, by the rule alone; and a lake under test with its event log.
//!
//! *Invariant:* [`Naive`] knows no files: it applies the identity rule to one row after the other.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use faultsim::{SimClock, SimDisk, SimObjects};
use lake::{Lake, Limits, Point, Row, Series, Settings, Span, Stamp, TableId};
use model::{Clock, DeviceId, Disk, Name, Offset, Origin, TenantId, Timestamp, Value};

pub(crate) fn table() -> TableId {
    TableId {
        tenant: TenantId::from_u128(1),
        venture: "coolbox".parse().unwrap(),
        kind: "box".parse().unwrap(),
    }
}

pub(crate) fn series(device: u128, property: &str) -> Series {
    Series {
        table: table(),
        device: DeviceId::from_u128(device),
        property: property.parse().unwrap(),
    }
}

pub(crate) fn ever() -> Span {
    Span { from: Timestamp::from_millis(i64::MIN), to: Timestamp::MAX }
}

pub(crate) fn row(offset: u64, device: u128, time: i64, values: &[(&str, Value)]) -> Row {
    Row {
        device: DeviceId::from_u128(device),
        time: Timestamp::from_millis(time),
        stamp: Stamp::Device,
        offset: Offset(offset),
        index: 0,
        origin: Origin::Real,
        source: None,
        values: values.iter().map(|(n, v)| (n.parse().unwrap(), v.clone())).collect(),
    }
}

/// The order in which history is told.
type Place = (i64, u64, u32);
/// What makes two readings one.
type Identity = (DeviceId, Name, i64, Option<(u64, u32)>);

#[derive(Debug, Default)]
pub(crate) struct Naive {
    readings: BTreeMap<Identity, Point>,
}

impl Naive {
    pub(crate) fn append(&mut self, rows: &[Row]) {
        for row in rows {
            for (name, value) in &row.values {
                let place = match row.stamp {
                    Stamp::Device => None,
                    Stamp::Log => Some((row.source.unwrap_or(row.offset).0, row.index)),
                };
                let identity = (row.device, name.clone(), row.time.as_millis(), place);
                let point = Point {
                    time: row.time,
                    value: value.clone(),
                    stamp: row.stamp,
                    offset: row.offset,
                    index: row.index,
                    origin: row.origin,
                    source: row.source,
                };
                let same = self.readings.get(&identity).is_some_and(|p| p.value == *value);
                if !same {
                    self.readings.insert(identity, point);
                }
            }
        }
    }

    pub(crate) fn forget(&mut self, device: u128) {
        self.readings.retain(|(of, ..), _| of.as_u128() != device);
    }

    pub(crate) fn points(&self, series: &Series, span: Span) -> Vec<Point> {
        let of_series = self.readings.iter().filter(|((device, property, ..), point)| {
            *device == series.device && *property == series.property && span.contains(point.time)
        });
        let mut points: Vec<Point> = of_series.map(|(_, point)| point.clone()).collect();
        let place = |p: &Point| -> Place { (p.time.as_millis(), p.offset.0, p.index) };
        points.sort_by_key(place);
        points
    }
}

/// A lake, the disk or the store below it and the log that feeds it.
pub(crate) struct Fixture {
    pub disk: SimDisk,
    pub objects: Option<SimObjects>,
    pub clock: SimClock,
    pub limits: Limits,
    pub log: Vec<Row>,
    pub last: u64,
    lake: Option<Lake>,
}

impl Fixture {
    pub(crate) fn new(seed: u64) -> Self {
        Self::on(seed, None)
    }

    pub(crate) fn on_objects() -> Self {
        Self::on(1, Some(SimObjects::default()))
    }

    pub(crate) fn store(&self) -> &SimObjects {
        self.objects.as_ref().unwrap()
    }

    fn on(seed: u64, objects: Option<SimObjects>) -> Self {
        let mut fixture = Self {
            objects,
            disk: SimDisk::new(seed),
            clock: SimClock::new("2026-11-25T12:00:00Z".parse().unwrap()),
            limits: Limits {
                run_files: 2,
                file_grace: Duration::from_secs(600),
                ..Limits::default()
            },
            log: Vec::new(),
            last: 0,
            lake: None,
        };
        fixture.open().unwrap();
        fixture
    }

    pub(crate) fn lake(&self) -> &Lake {
        self.lake.as_ref().unwrap()
    }

    /// Opens the folder again and reads the log from where the files end.
    pub(crate) fn open(&mut self) -> Result<(), lake::Error> {
        self.lake = None;
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
        let settings = Settings {
            root: PathBuf::from("lake"),
            shard: "0".to_owned(),
            limits: self.limits.clone(),
        };
        let lake = match &self.objects {
            None => Lake::open(disk, clock, settings)?,
            Some(objects) => {
                Lake::open_objects((Arc::new(objects.clone()), "here"), clock, settings)?
            }
        };
        let from = lake.flushed();
        let rows: Vec<Row> = self.log.iter().filter(|row| row.offset > from).cloned().collect();
        lake.append(&table(), rows)?;
        self.lake = Some(lake);
        Ok(())
    }

    /// Appends to the log and to the lake.
    pub(crate) fn append(&mut self, rows: Vec<Row>) {
        self.last = rows.iter().map(|row| row.offset.0).fold(self.last, u64::max);
        self.log.extend(rows.iter().cloned());
        self.lake().append(&table(), rows).unwrap();
    }

    /// Erases a device, as an `Erased` frame in the log would again after a restart.
    pub(crate) fn erase(&mut self, device: u128) -> lake::Erasure {
        let device = DeviceId::from_u128(device);
        self.log.retain(|row| row.device != device);
        self.lake().erase(table().tenant, device).unwrap()
    }

    pub(crate) fn flush(&self) -> lake::Flushed {
        self.lake().flush(Offset(self.last)).unwrap()
    }

    pub(crate) fn points(&self, series: &Series, span: Span) -> Vec<Point> {
        self.lake().range(series, span).unwrap().map(Result::unwrap).collect()
    }
}
