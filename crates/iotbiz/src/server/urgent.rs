//! The urgent lane: a small log of its own, and the folds that judge the rules over it.
//!
//! *Invariant:* nothing of the main log is waited for here. The folder `urgent` may be missing, in
//! an old data folder or after a restore: what the lane must know is then taken from the main
//! shard.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use anyhow::Context;
use eventlog::{Log, Snapshots};
use model::{Clock, Disk};
use pipeline::{Beside, Driver, Shard};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::config::Config;

/// Its folder in the data folder.
const FOLDER: &str = "urgent";
/// Bytes its log may have; a device sends at most 512 bytes a second.
const LOG_BYTES_MAX: u64 = 256 << 20;
/// Of one file of its log.
const SEGMENT_BYTES: u64 = 8 << 20;
/// Written ahead; a backup copies them.
const GROW_BYTES: u64 = 256 << 10;
/// Kept in memory for those who follow.
const HOT_BYTES_MAX: usize = 4 << 20;
/// Bytes of its log after which a snapshot is written and what is below may go.
const SNAPSHOT_BYTES: u64 = 4 << 20;
/// How long its log is kept, as long as it is small.
const RETENTION: Duration = Duration::from_secs(86_400);

/// How long the lane may take to know what it is given.
const EQUIP_MAX: Duration = Duration::from_secs(60);
/// After a failure.
const EQUIP_AGAIN: Duration = Duration::from_secs(1);

/// The running lane.
pub(super) struct UrgentLane {
    pub(super) log: Log,
    /// Below which offset nobody needs its log.
    pub(super) floor: Arc<AtomicU64>,
    /// Told of each blueprint that takes effect.
    pub(super) blueprints: Arc<Notify>,
    driver: Driver,
}

impl UrgentLane {
    /// Lets its folds read to the end and write what they are.
    pub(super) fn stop(self) -> anyhow::Result<()> {
        self.driver.stop().context("stop the urgent lane")?;
        self.log.close().context("close the log of the urgent lane")
    }
}

/// Gives the lane the devices that a new blueprint lets say something urgent, until `stop`.
pub(super) async fn keep_equipped(shard: Shard, blueprints: Arc<Notify>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = blueprints.notified() => {}
            () = stop.cancelled() => return,
        }
        if let Err(error) = shard.equip_urgent(EQUIP_MAX).await {
            tracing::warn!(%error, "the urgent lane waits for its devices");
            blueprints.notify_one();
            tokio::time::sleep(EQUIP_AGAIN).await;
        }
    }
}

/// Opens the lane beside the main log.
pub(super) fn open(
    config: &Config,
    (disk, clock): (&Arc<dyn Disk>, &Arc<dyn Clock>),
    main: &Log,
) -> anyhow::Result<(UrgentLane, Shard)> {
    let folder = config.data.join(FOLDER);
    let options = eventlog::Options {
        log_bytes_max: LOG_BYTES_MAX.min(config.log_options().log_bytes_max),
        segment_bytes: SEGMENT_BYTES,
        grow_bytes: GROW_BYTES,
        hot_bytes_max: HOT_BYTES_MAX,
        ..config.log_options()
    };
    let log = Log::open(Arc::clone(disk), Arc::clone(clock), &folder.join("log"), options)
        .context("open the log of the urgent lane")?;
    let snapshots = Snapshots::open(Arc::clone(disk), &folder.join("snapshots"), "urgent")
        .context("open the snapshots of the urgent lane")?;
    // Nothing is trimmed before it is known up to where people were told.
    let floor = Arc::new(AtomicU64::new(0));
    let parts = pipeline::Parts {
        log: log.clone(),
        snapshots,
        clock: Arc::clone(clock),
        floor: Arc::clone(&floor),
        on_decided: Box::new(|_| {}),
        beside: Beside::MainLog(main.clone()),
    };
    let options = pipeline::Options {
        snapshot_bytes: SNAPSHOT_BYTES,
        trim_bytes: LOG_BYTES_MAX / 4,
        retention: RETENTION.min(config.driver_options().retention),
        ..config.driver_options()
    };
    let (driver, shard) = Driver::start(parts, options).context("restore the urgent lane")?;
    Ok((UrgentLane { log, floor, blueprints: Arc::default(), driver }, shard))
}
