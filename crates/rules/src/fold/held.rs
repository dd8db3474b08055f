//! What would be an alarm, and is held back: by its cause upstream, by its hours, by maintenance.
//!
//! *Invariant:* nobody is told of it and it is no alarm; it is listed as long as it lasts, with
//! what its condition and its `unless` look at.

use model::{DeviceId, Name, Severity, TenantId, Timestamp};

use super::life::Place;
use super::steps::Explained;
use super::{Happening, Rules};
use crate::device::HeldBack;

/// Of one tenant, at most so many are listed.
const HELD_LISTED_MAX: usize = 1_000;

/// Something that is no alarm, because it is held back.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// On which device.
    pub device: DeviceId,
    /// Its own name.
    pub device_name: String,
    /// Of which venture.
    pub venture: Name,
    /// The rule's name in the blueprint.
    pub rule: Name,
    /// For people.
    pub title: String,
    /// How bad it would be.
    pub severity: Severity,
    /// Since when its condition holds, by the device's clock.
    pub since: Timestamp,
    /// Why it is held back, and what was looked at.
    pub explained: Explained,
}

impl Rules {
    /// Remembers, for whoever watches, that something is held back or is so no more.
    pub(super) fn tell_held(&mut self, place: Place<'_>, held: Option<HeldBack>) {
        let Place { rule, now, .. } = place;
        let Some(device) = self.devices.at(place.slot) else { return };
        let compiled = match held {
            Some(HeldBack::Upstream) => rule.unless.as_ref().unwrap_or(&rule.when),
            Some(HeldBack::Maintenance | HeldBack::Hours) | None => &rule.when,
        };
        let device = device.id;
        let trace = self.trace(place, compiled);
        let looked = trace.as_ref().map(|trace| format!("{}: {}", trace.condition, trace.line()));
        let looked = looked.unwrap_or_default();
        let why = match held {
            Some(held) => format!("held back because {}; {looked}", held.why()),
            None => looked,
        };
        let (event, log) = (now.event, now.log);
        self.happenings.push(Happening {
            device,
            rule: rule.name.clone(),
            severity: rule.alarm.severity,
            begins: held.is_some(),
            why,
            trace,
            event,
            log,
        });
    }

    /// What is held back now, of one tenant.
    #[must_use]
    pub fn held(&self, tenant: TenantId) -> Vec<Held> {
        let of = self.devices.list.iter().flatten().filter(|device| device.tenant == tenant);
        let states = of.flat_map(|device| {
            let rules = device.names.iter().zip(&device.rules);
            rules.filter(|(_, state)| state.held.is_some()).map(move |found| (device, found))
        });
        let listed = states.filter_map(|(device, (name, state))| {
            let facts = device.facts.as_ref()?;
            let rule = device.plan.rules.get(device.plan.rule(name.as_str())?)?;
            let title = rule.alarm.title.clone();
            Some(Held {
                device: device.id,
                device_name: facts.name.clone(),
                venture: facts.venture.clone(),
                rule: name.clone(),
                title: title.unwrap_or_else(|| name.as_str().replace('_', " ")),
                severity: rule.alarm.severity,
                since: state.pending?.event,
                explained: self.explain(device.id, name.as_str())?,
            })
        });
        listed.take(HELD_LISTED_MAX).collect()
    }
}
