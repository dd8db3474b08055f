//! One installation on a simulated disk: a log, its snapshots, a driver, a few frames.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use eventlog::{Batch, Log, Snapshots};
use faultsim::{SimClock, SimDisk};
use model::{
    Channel, Decided, DeviceId, Frame, Offset, Origin, Principal, Qos, Raw, Retain, TenantId,
    Timestamp,
};
use pipeline::{Driver, Error, Options, Parts, Picture, Shard};

pub(crate) const TENANT: TenantId = TenantId::from_u128(1);
pub(crate) const LONG: Duration = Duration::from_secs(20);
pub(crate) const BLUEPRINT: &str = r#"blueprint = 1
venture = "coolbox"
title = "Coolbox"
[device.box.readings]
temperature = { unit = "°C", min = -90, max = 80, every = "1 min" }
[device.box.settings]
interval = { min = "10 s", max = "1 h" }
"#;

pub(crate) fn device(n: u128) -> DeviceId {
    DeviceId::from_u128(n)
}

pub(crate) fn device_record(n: u128) -> serde_json::Value {
    let name = format!("box-{n}");
    serde_json::json!({ "name": name, "venture": "coolbox", "kind": "box", "origin": "real" })
}

pub(crate) fn raw<'a>(from: DeviceId, topic: &'a str, payload: &'a str) -> Frame<'a> {
    Frame::Raw(Raw {
        tenant: TENANT,
        principal: Principal::Device(from),
        device: Some(from),
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
    })
}

pub(crate) struct Site {
    pub(crate) disk: SimDisk,
    pub(crate) clock: SimClock,
}

impl Site {
    pub(crate) fn new(seed: u64) -> Self {
        let clock = SimClock::new(Timestamp::from_millis(1_795_608_000_000));
        Self { disk: SimDisk::new(seed), clock }
    }

    pub(crate) fn log(&self) -> Result<Log, eventlog::Error> {
        self.log_at("/log")
    }

    pub(crate) fn log_at(&self, folder: &str) -> Result<Log, eventlog::Error> {
        let options = eventlog::Options {
            segment_bytes: 8_000,
            grow_bytes: 0,
            hot_bytes_max: 4_000,
            salt: Some(3),
            ..eventlog::Options::default()
        };
        let disk = Arc::new(self.disk.clone());
        Log::open(disk, Arc::new(self.clock.clone()), Path::new(folder), options)
    }

    pub(crate) fn snapshots(&self) -> Result<Snapshots, eventlog::Error> {
        Snapshots::open(Arc::new(self.disk.clone()), Path::new("/snapshots"), "shard")
    }

    pub(crate) fn parts(&self, log: &Log) -> Result<Parts, Error> {
        Ok(Parts {
            log: log.clone(),
            snapshots: self.snapshots()?,
            clock: Arc::new(self.clock.clone()),
            floor: Arc::new(AtomicU64::new(u64::MAX)),
            on_decided: Box::new(|_| {}),
            beside: pipeline::Beside::Nothing,
        })
    }

    pub(crate) fn start(&self, log: &Log, options: Options) -> Result<(Driver, Shard), Error> {
        Driver::start(self.parts(log)?, options)
    }
}

/// Appends one frame without waiting for the disk.
pub(crate) fn append(log: &Log, frame: &Frame<'_>) -> Result<Offset, eventlog::Error> {
    let mut batch = Batch::default();
    batch.push(frame);
    Ok(log.append(&mut batch)?.last)
}

pub(crate) fn decide(log: &Log, kind: &str, id: &str, revision: u64, content: &str) -> Offset {
    let decided = Decided { tenant: TENANT, kind, id, revision, content };
    append(log, &Frame::Decided(decided)).unwrap()
}

/// Decides a blueprint and device 7.
pub(crate) fn prepare(log: &Log) {
    decide_blueprint(log, 1, BLUEPRINT);
    decide(log, "device", &device(7).to_string(), 1, &device_record(7).to_string());
}

pub(crate) fn decide_blueprint(log: &Log, revision: u64, text: &str) -> Offset {
    let content = serde_json::json!({ "venture": "coolbox", "text": text }).to_string();
    decide(log, "blueprint", "coolbox", revision, &content)
}

/// The picture once `offset` is in it.
pub(crate) fn picture(shard: &Shard, offset: Offset) -> Arc<Picture> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(shard.applied(offset, LONG)).unwrap();
    shard.picture()
}
