//! Measures the lake on one core: how fast rows become Parquet, how small they get, how fast
//! charts are.
//!
//! *Invariant:* the data follow from a seed, so two runs measure the same rows.
//!
//! `cargo run --release -p lake --example measure [trucks]`. The data are those of TSBS "iot":
//! random walks of seven metrics of trucks, one message a minute for a day, 10 % missing.

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
    charts(&lake, &clock, &table, trucks)?;
    Ok(())
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

fn charts(lake: &Lake, clock: &dyn Clock, table: &TableId, trucks: usize) -> Result<(), Failure> {
    let span =
        Span { from: Timestamp::from_millis(START), to: Timestamp::from_millis(START + DAY_MS) };
    for round in ["cold", "warm"] {
        let start = clock.monotonic();
        let mut points = 0;
        for truck in 0..8 {
            let series = Series {
                table: table.clone(),
                device: device(truck * trucks / 8),
                property: "velocity".parse()?,
            };
            points += lake.range(&series, span)?.count();
        }
        let took = seconds(clock.monotonic().saturating_sub(start)) * 1000.0;
        println!("8 devices, a day, {round}: {points} points in {took:.2} ms");
    }
    Ok(())
}
