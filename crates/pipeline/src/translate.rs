//! From a device kind of the blueprint to the profile that decoding uses.
//!
//! *Invariant:* each reading and setting of the kind has one rule; a name that devices use leads to
//! one of them.

use blueprint::{Kind, PropertyKind};
use model::Name;

use crate::profile::{Lane, Profile, Rule, Shape};

/// How a message of this kind of device is read.
#[must_use]
pub fn profile_of(kind: &Kind) -> Profile {
    let readings = kind.readings.iter().map(|(name, property)| {
        let lane = match property.lane {
            blueprint::Lane::Normal => Lane::Telemetry,
            blueprint::Lane::Urgent => Lane::Urgent,
        };
        (name.clone(), rule(name, &property.kind, lane))
    });
    let settings = kind
        .settings
        .iter()
        .map(|(name, setting)| (name.clone(), rule(name, &setting.kind, Lane::Telemetry)));
    let mut profile = Profile {
        readings: readings.collect(),
        settings: settings.collect(),
        ..Profile::default()
    };
    for (name, property) in &kind.readings {
        match property.sent_as.as_slice() {
            [] => {}
            [alias] => drop(profile.aliases.insert(alias.clone(), name.clone())),
            [latitude, longitude, ..] => {
                profile.pairs.push((latitude.clone(), longitude.clone(), name.clone()));
            }
        }
    }
    profile
}

/// How a value of a setting or an argument is read.
#[must_use]
pub fn rule_of(name: &Name, kind: &PropertyKind) -> Rule {
    rule(name, kind, Lane::Telemetry)
}

fn rule(name: &Name, kind: &PropertyKind, lane: Lane) -> Rule {
    let shape = match kind {
        PropertyKind::Number { unit, min, max } => {
            let unit = if unit.is_one() { String::new() } else { unit.to_string() };
            Shape::Number { unit, min: *min, max: *max }
        }
        PropertyKind::Boolean => Shape::Boolean,
        PropertyKind::Text => Shape::Text,
        PropertyKind::Position => Shape::Position,
    };
    Rule { name: name.clone(), shape, lane }
}
