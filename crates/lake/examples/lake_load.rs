//! Measures the lake on one core: how fast rows become Parquet, how small they get, how fast
//! charts are.
//!
//! *Invariant:* the data follow from a seed, so two runs measure the same rows.
//!
//! `cargo run --release -p lake --example lake_load [trucks [table.csv]...]`. The data are those of
//! TSBS "iot": random walks of seven metrics of trucks, one message a minute for a day, 10 %
//! missing. The numbers of each further file are taken as one message a minute of one device.

#![expect(clippy::print_stdout, reason = "it prints a table")]

use std::sync::Arc;
use std::time::Duration;

use eventlog::OsDisk;
use faultsim::Rng;
use lake::{Lake, Limits, Row, Series, Settings, Span, Stamp, TableId};
use model::{Clock, DeviceId, Name, Offset, Origin, SystemClock, TenantId, Timestamp, Value};

const DAY_MS: i64 = 86_400_000;
const START: i64 = 1_795_564_800_000;
const METRICS: [(&str, f64, f64, f64, f64); 7] = [
    // name, step, low, high, decimals as a factor
    ("latitude", 0.005, -90.0, 90.0, 100_000.0),
    ("longitude", 0.005, -180.0, 180.0, 100_000.0),
    ("elevation", 10.0, 0.0, 5000.0, 1.0),
    ("velocity", 10.0, 0.0, 100.0, 1.0),
    ("heading", 5.0, 0.0, 360.0, 1.0),
    ("grade", 5.0, 0.0, 100.0, 1.0),
    ("fuel_consumption", 5.0, 0.0, 50.0, 10.0),
];

type Failure = Box<dyn std::error::Error>;

struct Fleet {
    rng: Rng,
    names: Vec<Name>,
    trucks: Vec<[f64; 7]>,
}

fn unit(rng: &mut Rng) -> f64 {
    f64::from(u32::try_from(rng.below(1 << 30)).unwrap_or(0)) / f64::from(1_u32 << 30)
}

impl Fleet {
    fn new(trucks: usize) -> Result<Self, Failure> {
        let mut rng = Rng::new(7);
        let names = METRICS.iter().map(|(name, ..)| name.parse()).collect::<Result<_, _>>()?;
        let start =
            |rng: &mut Rng| METRICS.map(|(_, _, low, high, _)| low + unit(rng) * (high - low));
        let trucks = (0..trucks).map(|_| start(&mut rng)).collect();
        Ok(Self { rng, names, trucks })
    }

    fn minute(&mut self, at: i64, offset: &mut u64) -> Vec<Row> {
        let mut rows = Vec::with_capacity(self.trucks.len());
        for (truck, state) in self.trucks.iter_mut().enumerate() {
            for (value, (_, step, low, high, _)) in state.iter_mut().zip(METRICS) {
                *value = (*value + (unit(&mut self.rng) * 2.0 - 1.0) * step).clamp(low, high);
            }
            if self.rng.chance(1, 10) {
                continue;
            }
            *offset += 1;
            let values = state.iter().zip(METRICS).zip(&self.names);
            let values = values.map(|((value, (.., factor)), name)| {
                (name.clone(), Value::Number((value * factor).round() / factor))
            });
            rows.push(Row {
                device: device(truck),
                time: Timestamp::from_millis(at),
                stamp: Stamp::Device,
                offset: Offset(*offset),
                index: 0,
                origin: Origin::Virtual,
                source: None,
                values: values.collect(),
            });
        }
        rows
    }
}

fn device(truck: usize) -> DeviceId {
    let at = Timestamp::from_millis(START - DAY_MS + 1000 * i64::try_from(truck).unwrap_or(0));
    DeviceId::new(at, 0x9E37_79B9_7F4A_7C15_u128.wrapping_mul(truck as u128 + 1))
}

fn table() -> Result<TableId, Failure> {
    Ok(TableId { tenant: TenantId::from_u128(1), venture: "tsbs".parse()?, kind: "truck".parse()? })
}

fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}

