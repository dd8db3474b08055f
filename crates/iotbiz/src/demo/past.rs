//! The past of a demo: what its devices sent since it began, simulated up to now.
//!
//! *Invariant:* it goes through the log as everybody's readings, one message for each hour of a
//! device, at the log time at which that hour ends; log time never moves more than an hour at once.
//! Where a device goes on is read from its twin, so a run that was cut short leaves no gap and
//! sends nothing twice.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use blueprint::{Kind, Lane};
use eventlog::Batch;
use fleetsim::{Past, PastMessage, PastSpan, VirtualDevice};
use model::{
    Channel, Clock, DeviceId, Frame, Name, Offset, Origin, Principal, Qos, Raw, Retain, TenantId,
    Timestamp,
};

use crate::server::{Backfill, PastClock};

const HOUR_MS: i64 = 3_600_000;
/// Hours made at once: enough to keep every core busy, little enough to show progress.
const HOURS_AT_ONCE: usize = 24;
/// How near to now the past has to come before the devices go on by themselves.
const NEAR: Duration = Duration::from_secs(2);
/// How long the folds and history may need after the last message.
const PATIENCE: Duration = Duration::from_secs(600);
/// Bytes appended at once; far below what the log takes.
const BATCH_BYTES: usize = 1 << 20;

/// The virtual devices and what they measure.
pub(super) struct Fleet<'a> {
    pub(super) tenant: TenantId,
    pub(super) kinds: &'a BTreeMap<Name, Kind>,
    pub(super) devices: &'a [VirtualDevice],
    pub(super) seed: u64,
}

/// What was simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Report {
    /// Where it began.
    pub(crate) from: Timestamp,
    /// Where the devices go on by themselves.
    pub(crate) until: Timestamp,
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    pub(crate) took: Duration,
}

impl Report {
    pub(crate) fn json(&self) -> serde_json::Value {
        let Self { from, until, messages, bytes, took } = self;
        serde_json::json!({
            "from": from, "until": until, "messages": messages, "bytes": bytes,
            "seconds": took.as_secs_f64(),
        })
    }

    /// For people.
    pub(crate) fn words(&self) -> String {
        let days = self.until.since(self.from).as_secs() / 86_400;
        format!(
            "Simulated since {}: {days} days, {} messages, in {:.1} s.",
            self.from.to_string().chars().take(10).collect::<String>(),
            self.messages,
            self.took.as_secs_f64(),
        )
    }
}

/// How far a run is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reached {
    pub(super) from: Timestamp,
    pub(super) at: Timestamp,
    pub(super) until: Timestamp,
}

/// A device and up to where it was heard.
struct Heard<'a> {
    device: &'a VirtualDevice,
    id: DeviceId,
    until_ms: i64,
}

/// Messages of one device in one hour, ready for the log.
type Hour = Vec<(DeviceId, PastMessage)>;

/// Simulates everything between the newest reading of each device and now. `progress` is told the
/// time reached.
pub(super) async fn catch_up(
    fleet: &Fleet<'_>,
    (backfill, clock): (&Backfill, &PastClock),
    mut progress: impl FnMut(Reached),
) -> anyhow::Result<Report> {
    let past = Past::new(fleet.kinds, fleet.seed, &[fleetsim::Fault::Breakdown]);
    let mut heard = heard(fleet, backfill)?;
    let from_ms = heard.iter().map(|heard| heard.until_ms).min();
    let from = from_ms.map_or_else(|| clock.wall(), Timestamp::from_millis);
    let mut report = Report { from, until: from, messages: 0, bytes: 0, took: Duration::ZERO };
    let began = clock.monotonic();
    let mut last = backfill.log.committed();
    backfill.hurry();
    while clock.wall().since(report.until) > NEAR {
        let ends = hours(report.until, clock.wall());
        let made = tokio::task::block_in_place(|| make(&past, &mut heard, &ends));
        for (end, hour) in ends.iter().zip(made) {
            clock.advance(*end);
            last = append(&hour, fleet.tenant, backfill, &mut report).await?.unwrap_or(last);
            report.until = *end;
            progress(Reached { from, at: report.until, until: clock.wall() });
        }
    }
    backfill.settled(last, PATIENCE).await.context("keep the past")?;
    report.took = clock.monotonic().saturating_sub(began);
    Ok(report)
}

/// Up to where each device was heard; one that never was began when it was made.
fn heard<'a>(fleet: &Fleet<'a>, backfill: &Backfill) -> anyhow::Result<Vec<Heard<'a>>> {
    let picture = backfill.shard.picture();
    let newest = picture.log_time;
    let of = |device: &'a VirtualDevice| {
        let id: DeviceId = device.id.parse().context("read the id of a virtual device")?;
        let twin = picture.twins.get(fleet.tenant, id);
        let readings = twin.into_iter().flat_map(|twin| twin.readings.values());
        // A reading of the future would leave a gap behind it.
        let last = readings.map(|reading| reading.time.min(newest)).max();
        Ok(Heard { device, id, until_ms: last.unwrap_or_else(|| id.time()).as_millis() })
    };
    fleet.devices.iter().map(of).collect()
}

