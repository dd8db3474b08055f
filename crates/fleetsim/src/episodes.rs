//! Things that are on for a while: an open lid, a person in a room, a leak.
//!
//! *Invariant:* time is cut into slots and an episode never leaves its slot, so looking at one
//! moment needs one slot, and two episodes never overlap.

use crate::climate::solar_hour;
use crate::noise::{Seed, whole};

/// When episodes happen and how long they last.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rhythm {
    /// At most one episode in each.
    pub(crate) slot_ms: i64,
    /// Chance in a slot between 7 and 19 o'clock.
    pub(crate) day: f64,
    /// Chance in other slots.
    pub(crate) night: f64,
    /// The usual length.
    pub(crate) seconds: (f64, f64),
    /// Share of episodes somebody forgot to end, and how long those last.
    pub(crate) forgotten: (f64, f64, f64),
}

impl Rhythm {
    /// A lid or door of something in use: some fifteen times a day, rarely left open.
    pub(crate) const DOOR: Self = Self {
        slot_ms: 1_200_000,
        day: 0.4,
        night: 0.02,
        seconds: (8.0, 110.0),
        forgotten: (0.012, 840.0, 1_080.0),
    };
    /// People in a room.
    pub(crate) const PRESENCE: Self = Self {
        slot_ms: 5_400_000,
        day: 0.7,
        night: 0.05,
        seconds: (600.0, 5_000.0),
        forgotten: (0.0, 0.0, 0.0),
    };
    /// A leak, an alarm, a fault: about once in three weeks.
    pub(crate) const RARE: Self = Self {
        slot_ms: 7_200_000,
        day: 0.004,
        night: 0.004,
        seconds: (300.0, 5_000.0),
        forgotten: (0.0, 0.0, 0.0),
    };
}

/// The episodes of one device.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Episodes {
    seed: Seed,
    rhythm: Rhythm,
}

/// From its first to before its last millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Episode {
    /// When it begins.
    pub(crate) from_ms: i64,
    /// When it is over.
    pub(crate) to_ms: i64,
}

impl Episodes {
    /// The episodes that belong to a seed.
    #[must_use]
    pub(crate) const fn new(seed: Seed, rhythm: Rhythm) -> Self {
        Self { seed, rhythm }
    }

    fn in_slot(&self, slot: i64) -> Option<Episode> {
        let Rhythm { slot_ms, day, night, seconds, forgotten } = self.rhythm;
        let seed = self.seed.numbered(slot);
        let start = slot * slot_ms;
        let chance = if (7.0..19.0).contains(&solar_hour(start)) { day } else { night };
        if seed.named("happens").unit() >= chance {
            return None;
        }
        let left = seed.named("forgotten").unit() < forgotten.0;
        let (low, high) = if left { (forgotten.1, forgotten.2) } else { seconds };
        let long_ms = whole(seed.named("length").between(low, high) * 1000.0);
        // One second of the slot stays free, so that two episodes in a row are still two.
        let room = (slot_ms - long_ms - 1000).max(0);
        let from_ms = start + whole(seed.named("start").unit() * room as f64);
        Some(Episode { from_ms, to_ms: (from_ms + long_ms).min(start + slot_ms - 1000) })
    }

    /// The episode at this moment.
    #[must_use]
    pub(crate) fn at(&self, at_ms: i64) -> Option<Episode> {
        self.in_slot(at_ms.div_euclid(self.rhythm.slot_ms))
            .filter(|episode| (episode.from_ms..episode.to_ms).contains(&at_ms))
    }

    /// Episodes that began in the time before `at_ms` and not after it, newest first.
    pub(crate) fn before(&self, at_ms: i64, window_ms: i64) -> impl Iterator<Item = Episode> {
        let last = at_ms.div_euclid(self.rhythm.slot_ms);
        let first = (at_ms - window_ms).div_euclid(self.rhythm.slot_ms);
        let this = *self;
        (first..=last)
            .rev()
            .filter_map(move |slot| this.in_slot(slot))
            .filter(move |episode| episode.from_ms <= at_ms)
    }

    /// The next moment after `at_ms` at which the answer of [`Self::at`] changes, or
    /// `at_ms + horizon_ms` when there is none before.
    #[must_use]
    pub(crate) fn next_change(&self, at_ms: i64, horizon_ms: i64) -> i64 {
        let slot = |at: i64| at.div_euclid(self.rhythm.slot_ms);
        let end = at_ms + horizon_ms;
        (slot(at_ms)..=slot(end))
            .filter_map(|slot| self.in_slot(slot))
            .flat_map(|episode| [episode.from_ms, episode.to_ms])
            .find(|change| *change > at_ms)
            .map_or(end, |change| change.min(end))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY_MS: i64 = 86_400_000;
    const START: i64 = 1_784_073_600_000;

    fn door(seed: u64) -> Episodes {
        Episodes::new(Seed::new(seed), Rhythm::DOOR)
    }

    #[test]
    fn a_door_opens_some_fifteen_times_a_day_and_mostly_by_day() {
        let all: Vec<Episode> = door(1).before(START + 30 * DAY_MS, 30 * DAY_MS).collect();
        let by_day =
            all.iter().filter(|episode| (7.0..19.4).contains(&solar_hour(episode.from_ms))).count();
        assert!((300..600).contains(&all.len()), "{}", all.len());
        assert!(by_day * 10 > all.len() * 9, "{by_day} of {}", all.len());
    }

    #[test]
    fn some_doors_are_left_open() {
        let long = |seed| {
            door(seed)
                .before(START + 60 * DAY_MS, 60 * DAY_MS)
                .filter(|episode| episode.to_ms - episode.from_ms > 600_000)
                .count()
        };
        let total: usize = (0..10).map(long).sum();
        assert!((30..300).contains(&total), "{total}");
    }

    proptest! {
        #[test]
        fn walking_along_the_changes_meets_every_episode(seed: u64, day in 0_i64..20_000) {
            let episodes = door(seed);
            let (mut at, end) = (day * DAY_MS, (day + 1) * DAY_MS);
            let mut begun = u64::from(episodes.at(at).is_some());
            while at < end {
                let next = episodes.next_change(at, 3_600_000);
                prop_assert!(next > at);
                if episodes.at(at).is_none() && episodes.at(next).is_some() && next < end {
                    begun += 1;
                }
                at = next;
            }
            let listed = episodes.before(end - 1, DAY_MS - 1).filter(|e| e.to_ms > day * DAY_MS);
            prop_assert_eq!(begun, listed.count() as u64);
        }
    }
}
