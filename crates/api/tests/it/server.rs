//! A server without sockets over a folder on disk, opened as often as wanted.
//!
//! *Invariant:* registry (SQLite, synchronous = FULL), log, usage ledger, usage events and answers
//! are those of a real server, durable as there; only history keeps nothing.

use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use api::{
    Access, App, Asked, DayKept, DaysAsked, ExportFormat, Exported, Facts, Forgotten, Health,
    History, Kept, Metrics, Mode, Readings, Refusals, ServerAlarms, StateAsked, StateKept, Unkept,
};
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::response::Response;
use eventlog::{Log, OsDisk, Snapshots};
use identity::certificate::Authority;
use identity::{Door, Keyring, Token};
use model::{
    Clock, CredentialId, Decided, DeviceId, Disk, Offset, Origin, TenantId, Timestamp, UserId,
};
use pipeline::{Driver, Relay};
use registry::content::{CredentialContent, CredentialOwner, UserContent};
use registry::{Author, Decision, Kind, Registry};
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// How long a record may take to the folds.
const PATIENCE: Duration = Duration::from_secs(10);
/// Records of one look.
const PAGE: u32 = 100;

/// A history that keeps nothing.
#[derive(Debug)]
struct NothingKept;

impl History for NothingKept {
    fn chart(&self, _: &Asked) -> Result<Kept, Unkept> {
        Err(Unkept::Nothing)
    }

