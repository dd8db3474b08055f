//! From the registry's outbox to the log: every decision becomes a `Decided` frame, in order.
//!
//! *Invariant:* a row is marked as relayed only after its frame is durable; a crash between the
//! two appends it again, and the folds ignore a revision that is not newer.

use std::sync::Arc;
use std::time::Duration;

use eventlog::{Batch, Log};
use model::{Frame, Offset};
use registry::Registry;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::driver::is_definition;
use crate::error::Error;

/// Rows relayed in one batch.
const ROWS_MAX: u32 = 1_000;
/// How often the outbox is looked at when nobody said that there is something.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Pause after an error.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// Relays decisions; cheap to clone.
#[derive(Debug, Clone)]
pub struct Relay {
    wake: Arc<Notify>,
    relayed: watch::Receiver<(u64, Offset)>,
}

/// The task's half.
#[derive(Debug)]
pub struct RelayTask {
    registry: Registry,
    log: Log,
    /// The log of the urgent lane, which needs definitions and nothing else.
    urgent: Option<Log>,
    wake: Arc<Notify>,
    relayed: watch::Sender<(u64, Offset)>,
}

impl Relay {
    /// A relay and the task to be run for it.
    #[must_use]
    pub fn new(registry: Registry, log: Log) -> (Self, RelayTask) {
        let wake = Arc::new(Notify::new());
        let (sender, relayed) = watch::channel((0, Offset(0)));
        let relay = Self { wake: Arc::clone(&wake), relayed };
        (relay, RelayTask { registry, log, urgent: None, wake, relayed: sender })
    }

    /// Waits until the outbox row `seq` is durable in the log and returns an offset at or after
    /// its frame.
    ///
    /// # Errors
    /// It is not after `patience`; it will be relayed later all the same.
    pub async fn durable(&self, seq: u64, patience: Duration) -> Result<Offset, Error> {
        self.wake.notify_one();
        let mut relayed = self.relayed.clone();
        let reached = relayed.wait_for(|(done, _)| *done >= seq);
        match tokio::time::timeout(patience, reached).await {
            Ok(Ok(done)) => Ok(done.1),
            Ok(Err(_)) | Err(_) => {
                Err(Error::NotApplied { offset: Offset(0), waited_ms: patience.as_millis() })
            }
        }
    }
}

impl RelayTask {
    /// Also appends definitions to the log of the urgent lane.
    #[must_use]
    pub fn beside(self, urgent: Log) -> Self {
        Self { urgent: Some(urgent), ..self }
    }

    /// Runs until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        loop {
            let pause = match self.relay().await {
                Ok(0) => LOOK_EVERY,
                Ok(_) => Duration::ZERO,
                Err(error) => {
                    warn!(error = &error as &dyn std::error::Error, "relay waits");
                    RETRY_AFTER
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.wake.notified(), if !pause.is_zero() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn relay(&self) -> Result<usize, Error> {
        let after = self.registry.relayed().await?;
        let rows = self.registry.outbox(after, ROWS_MAX).await?;
        let Some(newest) = rows.last().map(|row| row.seq) else { return Ok(0) };
        let mut batch = Batch::default();
        for row in &rows {
            batch.push(&Frame::Decided(row.decided()));
        }
        // First: once the main log has a device, its urgent messages may come.
        if let Some(urgent) = &self.urgent {
            let mut definitions = Batch::default();
            for row in rows.iter().filter(|row| is_definition(row.decided().kind)) {
                definitions.push(&Frame::Decided(row.decided()));
            }
            if !definitions.is_empty() {
                durable(urgent, &mut definitions).await?;
            }
        }
        let appended = durable(&self.log, &mut batch).await?;
        // Who waits is told first: durable it is, and the mark only saves doing it again.
        self.relayed.send_replace((newest, appended));
        self.registry.set_relayed(newest).await?;
        Ok(rows.len())
    }
}

/// Appends and waits until it is durable.
async fn durable(log: &Log, batch: &mut Batch) -> Result<Offset, Error> {
    let last = log.append(batch)?.last;
    let mut committed = log.watch();
    match committed.wait_for(|offset| *offset >= last).await {
        Ok(_) => Ok(last),
        Err(_) => Err(Error::NotApplied { offset: last, waited_ms: 0 }),
    }
}
