//! A server without sockets: two tenants, their people, one venture and one device.
//!
//! *Invariant:* everything in it was decided through the registry, like on a real server.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use api::{
    Access, App, Asked, DayKept, DaysAsked, ExportFormat, Exported, Facts, Forgotten, Health,
    History, Kept, KeptReading, Metrics, Mode, Refusals, ServerAlarms, StateAsked, StateKept,
    Unkept,
};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use eventlog::{Batch, Log, OsDisk, Snapshots};
use identity::certificate::Authority;
use identity::{Door, Keyring, Token};
use model::{
    Channel, Clock, CredentialId, DeviceId, Disk, Frame, Name, Offset, Origin, Principal, Qos, Raw,
    Retain, SystemClock, TenantId, Timestamp, UserId,
};
use pipeline::{Driver, Relay};
use registry::content::{CredentialContent, CredentialOwner, TenantContent, UserContent};
use registry::{Author, Decision, Kind, Registry};
use serde::Serialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

pub(crate) const BLUEPRINT: &str = r#"
blueprint = 1
venture = "coolbox"
title = "Coolbox"
[device.box.readings]
temperature = { unit = "°C", min = -90, max = 80, every = "1 min" }
[device.box.settings]
interval = { min = "10 s", max = "1 h", drives = "temperature.every" }
limit = { unit = "°C", min = 2, max = 8, dwell = "10 min" }
[device.box.commands]
locate = { timeout = "30 s" }
[device.box.commands.beep]
rate = "1 per h"
[device.box.commands.beep.args]
times = { min = 1, max = 9 }
for = { unit = "s", min = 1, max = 60 }
[alarm.warm]
title = "too warm"
device = "box"
when = "temperature > 8 °C"
severity = "warning"
notify = "operator"
"#;

pub(crate) struct Site {
    router: Router,
    pub(crate) app: App,
    pub(crate) log: Log,
    moved: Arc<Moved>,
    /// What devices said, for bills.
    pub(crate) said: Said,
    stop: CancellationToken,
    driver: Option<Driver>,
    _folder: tempfile::TempDir,
}

/// The system's clock, moved forward by whoever tests what happens later.
#[derive(Debug)]
struct Moved {
    system: SystemClock,
    by_ms: AtomicI64,
}

impl Clock for Moved {
    fn now(&self) -> Timestamp {
        let by = u64::try_from(self.by_ms.load(Ordering::Relaxed)).unwrap();
        self.system.now() + Duration::from_millis(by)
    }

    fn monotonic(&self) -> Duration {
        self.system.monotonic()
    }
}

/// A server that has just been set up: no reading was kept yet.
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

/// Readings as a history would tell them: the later offset of an event time is in force.
#[derive(Clone, Default)]
pub(crate) struct Said(Arc<Mutex<BTreeMap<ReadingKey, KeptReading>>>);

type ReadingKey = (DeviceId, Name, Timestamp);

impl Said {
    pub(crate) fn say(&self, device: &str, reading: KeptReading) {
        let key = (device.parse().unwrap(), reading.property.clone(), reading.time);
        let mut said = self.0.lock().unwrap();
        let known = said.entry(key).or_insert_with(|| reading.clone());
        if reading.offset > known.offset {
            *known = reading;
        }
    }

    fn readings(&self) -> api::Readings {
        let said = Arc::clone(&self.0);
        api::Readings(Arc::new(move |wanted, tell| {
            for ((device, property, time), reading) in said.lock().unwrap().iter() {
                if *device == wanted.device
                    && wanted.property.as_ref().is_none_or(|named| named == property)
                    && (wanted.from..wanted.to).contains(time)
                {
                    tell(reading.clone());
                }
            }
            Ok(())
        }))
    }
}

/// Status and body of an answer.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }
}

/// What a server of tests tells of itself.
fn facts(folder: &Path, said: &Said, started_at: Timestamp) -> Facts {
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
        readings: said.readings(),
        usage_ledger: api::UsageLedger::new(Arc::new(OsDisk), &folder.join("usage")),
        usage_events: api::UsageEvents::new(Arc::new(OsDisk), &folder.join("events")),
        presence: api::Presence(Arc::new(|_| false)),
        metrics: Metrics(Arc::new(String::new)),
        server_alarms: ServerAlarms::none(),
    }
}

