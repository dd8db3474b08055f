//! Plays a fleet: a task and a TCP connection for each device.
//!
//! *Invariant:* nothing is detached: when the returned future ends or is dropped, every task and
//! socket of the run is gone.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mqtt::packet::Packet;
use mqtt::{Version, decode, encode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout};

use crate::device::{Device, KEEP_ALIVE_S, Line, leave};
use crate::error::Error;
use crate::kind::VirtualKind;
use crate::noise::{Seed, whole};
use crate::plan::{Counts, Plan, Report, Tally, add};
use crate::schedule::Schedule;

/// Devices that connect at the same time; a server may bound what one address does at once.
const CONNECTING_MAX: usize = 16;
/// How long a server may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the end waits for the last acknowledgements.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// The first and the longest pause before connecting again.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);
const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);
const PACKET_BYTES_MAX: u32 = 1 << 20;
/// How far ahead breaks of the connection are looked for.
const BREAK_HORIZON_MS: i64 = 86_400_000;

/// Plays the plan until its duration is over or `stop` is ready; waits for the last
/// acknowledgements. `progress` is called four times a second.
///
/// # Errors
/// The plan makes no sense. What goes wrong on the wire is in the report.
pub async fn run(
    plan: Plan,
    stop: impl Future<Output = ()>,
    mut progress: impl FnMut(Counts),
) -> Result<Report, Error> {
    plan.check()?;
    let count = plan.devices.len();
    let duration = plan.duration;
    let tally = Arc::new(Tally::default());
    let (stopping, stopped) = watch::channel(false);
    let mut tasks = spawn_all(plan, &tally, &stopped);
    drop(stopped);

    let mut stop = pin!(stop);
    let mut over = pin!(sleep(duration.unwrap_or(Duration::MAX)));
    let mut ticks = interval(PROGRESS_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            next = tasks.join_next() => if next.is_none() { break },
            _ = ticks.tick() => progress(tally.counts(count)),
            () = &mut stop, if !*stopping.borrow() => { stopping.send_replace(true); }
            () = &mut over, if !*stopping.borrow() => { stopping.send_replace(true); }
        }
    }
    let counts = tally.counts(count);
    progress(counts);
    Ok(Report { counts, refusals: tally.refusals() })
}

fn spawn_all(plan: Plan, tally: &Arc<Tally>, stopped: &watch::Receiver<bool>) -> JoinSet<()> {
    let fleet = Seed::new(plan.seed);
    let from_ms = plan.from.as_millis();
    let pace = Pace { from_ms, start: Instant::now(), speed: plan.speed };
    let gate = Arc::new(Semaphore::new(CONNECTING_MAX));
    let kinds: std::collections::BTreeMap<_, _> =
        plan.kinds.iter().map(|(name, kind)| (name, VirtualKind::of(kind))).collect();
    let mut tasks = JoinSet::new();
    for who in plan.devices {
        let Some(kind) = kinds.get(&who.kind) else { continue };
        let schedule = Schedule::new(fleet, &who.name, kind, (&plan.faults, from_ms));
        let player = Player {
            device: Device::new(who, kind, (fleet, schedule), Arc::clone(tally)),
            server: plan.server,
            pace,
            gate: Arc::clone(&gate),
            tally: Arc::clone(tally),
            stopped: stopped.clone(),
        };
        tasks.spawn(player.play());
    }
    tasks
}

/// Real time to simulated time and back.
#[derive(Debug, Clone, Copy)]
struct Pace {
    from_ms: i64,
    start: Instant,
    speed: f64,
}

impl Pace {
    fn now_ms(&self) -> i64 {
        self.from_ms + whole(self.start.elapsed().as_secs_f64() * 1000.0 * self.speed)
    }

    fn instant(&self, at_ms: i64) -> Instant {
        let seconds = (at_ms - self.from_ms) as f64 / 1000.0 / self.speed;
        // Far away is as good as never, and an instant cannot hold more.
        self.start + Duration::from_secs_f64(seconds.clamp(0.0, 1e9))
    }
}

/// One device with its way to the server.
#[derive(Debug)]
struct Player {
    device: Device,
    server: SocketAddr,
    pace: Pace,
    gate: Arc<Semaphore>,
    tally: Arc<Tally>,
    stopped: watch::Receiver<bool>,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Stopped,
    Broken,
    /// Broken on purpose, until this simulated time.
    Pulled {
        until_ms: i64,
    },
}

/// How an attempt to connect went wrong.
#[derive(Debug)]
enum Denied {
    /// Nobody answered; later somebody may.
    Unreachable,
    /// The server said no to this device.
    Refused(String),
}

