//! The figures that gates name, as this server knows them now.
//!
//! *Invariant:* a figure says up to which offset and by which revision it was made. Real devices
//! alone count, except in a demo tenant; where only virtual devices exist the figure is marked
//! simulated. What nobody can know yet is left out, so that its criterion is missing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bizcase::{Basis, Results};
use model::{DeviceId, Name, Origin, TenantId, Timestamp};
use pipeline::{ByDay, InForce, Picture};
use rules::{Alarm, Due, Verdict};
use twin::DeviceTwin;
use venture::gate::{Aggregates, Counting, Figure, Gate};
use venture::measure::Window;

use crate::evidence::{Piece, belief};
use crate::fleet::Fleet;
use crate::money::economics::Economics;

/// The window of a gate that names none: a month of the blueprint.
pub(crate) const WINDOW_DEFAULT: Duration = Duration::from_secs(30 * 86_400);
/// The month of the blueprint.
const MONTH: Duration = Duration::from_secs(30 * 86_400);
const DAY_MS: i64 = 86_400_000;
/// A device counts as there for a day at least: one alarm in its first minute is no rate.
const THERE_MIN: Duration = Duration::from_secs(86_400);
/// Intervals after which a device counts as silent.
const SILENT_INTERVALS: u32 = 2;

/// What figures are made from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sources<'a> {
    pub(crate) picture: &'a Picture,
    pub(crate) tenant: TenantId,
    pub(crate) found: &'a InForce,
    pub(crate) pieces: &'a [Piece],
    /// What the trials of the case say; none: it has no case, or it has mistakes.
    pub(crate) case: Option<&'a Results>,
    /// The newest month that is closed; none: nothing is, or no criterion asks.
    pub(crate) economics: Option<&'a Economics>,
    /// What was due of devices and came, and what they sent; empty when no criterion asks.
    pub(crate) by_day: &'a ByDay,
    pub(crate) now: Timestamp,
}

/// Which origins count for a tenant.
pub(crate) fn counting(picture: &Picture, tenant: TenantId) -> Counting {
    let demo = picture.catalog.tenant(tenant).is_some_and(|tenant| tenant.demo);
    if demo { Counting::Demo } else { Counting::RealOnly }
}

