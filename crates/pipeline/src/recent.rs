//! The newest messages and points of each device, in memory, for the tail and the moving chart.
//!
//! *Invariant:* this is a picture for people, never an input of a fold; it is bounded in points
//! and messages, and an answer says that its source is memory. History lives in the lake.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use model::{Decided, DeviceId, Name, Offset, Reading, TenantId, Timestamp, Value};
use rustc_hash::FxHashMap;
use tokio::sync::broadcast;

use crate::state::{Direction, Seen, Watch};

/// Messages kept for each device.
const LINES_MAX: usize = 100;
/// Bytes of one message kept.
const LINE_BYTES_MAX: usize = 2_048;
/// Points kept for all devices together (16 bytes each).
const POINTS_MAX: usize = 4_000_000;
/// Points kept for one property of one device, at most.
const SERIES_POINTS_MAX: usize = 20_000;
/// Points kept for one property of one device, at least.
const SERIES_POINTS_MIN: usize = 64;
/// Live events a slow watcher may fall behind before it is told to read again.
const LIVE_QUEUE_MAX: usize = 4_096;

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Everything in it was taken.
    Ok,
    /// Something went to quarantine, the first reason.
    Quarantined(String),
}

/// One message as it is shown.
#[derive(Debug, Clone)]
pub struct Line {
    /// Place in the log.
    pub offset: Offset,
    /// Log time.
    pub at: Timestamp,
    /// Which way.
    pub direction: Direction,
    /// Below the device's branch.
    pub topic: String,
    /// Length of the whole payload.
    pub bytes: usize,
    /// The payload, cut to 2 kB.
    pub payload: Vec<u8>,
    /// What became of it.
    pub outcome: Outcome,
}

/// Something that just happened.
#[derive(Debug, Clone)]
pub struct Live {
    /// Isolation boundary.
    pub tenant: TenantId,
    /// Whose.
    pub device: DeviceId,
    /// The message.
    pub line: Arc<Line>,
    /// Good readings in it.
    pub readings: Vec<Reading>,
}

/// Points of one property that are still in memory, a bucket for each pixel. What is kept for good
/// is the lake's.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    /// Width of a bucket.
    pub bucket_ms: i64,
    /// Points that were there.
    pub points: usize,
    /// Non-empty buckets, by time.
    pub buckets: Vec<Bucket>,
    /// Time of the oldest point kept, if any.
    pub oldest: Option<Timestamp>,
}

/// What one pixel shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    /// Start of the bucket.
    pub from: Timestamp,
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
    /// Earliest value.
    pub first: f64,
    /// Latest value.
    pub last: f64,
    /// How many points.
    pub count: u32,
}

#[derive(Debug, Default)]
struct DeviceRecent {
    lines: VecDeque<Arc<Line>>,
    series: BTreeMap<Name, VecDeque<(Timestamp, f64)>>,
}

#[derive(Debug, Default)]
struct Kept {
    devices: FxHashMap<(TenantId, DeviceId), DeviceRecent>,
    series: usize,
}

/// The newest messages and points; cheap to share.
#[derive(Debug, Clone)]
pub struct Recent {
    kept: Arc<Mutex<Kept>>,
    live: broadcast::Sender<Live>,
}

impl Default for Recent {
    fn default() -> Self {
        let (live, _) = broadcast::channel(LIVE_QUEUE_MAX);
        Self { kept: Arc::default(), live }
    }
}

impl Recent {
    /// Everything that happens from now on.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Live> {
        self.live.subscribe()
    }

    /// The newest messages of a device, newest first.
    #[must_use]
    pub fn lines(&self, tenant: TenantId, device: DeviceId, limit: usize) -> Vec<Arc<Line>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(recent) = kept.devices.get(&(tenant, device)) else { return Vec::new() };
        recent.lines.iter().rev().take(limit).map(Arc::clone).collect()
    }

    /// Points of one property in `[from, to)`, in about `px` buckets.
    #[must_use]
    pub fn history(
        &self,
        of: (TenantId, DeviceId),
        property: &str,
        range: std::ops::Range<Timestamp>,
        px: u16,
    ) -> History {
        let span = range.end.as_millis().saturating_sub(range.start.as_millis()).max(1);
        let bucket_ms = (span / i64::from(px.max(1))).max(1);
        let mut history = History { bucket_ms, points: 0, buckets: Vec::new(), oldest: None };
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let series = kept.devices.get(&of).and_then(|recent| recent.series.get(property));
        let Some(series) = series else { return history };
        history.oldest = series.front().map(|(time, _)| *time);
        let start = series.partition_point(|(time, _)| *time < range.start);
        for (time, value) in series.range(start..).take_while(|(time, _)| *time < range.end) {
            history.add(range.start, *time, *value);
        }
        history
    }

    /// Takes in what a batch brought, under one lock.
    pub(crate) fn take(&self, batch: &mut Collected) {
        if !batch.items.is_empty() {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            for item in &batch.items {
                kept.take(item);
            }
        }
        // Nobody listening is the usual case and costs nothing but this check.
        if self.live.receiver_count() == 0 {
            batch.items.clear();
            return;
        }
        for item in batch.items.drain(..) {
            if self.live.send(item).is_err() {
                return;
            }
        }
    }
}

