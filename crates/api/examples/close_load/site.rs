//! A server without sockets over a folder on disk, opened again by each child.
//!
//! *Invariant:* registry (SQLite, synchronous = FULL), log, usage ledger and usage events are those
//! of a real server, durable as there; only history is empty, so all usage is events.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use api::{
    Access, App, Asked, DayKept, DaysAsked, ExportFormat, Exported, Facts, Forgotten, Health,
    History, Kept, Metrics, Mode, Refusals, ServerAlarms, StateAsked, StateKept, Unkept,
};
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{Request, header};
use eventlog::{Log, OsDisk, Snapshots};
use identity::certificate::Authority;
use identity::{Door, Keyring};
use model::{Clock, Decided, DeviceId, Disk, Offset, SystemClock};
use pipeline::{Driver, Relay};
use registry::{Kind, Registry};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::Outcome;

/// Bytes of the longest answer.
const ANSWER_BYTES_MAX: usize = 1 << 28;

/// A history that keeps nothing.
#[derive(Debug)]
struct NothingKept;

impl History for NothingKept {
    fn chart(&self, _: &Asked) -> Result<Kept, Unkept> {
        Err(Unkept::Nothing)
    }

    fn export(
        &self,
        _: &Exported,
        _: ExportFormat,
        _: &mut (dyn Write + Send),
    ) -> Result<u64, Unkept> {
        Err(Unkept::Nothing)
    }

    fn days(&self, _: &DaysAsked) -> Result<Vec<DayKept>, Unkept> {
        Err(Unkept::Nothing)
    }

    fn state_at(&self, _: &StateAsked) -> Result<StateKept, Unkept> {
        Err(Unkept::Nothing)
    }

    fn replay(&self, _: &api::Recording, _: &mut api::Take<'_>) -> Result<(), Unkept> {
        Err(Unkept::Nothing)
    }

    fn forgotten(&self, _: DeviceId, _: Offset, _: Duration) -> Option<Forgotten> {
        Some(Forgotten::default())
    }

    fn health(&self) -> Health {
        Health::default()
    }
}

pub(crate) struct Site {
    router: Router,
    pub(crate) app: App,
    stop: CancellationToken,
    driver: Option<Driver>,
}

fn facts(folder: &Path, clock: &dyn Clock) -> Facts {
    let disk: Arc<dyn Disk> = Arc::new(OsDisk);
    Facts {
        mode: Mode::Run,
        access: Access::Tokens,
        mqtt_host: "127.0.0.1".to_owned(),
        mqtt_port: 1883,
        mqtts_port: None,
        http_tls: api::HttpTls::Off,
        http_port: 7070,
        started_at: clock.now(),
        history: Arc::new(NothingKept),
        log_retention: Duration::from_secs(30 * 86_400),
        readings: api::Readings(Arc::new(|_, _| Ok(()))),
        usage_ledger: api::UsageLedger::new(Arc::clone(&disk), &folder.join("usage")),
        usage_events: api::UsageEvents::new(disk, &folder.join("usage").join("events")),
        presence: api::Presence(Arc::new(|_| false)),
        metrics: Metrics(Arc::new(String::new)),
        server_alarms: ServerAlarms::none(),
    }
}

impl Site {
    pub(crate) async fn open(folder: &Path) -> Outcome<Self> {
        std::fs::create_dir_all(folder)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let disk: Arc<dyn Disk> = Arc::new(OsDisk);
        let url = format!("sqlite://{}", folder.join("registry.db").display());
        let registry = Registry::open(&url, Arc::clone(&clock)).await?;
        let options = eventlog::Options::default();
        let log = Log::open(Arc::clone(&disk), Arc::clone(&clock), &folder.join("log"), options)?;
        let door = Arc::new(Door::new(Arc::clone(&clock)));
        for kind in [Kind::Tenant, Kind::User, Kind::Credential] {
            for row in registry.scan(kind, None, 100).await? {
                let kind = kind.as_str();
                let (tenant, id, revision) = (row.tenant, row.id.as_str(), row.revision);
                let decided = Decided { tenant, kind, id, revision, content: &row.content };
                api::admit(&door, &decided);
            }
        }
        let told = Arc::clone(&door);
        let parts = pipeline::Parts {
            log: log.clone(),
            snapshots: Snapshots::open(disk, &folder.join("snapshots"), "pipeline")?,
            clock: Arc::clone(&clock),
            floor: Arc::new(AtomicU64::new(0)),
            on_decided: Box::new(move |decided| api::admit(&told, decided)),
            beside: pipeline::Beside::Nothing,
        };
        let (driver, shard) = Driver::start(parts, pipeline::Options::default())?;
        let (relay, task) = Relay::new(registry.clone(), log);
        let stop = CancellationToken::new();
        tokio::spawn(task.run(stop.clone()));
        let seal = Arc::new(identity::seal::SealKey::generate()?);
        let app = App {
            shard,
            registry,
            relay,
            door,
            keyring: Arc::new(Keyring::new(Authority::root("load", clock.now())?, [], |_, _| {
                Ok(())
            })),
            seal: Arc::clone(&seal),
            studies: Arc::default(),
            provisioning: Arc::default(),
            challenges: Arc::default(),
            setup: None,
            refusals: Refusals::new(Arc::clone(&clock)),
            audience: Arc::new(api::Audience::new(notify::Allowed::default(), seal)),
            phone: Arc::default(),
            facts: Arc::new(facts(folder, clock.as_ref())),
            clock,
        };
        Ok(Self { router: api::router(app.clone()), app, stop, driver: Some(driver) })
    }

    pub(crate) async fn bytes(
        &self,
        (method, path): (&str, &str),
        token: &str,
        body: String,
    ) -> Outcome<Bytes> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body))?;
        let answer = self.router.clone().oneshot(request).await?;
        let status = answer.status();
        let bytes = to_bytes(answer.into_body(), ANSWER_BYTES_MAX).await?;
        if status.is_success() {
            return Ok(bytes);
        }
        Err(format!("{method} {path}: {status} {}", String::from_utf8_lossy(&bytes)).into())
    }

    pub(crate) async fn call(
        &self,
        request: (&str, &str),
        token: &str,
        body: &Value,
    ) -> Outcome<Value> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        Ok(serde_json::from_slice(&self.bytes(request, token, body).await?)?)
    }

    pub(crate) fn close(mut self) -> Outcome<()> {
        self.stop.cancel();
        if let Some(driver) = self.driver.take() {
            driver.stop()?;
        }
        Ok(())
    }
}
