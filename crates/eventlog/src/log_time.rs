//! Log time: the folds' only clock.
//!
//! *Invariant:* it never goes back. It follows the wall clock; when the wall is behind it goes on
//! by the steady counter, and a forward step of the wall above `clock_step_max` is not followed
//! until somebody confirms it.
//!
//! A step is a change of the wall against the steady counter while the log is open. The time the
//! program was not running is no step: nothing can tell a week off from a wrong clock.

use std::time::Duration;

use model::{Clock, Timestamp};

/// Less than this behind is how every clock is disciplined (NTP slews); it is not worth a warning.
const BEHIND_TOLERATED: Duration = Duration::from_secs(1);

/// How log time and wall clock stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockState {
    /// Log time is the wall clock.
    Ok,
    /// The wall is behind the log; log time goes on by the steady counter.
    Behind,
    /// The wall stepped forward too far; log time goes on by the steady counter until confirmed.
    StepHeld,
}

/// The state of log time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogTime {
    last: Timestamp,
    // Where the wall was last believed, on both clocks.
    anchor: Timestamp,
    anchor_steady: Duration,
    step_max: Duration,
}

impl LogTime {
    pub(crate) fn new(last: Timestamp, step_max: Duration, clock: &dyn Clock) -> Self {
        let anchor = last.max(clock.now());
        Self { last, anchor, anchor_steady: clock.monotonic(), step_max }
    }

    fn look(&self, wall: Timestamp, steady: Duration) -> (Timestamp, ClockState) {
        let expected = self.anchor + steady.saturating_sub(self.anchor_steady);
        let (time, state) = if wall > expected && wall.since(expected) > self.step_max {
            (expected, ClockState::StepHeld)
        } else if wall < self.last {
            let behind = self.last.since(wall) > BEHIND_TOLERATED;
            (expected, if behind { ClockState::Behind } else { ClockState::Ok })
        } else {
            (wall, ClockState::Ok)
        };
        (time.max(self.last), state)
    }

    /// The time of the next batch.
    pub(crate) fn next(&mut self, clock: &dyn Clock) -> Timestamp {
        let (wall, steady) = (clock.now(), clock.monotonic());
        let (time, _) = self.look(wall, steady);
        // Otherwise the anchor stays, so that fractions of a millisecond add up.
        if time == wall {
            self.anchor = time;
            self.anchor_steady = steady;
        }
        self.last = time;
        time
    }

    /// The time of the newest batch.
    pub(crate) const fn last(&self) -> Timestamp {
        self.last
    }

    pub(crate) fn state(&self, clock: &dyn Clock) -> ClockState {
        self.look(clock.now(), clock.monotonic()).1
    }

    /// Believes the wall, however far ahead it is.
    pub(crate) fn confirm(&mut self, clock: &dyn Clock) {
        *self = Self::new(self.last, self.step_max, clock);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use faultsim::SimClock;

    const HOUR: Duration = Duration::from_secs(3600);

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn a_wall_set_back_does_not_stop_log_time() {
        let clock = SimClock::new(at(100_000));
        let mut time = LogTime::new(at(0), HOUR, &clock);
        assert_eq!(time.next(&clock), at(100_000));
        clock.jump(at(50_000));
        assert_eq!(time.state(&clock), ClockState::Behind);
        for step in 1..=10 {
            clock.advance(Duration::from_micros(500));
            assert_eq!(time.next(&clock), at(100_000 + step / 2));
        }
        clock.jump(at(200_000));
        assert_eq!(time.next(&clock), at(200_000));
        assert_eq!(time.state(&clock), ClockState::Ok);
    }

    #[test]
    fn a_long_step_forward_is_held_until_confirmed() {
        let clock = SimClock::new(at(0));
        let mut time = LogTime::new(at(0), HOUR, &clock);
        clock.jump(at(3_600_001));
        assert_eq!(time.next(&clock), at(0));
        assert_eq!(time.state(&clock), ClockState::StepHeld);
        clock.advance(Duration::from_secs(1));
        assert_eq!(time.next(&clock), at(1000), "time goes on meanwhile");
        time.confirm(&clock);
        assert_eq!(time.next(&clock), at(3_601_001));
        assert_eq!(time.state(&clock), ClockState::Ok);
    }

    #[test]
    fn a_step_of_an_hour_and_a_day_without_traffic_are_followed() {
        let clock = SimClock::new(at(0));
        let mut time = LogTime::new(at(0), HOUR, &clock);
        clock.jump(at(3_600_000));
        assert_eq!(time.next(&clock), at(3_600_000));
        clock.advance(24 * HOUR);
        assert_eq!(time.next(&clock), at(25 * 3_600_000));
    }

    #[test]
    fn a_restart_follows_the_wall_forward_but_never_back() {
        let clock = SimClock::new(at(10 * 3_600_000));
        assert_eq!(LogTime::new(at(0), HOUR, &clock).next(&clock), at(10 * 3_600_000));
        let ahead = at(20 * 3_600_000);
        let mut time = LogTime::new(ahead, HOUR, &clock);
        assert_eq!(time.next(&clock), ahead);
        assert_eq!(time.state(&clock), ClockState::Behind);
    }
}
