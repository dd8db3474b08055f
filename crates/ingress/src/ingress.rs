//! The door as the binary sees it: start, routes, figures, disconnect, shutdown.
//!
//! *Invariant:* it accepts nobody before the fold has caught up with the log, so that a
//! subscription finds what was retained before a restart.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use eventlog::{Log, Snapshots};
use identity::{Actor, Door, Identity, Revocations};
use model::{Clock, CredentialId, DeviceId, Disk, Offset};
use mqtt::Reason;
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::budget::Meters;
use crate::counters::Counters;
use crate::hub::Hub;
use crate::refusal::Refusals;
use crate::sessions;
use crate::shared::{Shared, lock};
use crate::strangers::Strangers;
use crate::urgent::Lane;
use crate::{Error, Figures, Limits, Tls, acks, descriptors, follow, http, listen};

/// Where to listen, and within which limits.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// MQTT over TCP; port 0 picks a free one.
    pub mqtt: Vec<SocketAddr>,
    /// MQTT over TLS; needs [`Parts::tls`].
    pub mqtts: Vec<SocketAddr>,
    /// Limits.
    pub limits: Limits,
    /// Origins of web pages elsewhere that may open `/mqtt`, such as `https://shop.example`.
    pub origins: Vec<String>,
}

/// What the door stands on.
#[derive(Debug, Clone)]
pub struct Parts {
    /// The order of everything.
    pub log: Log,
    /// The log of the urgent lane; without one its messages go the way of all others.
    pub urgent: Option<Log>,
    /// Who may come in.
    pub door: Arc<Door>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// For snapshots.
    pub disk: Arc<dyn Disk>,
    /// Directory of the snapshots.
    pub snapshots: PathBuf,
    /// For the listeners with TLS.
    pub tls: Option<Arc<Tls>>,
}

/// The running door.
#[derive(Debug)]
pub struct Ingress {
    shared: Arc<Shared>,
    snapshots: Snapshots,
    addresses: Vec<SocketAddr>,
}

/// A bound port, and its TLS if it has one.
type Listener = (TcpListener, Option<Arc<Tls>>);

/// How long a stopping door waits for its connections.
const STOP_WAIT: Duration = Duration::from_secs(10);

impl Ingress {
    /// Catches up with the log, then listens.
    ///
    /// # Errors
    /// A port or the snapshot cannot be used.
    pub async fn start(config: Config, parts: Parts) -> Result<Self, Error> {
        let Config { mqtt, mqtts, mut limits, origins } = config;
        limits.connections_max = descriptors::at_most(limits.connections_max);
        let tls = parts.tls;
        let plain = mqtt.into_iter().map(|address| (address, None));
        // Without a certificate there is nothing to listen with.
        let encrypted =
            tls.iter().flat_map(|tls| mqtts.iter().map(|a| (*a, Some(Arc::clone(tls)))));
        let snapshots = Snapshots::open(Arc::clone(&parts.disk), &parts.snapshots, "ingress")?;
        let started = parts.clock.now().as_millis();
        let shared = Arc::new(Shared {
            appended: AtomicU64::new(parts.log.committed().0),
            settings: limits.settings(),
            refusals: Arc::new(Refusals::new(limits.refusals_max)),
            http_waiting: Semaphore::new(limits.http_waiting_max),
            log: parts.log,
            urgent: parts.urgent.map(Lane::new),
            door: parts.door,
            clock: parts.clock,
            limits,
            counters: Counters::default(),
            stop: CancellationToken::new(),
            over: CancellationToken::new(),
            ack_nudge: Notify::new(),
            tasks: TaskTracker::new(),
            hub: Mutex::new(Hub::default()),
            keys: Mutex::default(),
            tickets: Mutex::default(),
            spellings: Mutex::default(),
            conns: Mutex::default(),
            meters: Meters::default(),
            strangers: Strangers::default(),
            origins,
            next_conn: AtomicU64::new(1),
            background: TaskTracker::new(),
            started,
        });
        follow::restore(&shared, &snapshots)?;
        let mut listeners = Vec::new();
        for (address, tls) in plain.chain(encrypted) {
            let bound = TcpListener::bind(address).await;
            let listener = bound.map_err(|source| Error::Listen { address, source })?;
            listeners.push((listener, tls));
        }
        let local = |l: &Listener| {
            l.0.local_addr().map_err(|source| Error::Listen {
                address: SocketAddr::from(([0, 0, 0, 0], 0)),
                source,
            })
        };
        let addresses = listeners.iter().map(local).collect::<Result<Vec<_>, _>>()?;
        let background = &shared.background;
        background.spawn(acks::run(Arc::clone(&shared)));
        background.spawn(follow::run(Arc::clone(&shared), snapshots.clone()));
        background.spawn(listen::sweep(Arc::clone(&shared)));
        background.spawn(revocations(Arc::clone(&shared)));
        for (listener, tls) in listeners {
            background.spawn(listen::run(Arc::clone(&shared), listener, tls));
        }
        Ok(Self { shared, snapshots, addresses })
    }

