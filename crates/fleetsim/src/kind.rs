//! What a kind of device measures, from the blueprint's words to signals.
//!
//! *Invariant:* every reading of the blueprint that can be made up sensibly is a channel; texts are
//! not.

use std::collections::BTreeSet;
use std::time::Duration;

use blueprint::{Dated, Kind, Lane, Property, PropertyKind};
use model::Name;

use crate::noise::whole;
use crate::signal::{Facts, Shape, Signal, choose};

/// How often a number is sent when the blueprint does not say.
const EVERY_DEFAULT_MS: i64 = 60_000;
/// How often a place is sent when the blueprint does not say: a van is on its round for hours.
const POSITION_EVERY_MS: i64 = 300_000;
/// How often a boolean is sent although it did not change.
pub(crate) const UNCHANGED_MS_MAX: i64 = 3_600_000;

/// A reading of a virtual device.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Channel {
    pub(crate) name: Name,
    pub(crate) signal: Signal,
    pub(crate) rhythm: Rhythm,
    pub(crate) lane: Lane,
    pub(crate) dated: Dated,
    pub(crate) bounds: (f64, f64),
}

/// When a channel is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rhythm {
    Every { ms: i64 },
    OnChange,
}

/// A setting of a virtual device.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Setting {
    pub(crate) name: Name,
    pub(crate) drives: Option<Name>,
    pub(crate) value: Option<f64>,
}

/// A kind of virtual device.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct VirtualKind {
    pub(crate) channels: Vec<Channel>,
    pub(crate) settings: Vec<Setting>,
    /// Names of commands it understands.
    pub(crate) commands: BTreeSet<String>,
}

impl VirtualKind {
    pub(crate) fn of(kind: &Kind) -> Self {
        let siblings: Vec<&str> = kind.readings.keys().map(Name::as_str).collect();
        let channels: Vec<Channel> = kind
            .readings
            .iter()
            .filter_map(|(name, property)| channel(name, property, &siblings))
            .collect();
        let settings =
            kind.settings
                .iter()
                .map(|(name, setting)| {
                    let driven = setting.drives.as_ref().and_then(|property| {
                        channels.iter().find(|channel| channel.name == *property)
                    });
                    let seconds = driven.and_then(|channel| match channel.rhythm {
                        Rhythm::Every { ms } => Some(ms as f64 / 1000.0),
                        Rhythm::OnChange => None,
                    });
                    Setting {
                        name: name.clone(),
                        drives: setting.drives.clone(),
                        value: setting.default.or(seconds),
                    }
                })
                .collect();
        let commands = kind.commands.keys().map(Name::to_string).collect();
        Self { channels, settings, commands }
    }
}

fn channel(name: &Name, property: &Property, siblings: &[&str]) -> Option<Channel> {
    let (shape, min, max) = match &property.kind {
        PropertyKind::Number { min, max, .. } => (Shape::Number, *min, *max),
        PropertyKind::Boolean => (Shape::Boolean, None, None),
        PropertyKind::Position => (Shape::Position, None, None),
        PropertyKind::Text => (Shape::Text, None, None),
    };
    let unit = property.kind.unit().map(ToString::to_string).unwrap_or_default();
    let facts = Facts { name: name.as_str(), shape, unit: &unit, min, max };
    let chosen = choose(&facts, siblings)?;
    // The blueprint's own word that it counts is worth more than the unit.
    let signal = match (property.counter.is_some(), chosen) {
        (true, Signal::Wander { .. }) => Signal::Counter { per_day: 240.0 },
        (_, signal) => signal,
    };
    let rhythm = match (property.every, shape) {
        (Some(every), _) => Rhythm::Every { ms: millis(every) },
        (None, Shape::Boolean) => Rhythm::OnChange,
        (None, Shape::Position) => Rhythm::Every { ms: POSITION_EVERY_MS },
        (None, Shape::Number | Shape::Text) => Rhythm::Every { ms: EVERY_DEFAULT_MS },
    };
    Some(Channel {
        name: name.clone(),
        signal,
        rhythm,
        lane: property.lane,
        dated: property.dated,
        bounds: (min.unwrap_or(f64::NEG_INFINITY), max.unwrap_or(f64::INFINITY)),
    })
}

/// An interval in milliseconds; never 0, or time would stand still.
pub(crate) fn millis(every: Duration) -> i64 {
    whole(every.as_secs_f64() * 1000.0).max(1)
}
