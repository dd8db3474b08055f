//! The two lanes of the same tenants: the shard of everything, and the small one of what is urgent.
//!
//! *Invariant:* the urgent lane judges rules over urgent readings and nothing else, from a log of
//! its own that telemetry never fills; the main shard judges all other rules. Each alarm is of one
//! lane, and people read both as one list. What an urgent rule wants of a device becomes a decision
//! in the main log: it is durable there before the output counts as appended here, so a crash in
//! between repeats it, and the twin knows a command by its id. What the twin refuses of it goes
//! back the same way and stands at the alarm.
//!
//! ```text
//!                 +-> urgent log -> urgent rules -> notices        (Source::Urgent)
//! me/urgent ------+        ^             |  what they want, as Decided
//!                 |        +- refused -+ |
//!                 +-> main log <-------|-+ -> twin, billing, history, other rules
//!                                      +----- the twin
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use eventlog::{Batch, Log};
use model::{
    AlarmId, Decided, DeviceId, Erased, Frame, Offset, Output, OutputFrame, OutputKey, TenantId,
};
use rules::{Care, Maintenance, Scope};
use serde_json::json;

use super::run::{Taken, later};
use super::{PATIENCE, Shard};
use crate::error::Error;

/// Definitions given to the urgent lane in one batch.
const EQUIPPED_AT_ONCE: usize = 1_000;
/// Devices of which one thing is said in one batch; a note has at most 4 kB.
const SAID_AT_ONCE: usize = 200;

/// The other lane of the same tenants.
#[derive(Debug, Default)]
pub enum Beside {
    /// There is none: all rules are judged here.
    #[default]
    Nothing,
    /// This is the main shard, and there is an urgent one.
    UrgentLane(Shard),
    /// This is the urgent lane of the shard behind this log.
    MainLog(Log),
}

impl Beside {
    pub(super) const fn scope(&self) -> Scope {
        match self {
            Self::Nothing => Scope::All,
            Self::UrgentLane(_) => Scope::Ordinary,
            Self::MainLog(_) => Scope::Urgent,
        }
    }

    pub(super) const fn thread(&self) -> &'static str {
        match self {
            Self::Nothing | Self::UrgentLane(_) => "pipeline",
            Self::MainLog(_) => "urgent",
        }
    }

    pub(super) const fn shard(&self) -> Option<&Shard> {
        match self {
            Self::UrgentLane(shard) => Some(shard),
            Self::Nothing | Self::MainLog(_) => None,
        }
    }

    /// How far the urgent lane is.
    pub(super) fn offset(&self) -> Offset {
        self.shard().map_or(Offset(0), |shard| shard.pictures.borrow().offset)
    }

    /// Whether an output may be appended now. A decision for the other lane's log is handed over
    /// first, and once it is durable there it may; until then all others go on.
    pub(super) fn settles(
        &self,
        output: &OutputFrame<'_>,
        handed: &mut BTreeMap<OutputKey, Offset>,
    ) -> Result<bool, Error> {
        let other = match self {
            Self::Nothing => return Ok(true),
            Self::UrgentLane(shard) => &shard.log,
            Self::MainLog(main) => main,
        };
        let Ok(Output::Act { kind, id, content }) = Output::decode(output.content) else {
            return Ok(true);
        };
        if let Some(durable) = handed.get(&output.key) {
            let settled = other.committed() >= *durable;
            if settled {
                handed.remove(&output.key);
            }
            return Ok(settled);
        }
        let mut batch = Batch::default();
        let (tenant, kind, id, content) = (output.tenant, &*kind, &*id, &*content);
        batch.push(&Frame::Decided(Decided { tenant, kind, id, revision: 0, content }));
        match other.append(&mut batch) {
            Ok(appended) => {
                handed.insert(output.key, appended.last);
            }
            Err(error) => {
                // Under back-pressure it stays unread and is handed over later.
                let _no: Taken = later(error)?;
            }
        }
        Ok(false)
    }
}

