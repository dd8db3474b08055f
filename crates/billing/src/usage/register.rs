//! Registers that only count up: meters of energy, water, pages, bytes.
//!
//! *Invariant:* consumption is never negative, whatever the register does: it rolls over, is
//! reset, swapped or steps back by jitter. Consumption of adjacent stretches of time adds up to
//! that of the whole, to the last digit.
//!
//! A reading belongs to the instant at which it was taken: what was used between two readings lies
//! between them, so the reading at midnight closes the old period and opens the new one.

use std::time::Duration;

use model::Timestamp;
use rust_decimal::{Decimal, RoundingStrategy};

use crate::Error;
use crate::error::{difference, product, quotient, sum};
use crate::zone::Period;

const WHAT: &str = "register";
/// Digits after the point of a value between two readings.
const INTERPOLATED_DIGITS: u32 = 9;
const HOUR_MS: i64 = 3_600_000;

/// What is assumed between two readings when a period's edge, or a calendar slot's, lies there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gap {
    /// Nothing: all of it is dated at the later reading.
    Hold,
    /// It was used evenly.
    Linear,
    /// Evenly, and after the last reading at this rate per hour until the next one comes.
    Rate(Decimal),
}

/// How a register is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Register {
    /// The reading at which it starts again from zero, for example 100000.
    pub rollover: Option<Decimal>,
    /// The largest step back that is jitter and not a reset.
    pub backstep_max: Decimal,
    /// Units per count, for example a current transformer's ratio.
    pub multiplier: Decimal,
    /// What is assumed in a gap.
    pub gap: Gap,
    /// Interpolation over more than this is marked as estimated.
    pub gap_max: Duration,
}

/// A register replaced by another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swap {
    /// When.
    pub time: Timestamp,
    /// Last reading of the old one.
    pub last: Decimal,
    /// First reading of the new one.
    pub first: Decimal,
    /// Units per count from now on; `None` leaves it.
    pub multiplier: Option<Decimal>,
}

/// A reading of a register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RegisterReading {
    pub(super) time: Timestamp,
    pub(super) shown: Decimal,
    /// Whether the step to it is counted here, or in another group.
    pub(super) own: bool,
}

/// What a register showed in some stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Consumption {
    /// Used, multiplied.
    pub(super) used: Decimal,
    /// Part of it that lies between two readings far apart, or after the last one.
    pub(super) estimated: Decimal,
    /// Times the register rolled over.
    pub(super) rollovers: u64,
    /// Times it was reset.
    pub(super) resets: u64,
    /// Times it was swapped.
    pub(super) swaps: u64,
}

impl Default for Register {
    fn default() -> Self {
        Self {
            rollover: None,
            backstep_max: Decimal::ZERO,
            multiplier: Decimal::ONE,
            gap: Gap::Hold,
            gap_max: Duration::ZERO,
        }
    }
}

/// A point of the running total.
#[derive(Debug, Clone, Copy)]
struct Knot {
    time: Timestamp,
    total: Decimal,
}

/// What one step of a register was.
enum Stride {
    Forward(Decimal),
    Rollover(Decimal),
    Reset(Decimal),
    Jitter,
}

impl Register {
    /// Whether a reading is one to count from, whatever came before `older`: it rose or fell by
    /// more than jitter does.
    #[must_use]
    pub fn is_sure(&self, older: Decimal, newer: Decimal) -> bool {
        newer.checked_sub(older).is_none_or(|step| step.abs() > self.backstep_max)
    }

    fn stride(&self, before: Decimal, now: Decimal) -> Result<Stride, Error> {
        if now >= before {
            return Ok(Stride::Forward(difference(now, before, WHAT)?));
        }
        let back = difference(before, now, WHAT)?;
        if back <= self.backstep_max {
            return Ok(Stride::Jitter);
        }
        if let Some(size) = self.rollover {
            let across = difference(size, back, WHAT)?;
            // Less than half a turn is a rollover; more is likelier a register set to zero.
            if across >= Decimal::ZERO && across < difference(size, across, WHAT)? {
                return Ok(Stride::Rollover(across));
            }
        }
        Ok(Stride::Reset(now.max(Decimal::ZERO)))
    }