fn main() -> Result<(), Failure> {
    let trucks = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(1000);
    let dir = tempfile::tempdir()?;
    let clock = SystemClock::new();
    let settings =
        Settings { root: dir.path().to_owned(), shard: "0".to_owned(), limits: Limits::default() };
    let lake = Lake::open(Arc::new(OsDisk), Arc::new(clock.clone()), settings)?;
    let table = table()?;
    ingest(&lake, &clock, &table, trucks)?;
    merge(&lake, &clock, &table, 7)?;
    charts(&lake, &clock, &table, trucks)?;
    today(&lake, &clock)?;
    for (path, number) in std::env::args().skip(2).zip(0..) {
        let kind = format!("recorded_{number}").parse()?;
        recorded(&lake, &clock, &path, &TableId { kind, ..table.clone() })?;
    }
    ten_years(&lake, &clock)
}

fn ingest(lake: &Lake, clock: &dyn Clock, table: &TableId, trucks: usize) -> Result<(), Failure> {
    let mut fleet = Fleet::new(trucks)?;
    let (mut append, mut flush) = (Duration::ZERO, Duration::ZERO);
    let (mut offset, mut bytes, mut files) = (0, 0, 0);
    for minute in 0..1440 {
        let rows = fleet.minute(START + minute * 60_000, &mut offset);
        let start = clock.monotonic();
        lake.append(table, rows)?;
        append += clock.monotonic().saturating_sub(start);
        if lake.pressure() == lake::Pressure::Flush || minute == 1439 {
            let start = clock.monotonic();
            let flushed = lake.flush(Offset(offset))?;
            flush += clock.monotonic().saturating_sub(start);
            bytes += flushed.bytes;
            files += flushed.files;
        }
    }
    let points = offset as f64 * 7.0;
    println!("{offset} rows of 7 values, {files} files");
    println!("append           {:>10.0} points/s", points / seconds(append));
    println!("rows to Parquet  {:>10.0} points/s", points / seconds(flush));
    println!("both             {:>10.0} points/s", points / seconds(append + flush));
    println!("flushed files    {:>10.2} bytes/point", bytes as f64 / points);
    Ok(())
}

fn merge(lake: &Lake, clock: &dyn Clock, table: &TableId, values: u32) -> Result<(), Failure> {
    let start = clock.monotonic();
    let mut days = 0;
    loop {
        let done = lake.maintain();
        if let Some(error) = done.failed.into_iter().next() {
            return Err(error.into());
        }
        days += done.days;
        if done.left == 0 {
            break;
        }
    }
    let took = seconds(clock.monotonic().saturating_sub(start));
    let sizes = lake.sizes(table)?;
    let points = sizes.rows as f64 * f64::from(values);
    println!("merged           {days:>10} days in {took:.2} s");
    println!("day files        {:>10.2} bytes/point", sizes.bytes as f64 / points);
    println!(
        "with rollups     {:>10.2} bytes/point",
        (sizes.bytes + sizes.rollup_bytes) as f64 / points
    );
    Ok(())
}

/// Numbers of a file of text, one message a line.
fn recorded(lake: &Lake, clock: &dyn Clock, path: &str, table: &TableId) -> Result<(), Failure> {
    let device =
        DeviceId::new(Timestamp::from_millis(START), u128::from(crc32c::crc32c(path.as_bytes())));
    let mut offset = lake.flushed().0;
    let text = std::fs::read_to_string(path)?;
    let (mut rows, mut most) = (Vec::new(), 0);
    for (line, minute) in text.lines().zip(0..) {
        let fields = line.split([',', ' ']).filter_map(|field| field.parse::<f64>().ok());
        let values = fields
            .enumerate()
            .map(|(n, value)| Ok((format!("v{n}").parse()?, Value::Number(value))));
        let values: Vec<(Name, Value)> = values.collect::<Result<_, Failure>>()?;
        offset += 1;
        most = most.max(values.len());
        rows.push(Row {
            device,
            time: Timestamp::from_millis(START - 100 * DAY_MS + minute * 60_000),
            stamp: Stamp::Device,
            offset: Offset(offset),
            index: 0,
            origin: Origin::Replayed,
            source: None,
            values,
        });
    }
    println!("{path}: {} rows of {most} values", rows.len());
    lake.append(table, rows)?;
    lake.flush(Offset(offset))?;
    merge(lake, clock, table, u32::try_from(most)?)
}

