//! One connection publishes, all others subscribe to its topic.
//!
//! *Invariant:* the publisher is never more than a window ahead of the slowest subscriber, so no
//! server has a reason to drop anything, and every message is counted at every subscriber; a
//! delivery that does not come ends the run.

use std::error::Error;
use std::io;

use clap::Args;
use serde_json::{Value, json};

use crate::histogram::Histogram;
use crate::mqtt::{micros, seconds_between};
use crate::publisher::{Message, Publisher};
use crate::stopwatch::Stopwatch;
use crate::subscriber::Subscriber;
use crate::users::Door;

/// A delivery that has not come for so long is lost.
const SILENCE_MICROS_MAX: u64 = 10_000_000;

/// How much of what.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    door: Door,
    /// 0 or 1, of the publisher and of the subscribers
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=1))]
    qos: u8,
    /// Bytes of a payload
    #[arg(long, default_value_t = 200)]
    bytes: usize,
    /// Topic, which the server delivers as it stands
    #[arg(long)]
    topic: String,
    /// Messages between the publisher and the slowest subscriber
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..=60_000))]
    window: u16,
    /// Seconds that are measured
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Seconds before that
    #[arg(long, default_value_t = 1.0)]
    warmup: f64,
}

/// Runs the load; gives what it counted.
pub(crate) fn run(options: &Options) -> Result<Value, Box<dyn Error>> {
    let mut fan = Fan::open(options)?;
    println!("{}", json!({ "connected": fan.subscribers.len() + 1 }));
    fan.play(micros(options.warmup))?;
    fan.latencies.clear();
    let (before, published, began) = (fan.received(), fan.publisher.sent, fan.watch.micros());
    fan.play(began + micros(options.seconds))?;
    let seconds = seconds_between(began, fan.watch.micros());
    let deliveries = fan.received() - before;
    let published = fan.publisher.sent - published;
    fan.drain()?;
    Ok(json!({
        "subscribers": fan.subscribers.len(),
        "published": published,
        "deliveries": deliveries,
        "all_deliveries": fan.received(),
        "seconds": seconds,
        "deliveries_per_s": deliveries as f64 / seconds,
        "p50_ms": fan.latencies.millis(0.5),
        "p99_ms": fan.latencies.millis(0.99),
    }))
}

/// The publisher and those who listen to it.
struct Fan {
    publisher: Publisher,
    subscribers: Vec<Subscriber>,
    /// From the write of a message until the last subscriber has it.
    latencies: Histogram,
    /// Messages that all subscribers have.
    slowest: u64,
    /// When that last changed.
    moved: u64,
    watch: Stopwatch,
}

impl Fan {
    fn open(options: &Options) -> Result<Self, Box<dyn Error>> {
        let mut links = options.door.open()?.into_iter();
        let first = links.next().ok_or("a fan needs a connection that publishes")?;
        let message = Message { qos: options.qos, bytes: options.bytes };
        let topics = [options.topic.clone()];
        let publisher = Publisher::new(first, message, (&topics, options.window), None)?;
        let subscribers: Vec<Subscriber> = links
            .map(|link| Subscriber::open(link, &options.topic, (options.qos, publisher.packet())))
            .collect::<Result<_, _>>()?;
        if subscribers.is_empty() {
            return Err("a fan needs connections that subscribe".into());
        }
        let (latencies, watch) = (Histogram::new(), Stopwatch::start());
        Ok(Self { publisher, subscribers, latencies, slowest: 0, moved: 0, watch })
    }

    fn received(&self) -> u64 {
        self.subscribers.iter().map(|subscriber| subscriber.received).sum()
    }

    fn play(&mut self, until: u64) -> io::Result<()> {
        // What the publisher's own acknowledgements take is not what is measured here.
        let mut acknowledged = Histogram::new();
        loop {
            self.publisher.read(&mut acknowledged, self.watch)?;
            self.publisher.follow(self.slowest);
            self.publisher.write(self.watch.micros())?;
            self.listen()?;
            if self.watch.micros() >= until {
                return Ok(());
            }
        }
    }

    /// Until everybody has everything.
    fn drain(&mut self) -> io::Result<()> {
        let mut acknowledged = Histogram::new();
        while self.slowest < self.publisher.sent {
            self.publisher.finish_packet()?;
            self.publisher.read(&mut acknowledged, self.watch)?;
            self.listen()?;
        }
        Ok(())
    }

    fn listen(&mut self) -> io::Result<()> {
        for subscriber in &mut self.subscribers {
            subscriber.turn(self.publisher.sent)?;
        }
        let slowest = self.subscribers.iter().map(|subscriber| subscriber.received).min();
        let slowest = slowest.unwrap_or(self.slowest);
        let now = self.watch.micros();
        if slowest > self.slowest || self.slowest == self.publisher.sent {
            self.moved = now;
        } else if now - self.moved > SILENCE_MICROS_MAX {
            let sent = self.publisher.sent;
            let text = format!("a subscriber has {slowest} of {sent} messages and gets no more");
            return Err(io::Error::new(io::ErrorKind::TimedOut, text));
        }
        for message in self.slowest..slowest {
            let due = self.publisher.due(message).unwrap_or(now);
            self.latencies.add(now.saturating_sub(due));
        }
        self.slowest = slowest;
        Ok(())
    }
}