    /// The running total over all readings, from zero at the first.
    fn curve(
        &self,
        readings: &[RegisterReading],
        swaps: &[Swap],
    ) -> Result<(Vec<Knot>, Consumption), Error> {
        let mut knots = Vec::with_capacity(readings.len() + swaps.len());
        let mut seen = Consumption::default();
        let mut total = Decimal::ZERO;
        let mut before: Option<Decimal> = None;
        let mut multiplier = self.multiplier;
        let mut swaps = swaps.iter().peekable();
        // Steps of another group move the register, and add nothing here.
        let mut elsewhere = Consumption::default();
        for RegisterReading { time, shown, own } in readings {
            let (seen, weight) =
                if *own { (&mut seen, Decimal::ONE) } else { (&mut elsewhere, Decimal::ZERO) };
            while let Some(swap) = swaps.next_if(|swap| swap.time <= *time) {
                if let Some(last) = before {
                    let step = self.advance(last, swap.last, seen)?;
                    let counted = product(step.0, multiplier, WHAT)?;
                    total = sum(total, product(counted, weight, WHAT)?, WHAT)?;
                    knots.push(Knot { time: swap.time, total });
                    seen.swaps += 1;
                    before = Some(swap.first);
                } else if knots.is_empty() && swap.time == *time {
                    before = Some(swap.first);
                    knots.push(Knot { time: swap.time, total });
                }
                multiplier = swap.multiplier.unwrap_or(multiplier);
            }
            if let Some(last) = before {
                let step = self.advance(last, *shown, seen)?;
                let counted = product(step.0, multiplier, WHAT)?;
                total = sum(total, product(counted, weight, WHAT)?, WHAT)?;
                before = Some(step.1);
            } else {
                before = Some(*shown);
            }
            knots.push(Knot { time: *time, total });
        }
        let counts = readings.last().is_none_or(|reading| reading.own);
        for swap in swaps.filter(|_| counts) {
            if let Some(last) = before {
                let step = self.advance(last, swap.last, &mut seen)?;
                total = sum(total, product(step.0, multiplier, WHAT)?, WHAT)?;
                knots.push(Knot { time: swap.time, total });
                seen.swaps += 1;
            }
            before = Some(swap.first);
            multiplier = swap.multiplier.unwrap_or(multiplier);
        }
        Ok((knots, seen))
    }

    /// The step, and the reading the next one starts from.
    fn advance(
        &self,
        last: Decimal,
        now: Decimal,
        seen: &mut Consumption,
    ) -> Result<(Decimal, Decimal), Error> {
        Ok(match self.stride(last, now)? {
            Stride::Forward(step) => (step, now),
            Stride::Rollover(step) => {
                seen.rollovers += 1;
                (step, now)
            }
            Stride::Reset(step) => {
                seen.resets += 1;
                (step, now)
            }
            // The next step starts from the higher reading, or jitter would add up.
            Stride::Jitter => (Decimal::ZERO, last),
        })
    }

