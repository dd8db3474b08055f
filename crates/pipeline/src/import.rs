//! Readings of the past, into the log like everybody's.
//!
//! *Invariant:* what is imported is marked `replayed` for ever, whatever the device's origin; it is
//! durable when the call returns. At most [`IMPORT_BYTES_MAX`] wait for the log at once.

use std::time::Duration;

use eventlog::Batch;
use model::{Channel, DeviceId, Frame, Offset, Origin, Principal, Qos, Raw, Retain, TenantId};

use crate::driver::Shard;
use crate::error::Error;
use crate::profile::Lane;

/// Bytes of payload appended at once; far below what the log takes.
pub const IMPORT_BYTES_MAX: usize = 1 << 20;

/// Rows of one device in the form of its telemetry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// Whose.
    pub device: DeviceId,
    /// Where the device would have sent them.
    pub lane: Lane,
    /// `[{"ts":...,"values":{...}}, ...]`
    pub payload: String,
}

impl Imported {
    fn frame(&self, tenant: TenantId) -> Frame<'_> {
        let topic = match self.lane {
            Lane::Telemetry => "telemetry",
            Lane::Urgent => "urgent",
        };
        Frame::Raw(Raw {
            tenant,
            principal: Principal::Device(self.device),
            device: Some(self.device),
            origin: Origin::Replayed,
            channel: Channel::Http,
            qos: Qos::AtLeastOnce,
            retain: Retain::Pass,
            session: 0,
            packet_id: 0,
            topic,
            properties: &[],
            key: "",
            payload: self.payload.as_bytes(),
        })
    }
}

impl Shard {
    /// Appends imported rows and waits until they are durable; `None`: there were none.
    ///
    /// # Errors
    /// The log takes nothing, or has no room within `patience`: what is before may be in it, and
    /// importing all again is harmless.
    pub async fn import(
        &self,
        tenant: TenantId,
        all: &[Imported],
        patience: Duration,
    ) -> Result<Option<Offset>, Error> {
        let mut last = None;
        let mut batch = Batch::default();
        let mut all = all.iter().peekable();
        while let Some(imported) = all.next() {
            batch.push(&imported.frame(tenant));
            if batch.bytes() >= IMPORT_BYTES_MAX || all.peek().is_none() {
                last = Some(self.append(&mut batch, patience).await?);
            }
        }
        if let Some(last) = last {
            let mut committed = self.log().watch();
            let durable = committed.wait_for(|committed| *committed >= last);
            if !matches!(tokio::time::timeout(patience, durable).await, Ok(Ok(_))) {
                let waited_ms = patience.as_millis();
                return Err(Error::NotApplied { offset: last, waited_ms });
            }
        }
        Ok(last)
    }

    async fn append(&self, batch: &mut Batch, patience: Duration) -> Result<Offset, Error> {
        loop {
            match self.log().append(batch) {
                Ok(appended) => return Ok(appended.last),
                Err(error @ eventlog::Error::Full { .. }) => {
                    let room = tokio::time::timeout(patience, self.log().room()).await;
                    room.map_err(|_| Error::from(error))?;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}
