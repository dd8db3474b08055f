//! One property of one device by day.
//!
//! *Invariant:* a day is a calendar day of the place: of the device's site, or of its venture where
//! it has none; a day of a change of clocks has 23 or 25 hours.

use axum::Json;
use axum::extract::{Path, State};
use identity::Action;
use jiff::ToSpan as _;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use model::{Name, Timestamp};
use pipeline::Picture;
use serde::{Deserialize, Serialize};
use twin::DeviceTwin;

use crate::app::App;
use crate::caller::Caller;
use crate::devices::find;
use crate::extract::Params;
use crate::json::Look;
use crate::kept::{DayKept, DaysAsked, KindOf, Unkept, ask};
use crate::problem::Problem;

/// Days of an answer, at most.
const DAYS_MAX: usize = 3_660;
/// Days when nothing is asked.
const DAYS_DEFAULT: i64 = 30;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
pub(crate) struct DaysQuery {
    /// A reading of the device: a number or a boolean.
    property: String,
    /// First day, `2026-11-01`; default: 30 days before `to`.
    from: Option<String>,
    /// Last day; default: today.
    to: Option<String>,
}

/// Aggregates by day; days without values are left out.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct DaysJson {
    property: String,
    unit: Option<String>,
    /// Whose calendar it is.
    timezone: String,
    days: Vec<DayJson>,
    /// `history`: what is kept for good, readings that are not in a file yet included.
    source: &'static str,
    /// The last frame it contains.
    offset: u64,
}

/// One day.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct DayJson {
    /// Such as `2026-11-29`.
    day: String,
    count: u64,
    min: f64,
    max: f64,
    mean: f64,
    first: f64,
    last: f64,
}

/// Aggregates of a property for each calendar day.
#[utoipa::path(get, path = "/devices/{device}/days", tag = "devices",
    params(("device" = String, Path, description = "id or name"), DaysQuery),
    responses((status = 200, body = DaysJson), (status = "default", body = Problem)))]
pub(crate) async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(device): Path<String>,
    Params(query): Params<DaysQuery>,
) -> Result<Json<DaysJson>, Problem> {
    let tenant = caller.may(Action::Read)?;
    let picture = app.shard.picture();
    let twin = find(&picture, tenant, &device)?;
    let name = query.property.parse::<Name>();
    let name = name.map_err(|error| Problem::invalid("property", error.to_string()))?;
    let look = Look { picture: &picture, twin: &twin, now: app.clock.now() };
    let known = look.in_force().and_then(|found| found.blueprint.kinds.get(&twin.kind));
    if !known.is_some_and(|kind| kind.readings.contains_key(&name)) {
        let message = format!("device kind {} has no reading {name}", twin.kind);
        return Err(Problem::invalid("property", message));
    }
    let timezone = timezone(&picture, &twin);
    let zone = TimeZone::get(&timezone).unwrap_or(TimeZone::UTC);
    let dates = dates(&query, &zone, look.now)?;
    let bounds = dates.iter().map(|date| start(*date, &zone)).collect::<Result<Vec<_>, _>>()?;
    let asked =
        DaysAsked { of: KindOf::of(&twin), device: twin.id, property: name.clone(), bounds };
    let days = match ask(&app, move |history| history.days(&asked)).await? {
        Ok(days) => days,
        Err(Unkept::Nothing) => Vec::new(),
        Err(unkept) => return Err(unkept.problem(&twin.name)),
    };
    Ok(Json(DaysJson {
        unit: look.unit(&name),
        property: query.property,
        timezone,
        days: days.iter().filter_map(|day| json(&dates, day)).collect(),
        source: "history",
        offset: app.facts.history.health().offset.0,
    }))
}

fn timezone(picture: &Picture, twin: &DeviceTwin) -> String {
    let site = twin.site.and_then(|site| picture.catalog.site(twin.tenant, site));
    let venture = || picture.catalog.newest(twin.tenant, &twin.venture);
    site.map(|site| site.timezone.clone())
        .or_else(|| venture().map(|found| found.blueprint.timezone.clone()))
        .unwrap_or_else(|| "UTC".to_owned())
}

/// The days, and the one after them.
fn dates(query: &DaysQuery, zone: &TimeZone, now: Timestamp) -> Result<Vec<Date>, Problem> {
    let read = |place: &str, text: &str| {
        let date = text.parse::<Date>();
        date.map_err(|_| Problem::invalid(place, format!("{text:?} is no day such as 2026-11-29")))
    };
    let today = jiff::Timestamp::from_millisecond(now.as_millis());
    let today = today.map(|now| zone.to_datetime(now).date());
    let today = today.map_err(|error| Problem::invalid("to", error.to_string()))?;
    let to = query.to.as_deref().map_or(Ok(today), |text| read("to", text))?;
    let before = to.saturating_sub((DAYS_DEFAULT - 1).days());
    let from = query.from.as_deref().map_or(Ok(before), |text| read("from", text))?;
    if from > to {
        return Err(Problem::invalid("from", format!("{from} is after {to}")));
    }
    let dates: Vec<Date> = from.series(1.day()).take_while(|date| *date <= to).collect();
    if dates.len() > DAYS_MAX {
        let message = format!("{} days, at most {DAYS_MAX} are told at once", dates.len());
        return Err(Problem::invalid("from", message));
    }
    let after = to.tomorrow().map_err(|error| Problem::invalid("to", error.to_string()))?;
    Ok(dates.into_iter().chain([after]).collect())
}

/// The first instant of a day: midnight, or where the clocks skip it, the instant after.
fn start(date: Date, zone: &TimeZone) -> Result<Timestamp, Problem> {
    let midnight = date.to_zoned_datetime(zone.clone());
    let midnight = midnight.map_err(|error| Problem::invalid("from", error.to_string()))?;
    Ok(Timestamp::from_millis(midnight.timestamp().as_millisecond()))
}

fn json(dates: &[Date], kept: &DayKept) -> Option<DayJson> {
    #[expect(clippy::cast_precision_loss, reason = "a day has no 2^53 readings")]
    let mean = kept.sum / kept.count as f64;
    Some(DayJson {
        day: dates.get(kept.day)?.to_string(),
        count: kept.count,
        min: kept.min,
        max: kept.max,
        mean,
        first: kept.first,
        last: kept.last,
    })
}
