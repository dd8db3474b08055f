//! The running server: opens what is kept, wires the parts, listens, and stops in order.
//!
//! *Invariant:* one process holds a data folder, by a lock on a file in it. Stopping is: take
//! nothing more, let the log cover what was read, answer it, write snapshots.

mod alarms;
mod aside;
mod facts;
mod folder;
mod history;
mod https;
mod keys;
mod news;
mod notices;
mod past;
mod precedence;
mod standing;
mod tasks;
mod tenancy;
mod tls;
mod urgent;

use std::fs::File;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context;
use api::{App, Audience, Facts, HttpTls, Mode, PhonePage, Refusals};
use eventlog::{Log, OsDisk, SlowFlush, Snapshots};
use identity::{Door, Keyring, Setup};
use ingress::{Ingress, Tls};
use model::{Clock, Disk, SystemClock};
use pipeline::{Beside, Driver, Relay, RelayTask, Shard};
use registry::Registry;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use history::{Noted, PLACE};
pub(crate) use standing::Standing;

use crate::config::Config;
use crate::exit::{self, Failure};
use crate::formats;

pub(crate) use past::{Backfill, PastClock, Time};

/// The name of the one shard in the log of its history.
pub(crate) const SHARD: &str = "main";
/// How long open requests and streams may take to end when the server stops.
const HTTP_STOP_MAX: Duration = Duration::from_secs(2);

/// Who may come in without a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Nobody: a first run prints a setup token.
    Tokens,
    /// Whoever reaches the loopback address owns the one tenant.
    Loopback,
    /// The same; the tenant is a demo, for ever.
    Demo,
}

impl Trust {
    const fn mode(self) -> Mode {
        match self {
            Self::Demo => Mode::Demo,
            Self::Tokens | Self::Loopback => Mode::Run,
        }
    }
}

/// Where a server listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ports {
    pub(crate) http: SocketAddr,
    /// Whether `http` speaks TLS.
    pub(crate) http_tls: HttpTls,
    pub(crate) mqtt: SocketAddr,
    /// MQTT over TLS.
    pub(crate) mqtts: Option<SocketAddr>,
}

/// A running server.
pub(crate) struct Server {
    pub(crate) ports: Ports,
    /// To be shown to whoever started a server that has no owner yet.
    pub(crate) setup_token: Option<String>,
    ingress: Arc<Ingress>,
    driver: Driver,
    shard: Shard,
    urgent: urgent::UrgentLane,
    history: Arc<history::History>,
    log: Log,
    registry: Registry,
    stop: CancellationToken,
    tasks: TaskTracker,
    http_task: JoinHandle<()>,
    phone: Arc<OnceLock<PhonePage>>,
    _lock: File,
}

/// What the door of devices works with.
fn door_parts(config: &Config, on: &Foundation, tls: Option<Arc<Tls>>) -> ingress::Parts {
    ingress::Parts {
        log: on.log.clone(),
        urgent: Some(on.urgent.log.clone()),
        door: Arc::clone(&on.door),
        clock: Arc::clone(&on.clock),
        disk: Arc::clone(&on.disk),
        snapshots: config.data.join("snapshots"),
        tls,
    }
}

/// What the handlers of the API can reach.
fn app(
    config: &Config,
    on: &Foundation,
    (facts, setup, refusals): (Facts, Option<Setup>, Refusals),
) -> anyhow::Result<App> {
    Ok(App {
        shard: on.shard.clone(),
        registry: on.registry.clone(),
        relay: on.relay.clone(),
        door: Arc::clone(&on.door),
        keyring: Arc::clone(&on.keyring),
        seal: Arc::new(keys::seal(&config.data)?),
        studies: Arc::default(),
        provisioning: Arc::default(),
        challenges: Arc::default(),
        setup: setup.map(Arc::new),
        refusals,
        audience: Arc::clone(&on.audience),
        phone: Arc::default(),
        facts: Arc::new(facts),
        clock: Arc::clone(&on.clock),
    })
}

/// What everything stands on, opened.
struct Foundation {
    clock: Arc<dyn Clock>,
    disk: Arc<dyn Disk>,
    log: Log,
    registry: Registry,
    door: Arc<Door>,
    keyring: Arc<Keyring>,
    driver: Driver,
    shard: Shard,
    urgent: urgent::UrgentLane,
    relay: Relay,
    floor: Arc<AtomicU64>,
    audience: Arc<Audience>,
}

impl Server {
    pub(crate) async fn start(config: &Config, trust: Trust) -> anyhow::Result<Self> {
        Self::start_in(config, trust, &Time::Wall).await
    }