    fn export(
        &self,
        what: &Exported,
        _: ExportFormat,
        out: &mut (dyn Write + Send),
    ) -> Result<u64, Unkept> {
        writeln!(out, "{}", what.of.kind).map_err(|error| Unkept::Failed(error.to_string()))?;
        Ok(0)
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

/// What differs between servers.
pub(crate) struct Parts {
    /// Of records, certificates and the door.
    pub(crate) clock: Arc<dyn Clock>,
    /// Of the folds.
    pub(crate) log_clock: Arc<dyn Clock>,
    pub(crate) log: Log,
    /// What devices said, for bills.
    pub(crate) readings: Readings,
}

/// What a server tells of itself.
fn facts(folder: &Path, readings: Readings, started_at: Timestamp) -> Facts {
    let disk: Arc<dyn Disk> = Arc::new(OsDisk);
    Facts {
        mode: Mode::Run,
        access: Access::Tokens,
        mqtt_host: "127.0.0.1".to_owned(),
        mqtt_port: 1883,
        mqtts_port: Some(8883),
        http_tls: api::HttpTls::Off,
        http_port: 7070,
        started_at,
        history: Arc::new(NothingKept),
        log_retention: Duration::from_secs(30 * 86_400),
        readings,
        answers: api::Answers::kept_in(Arc::clone(&disk), folder),
        usage_ledger: api::UsageLedger::new(Arc::clone(&disk), &folder.join("usage")),
        usage_events: api::UsageEvents::new(disk, &folder.join("usage").join("events")),
        presence: api::Presence(Arc::new(|_| false)),
        metrics: Metrics(Arc::new(String::new)),
        server_alarms: ServerAlarms::none(),
    }
}

pub(crate) struct Server {
    router: Router,
    pub(crate) app: App,
    stop: CancellationToken,
    driver: Option<Driver>,
}

impl Server {
    /// Opens a folder, which must be there.
    pub(crate) async fn open(folder: &Path, parts: Parts) -> Result<Self, Box<dyn Error>> {
        let Parts { clock, log_clock, log, readings } = parts;
        let disk: Arc<dyn Disk> = Arc::new(OsDisk);
        let url = format!("sqlite://{}", folder.join("registry.db").display());
        let registry = Registry::open(&url, Arc::clone(&clock)).await?;
        let door = Arc::new(Door::new(Arc::clone(&clock)));
        let seal = Arc::new(identity::seal::SealKey::generate()?);
        let audience = api::Audience::new(notify::Allowed::default(), Arc::clone(&seal));
        let audience = Arc::new(audience);
        let (told, hears) = (Arc::clone(&door), Arc::clone(&audience));
        let admit = move |decided: &Decided<'_>| {
            api::admit(&told, decided);
            hears.admit(decided);
        };
        remember(&registry, &admit).await?;
        let parts = pipeline::Parts {
            log: log.clone(),
            snapshots: Snapshots::open(disk, &folder.join("snapshots"), "pipeline")?,
            clock: log_clock,
            floor: Arc::new(AtomicU64::new(0)),
            on_decided: Box::new(admit),
            beside: pipeline::Beside::Nothing,
        };
        let (driver, shard) = Driver::start(parts, pipeline::Options::default())?;
        let (relay, task) = Relay::new(registry.clone(), log);
        let stop = CancellationToken::new();
        tokio::spawn(task.run(stop.clone()));
        let root = Authority::root("test root", clock.now())?;
        let app = App {
            shard,
            registry,
            relay,
            door,
            keyring: Arc::new(Keyring::new(root, [], |_, _| Ok(()))),
            seal,
            studies: Arc::default(),
            provisioning: Arc::default(),
            challenges: Arc::default(),
            setup: None,
            refusals: Refusals::new(Arc::clone(&clock)),
            audience,
            phone: Arc::default(),
            facts: Arc::new(facts(folder, readings, clock.now())),
            clock,
        };
        let router = api::router(app.clone());
        Ok(Self { router, app, stop, driver: Some(driver) })
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Response {
        match self.router.clone().oneshot(request).await {
            Ok(answer) => answer,
            Err(never) => match never {},
        }
    }

    /// Decides a record, and waits until the folds have it.
    pub(crate) async fn put<T: Serialize>(
        &self,
        (tenant, kind, id): (TenantId, Kind, &str),
        content: &T,
    ) -> Result<(), Box<dyn Error>> {
        let content = serde_json::to_value(content)?;
        let decision = Decision::put(tenant, kind, id, &content);
        let written = self.app.registry.put(&decision, &Author::new("test")).await?;
        let offset = self.app.relay.durable(written.seq, PATIENCE).await?;
        self.app.shard.applied(offset, PATIENCE).await?;
        Ok(())
    }

    /// Decides a person; gives their token.
    pub(crate) async fn person(
        &self,
        tenant: TenantId,
        (user, credential): (UserId, CredentialId),
        role: &str,
    ) -> Result<String, Box<dyn Error>> {
        let (name, email, notify) = (role.to_owned(), None, None);
        let content = UserContent { name, email, role: role.parse()?, notify };
        self.put((tenant, Kind::User, &user.to_string()), &content).await?;
        let token = Token::generate()?;
        let content = CredentialContent {
            owner: CredentialOwner::Person(user),
            secret_sha256: token.hash().to_string(),
            certificate: None,
            origin: Origin::Real,
            role: None,
            not_before: None,
            expires: None,
            revoked: None,
        };
        self.put((tenant, Kind::Credential, &credential.to_string()), &content).await?;
        Ok(token.reveal().to_owned())
    }

    pub(crate) fn close(mut self) -> Result<(), Box<dyn Error>> {
        self.stop.cancel();
        match self.driver.take() {
            Some(driver) => Ok(driver.stop()?),
            None => Ok(()),
        }
    }
}

/// Tells who may come in, as at every start.
async fn remember(
    registry: &Registry,
    admit: &impl Fn(&Decided<'_>),
) -> Result<(), Box<dyn Error>> {
    for kind in [Kind::Tenant, Kind::User, Kind::Credential] {
        for row in registry.scan(kind, None, PAGE).await? {
            let kind = kind.as_str();
            let (tenant, id, revision) = (row.tenant, row.id.as_str(), row.revision);
            admit(&Decided { tenant, kind, id, revision, content: &row.content });
        }
    }
    Ok(())
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(driver) = self.driver.take() {
            // A test that failed already says why.
            drop(driver.stop());
        }
    }
}
