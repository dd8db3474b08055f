//! The connection of a device to its server: what devices of every kind need.
//!
//! `iotbiz connect @device@ --for rust --update` writes this file again; your own code is in
//! `main.rs`.
//!
//! What was measured waits in a buffer until the server has acknowledged that it is durable. The
//! buffer is in memory: it survives a lost connection, not a lost power supply.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rumqttc::{
    AsyncClient, ConnectReturnCode, ConnectionError, Event, EventLoop, MqttOptions, Outgoing,
    Packet, QoS,
};
use serde_json::{json, Map, Value};
use tokio::sync::Notify;

/// Messages kept while offline; the oldest are dropped and counted.
pub const BUFFER_MAX: usize = 10_000;
/// Of them sent at once.
const BATCH_MAX: usize = 100;
/// Messages of the urgent lane that are kept; the server takes ten at once.
const URGENT_MAX: usize = 10;
/// Ids of commands that are not done twice.
const COMMANDS_KNOWN_MAX: usize = 64;
const BACKOFF_MIN: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(60);
/// A connection that lasted this long starts the back-off anew.
const STABLE: Duration = Duration::from_secs(30);
/// While the clock is not set, only what is younger may go without a date.
const FRESH: Duration = Duration::from_secs(2);
const KEEP_ALIVE: Duration = Duration::from_secs(60);
/// Requests that wait for the network thread: a batch, a report and some answers.
const REQUESTS_MAX: usize = 64;
const PACKET_BYTES_MAX: usize = 1 << 20;
pub const TEXT_BYTES_MAX: usize = 1024;
/// 2023-11-14: a clock before this was never set.
const CLOCK_MS_MIN: i64 = 1_700_000_000_000;

/// A JSON object.
pub type Object = Map<String, Value>;

/// What a kind of device can do; `device.rs` implements it.
pub trait Kind: Send {
    /// Takes over settings; says what it cannot take.
    fn desired(&mut self, values: &Object);
    /// The settings in force.
    fn reported(&self) -> Object;
    /// Does a command: the answer, or why it was not done.
    fn command(&mut self, name: &str, arguments: &Object) -> Result<Object, String>;
}

/// Which way a message takes. The lanes are apart, so that what is urgent is never behind the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    Urgent,
    Telemetry,
}

impl Lane {
    const ALL: [Self; 2] = [Self::Urgent, Self::Telemetry];

    const fn topic(self) -> &'static str {
        match self {
            Self::Telemetry => "me/telemetry",
            Self::Urgent => "me/urgent",
        }
    }

    const fn max(self) -> usize {
        match self {
            Self::Telemetry => BUFFER_MAX,
            Self::Urgent => URGENT_MAX,
        }
    }

    const fn batch_max(self) -> usize {
        match self {
            Self::Telemetry => BATCH_MAX,
            Self::Urgent => 1,
        }
    }
}

/// Bounds of a number; absent ones are infinite.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub least: f64,
    pub most: f64,
    pub unit: &'static str,
}

/// Writes and reads the values of a blueprint.
pub trait Property: Sized {
    /// Why it cannot be taken is the error.
    fn checked(&self, bounds: Bounds) -> Result<Value, String>;
    fn read(value: &Value) -> Option<Self>;
}

impl Property for f64 {
    fn checked(&self, bounds: Bounds) -> Result<Value, String> {
        if self.is_finite() && (bounds.least..=bounds.most).contains(self) {
            return Ok(json!(self));
        }
        let Bounds { least, most, unit } = bounds;
        Err(format!("{self} is not between {least} and {most} {unit}").trim_end().to_owned())
    }

    fn read(value: &Value) -> Option<Self> {
        value.as_f64()
    }
}

impl Property for bool {
    fn checked(&self, _: Bounds) -> Result<Value, String> {
        Ok(json!(self))
    }

    fn read(value: &Value) -> Option<Self> {
        value.as_bool()
    }
}

impl Property for String {
    fn checked(&self, _: Bounds) -> Result<Value, String> {
        if self.len() <= TEXT_BYTES_MAX {
            return Ok(json!(self));
        }
        Err(format!("the text is longer than {TEXT_BYTES_MAX} bytes"))
    }

    fn read(value: &Value) -> Option<Self> {
        value.as_str().map(str::to_owned)
    }
}

/// Latitude and longitude in degrees.
impl Property for (f64, f64) {
    fn checked(&self, _: Bounds) -> Result<Value, String> {
        if self.0.abs() <= 90.0 && self.1.abs() <= 180.0 {
            return Ok(json!([self.0, self.1]));
        }
        Err(format!("{}, {} is no latitude and longitude", self.0, self.1))
    }

