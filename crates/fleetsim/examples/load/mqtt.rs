//! Publishes as fast as the window of each connection allows, or at a fixed rate.
//!
//! *Invariant:* it says that all connections stand before it publishes, so whoever measures the
//! server can leave the logins out.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use crate::gateways;
use crate::histogram::Histogram;
use crate::publisher::{Message, Pace, Publisher};
use crate::stopwatch::Stopwatch;
use crate::users::Door;

/// How long the end waits for the last acknowledgements.
const DRAIN_MICROS: u64 = 5_000_000;

/// How much of what.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    door: Door,
    /// 0 or 1
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(0..=1))]
    qos: u8,
    /// Bytes of a payload
    #[arg(long, default_value_t = 200)]
    bytes: usize,
    /// Topic; the payload is a temperature
    #[arg(long, default_value = "me/telemetry")]
    topic: String,
    /// Connections are gateways: a file with the ids of a gateway's children in each line, in the
    /// order of the users
    #[arg(long, conflicts_with = "topic")]
    children: Option<PathBuf>,
    /// Messages of a connection that wait for their acknowledgement
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=60_000))]
    inflight: u16,
    /// Seconds that are measured
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Seconds before that
    #[arg(long, default_value_t = 1.0)]
    warmup: f64,
    /// Messages in a second, of all connections together; as many as possible by default
    #[arg(long)]
    rate: Option<f64>,
}

/// Runs the load; gives what it counted.
pub(crate) fn run(options: &Options) -> Result<Value, Box<dyn Error>> {
    let mut publishers = open(options)?;
    println!("{}", json!({ "connected": publishers.len() }));
    let mut latencies = Histogram::new();
    let watch = Stopwatch::start();
    play(&mut publishers, &mut latencies, watch, micros(options.warmup))?;
    latencies.clear();
    let before = totals(&publishers);
    let began = watch.micros();
    let end = began + micros(options.seconds);
    play(&mut publishers, &mut latencies, watch, end)?;
    let seconds = seconds_between(began, watch.micros());
    let after = totals(&publishers);
    let unanswered = drain(&mut publishers, &mut latencies, watch, options.qos)?;
    let (sent, acked) = (after.0 - before.0, after.1 - before.1);
    let counted = if options.qos == 0 { sent } else { acked };
    Ok(json!({
        "sent": sent,
        "acked": acked,
        "all_sent": totals(&publishers).0,
        "all_acked": totals(&publishers).1,
        "unanswered": unanswered,
        "seconds": seconds,
        "msgs_per_s": counted as f64 / seconds,
        "p50_ms": latencies.millis(0.5),
        "p99_ms": latencies.millis(0.99),
        "p999_ms": latencies.millis(0.999),
    }))
}

fn open(options: &Options) -> Result<Vec<Publisher>, Box<dyn Error>> {
    let topics = match &options.children {
        Some(file) => gateways::topics(file)?,
        None => vec![vec![options.topic.clone()]],
    };
    let message = Message { qos: options.qos, bytes: options.bytes };
    let links = options.door.open()?;
    let count = links.len();
    let publishers = links.into_iter().zip(topics.iter().cycle()).enumerate();
    let publishers = publishers.map(|(number, (link, topics))| {
        let pace = options.rate.map(|rate| Pace::of(rate, number, count));
        Publisher::new(link, message, (topics, options.inflight), pace)
    });
    Ok(publishers.collect::<io::Result<_>>()?)
}

/// Seconds of an option.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds are small")]
pub(crate) fn micros(seconds: f64) -> u64 {
    (seconds * 1e6) as u64
}

/// Seconds for a report.
pub(crate) fn seconds_between(from: u64, to: u64) -> f64 {
    (to - from) as f64 / 1e6
}

/// Sent and acknowledged since the start.
fn totals(publishers: &[Publisher]) -> (u64, u64) {
    let sent = publishers.iter().map(|publisher| publisher.sent).sum();
    (sent, publishers.iter().map(|publisher| publisher.acked).sum())
}

fn play(
    publishers: &mut [Publisher],
    latencies: &mut Histogram,
    watch: Stopwatch,
    until: u64,
) -> io::Result<()> {
    loop {
        for publisher in &mut *publishers {
            publisher.read(latencies, watch)?;
            publisher.write(watch.micros())?;
        }
        if watch.micros() >= until {
            return Ok(());
        }
    }
}

/// Waits for what is under way; gives how many messages stayed without an answer.
fn drain(
    publishers: &mut [Publisher],
    latencies: &mut Histogram,
    watch: Stopwatch,
    qos: u8,
) -> io::Result<u64> {
    let until = watch.micros() + DRAIN_MICROS;
    loop {
        for publisher in &mut *publishers {
            publisher.finish_packet()?;
            publisher.read(latencies, watch)?;
        }
        let (sent, acked) = totals(publishers);
        if qos == 0 || sent == acked || watch.micros() > until {
            return Ok(if qos == 0 { 0 } else { sent - acked });
        }
    }
}
