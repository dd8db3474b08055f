//! What each device of a venture says of a window of whole days: the parts of which figures of a
//! fleet are made.
//!
//! *Invariant:* a part is of one device and one window; devices that do not count (virtual ones,
//! except in a demo tenant) give none.

mod traffic;

use std::collections::BTreeMap;

use bizcase::Basis;
use model::{DeviceId, Name, Origin, TenantId, Timestamp};
use pipeline::{Asked, ByDay, InForce, Picture};
use rules::{Due, Verdict};
use twin::DeviceTwin;
use venture::gate::Counting;
use venture::measure::{Measured, Part, Window, together};

use crate::app::App;
use crate::figures::counting;
use crate::problem::Problem;
use crate::read::{Read, parts};

pub(crate) use self::traffic::{Carried, Radio};

const MONTH_MS: f64 = 30.0 * 86_400_000.0;

/// What is asked about a fleet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fleet<'a> {
    pub(crate) picture: &'a Picture,
    pub(crate) tenant: TenantId,
    pub(crate) venture: &'a Name,
    /// What was due of devices and came, and what they sent.
    pub(crate) by_day: &'a ByDay,
    /// What history has of the readings that figures name; none: it was not asked.
    pub(crate) read: Option<&'a Read>,
}

/// What the folds know of the devices of a tenant by day.
pub(crate) async fn by_day(app: &App, tenant: TenantId, asked: Asked) -> Result<ByDay, Problem> {
    let picture = app.shard.picture();
    let of_tenant = picture.twins.devices(tenant);
    Ok(app.shard.by_day(of_tenant.map(|twin| twin.id).collect(), asked).await?)
}

/// What has to be asked of the folds to make these figures.
pub(crate) fn needed<'m>(mut metrics: impl Iterator<Item = &'m str>) -> Asked {
    let traffic = ["fleet.data", "fleet.sessions"];
    if metrics.any(|metric| traffic.contains(&metric)) {
        return Asked::DeliveryAndTraffic;
    }
    Asked::Delivery
}