impl Site {
    pub(crate) async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let system: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let moved = Arc::new(Moved { system: SystemClock::new(), by_ms: AtomicI64::new(0) });
        let clock: Arc<dyn Clock> = Arc::clone(&moved) as Arc<dyn Clock>;
        let disk: Arc<dyn Disk> = Arc::new(OsDisk);
        let url = format!("sqlite://{}", folder.path().join("registry.db").display());
        let registry = Registry::open(&url, Arc::clone(&clock)).await.unwrap();
        let options = eventlog::Options { grow_bytes: 0, ..eventlog::Options::default() };
        let log =
            Log::open(Arc::clone(&disk), Arc::clone(&system), &folder.path().join("log"), options)
                .unwrap();
        let door = Arc::new(Door::new(Arc::clone(&clock)));
        let told = Arc::clone(&door);
        let seal = Arc::new(identity::seal::SealKey::generate().unwrap());
        let allowed = notify::Allowed::default();
        let audience = Arc::new(api::Audience::new(allowed, Arc::clone(&seal)));
        let hears = Arc::clone(&audience);
        let parts = pipeline::Parts {
            log: log.clone(),
            snapshots: Snapshots::open(disk, &folder.path().join("snapshots"), "pipeline").unwrap(),
            clock: system,
            floor: Arc::new(AtomicU64::new(0)),
            on_decided: Box::new(move |decided| {
                api::admit(&told, decided);
                hears.admit(decided);
            }),
            beside: pipeline::Beside::Nothing,
        };
        let (driver, shard) = Driver::start(parts, pipeline::Options::default()).unwrap();
        let (relay, task) = Relay::new(registry.clone(), log.clone());
        let stop = CancellationToken::new();
        tokio::spawn(task.run(stop.clone()));
        let said = Said::default();
        let app = App {
            shard,
            registry,
            relay,
            door,
            keyring: Arc::new(Keyring::new(
                Authority::root("test root", clock.now()).unwrap(),
                [],
                |_, _| Ok(()),
            )),
            seal,
            studies: Arc::default(),
            provisioning: Arc::default(),
            challenges: Arc::default(),
            setup: None,
            refusals: Refusals::new(Arc::clone(&clock)),
            audience,
            phone: Arc::default(),
            facts: Arc::new(facts(folder.path(), &said, clock.now())),
            clock,
        };
        let router = api::router(app.clone());
        Self { router, app, log, moved, said, stop, driver: Some(driver), _folder: folder }
    }

    /// With the tenant `acme`; its id and the token of its owner.
    pub(crate) async fn owned() -> (Self, TenantId, String) {
        let site = Self::open().await;
        let tenant = site.tenant("acme").await;
        let owner = site.person(tenant, "owner").await;
        (site, tenant, owner)
    }

    /// Lets time pass for records, certificates and the door; the log keeps the system's clock.
    pub(crate) fn pass(&self, time: Duration) {
        let ms = i64::try_from(time.as_millis()).unwrap();
        self.moved.by_ms.fetch_add(ms, Ordering::Relaxed);
    }

    pub(crate) async fn tenant(&self, name: &str) -> TenantId {
        let tenant = TenantId::new(self.app.clock.now(), random());
        let content = TenantContent { name: name.to_owned(), demo: false };
        self.put(tenant, Kind::Tenant, &tenant.to_string(), &content).await;
        tenant
    }

    /// A user of the tenant; gives their token.
    pub(crate) async fn person(&self, tenant: TenantId, role: &str) -> String {
        let user = UserId::new(self.app.clock.now(), random());
        let content = UserContent {
            name: role.to_owned(),
            email: None,
            role: role.parse().unwrap(),
            notify: None,
        };
        self.put(tenant, Kind::User, &user.to_string(), &content).await;
        let token = Token::generate().unwrap();
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
        let id = CredentialId::new(self.app.clock.now(), random()).to_string();
        self.put(tenant, Kind::Credential, &id, &content).await;
        token.reveal().to_owned()
    }

    pub(crate) async fn put<T: Serialize>(
        &self,
        tenant: TenantId,
        kind: Kind,
        id: &str,
        content: &T,
    ) {
        let content = serde_json::to_value(content).unwrap();
        let decision = Decision::put(tenant, kind, id, &content);
        let written = self.app.registry.put(&decision, &Author::new("test")).await.unwrap();
        let patience = Duration::from_secs(10);
        let offset = self.app.relay.durable(written.seq, patience).await.unwrap();
        self.app.shard.applied(offset, patience).await.unwrap();
    }

    /// Puts the blueprint in force and adds a device; gives its id.
    pub(crate) async fn box_of(&self, owner: &str) -> String {
        let body = json!({ "text": BLUEPRINT });
        let put = self.call("PUT", "/api/v1/ventures/coolbox/blueprint", owner, &body).await;
        assert_eq!(put.status, StatusCode::CREATED, "{}", put.text);
        let body = json!({ "name": "box-0001", "kind": "box" });
        let added = self.call("POST", "/api/v1/devices", owner, &body).await;
        assert_eq!(added.status, StatusCode::CREATED, "{}", added.text);
        added.json()["device"]["id"].as_str().unwrap().to_owned()
    }

    /// What a device says by MQTT; gives when the folds have it.
    pub(crate) async fn says(
        &self,
        (tenant, device): (TenantId, DeviceId),
        topic: &str,
        payload: &str,
    ) {
        let mut batch = Batch::default();
        batch.push(&Frame::Raw(Raw {
            tenant,
            principal: Principal::Device(device),
            device: Some(device),
            origin: Origin::Real,
            channel: Channel::Mqtt,
            qos: Qos::AtLeastOnce,
            retain: Retain::Pass,
            session: 0,
            packet_id: 1,
            topic,
            properties: &[],
            key: "",
            payload: payload.as_bytes(),
        }));
        let offset = self.log.append(&mut batch).unwrap().last;
        self.app.shard.applied(offset, Duration::from_secs(10)).await.unwrap();
    }

    /// Warms the box until its alarm is raised; gives the alarm's id.
    pub(crate) async fn alarm_of(&self, tenant: TenantId, device: &str, owner: &str) -> String {
        let device = device.parse().unwrap();
        self.says((tenant, device), "telemetry", r#"{"temperature":9.5}"#).await;
        let list = self.get("/api/v1/alarms", owner).await.json();
        list["items"][0]["id"].as_str().unwrap_or_else(|| panic!("{list}")).to_owned()
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> Answer {
        self.call("GET", path, token, &Value::Null).await
    }

    pub(crate) async fn call(&self, method: &str, path: &str, token: &str, body: &Value) -> Answer {
        self.request(method, path, token, &body.to_string(), &[]).await
    }

    /// A call that succeeds; gives what it answers.
    pub(crate) async fn done(&self, method: &str, path: &str, token: &str, body: &Value) -> Value {
        let answer = self.call(method, path, token, body).await;
        assert!(answer.status.is_success(), "{method} {path}: {}", answer.text);
        answer.json()
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of a request")]
    pub(crate) async fn request(
        &self,
        method: &str,
        path: &str,
        token: &str,
        body: &str,
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if !token.is_empty() {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if body != "null" {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let status = answer.status();
        // A live stream never ends; its status is all that is asked for here.
        let stream = answer
            .headers()
            .get(header::CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        if stream {
            return Answer { status, text: String::new() };
        }
        let bytes = to_bytes(answer.into_body(), 1 << 24).await.unwrap();
        Answer { status, text: String::from_utf8_lossy(&bytes).into_owned() }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(driver) = self.driver.take() {
            // A test that failed already says why.
            drop(driver.stop());
        }
    }
}

fn random() -> u128 {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).unwrap();
    u128::from_le_bytes(bytes)
}
