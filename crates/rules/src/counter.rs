//! A counter that survives what happens to meters.
//!
//! *Invariant:* what it adds up never falls and never jumps: a reading below the last one is a
//! rollover where the blueprint names one and the step is plausible, otherwise a reset or another
//! meter, and counting goes on from there. At most what was counted since the last reading is lost;
//! nothing is invented.

use blueprint::Counter as Kind;
use model::Timestamp;
use model::wire::{Reader, WireError, Writer};

/// Adds up what a meter counted.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Counter {
    last: Option<(Timestamp, f64)>,
    /// What was added by the newest reading, so that a correction can take it back.
    added: f64,
    previous: Option<(Timestamp, f64)>,
    total: f64,
}

impl Counter {
    /// Takes in a reading; gives what was counted since the first. A late one gives nothing.
    pub(crate) fn take(
        &mut self,
        kind: Kind,
        every_ms: Option<f64>,
        (time, raw): (Timestamp, f64),
    ) -> Option<f64> {
        match self.last {
            Some((last, _)) if time < last => return None,
            Some((last, _)) if time == last => self.total -= self.added,
            Some(_) => self.previous = self.last,
            None => {}
        }
        let intervals = self.previous.zip(every_ms).map_or(1.0, |((last, _), every)| {
            let apart = time.as_millis().saturating_sub(last.as_millis());
            #[expect(clippy::cast_precision_loss, reason = "2^53 ms are 285 thousand years")]
            let apart = apart as f64;
            (apart / every).max(1.0)
        });
        self.added = self.previous.map_or(0.0, |(_, last)| growth(kind, last, raw, intervals));
        self.total += self.added;
        self.last = Some((time, raw));
        Some(self.total)
    }

    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        let put = |out: &mut Vec<u8>, (time, raw): (Timestamp, f64)| {
            out.put_i64(time.as_millis());
            out.put_f64(raw);
        };
        out.put_option(self.last, put);
        out.put_option(self.previous, put);
        out.put_f64(self.added);
        out.put_f64(self.total);
    }

    pub(crate) fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let pair = |r: &mut Reader<'_>| Ok((Timestamp::from_millis(r.i64()?), r.f64()?));
        Ok(Self {
            last: r.option(pair)?,
            previous: r.option(pair)?,
            added: r.f64()?,
            total: r.f64()?,
        })
    }
}

fn growth(kind: Kind, last: f64, raw: f64, intervals: f64) -> f64 {
    let plausible = |step: f64| kind.step_max.is_none_or(|max| step <= max * intervals);
    if raw >= last {
        let step = raw - last;
        return if plausible(step) { step } else { 0.0 };
    }
    // Past the top and still below the middle: a reset to zero near the bottom looks otherwise.
    match kind.rollover {
        Some(top) if top - last + raw <= top / 2.0 && plausible(top - last + raw) => {
            top - last + raw
        }
        Some(_) | None => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn counted(kind: Kind, readings: &[(i64, f64)]) -> Vec<f64> {
        let mut counter = Counter::default();
        let every = Some(3_600_000.0);
        let taken = readings.iter().map(|(hour, raw)| {
            counter.take(kind, every, (Timestamp::from_millis(hour * HOUR), *raw))
        });
        taken.flatten().collect()
    }

    #[test]
    fn a_reset_adds_nothing_and_counting_goes_on() {
        let plain = Kind { rollover: None, step_max: None };
        assert_eq!(
            counted(plain, &[(0, 500.0), (1, 510.0), (2, 3.0), (3, 5.0)]),
            [0.0, 10.0, 10.0, 12.0]
        );
    }

    #[test]
    fn a_rollover_adds_across_the_top() {
        let rolls = Kind { rollover: Some(1000.0), step_max: None };
        assert_eq!(counted(rolls, &[(0, 990.0), (1, 5.0), (2, 7.0)]), [0.0, 15.0, 17.0]);
        // From the middle to zero is a reset.
        assert_eq!(counted(rolls, &[(0, 400.0), (1, 5.0), (2, 7.0)]), [0.0, 0.0, 2.0]);
    }

    #[test]
    fn another_meter_is_no_consumption() {
        let bounded = Kind { rollover: None, step_max: Some(20.0) };
        assert_eq!(counted(bounded, &[(0, 100.0), (1, 9000.0), (2, 9010.0)]), [0.0, 0.0, 10.0]);
    }

    #[test]
    fn a_month_offline_is_counted_whole() {
        let bounded = Kind { rollover: None, step_max: Some(20.0) };
        assert_eq!(counted(bounded, &[(0, 100.0), (720, 820.0)]), [0.0, 720.0]);
    }

    #[test]
    fn a_correction_replaces_and_a_late_one_is_left() {
        let plain = Kind { rollover: None, step_max: None };
        assert_eq!(
            counted(plain, &[(0, 1.0), (2, 5.0), (2, 4.0), (1, 9.0), (3, 6.0)]),
            [0.0, 4.0, 3.0, 5.0]
        );
    }
}
