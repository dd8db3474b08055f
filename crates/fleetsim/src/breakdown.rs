//! What breaks for hours: the cooling, the sensor, the battery, the line.
//!
//! *Invariant:* a breakdown is a function of (seed, device, time) and never leaves its slot, so any
//! hour of any year can be asked for alone. A device breaks only in ways its readings can show.

use crate::episodes::{Episode, Episodes, Rhythm};
use crate::kind::VirtualKind;
use crate::noise::Seed;
use crate::signal::Signal;

/// A fleet of thirty has some ten of them in three months.
const BREAKDOWNS: Rhythm = Rhythm {
    slot_ms: 15 * 86_400_000,
    day: 0.06,
    night: 0.06,
    seconds: (4.0 * 3600.0, 20.0 * 3600.0),
    forgotten: (0.0, 0.0, 0.0),
};
/// Without its compressor a box follows the room in hours; repaired it cools in less.
const WARMING_S: f64 = 3.0 * 3600.0;
const COOLING_S: f64 = 2400.0;
/// Share of a breakdown after which a flat battery sends nothing more.
const FLAT_AFTER: f64 = 0.5;

/// A way to break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Breakdown {
    /// The cooling does not cool.
    Warm,
    /// Nothing is sent.
    Silent,
    /// The sensor repeats itself.
    Stuck,
    /// The battery runs down, and then nothing is sent until it is changed.
    Flat,
}

/// The breakdowns of one device.
#[derive(Debug, Clone)]
pub(crate) struct Breakdowns {
    seed: Seed,
    able: Vec<Breakdown>,
}

impl Breakdowns {
    pub(crate) fn new(device: Seed, kind: &VirtualKind) -> Self {
        let has = |wanted: fn(&Signal) -> bool| kind.channels.iter().any(|c| wanted(&c.signal));
        let mut able = vec![Breakdown::Silent];
        if has(|signal| matches!(signal, Signal::Cooled { .. })) {
            able.extend([Breakdown::Warm, Breakdown::Stuck]);
        }
        if has(|signal| matches!(signal, Signal::Battery | Signal::BatteryVoltage)) {
            able.push(Breakdown::Flat);
        }
        Self { seed: device.named("breakdowns"), able }
    }

    fn episodes(&self) -> Episodes {
        Episodes::new(self.seed, BREAKDOWNS)
    }

    fn kind_of(&self, episode: Episode) -> Option<Breakdown> {
        let slot = episode.from_ms.div_euclid(BREAKDOWNS.slot_ms);
        let share = self.seed.numbered(slot).named("kind").between(0.0, self.able.len() as f64);
        self.able.get(usize::try_from(crate::noise::whole(share)).ok()?).copied()
    }

    /// What is broken at this moment, and since when.
    pub(crate) fn at(&self, at_ms: i64) -> Option<(Breakdown, Episode)> {
        let episode = self.episodes().at(at_ms)?;
        Some((self.kind_of(episode)?, episode))
    }

    /// Whether the device sends nothing at this moment.
    pub(crate) fn is_silent(&self, at_ms: i64) -> bool {
        self.at(at_ms).is_some_and(|(what, episode)| match what {
            Breakdown::Silent => true,
            Breakdown::Flat => used(episode, at_ms) > FLAT_AFTER,
            Breakdown::Warm | Breakdown::Stuck => false,
        })
    }

    /// 0 to 1: what is left of the battery.
    pub(crate) fn battery_left(&self, at_ms: i64) -> f64 {
        match self.at(at_ms) {
            Some((Breakdown::Flat, episode)) => {
                (1.0 - used(episode, at_ms) / FLAT_AFTER).clamp(0.0, 1.0)
            }
            Some((Breakdown::Warm | Breakdown::Silent | Breakdown::Stuck, _)) | None => 1.0,
        }
    }

    /// When the sensor began to repeat itself, if it does.
    pub(crate) fn stuck_since(&self, at_ms: i64) -> Option<i64> {
        match self.at(at_ms)? {
            (Breakdown::Stuck, episode) => Some(episode.from_ms),
            (Breakdown::Warm | Breakdown::Silent | Breakdown::Flat, _) => None,
        }
    }

    /// 0 to 1: how far the inside of a cooled box has followed the room.
    pub(crate) fn warmth(&self, at_ms: i64) -> f64 {
        let memory_ms = crate::noise::whole(10.0 * COOLING_S * 1000.0);
        let Some(episode) = self.episodes().before(at_ms, memory_ms).next() else { return 0.0 };
        if self.kind_of(episode) != Some(Breakdown::Warm) {
            return 0.0;
        }
        let seconds = |from: i64, to: i64| (to - from).max(0) as f64 / 1000.0;
        let warmed =
            1.0 - libm::exp(-seconds(episode.from_ms, episode.to_ms.min(at_ms)) / WARMING_S);
        warmed * libm::exp(-seconds(episode.to_ms, at_ms) / COOLING_S)
    }
}

/// 0 to 1: how much of the episode is over.
fn used(episode: Episode, at_ms: i64) -> f64 {
    (at_ms - episode.from_ms) as f64 / (episode.to_ms - episode.from_ms).max(1) as f64
}
