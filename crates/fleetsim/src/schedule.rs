//! What a device measures next: its channels in the order of time.
//!
//! *Invariant:* two schedules with the same seed, device and start give the same samples; after the
//! first, which tells everything, the start does not matter. Only what the device is told, a new
//! interval, changes what comes.

use blueprint::{Dated, Lane};
use model::{Name, Value};

use crate::episodes::Episode;
use crate::fault::{Fault, Faults};
use crate::kind::{Channel, Rhythm, UNCHANGED_MS_MAX, VirtualKind};
use crate::noise::{Seed, whole};
use crate::signal::Source;

/// Devices do not all start in the same moment.
const STAGGER_MS: f64 = 2_000.0;
/// What a range is when the blueprint gives none.
const SPAN_DEFAULT: f64 = 50.0;

/// What a device measures at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// When, truly.
    pub at_ms: i64,
    /// When, as the device tells it; `None` when it has no clock.
    pub told_ms: Option<i64>,
    /// Whether it takes the urgent lane.
    pub lane: Lane,
    /// Property and value, in the order of names.
    pub values: Vec<(Name, Value)>,
}

/// The samples of one device, one after the other.
#[derive(Debug, Clone)]
pub struct Schedule {
    timed: Vec<Timed>,
    faults: Faults,
    phase: Seed,
}

#[derive(Debug, Clone)]
struct Timed {
    channel: Channel,
    source: Source,
    next_ms: i64,
}

impl Schedule {
    pub(crate) fn new(
        fleet: Seed,
        device: &str,
        kind: &VirtualKind,
        (faults, from_ms): (&[Fault], i64),
    ) -> Self {
        let seed = fleet.named(device);
        let first_ms = from_ms + whole(seed.named("start").unit() * STAGGER_MS);
        let timed = kind
            .channels
            .iter()
            .map(|channel| {
                let (low, high) = channel.bounds;
                let source = Source::new(fleet, device, channel.name.as_str(), channel.signal);
                let source = source.within(low, high);
                // A device that starts tells everything it knows.
                Timed { channel: channel.clone(), source, next_ms: first_ms }
            })
            .collect();
        let faults = Faults::new(seed, faults, from_ms).of_kind(kind);
        Self { timed, faults, phase: seed.named("phase") }
    }

    /// The samples after a moment of a device that is on its way for long.
    pub(crate) fn resumed(
        fleet: Seed,
        device: &str,
        kind: &VirtualKind,
        (faults, after_ms): (&[Fault], i64),
    ) -> Self {
        let mut schedule = Self::new(fleet, device, kind, (faults, after_ms));
        for timed in &mut schedule.timed {
            timed.next_ms = timed.after(after_ms, schedule.phase);
        }
        schedule
    }

    /// When the next sample is due; `None` when the device measures nothing.
    #[must_use]
    pub fn due_ms(&self) -> Option<i64> {
        self.timed.iter().map(|timed| timed.next_ms).min()
    }

    /// The next sample. What falls into a gap is left out.
    pub fn next_sample(&mut self) -> Option<Sample> {
        loop {
            let at_ms = self.due_ms()?;
            let sample = self.measure(at_ms);
            if !self.faults.is_silent(at_ms) {
                return Some(sample);
            }
        }
    }

    /// The next sample up to a moment. What falls into a gap is left out.
    pub(crate) fn next_until(&mut self, until_ms: i64) -> Option<Sample> {
        loop {
            let at_ms = self.due_ms().filter(|due| *due <= until_ms)?;
            let sample = self.measure(at_ms);
            if !self.faults.is_silent(at_ms) {
                return Some(sample);
            }
        }
    }

    /// How often the device sends the sample that was measured at this moment.
    pub(crate) fn copies(&self, at_ms: i64) -> usize {
        1 + usize::from(self.faults.strikes(Fault::Duplicate, at_ms).is_some())
    }

    /// Whether commands are answered at all.
    pub(crate) fn is_deaf(&self) -> bool {
        self.faults.is_deaf()
    }

    /// When the connection breaks next, and until when.
    pub(crate) fn next_break(&self, at_ms: i64, horizon_ms: i64) -> Option<Episode> {
        self.faults.next_break(at_ms, horizon_ms)
    }

    /// Sends this property so often from now on.
    pub(crate) fn set_every(&mut self, property: &Name, every_ms: i64) {
        for timed in self.timed.iter_mut().filter(|timed| timed.channel.name == *property) {
            if let Rhythm::Every { ms } = &mut timed.channel.rhythm {
                *ms = every_ms.max(1);
            }
        }
    }

    /// All channels of one lane that are due at this moment, in one message.
    fn measure(&mut self, at_ms: i64) -> Sample {
        let mut lane_dated = None;
        let mut values = Vec::new();
        for timed in self.timed.iter_mut().filter(|timed| timed.next_ms == at_ms) {
            let of = (timed.channel.lane, timed.channel.dated);
            if *lane_dated.get_or_insert(of) != of {
                continue;
            }
            values.push((timed.channel.name.clone(), timed.value(&self.faults, at_ms)));
            timed.next_ms = timed.after(at_ms, self.phase);
        }
        let (lane, dated) = lane_dated.unwrap_or((Lane::Normal, Dated::Device));
        let told_ms = (dated == Dated::Device).then(|| self.faults.clock(at_ms));
        Sample { at_ms, told_ms, lane, values }
    }
}

impl Timed {
    fn after(&self, at_ms: i64, phase: Seed) -> i64 {
        // Channels of the same interval share their phase, so they share a message.
        let left = |ms: i64| {
            let phase_ms = whole(phase.numbered(ms).unit() * ms as f64);
            ms - (at_ms - phase_ms).rem_euclid(ms)
        };
        match self.channel.rhythm {
            Rhythm::Every { ms } => at_ms + left(ms),
            Rhythm::OnChange => {
                let horizon_ms = left(UNCHANGED_MS_MAX);
                self.source.next_change(at_ms, horizon_ms).unwrap_or(at_ms + horizon_ms)
            }
        }
    }

    /// The measured value, with what is wrong with the sensor.
    fn value(&self, faults: &Faults, at_ms: i64) -> Value {
        let seen_ms = faults.stuck_since(at_ms).unwrap_or(at_ms);
        let value = self.source.value(seen_ms);
        let Value::Number(number) = value else { return value };
        let number = match faults.breakdowns() {
            Some(broken) => self.source.broken(number, seen_ms, broken),
            None => number,
        };
        let (low, high) = self.channel.bounds;
        let span = if (high - low).is_finite() { high - low } else { SPAN_DEFAULT };
        let number = number + faults.drift(at_ms, span);
        if self.begins_within(faults.strikes(Fault::Spike, at_ms), at_ms) {
            return Value::Number(if high.is_finite() { high } else { number + 10.0 * span });
        }
        // Three more digits than any signal has: the drift stays visible, the tail does not.
        Value::Number(libm::round(number * 1e6) / 1e6)
    }

    /// Whether this is the first sample of the episode.
    fn begins_within(&self, episode: Option<Episode>, at_ms: i64) -> bool {
        let every_ms = match self.channel.rhythm {
            Rhythm::Every { ms } => ms,
            Rhythm::OnChange => return false,
        };
        episode.is_some_and(|episode| at_ms - every_ms < episode.from_ms)
    }
}

#[cfg(test)]
pub(crate) mod tests;
