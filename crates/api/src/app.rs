//! What every handler can reach.
//!
//! *Invariant:* cloning is cheap, and nothing here can be changed but through the registry, the
//! log and the door.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use identity::seal::SealKey;
use identity::{Door, Keyring, Setup};
use model::{Clock, DeviceId, TenantId, Timestamp};
use pipeline::{Relay, Shard};
use registry::Registry;

use crate::alarms::ServerAlarms;
use crate::audience::Audience;
use crate::authorities::Challenges;
use crate::case::Studies;
use crate::idempotency::Answers;
use crate::kept::History;
use crate::money::{Readings, UsageEvents, UsageLedger};
use crate::provision::Provisioning;
use crate::refusals::Refusals;

/// How the program was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// `iotbiz demo`.
    Demo,
    /// `iotbiz run`.
    Run,
}

/// Whether HTTP is encrypted by this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpTls {
    /// No; perhaps a proxy does it.
    Off,
    /// Yes.
    On,
}

impl HttpTls {
    /// How addresses begin.
    #[must_use]
    pub const fn scheme(self) -> &'static str {
        match self {
            Self::Off => "http",
            Self::On => "https",
        }
    }
}

/// Who may come in without a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Whoever reaches the loopback address owns this tenant; `Host` and `Origin` are checked.
    LoopbackOwner(TenantId),
    /// Nobody.
    Tokens,
}

/// Text for `/metrics` from a part that this crate does not know.
#[derive(Clone)]
pub struct Metrics(pub Arc<dyn Fn() -> String + Send + Sync>);

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

/// Whether a device has a connection now; asked of the door that devices use.
#[derive(Clone)]
pub struct Presence(pub Arc<dyn Fn(DeviceId) -> bool + Send + Sync>);

impl std::fmt::Debug for Presence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Presence")
    }
}

/// Where phones of this network become devices of a demo.
#[derive(Clone)]
pub struct PhonePage {
    /// Whose devices they become.
    pub tenant: TenantId,
    /// The address of the page, with the claim that makes one more device.
    pub url: String,
    /// The QR code of that address: a row a line, `1` is dark.
    pub code: Vec<String>,
    /// The next phone is told so.
    pub phones_max: usize,
}

impl std::fmt::Debug for PhonePage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The address holds a claim, which no log may learn.
        f.debug_struct("PhonePage").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

/// Facts about this server that never change while it runs.
#[derive(Debug, Clone)]
pub struct Facts {
    /// How it was started.
    pub mode: Mode,
    /// Who may come in without a token.
    pub access: Access,
    /// Where devices find MQTT.
    pub mqtt_host: String,
    /// MQTT port without TLS.
    pub mqtt_port: u16,
    /// MQTT port with TLS; none: not offered.
    pub mqtts_port: Option<u16>,
    /// Whether console, API and ingest speak TLS.
    pub http_tls: HttpTls,
    /// Port of console, API and ingest.
    pub http_port: u16,
    /// When it was started.
    pub started_at: Timestamp,
    /// How long the event log keeps a frame.
    pub log_retention: Duration,
    /// What is kept for good.
    pub history: Arc<dyn History>,
    /// The same, reading by reading, for bills.
    pub readings: Readings,
    /// What bills were rated from.
    pub usage_ledger: UsageLedger,
    /// Usage events that were sent from outside.
    pub usage_events: UsageEvents,
    /// What was answered to requests about money that have an `Idempotency-Key`.
    pub answers: Answers,
    /// Whether a device has a connection now.
    pub presence: Presence,
    /// Extra text for `/metrics`: counters of the door that devices use.
    pub metrics: Metrics,
    /// What is wrong with the server itself, and was.
    pub server_alarms: ServerAlarms,
}

/// Everything a handler can reach.
#[derive(Debug, Clone)]
pub struct App {
    /// Twins, quarantine, recent messages, the log.
    pub shard: Shard,
    /// Records.
    pub registry: Registry,
    /// From the registry to the log.
    pub relay: Relay,
    /// Who may come in.
    pub door: Arc<Door>,
    /// The authorities that sign certificates.
    pub keyring: Arc<Keyring>,
    /// The seal under decisions.
    pub seal: Arc<SealKey>,
    /// Studies of business cases that were made before.
    pub studies: Arc<Studies>,
    /// Devices that wait for their registration.
    pub provisioning: Arc<Provisioning>,
    /// What waits for the proof of an authority.
    pub challenges: Arc<Challenges>,
    /// The one-time setup of a first run.
    pub setup: Option<Arc<Setup>>,
    /// Who was not let in, and why.
    pub refusals: Refusals,
    /// Who is told of alarms, and the sender that does it.
    pub audience: Arc<Audience>,
    /// Where phones join; set once, when a demo opens it.
    pub phone: Arc<OnceLock<PhonePage>>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Facts about this server.
    pub facts: Arc<Facts>,
}