    /// The running total at an instant, and the part of it that is only assumed.
    fn at(&self, knots: &[Knot], time: Timestamp) -> Result<(Decimal, Decimal), Error> {
        let next = knots.partition_point(|knot| knot.time <= time);
        let Some(last) = next.checked_sub(1).and_then(|i| knots.get(i)) else {
            return Ok((Decimal::ZERO, Decimal::ZERO));
        };
        let millis = |from: Timestamp, to: Timestamp| to.as_millis() - from.as_millis();
        let passed = millis(last.time, time);
        let after = knots.get(next);
        let assumed = match (self.gap, after) {
            (Gap::Hold, _) | (Gap::Linear, None) => return Ok((last.total, Decimal::ZERO)),
            (Gap::Linear | Gap::Rate(_), Some(after)) => {
                let step = product(after.total - last.total, Decimal::from(passed), WHAT)?;
                quotient(step, Decimal::from(millis(last.time, after.time)), WHAT)?
            }
            (Gap::Rate(rate), None) => {
                if passed <= self.gap_max_ms() {
                    return Ok((last.total, Decimal::ZERO));
                }
                let hours = quotient(Decimal::from(passed), Decimal::from(HOUR_MS), WHAT)?;
                product(rate, hours, WHAT)?
            }
        };
        let half_up = RoundingStrategy::MidpointAwayFromZero;
        let assumed = assumed.round_dp_with_strategy(INTERPOLATED_DIGITS, half_up);
        let far = after.is_none_or(|after| millis(last.time, after.time) > self.gap_max_ms());
        let estimated = if far { assumed } else { Decimal::ZERO };
        Ok((sum(last.total, assumed, WHAT)?, estimated))
    }

    fn gap_max_ms(&self) -> i64 {
        i64::try_from(self.gap_max.as_millis()).unwrap_or(i64::MAX)
    }

    /// Consumption inside the pieces. Readings and swaps are in order of time.
    pub(super) fn consumption(
        &self,
        readings: &[RegisterReading],
        swaps: &[Swap],
        pieces: &[Period],
    ) -> Result<Consumption, Error> {
        let (knots, mut all) = self.curve(readings, swaps)?;
        for piece in pieces {
            let (start, _) = self.at(&knots, piece.from)?;
            let (end, _) = self.at(&knots, piece.to)?;
            all.used = sum(all.used, end - start, WHAT)?;
            let estimated = self.estimated(&knots, *piece)?;
            all.estimated = sum(all.estimated, estimated, WHAT)?;
        }
        Ok(all)
    }

