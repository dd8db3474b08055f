//! Connects, logs in and leaves, over and over; with TLS each time with a full handshake.
//!
//! *Invariant:* a login counts when its CONNACK came; one that is refused ends the run.

use std::error::Error;
use std::io::{self, ErrorKind, Read, Write};

use clap::Args;
use serde_json::{Value, json};

use crate::histogram::Histogram;
use crate::mqtt::{micros, seconds_between};
use crate::stopwatch::Stopwatch;
use crate::tls::Link;
use crate::users::{CONNACK, Door, Entrance};

const DISCONNECT: [u8; 2] = [0xe0, 0];

/// How many at once, for how long.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    door: Door,
    /// Seconds that are measured
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
}

/// Runs the load; gives what it counted.
pub(crate) fn run(options: &Options) -> Result<Value, Box<dyn Error>> {
    let entrance = options.door.entrance()?;
    let watch = Stopwatch::start();
    let mut started = 0..;
    let mut begin = || Attempt::begin(&entrance, started.next().unwrap_or(0), watch);
    let mut attempts: Vec<Attempt> =
        (0..options.door.connections).map(|_| begin()).collect::<io::Result<_>>()?;
    println!("{}", json!({ "connected": attempts.len() }));
    let (began, mut count) = (watch.micros(), 0_u64);
    let mut latencies = Histogram::new();
    while watch.micros() < began + micros(options.seconds) {
        for attempt in &mut attempts {
            if attempt.turn()? {
                latencies.add(watch.micros() - attempt.began);
                count += 1;
                *attempt = begin()?;
            }
        }
    }
    let seconds = seconds_between(began, watch.micros());
    Ok(json!({
        "logins": count,
        "seconds": seconds,
        "logins_per_s": count as f64 / seconds,
        "p50_ms": latencies.millis(0.5),
        "p99_ms": latencies.millis(0.99),
    }))
}

/// A connection on its way to its CONNACK.
struct Attempt {
    link: Link,
    began: u64,
    /// What of the CONNECT was not written yet.
    output: Vec<u8>,
    answer: [u8; CONNACK.len()],
    filled: usize,
}

impl Attempt {
    fn begin(entrance: &Entrance, number: usize, watch: Stopwatch) -> io::Result<Self> {
        let began = watch.micros();
        let link = entrance.link()?;
        link.socket().set_nonblocking(true)?;
        let output = entrance.connect_packet(number);
        Ok(Self { link, began, output, answer: [0; CONNACK.len()], filled: 0 })
    }

    /// Goes on as far as it can; whether it is in.
    fn turn(&mut self) -> io::Result<bool> {
        while !self.output.is_empty() {
            let Some(written) = unless_blocked(self.link.write(&self.output))? else {
                return Ok(false);
            };
            drop(self.output.drain(..written));
        }
        let Some(room) = self.answer.get_mut(self.filled..) else { return Ok(false) };
        match unless_blocked(self.link.read(room))? {
            None => return Ok(false),
            Some(0) => return Err(io::Error::new(ErrorKind::UnexpectedEof, "the server hung up")),
            Some(bytes) => self.filled += bytes,
        }
        if self.filled < CONNACK.len() {
            return Ok(false);
        }
        if self.answer != CONNACK {
            let text = format!("a login was refused: CONNACK {:02x?}", self.answer);
            return Err(io::Error::new(ErrorKind::PermissionDenied, text));
        }
        // The socket is empty, so these two bytes go as a whole.
        self.link.write_all(&DISCONNECT)?;
        Ok(true)
    }
}

fn unless_blocked(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}
