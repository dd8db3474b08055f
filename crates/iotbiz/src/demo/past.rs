//! The past of a demo: what its devices sent since it began, simulated up to now.
//!
//! *Invariant:* it goes through the log as everybody's readings, one message for each step of a
//! device, at the log time at which that step ends; log time never moves more than an hour at once.
//! A step is short enough that readings count as on time and nobody is taken for silent: the
//! shortest interval of the blueprint, at most an hour.
//! Where a device goes on is read from its twin, so a run that was cut short leaves no gap and
//! sends nothing twice.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use blueprint::{Kind, Lane};
use eventlog::{Batch, Log};
use fleetsim::{Past, PastMessage, PastSpan, VirtualDevice};
use model::{
    Channel, Clock, DeviceId, Frame, Name, Offset, Origin, Principal, Qos, Raw, Retain, TenantId,
    Timestamp,
};

use crate::server::{Backfill, PastClock};

/// Boxes of the pilot.
pub(super) const PILOTS: u16 = 6;
const HOUR_MS: i64 = 3_600_000;
/// The shortest step: devices that measure more often than that send arrays.
const STEP_MS_MIN: i64 = 60_000;
/// Steps made at once: enough to keep every core busy, little enough to show progress.
const STEPS_AT_ONCE: usize = 240;
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
    /// Since when there are boxes that are no pilots; none: since the beginning.
    pub(super) grown: Option<Timestamp>,
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

/// Messages of all devices in one step, ready for the log.
type Batched = Vec<(DeviceId, PastMessage)>;

