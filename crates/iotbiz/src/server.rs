//! The running server: opens what is kept, wires the parts, listens, and stops in order.
//!
//! *Invariant:* one process holds a data folder, by a lock on a file in it. Stopping is: take
//! nothing more, let the log cover what was read, answer it, write snapshots.

mod alarms;
mod aside;
mod facts;
mod folder;
mod foundation;
mod history;
mod https;
mod keys;
mod listeners;
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
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context;
use api::{App, Facts, HttpTls, Mode, PhonePage, Refusals};
use eventlog::Log;
use identity::Setup;
use ingress::{Ingress, Tls};
use model::{Clock, SystemClock};
use pipeline::{Driver, Shard};
use registry::Registry;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::foundation::Foundation;
pub(crate) use self::history::{Noted, PLACE};
pub(crate) use self::past::{Backfill, PastClock, Time};
pub(crate) use self::standing::Standing;
use crate::config::Config;
use crate::exit::{self, Failure};

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
fn app(on: &Foundation, (facts, setup, refusals): (Facts, Option<Setup>, Refusals)) -> App {
    App {
        shard: on.shard.clone(),
        registry: on.registry.clone(),
        relay: on.relay.clone(),
        door: Arc::clone(&on.door),
        keyring: Arc::clone(&on.keyring),
        seal: Arc::clone(&on.seal),
        studies: Arc::default(),
        provisioning: Arc::default(),
        challenges: Arc::default(),
        setup: setup.map(Arc::new),
        refusals,
        audience: Arc::clone(&on.audience),
        phone: Arc::default(),
        facts: Arc::new(facts),
        clock: Arc::clone(&on.clock),
    }
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
        listeners::refuse_open_console(config, trust)?;
        let lock = folder::lock(&config.data)?;
        let (on, relay_task) = foundation::open(config, time).await?;
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        tasks.spawn(relay_task.run(stop.clone()));
        let (access, setup) = tenancy::access(&on, trust).await?;
        let (setup, setup_token) = setup.unzip();
        let certificates = listeners::certificates(config, &on.keyring, &on.clock)?;
        let tls = certificates.as_ref().map(|certificates| Arc::clone(&certificates.tls));
        let https = tls.as_ref().filter(|_| config.tls.https).map(listeners::speaking_http);
        let history = Arc::new(follow(config, &on)?);
        let disk = Arc::clone(&on.disk);
        let (ingress, mqtt, mqtts) =
            listeners::open_door(config, door_parts(config, &on, tls)).await?;
        let (listener, http) = listeners::bind(config.http.listen).await?;
        let notices = notices::open(config, &on, (trust, http), (&tasks, &stop))?;
        let notices = Arc::new(notices);
        let http_tls = if https.is_some() { HttpTls::On } else { HttpTls::Off };
        listeners::warn_of_plain(config);
        let ports = Ports { http, http_tls, mqtt, mqtts };
        let alarms = alarms::Alarms::open(&config.data);
        let watched = alarms::Watched::new(&on, &history, &notices);
        tasks.spawn(alarms.clone().watch(watched, stop.clone()));
        let parts = facts::Seen {
            alarms,
            clock: Arc::clone(&on.clock),
            ingress: Arc::clone(&ingress),
            history: Arc::clone(&history),
            notices: Arc::clone(&notices),
            log: on.log.clone(),
            disk,
        };
        let refusals = Refusals::new(Arc::clone(&on.clock));
        let seen = (ports, SystemClock::new().now());
        let facts = facts::facts(config, (trust, access), seen, parts);
        let app = app(&on, (facts, setup, refusals.clone()));
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
        let open = (listener, https);
        let http_task = listeners::serve(open, router, &config.http.proxies, stop.clone());
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
        self.tasks.spawn(listeners::serve(open, router, &[], self.stop.clone()));
    }
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