/// The next ends of hours, the last of them now when it is near.
fn hours(after: Timestamp, now: Timestamp) -> Vec<Timestamp> {
    let first = after.as_millis().div_euclid(HOUR_MS) + 1;
    let ends = (first..).take(HOURS_AT_ONCE).map(|hour| hour * HOUR_MS);
    let mut ends: Vec<_> = ends.take_while(|end| *end < now.as_millis()).collect();
    if ends.len() < HOURS_AT_ONCE {
        ends.push(now.as_millis());
    }
    ends.into_iter().map(Timestamp::from_millis).collect()
}

/// What all devices sent in these hours; on every core.
fn make(past: &Past, heard: &mut [Heard<'_>], ends: &[Timestamp]) -> Vec<Hour> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = heard.len().div_ceil(threads).max(1);
    let mut hours: Vec<Hour> = ends.iter().map(|_| Vec::new()).collect();
    std::thread::scope(|scope| {
        let running: Vec<_> = heard
            .chunks_mut(share)
            .map(|some| scope.spawn(move || make_some(past, some, ends)))
            .collect();
        for thread in running {
            let some = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            for (hour, messages) in hours.iter_mut().zip(some) {
                hour.extend(messages);
            }
        }
    });
    hours
}

fn make_some(past: &Past, heard: &mut [Heard<'_>], ends: &[Timestamp]) -> Vec<Hour> {
    let mut hours = Vec::with_capacity(ends.len());
    for end in ends {
        let until_ms = end.as_millis();
        let mut hour = Vec::with_capacity(heard.len());
        for Heard { device, id, until_ms: heard_ms } in heard.iter_mut() {
            if *heard_ms >= until_ms {
                continue;
            }
            let span = PastSpan { after_ms: *heard_ms, until_ms };
            let messages = past.messages(&device.name, &device.kind, span);
            hour.extend(messages.into_iter().map(|message| (*id, message)));
            *heard_ms = until_ms;
        }
        hours.push(hour);
    }
    hours
}

/// Appends an hour as the devices' own messages; the offset of the last.
async fn append(
    hour: &Hour,
    tenant: TenantId,
    backfill: &Backfill,
    report: &mut Report,
) -> anyhow::Result<Option<Offset>> {
    let mut batch = Batch::default();
    let mut last = None;
    let mut messages = hour.iter().peekable();
    while let Some((device, message)) = messages.next() {
        batch.push(&Frame::Raw(frame(tenant, *device, message)));
        report.messages += 1;
        report.bytes += u64::try_from(message.payload.len()).unwrap_or(0);
        if batch.bytes() < BATCH_BYTES && messages.peek().is_some() {
            continue;
        }
        last = loop {
            match backfill.log.append(&mut batch) {
                Ok(appended) => break Some(appended.last),
                Err(eventlog::Error::Full { .. }) => backfill.log.room().await,
                Err(error) => return Err(error).context("append the past"),
            }
        };
    }
    Ok(last)
}

fn frame(tenant: TenantId, device: DeviceId, message: &PastMessage) -> Raw<'_> {
    Raw {
        tenant,
        principal: Principal::Device(device),
        device: Some(device),
        origin: Origin::Virtual,
        channel: Channel::Mqtt,
        qos: Qos::AtLeastOnce,
        retain: Retain::Pass,
        session: 0,
        packet_id: 0,
        topic: match message.lane {
            Lane::Normal => "telemetry",
            Lane::Urgent => "urgent",
        },
        properties: &[],
        key: "",
        payload: &message.payload,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn hours_end_at_full_hours_and_the_last_one_now() {
        let said = hours(at("2026-11-29T09:30:00Z"), at("2026-11-29T12:15:00Z"));
        let ends = ["10:00", "11:00", "12:00", "12:15"];
        let ends: Vec<_> = ends.iter().map(|t| at(&format!("2026-11-29T{t}:00Z"))).collect();
        assert_eq!(said, ends);
        assert_eq!(hours(at("2026-11-29T12:00:00Z"), at("2026-11-29T12:15:00Z")), ends[3..]);
        let many = hours(at("2026-09-01T00:00:00Z"), at("2026-11-29T12:15:00Z"));
        assert_eq!(many.len(), HOURS_AT_ONCE);
        assert_eq!(many.last(), Some(&at("2026-09-02T00:00:00Z")));
    }
}
