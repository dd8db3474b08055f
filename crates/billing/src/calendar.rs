//! Time-of-use calendars: which slot (peak, night ...) an instant of the customer's day belongs to.
//!
//! *Invariant:* every instant has exactly one slot: the first rule that matches, else the default.
//! Hours are local wall-clock hours, so the repeated hour of autumn belongs to its slot twice and
//! the skipped hour of spring to none.

use std::collections::{BTreeMap, BTreeSet};

use jiff::ToSpan;
use jiff::civil::{Date, Time, Weekday};
use model::{Name, Timestamp};

use crate::Error;
use crate::zone::{Period, Zone};

/// The most pieces one period may be cut into: ten years of quarter-hours.
const PIECES_MAX: usize = 400_000;

/// When a slot applies. Empty sets mean "always".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotRule {
    /// Which slot.
    pub slot: Name,
    /// Days of the week.
    pub weekdays: Vec<Weekday>,
    /// Months, 1 to 12.
    pub months: BTreeSet<i8>,
    /// Local time of day from which; a window that ends before it starts goes over midnight.
    pub from: Time,
    /// Local time of day up to which; equal to `from` means the whole day.
    pub to: Time,
}

/// A calendar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    /// First match wins.
    pub rules: Vec<SlotRule>,
    /// Slot of everything else.
    pub otherwise: Name,
    /// Days that count as Sundays.
    pub holidays: BTreeSet<Date>,
}

impl SlotRule {
    fn matches(&self, weekday: Weekday, month: i8, time: Time) -> bool {
        let in_day = if self.from == self.to {
            true
        } else if self.from < self.to {
            self.from <= time && time < self.to
        } else {
            time >= self.from || time < self.to
        };
        let on_day = self.weekdays.is_empty() || self.weekdays.contains(&weekday);
        in_day && on_day && (self.months.is_empty() || self.months.contains(&month))
    }
}

impl Calendar {
    /// The slot of an instant.
    ///
    /// # Errors
    /// Outside the calendar.
    pub fn slot(&self, zone: &Zone, time: Timestamp) -> Result<&Name, Error> {
        let local = zone.local(time)?;
        let date = local.date();
        let weekday = if self.holidays.contains(&date) { Weekday::Sunday } else { date.weekday() };
        let found = self.rules.iter().find(|r| r.matches(weekday, date.month(), local.time()));
        Ok(found.map_or(&self.otherwise, |rule| &rule.slot))
    }

    /// Every slot this calendar can give.
    #[must_use]
    pub fn slots(&self) -> BTreeSet<Name> {
        let mut slots: BTreeSet<Name> = self.rules.iter().map(|r| r.slot.clone()).collect();
        slots.insert(self.otherwise.clone());
        slots
    }

    /// Cuts a period into the stretches of each slot; together they are the period.
    ///
    /// # Errors
    /// Outside the calendar, or more than 400,000 pieces.
    pub fn cut(&self, zone: &Zone, period: Period) -> Result<BTreeMap<Name, Vec<Period>>, Error> {
        let mut cuts = self.boundaries(zone, period)?;
        cuts.push(period.to);
        let mut slots: BTreeMap<Name, Vec<Period>> = BTreeMap::new();
        let mut from = period.from;
        for to in cuts {
            if to <= from {
                continue;
            }
            let pieces = slots.entry(self.slot(zone, from)?.clone()).or_default();
            match pieces.last_mut() {
                Some(last) if last.to == from => last.to = to,
                Some(_) | None => pieces.push(Period { from, to }),
            }
            from = to;
        }
        Ok(slots)
    }

    /// Instants inside the period at which the slot may change, ascending. The jumps of the zone
    /// are among them because midnight and every rule's edge are asked day by day.
    fn boundaries(&self, zone: &Zone, period: Period) -> Result<Vec<Timestamp>, Error> {
        let mut edges: BTreeSet<Time> = BTreeSet::from([Time::midnight()]);
        for rule in &self.rules {
            edges.extend([rule.from, rule.to]);
        }
        let mut cuts = BTreeSet::new();
        let mut day = zone.day(period.from)?;
        let last = zone.day(period.to)?;
        while day <= last {
            for edge in &edges {
                let local = day.to_datetime(*edge);
                let first = zone.instant(local)?;
                cuts.insert(first);
                // A wall-clock time that happens twice, and the hour that is jumped over or
                // repeated, can both change the slot: look at the hours around the edge too.
                for hours in 1..=3_i64 {
                    let later = Timestamp::from_millis(first.as_millis() + hours * 3_600_000);
                    let moved = zone.local(later)?.time() != edge.wrapping_add(hours.hours());
                    if moved {
                        self.refine(zone, first, &mut cuts)?;
                        break;
                    }
                }
            }
            if cuts.len() > PIECES_MAX {
                let (what, limit) = ("time-of-use pieces of a period", "pieces_max");
                return Err(Error::Limit { what, limit, max: PIECES_MAX });
            }
            day = day.tomorrow().map_err(|_| Error::Time { time: period.to.as_millis() })?;
        }
        Ok(cuts.into_iter().filter(|cut| period.holds(*cut)).collect())
    }

