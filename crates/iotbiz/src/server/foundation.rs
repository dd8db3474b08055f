//! What everything stands on: disk, clock, records, log and folds, opened in this order.
//!
//! *Invariant:* the folds have applied all that the log holds, and the door knows its credentials,
//! before anybody is let in.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use anyhow::Context;
use api::Audience;
use eventlog::{Log, OsDisk, SlowFlush, Snapshots};
use identity::seal::SealKey;
use identity::{Door, Keyring};
use model::{Clock, Disk};
use pipeline::{Beside, Driver, Relay, RelayTask, Shard};
use registry::Registry;

use super::past::Time;
use super::{keys, urgent};
use crate::config::Config;
use crate::formats;

/// What everything stands on, opened.
pub(super) struct Foundation {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) log: Log,
    pub(super) registry: Registry,
    pub(super) door: Arc<Door>,
    pub(super) keyring: Arc<Keyring>,
    pub(super) seal: Arc<SealKey>,
    pub(super) driver: Driver,
    pub(super) shard: Shard,
    pub(super) urgent: urgent::UrgentLane,
    pub(super) relay: Relay,
    pub(super) floor: Arc<AtomicU64>,
    pub(super) audience: Arc<Audience>,
}

fn disk(config: &Config) -> Arc<dyn Disk> {
    if config.flush_delay.is_zero() {
        return Arc::new(OsDisk);
    }
    tracing::warn!(delay = ?config.flush_delay, "every flush is slowed down, for measuring");
    Arc::new(SlowFlush { disk: OsDisk, delay: config.flush_delay })
}

pub(super) async fn open(config: &Config, time: &Time) -> anyhow::Result<(Foundation, RelayTask)> {
    formats::admit(&config.data)?;
    let clock = time.clock();
    let disk = disk(config);
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
    let keyring = Arc::new(keys::open(&config.data, &*clock).context("open the authorities")?);
    let seal = Arc::new(keys::seal(&config.data)?);
    let audience = Arc::new(Audience::new(config.notify.allowed()?, Arc::clone(&seal)));
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
    let foundation = Foundation {
        clock,
        disk,
        log,
        registry,
        door,
        keyring,
        seal,
        driver,
        shard,
        urgent,
        relay,
        floor,
        audience,
    };
    Ok((foundation, relay_task))
}
