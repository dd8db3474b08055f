//! A server without sockets: two tenants, their people, one venture and one device.
//!
//! *Invariant:* everything in it was decided through the registry, like on a real server.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use api::{App, KeptReading};
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use eventlog::{Batch, Log, OsDisk};
use model::{
    Channel, Clock, CredentialId, DeviceId, Frame, Name, Origin, Principal, Qos, Raw, Retain,
    SystemClock, TenantId, Timestamp, UserId,
};
use registry::Kind;
use registry::content::TenantContent;
use serde::Serialize;
use serde_json::{Value, json};

use crate::server::{Parts, Server};

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
    server: Server,
    pub(crate) app: App,
    pub(crate) log: Log,
    moved: Arc<Moved>,
    /// What devices said, for bills.
    pub(crate) said: Said,
    folder: tempfile::TempDir,
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

impl Site {
    pub(crate) async fn open() -> Self {
        let moved = Arc::new(Moved { system: SystemClock::new(), by_ms: AtomicI64::new(0) });
        Self::open_in(tempfile::tempdir().unwrap(), moved, Said::default()).await
    }

    async fn open_in(folder: tempfile::TempDir, moved: Arc<Moved>, said: Said) -> Self {
        let log_clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let options = eventlog::Options { grow_bytes: 0, ..eventlog::Options::default() };
        let place = folder.path().join("log");
        let log = Log::open(Arc::new(OsDisk), Arc::clone(&log_clock), &place, options).unwrap();
        let clock = Arc::clone(&moved) as Arc<dyn Clock>;
        let parts = Parts { clock, log_clock, log: log.clone(), readings: said.readings() };
        let server = Server::open(folder.path(), parts).await.unwrap();
        let app = server.app.clone();
        Self { server, app, log, moved, said, folder }
    }

    /// Its data folder.
    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// The same folder, opened by the next run of the program.
    pub(crate) async fn restarted(self) -> Self {
        let Self { server, app, log, moved, said, folder } = self;
        app.registry.close().await;
        drop((app, log));
        server.close().unwrap();
        Self::open_in(folder, moved, said).await
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
        let now = self.app.clock.now();
        let ids = (UserId::new(now, random()), CredentialId::new(now, random()));
        self.server.person(tenant, ids, role).await.unwrap()
    }

    pub(crate) async fn put<T: Serialize>(
        &self,
        tenant: TenantId,
        kind: Kind,
        id: &str,
        content: &T,
    ) {
        self.server.put((tenant, kind, id), content).await.unwrap();
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
        let answer = self.server.send(request).await;
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

fn random() -> u128 {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).unwrap();
    u128::from_le_bytes(bytes)
}
