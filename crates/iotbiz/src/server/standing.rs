//! How far a started server is, for a drill that compares it with a backup.
//!
//! *Invariant:* asked only after everything in the outbox is in the log and applied, so the figures
//! are of one state.

use std::time::Duration;

use anyhow::Context;
use model::{Clock, Offset, SystemClock};
use registry::Kind;

use super::Server;

/// How long a started server may take until it has caught up.
const CATCH_UP_MAX: Duration = Duration::from_secs(600);
/// How long to wait for the next frame until the outbox is asked again.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Tenants whose twins are counted.
const TENANTS_MAX: u32 = 10_000;

/// What a server holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) committed: Offset,
    pub(crate) twins: u64,
}

impl Server {
    /// Waits until all decisions are applied, and counts.
    pub(crate) async fn standing(&self) -> anyhow::Result<Standing> {
        let clock = SystemClock::new();
        let until = clock.monotonic() + CATCH_UP_MAX;
        let last = self.registry.last_seq().await.context("read the records")?;
        let mut committed = self.log.watch();
        while self.registry.relayed().await.context("read the records")? < last {
            anyhow::ensure!(
                clock.monotonic() < until,
                "decisions are not in the log after {} s",
                CATCH_UP_MAX.as_secs()
            );
            // A timeout is as good as a change: the outbox is asked either way.
            drop(tokio::time::timeout(LOOK_EVERY, committed.changed()).await);
        }
        let offset = self.log.committed();
        self.shard.applied(offset, CATCH_UP_MAX).await.context("apply the log")?;
        let picture = self.shard.picture();
        let tenants = self.registry.scan(Kind::Tenant, None, TENANTS_MAX).await;
        let tenants = tenants.context("read the tenants")?;
        let twins: usize =
            tenants.iter().map(|row| picture.twins.devices(row.tenant).count()).sum();
        Ok(Standing { committed: offset, twins: u64::try_from(twins).unwrap_or(u64::MAX) })
    }
}