/// Simulates everything between the newest reading of each device and now. `progress` is told the
/// time reached.
pub(super) async fn catch_up(
    fleet: &Fleet<'_>,
    (backfill, clock): (&Backfill, &PastClock),
    mut progress: impl FnMut(Reached),
) -> anyhow::Result<Report> {
    let past = Past::new(fleet.kinds, fleet.seed, &[fleetsim::Fault::Breakdown]);
    let mut heard = heard(fleet, backfill)?;
    let step_ms = step_ms(fleet.kinds);
    let from_ms = heard.iter().map(|heard| heard.until_ms).min();
    let from = from_ms.map_or_else(|| clock.wall(), Timestamp::from_millis);
    let mut report = Report { from, until: from, messages: 0, bytes: 0, took: Duration::ZERO };
    let began = clock.monotonic();
    let mut last = backfill.log.committed();
    backfill.hurry();
    while clock.wall().since(report.until) > NEAR {
        let ends = steps(report.until, clock.wall(), step_ms);
        let made = tokio::task::block_in_place(|| make(&past, &mut heard, &ends));
        for (end, step) in ends.iter().zip(made) {
            clock.advance(*end);
            last = append(&step, fleet.tenant, backfill, &mut report).await?.unwrap_or(last);
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
        let later = fleet.grown.filter(|_| !pilot(&device.name));
        let begins = || later.map_or_else(|| id.time(), |grown| grown.max(id.time()));
        Ok(Heard { device, id, until_ms: last.unwrap_or_else(begins).as_millis() })
    };
    fleet.devices.iter().map(of).collect()
}

/// Whether a device is of the pilot: whatever is not numbered, and the first numbers.
pub(super) fn pilot(name: &str) -> bool {
    let number = name.rsplit('-').next().and_then(|number| number.parse::<u16>().ok());
    number.is_none_or(|number| number <= PILOTS)
}

/// How long a step is for these kinds.
fn step_ms(kinds: &BTreeMap<Name, Kind>) -> i64 {
    let intervals = kinds.values().flat_map(|kind| kind.readings.values()).filter_map(|p| p.every);
    let shortest = intervals.min().and_then(|every| i64::try_from(every.as_millis()).ok());
    shortest.map_or(HOUR_MS, |every| every.clamp(STEP_MS_MIN, HOUR_MS))
}

/// The next ends of steps, the last of them now when it is near.
fn steps(after: Timestamp, now: Timestamp, step_ms: i64) -> Vec<Timestamp> {
    let first = after.as_millis().div_euclid(step_ms) + 1;
    let ends = (first..).take(STEPS_AT_ONCE).map(|step| step * step_ms);
    let mut ends: Vec<_> = ends.take_while(|end| *end < now.as_millis()).collect();
    if ends.len() < STEPS_AT_ONCE {
        ends.push(now.as_millis());
    }
    ends.into_iter().map(Timestamp::from_millis).collect()
}

/// What all devices sent in these steps; on every core.
fn make(past: &Past, heard: &mut [Heard<'_>], ends: &[Timestamp]) -> Vec<Batched> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = heard.len().div_ceil(threads).max(1);
    let mut steps: Vec<Batched> = ends.iter().map(|_| Vec::new()).collect();
    std::thread::scope(|scope| {
        let running: Vec<_> = heard
            .chunks_mut(share)
            .map(|some| scope.spawn(move || make_some(past, some, ends)))
            .collect();
        for thread in running {
            let some = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            for (step, messages) in steps.iter_mut().zip(some) {
                step.extend(messages);
            }
        }
    });
    steps
}

fn make_some(past: &Past, heard: &mut [Heard<'_>], ends: &[Timestamp]) -> Vec<Batched> {
    let mut steps = Vec::with_capacity(ends.len());
    for end in ends {
        let until_ms = end.as_millis();
        let mut step = Vec::with_capacity(heard.len());
        for Heard { device, id, until_ms: heard_ms } in heard.iter_mut() {
            if *heard_ms >= until_ms {
                continue;
            }
            let span = PastSpan { after_ms: *heard_ms, until_ms };
            let messages = past.messages(&device.name, &device.kind, span);
            step.extend(messages.into_iter().map(|message| (*id, message)));
            *heard_ms = until_ms;
        }
        steps.push(step);
    }
    steps
}

/// Appends a step as the devices' own messages; the offset of the last.
async fn append(
    step: &Batched,
    tenant: TenantId,
    backfill: &Backfill,
    report: &mut Report,
) -> anyhow::Result<Option<Offset>> {
    let (mut batch, mut urgent) = (Batch::default(), Batch::default());
    for (device, message) in step.iter().filter(|(_, message)| message.lane == Lane::Urgent) {
        urgent.push(&Frame::Raw(frame(tenant, *device, message)));
    }
    if !urgent.is_empty() {
        put(&backfill.urgent, &mut urgent).await?;
    }
    let mut last = None;
    let mut messages = step.iter().peekable();
    while let Some((device, message)) = messages.next() {
        batch.push(&Frame::Raw(frame(tenant, *device, message)));
        report.messages += 1;
        report.bytes += u64::try_from(message.payload.len()).unwrap_or(0);
        if batch.bytes() < BATCH_BYTES && messages.peek().is_some() {
            continue;
        }
        last = Some(put(&backfill.log, &mut batch).await?);
    }
    Ok(last)
}

/// Appends as soon as there is room.
async fn put(log: &Log, batch: &mut Batch) -> anyhow::Result<Offset> {
    loop {
        match log.append(batch) {
            Ok(appended) => return Ok(appended.last),
            Err(eventlog::Error::Full { .. }) => log.room().await,
            Err(error) => return Err(error).context("append the past"),
        }
    }
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
    fn steps_end_at_full_steps_and_the_last_one_now() {
        let said = steps(at("2026-11-29T09:30:00Z"), at("2026-11-29T12:15:00Z"), HOUR_MS);
        let ends = ["10:00", "11:00", "12:00", "12:15"];
        let ends: Vec<_> = ends.iter().map(|t| at(&format!("2026-11-29T{t}:00Z"))).collect();
        assert_eq!(said, ends);
        let none = steps(at("2026-11-29T12:00:00Z"), at("2026-11-29T12:15:00Z"), HOUR_MS);
        assert_eq!(none, ends[3..]);
        let many = steps(at("2026-09-01T00:00:00Z"), at("2026-11-29T12:15:00Z"), HOUR_MS);
        assert_eq!(many.len(), STEPS_AT_ONCE);
        assert_eq!(many.last(), Some(&at("2026-09-11T00:00:00Z")));
    }

    #[test]
    fn a_step_is_short_enough_to_be_on_time_and_never_longer_than_an_hour() {
        let of = |every: &str| {
            let text = format!(
                "blueprint = 1\nventure = \"v\"\ntitle = \"V\"\n[device.box.readings]\n\
                 temperature = {{ unit = \"°C\", every = \"{every}\" }}\n"
            );
            step_ms(&blueprint::Blueprint::parse(&text).blueprint.unwrap().kinds)
        };
        assert_eq!(of("1 min"), 60_000);
        assert_eq!(of("3 min"), 180_000);
        assert_eq!(of("10 s"), STEP_MS_MIN);
        assert_eq!(of("2 h"), HOUR_MS);
        assert_eq!(step_ms(&BTreeMap::new()), HOUR_MS);
    }
}