impl Player {
    async fn play(mut self) {
        let mut pause = PAUSE_MIN;
        loop {
            if *self.stopped.borrow() {
                break;
            }
            match self.connect().await {
                Ok(stream) => {
                    pause = PAUSE_MIN;
                    self.tally.connected.fetch_add(1, Ordering::Relaxed);
                    let end = self.session(stream).await.unwrap_or(End::Broken);
                    self.tally.connected.fetch_sub(1, Ordering::Relaxed);
                    match end {
                        End::Stopped => break,
                        End::Broken => add(&self.tally.broken, 1),
                        End::Pulled { until_ms } => {
                            add(&self.tally.broken, 1);
                            self.wait_until(self.pace.instant(until_ms)).await;
                        }
                    }
                }
                Err(Denied::Refused(why)) => {
                    self.tally.refuse(&why);
                    break;
                }
                Err(Denied::Unreachable) => {
                    add(&self.tally.unreachable, 1);
                    self.wait_until(Instant::now() + pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
        }
        self.device.give_up();
    }

    /// Until then, or until the run ends.
    async fn wait_until(&mut self, then: Instant) {
        tokio::select! {
            () = sleep_until(then) => {}
            _ = self.stopped.wait_for(|stopped| *stopped) => {}
        }
    }

    async fn connect(&self) -> Result<TcpStream, Denied> {
        let _turn = self.gate.acquire().await.map_err(|_| Denied::Unreachable)?;
        match timeout(ANSWER_TIMEOUT, self.greet()).await {
            Ok(Ok(answered)) => answered,
            Ok(Err(_)) | Err(_) => Err(Denied::Unreachable),
        }
    }

    /// CONNECT and its answer, and not a byte more: what follows belongs to the session.
    async fn greet(&self) -> io::Result<Result<TcpStream, Denied>> {
        let mut stream = TcpStream::connect(self.server).await?;
        stream.set_nodelay(true)?;
        let mut out = Vec::new();
        self.device.greet(&mut out);
        stream.write_all(&out).await?;
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).await?;
        let packet = decode(&answer, Version::V311, PACKET_BYTES_MAX);
        let Ok(Some((Packet::ConnAck(ack), _))) = packet else {
            return Ok(Err(Denied::Refused("the server does not speak MQTT 3.1.1".to_owned())));
        };
        if ack.reason.code() == 0 {
            return Ok(Ok(stream));
        }
        if ack.reason == mqtt::Reason::ServerUnavailable {
            return Ok(Err(Denied::Unreachable));
        }
        Ok(Err(Denied::Refused(ack.reason.as_str().to_owned())))
    }

    async fn session(&mut self, mut stream: TcpStream) -> io::Result<End> {
        let mut input = Vec::new();
        let mut out = Vec::new();
        self.device.connected(&mut out);
        self.device.measure(self.pace.now_ms(), Line::Down);
        let torn = self.device.next_break(self.pace.now_ms(), BREAK_HORIZON_MS);
        let torn_at = torn.map_or_else(far_away, |torn| self.pace.instant(torn.from_ms));
        let ping_every = Duration::from_secs(u64::from(KEEP_ALIVE_S) / 2);
        let mut ping_at = Instant::now() + ping_every;
        let mut drain_until = None;
        loop {
            if *self.stopped.borrow() {
                if self.device.is_done() {
                    leave(&mut out);
                    stream.write_all(&out).await?;
                    stream.shutdown().await?;
                    return Ok(End::Stopped);
                }
                drain_until.get_or_insert_with(|| Instant::now() + DRAIN_TIMEOUT);
            } else {
                self.device.measure(self.pace.now_ms(), Line::Up);
            }
            self.device.flush(&mut out);
            if !out.is_empty() {
                timeout(ANSWER_TIMEOUT, stream.write_all(&out)).await??;
                out.clear();
            }
            let due = self.device.due_ms().filter(|_| self.device.has_room());
            let due = due.map_or_else(far_away, |due| self.pace.instant(due));
            let running = drain_until.is_none();
            tokio::select! {
                read = stream.read_buf(&mut input) => {
                    if read? == 0 {
                        return Ok(End::Broken);
                    }
                    self.take_packets(&mut input, &mut out)?;
                }
                () = sleep_until(due), if running => {}
                () = sleep_until(torn_at), if running => {
                    return Ok(End::Pulled { until_ms: torn.map_or(0, |torn| torn.to_ms) });
                }
                () = sleep_until(ping_at) => {
                    encode(&Packet::PingReq, Version::V311, &mut out);
                    ping_at = Instant::now() + ping_every;
                }
                () = sleep_until(drain_until.unwrap_or_else(far_away)), if !running => {
                    return Ok(End::Stopped);
                }
                _ = self.stopped.changed(), if running => {}
            }
        }
    }

    /// Hands every complete packet to the device.
    fn take_packets(&mut self, input: &mut Vec<u8>, out: &mut Vec<u8>) -> io::Result<()> {
        let mut taken = 0;
        while let Some(rest) = input.get(taken..) {
            match decode(rest, Version::V311, PACKET_BYTES_MAX) {
                Ok(Some((packet, bytes))) => {
                    self.device.receive(&packet, out);
                    taken += bytes;
                }
                Ok(None) => break,
                Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
            }
        }
        input.drain(..taken);
        Ok(())
    }
}

/// An instant that a run does not live to see.
fn far_away() -> Instant {
    Instant::now() + Duration::from_secs(86_400 * 365)
}

#[cfg(test)]
mod tests;