    /// Where it listens, in the order of [`Config::mqtt`], then of [`Config::mqtts`].
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// `/ingest/v1/...` and `/mqtt`, to be merged into the HTTP port; serve with connect info of
    /// `SocketAddr`, so that refusals name their peer.
    pub fn http(&self) -> axum::Router {
        http::router(Arc::clone(&self.shared))
    }

    /// What was refused and why.
    #[must_use]
    pub fn refusals(&self) -> Arc<Refusals> {
        Arc::clone(&self.shared.refusals)
    }

    /// Counts for metrics.
    #[must_use]
    pub fn figures(&self) -> Figures {
        self.shared.counters.figures()
    }

    /// The log may be trimmed below this: older offsets are in two snapshots, and no
    /// session waits for them.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn trim_below(&self) -> Result<Offset, Error> {
        let snapshot = self.snapshots.offsets()?.first().copied().unwrap_or_default();
        let queued = sessions::oldest(&lock(&self.shared.hub));
        Ok(queued.map_or(snapshot, |queued| snapshot.min(queued)))
    }

    /// The offset up to which messages were routed.
    #[must_use]
    pub fn offset(&self) -> Offset {
        lock(&self.shared.hub).offset
    }

    /// Closes the connections of a device and ends its sessions; how many.
    pub fn disconnect_device(&self, device: DeviceId) -> usize {
        evict(&self.shared, |who| who.actor == Actor::Device(device))
    }

    /// Closes the connections made with a credential and ends their sessions; how many.
    pub fn disconnect_credential(&self, credential: CredentialId) -> usize {
        evict(&self.shared, |who| who.credential == Some(credential))
    }

    /// Whether a device is connected, for its page.
    #[must_use]
    pub fn is_connected(&self, device: DeviceId) -> bool {
        let hub = lock(&self.shared.hub);
        hub.slots().any(|(_, slot)| slot.conn.is_some() && slot.who.device() == Some(device))
    }

    /// Accepts nobody any more, lets the log cover what was read, says goodbye and waits.
    pub async fn shutdown(&self) {
        let shared = &self.shared;
        shared.stop.cancel();
        let conns: Vec<_> = lock(&shared.conns).all.values().map(Arc::clone).collect();
        settle(shared).await;
        for conn in &conns {
            conn.close(shared, Reason::ServerShuttingDown, "the server stops");
        }
        shared.tasks.close();
        if tokio::time::timeout(STOP_WAIT, shared.tasks.wait()).await.is_err() {
            lock(&shared.conns).all.values().for_each(|conn| conn.abort());
        }
        // Wills and how the sessions go on.
        settle(shared).await;
        shared.over.cancel();
        shared.background.close();
        shared.background.wait().await;
    }
}

/// Waits until what was appended is answered.
async fn settle(shared: &Shared) {
    let last = shared.appended();
    let mut committed = shared.log.watch();
    let wait = async {
        let _main = committed.wait_for(|committed| *committed >= last).await;
        if let Some(lane) = &shared.urgent {
            let last = lane.log.appended();
            let mut committed = lane.log.watch();
            let _urgent = committed.wait_for(|committed| *committed >= last).await;
        }
    };
    // A log that is closed or stuck answers nothing more.
    let _settled = tokio::time::timeout(STOP_WAIT, wait).await;
    shared.ack_nudge.notify_one();
    tokio::task::yield_now().await;
}

/// Closes sessions whose credential ended, as soon as that is known.
async fn revocations(shared: Arc<Shared>) {
    let news = Arc::new(Notify::new());
    let mut seen = shared.door.generation();
    let tell = Arc::clone(&news);
    shared.door.on_revocation(move || tell.notify_one());
    loop {
        let generation = shared.door.generation();
        match shared.door.revocations_since(seen) {
            Revocations::Each(list) => {
                for revoked in list {
                    evict(&shared, |who| {
                        who.tenant == revoked.tenant
                            && who.actor == revoked.actor
                            && revoked.credential.is_none_or(|c| who.credential == Some(c))
                    });
                }
            }
            Revocations::All => {
                evict(&shared, |who| shared.door.still_valid(who).is_err());
            }
        }
        seen = generation;
        tokio::select! {
            () = news.notified() => {}
            () = shared.over.cancelled() => return,
        }
    }
}

/// Ends the sessions of an identity whose credential ended.
pub(crate) fn evict(shared: &Shared, ends: impl Fn(&Identity) -> bool) -> usize {
    let mut hub = lock(&shared.hub);
    let found: Vec<_> =
        hub.slots().filter(|(_, s)| ends(&s.who.identity)).map(|(id, _)| id).collect();
    let count = found.len();
    for subscriber in found {
        // Closed before the hub is free again: its handle may then be another session's.
        let Some(slot) = hub.remove(subscriber) else { continue };
        if slot.stored {
            sessions::end(shared, &slot.who, None, Some(&sessions::ENDED));
        }
        if let Some(conn) = slot.conn {
            conn.close(shared, Reason::NotAuthorized, "the credential was revoked or has expired");
        }
    }
    shared.counters.sessions.set(hub.sessions());
    shared.counters.subscriptions.set(hub.router.len());
    count
}
