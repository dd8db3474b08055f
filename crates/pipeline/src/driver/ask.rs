//! Questions to the folds that no picture answers, because the answer would be too large to
//! publish each time: why a rule did not fire, what was due of a device.
//!
//! *Invariant:* a question only reads. It is answered by the thread of the folds between two reads,
//! so it must be small; at most [`QUESTIONS_MAX`] wait, the next is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::TrySendError;

use model::{Decided, DeviceId, TenantId};
use rules::{Care, Due, Explained, Held};
use tokio::sync::oneshot;

use super::lane::{Defined, is_definition};
use super::{PATIENCE, Shard};
use crate::error::Error;
use crate::state::State;
use crate::traffic::TrafficDay;

/// How many questions wait.
pub(super) const QUESTIONS_MAX: usize = 64;

/// Asked of the state, answered by whoever asked.
pub(super) type Question = Box<dyn FnOnce(&State) + Send>;

/// What was due of devices, by device and day since the epoch (UTC).
pub type Delivered = BTreeMap<DeviceId, BTreeMap<i32, Due>>;
/// What devices sent over their radio, by device and day since the epoch (UTC).
pub type Sent = BTreeMap<DeviceId, BTreeMap<i32, TrafficDay>>;

/// What the folds know of devices by day.
#[derive(Debug, Clone, Default)]
pub struct ByDay {
    /// What was due and came.
    pub delivered: Delivered,
    /// What they sent; empty unless it was asked for.
    pub sent: Sent,
}

/// What of [`ByDay`] is asked for: traffic is a year of days for each device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// What was due.
    Delivery,
    /// That, and what was sent.
    DeliveryAndTraffic,
}

impl ByDay {
    pub(super) fn of(state: &State, devices: &[DeviceId], asked: Asked) -> Self {
        let sent = devices.iter().filter(|_| asked == Asked::DeliveryAndTraffic);
        Self {
            delivered: devices.iter().map(|one| (*one, state.rules.delivery(*one))).collect(),
            sent: sent.map(|one| (*one, state.traffic.of(*one))).collect(),
        }
    }
}

impl Shard {
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&State) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        let question: Question = Box::new(move |state| {
            // Whoever asked may be gone.
            let _gone = answer.send(question(state)).is_err();
        });
        self.questions.try_send(question).map_err(|refused| match refused {
            TrySendError::Full(_) => Error::Questions { max: QUESTIONS_MAX },
            TrySendError::Disconnected(_) => Error::Stopped,
        })?;
        match tokio::time::timeout(PATIENCE, answered).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) | Err(_) => Err(Error::Stopped),
        }
    }

    /// Where a rule stands for a device, and why; none when the device has no such rule.
    ///
    /// # Errors
    /// Too many ask at once, or the folds have stopped.
    pub async fn explain(
        &self,
        device: DeviceId,
        rule: String,
    ) -> Result<Option<Explained>, Error> {
        let asked = rule.clone();
        let found = self.ask(move |state| state.rules.explain(device, &asked)).await?;
        match self.urgent().filter(|_| found.is_none()) {
            Some(lane) => lane.ask(move |state| state.rules.explain(device, &rule)).await,
            None => Ok(found),
        }
    }

    /// What would be an alarm of the tenant and is held back, in both lanes.
    ///
    /// # Errors
    /// As of [`Shard::explain`].
    pub async fn held(&self, tenant: TenantId) -> Result<Vec<Held>, Error> {
        let mut held = self.ask(move |state| state.rules.held(tenant)).await?;
        if let Some(lane) = self.urgent() {
            held.extend(lane.ask(move |state| state.rules.held(tenant)).await?);
        }
        Ok(held)
    }

    /// Devices in force.
    pub(super) async fn devices(&self) -> Result<BTreeSet<(TenantId, String)>, Error> {
        self.ask(|state| {
            let devices = state.records.iter().filter(|decided| decided.kind == "device");
            devices.map(|decided| (decided.tenant, decided.id.to_owned())).collect()
        })
        .await
    }

    /// Blueprints and devices in force that the urgent lane needs, with their revisions and
    /// contents.
    pub(super) async fn definitions(&self) -> Result<BTreeMap<Defined, (u64, String)>, Error> {
        self.ask(|state| {
            let all = state.records.iter().filter(|decided| {
                is_definition(decided.kind) && state.says_something_urgent(decided)
            });
            all.map(|decided| {
                let Decided { tenant, kind, id, revision, content } = decided;
                let of = if kind == "blueprint" { revision } else { 0 };
                let (kind, id) = (kind.to_owned(), id.to_owned());
                let key = Defined { tenant, kind, id, revision: of };
                (key, (revision, content.to_owned()))
            })
            .collect()
        })
        .await
    }

    /// What people said about a device: maintenance, readings to ignore.
    ///
    /// # Errors
    /// As of [`Shard::explain`].
    pub async fn care(&self, tenant: TenantId, device: DeviceId) -> Result<Care, Error> {
        self.ask(move |state| state.rules.care(tenant, device)).await
    }

    /// Devices of the tenant for which something is held back now.
    ///
    /// # Errors
    /// As of [`Shard::explain`].
    pub async fn cared(&self, tenant: TenantId) -> Result<Vec<(DeviceId, Care)>, Error> {
        self.ask(move |state| state.rules.cared(tenant)).await
    }

    /// What the folds know of devices by day.
    ///
    /// # Errors
    /// As of [`Shard::explain`].
    pub async fn by_day(&self, devices: Vec<DeviceId>, asked: Asked) -> Result<ByDay, Error> {
        self.ask(move |state| ByDay::of(state, &devices, asked)).await
    }

    /// What devices sent over their radio, by day.
    ///
    /// # Errors
    /// As of [`Shard::explain`].
    pub async fn sent(&self, devices: Vec<DeviceId>) -> Result<Sent, Error> {
        let of = |state: &State, device: DeviceId| (device, state.traffic.of(device));
        self.ask(move |state| devices.into_iter().map(|device| of(state, device)).collect()).await
    }
}