    /// Adds every minute around a clock change at which the slot differs from the minute before.
    fn refine(
        &self,
        zone: &Zone,
        around: Timestamp,
        cuts: &mut BTreeSet<Timestamp>,
    ) -> Result<(), Error> {
        let mut before = self.slot(zone, around)?;
        for minute in 1..=300_i64 {
            let time = Timestamp::from_millis(around.as_millis() + minute * 60_000);
            let slot = self.slot(zone, time)?;
            if slot != before {
                cuts.insert(time);
                before = slot;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::time;
    use proptest::prelude::*;

    fn night() -> Calendar {
        let rule = |slot: &str, from, to| SlotRule {
            slot: slot.parse().unwrap(),
            weekdays: Vec::new(),
            months: BTreeSet::new(),
            from,
            to,
        };
        Calendar {
            rules: vec![rule("night", time(22, 0, 0, 0), time(6, 0, 0, 0))],
            otherwise: "day".parse().unwrap(),
            holidays: BTreeSet::new(),
        }
    }

    fn hours(pieces: &[Period]) -> i64 {
        pieces.iter().map(Period::millis).sum::<i64>() / 3_600_000
    }

    #[test]
    fn the_night_of_a_clock_change_is_an_hour_shorter_or_longer() {
        let berlin = Zone::named("Europe/Berlin").unwrap();
        for (day, night_hours) in
            [("2026-03-28T12:00:00Z", 8), ("2026-03-29T12:00:00Z", 7), ("2026-10-25T12:00:00Z", 9)]
        {
            let period = berlin.period(crate::zone::Cadence::Day, day.parse().unwrap()).unwrap();
            let cut = night().cut(&berlin, period).unwrap();
            assert_eq!(hours(&cut["night"]), night_hours, "{day}");
            assert_eq!(hours(&cut["day"]), 16, "{day}");
        }
    }

    #[test]
    fn a_holiday_counts_as_a_sunday() {
        let mut calendar = night();
        calendar.rules[0].weekdays = vec![Weekday::Sunday];
        calendar.rules[0].to = calendar.rules[0].from;
        let zone = Zone::utc();
        let friday: Timestamp = "2026-12-25T12:00:00Z".parse().unwrap();
        assert_eq!(calendar.slot(&zone, friday).unwrap().as_str(), "day");
        calendar.holidays.insert(jiff::civil::date(2026, 12, 25));
        assert_eq!(calendar.slot(&zone, friday).unwrap().as_str(), "night");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn the_cut_agrees_with_the_slot_of_every_instant(
            start in 1_760_000_000_i64..1_800_000_000,
            minutes in 1_i64..6000,
            from in 0_i8..24,
            to in 0_i8..24,
        ) {
            let mut calendar = night();
            calendar.rules[0].from = time(from, 30, 0, 0);
            calendar.rules[0].to = time(to, 15, 0, 0);
            let zone = Zone::named("Europe/Berlin").unwrap();
            let period = Period {
                from: Timestamp::from_millis(start * 1000),
                to: Timestamp::from_millis(start * 1000 + minutes * 60_000),
            };
            let cut = calendar.cut(&zone, period).unwrap();
            let total: i64 = cut.values().flatten().map(Period::millis).sum();
            prop_assert_eq!(total, period.millis());
            for (slot, pieces) in &cut {
                for piece in pieces {
                    let middle = (piece.from.as_millis() + piece.to.as_millis()) / 2;
                    for at in [piece.from.as_millis(), middle, piece.to.as_millis() - 1] {
                        let at = Timestamp::from_millis(at);
                        prop_assert_eq!(calendar.slot(&zone, at).unwrap(), slot);
                    }
                }
            }
        }
    }
}
