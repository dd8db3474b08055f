//! The safe envelope of a setting or command: how far, how often and when it may be driven.
//!
//! *Invariant:* whatever is asked, by whom and in which order: a value that was taken lies within
//! its bounds, values other than the safe one change at most `rate` times in its window and not
//! before `dwell` has passed, and only while `interlock` is known to hold. The safe value is always
//! taken, because a way into safety is never barred.
//!
//! Pure: time, truth and the past are handed in. Whoever drives a device (a person's wish, a
//! command, a rule) asks [`Envelope::judge`] first and then notes what was done by [`Past::note`].

mod past;
mod read;

use std::time::Duration;

use model::{Name, Timestamp, Value};

use crate::Formula;
use crate::duration::human;

pub use past::{Driving, Past};
pub(crate) use read::{COMMAND_ENVELOPE_KEYS, SETTING_ENVELOPE_KEYS};

/// Acts that a rate may count; each is remembered for every device.
pub const RATE_ACTS_MAX: u32 = 60;

/// What an act has to stay inside; all that is absent does not bound.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Envelope {
    /// Smallest value, in the unit of the setting.
    pub min: Option<f64>,
    /// Largest value.
    pub max: Option<f64>,
    /// How many acts in which time.
    pub rate: Option<Rate>,
    /// How long a value is held before another may follow.
    pub dwell: Option<Duration>,
    /// What must hold at the time of the act.
    pub interlock: Option<Interlock>,
    /// What is wanted when nobody confirms.
    pub safe: Option<Safe>,
}

/// A condition over newest readings of the device.
#[derive(Debug, Clone, PartialEq)]
pub struct Interlock {
    /// What must hold.
    pub condition: Formula,
    /// The reading of each slot of its program, and the age from which it counts as missing.
    pub reads: Vec<(Name, Option<Duration>)>,
}

/// `6 per h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Most acts, up to [`RATE_ACTS_MAX`].
    pub acts: u32,
    /// In any stretch of this length.
    pub over: Duration,
}

/// The state in which nothing can go wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Safe {
    /// Its value.
    pub value: Value,
    /// How long another value stays without a confirmation; for ever when absent.
    pub watchdog: Option<Duration>,
}

/// What somebody wants to do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Act<'a> {
    /// The value wanted of a setting; `None`: it is a command.
    pub value: Option<&'a Value>,
    /// Log time.
    pub at: Timestamp,
    /// Whether the interlock's condition holds; `None`: a reading it needs is missing.
    pub interlock: Option<bool>,
}

/// Why an act was refused, with the number.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Too small or too large.
    #[error("{value} is outside {} to {}", side(*.min, "-inf"), side(*.max, "inf"))]
    OutOfBounds {
        /// What was wanted.
        value: f64,
        /// Smallest.
        min: Option<f64>,
        /// Largest.
        max: Option<f64>,
    },
    /// Too often.
    #[error("rate is {acts} per {}, and the next may follow at {next}", human(*.over))]
    TooOften {
        /// Most acts.
        acts: u32,
        /// In this time.
        over: Duration,
        /// When there is room again.
        next: Timestamp,
    },
    /// Too early after the last change.
    #[error("dwell is {}, and the next change may follow at {next}", human(*.dwell))]
    TooSoon {
        /// How long a value is held.
        dwell: Duration,
        /// When it may change.
        next: Timestamp,
    },
    /// The condition does not hold.
    #[error("interlock: {condition} does not hold")]
    Interlocked {
        /// As written.
        condition: String,
    },
    /// Nobody knows whether the condition holds.
    #[error("interlock: nobody knows whether {condition} holds, a reading of it is missing")]
    Unknown {
        /// As written.
        condition: String,
    },
}

fn side(bound: Option<f64>, none: &str) -> String {
    bound.map_or_else(|| none.to_owned(), |bound| bound.to_string())
}

impl Envelope {
    /// Its limits of time and condition, in words.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let rate = self.rate.map(|rate| format!("{} per {}", rate.acts, human(rate.over)));
        let dwell = self.dwell.map(|dwell| format!("held for {}", human(dwell)));
        let interlock = self.interlock.as_ref().map(|lock| format!("only if {}", lock.condition));
        [rate, dwell, interlock].into_iter().flatten().collect()
    }

    /// Whether there is anything to remember between two acts.
    #[must_use]
    pub const fn remembers(&self) -> bool {
        self.rate.is_some() || self.dwell.is_some() || self.safe.is_some()
    }

    /// What the act would be, or why it must not be.
    ///
    /// # Errors
    /// It would leave the envelope.
    pub fn judge(&self, past: &Past, act: &Act<'_>) -> Result<Driving, Refusal> {
        if let Some(Value::Number(value)) = act.value {
            self.within(*value)?;
        }
        if act.value.is_some() && act.value == past.value.as_ref() {
            return Ok(Driving::Confirmed);
        }
        if self.safe.as_ref().is_some_and(|safe| act.value == Some(&safe.value)) {
            return Ok(Driving::Driven);
        }
        self.unlocked(act)?;
        if let (Some(dwell), Some(last)) = (self.dwell, past.last()) {
            let next = last + dwell;
            if act.at < next {
                return Err(Refusal::TooSoon { dwell, next });
            }
        }
        if let Some(Rate { acts, over }) = self.rate
            && let Some(next) = past.room_at(acts, over).filter(|next| act.at < *next)
        {
            return Err(Refusal::TooOften { acts, over, next });
        }
        Ok(Driving::Driven)
    }

    /// Whether the interlock holds, by the newest readings; `None`: one of them is missing or old.
    pub fn holds<'v>(
        &self,
        at: Timestamp,
        newest: impl Fn(&Name) -> Option<(&'v Value, Timestamp)>,
    ) -> Option<bool> {
        let interlock = self.interlock.as_ref()?;
        let slot = |(name, age_max): &(Name, Option<Duration>)| {
            let known = newest(name);
            let fresh = known.filter(|(_, time)| age_max.is_none_or(|max| at <= *time + max));
            match fresh.map(|(value, _)| value) {
                Some(Value::Number(number)) => *number,
                Some(Value::Boolean(truth)) => f64::from(u8::from(*truth)),
                Some(Value::Text(_) | Value::Position { .. }) | None => f64::NAN,
            }
        };
        let slots: Vec<f64> = interlock.reads.iter().map(slot).collect();
        interlock.condition.program.truth(slots.as_slice())
    }

    /// When the safe value becomes wanted, if nobody confirms `value` until then.
    #[must_use]
    pub fn watchdog(&self, value: &Value, at: Timestamp) -> Option<Timestamp> {
        let safe = self.safe.as_ref().filter(|safe| safe.value != *value)?;
        safe.watchdog.map(|after| at + after)
    }

    fn within(&self, value: f64) -> Result<(), Refusal> {
        let (min, max) = (self.min, self.max);
        let inside = value.is_finite()
            && min.is_none_or(|min| min <= value)
            && max.is_none_or(|max| value <= max);
        if inside { Ok(()) } else { Err(Refusal::OutOfBounds { value, min, max }) }
    }

    fn unlocked(&self, act: &Act<'_>) -> Result<(), Refusal> {
        let Some(Interlock { condition, .. }) = &self.interlock else { return Ok(()) };
        match act.interlock {
            Some(true) => Ok(()),
            Some(false) => Err(Refusal::Interlocked { condition: condition.to_string() }),
            None => Err(Refusal::Unknown { condition: condition.to_string() }),
        }
    }
}

#[cfg(test)]
mod tests;
