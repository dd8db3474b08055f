//! What a corrected reading moves beside money: open forecasts and alarms.
//!
//! *Invariant:* nothing is written. A forecast stays as it was frozen; what moves is what came of
//! its month so far. Alarms are judged by the fold that judges live readings, over the same
//! readings twice, one time with the correction.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use billing::zone::Period;
use model::{DeviceId, Name, TenantId, Timestamp, Value};
use registry::Kind;
use registry::content::{ForecastContent, ForecastItem};
use serde::Serialize;
use twin::DeviceTwin;
use venture::measure::Window;

use crate::actual::{Meeting, window_of};
use crate::alarms::{Raised, Said, raised_by};
use crate::app::App;
use crate::code;
use crate::evidence::owned;
use crate::kept::DayKept;
use crate::money::rating::Corrected;
use crate::money::{KeptReading, Wanted};
use crate::problem::Problem;
use crate::ventures::in_force;

/// What is looked at before a reading: windows of rules reach back.
const ALARMS_BEFORE: Duration = Duration::from_secs(2 * 86_400);
/// What is looked at after it.
const ALARMS_AFTER: Duration = Duration::from_secs(2 * 86_400);
/// Readings of one device and its links that are judged.
const READINGS_MAX: usize = 1_000_000;
const DAY_MS: i64 = 86_400_000;

/// One figure of an open forecast that moves.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct MovedForecast {
    /// Id of the forecast.
    forecast: String,
    by: String,
    month: String,
    what: String,
    metric: String,
    unit: String,
    /// What came of the month so far.
    before: Option<f64>,
    after: Option<f64>,
    /// 10th percentile, median, 90th percentile of what was expected.
    expected: Option<[f64; 3]>,
    /// Whether what came lies between the 10th and the 90th percentile.
    covered_before: Option<bool>,
    covered_after: Option<bool>,
}

/// One alarm that there would be, or would not.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct MovedAlarm {
    rule: String,
    device: String,
    #[schema(value_type = String)]
    time: Timestamp,
    /// `raised` or `vanishes`.
    what: &'static str,
    why: String,
}

/// What is asked of a device.
#[derive(Clone, Copy)]
pub(super) struct Around<'a> {
    pub(super) app: &'a App,
    pub(super) tenant: TenantId,
    pub(super) twin: &'a DeviceTwin,
    pub(super) corrected: &'a Corrected,
}