fn append(log: &Log, frames: &[Frame<'_>]) -> Result<Offset, Error> {
    let mut batch = Batch::default();
    frames.iter().for_each(|frame| batch.push(frame));
    Ok(log.append(&mut batch)?.last)
}

impl Shard {
    /// The urgent lane beside it.
    #[must_use]
    pub fn urgent(&self) -> Option<&Self> {
        self.urgent.as_deref()
    }

    /// Appends what somebody decided about an alarm where it is judged, and waits until the
    /// pictures show it.
    ///
    /// # Errors
    /// The log takes nothing at the moment, or the folds have not applied it in time.
    pub async fn decide_alarm(
        &self,
        tenant: TenantId,
        alarm: AlarmId,
        content: &str,
    ) -> Result<(), Error> {
        let id = alarm.to_string();
        let act = Decided { tenant, kind: "alarm", id: &id, revision: 0, content };
        let urgent =
            self.urgent().filter(|lane| lane.picture().alarms.get(tenant, alarm).is_some());
        match urgent {
            Some(lane) => {
                let offset = append(&lane.log, &[Frame::Decided(act)])?;
                self.shown(offset).await
            }
            None => self.applied(append(&self.log, &[Frame::Decided(act)])?, PATIENCE).await,
        }
    }

    /// Appends what somebody said of a device's rules (maintenance, readings to ignore) to both
    /// lanes, and waits until it is applied.
    ///
    /// # Errors
    /// As of [`Shard::decide_alarm`].
    pub async fn decide_care(
        &self,
        tenant: TenantId,
        device: DeviceId,
        content: &str,
    ) -> Result<(), Error> {
        let id = device.to_string();
        let act = Decided { tenant, kind: "maintenance", id: &id, revision: 0, content };
        self.both(&[Frame::Decided(act)]).await.map(drop)
    }

    /// Says the same of many devices, in both lanes, and waits until it is applied.
    ///
    /// # Errors
    /// As of [`Shard::decide_alarm`]; what was appended before stays said.
    pub async fn decide_cares(
        &self,
        tenant: TenantId,
        devices: &[DeviceId],
        content: &str,
    ) -> Result<(), Error> {
        for some in devices.chunks(SAID_AT_ONCE) {
            let ids: Vec<String> = some.iter().map(DeviceId::to_string).collect();
            let acts = ids.iter().map(|id| Decided {
                tenant,
                kind: "maintenance",
                id,
                revision: 0,
                content,
            });
            let frames: Vec<Frame<'_>> = acts.map(Frame::Decided).collect();
            self.both(&frames).await?;
        }
        Ok(())
    }

    /// Lets both lanes forget a device; the offset in the main log.
    ///
    /// # Errors
    /// As of [`Shard::decide_alarm`].
    pub async fn erase(&self, tenant: TenantId, device: DeviceId) -> Result<Offset, Error> {
        let subject = device.to_string();
        self.both(&[Frame::Erased(Erased { tenant, subject: &subject })]).await
    }

    async fn both(&self, frames: &[Frame<'_>]) -> Result<Offset, Error> {
        let urgent = self.urgent().map(|lane| append(&lane.log, frames)).transpose()?;
        let offset = append(&self.log, frames)?;
        if let Some(urgent) = urgent {
            self.shown(urgent).await?;
        }
        self.applied(offset, PATIENCE).await?;
        Ok(offset)
    }

    /// Waits until the alarms of the urgent lane at `offset` are in the pictures.
    async fn shown(&self, offset: Offset) -> Result<(), Error> {
        let mut pictures = self.pictures.clone();
        let reached = pictures.wait_for(|picture| picture.urgent >= offset);
        let waited_ms = PATIENCE.as_millis();
        match tokio::time::timeout(PATIENCE, reached).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Error::NotApplied { offset, waited_ms }),
        }
    }

    /// What people said of devices before the urgent lane knew them.
    async fn said_before(
        &self,
        devices: &BTreeSet<(TenantId, String)>,
    ) -> Result<Vec<(TenantId, String, String)>, Error> {
        let tenants: BTreeSet<TenantId> = devices.iter().map(|(tenant, _)| *tenant).collect();
        let mut said = Vec::new();
        for tenant in tenants {
            for (device, care) in self.cared(tenant).await? {
                let id = device.to_string();
                if devices.contains(&(tenant, id.clone())) {
                    said.extend(acts(care).into_iter().map(|act| (tenant, id.clone(), act)));
                }
            }
        }
        Ok(said)
    }

    /// Gives the urgent lane the definitions it has not yet and takes from it the devices that are
    /// gone: it may be new beside an old log, or older than the log it stands beside after a
    /// restore. How many frames that took.
    ///
    /// # Errors
    /// As of [`Shard::decide_alarm`].
    pub async fn equip_urgent(&self, patience: Duration) -> Result<usize, Error> {
        let Some(lane) = self.urgent() else { return Ok(0) };
        let (own, known) = (self.definitions().await?, lane.definitions().await?);
        let (there, here) = (lane.devices().await?, self.devices().await?);
        let mut frames = Vec::new();
        for (key, (revision, content)) in &own {
            if known.get(key).is_none_or(|(known, _)| known < revision) {
                let (tenant, kind, id) = (key.tenant, &*key.kind, &*key.id);
                let revision = *revision;
                frames.push(Frame::Decided(Decided { tenant, kind, id, revision, content }));
            }
        }
        for (tenant, id) in there.difference(&here) {
            frames.push(Frame::Erased(Erased { tenant: *tenant, subject: id }));
        }
        let new = own.keys().filter(|key| key.kind == "device" && !known.contains_key(key));
        let new = new.map(|key| (key.tenant, key.id.clone())).collect();
        let said = self.said_before(&new).await?;
        frames.extend(said.iter().map(|(tenant, id, content)| {
            let (tenant, kind) = (*tenant, "maintenance");
            Frame::Decided(Decided { tenant, kind, id, revision: 0, content })
        }));
        // Blueprints come before the devices that they are asked for.
        for some in frames.chunks(EQUIPPED_AT_ONCE) {
            let mut batch = Batch::default();
            some.iter().for_each(|frame| batch.push(frame));
            let last = loop {
                match lane.log.append(&mut batch) {
                    Ok(appended) => break appended.last,
                    Err(eventlog::Error::Full { .. }) => lane.log.room().await,
                    Err(error) => return Err(error.into()),
                }
            };
            lane.applied(last, patience).await?;
        }
        Ok(frames.len())
    }
}

/// The acts that say the same of a device once more.
fn acts(care: Care) -> Vec<String> {
    let by = "server";
    let now =
        care.maintenance.map(|until| json!({ "act": "maintenance", "until": until, "by": by }));
    let ignored = care.ignored.into_iter().map(
        |(reading, until)| json!({ "act": "ignore", "reading": reading, "until": until, "by": by }),
    );
    let planned = care.planned.into_iter().map(|Maintenance { id, from, until, by, note }| {
        json!({ "act": "plan", "window": id, "from": from, "until": until, "by": by, "note": note })
    });
    let all = now.into_iter().chain(ignored).chain(planned);
    all.map(|act| act.to_string()).collect()
}

/// A definition that rules need.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Defined {
    pub(super) tenant: TenantId,
    pub(super) kind: String,
    pub(super) id: String,
    /// Of a blueprint, of which several revisions are in force; 0 of a device.
    pub(super) revision: u64,
}

/// Kinds of records that the urgent lane needs.
pub(crate) fn is_definition(kind: &str) -> bool {
    matches!(kind, "blueprint" | "device")
}