    /// The same, in a time that may lie in the past.
    pub(crate) async fn start_in(
        config: &Config,
        trust: Trust,
        time: &Time,
    ) -> anyhow::Result<Self> {
        refuse_open_console(config, trust)?;
        let lock = folder::lock(&config.data)?;
        let (on, relay_task) = open(config, time).await?;
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        tasks.spawn(relay_task.run(stop.clone()));
        let (access, setup) = tenancy::access(&on, trust).await?;
        let (setup, setup_token) = setup.unzip();
        let certificates = certificates(config, &on.keyring, &on.clock)?;
        let tls = certificates.as_ref().map(|certificates| Arc::clone(&certificates.tls));
        let https = tls.as_ref().filter(|_| config.tls.https).map(speaking_http);
        let history = Arc::new(follow(config, &on)?);
        let disk = Arc::clone(&on.disk);
        let (ingress, mqtt, mqtts) = open_door(config, door_parts(config, &on, tls)).await?;
        let (listener, http) = bind(config.http.listen).await?;
        let notices = notices::open(config, &on, (trust, http), (&tasks, &stop))?;
        let notices = Arc::new(notices);
        let http_tls = if https.is_some() { HttpTls::On } else { HttpTls::Off };
        warn_of_plain(config);
        let ports = Ports { http, http_tls, mqtt, mqtts };
        let alarms = alarms::Alarms::open(&config.data);
        let watched = alarms::Watched::new(&on, &history, &notices);
        tasks.spawn(alarms.clone().watch(watched, stop.clone()));
        let parts = facts::Seen {
            alarms,
            ingress: Arc::clone(&ingress),
            history: Arc::clone(&history),
            notices: Arc::clone(&notices),
            log: on.log.clone(),
            disk,
        };
        let refusals = Refusals::new(Arc::clone(&on.clock));
        let seen = (ports, SystemClock::new().now());
        let facts = facts::facts(config, (trust, access), seen, parts);
        let app = app(config, &on, (facts, setup, refusals.clone()))?;
        tasks.spawn(tasks::forward_refusals(ingress.refusals(), refusals, stop.clone()));
        let needs = (Arc::clone(&ingress), Arc::clone(&history), notices);
        let blueprints = Arc::clone(&on.urgent.blueprints);
        tasks.spawn(urgent::keep_equipped(on.shard.clone(), blueprints, stop.clone()));
        let floors = (on.floor, Arc::clone(&on.urgent.floor));
        tasks.spawn(tasks::keep_floor(needs, floors, stop.clone()));
        if let Some(certificates) = certificates {
            certificates.tend(https.clone(), (on.door, on.keyring), (&tasks, &stop));
        }
        let phone = Arc::clone(&app.phone);
        tasks.spawn(tasks::settle_claims(app.clone(), stop.clone()));
        let router = api::router(app).merge(ingress.http());
        let http_task = serve((listener, https), router, &config.http.proxies, stop.clone());
        tracing::info!(%http, %mqtt, offset = %on.log.committed(), "server started");
        Ok(Self {
            ports,
            setup_token,
            ingress,
            driver: on.driver,
            shard: on.shard,
            urgent: on.urgent,
            history,
            log: on.log,
            registry: on.registry,
            stop,
            tasks,
            http_task,
            phone,
            _lock: lock,
        })
    }

    /// What a simulated past is written with.
    pub(crate) fn backfill(&self) -> Backfill {
        Backfill {
            log: self.log.clone(),
            urgent: self.urgent.log.clone(),
            shard: self.shard.clone(),
            history: Arc::clone(&self.history),
        }
    }

    /// What another listener is opened with.
    pub(crate) fn annex(&self) -> Annex {
        Annex {
            ingest: self.ingress.http(),
            phone: Arc::clone(&self.phone),
            tasks: self.tasks.clone(),
            stop: self.stop.clone(),
        }
    }

    /// Serves until `stop` is ready or the disk refuses for good, then stops in order.
    pub(crate) async fn serve_until(self, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
        let (mut fatal, mut urgent) = (self.log.on_fatal(), self.urgent.log.on_fatal());
        tokio::select! {
            () = stop => {}
            Ok(ended) = async {
                tokio::select! {
                    ended = fatal.wait_for(Option::is_some) => ended,
                    ended = urgent.wait_for(Option::is_some) => ended,
                }
            } => {
                let why = ended.as_ref().map(|fatal| fatal.message.clone()).unwrap_or_default();
                // A failed flush must never be retried in the same process (fsyncgate): the
                // supervisor starts another, which reads what the disk really has.
                return Err(Failure::new(exit::FAILED, "the log cannot be written")
                    .why(why)
                    .fix("look at the disk, then start again; nothing that was acknowledged is lost")
                    .into());
            }
        }
        self.shutdown().await
    }