fn charts(lake: &Lake, clock: &dyn Clock, table: &TableId, trucks: usize) -> Result<(), Failure> {
    let span =
        Span { from: Timestamp::from_millis(START), to: Timestamp::from_millis(START + DAY_MS) };
    let series = |truck: usize| -> Result<Series, Failure> {
        let device = device(truck * trucks / 9);
        Ok(Series { table: table.clone(), device, property: "velocity".parse()? })
    };
    time(clock, "1 device, a day", || {
        Ok(lake.chart(&series(8)?, span, 1000, Duration::from_secs(180))?.buckets.len())
    })?;
    time(clock, "8 devices, a day", || {
        (0..8).try_fold(0, |sum, truck| {
            let chart = lake.chart(&series(truck)?, span, 1000, Duration::from_secs(180))?;
            Ok(sum + chart.buckets.len())
        })
    })
}

/// Charts of a day that still goes on: flushed every five minutes, merged now and then.
fn today(lake: &Lake, clock: &SystemClock) -> Result<(), Failure> {
    let table = TableId { kind: "today".parse()?, ..table()? };
    let midnight = clock.now().as_millis().div_euclid(DAY_MS) * DAY_MS;
    let mut fleet = Fleet::new(100)?;
    let mut offset = lake.flushed().0;
    for minute in 0..1440 {
        lake.append(&table, fleet.minute(midnight + minute * 60_000, &mut offset))?;
        if minute % 5 == 4 {
            lake.flush(Offset(offset))?;
            lake.maintain();
        }
    }
    let span = Span {
        from: Timestamp::from_millis(midnight),
        to: Timestamp::from_millis(midnight + DAY_MS),
    };
    println!("present day: {} files", lake.sizes(&table)?.files);
    time(clock, "8 devices, present day", || {
        (0..8).try_fold(0, |sum, truck| {
            let (table, property) = (table.clone(), "velocity".parse()?);
            let series = Series { table, device: device(truck * 12), property };
            let chart = lake.chart(&series, span, 1000, Duration::from_secs(180))?;
            Ok(sum + chart.buckets.len())
        })
    })
}

/// Best of some rounds, and the first, which opens the files.
fn time(
    clock: &dyn Clock,
    what: &str,
    mut run: impl FnMut() -> Result<usize, Failure>,
) -> Result<(), Failure> {
    let mut rounds = Vec::new();
    let mut count = 0;
    for _ in 0..20 {
        let start = clock.monotonic();
        count = run()?;
        rounds.push(seconds(clock.monotonic().saturating_sub(start)) * 1000.0);
    }
    let first = rounds.first().copied().unwrap_or_default();
    let best = rounds.into_iter().fold(f64::INFINITY, f64::min);
    println!("{what:<24} {count:>6} buckets, first {first:.2} ms, best {best:.2} ms");
    Ok(())
}

fn ten_years(lake: &Lake, clock: &dyn Clock) -> Result<(), Failure> {
    let table = TableId { kind: "meter".parse()?, ..table()? };
    let (device, property): (DeviceId, Name) = (device(0), "power".parse()?);
    let mut rng = Rng::new(3);
    let mut offset = lake.flushed().0;
    let minutes = 3650 * 1440;
    let from = START - minutes * 60_000;
    let mut power: f64 = 500.0;
    for chunk in 0..minutes / 1440 {
        let rows = (0..1440).map(|minute| {
            offset += 1;
            power = (power + (unit(&mut rng) * 2.0 - 1.0) * 20.0).clamp(0.0, 3000.0);
            Row {
                device,
                time: Timestamp::from_millis(from + (chunk * 1440 + minute) * 60_000),
                stamp: Stamp::Device,
                offset: Offset(offset),
                index: 0,
                origin: Origin::Virtual,
                source: None,
                values: vec![(property.clone(), Value::Number((power * 10.0).round() / 10.0))],
            }
        });
        lake.append(&table, rows.collect())?;
        if lake.pressure() == lake::Pressure::Flush {
            lake.flush(Offset(offset))?;
        }
    }
    lake.flush(Offset(offset))?;
    merge(lake, clock, &table, 1)?;
    let span = Span { from: Timestamp::from_millis(from), to: Timestamp::from_millis(START) };
    let series = Series { table, device, property };
    time(clock, "10 years of 1 property", || {
        Ok(lake.chart(&series, span, 1000, Duration::from_secs(180))?.buckets.len())
    })
}
