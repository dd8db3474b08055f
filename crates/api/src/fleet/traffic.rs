//! What the devices of a venture sent over their radio, as a figure: megabytes or sessions.
//!
//! *Invariant:* a device counts from the day (UTC) of its first message to its retirement, and a
//! window from the beginning of its first day; so data and time are of the same days. Where a
//! tariff rounds sessions up, they are rounded up as the margin does it.

use std::collections::BTreeMap;

use blueprint::{Blueprint, Priced, spending};
use model::{Name, Timestamp};
use pipeline::{Sent, TrafficDay};
use twin::DeviceTwin;
use venture::measure::{Part, Window};

const DAY_MS: i64 = 86_400_000;
const MONTH_MS: f64 = 30.0 * 86_400_000.0;
const MONTH_DAYS: f64 = 30.0;
const MEGABYTE: f64 = 1e6;

/// Whose data is counted, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Radio {
    /// This kind of device; none: all.
    pub(crate) of: Option<Name>,
    /// Bytes that each session is rounded up to; none: every byte counts as it is.
    pub(crate) increment: Option<u64>,
}

/// What devices sent in a window.
#[derive(Debug, Clone, Default)]
pub(crate) struct Carried {
    /// Of each device that sent anything, ever.
    pub(crate) devices: Vec<(TrafficDay, f64)>,
    /// Of all of them.
    pub(crate) total: TrafficDay,
}

impl Radio {
    /// The radio whose data an input of the case is: `cost.radio.megabytes`.
    pub(crate) fn of_input(blueprint: &Blueprint, input: &str) -> Option<Self> {
        let name = input.strip_prefix("cost.")?.strip_suffix(".megabytes")?;
        let mut costs = spending(blueprint).into_iter();
        match costs.find(|cost| cost.name.as_str() == name)?.priced? {
            Priced::Radio(tariff) => Some(Self { of: tariff.of, increment: tariff.increment }),
            Priced::Each { .. } | Priced::Total { .. } => None,
        }
    }

    /// What devices of this radio sent in a window.
    pub(crate) fn carried(&self, sent: &Sent, devices: &[&DeviceTwin], window: Window) -> Carried {
        let mine = devices.iter().filter(|twin| self.of.as_ref().is_none_or(|of| twin.kind == *of));
        let whole = Window { from: day_of(window.from), to: window.to };
        let mut carried = Carried::default();
        for twin in mine {
            let Some(days) = sent.get(&twin.id) else { continue };
            let Some(one) = within(twin, days, whole) else { continue };
            carried.total = carried.total.plus(&one.0);
            carried.devices.push(one);
        }
        carried
    }

    /// Megabytes of each device by the months it was there.
    pub(crate) fn megabytes(&self, carried: &Carried) -> Vec<Part> {
        let part = |(day, months): &(TrafficDay, f64)| {
            let amount = number(day.billed_bytes(self.increment)) / MEGABYTE;
            Part::Amount { amount, months: *months }
        };
        carried.devices.iter().map(part).collect()
    }
}

impl Carried {
    /// Sessions of each device by the days it was there.
    pub(crate) fn sessions(&self) -> Vec<Part> {
        let part = |(day, months): &(TrafficDay, f64)| Part::Amount {
            amount: number(day.sessions()),
            months: months * MONTH_DAYS,
        };
        self.devices.iter().map(part).collect()
    }
}

/// What one device sent in a window of whole days, and the months it was there.
fn within(
    twin: &DeviceTwin,
    days: &BTreeMap<i32, TrafficDay>,
    window: Window,
) -> Option<(TrafficDay, f64)> {
    let first = days.keys().next()?;
    let first = Timestamp::from_millis(i64::from(*first) * DAY_MS).max(twin.id.time());
    let until = twin.retired.unwrap_or(Timestamp::MAX).min(window.to);
    let from = first.max(window.from);
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of a window are below 2^53")]
    let ms = until.as_millis().saturating_sub(from.as_millis()).max(0) as f64;
    let range = window.days();
    let inside = days.iter().filter(|(day, _)| range.contains(&i64::from(**day)));
    let sum = inside.map(|(_, day)| day).fold(TrafficDay::default(), TrafficDay::plus);
    (ms > 0.0).then_some((sum, ms / MONTH_MS))
}

/// The beginning of its day (UTC).
fn day_of(at: Timestamp) -> Timestamp {
    Timestamp::from_millis(at.as_millis().div_euclid(DAY_MS) * DAY_MS)
}

#[expect(clippy::cast_precision_loss, reason = "bytes of a fleet are far below 2^53")]
fn number(count: u64) -> f64 {
    count as f64
}
