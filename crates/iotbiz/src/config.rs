//! What can be configured, read from one TOML file.
//!
//! *Invariant:* [`DOCUMENT`], which people read, holds every key with its default; a test compares
//! it with [`Config::default`]. An unknown key is an error with its place.

mod history;
mod notify;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ingress::Limits;
use serde::{Deserialize, Deserializer};

pub(crate) use self::history::HistoryConfig;
pub(crate) use self::notify::NotifyConfig;
use crate::cli::RunArgs;
use crate::exit::{self, Failure};

/// The commented configuration with all defaults.
pub(crate) const DOCUMENT: &str = include_str!("../../../docs/config.toml");

const DAY: Duration = Duration::from_secs(86_400);

/// The whole configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// Folder of everything that is kept.
    pub(crate) data: PathBuf,
    pub(crate) http: Http,
    pub(crate) mqtt: Mqtt,
    pub(crate) tls: Tls,
    pub(crate) notify: NotifyConfig,
    pub(crate) log: LogConfig,
    pub(crate) history: HistoryConfig,
    pub(crate) limits: DoorLimits,
    /// Added to every flush of the log; for measurements, and only from the command line.
    #[serde(skip)]
    pub(crate) flush_delay: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Http {
    pub(crate) listen: SocketAddr,
    /// Proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
    pub(crate) proxies: Vec<IpAddr>,
    /// Origins of web pages elsewhere that may open `/mqtt`.
    pub(crate) origins: Vec<String>,
}

/// Encryption, of MQTT and of HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Tls {
    /// MQTT over TLS; empty: not offered.
    #[serde(deserialize_with = "address_or_empty")]
    pub(crate) mqtts: Option<SocketAddr>,
    /// HTTP listens with TLS only.
    pub(crate) https: bool,
    /// PEM files of one's own; empty: the server's own authority issues a certificate.
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    /// What else the issued certificate is for.
    pub(crate) names: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Mqtt {
    pub(crate) listen: SocketAddr,
    /// The name devices find this server by; empty: the address of `listen`.
    pub(crate) host: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LogConfig {
    pub(crate) retention_days: u32,
    pub(crate) trim_bytes: u64,
    pub(crate) log_bytes_max: u64,
    pub(crate) clock_step_max_s: u64,
    pub(crate) snapshot_every_s: u64,
    pub(crate) snapshot_bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct DoorLimits {
    pub(crate) connections_max: usize,
    pub(crate) greeting_per_address_max: usize,
    pub(crate) greeting_max: usize,
    pub(crate) connects_per_address_per_s_max: u64,
    pub(crate) connects_per_address_burst: u64,
    pub(crate) greeting_timeout_s: u64,
    pub(crate) login_failures_max: u32,
    pub(crate) login_failures_per_address_max: u64,
    pub(crate) login_failures_per_device_max: u64,
    pub(crate) login_failure_forgiven_s: u64,
    pub(crate) login_lockout_s_max: u64,
    pub(crate) packet_bytes_max: u32,
    pub(crate) unacked_bytes_max: usize,
    pub(crate) outbound_bytes_max: usize,
    pub(crate) receive_max: u16,
    pub(crate) session_queue_max: usize,
    pub(crate) session_expiry_s_max: u32,
    pub(crate) connections_per_device_max: usize,
    pub(crate) sessions_per_device_max: usize,
    pub(crate) sessions_per_tenant_max: usize,
    pub(crate) device_messages_per_s_max: u64,
    pub(crate) device_messages_burst: u64,
    pub(crate) device_bytes_per_s_max: u64,
    pub(crate) device_bytes_burst: u64,
    pub(crate) tenant_messages_per_s_max: u64,
    pub(crate) tenant_messages_burst: u64,
    pub(crate) tenant_bytes_per_s_max: u64,
    pub(crate) tenant_bytes_burst: u64,
    pub(crate) urgent_per_s_max: u64,
    pub(crate) urgent_burst: u64,
    pub(crate) subscriptions_per_session_max: usize,
    pub(crate) topic_bytes_max: usize,
    pub(crate) retained_bytes_max: usize,
    pub(crate) retained_messages_max: usize,
    pub(crate) queued_bytes_per_tenant_max: u64,
    pub(crate) http_waiting_max: usize,
}

/// An address, or nothing at all, which the document can write down.
fn address_or_empty<'de, D: Deserializer<'de>>(d: D) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(d)?;
    let address = (!text.is_empty()).then(|| text.parse()).transpose();
    address.map_err(serde::de::Error::custom)
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data: PathBuf::from("iotbiz-data"),
            http: Http::default(),
            mqtt: Mqtt::default(),
            tls: Tls::default(),
            notify: NotifyConfig::default(),
            log: LogConfig::default(),
            history: HistoryConfig::default(),
            limits: DoorLimits::default(),
            flush_delay: Duration::ZERO,
        }
    }
}

