//! Publishes as fast as the window of each connection allows, or at a fixed rate.
//!
//! *Invariant:* acknowledgements are counted in the order of their packet ids; one out of order
//! ends the run, because a server must keep it (MQTT 3.1.1, 4.6).

use std::error::Error;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;

use clap::Args;
use serde_json::{Value, json};

use crate::histogram::Histogram;
use crate::stopwatch::Stopwatch;
use crate::users::Door;

/// How long the end waits for the last acknowledgements.
const DRAIN_MICROS: u64 = 5_000_000;
/// A connection writes when this share of its window is free: a client that sends every message
/// alone measures its own system calls.
const WINDOW_SHARE: u64 = 4;
const PUBACK: u8 = 0x40;

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
    let streams = options.door.open()?;
    let count = streams.len();
    let mut publishers: Vec<Publisher> = streams
        .into_iter()
        .enumerate()
        .map(|(number, stream)| Publisher::new(stream, options, number, count))
        .collect::<Result<_, _>>()?;
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

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds are small")]
fn micros(seconds: f64) -> u64 {
    (seconds * 1e6) as u64
}

fn seconds_between(from: u64, to: u64) -> f64 {
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

/// A connection with its window, encoded once: the packet of each packet id lies in a ring, so
/// sending is one write of the ring's next bytes.
struct Publisher {
    stream: TcpStream,
    ring: Vec<u8>,
    packet_bytes: u64,
    window: u64,
    qos: u8,
    /// Bytes and messages written since the start. A message counts when its first byte went.
    bytes: u64,
    sent: u64,
    acked: u64,
    /// When the message of each slot was due.
    due: Vec<u64>,
    pace: Option<Pace>,
    input: Vec<u8>,
    /// Bytes of an acknowledgement that has come in part.
    rest: usize,
}

/// When messages are due.
#[derive(Debug, Clone, Copy)]
struct Pace {
    first_micros: f64,
    step_micros: f64,
}

impl Pace {
    fn due(self, message: u64) -> f64 {
        self.first_micros + self.step_micros * message as f64
    }

    /// Messages due at this time.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "floats saturate")]
    fn until(self, now: u64) -> u64 {
        ((now as f64 - self.first_micros) / self.step_micros + 1.0).max(0.0) as u64
    }
}

impl Publisher {
    fn new(stream: TcpStream, options: &Options, number: usize, count: usize) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        let mut ring = Vec::new();
        for id in 1..=options.inflight {
            put_publish(options, id, &mut ring);
        }
        let window = u64::from(options.inflight);
        let pace = options.rate.map(|rate| {
            let step_micros = 1e6 * count as f64 / rate;
            // Connections take turns, as devices do that know nothing of each other.
            Pace { first_micros: step_micros * number as f64 / count as f64, step_micros }
        });
        Ok(Self {
            stream,
            packet_bytes: ring.len() as u64 / window,
            ring,
            window,
            qos: options.qos,
            bytes: 0,
            sent: 0,
            acked: 0,
            due: vec![0; usize::from(options.inflight)],
            pace,
            input: vec![0; 16 * 1024],
            rest: 0,
        })
    }

    /// Messages that may have been written by now.
    fn allowed(&self, now: u64) -> u64 {
        let window = if self.qos == 0 { self.sent + self.window } else { self.acked + self.window };
        match self.pace {
            Some(pace) => window.min(pace.until(now)),
            // The last free places wait until there are more of them.
            None if window - self.sent < self.window.div_ceil(WINDOW_SHARE) => self.sent,
            None => window,
        }
    }

    fn write(&mut self, now: u64) -> io::Result<()> {
        let allowed = self.allowed(now);
        self.write_until((allowed * self.packet_bytes).max(self.sent * self.packet_bytes))?;
        let sent = self.bytes.div_ceil(self.packet_bytes);
        for message in self.sent..sent {
            let due = self.pace.map_or(now, |pace| whole_micros(pace.due(message)));
            if let Some(slot) = self.due.get_mut(slot_of(message, self.window)) {
                *slot = due;
            }
        }
        self.sent = sent;
        Ok(())
    }

    /// The rest of a packet that went in part.
    fn finish_packet(&mut self) -> io::Result<()> {
        self.write_until(self.sent * self.packet_bytes)
    }

    fn write_until(&mut self, end: u64) -> io::Result<()> {
        let ring = self.ring.len() as u64;
        while self.bytes < end {
            let from = self.bytes % ring;
            let to = ring.min(from + (end - self.bytes));
            let range = slot_of(from, u64::MAX)..slot_of(to, u64::MAX);
            let Some(part) = self.ring.get(range) else { return Ok(()) };
            match self.stream.write(part) {
                Ok(written) => self.bytes += written as u64,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn read(&mut self, latencies: &mut Histogram, watch: Stopwatch) -> io::Result<()> {
        // With nothing under way there is nothing to hear, and the question costs a system call.
        if self.qos == 0 || self.sent == self.acked {
            return Ok(());
        }
        let Some(room) = self.input.get_mut(self.rest..) else { return Ok(()) };
        let bytes = match self.stream.read(room) {
            Ok(0) => return Err(io::Error::new(ErrorKind::UnexpectedEof, "the server hung up")),
            Ok(bytes) => self.rest + bytes,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        let now = watch.micros();
        let whole = bytes - bytes % 4;
        for packet in self.input.get(..whole).unwrap_or_default().chunks_exact(4) {
            let slot = slot_of(self.acked, self.window);
            let id = u16::try_from(slot + 1).unwrap_or(0).to_be_bytes();
            if packet != [PUBACK, 2, id[0], id[1]] {
                let text = format!("{packet:02x?} instead of the PUBACK of {}", slot + 1);
                return Err(io::Error::new(ErrorKind::InvalidData, text));
            }
            latencies.add(now.saturating_sub(self.due.get(slot).copied().unwrap_or(now)));
            self.acked += 1;
        }
        self.input.copy_within(whole..bytes, 0);
        self.rest = bytes - whole;
        Ok(())
    }
}

/// A number of a message as a place in a ring.
fn slot_of(message: u64, window: u64) -> usize {
    usize::try_from(message % window).unwrap_or(0)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "floats saturate")]
fn whole_micros(micros: f64) -> u64 {
    micros as u64
}

/// One PUBLISH; all have the same length. Temperatures differ from message to message, and spaces
/// fill the payload.
fn put_publish(options: &Options, id: u16, out: &mut Vec<u8>) {
    let number = format!("{{\"temperature\":{}.{}", id % 30 + 10, id % 89 + 10);
    let mut payload = number.into_bytes();
    payload.resize(options.bytes.saturating_sub(1).max(payload.len()), b' ');
    payload.push(b'}');
    let publish = mqtt::packet::Publish {
        dup: false,
        qos: if options.qos == 0 { model::Qos::AtMostOnce } else { model::Qos::AtLeastOnce },
        retain: false,
        topic: &options.topic,
        packet_id: id,
        topic_alias: 0,
        properties: mqtt::Properties::NONE,
        payload: &payload,
    };
    mqtt::encode(&mqtt::packet::Packet::Publish(publish), mqtt::Version::V311, out);
}
