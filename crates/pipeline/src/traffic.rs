//! What devices sent over their radio: messages, bytes and sessions, for each device and day.
//!
//! *Invariant:* a session is a run of messages of one device whose log times are at most
//! [`SESSION_GAP`] apart, and belongs to the day (UTC) on which it began. Bytes are those of the
//! payloads; what TCP, TLS and MQTT add is not seen here. The sizes of sessions are kept in begun
//! kilobytes, so a tariff that rounds each session up to whole kilobytes is priced exactly,
//! whichever it is. What a gateway sent for its children is the gateway's.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use model::wire::{Reader, WireError, Writer};
use model::{DeviceId, RestoreError, Timestamp};

/// Messages that are further apart are two sessions: radios fall asleep after a few seconds.
pub const SESSION_GAP: Duration = Duration::from_secs(10);
/// Days that are kept of each device: a year and a month.
pub const TRAFFIC_DAYS_MAX: usize = 400;
/// Different sizes of sessions that are told apart in a day; more count as the next known one.
const SIZES_MAX: usize = 32;
/// What sizes of sessions are counted in.
const SIZE_BYTES: u64 = 1_000;
const DAY_MS: i64 = 86_400_000;

/// What one device sent on one day.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrafficDay {
    /// Messages.
    pub messages: u32,
    /// Bytes of their payloads.
    pub bytes: u64,
    /// Sessions by their size in begun kilobytes.
    sizes: BTreeMap<u32, u32>,
}

impl TrafficDay {
    /// How many sessions.
    #[must_use]
    pub fn sessions(&self) -> u64 {
        self.sizes.values().map(|count| u64::from(*count)).sum()
    }

    /// Bytes when each session is rounded up to whole increments. Exact for increments of whole
    /// kilobytes; without one every byte counts as it is.
    #[must_use]
    pub fn billed_bytes(&self, increment: Option<u64>) -> u64 {
        let Some(increment) = increment.filter(|increment| *increment > 1) else {
            return self.bytes;
        };
        let rounded = |(size, count): (&u32, &u32)| {
            let bytes = u64::from(*size) * SIZE_BYTES;
            bytes.div_ceil(increment).saturating_mul(increment).saturating_mul(u64::from(*count))
        };
        self.sizes.iter().map(rounded).fold(0, u64::saturating_add)
    }

    /// Both together.
    #[must_use]
    pub fn plus(mut self, other: &Self) -> Self {
        self.messages = self.messages.saturating_add(other.messages);
        self.bytes = self.bytes.saturating_add(other.bytes);
        for (size, count) in &other.sizes {
            let known = self.sizes.entry(*size).or_default();
            *known = known.saturating_add(*count);
        }
        self
    }

    fn count(&mut self, bytes: u64) {
        let size = self.size_of(bytes);
        let known = self.sizes.entry(size).or_default();
        *known = known.saturating_add(1);
    }

    /// A session that was counted with `before` bytes has grown to `after`.
    fn grow(&mut self, before: u64, after: u64) {
        if begun(before) == begun(after) {
            return;
        }
        if let Some(count) = self.sizes.get_mut(&begun(before)) {
            *count = count.saturating_sub(1);
        }
        self.sizes.retain(|_, count| *count > 0);
        self.count(after);
    }

    fn size_of(&self, bytes: u64) -> u32 {
        let size = begun(bytes);
        if self.sizes.len() < SIZES_MAX {
            return size;
        }
        // The next size that is known already; nobody is counted as smaller than he is, but for
        // the very largest.
        let known = self.sizes.range(size..).next().or_else(|| self.sizes.iter().next_back());
        known.map_or(size, |(known, _)| *known)
    }
}

/// Kilobytes that are begun; an empty message is one, too.
fn begun(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(SIZE_BYTES).max(1)).unwrap_or(u32::MAX)
}

/// What one device sent.
#[derive(Debug, Default)]
struct Sent {
    /// Log time of its last message.
    last: Option<Timestamp>,
    /// Day and bytes of the session that the last message was in.
    open: (i32, u64),
    /// In order of day.
    days: VecDeque<(i32, TrafficDay)>,
}

/// What all devices sent.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    devices: BTreeMap<DeviceId, Sent>,
}

fn day_of(time: Timestamp) -> i32 {
    i32::try_from(time.as_millis().div_euclid(DAY_MS)).unwrap_or(i32::MAX)
}

impl Sent {
    fn day(&mut self, day: i32) -> Option<&mut TrafficDay> {
        // Log time never goes back, so a new day is the last.
        if self.days.back().is_none_or(|(known, _)| *known < day) {
            self.days.push_back((day, TrafficDay::default()));
            if self.days.len() > TRAFFIC_DAYS_MAX {
                self.days.pop_front();
            }
        }
        self.days.iter_mut().rev().find(|(known, _)| *known == day).map(|(_, day)| day)
    }

    fn take(&mut self, bytes: u64, at: Timestamp) {
        let today = day_of(at);
        let same = self.last.is_some_and(|last| at.since(last) <= SESSION_GAP);
        self.last = Some(at);
        if let Some(day) = self.day(today) {
            day.messages = day.messages.saturating_add(1);
            day.bytes = day.bytes.saturating_add(bytes);
        }
        if !same {
            self.open = (today, bytes);
            if let Some(day) = self.day(today) {
                day.count(bytes);
            }
            return;
        }
        let (began, before) = self.open;
        let after = before.saturating_add(bytes);
        self.open.1 = after;
        if let Some(day) = self.day(began) {
            day.grow(before, after);
        }
    }
}