impl History {
    fn add(&mut self, start: Timestamp, time: Timestamp, value: f64) {
        self.points += 1;
        let index = (time.as_millis() - start.as_millis()) / self.bucket_ms;
        let from = Timestamp::from_millis(start.as_millis() + index * self.bucket_ms);
        match self.buckets.last_mut().filter(|bucket| bucket.from == from) {
            Some(bucket) => {
                bucket.min = bucket.min.min(value);
                bucket.max = bucket.max.max(value);
                bucket.last = value;
                bucket.count += 1;
            }
            None => self.buckets.push(Bucket {
                from,
                min: value,
                max: value,
                first: value,
                last: value,
                count: 1,
            }),
        }
    }
}

impl Kept {
    fn take(&mut self, live: &Live) {
        let cap = (POINTS_MAX / self.series.max(1)).clamp(SERIES_POINTS_MIN, SERIES_POINTS_MAX);
        let recent = self.devices.entry((live.tenant, live.device)).or_default();
        recent.lines.push_back(Arc::clone(&live.line));
        if recent.lines.len() > LINES_MAX {
            recent.lines.pop_front();
        }
        for reading in &live.readings {
            let value = match &reading.value {
                Value::Number(number) => *number,
                Value::Boolean(truth) => f64::from(u8::from(*truth)),
                Value::Text(_) | Value::Position { .. } => continue,
            };
            let series = match recent.series.get_mut(&reading.property) {
                Some(series) => series,
                None => {
                    self.series += 1;
                    recent.series.entry(reading.property.clone()).or_default()
                }
            };
            insert(series, reading.time, value);
            while series.len() > cap {
                series.pop_front();
            }
        }
    }
}

/// Keeps the series in time order; an equal time is a correction.
fn insert(series: &mut VecDeque<(Timestamp, f64)>, time: Timestamp, value: f64) {
    if series.back().is_none_or(|(last, _)| *last < time) {
        series.push_back((time, value));
        return;
    }
    let place = series.partition_point(|(before, _)| *before < time);
    match series.get_mut(place) {
        Some((at, old)) if *at == time => *old = value,
        _ => series.insert(place, (time, value)),
    }
}

/// What a batch brought, before it is taken in. Also passes decisions on to whoever must act at
/// once, such as the door.
pub(crate) struct Collected {
    items: Vec<Live>,
    on_decided: Box<dyn FnMut(&Decided<'_>) + Send>,
}

impl std::fmt::Debug for Collected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Collected").field("items", &self.items.len()).finish_non_exhaustive()
    }
}

impl Collected {
    pub(crate) const fn new(on_decided: Box<dyn FnMut(&Decided<'_>) + Send>) -> Self {
        Self { items: Vec::new(), on_decided }
    }
}

impl Watch for Collected {
    fn message(&mut self, seen: &Seen<'_>) {
        let kept = seen.payload.len().min(LINE_BYTES_MAX);
        let outcome = match seen.bad.first() {
            None => Outcome::Ok,
            Some(bad) => Outcome::Quarantined(match &bad.property {
                Some(property) => format!("{property}: {}", bad.reason),
                None => bad.reason.clone(),
            }),
        };
        self.items.push(Live {
            tenant: seen.tenant,
            device: seen.device,
            line: Arc::new(Line {
                offset: seen.offset,
                at: seen.log_time,
                direction: seen.direction,
                topic: seen.topic.to_owned(),
                bytes: seen.payload.len(),
                payload: seen.payload.get(..kept).unwrap_or_default().to_owned(),
                outcome,
            }),
            readings: seen.readings.to_vec(),
        });
    }

    fn decided(&mut self, decided: &Decided<'_>) {
        (self.on_decided)(decided);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::ReadingMark;

    const TENANT: TenantId = TenantId::from_u128(1);
    const DEVICE: DeviceId = DeviceId::from_u128(2);

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    fn recent(points: &[(i64, f64)]) -> Recent {
        let recent = Recent::default();
        let mut batch = Collected::new(Box::new(|_| {}));
        for (time, value) in points {
            let reading = Reading {
                property: "t".parse().unwrap(),
                time: at(*time),
                value: Value::Number(*value),
                mark: ReadingMark::DeviceTime,
            };
            batch.message(&Seen {
                offset: Offset(1),
                log_time: at(0),
                tenant: TENANT,
                device: DEVICE,
                direction: Direction::Up,
                topic: "telemetry",
                payload: b"{}",
                readings: &[reading],
                bad: &[],
            });
        }
        recent.take(&mut batch);
        recent
    }

    #[test]
    fn a_bucket_keeps_its_spike() {
        let recent = recent(&[(0, 1.0), (1, 90.0), (2, 2.0), (10, 3.0)]);
        let history = recent.history((TENANT, DEVICE), "t", at(0)..at(20), 2);
        assert_eq!(history.points, 4);
        let first = Bucket { from: at(0), min: 1.0, max: 90.0, first: 1.0, last: 2.0, count: 3 };
        assert_eq!(history.buckets[0], first);
        assert_eq!(history.buckets[1].from, at(10));
    }

    #[test]
    fn late_points_find_their_place_and_corrections_replace() {
        let recent = recent(&[(10, 1.0), (5, 2.0), (10, 3.0)]);
        let history = recent.history((TENANT, DEVICE), "t", at(0)..at(20), 20);
        let values: Vec<_> = history.buckets.iter().map(|b| (b.from, b.last)).collect();
        assert_eq!(values, [(at(5), 2.0), (at(10), 3.0)]);
    }

    #[test]
    fn another_tenant_reads_nothing() {
        let recent = recent(&[(1, 1.0)]);
        let other = TenantId::from_u128(9);
        assert!(recent.lines(other, DEVICE, 10).is_empty());
        assert_eq!(recent.history((other, DEVICE), "t", at(0)..at(9), 9).points, 0);
    }
}