    async fn shutdown(self) -> anyhow::Result<()> {
        tracing::info!("server stops");
        self.stop.cancel();
        self.ingress.shutdown().await;
        let abort = self.http_task.abort_handle();
        if tokio::time::timeout(HTTP_STOP_MAX, self.http_task).await.is_err() {
            // A browser that keeps its stream open does not keep the server.
            abort.abort();
        }
        self.tasks.close();
        self.tasks.wait().await;
        let (driver, history, urgent) = (self.driver, self.history, self.urgent);
        let stopped = tokio::task::spawn_blocking(move || {
            history.stop();
            // First the urgent lane, which hands what its rules want to the main log.
            let urgent = urgent.stop();
            driver.stop().map_err(anyhow::Error::new).and(urgent)
        });
        stopped.await.context("stop the folds")?.context("stop the folds")?;
        self.registry.close().await;
        self.log.close().context("close the log")?;
        tracing::info!("server stopped");
        Ok(())
    }
}

/// A listener beside the others, which ends with the server.
pub(crate) struct Annex {
    /// Routes of the device door.
    pub(crate) ingest: axum::Router,
    /// What the console tells of it.
    pub(crate) phone: Arc<OnceLock<PhonePage>>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Annex {
    pub(crate) fn serve(&self, listener: TcpListener, router: axum::Router) {
        let open = (listener, None);
        self.tasks.spawn(serve(open, router, &[], self.stop.clone()));
    }
}

/// A console that asks for no token must not be reached from elsewhere.
fn refuse_open_console(config: &Config, trust: Trust) -> Result<(), Failure> {
    if trust == Trust::Tokens || config.http.listen.ip().is_loopback() {
        return Ok(());
    }
    let what = format!("{} is not a loopback address", config.http.listen);
    Err(Failure::new(exit::USAGE, what)
        .why("without tokens whoever reaches the console owns everything")
        .fix("listen on 127.0.0.1, or start without --trust-loopback"))
}

/// History, from where its snapshot ends.
fn follow(config: &Config, on: &Foundation) -> anyhow::Result<history::History> {
    let parts = history::Parts {
        log: on.log.clone(),
        disk: Arc::clone(&on.disk),
        clock: Arc::clone(&on.clock),
        keep: config.history_kept(),
        place: history::Place::of(&config.data, &config.history)?,
    };
    history::History::start(&config.data, parts)
}

/// What the console's listener shows.
fn speaking_http(tls: &Arc<Tls>) -> Arc<Tls> {
    Arc::new(tls.speaking(&["http/1.1"]))
}

/// What the listeners with TLS show, if there are any.
fn certificates(
    config: &Config,
    keyring: &Arc<Keyring>,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Option<tls::Certificates>> {
    if !config.tls.https && config.tls.mqtts.is_none() {
        return Ok(None);
    }
    let listeners: Vec<_> = std::iter::once(config.http.listen).chain(config.tls.mqtts).collect();
    tls::Certificates::new(config, keyring, clock, &listeners).map(Some)
}

async fn open(config: &Config, time: &Time) -> anyhow::Result<(Foundation, RelayTask)> {
    formats::admit(&config.data)?;
    let clock = time.clock();
    let disk: Arc<dyn Disk> = if config.flush_delay.is_zero() {
        Arc::new(OsDisk)
    } else {
        tracing::warn!(delay = ?config.flush_delay, "every flush is slowed down, for measuring");
        Arc::new(SlowFlush { disk: OsDisk, delay: config.flush_delay })
    };
    let database = config.data.join("registry.db");
    let url = format!("sqlite://{}", database.display());
    let registry = Registry::open(&url, Arc::clone(&clock)).await.context("open the records")?;
    let log = Log::open(
        Arc::clone(&disk),
        Arc::clone(&clock),
        &config.data.join("log"),
        config.log_options(),
    )
    .context("open the log")?;
    time.begin(log.newest_time());
    if let Some(cut) = &log.recovery().cut {
        tracing::warn!(?cut, "a torn end of the log was cut: it was never acknowledged");
    }
    let snapshots = Snapshots::open(Arc::clone(&disk), &config.data.join("snapshots"), "pipeline")
        .context("open the snapshots")?;
    let (urgent, lane) = urgent::open(config, (&disk, &clock), &log)?;
    let door = Arc::new(Door::new(Arc::clone(&clock)));
    // Nothing is trimmed before the door has said what it needs.
    let floor = Arc::new(AtomicU64::new(0));
    let opened = Arc::clone(&door);
    let audience = Arc::new(Audience::new(config.notify.allowed()?));
    let hears = Arc::clone(&audience);
    let blueprints = Arc::clone(&urgent.blueprints);
    let parts = pipeline::Parts {
        log: log.clone(),
        snapshots,
        clock: Arc::clone(&clock),
        floor: Arc::clone(&floor),
        on_decided: Box::new(move |decided| {
            api::admit(&opened, decided);
            hears.admit(decided);
            if decided.kind == "blueprint" {
                blueprints.notify_one();
            }
        }),
        beside: Beside::UrgentLane(lane),
    };
    let (driver, shard) =
        Driver::start(parts, config.driver_options()).context("restore the folds")?;
    let (relay, relay_task) = Relay::new(registry.clone(), log.clone());
    let relay_task = relay_task.beside(urgent.log.clone());
    // The door must know its credentials before it lets anybody in.
    let patience = Duration::from_secs(600);
    shard.applied(log.committed(), patience).await.context("apply what the log holds")?;
    shard.equip_urgent(patience).await.context("give the urgent lane its rules")?;
    let keyring = Arc::new(keys::open(&config.data, &*clock).context("open the authorities")?);
    let foundation = Foundation {
        clock,
        disk,
        log,
        registry,
        door,
        keyring,
        driver,
        shard,
        urgent,
        relay,
        floor,
        audience,
    };
    Ok((foundation, relay_task))
}

async fn open_door(
    config: &Config,
    parts: ingress::Parts,
) -> anyhow::Result<(Arc<Ingress>, SocketAddr, Option<SocketAddr>)> {
    let listen = config.mqtt.listen;
    let door = ingress::Config {
        mqtt: vec![listen],
        mqtts: config.tls.mqtts.into_iter().collect(),
        origins: config.http.origins.clone(),
        limits: config.door_limits(),
    };
    match Ingress::start(door, parts).await {
        Ok(ingress) => {
            let mqtt = ingress.addresses().first().copied().unwrap_or(listen);
            let mqtts = ingress.addresses().get(1).copied();
            Ok((Arc::new(ingress), mqtt, mqtts))
        }
        Err(ingress::Error::Listen { source, address }) => {
            Err(Failure::new(exit::CONFLICT, format!("cannot listen on {address} for MQTT"))
                .why(source.to_string())
                .fix("name another address: --mqtt 127.0.0.1:0 picks a free port")
                .into())
        }
        Err(error) => Err(anyhow::Error::new(error).context("open the device door")),
    }
}

fn serve(
    (listener, tls): (TcpListener, Option<Arc<Tls>>),
    router: axum::Router,
    proxies: &[IpAddr],
    stop: CancellationToken,
) -> JoinHandle<()> {
    let proxies: Arc<[IpAddr]> = proxies.into();
    let router = router.layer(axum::middleware::from_fn_with_state(proxies, https::introduce));
    tokio::spawn(https::serve(listener, tls, router, stop))
}

/// Says loudly what goes over a network in the clear.
fn warn_of_plain(config: &Config) {
    if !config.mqtt.listen.ip().is_loopback() {
        tracing::warn!(
            address = %config.mqtt.listen,
            "MQTT without TLS is open to the network: tokens and readings can be read on the way; \
             use --mqtts and keep the plain port on 127.0.0.1"
        );
    }
    if !config.http.listen.ip().is_loopback() && !config.tls.https && config.http.proxies.is_empty()
    {
        tracing::warn!(
            address = %config.http.listen,
            "console and API without TLS are open to the network; use --https, or a proxy and \
             [http] proxies"
        );
    }
}

async fn bind(address: SocketAddr) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address).await.map_err(|error| {
        Failure::new(exit::CONFLICT, format!("cannot listen on {address}"))
            .why(error.to_string())
            .fix("name another address: --listen 127.0.0.1:0 picks a free port")
    })?;
    let local = listener.local_addr().context("learn the address of the listener")?;
    Ok((listener, local))
}

/// What a snippet on the connect page names as the server.
fn public_host(config: &Config, mqtt: SocketAddr) -> String {
    if config.mqtt.host.is_empty() { mqtt.ip().to_string() } else { config.mqtt.host.clone() }
}