    fn read(value: &Value) -> Option<Self> {
        match value.as_array()?.as_slice() {
            [latitude, longitude] => Some((latitude.as_f64()?, longitude.as_f64()?)),
            _ => None,
        }
    }
}

/// Adds a value to a message; one that is wrong is said and left out.
pub fn put<T: Property>(to: &mut Object, name: &str, value: Option<&T>, bounds: Bounds) -> bool {
    match value.map(|value| value.checked(bounds)) {
        None => true,
        Some(Ok(value)) => {
            to.insert(name.to_owned(), value);
            true
        }
        Some(Err(why)) => {
            say(&format!("{name} is not taken: {why}"));
            false
        }
    }
}

/// A value of the type and within the bounds that are expected.
pub fn take<T: Property>(name: &str, value: &Value, bounds: Bounds) -> Result<T, String> {
    let read = T::read(value).ok_or_else(|| format!("{name}: {value} has the wrong type"))?;
    match read.checked(bounds) {
        Ok(_) => Ok(read),
        Err(why) => Err(format!("{name}: {why}")),
    }
}

/// Talk of the connection, on standard error.
pub fn say(text: &str) {
    eprintln!("{text}");
}

/// The lines `NAME=VALUE` of the credential's file.
#[derive(Debug, Clone)]
struct Credential {
    file: PathBuf,
    host: String,
    port: u16,
    device: String,
    token: String,
    ca: Option<PathBuf>,
}

impl Credential {
    fn read(file: &Path) -> Result<Self, String> {
        let shown = file.display();
        let text = std::fs::read_to_string(file).map_err(|error| {
            format!("cannot read {shown}: {error}. It holds the token of this device")
        })?;
        let values: HashMap<_, _> = text.lines().filter_map(|line| line.split_once('=')).collect();
        let need = |name: &str| {
            let value = values.get(name).map(|value| value.trim()).unwrap_or_default();
            if value.is_empty() { Err(format!("{shown} has no {name}")) } else { Ok(value.to_owned()) }
        };
        let port = need("IOTBIZ_PORT")?;
        let beside = |ca: String| file.parent().unwrap_or(Path::new("")).join(ca);
        Ok(Self {
            host: need("IOTBIZ_HOST")?,
            port: port.parse().map_err(|_| format!("IOTBIZ_PORT {port:?} is no port"))?,
            device: need("IOTBIZ_DEVICE")?,
            token: need("IOTBIZ_TOKEN")?,
            ca: need("IOTBIZ_CA").ok().map(beside),
            file: file.to_owned(),
        })
    }
}

/// Milliseconds since 1970, or `None` while the clock is not set.
fn wall_ms() -> Option<i64> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis()).ok().filter(|now| *now >= CLOCK_MS_MIN)
}

/// What was measured at one moment.
struct Entry {
    values: Object,
    ts: Option<i64>,
    measured: Instant,
}

impl Entry {
    /// As it is sent, or `None` while it cannot be dated: what was measured before the clock was
    /// set is dated by its age; while it is not set, only what was measured just now may go
    /// without a date, and the server takes its own time.
    fn dated(&self) -> Option<Value> {
        let age = self.measured.elapsed();
        let by_age = || Some(wall_ms()? - i64::try_from(age.as_millis()).ok()?);
        match self.ts.or_else(by_age) {
            Some(ts) => Some(json!({ "ts": ts, "values": self.values })),
            None if age <= FRESH => Some(Value::Object(self.values.clone())),
            None => None,
        }
    }
}

/// What waits for one topic.
#[derive(Default)]
struct Waiting {
    entries: VecDeque<Entry>,
    /// How many of the oldest are on their way.
    in_flight: usize,
}

#[derive(Default)]
struct Buffer {
    urgent: Waiting,
    telemetry: Waiting,
    dropped: u64,
    changed: bool,
}

impl Buffer {
    fn lane(&mut self, lane: Lane) -> &mut Waiting {
        match lane {
            Lane::Urgent => &mut self.urgent,
            Lane::Telemetry => &mut self.telemetry,
        }
    }

    fn waiting(&self) -> usize {
        self.urgent.entries.len() + self.telemetry.entries.len()
    }
}

struct Shared {
    buffer: Mutex<Buffer>,
    changed: Condvar,
    more: Notify,
}