impl Around<'_> {
    fn wanted(&self, twin: &DeviceTwin, property: Option<Name>, span: Period) -> Wanted {
        Wanted {
            tenant: self.tenant,
            venture: twin.venture.clone(),
            kind: twin.kind.clone(),
            device: twin.id,
            property,
            from: span.from,
            to: span.to,
        }
    }

    async fn readings(&self, wanted: Wanted) -> Result<Vec<KeptReading>, Problem> {
        let readings = self.app.facts.readings.clone();
        let work = move || {
            let mut found = Vec::new();
            (readings.0)(&wanted, &mut |reading| {
                if found.len() <= READINGS_MAX {
                    found.push(reading);
                }
            })
            .map(|()| found)
        };
        let done = tokio::task::spawn_blocking(work).await;
        let told = done.map_err(|error| Problem::from_kind(model::ErrorKind::Internal, &error))?;
        let found =
            told.map_err(|why| Problem::new(code::UNAVAILABLE, format!("readings: {why}")))?;
        if found.len() > READINGS_MAX {
            let what = format!("more than READINGS_MAX = {READINGS_MAX} readings around it");
            return Err(Problem::new(code::TOO_LARGE, what));
        }
        Ok(found)
    }

    /// Figures of open forecasts that are made of the reading.
    pub(super) async fn forecasts(&self) -> Result<Vec<MovedForecast>, Problem> {
        let venture = self.twin.venture.as_str();
        let found = in_force(&self.app.shard.picture(), self.tenant, venture)?;
        let rows = owned(self.app, self.tenant, (Kind::Forecast, venture)).await?;
        let mut open: Vec<(String, ForecastContent, Window)> = Vec::new();
        for row in &rows {
            let content: ForecastContent = row.content()?;
            let first = format!("{}-01", content.month).parse::<jiff::civil::Date>();
            let window = first.ok().and_then(window_of);
            let time = self.corrected.time;
            let window = window.filter(|window| window.from <= time && time < window.to);
            if let Some(window) = window.filter(|_| content.closed.is_none()) {
                open.push((row.id.clone(), content, window));
            }
        }
        if open.is_empty() || found.blueprint.case.is_none() {
            return Ok(Vec::new());
        }
        let mut meeting = Meeting::of(self.app, self.tenant, venture).await?;
        let items = open.iter().flat_map(|(_, content, _)| &content.items);
        for metric in items.filter_map(|item| item.metric.as_ref()) {
            meeting.read.add(&found.blueprint.kinds, metric);
        }
        let before = self.figures(&meeting, &open);
        let day = self.day().await?;
        self.correct(&mut meeting, &open, day);
        let after = self.figures(&meeting, &open);
        let mut moved = Vec::new();
        for ((id, content, _), (before, after)) in open.iter().zip(before.iter().zip(&after)) {
            for item in &content.items {
                let Some(metric) = &item.metric else { continue };
                let (before, after) = (before.get(metric), after.get(metric));
                if before == after {
                    continue;
                }
                moved.push(forecast((id, content), (item, metric), (before, after)));
            }
        }
        Ok(moved)
    }

    /// Whether a figure is made of readings like this one.
    fn reads(&self, meeting: &Meeting, metric: &str) -> bool {
        meeting.read.is_of(metric, (&self.twin.kind, &self.corrected.property))
    }

    fn figures(
        &self,
        meeting: &Meeting,
        open: &[(String, ForecastContent, Window)],
    ) -> Vec<BTreeMap<String, f64>> {
        let of = |(_, content, window): &(String, ForecastContent, Window)| {
            let window = Window { from: window.from, to: window.to.min(meeting.now) };
            let figure = |item: &ForecastItem| {
                let metric = item.metric.as_ref().filter(|metric| self.reads(meeting, metric))?;
                Some((metric.clone(), meeting.said((&item.what, metric), window)?.value))
            };
            content.items.iter().filter_map(figure).collect()
        };
        open.iter().map(of).collect()
    }

    /// What the day of the reading (UTC) would say of the property.
    async fn day(&self) -> Result<Option<DayKept>, Problem> {
        let from = self.corrected.time.as_millis().div_euclid(DAY_MS) * DAY_MS;
        let at = Timestamp::from_millis;
        let span = Period { from: at(from), to: at(from + DAY_MS) };
        let property = self.corrected.property.clone();
        let found = self.readings(self.wanted(self.twin, Some(property), span)).await?;
        let mut values: BTreeMap<Timestamp, f64> = BTreeMap::new();
        for reading in found {
            if let Value::Number(value) = reading.value {
                values.insert(reading.time, value);
            }
        }
        match self.corrected.value {
            Some(Value::Number(value)) => {
                values.insert(self.corrected.time, value);
            }
            Some(_) | None => {
                values.remove(&self.corrected.time);
            }
        }
        let all = || values.values().copied();
        let (Some(first), Some(last)) = (all().next(), all().next_back()) else { return Ok(None) };
        Ok(Some(DayKept {
            day: 0,
            count: u64::try_from(values.len()).unwrap_or(u64::MAX),
            min: all().fold(f64::INFINITY, f64::min),
            max: all().fold(f64::NEG_INFINITY, f64::max),
            sum: all().sum(),
            first,
            last,
        }))
    }

    /// Puts the corrected day in the place of the one that is kept.
    fn correct(
        &self,
        meeting: &mut Meeting,
        open: &[(String, ForecastContent, Window)],
        day: Option<DayKept>,
    ) {
        let number = self.corrected.time.as_millis().div_euclid(DAY_MS);
        let items = open.iter().flat_map(|(_, content, _)| &content.items);
        let metrics = items.filter_map(|item| item.metric.clone());
        let metrics: BTreeSet<String> =
            metrics.filter(|metric| self.reads(meeting, metric)).collect();
        for metric in metrics {
            let Some(days) = meeting.read.days_mut(&metric, self.twin.id) else { continue };
            days.retain(|(known, _)| *known != number);
            days.extend(day.map(|day| (number, day)));
            days.sort_by_key(|(known, _)| *known);
        }
    }

    /// Alarms that there would be, or would not, within days of the reading.
    pub(super) async fn alarms(&self) -> Result<Vec<MovedAlarm>, Problem> {
        let picture = self.app.shard.picture();
        let found = in_force(&picture, self.tenant, self.twin.venture.as_str())?;
        if found.blueprint.alarms.is_empty() {
            return Ok(Vec::new());
        }
        let to = (self.corrected.time + ALARMS_AFTER).min(self.app.clock.now());
        let span = Period { from: self.corrected.time - ALARMS_BEFORE, to };
        let mut said: BTreeMap<(Timestamp, DeviceId), Vec<(Name, Value)>> = BTreeMap::new();
        let mut near: BTreeSet<DeviceId> = self.twin.links.values().copied().collect();
        near.insert(self.twin.id);
        for device in near {
            let Some(twin) = picture.twins.get(self.tenant, device) else { continue };
            for reading in self.readings(self.wanted(twin, None, span)).await? {
                let values = said.entry((reading.time, device)).or_default();
                values.push((reading.property, reading.value));
            }
        }
        let mut other = said.clone();
        let own = other.entry((self.corrected.time, self.twin.id)).or_default();
        own.retain(|(property, _)| *property != self.corrected.property);
        own.extend(self.corrected.value.clone().map(|v| (self.corrected.property.clone(), v)));
        let (blueprint, tenant, clock) =
            (found.blueprint.clone(), self.tenant, Arc::clone(&self.app.clock));
        let work = move || {
            let judge = |said| {
                let picture = Arc::clone(&picture);
                raised_by((blueprint.clone(), picture, tenant), rows(said), (to, &clock))
            };
            Ok::<_, String>((judge(said)?, judge(other)?))
        };
        let done = tokio::task::spawn_blocking(work).await;
        let done = done.map_err(|error| Problem::from_kind(model::ErrorKind::Internal, &error))?;
        let (before, after) =
            done.map_err(|why| Problem::new(code::UNAVAILABLE, format!("rules: {why}")))?;
        Ok(difference(&before, &after))
    }
}