impl<'a> Fleet<'a> {
    pub(crate) fn of(
        picture: &'a Picture,
        (tenant, found): (TenantId, &'a InForce),
        by_day: &'a ByDay,
    ) -> Self {
        let venture = &found.blueprint.venture;
        Self { picture, tenant, venture, by_day, read: None }
    }

    /// Devices that count, those that were retired among them, and how their figures are marked.
    pub(crate) fn devices(&self) -> (Vec<&'a DeviceTwin>, Basis) {
        let all = self.picture.twins.devices(self.tenant).map(AsRef::as_ref);
        let mine = all.filter(|twin| twin.venture == *self.venture);
        let (real, others): (Vec<_>, Vec<_>) = mine.partition(|twin| twin.origin == Origin::Real);
        match counting(self.picture, self.tenant) {
            Counting::Demo if others.is_empty() => (real, Basis::Measured),
            Counting::Demo => (real.into_iter().chain(others).collect(), Basis::Simulated),
            Counting::RealOnly => (real, Basis::Measured),
        }
    }

    /// When the first device that counts was there.
    pub(crate) fn began(&self) -> Option<Timestamp> {
        self.devices().0.iter().map(|twin| twin.id.time()).min()
    }

    /// Devices that came in each of these windows.
    pub(crate) fn came(&self, windows: &[Window]) -> Vec<f64> {
        let (devices, _) = self.devices();
        let within = |window: &Window| {
            let came =
                devices.iter().filter(|twin| (window.from..window.to).contains(&twin.id.time()));
            count(came.count())
        };
        windows.iter().map(within).collect()
    }

    /// Devices in use at an instant.
    pub(crate) fn in_use(&self, at: Timestamp) -> f64 {
        let (devices, _) = self.devices();
        let there = devices
            .iter()
            .filter(|twin| twin.id.time() < at && twin.retired.is_none_or(|retired| retired >= at));
        count(there.count())
    }

    /// What each device says of a figure; empty where nobody can say it.
    pub(crate) fn parts(&self, metric: &str, window: Window) -> Vec<Part> {
        let (devices, _) = self.devices();
        match metric {
            "fleet.on_time" => self.due(&devices, window, |due| due.on_time),
            "fleet.completeness" => self.due(&devices, window, |due| due.complete),
            "fleet.alarms" => self.alarms(&devices, window, |_| true),
            "fleet.false_alarms" => {
                self.alarms(&devices, window, |verdict| verdict == Some(Verdict::False))
            }
            "fleet.unjudged_alarms" => self.unjudged(&devices, window),
            "fleet.returns" => returns(&devices, window),
            "fleet.data" => {
                let all = Radio::default();
                all.megabytes(&self.carried(&all, window))
            }
            "fleet.sessions" => self.carried(&Radio::default(), window).sessions(),
            "fleet.churn" => self.churn(&devices, window),
            _ => self.read.map(|read| parts(read, metric, window)).unwrap_or_default(),
        }
    }

    /// The same with what history has of readings.
    pub(crate) const fn with(self, read: &'a Read) -> Self {
        Self { read: Some(read), ..self }
    }

    /// What devices of a radio sent in a window.
    pub(crate) fn carried(&self, radio: &Radio, window: Window) -> Carried {
        radio.carried(&self.by_day.sent, &self.devices().0, window)
    }

    /// What all devices say together.
    pub(crate) fn measured(&self, metric: &str, window: Window) -> Option<Measured> {
        self.together(&self.parts(metric, window), window)
    }

    /// What these parts say together.
    pub(crate) fn together(&self, parts: &[Part], window: Window) -> Option<Measured> {
        let (devices, _) = self.devices();
        let days = count(devices.len()) * window.months() * 30.0;
        together(parts, days)
    }

    fn due(&self, devices: &[&DeviceTwin], window: Window, of: fn(Due) -> u32) -> Vec<Part> {
        let days = window.days();
        let sum = |device: DeviceId| {
            let known = self.by_day.delivered.get(&device).into_iter().flatten();
            let within = known.filter(|(day, _)| days.contains(&i64::from(**day)));
            within.map(|(_, due)| *due).fold(Due::default(), Due::plus)
        };
        let sums = devices.iter().map(|twin| sum(twin.id)).filter(|sum| sum.due > 0);
        sums.map(|sum| Part::Share { of: of(sum).into(), out_of: sum.due.into() }).collect()
    }

    /// Alarms of the window by device, those without any among them.
    fn by_device(
        &self,
        devices: &[&DeviceTwin],
        window: Window,
    ) -> BTreeMap<DeviceId, Vec<Option<Verdict>>> {
        let mut found: BTreeMap<DeviceId, Vec<Option<Verdict>>> =
            devices.iter().map(|twin| (twin.id, Vec::new())).collect();
        for alarm in self.picture.alarms.newest_first(self.tenant) {
            if (window.from..window.to).contains(&alarm.raised_log)
                && let Some(of_device) = found.get_mut(&alarm.device)
            {
                of_device.push(alarm.verdict.as_ref().map(|signed| signed.what));
            }
        }
        found
    }

    fn alarms(
        &self,
        devices: &[&DeviceTwin],
        window: Window,
        counts: fn(Option<Verdict>) -> bool,
    ) -> Vec<Part> {
        let by_device = self.by_device(devices, window);
        let part = |twin: &&DeviceTwin| {
            let months = months_there(twin, window);
            let count = by_device
                .get(&twin.id)
                .map_or(0, |all| all.iter().filter(|verdict| counts(**verdict)).count());
            (months > 0.0).then_some(Part::Events { count: whole(count), months })
        };
        devices.iter().filter_map(part).collect()
    }

    fn unjudged(&self, devices: &[&DeviceTwin], window: Window) -> Vec<Part> {
        let part = |all: &Vec<Option<Verdict>>| {
            let open = all.iter().filter(|verdict| verdict.is_none()).count();
            Part::Share { of: whole(open), out_of: whole(all.len()) }
        };
        let by_device = self.by_device(devices, window);
        by_device.values().filter(|all| !all.is_empty()).map(part).collect()
    }

    /// Contracts of devices that ended in the window, by the months devices were under contract.
    fn churn(&self, devices: &[&DeviceTwin], window: Window) -> Vec<Part> {
        let counted: BTreeMap<DeviceId, ()> = devices.iter().map(|twin| (twin.id, ())).collect();
        // A device that goes from one contract to the next stays.
        let mut spans: BTreeMap<DeviceId, Vec<(Timestamp, Timestamp)>> = BTreeMap::new();
        for (_, contract) in self.picture.catalog.contracts(self.tenant) {
            let open = Timestamp::from_millis(i64::MAX);
            let of_venture = contract.venture == *self.venture;
            for device in contract.devices.iter().filter(|_| of_venture) {
                if counted.contains_key(&device.device) {
                    let from = device.from.map_or(contract.from, |from| from.max(contract.from));
                    let ends = [device.to, contract.to].into_iter().flatten().min();
                    spans.entry(device.device).or_default().push((from, ends.unwrap_or(open)));
                }
            }
        }
        let part = |spans: &Vec<(Timestamp, Timestamp)>| {
            let months = spans
                .iter()
                .map(|(from, to)| overlap_months((*from, *to), (window.from, window.to)));
            let last = spans.iter().map(|(_, to)| *to).max().unwrap_or(OPEN_END);
            let ended = last > window.from && last <= window.to;
            let months: f64 = months.sum();
            (months > 0.0).then_some(Part::Events { count: u64::from(ended), months })
        };
        spans.values().filter_map(part).collect()
    }
}

/// Nothing says when it ends.
const OPEN_END: Timestamp = Timestamp::MAX;

/// Boards that came back in the window, by the months their devices were there. A device that was
/// retired before reasons were kept counts.
fn returns(devices: &[&DeviceTwin], window: Window) -> Vec<Part> {
    let inside = |at: Timestamp| (window.from..window.to).contains(&at);
    let part = |twin: &&DeviceTwin| {
        let months = months_there(twin, window);
        let boards =
            twin.returns.iter().filter(|board| inside(board.at) && board.reason.is_return());
        let unsaid = twin.returns.is_empty() && twin.retired.is_some_and(inside);
        let count = whole(boards.count()) + u64::from(unsaid);
        (months > 0.0).then_some(Part::Events { count, months })
    };
    devices.iter().filter_map(part).collect()
}

/// How long a device was there in a window, in months; it is there from its record on.
fn months_there(twin: &DeviceTwin, window: Window) -> f64 {
    let until = twin.retired.unwrap_or(OPEN_END);
    overlap_months((twin.id.time(), until), (window.from, window.to))
}

fn overlap_months(a: (Timestamp, Timestamp), b: (Timestamp, Timestamp)) -> f64 {
    let (from, to) = (a.0.max(b.0), a.1.min(b.1));
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of a window are below 2^53")]
    let ms = to.as_millis().saturating_sub(from.as_millis()).max(0) as f64;
    ms / MONTH_MS
}

fn whole(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "devices are far below 2^53")]
fn count(count: usize) -> f64 {
    count as f64
}