impl Shared {
    fn buffer(&self) -> MutexGuard<'_, Buffer> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A handle on the connection, which lives in a thread of its own.
#[derive(Clone)]
pub struct Link {
    shared: Arc<Shared>,
}

impl Link {
    /// Reads the credential and connects, again and again.
    pub fn start(
        device: &'static str,
        firmware: &str,
        kind: Box<dyn Kind>,
    ) -> Result<Self, String> {
        let file = std::env::var_os("IOTBIZ_CREDENTIAL").map(PathBuf::from);
        let file = file.unwrap_or_else(|| PathBuf::from("credential.env"));
        let credential = Credential::read(&file)?;
        let shared = Arc::new(Shared {
            buffer: Mutex::default(),
            changed: Condvar::new(),
            more: Notify::new(),
        });
        let link = Self { shared: Arc::clone(&shared) };
        let network = Network {
            shared,
            kind,
            credential,
            device,
            firmware: firmware.to_owned(),
            known: VecDeque::new(),
            version: None,
            attempts: 0,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| format!("cannot start: {error}"))?;
        let thread = std::thread::Builder::new().name("iotbiz".to_owned());
        let spawned = thread.spawn(move || runtime.block_on(network.run()));
        spawned.map_err(|error| format!("cannot start: {error}"))?;
        Ok(link)
    }

    /// Keeps values until the server has acknowledged them.
    pub fn keep(&self, lane: Lane, values: Object) {
        if values.is_empty() {
            return;
        }
        let mut buffer = self.shared.buffer();
        let entry = Entry { values, ts: wall_ms(), measured: Instant::now() };
        let waiting = buffer.lane(lane);
        waiting.entries.push_back(entry);
        if waiting.entries.len() > lane.max() {
            waiting.entries.pop_front();
            waiting.in_flight = waiting.in_flight.saturating_sub(1);
            buffer.dropped += 1;
            if buffer.dropped % 1000 == 1 {
                let (max, dropped) = (lane.max(), buffer.dropped);
                say(&format!("the buffer of {max} is full: {dropped} oldest dropped"));
            }
        }
        drop(buffer);
        self.shared.more.notify_one();
    }

    /// Messages that the server has not acknowledged yet.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.shared.buffer().waiting()
    }

    /// Messages that did not fit in the buffer.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.shared.buffer().dropped
    }

    /// Waits, but not longer than until a setting changes.
    pub fn wait(&self, at_most: Duration) {
        let waited = self.shared.changed.wait_timeout_while(
            self.shared.buffer(),
            at_most,
            |buffer| !buffer.changed,
        );
        waited.unwrap_or_else(PoisonError::into_inner).0.changed = false;
    }
}

struct Network {
    shared: Arc<Shared>,
    kind: Box<dyn Kind>,
    credential: Credential,
    device: &'static str,
    firmware: String,
    known: VecDeque<String>,
    version: Option<Value>,
    attempts: u32,
}

/// One connection: what is published on it, in order, until the library gives it a number.
struct Session {
    client: AsyncClient,
    events: EventLoop,
    unnumbered: VecDeque<What>,
    batches: Vec<(Lane, u16)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Batch(Lane),
    Else,
}

impl Session {
    fn publish(&mut self, topic: &str, body: &Value, what: What) -> bool {
        match self.client.try_publish(topic, QoS::AtLeastOnce, false, body.to_string()) {
            Ok(()) => {
                self.unnumbered.push_back(what);
                true
            }
            Err(error) => {
                say(&format!("{topic} cannot be sent now: {error}"));
                false
            }
        }
    }

    fn is_idle(&self, lane: Lane) -> bool {
        let numbered = self.batches.iter().any(|(other, _)| *other == lane);
        !numbered && !self.unnumbered.contains(&What::Batch(lane))
    }
}

impl Network {
    async fn run(mut self) {
        loop {
            let started = Instant::now();
            let mut online = false;
            let error = match self.session() {
                Ok(mut session) => loop {
                    match self.turn(&mut session, online).await {
                        Ok(Packet::ConnAck(_)) => {
                            online = true;
                            self.connected(&mut session);
                        }
                        Ok(packet) => self.received(&mut session, &packet),
                        Err(error) => break self.explain(&error, online),
                    }
                    if online {
                        self.flush(&mut session);
                    }
                },
                Err(error) => error,
            };
            say(&error);
            for lane in Lane::ALL {
                self.shared.buffer().lane(lane).in_flight = 0;
            }
            if online && started.elapsed() > STABLE {
                self.attempts = 0;
            }
            tokio::time::sleep(self.backoff()).await;
        }
    }