fn rows(said: BTreeMap<(Timestamp, DeviceId), Vec<(Name, Value)>>) -> Vec<Said> {
    let row = |((time, device), values)| Said { time, device, values };
    said.into_iter().filter(|(_, values)| !values.is_empty()).map(row).collect()
}

fn difference(before: &[Raised], after: &[Raised]) -> Vec<MovedAlarm> {
    let key = |raised: &Raised| (raised.rule.clone(), raised.device.clone(), raised.time);
    let only = |these: &[Raised], those: &[Raised], what: &'static str| {
        let known: BTreeSet<_> = those.iter().map(key).collect();
        let moved = these.iter().filter(|raised| !known.contains(&key(raised)));
        let shown = |raised: &Raised| MovedAlarm {
            rule: raised.rule.to_string(),
            device: raised.device.clone(),
            time: raised.time,
            what,
            why: raised.why.clone(),
        };
        moved.map(shown).collect::<Vec<_>>()
    };
    let mut all = only(after, before, "raised");
    all.extend(only(before, after, "vanishes"));
    all.sort_by(|a, b| (a.time, &a.rule, a.what).cmp(&(b.time, &b.rule, b.what)));
    all
}

fn forecast(
    (id, content): (&str, &ForecastContent),
    (item, metric): (&ForecastItem, &str),
    (before, after): (Option<&f64>, Option<&f64>),
) -> MovedForecast {
    let made = bizcase::Distribution::empirical(&item.percentiles).ok();
    let expected = made.map(|d| [0.1, 0.5, 0.9].map(|p| d.quantile(p)));
    let covered = |value: Option<&f64>| {
        let ([low, _, high], value) = (expected?, *value?);
        Some(low <= value && value <= high)
    };
    MovedForecast {
        forecast: id.to_owned(),
        by: content.by.clone(),
        month: content.month.clone(),
        what: item.what.clone(),
        metric: metric.to_owned(),
        unit: item.unit.clone(),
        before: before.copied(),
        after: after.copied(),
        expected,
        covered_before: covered(before),
        covered_after: covered(after),
    }
}