impl Traffic {
    /// Takes in a message.
    pub(crate) fn take(&mut self, device: DeviceId, bytes: usize, at: Timestamp) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.devices.entry(device).or_default().take(bytes, at);
    }

    pub(crate) fn forget(&mut self, device: DeviceId) {
        self.devices.remove(&device);
    }

    /// By day since the epoch (UTC).
    pub(crate) fn of(&self, device: DeviceId) -> BTreeMap<i32, TrafficDay> {
        let sent = self.devices.get(&device);
        sent.map(|sent| sent.days.iter().cloned().collect()).unwrap_or_default()
    }

    pub(crate) fn snapshot(&self, out: &mut Vec<u8>) {
        out.put_count(self.devices.len());
        for (device, sent) in &self.devices {
            out.put_u128(device.as_u128());
            out.put_option(sent.last, |out, time| out.put_i64(time.as_millis()));
            out.put_i64(i64::from(sent.open.0));
            out.put_u64(sent.open.1);
            out.put_count(sent.days.len());
            for (day, traffic) in &sent.days {
                out.put_i64(i64::from(*day));
                out.put_u32(traffic.messages);
                out.put_u64(traffic.bytes);
                out.put_count(traffic.sizes.len());
                for (size, count) in &traffic.sizes {
                    out.put_u32(*size);
                    out.put_u32(*count);
                }
            }
        }
    }

    pub(crate) fn restore(bytes: &[u8]) -> Result<Self, RestoreError> {
        let mut r = Reader::new(bytes);
        let mut traffic = Self::default();
        for _ in 0..r.count()? {
            let device = DeviceId::from_u128(r.u128()?);
            let sent = read(&mut r)?;
            traffic.devices.insert(device, sent);
        }
        r.end()?;
        Ok(traffic)
    }
}

fn read(r: &mut Reader<'_>) -> Result<Sent, WireError> {
    let day = |r: &mut Reader<'_>| {
        let error = r.error();
        i32::try_from(r.i64()?).map_err(|_| error)
    };
    let last = r.option(|r| Ok(Timestamp::from_millis(r.i64()?)))?;
    let mut sent = Sent { last, open: (day(r)?, r.u64()?), days: VecDeque::new() };
    for _ in 0..r.count()? {
        let at = day(r)?;
        let mut traffic =
            TrafficDay { messages: r.u32()?, bytes: r.u64()?, ..TrafficDay::default() };
        for _ in 0..r.count()? {
            traffic.sizes.insert(r.u32()?, r.u32()?);
        }
        sent.days.push_back((at, traffic));
    }
    Ok(sent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn device() -> DeviceId {
        DeviceId::from_u128(7)
    }

    #[test]
    fn messages_close_together_share_a_session_that_is_rounded_up_once() {
        let mut traffic = Traffic::default();
        for (bytes, seconds) in [(400, 0), (400, 5), (400, 14), (90, 60), (9_000, 120)] {
            traffic.take(device(), bytes, at(seconds));
        }
        let days = traffic.of(device());
        let day = &days[&0];
        assert_eq!((day.messages, day.bytes, day.sessions()), (5, 10_290, 3));
        // 1,200, 90 and 9,000 bytes.
        assert_eq!(day.billed_bytes(Some(1_000)), 2_000 + 1_000 + 9_000);
        assert_eq!(day.billed_bytes(Some(10_000)), 30_000);
        assert_eq!(day.billed_bytes(None), 10_290);
    }

    #[test]
    fn a_session_belongs_to_the_day_on_which_it_began() {
        let mut traffic = Traffic::default();
        traffic.take(device(), 900, at(86_395));
        traffic.take(device(), 900, at(86_402));
        traffic.take(device(), 10, at(90_000));
        let days = traffic.of(device());
        assert_eq!((days[&0].sessions(), days[&0].billed_bytes(Some(1_000))), (1, 2_000));
        assert_eq!((days[&1].messages, days[&1].sessions(), days[&1].bytes), (2, 1, 910));
    }

    #[test]
    fn a_year_and_a_month_is_kept_and_many_sizes_are_bounded() {
        let mut traffic = Traffic::default();
        for day in 0..500 {
            traffic.take(device(), 10, at(day * 86_400));
        }
        let days = traffic.of(device());
        assert_eq!((days.len(), days.keys().next()), (TRAFFIC_DAYS_MAX, Some(&100)));
        let mut day = TrafficDay::default();
        for size in 1..=100_u64 {
            day.count(size * SIZE_BYTES);
        }
        assert_eq!((day.sizes.len(), day.sessions()), (SIZES_MAX, 100));
    }

    #[test]
    fn what_was_written_is_read_back() {
        let mut traffic = Traffic::default();
        for n in 0..50_i64 {
            let device = DeviceId::from_u128(u128::try_from(n % 3).unwrap());
            traffic.take(device, usize::try_from(n * 137).unwrap(), at(n * 7_000));
        }
        let mut bytes = Vec::new();
        traffic.snapshot(&mut bytes);
        let mut again = Vec::new();
        Traffic::restore(&bytes).unwrap().snapshot(&mut again);
        assert_eq!(bytes, again);
        traffic.forget(device());
        assert!(traffic.of(device()).is_empty());
    }
}