    fn session(&self) -> Result<Session, String> {
        let Credential { host, port, device, token, ca, .. } = &self.credential;
        let mut options = MqttOptions::new(device, host, *port);
        // A session that stays: commands given while the device is away wait for it.
        options
            .set_credentials(device, token)
            .set_clean_session(false)
            .set_keep_alive(KEEP_ALIVE)
            .set_max_packet_size(PACKET_BYTES_MAX, PACKET_BYTES_MAX);
        if let Some(ca) = ca {
            let pem = std::fs::read(ca).map_err(|error| {
                format!("cannot read {}: {error}. The server's certificate needs it", ca.display())
            })?;
            options.set_transport(trusting(pem)?);
        }
        let (client, events) = AsyncClient::new(options, REQUESTS_MAX);
        Ok(Session { client, events, unnumbered: VecDeque::new(), batches: Vec::new() })
    }

    /// Waits for a packet from the server; sends in the meantime what becomes ready.
    async fn turn(
        &mut self,
        session: &mut Session,
        online: bool,
    ) -> Result<Packet, ConnectionError> {
        let shared = Arc::clone(&self.shared);
        loop {
            let event = tokio::select! {
                event = session.events.poll() => Some(event?),
                // The library's own wait cannot be interrupted while it connects.
                () = shared.more.notified(), if online => None,
            };
            match event {
                None => self.flush(session),
                Some(Event::Incoming(packet)) => return Ok(packet),
                Some(Event::Outgoing(Outgoing::Publish(number))) => {
                    if let Some(What::Batch(lane)) = session.unnumbered.pop_front() {
                        session.batches.push((lane, number));
                    }
                }
                Some(Event::Outgoing(_)) => {}
            }
        }
    }

    fn connected(&mut self, session: &mut Session) {
        let waiting = self.shared.buffer().waiting();
        say(&format!("connected as {}; {waiting} messages wait", self.device));
        for filter in ["me/desired", "me/command/+"] {
            if let Err(error) = session.client.try_subscribe(filter, QoS::AtLeastOnce) {
                say(&format!("cannot subscribe to {filter}: {error}"));
            }
        }
        self.report(session);
    }

    /// Tells the server which settings are in force, and what runs here.
    fn report(&self, session: &mut Session) {
        let mut body = self.kind.reported();
        body.insert("firmware".to_owned(), json!(self.firmware));
        session.publish("me/reported", &Value::Object(body), What::Else);
    }

    /// Sends the next batch of each lane, when the one before it is acknowledged.
    fn flush(&self, session: &mut Session) {
        for lane in Lane::ALL {
            if !session.is_idle(lane) {
                continue;
            }
            let mut buffer = self.shared.buffer();
            let waiting = buffer.lane(lane);
            let oldest = waiting.entries.iter().take(lane.batch_max());
            let mut bodies: Vec<_> = oldest.map_while(Entry::dated).collect();
            let count = bodies.len();
            let body = match count {
                0 => continue,
                1 => bodies.remove(0),
                _ => Value::Array(bodies),
            };
            if session.publish(lane.topic(), &body, What::Batch(lane)) {
                waiting.in_flight = count;
            }
        }
    }

    /// What the server has, needs not wait any more.
    fn acknowledged(&self, session: &mut Session, number: u16) {
        let place = session.batches.iter().position(|(_, other)| *other == number);
        let Some(place) = place else { return };
        let (lane, _) = session.batches.remove(place);
        let mut buffer = self.shared.buffer();
        let waiting = buffer.lane(lane);
        let count = waiting.in_flight.min(waiting.entries.len());
        waiting.entries.drain(..count);
        waiting.in_flight = 0;
    }

    fn received(&mut self, session: &mut Session, packet: &Packet) {
        match packet {
            Packet::PubAck(ack) => self.acknowledged(session, ack.pkid),
            Packet::Publish(publish) => {
                let body: Value = serde_json::from_slice(&publish.payload).unwrap_or_default();
                let empty = Object::new();
                let body = body.as_object().unwrap_or(&empty);
                if publish.topic == "me/desired" {
                    self.desired(session, body);
                } else if let Some(id) = publish.topic.strip_prefix("me/command/") {
                    self.command(session, id, body);
                }
            }
            _ => {}
        }
    }

    fn desired(&mut self, session: &mut Session, body: &Object) {
        let version = body.get("version").cloned();
        // Retained: it comes again with every connection.
        if version.is_some() && version == self.version {
            return;
        }
        let Some(values) = body.get("values").and_then(Value::as_object) else { return };
        self.kind.desired(values);
        self.version = version;
        self.shared.buffer().changed = true;
        self.shared.changed.notify_all();
        self.report(session);
    }