impl Default for Http {
    fn default() -> Self {
        let listen = SocketAddr::from(([127, 0, 0, 1], 7070));
        Self { listen, proxies: Vec::new(), origins: Vec::new() }
    }
}

impl Default for Mqtt {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 1883)), host: String::new() }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        let log = eventlog::Options::default();
        let driver = pipeline::Options::default();
        Self {
            retention_days: 30,
            trim_bytes: driver.trim_bytes,
            log_bytes_max: log.log_bytes_max,
            clock_step_max_s: log.clock_step_max.as_secs(),
            snapshot_every_s: driver.snapshot_every.as_secs(),
            snapshot_bytes: driver.snapshot_bytes,
        }
    }
}

impl Default for DoorLimits {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            connections_max: limits.connections_max,
            greeting_per_address_max: limits.greeting_per_address_max,
            greeting_max: limits.greeting_max,
            connects_per_address_per_s_max: limits.connects_per_address_per_s_max,
            connects_per_address_burst: limits.connects_per_address_burst,
            greeting_timeout_s: limits.greeting_timeout.as_secs(),
            login_failures_max: limits.login_failures_max,
            login_failures_per_address_max: limits.login_failures_per_address_max,
            login_failures_per_device_max: limits.login_failures_per_device_max,
            login_failure_forgiven_s: limits.login_failure_forgiven.as_secs(),
            login_lockout_s_max: limits.login_lockout_max.as_secs(),
            packet_bytes_max: limits.packet_bytes_max,
            unacked_bytes_max: limits.unacked_bytes_max,
            outbound_bytes_max: limits.outbound_bytes_max,
            receive_max: limits.receive_max,
            session_queue_max: limits.session_queue_max,
            session_expiry_s_max: limits.session_expiry_s_max,
            connections_per_device_max: limits.connections_per_device_max,
            sessions_per_device_max: limits.sessions_per_device_max,
            sessions_per_tenant_max: limits.sessions_per_tenant_max,
            device_messages_per_s_max: limits.device_messages_per_s_max,
            device_messages_burst: limits.device_messages_burst,
            device_bytes_per_s_max: limits.device_bytes_per_s_max,
            device_bytes_burst: limits.device_bytes_burst,
            tenant_messages_per_s_max: limits.tenant_messages_per_s_max,
            tenant_messages_burst: limits.tenant_messages_burst,
            tenant_bytes_per_s_max: limits.tenant_bytes_per_s_max,
            tenant_bytes_burst: limits.tenant_bytes_burst,
            urgent_per_s_max: limits.urgent_per_s_max,
            urgent_burst: limits.urgent_burst,
            subscriptions_per_session_max: limits.subscriptions_per_session_max,
            topic_bytes_max: limits.topic_bytes_max,
            retained_bytes_max: limits.retained_bytes_max,
            retained_messages_max: limits.retained_messages_max,
            queued_bytes_per_tenant_max: limits.queued_bytes_per_tenant_max,
            http_waiting_max: limits.http_waiting_max,
        }
    }
}

