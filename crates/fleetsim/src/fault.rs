//! What goes wrong in the field, by name.
//!
//! *Invariant:* when a fault strikes is a function of (seed, device, fault, time), like the signals
//! themselves, so a run with faults can be repeated exactly.

use std::fmt;
use std::str::FromStr;

use crate::breakdown::Breakdowns;
use crate::episodes::{Episode, Episodes, Rhythm};
use crate::error::Error;
use crate::kind::VirtualKind;
use crate::noise::Seed;

/// A way to go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// Nothing is measured for a while.
    Gap,
    /// The connection breaks; what was measured meanwhile is sent later, in arrays.
    Reconnect,
    /// The values move away from the truth, slowly and for ever.
    Drift,
    /// A message is sent twice.
    Duplicate,
    /// The same value again and again.
    Stuck,
    /// A single value far off.
    Spike,
    /// The device believes in another time.
    ClockWrong,
    /// Commands are heard and never answered.
    Deaf,
    /// Now and then, for hours: the cooling fails, the sensor is stuck, the battery runs flat or
    /// nothing is sent.
    Breakdown,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Gap,
        Self::Reconnect,
        Self::Drift,
        Self::Duplicate,
        Self::Stuck,
        Self::Spike,
        Self::ClockWrong,
        Self::Deaf,
        Self::Breakdown,
    ];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gap => "gap",
            Self::Reconnect => "reconnect",
            Self::Drift => "drift",
            Self::Duplicate => "duplicate",
            Self::Stuck => "stuck",
            Self::Spike => "spike",
            Self::ClockWrong => "clock_wrong",
            Self::Deaf => "deaf",
            Self::Breakdown => "breakdown",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Fault {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|fault| fault.as_str() == text).ok_or_else(|| {
            let known: Vec<&str> = Self::ALL.iter().map(|fault| fault.as_str()).collect();
            let text = text.chars().take(32).collect();
            Error::UnknownFault { text, known: known.join(", ") }
        })
    }
}

/// About half of all stretches of five minutes have half a minute to two of it.
const STRIKES: Rhythm = Rhythm {
    slot_ms: 300_000,
    day: 0.5,
    night: 0.5,
    seconds: (30.0, 120.0),
    forgotten: (0.0, 0.0, 0.0),
};

/// How far a drifting value is off after an hour, as a share of its range.
const DRIFT_PER_HOUR: f64 = 0.01;
/// Two hours behind: what a device shows that lost its time zone.
const CLOCK_WRONG_MS: i64 = -7_200_000;

/// The faults of one device.
#[derive(Debug, Clone)]
pub(crate) struct Faults {
    seed: Seed,
    active: Vec<Fault>,
    from_ms: i64,
    breakdowns: Option<Breakdowns>,
}

impl Faults {
    /// Those of a plan that began at `from_ms`.
    #[must_use]
    pub(crate) fn new(device: Seed, active: &[Fault], from_ms: i64) -> Self {
        let seed = device.named("faults");
        Self { seed, active: active.to_vec(), from_ms, breakdowns: None }
    }

    /// With the breakdowns of a device of this kind, when they are asked for.
    #[must_use]
    pub(crate) fn of_kind(mut self, kind: &VirtualKind) -> Self {
        let wanted = self.active.contains(&Fault::Breakdown);
        self.breakdowns = wanted.then(|| Breakdowns::new(self.seed, kind));
        self
    }

    /// What breaks for hours, when it is asked for.
    pub(crate) const fn breakdowns(&self) -> Option<&Breakdowns> {
        self.breakdowns.as_ref()
    }

    /// Whether nothing is measured at this moment.
    pub(crate) fn is_silent(&self, at_ms: i64) -> bool {
        self.strikes(Fault::Gap, at_ms).is_some()
            || self.breakdowns().is_some_and(|broken| broken.is_silent(at_ms))
    }

    /// Since when the sensor repeats itself, if it does.
    pub(crate) fn stuck_since(&self, at_ms: i64) -> Option<i64> {
        let often = self.strikes(Fault::Stuck, at_ms).map(|episode| episode.from_ms);
        often.or_else(|| self.breakdowns()?.stuck_since(at_ms))
    }

    /// The stretch of time in which the fault is on, if it is.
    #[must_use]
    pub(crate) fn strikes(&self, fault: Fault, at_ms: i64) -> Option<Episode> {
        if !self.active.contains(&fault) {
            return None;
        }
        Episodes::new(self.seed.named(fault.as_str()), STRIKES).at(at_ms)
    }

    /// Whether commands are answered at all.
    pub(crate) fn is_deaf(&self) -> bool {
        self.active.contains(&Fault::Deaf)
    }

    /// When the connection breaks next, and until when, within `horizon_ms`.
    pub(crate) fn next_break(&self, at_ms: i64, horizon_ms: i64) -> Option<Episode> {
        if !self.active.contains(&Fault::Reconnect) {
            return None;
        }
        let episodes = Episodes::new(self.seed.named(Fault::Reconnect.as_str()), STRIKES);
        // The first change may be the end of what is on now.
        let first = episodes.next_change(at_ms, horizon_ms);
        let next = || episodes.at(episodes.next_change(first, horizon_ms));
        episodes.at(first).or_else(next)
    }

    /// What is added to a number whose range is `span` wide.
    pub(crate) fn drift(&self, at_ms: i64, span: f64) -> f64 {
        if !self.active.contains(&Fault::Drift) {
            return 0.0;
        }
        let hours = (at_ms - self.from_ms).max(0) as f64 / 3_600_000.0;
        span * DRIFT_PER_HOUR * hours
    }

    /// The time the device believes in.
    pub(crate) fn clock(&self, at_ms: i64) -> i64 {
        let wrong = self.strikes(Fault::ClockWrong, at_ms).is_some();
        at_ms + if wrong { CLOCK_WRONG_MS } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_found_by_its_name() {
        for fault in Fault::ALL {
            assert_eq!(fault.as_str().parse::<Fault>().unwrap(), fault);
        }
        let error = "gaps".parse::<Fault>().unwrap_err();
        assert!(error.to_string().contains("clock_wrong"), "{error}");
    }

    #[test]
    fn a_fault_strikes_some_of_the_time_and_only_when_it_is_asked_for() {
        let faults = Faults::new(Seed::new(1), &[Fault::Gap], 0);
        let struck = (0..1000).filter(|n| faults.strikes(Fault::Gap, n * 10_000).is_some()).count();
        assert!((50..250).contains(&struck), "{struck}");
        assert!((0..1000).all(|n| faults.strikes(Fault::Stuck, n * 10_000).is_none()));
    }
}