    fn command(&mut self, session: &mut Session, id: &str, body: &Object) {
        if id.contains('/') || body.is_empty() || self.known.iter().any(|known| known == id) {
            return;
        }
        self.known.push_back(id.to_owned());
        if self.known.len() > COMMANDS_KNOWN_MAX {
            self.known.pop_front();
        }
        let name = body.get("name").and_then(Value::as_str).unwrap_or_default();
        let empty = Object::new();
        let arguments = body.get("args").and_then(Value::as_object).unwrap_or(&empty);
        let done = match expired(body.get("expires")) {
            Some(why) => Err(why.to_owned()),
            None => self.kind.command(name, arguments),
        };
        let answer = match done {
            Ok(mut answer) => {
                answer.insert("ok".to_owned(), json!(true));
                Value::Object(answer)
            }
            Err(why) => json!({ "ok": false, "error": why }),
        };
        say(&format!("command {name}: {answer}"));
        session.publish(&format!("me/command/{id}/answer"), &answer, What::Else);
    }

    /// Exponential, with full jitter: a fleet must not come back in one moment.
    fn backoff(&mut self) -> Duration {
        let most = BACKOFF_MIN.saturating_mul(1 << self.attempts.min(16)).min(BACKOFF_MAX);
        self.attempts += 1;
        most.mul_f64(random())
    }

    /// What an error means here, and what to do.
    fn explain(&self, error: &ConnectionError, online: bool) -> String {
        let Credential { host, port, file, .. } = &self.credential;
        let (device, file) = (self.device, file.display());
        let waiting = self.shared.buffer().waiting();
        if let ConnectionError::ConnectionRefused(code) = error {
            use ConnectReturnCode::{BadUserNamePassword, NotAuthorized};
            let number = match code {
                BadUserNamePassword => 4,
                NotAuthorized => 5,
                _ => return format!("the server refused the connection: {code:?} (CONNACK)"),
            };
            return format!(
                "the server does not accept the token of {device} (CONNACK {number}). Is it \
                 revoked? Issue another: iotbiz device rotate {device}, and write it to {file}"
            );
        }
        // The types of the TLS library are not ours; their names are stable.
        let detail = format!("{error:?}");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        if detail.contains("NotValidYet") {
            return format!(
                "the certificate of {host}:{port} is not yet valid: the clock here says {now} s \
                 since 1970. Set it: timedatectl set-ntp true"
            );
        }
        if detail.contains("Expired") {
            return format!(
                "the certificate of {host}:{port} has expired: the clock here says {now} s since \
                 1970. When that is right, the server needs another certificate"
            );
        }
        if detail.contains("UnknownIssuer") || detail.contains("BadSignature") {
            return format!(
                "the certificate of {host}:{port} is not signed by ca.pem: wrong CA. Get the one \
                 of this server: iotbiz connect {device} --for rust --tls --update"
            );
        }
        if detail.contains("NotValidForName") {
            return format!(
                "the certificate is not for {host}: write a name or address to IOTBIZ_HOST that \
                 the certificate has"
            );
        }
        if online {
            return format!("the connection is lost: {error}; {waiting} messages wait");
        }
        format!("cannot reach {host}:{port}: {error}; {waiting} messages wait")
    }
}

#[cfg(feature = "tls")]
fn trusting(ca: Vec<u8>) -> Result<rumqttc::Transport, String> {
    let trust = rumqttc::TlsConfiguration::Simple { ca, alpn: None, client_auth: None };
    Ok(rumqttc::Transport::tls_with_config(trust))
}

#[cfg(not(feature = "tls"))]
fn trusting(_ca: Vec<u8>) -> Result<rumqttc::Transport, String> {
    Err("IOTBIZ_CA is set, but this program is built without TLS: cargo build --release \
         --features tls"
        .to_owned())
}

/// Why a command is not done, when it is too late for it or that cannot be seen.
fn expired(expires: Option<&Value>) -> Option<&'static str> {
    let expires = match expires? {
        Value::Null => return None,
        Value::Number(number) => number.as_i64().unwrap_or_default(),
        other => other.as_str().and_then(milliseconds).unwrap_or_default(),
    };
    match wall_ms() {
        None => Some("the clock of the device is not set: it cannot see what expired"),
        Some(now) if now > expires => Some("expired"),
        Some(_) => None,
    }
}

/// Of an RFC 3339 time in UTC.
fn milliseconds(text: &str) -> Option<i64> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    // Days of 1970-01-01 to a date, by Howard Hinnant's days_from_civil.
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1000)
}

/// From 0 to 1. The standard library has no random numbers, but seeds its maps with some.
pub fn random() -> f64 {
    use std::hash::{BuildHasher, Hasher};
    let bits = std::collections::hash_map::RandomState::new().build_hasher().finish();
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}
