//! What the rules are told of blueprints and devices.
//!
//! *Invariant:* a definition not newer than the one in force changes nothing, and defining again
//! what was restored changes nothing either. A rule or device that goes away clears its alarms.

use std::collections::BTreeMap;
use std::sync::Arc;

use blueprint::Blueprint;
use model::{AlarmId, Decided, DeviceId, Name, Origin, TenantId, Timestamp};

use super::action::setting_value;
use super::{Rules, Want, Wanted, timer_id};
use crate::alarm::Transition;
use crate::device::{Device, Facts, LeftSetting, Moment, Planned};
use crate::plan::{KindPlan, compile};

#[derive(serde::Deserialize)]
struct BlueprintRecord {
    venture: Name,
    text: String,
}

#[derive(serde::Deserialize)]
struct DeviceRecord {
    name: String,
    venture: Name,
    kind: Name,
    #[serde(default)]
    origin: String,
    #[serde(default)]
    links: BTreeMap<Name, DeviceId>,
    profile: Option<u64>,
    retired: Option<Timestamp>,
}

/// An alarm whose rule or device is no longer there.
pub(crate) struct Gone {
    pub(crate) alarm: AlarmId,
    pub(crate) why: String,
}

impl Rules {
    /// Takes in a record in force, after a restore. Other kinds of records are not for the rules.
    pub fn define(&mut self, decided: &Decided<'_>) {
        let log = self.now;
        for gone in self.definition(decided) {
            // Only where this program judges other rules than the one that wrote the snapshot.
            if let Some(alarm) = self.alarms.get_mut(gone.alarm).filter(|alarm| alarm.is_open()) {
                alarm.cleared = Some(log);
                alarm.note(Transition::Cleared, Moment { event: log, log }, gone.why);
            }
        }
        // What is wanted then was wanted before the snapshot was written.
        self.wanted.clear();
    }

    pub(super) fn definition(&mut self, decided: &Decided<'_>) -> Vec<Gone> {
        match decided.kind {
            "blueprint" => {
                let record = serde_json::from_str::<BlueprintRecord>(decided.content);
                // What does not parse was checked by a newer version and must not stop an older.
                let Ok(record) = record else { return Vec::new() };
                let Some(parsed) = Blueprint::parse(&record.text).blueprint else {
                    return Vec::new();
                };
                self.blueprint(&(decided.tenant, record.venture), decided.revision, &parsed)
            }
            "device" => {
                let Ok(id) = decided.id.parse::<DeviceId>() else { return Vec::new() };
                if decided.content == "null" {
                    return self.remove(id);
                }
                self.device(decided, id)
            }
            _ => Vec::new(),
        }
    }

    /// Takes in a blueprint that was read already.
    pub(crate) fn blueprint(
        &mut self,
        key: &(TenantId, Name),
        revision: u64,
        blueprint: &Blueprint,
    ) -> Vec<Gone> {
        let revisions = self.ventures.entry(key.clone()).or_default();
        if revisions.contains_key(&revision) {
            return Vec::new();
        }
        revisions.insert(revision, compile(blueprint, self.scope));
        let of = |device: &Device| {
            let venture = device.facts.as_ref().map(|facts| &facts.venture);
            device.tenant == key.0 && venture == Some(&key.1)
        };
        let slots: Vec<usize> = (0..self.devices.list.len())
            .filter(|slot| self.devices.at(*slot).is_some_and(of))
            .collect();
        slots.into_iter().flat_map(|slot| self.replan(slot)).collect()
    }