impl Config {
    /// The file, if one is named, with what the command line says on top.
    pub(crate) fn load(args: &RunArgs) -> Result<Self, Failure> {
        let mut config = match &args.config {
            Some(file) => Self::read(file)?,
            None => Self::default(),
        };
        if let Some(data) = &args.data {
            config.data.clone_from(data);
        }
        if let Some(listen) = args.listen {
            config.http.listen = listen;
        }
        if let Some(mqtt) = args.mqtt {
            config.mqtt.listen = mqtt;
        }
        if args.mqtts.is_some() {
            config.tls.mqtts = args.mqtts;
        }
        config.tls.https |= args.https;
        config.flush_delay = Duration::from_millis(args.flush_delay_ms);
        config.check()?;
        Ok(config)
    }

    fn read(file: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(file).map_err(|error| {
            Failure::new(exit::USAGE, format!("cannot read {}", file.display()))
                .why(error.to_string())
                .fix("print one with all defaults: iotbiz config > iotbiz.toml")
        })?;
        Self::parse(&text, &file.display().to_string())
    }

    fn parse(text: &str, name: &str) -> Result<Self, Failure> {
        toml::from_str(text).map_err(|error| {
            let place = error.span().map_or_else(String::new, |span| {
                let before = text.get(..span.start).unwrap_or_default();
                let line = before.matches('\n').count() + 1;
                let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
                format!(":{line}:{column}")
            });
            Failure::new(exit::USAGE, format!("{name}{place}: {}", error.message()))
                .fix("iotbiz config prints every key with its default")
        })
    }

    /// Limits that contradict each other or make no sense.
    fn check(&self) -> Result<(), Failure> {
        let wrong = |what: String| Failure::new(exit::USAGE, what);
        if self.log.trim_bytes > self.log.log_bytes_max {
            return Err(wrong(format!(
                "log.trim_bytes = {} is more than log.log_bytes_max = {}",
                self.log.trim_bytes, self.log.log_bytes_max
            ))
            .why("the log would be full before it is trimmed")
            .fix("raise log.log_bytes_max or lower log.trim_bytes"));
        }
        if self.log.retention_days == 0 {
            return Err(wrong("log.retention_days = 0 keeps nothing to start from".to_owned())
                .fix("use 1 or more"));
        }
        let frame_bytes_max = eventlog::Options::default().frame_bytes_max;
        if self.tls.certificate.as_os_str().is_empty() != self.tls.key.as_os_str().is_empty() {
            return Err(wrong("tls.certificate and tls.key are only one of the two".to_owned())
                .fix("name both PEM files, or neither: then the server issues its own"));
        }
        if u64::from(self.limits.packet_bytes_max) + 8192 > u64::from(frame_bytes_max) {
            return Err(wrong(format!(
                "limits.packet_bytes_max = {} does not fit in a record of the log",
                self.limits.packet_bytes_max
            ))
            .fix(format!("use at most {}", frame_bytes_max - 8192)));
        }
        self.history.check()?;
        let expiry = Duration::from_secs(u64::from(self.limits.session_expiry_s_max));
        if expiry > self.retention() {
            return Err(wrong(format!(
                "limits.session_expiry_s_max = {} outlives log.retention_days = {}",
                self.limits.session_expiry_s_max, self.log.retention_days
            ))
            .why("a session's queue points into the log"));
        }
        Ok(())
    }

    fn retention(&self) -> Duration {
        DAY * self.log.retention_days
    }

    /// How long readings are kept; none: for ever.
    pub(crate) fn history_kept(&self) -> Option<Duration> {
        let days = self.history.retention_days;
        (days > 0).then(|| DAY * days)
    }

    pub(crate) fn log_options(&self) -> eventlog::Options {
        eventlog::Options {
            log_bytes_max: self.log.log_bytes_max,
            clock_step_max: Duration::from_secs(self.log.clock_step_max_s),
            ..eventlog::Options::default()
        }
    }

