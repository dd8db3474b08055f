//! Measures exact dedup: so many keys present, then new and repeated events a second, and memory.
//!
//! `cargo run --release -p intake --example keys_load -- FOLDER KEYS [EVENTS]`
#![expect(clippy::print_stdout, reason = "it talks to a person")]
#![expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use eventlog::OsDisk;
use intake::{Incoming, Put, Store};

/// Events of one call, as a batch of CloudEvents.
const BATCH: u64 = 1_000;
const LINE: &[u8] =
    b"{\"contract\":\"linden\",\"id\":\"0\",\"time\":\"2026-10-05T10:00:00Z\",\"value\":\"1\"}";

fn hash(n: u64) -> u128 {
    let mut x = u128::from(n) + 0x9E37_79B9_7F4A_7C15;
    for _ in 0..3 {
        x ^= x >> 67;
        x = x.wrapping_mul(0xDA94_2042_E4DD_58B5_94D0_49BB_1331_11EB);
    }
    x ^ (x >> 64)
}

fn rss_mb() -> Result<u64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    Ok(line.split_whitespace().nth(1).unwrap_or("0").parse::<u64>()? / 1024)
}

fn put(store: &mut Store, numbers: &mut dyn Iterator<Item = u64>) -> Result<usize, Box<dyn Error>> {
    let mut new = 0;
    loop {
        let batch: Vec<Incoming<'_>> = (&mut *numbers)
            .take(usize::try_from(BATCH)?)
            .map(|n| Incoming {
                key: hash(n),
                content: n,
                owner: n % 100_000,
                time: i64::try_from(n / 100_000).unwrap_or_default(),
                line: LINE,
            })
            .collect();
        if batch.is_empty() {
            return Ok(new);
        }
        new += store.put(&batch)?.iter().filter(|put| matches!(put, Put::New(_))).count();
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("which folder?")?;
    let keys: u64 = arguments.next().ok_or("how many keys?")?.parse()?;
    let events: u64 = arguments.next().map_or(Ok(2_000_000), |text| text.parse())?;
    let mut store = Store::open(Arc::new(OsDisk), Path::new(&folder))?;
    let rate = |count: u64, start: Instant| {
        let millis = u64::try_from(start.elapsed().as_millis()).unwrap_or(1).max(1);
        count * 1_000 / millis
    };
    let start = Instant::now();
    let mut missing = store.events()..keys;
    let new = put(&mut store, &mut missing)?;
    let count = u64::try_from(new)?;
    println!("{new} keys put at {} events/s, {} MB at most", rate(count, start), rss_mb()?);
    let start = Instant::now();
    let new = put(&mut store, &mut (keys..keys + events))?;
    println!("{new} new ones with {keys} present: {} events/s", rate(events, start));
    let start = Instant::now();
    let mut repeated = (0..events).map(|n| n.wrapping_mul(7_919) % keys);
    let new = put(&mut store, &mut repeated)?;
    println!("{events} repeats refused ({new} new): {} events/s", rate(events, start));
    let mut times: Vec<u128> = Vec::new();
    for owner in 0..1_000_u64 {
        let start = Instant::now();
        let mut count = 0_u64;
        store.each(owner, (0, i64::MAX), &mut |_, _| count += 1)?;
        times.push(start.elapsed().as_micros());
    }
    times.sort_unstable();
    let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or_default();
    println!(
        "events of one contract: p50 {} us, p99 {} us; {} MB at most",
        at(50),
        at(99),
        rss_mb()?
    );
    Ok(())
}