impl Sources<'_> {
    /// The figures that a gate's criteria name, as far as they are known.
    pub(crate) fn of(&self, gate: &Gate) -> BTreeMap<String, Figure> {
        let window = gate.over.unwrap_or(WINDOW_DEFAULT);
        let named = gate.criteria.iter().map(|criterion| criterion.metric.as_str());
        named.filter_map(|metric| Some((metric.to_owned(), self.figure(metric, window)?))).collect()
    }

    fn figure(&self, metric: &str, window: Duration) -> Option<Figure> {
        match metric.split('.').collect::<Vec<_>>().as_slice() {
            ["assumption", name, "probability"] => self.probability(name),
            ["assumption", name, "evidence"] => self.evidence(name),
            ["fleet", what] => self.fleet(what, window),
            ["economics", what] => self.of_economics(what),
            ["case", ..] => self.of_case(metric.strip_prefix("case.")?),
            _ => None,
        }
    }

    fn made(&self, aggregates: Aggregates, basis: Basis) -> Figure {
        Figure {
            aggregates,
            basis,
            at: self.picture.log_time.min(self.now),
            offset: self.picture.offset.0,
            revision: self.found.revision,
        }
    }

    fn probability(&self, name: &str) -> Option<Figure> {
        let name: Name = name.parse().ok()?;
        let blueprint = &self.found.blueprint;
        let holds = &blueprint.assumptions.get(&name)?.holds;
        let believed = belief(blueprint, &name, self.pieces, self.now).ok()?;
        let share = holds.quantity.in_unit(&expr::Unit::one()).unwrap_or(f64::NAN);
        let bar = (holds.comparison, share);
        // The newest result that counts is how old the figure is; a guess is never fresh or stale.
        let newest = self.counted(&name).map(|piece| piece.content.at).max();
        let at = newest.unwrap_or(self.now).min(self.now);
        let made = (self.picture.offset.0, self.found.revision);
        Some(Figure::of_belief(&believed, bar, at, made))
    }

    fn counted(&self, name: &Name) -> impl Iterator<Item = &Piece> {
        let of = move |piece: &&Piece| {
            piece.content.assumption == *name && piece.content.withdrawn.is_none()
        };
        self.pieces.iter().filter(of)
    }

    fn evidence(&self, name: &str) -> Option<Figure> {
        let name: Name = name.parse().ok()?;
        let count = u64::try_from(self.counted(&name).count()).ok()?;
        Some(self.made(Aggregates::Count(count), Basis::Measured))
    }

    /// Devices that count, and how the figure is to be marked.
    fn devices(&self) -> (Vec<&DeviceTwin>, Basis) {
        let of_venture =
            self.picture.twins.devices(self.tenant).map(AsRef::as_ref).filter(|twin| {
                twin.venture == self.found.blueprint.venture
                    && twin.id.time() <= self.now
                    && twin.retired.is_none_or(|at| at > self.now)
            });
        let (real, others): (Vec<_>, Vec<_>) =
            of_venture.partition(|twin| twin.origin == Origin::Real);
        match counting(self.picture, self.tenant) {
            Counting::Demo if others.is_empty() => (real, Basis::Measured),
            Counting::Demo => (real.into_iter().chain(others).collect(), Basis::Simulated),
            Counting::RealOnly if real.is_empty() && !others.is_empty() => {
                (others, Basis::Simulated)
            }
            Counting::RealOnly => (real, Basis::Measured),
        }
    }

    fn fleet(&self, what: &str, window: Duration) -> Option<Figure> {
        let (devices, basis) = self.devices();
        let since = |twin: &&&DeviceTwin, age: Duration| {
            twin.seen.last.is_some_and(|seen| self.now.since(seen) <= age)
        };
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let aggregates = match what {
            "devices" => Aggregates::Count(number(devices.len())),
            "active" => {
                let active =
                    devices.iter().filter(|twin| !twin.readings.is_empty() && since(twin, window));
                Aggregates::Count(number(active.count()))
            }
            "silent" if !devices.is_empty() => {
                let silent = devices.iter().filter(|twin| !since(twin, self.patience(twin)));
                Aggregates::Share { of: number(silent.count()), out_of: number(devices.len()) }
            }
            "on_time" | "completeness" => self.delivery(what, (&devices, window))?,
            "returns" | "churn" | "data" | "sessions" => self.quotient(what, window)?,
            "alarms" | "false_alarms" | "unjudged_alarms" => {
                self.alarms(what, (&devices, window))?
            }
            _ => return None,
        };
        Some(self.made(aggregates, basis))
    }

    /// Shares of what was due in the days of the window (UTC); today counts up to now.
    fn delivery(
        &self,
        what: &str,
        (devices, window): (&[&DeviceTwin], Duration),
    ) -> Option<Aggregates> {
        let day = |at: Timestamp| i32::try_from(at.as_millis().div_euclid(DAY_MS)).ok();
        let (first, last) = (day(self.now - window)?, day(self.now)?);
        let days = devices.iter().filter_map(|twin| self.by_day.delivered.get(&twin.id));
        let due = days.flat_map(|days| days.range(first..=last)).map(|(_, due)| *due);
        let sum = due.fold(Due::default(), Due::plus);
        let of = if what == "on_time" { sum.on_time } else { sum.complete };
        (sum.due > 0).then(|| Aggregates::Share { of: of.into(), out_of: sum.due.into() })
    }

    /// Boards that came back, contracts that ended, data and sessions, by the time devices were
    /// there.
    fn quotient(&self, what: &str, window: Duration) -> Option<Aggregates> {
        let fleet = Fleet::of(self.picture, (self.tenant, self.found), self.by_day);
        let window = Window { from: self.now - window, to: self.now };
        let measured = fleet.measured(&format!("fleet.{what}"), window)?;
        Some(Aggregates::Quotient { of: measured.sum, by: measured.by })
    }

    /// Alarms raised in the window, for each device and month, or the share without a verdict.
    fn alarms(
        &self,
        what: &str,
        (devices, window): (&[&DeviceTwin], Duration),
    ) -> Option<Aggregates> {
        let ids: BTreeSet<DeviceId> = devices.iter().map(|twin| twin.id).collect();
        let since = self.now - window;
        let of_window = |alarm: &&Alarm| {
            (since..=self.now).contains(&alarm.raised_log) && ids.contains(&alarm.device)
        };
        let alarms = self.picture.alarms.newest_first(self.tenant).map(AsRef::as_ref);
        let alarms: Vec<&Alarm> = alarms.filter(of_window).collect();
        let verdict = |alarm: &&&Alarm| alarm.verdict.as_ref().map(|signed| signed.what);
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        if what == "unjudged_alarms" {
            let open = alarms.iter().filter(|alarm| verdict(alarm).is_none()).count();
            let (of, out_of) = (number(open), number(alarms.len()));
            return (out_of > 0).then_some(Aggregates::Share { of, out_of });
        }
        let count = match what {
            "false_alarms" => {
                alarms.iter().filter(|alarm| verdict(alarm) == Some(Verdict::False)).count()
            }
            _ => alarms.len(),
        };
        let months = self.device_months(devices, window);
        #[expect(clippy::cast_precision_loss, reason = "alarms kept are far below 2^53")]
        let of = count as f64;
        (months > 0.0).then_some(Aggregates::Quotient { of, by: months })
    }

    /// How long the devices were there in the window; a device is there from its record on.
    fn device_months(&self, devices: &[&DeviceTwin], window: Duration) -> f64 {
        let there = |twin: &&DeviceTwin| self.now.since(twin.id.time()).max(THERE_MIN).min(window);
        let months = |there: Duration| there.as_secs_f64() / MONTH.as_secs_f64();
        devices.iter().map(|twin| months(there(twin))).sum()
    }

    /// Twice the shortest interval of a device's kind.
    fn patience(&self, twin: &DeviceTwin) -> Duration {
        let kind = self.found.blueprint.kinds.get(&twin.kind);
        let every = kind.and_then(|kind| kind.readings.values().filter_map(|p| p.every).min());
        every.map_or(Duration::MAX, |every| every * SILENT_INTERVALS)
    }

    /// Of the newest closed month: what a device leaves in a month.
    fn of_economics(&self, what: &str) -> Option<Figure> {
        let economics = self.economics?;
        let figure = economics.figure(what)?;
        Some(Figure {
            aggregates: figure.aggregates,
            basis: figure.basis,
            at: economics.until?.min(self.now),
            offset: economics.offset,
            revision: economics.revision,
        })
    }

    /// Trials over what people believe are computed; without any evidence they are only assumed.
    fn of_case(&self, path: &str) -> Option<Figure> {
        let path = if path == "npv.positive" { "npv.above_zero" } else { path };
        let value = self.case?.metric(path)?;
        let any = self.pieces.iter().any(|piece| piece.content.withdrawn.is_none());
        let basis = if any { Basis::Computed } else { Basis::Assumed };
        Some(self.made(Aggregates::Value(value), basis))
    }
}