    pub(crate) fn driver_options(&self) -> pipeline::Options {
        pipeline::Options {
            snapshot_bytes: self.log.snapshot_bytes,
            snapshot_every: Duration::from_secs(self.log.snapshot_every_s),
            retention: self.retention(),
            trim_bytes: self.log.trim_bytes,
        }
    }

    pub(crate) fn door_limits(&self) -> Limits {
        let limits = &self.limits;
        Limits {
            connections_max: limits.connections_max,
            greeting_per_address_max: limits.greeting_per_address_max,
            greeting_max: limits.greeting_max,
            connects_per_address_per_s_max: limits.connects_per_address_per_s_max,
            connects_per_address_burst: limits.connects_per_address_burst,
            greeting_timeout: Duration::from_secs(limits.greeting_timeout_s),
            login_failures_max: limits.login_failures_max,
            login_failures_per_address_max: limits.login_failures_per_address_max,
            login_failures_per_device_max: limits.login_failures_per_device_max,
            login_failure_forgiven: Duration::from_secs(limits.login_failure_forgiven_s),
            login_lockout_max: Duration::from_secs(limits.login_lockout_s_max),
            packet_bytes_max: limits.packet_bytes_max,
            unacked_bytes_max: limits.unacked_bytes_max,
            outbound_bytes_max: limits.outbound_bytes_max,
            receive_max: limits.receive_max,
            session_queue_max: limits.session_queue_max,
            session_expiry_s_max: limits.session_expiry_s_max,
            connections_per_device_max: limits.connections_per_device_max,
            sessions_per_device_max: limits.sessions_per_device_max,
            sessions_per_tenant_max: limits.sessions_per_tenant_max,
            device_messages_per_s_max: limits.device_messages_per_s_max,
            device_messages_burst: limits.device_messages_burst,
            device_bytes_per_s_max: limits.device_bytes_per_s_max,
            device_bytes_burst: limits.device_bytes_burst,
            tenant_messages_per_s_max: limits.tenant_messages_per_s_max,
            tenant_messages_burst: limits.tenant_messages_burst,
            tenant_bytes_per_s_max: limits.tenant_bytes_per_s_max,
            tenant_bytes_burst: limits.tenant_bytes_burst,
            urgent_per_s_max: limits.urgent_per_s_max,
            urgent_burst: limits.urgent_burst,
            subscriptions_per_session_max: limits.subscriptions_per_session_max,
            topic_bytes_max: limits.topic_bytes_max,
            retained_bytes_max: limits.retained_bytes_max,
            retained_messages_max: limits.retained_messages_max,
            queued_bytes_per_tenant_max: limits.queued_bytes_per_tenant_max,
            http_waiting_max: limits.http_waiting_max,
            ..Limits::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_holds_every_key_with_its_default() {
        let read = Config::parse(DOCUMENT, "docs/config.toml").unwrap();
        assert_eq!(read, Config::default());
        let table: toml::Table = DOCUMENT.parse().unwrap();
        let keys: usize = table.values().map(|v| v.as_table().map_or(1, toml::Table::len)).sum();
        assert_eq!(keys, 70);
    }

    #[test]
    fn a_wrong_key_or_value_is_named_with_its_place() {
        let said = |text: &str| Config::parse(text, "a.toml").unwrap_err().to_string();
        assert!(said("[mqtt]\nport = 1\n").contains("a.toml:2:1"), "{}", said("[mqtt]\nport = 1"));
        assert!(said("[mqtt]\nport = 1\n").contains("port"));
        assert!(said("[log]\nretention_days = -1\n").contains("a.toml:2:18"));
    }

    #[test]
    fn limits_that_contradict_each_other_are_refused() {
        let mut config = Config::default();
        config.log.trim_bytes = config.log.log_bytes_max + 1;
        assert!(config.check().is_err());
        let mut config = Config::default();
        config.log.retention_days = 1;
        assert!(config.check().unwrap_err().to_string().contains("session_expiry_s_max"));
        assert!(Config::default().check().is_ok());
    }
}
