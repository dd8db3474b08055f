//! What the listeners show and whom they trust, and how both are renewed without a restart.
//!
//! *Invariant:* a certificate that cannot be used never replaces one that works.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use identity::certificate::{SERVER_LIFE, ServerName};
use identity::{Door, Keyring};
use ingress::Tls;
use model::{Clock, Timestamp};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::keys;
use crate::config::Config;
use crate::exit::{self, Failure};

/// How often files and dates are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Where the certificate in use comes from.
#[derive(Debug)]
enum Source {
    /// PEM files of the operator.
    Files { certificate: PathBuf, key: PathBuf },
    /// Issued by the server's own root.
    Own { folder: PathBuf, names: Vec<ServerName<'static>> },
}

/// The certificate in use and where the next one comes from.
pub(super) struct Certificates {
    pub(super) tls: Arc<Tls>,
    source: Source,
    keyring: Arc<Keyring>,
    clock: Arc<dyn Clock>,
    /// When it should be replaced; for files, when they were written.
    seen: Seen,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Written(Option<SystemTime>),
    RenewAt(Timestamp),
}

/// A chain and its key, PEM, and what to look at for the next.
struct Pair {
    chain: String,
    key: String,
    seen: Seen,
}

impl Certificates {
    /// Reads or issues what the listeners show.
    pub(super) fn new(
        config: &Config,
        keyring: &Arc<Keyring>,
        clock: &Arc<dyn Clock>,
        listeners: &[SocketAddr],
    ) -> anyhow::Result<Self> {
        let source = if config.tls.certificate.as_os_str().is_empty() {
            let folder = config.data.join("ca");
            Source::Own { folder, names: names(config, listeners)? }
        } else {
            let (certificate, key) = (config.tls.certificate.clone(), config.tls.key.clone());
            Source::Files { certificate, key }
        };
        let pair = load(&source, keyring, clock.now())?;
        let tls = Tls::new(&pair.chain, &pair.key, &["mqtt"]).map_err(|error| {
            Failure::new(exit::USAGE, "the TLS certificate cannot be used").why(error.to_string())
        })?;
        let (keyring, clock) = (Arc::clone(keyring), Arc::clone(clock));
        Ok(Self { tls: Arc::new(tls), source, keyring, clock, seen: pair.seen })
    }

    /// Keeps certificate and trust of all listeners up to date until the server stops.
    pub(super) fn tend(
        self,
        https: Option<Arc<Tls>>,
        known: (Arc<Door>, Arc<Keyring>),
        (tasks, stop): (&TaskTracker, &CancellationToken),
    ) {
        let all = std::iter::once(Arc::clone(&self.tls)).chain(https);
        tasks.spawn(keep_trust(all.collect(), known, stop.clone()));
        tasks.spawn(self.run(stop.clone()));
    }

    /// Renews until the server stops.
    async fn run(mut self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = stop.cancelled() => return,
            }
            if let Err(error) = self.look() {
                tracing::error!(error = format!("{error:#}"), "the certificate stays as it is");
            }
        }
    }

    fn look(&mut self) -> anyhow::Result<()> {
        let now = self.clock.now();
        let due = match (&self.source, self.seen) {
            (Source::Files { certificate, .. }, seen) => {
                Seen::Written(written(certificate)) != seen
            }
            (Source::Own { .. }, Seen::RenewAt(at)) => now >= at,
            (Source::Own { .. }, Seen::Written(_)) => true,
        };
        if !due {
            return Ok(());
        }
        let pair = load(&self.source, &self.keyring, now)?;
        self.tls.renew(&pair.chain, &pair.key).context("use the new certificate")?;
        self.seen = pair.seen;
        tracing::info!("the listeners show a new certificate");
        Ok(())
    }
}

fn written(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|facts| facts.modified()).ok()
}

fn load(source: &Source, keyring: &Keyring, now: Timestamp) -> anyhow::Result<Pair> {
    let text = |path: &Path| {
        std::fs::read_to_string(path).map_err(|error| {
            Failure::new(exit::USAGE, format!("cannot read {}", path.display()))
                .why(error.to_string())
                .fix("name PEM files that this user can read in [tls] certificate and key")
        })
    };
    match source {
        Source::Files { certificate, key } => {
            let seen = Seen::Written(written(certificate));
            Ok(Pair { chain: text(certificate)?, key: text(key)?, seen })
        }
        Source::Own { folder, names } => {
            let made = keyring.root().issue_server(names, now).context("issue a certificate")?;
            keys::secret(&folder.join("server.key"), made.key.reveal())?;
            keys::secret(&folder.join("server.crt"), &made.leaf.chain_pem)?;
            let seen = Seen::RenewAt(now + SERVER_LIFE * 2 / 3);
            Ok(Pair { chain: made.leaf.chain_pem, key: made.key.reveal().to_owned(), seen })
        }
    }
}

/// Every name and address that devices and people may reach the listeners by.
fn names(config: &Config, listeners: &[SocketAddr]) -> anyhow::Result<Vec<ServerName<'static>>> {
    let mut all = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    if !config.mqtt.host.is_empty() {
        all.push(config.mqtt.host.clone());
    }
    for listener in listeners {
        match listener.ip() {
            ip if ip.is_unspecified() => all.extend(lan_address().map(|ip| ip.to_string())),
            ip => all.push(ip.to_string()),
        }
    }
    all.extend(config.tls.names.iter().cloned());
    let mut names: Vec<ServerName<'static>> = Vec::new();
    for text in all {
        let name = ServerName::try_from(text.clone()).map_err(|_| {
            Failure::new(exit::USAGE, format!("{text:?} is no name or address for a certificate"))
                .fix("use names such as iot.example.com and addresses such as 192.168.1.20")
        })?;
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

/// The address of this machine in its network; nothing is sent to find it.
fn lan_address() -> Option<IpAddr> {
    let socket = std::net::UdpSocket::bind(("0.0.0.0", 0)).ok()?;
    // A documentation address (RFC 5737): only the route to it is looked up.
    socket.connect(("192.0.2.1", 9)).ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_unspecified() && !ip.is_loopback()).then_some(ip)
}

/// Keeps the trusted authorities as the door and the keyring know them.
async fn keep_trust(
    tls: Vec<Arc<Tls>>,
    (door, keyring): (Arc<Door>, Arc<Keyring>),
    stop: CancellationToken,
) {
    let news = Arc::new(Notify::new());
    let tell = Arc::clone(&news);
    door.on_revocation(move || tell.notify_one());
    loop {
        let mut trusted = keyring.certificates();
        trusted.extend(door.authorities());
        for tls in &tls {
            tls.trust(&trusted);
        }
        tokio::select! {
            () = news.notified() => {}
            // A tenant's new authority stands below the root, which is trusted from the start; it
            // matters only to devices that send no chain.
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = stop.cancelled() => return,
        }
    }
}