    fn device(&mut self, decided: &Decided<'_>, id: DeviceId) -> Vec<Gone> {
        let Ok(record) = serde_json::from_str::<DeviceRecord>(decided.content) else {
            return Vec::new();
        };
        let slot = self.devices.slot(id).unwrap_or_else(|| {
            let slot = self.devices.list.len();
            self.devices.list.push(Some(Box::new(Device::new(id, decided.tenant))));
            self.devices.slots.insert(id, slot);
            slot
        });
        let Some(device) = self.devices.at_mut(slot) else { return Vec::new() };
        if device.facts.as_ref().is_some_and(|facts| facts.revision >= decided.revision) {
            return Vec::new();
        }
        let facts = Facts {
            revision: decided.revision,
            name: record.name,
            venture: record.venture,
            kind: record.kind,
            origin: record.origin.parse().unwrap_or(Origin::Real),
            links: record.links,
            profile: record.profile,
            retired: record.retired,
        };
        let new: Vec<DeviceId> = facts.links.values().copied().collect();
        let old = device.facts.replace(facts);
        for target in old.iter().flat_map(|facts| facts.links.values()) {
            if let Some(followers) = self.followers.get_mut(target) {
                followers.remove(&slot);
            }
        }
        for target in new {
            self.followers.entry(target).or_default().insert(slot);
        }
        self.replan(slot)
    }

    /// Gives a device the plan of its kind in the revision it uses; a retired one has no rules.
    fn replan(&mut self, slot: usize) -> Vec<Gone> {
        let Some(device) = self.devices.at(slot) else { return Vec::new() };
        let plan =
            device.facts.as_ref().filter(|facts| facts.retired.is_none()).and_then(|facts| {
                let revisions = self.ventures.get(&(device.tenant, facts.venture.clone()))?;
                let pinned = facts.profile.and_then(|revision| revisions.get(&revision));
                let venture =
                    pinned.or_else(|| revisions.last_key_value().map(|(_, newest)| newest));
                venture?.get(&facts.kind).map(Arc::clone)
            });
        let retired = device.facts.as_ref().is_some_and(|facts| facts.retired.is_some());
        let plan = match plan {
            Some(plan) => plan,
            // Until its blueprint is known a device keeps what it was restored with.
            None if !retired && device.planned == Planned::No => return Vec::new(),
            None => Arc::new(KindPlan::default()),
        };
        if device.names != plan.names {
            self.disarm(slot);
        }
        let Some(device) = self.devices.at_mut(slot) else { return Vec::new() };
        device.planned = Planned::Yes;
        let left = device.adopt(&plan);
        device.delivery.expect(plan.every.len());
        let (tenant, id) = (device.tenant, device.id);
        let mut why = if retired { "the device is retired" } else { "its rule is no longer there" }
            .to_owned();
        for LeftSetting { rule, name, kind, safe } in left.settings {
            why.push_str(&format!("; {name} goes back to {safe}"));
            let what = Want::Setting { name, value: setting_value(&kind, safe) };
            let by = format!("alarm.{rule}");
            self.wanted.push(Wanted { tenant, device: id, what, by, alarm: None, step: None });
        }
        left.alarms.into_iter().map(|alarm| Gone { alarm, why: why.clone() }).collect()
    }

    fn disarm(&mut self, slot: usize) {
        let Some(device) = self.devices.at(slot) else { return };
        for (rule, state) in device.rules.iter().enumerate() {
            if let Some(due) = state.due {
                self.timers.remove(&(due, timer_id(slot, rule)));
            }
        }
    }

    pub(super) fn remove(&mut self, id: DeviceId) -> Vec<Gone> {
        let Some(slot) = self.devices.slot(id) else { return Vec::new() };
        self.disarm(slot);
        self.devices.slots.remove(&id);
        let device = self.devices.list.get_mut(slot).and_then(Option::take);
        let Some(device) = device else { return Vec::new() };
        for target in device.facts.iter().flat_map(|facts| facts.links.values()) {
            if let Some(followers) = self.followers.get_mut(target) {
                followers.remove(&slot);
            }
        }
        let open = device.rules.iter().filter_map(|state| state.alarm);
        open.map(|alarm| Gone { alarm, why: "the device is gone".to_owned() }).collect()
    }
}