    /// The part of a piece's consumption that no reading confirms: from its start to the first
    /// reading inside, and from the last one inside to its end.
    fn estimated(&self, knots: &[Knot], piece: Period) -> Result<Decimal, Error> {
        let (start, start_assumed) = self.at(knots, piece.from)?;
        let (end, end_assumed) = self.at(knots, piece.to)?;
        let first = knots.partition_point(|knot| knot.time <= piece.from);
        let last = knots.partition_point(|knot| knot.time <= piece.to);
        if first == last {
            // No reading inside: both edges lie in the same gap.
            let any = !end_assumed.is_zero() || !start_assumed.is_zero();
            return Ok(if any { end - start } else { Decimal::ZERO });
        }
        let head = match knots.get(first) {
            Some(knot) if !start_assumed.is_zero() => knot.total - start,
            Some(_) | None => Decimal::ZERO,
        };
        sum(head, end_assumed, WHAT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn t(hours: i64) -> Timestamp {
        Timestamp::from_millis(hours * HOUR_MS)
    }

    fn reading(hour: i64, shown: i64) -> RegisterReading {
        RegisterReading { time: t(hour), shown: Decimal::from(shown), own: true }
    }

    fn used(register: &Register, readings: &[(i64, i64)], from: i64, to: i64) -> Consumption {
        let readings: Vec<_> = readings.iter().map(|(h, r)| reading(*h, *r)).collect();
        register.consumption(&readings, &[], &[Period { from: t(from), to: t(to) }]).unwrap()
    }

    #[test]
    fn a_rollover_counts_across_and_a_reset_from_zero() {
        let register = Register { rollover: Some(Decimal::from(100_000)), ..Register::default() };
        let rolled = used(&register, &[(0, 99_990), (1, 10)], 0, 2);
        assert_eq!((rolled.used, rolled.rollovers, rolled.resets), (Decimal::from(20), 1, 0));
        let reset = used(&register, &[(0, 40_000), (1, 7)], 0, 2);
        assert_eq!((reset.used, reset.rollovers, reset.resets), (Decimal::from(7), 0, 1));
    }

    #[test]
    fn jitter_is_neither_counted_nor_added_up() {
        let register = Register { backstep_max: Decimal::from(2), ..Register::default() };
        let used = used(&register, &[(0, 100), (1, 99), (2, 100), (3, 98), (4, 103)], 0, 5);
        assert_eq!((used.used, used.resets), (Decimal::from(3), 0));
    }

    #[test]
    fn a_swap_closes_the_old_register_and_opens_the_new() {
        let register = Register { multiplier: Decimal::from(10), ..Register::default() };
        let readings = [reading(0, 500), reading(4, 8)];
        let swap = Swap {
            time: t(2),
            last: Decimal::from(520),
            first: Decimal::from(3),
            multiplier: Some(Decimal::from(40)),
        };
        let whole = [Period { from: t(0), to: t(5) }];
        let used = register.consumption(&readings, &[swap], &whole).unwrap();
        // 20 counts x 10, then 5 counts x 40.
        assert_eq!((used.used, used.swaps, used.resets), (Decimal::from(400), 1, 0));
    }

    #[test]
    fn a_gap_over_the_edge_is_split_evenly_and_marked() {
        let linear = Register { gap: Gap::Linear, ..Register::default() };
        let readings = [(0, 0), (10, 100), (20, 140)];
        let first = used(&linear, &readings, 0, 5);
        assert_eq!((first.used, first.estimated), (Decimal::from(50), Decimal::from(50)));
        let rest = used(&linear, &readings, 5, 15);
        assert_eq!((rest.used, rest.estimated), (Decimal::from(70), Decimal::from(70)));
        let held = used(&Register::default(), &readings, 0, 5);
        assert_eq!((held.used, held.estimated), (Decimal::ZERO, Decimal::ZERO));
    }

    #[test]
    fn a_silent_register_is_estimated_until_it_speaks_again() {
        let register = Register { gap: Gap::Rate(Decimal::from(2)), ..Register::default() };
        let silent = used(&register, &[(0, 0), (1, 3)], 0, 10);
        assert_eq!((silent.used, silent.estimated), (Decimal::from(21), Decimal::from(18)));
        let heard = used(&register, &[(0, 0), (1, 3), (10, 12)], 0, 10);
        assert_eq!((heard.used, heard.estimated), (Decimal::from(12), Decimal::ZERO));
    }

    proptest! {
        #[test]
        fn consumption_is_never_negative_and_adds_up_over_any_cut(
            steps in prop::collection::vec((1_i64..50, 0_i64..1000), 1..40),
            cuts in prop::collection::btree_set(0_i64..2000, 0..12),
            gap in 0_usize..3,
            rollover in prop::option::of(1000_i64..2000),
            backstep in 0_i64..50,
        ) {
            let gaps = [Gap::Hold, Gap::Linear, Gap::Rate(Decimal::new(15, 1))];
            let register = Register {
                rollover: rollover.map(Decimal::from),
                backstep_max: Decimal::from(backstep),
                gap: gaps[gap],
                ..Register::default()
            };
            let mut hour = 0;
            let readings: Vec<(i64, i64)> = steps
                .iter()
                .map(|(wait, value)| {
                    hour += wait;
                    (hour, *value)
                })
                .collect();
            let whole = used(&register, &readings, 0, 2000);
            prop_assert!(whole.used >= Decimal::ZERO);
            prop_assert!(whole.estimated <= whole.used);
            let mut edges: Vec<i64> = cuts.into_iter().collect();
            edges.insert(0, 0);
            edges.push(2000);
            let mut total = Decimal::ZERO;
            for pair in edges.windows(2) {
                let part = used(&register, &readings, pair[0], pair[1]).used;
                prop_assert!(part >= Decimal::ZERO);
                total += part;
            }
            prop_assert_eq!(total, whole.used);
        }
    }
}
