//! Forecasts: frozen before their month begins, compared when it is over, scored for ever.
//!
//! *Invariant:* a forecast is written once, by one person for one month, before that month; what
//! came is added by the server after it, and nothing else of it ever changes.

mod shown;

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use bizcase::{Distribution, Run};
use identity::Action;
use jiff::ToSpan as _;
use jiff::civil::Date;
use model::{ErrorKind, TenantId, Timestamp};
use registry::content::{ClosedContent, CostKind, ForecastContent, ForecastItem};
use registry::{Expect, Kind, RecordRow};
use serde::Deserialize;
use venture::experiment::{ExperimentState, distribution, state_of, state_of_value, unit_of};
use venture::forecast::percentiles;
use venture::measure::Window;

use self::shown::{ForecastJson, ForecastsJson, forecast_json, scored};
use crate::actual::{Meeting, Paid, kind_of, month_of, month_text, window_of};
use crate::app::App;
use crate::caller::Caller;
use crate::case::Trials;
use crate::evidence::{Piece, owned, pieces};
use crate::extract::Body;
use crate::gates::name_of;
use crate::problem::Problem;
use crate::ventures::in_force;
use crate::write::{applied, key, put};

/// Trials behind a frozen forecast.
const TRIALS: u32 = 10_000;
/// What is forecast of the fleet's size.
const INSTALLED: &str = "installed";
/// So many days before a month the server freezes what the case says, if nobody did.
pub(crate) const FREEZE_DAYS: i64 = 7;
/// So many days after a month its forecast waits for what was paid in it to be recorded.
const BILLS_DAYS: u64 = 45;

/// What somebody expects.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewForecast {
    /// `2026-12`; the next month if left out. A month that has begun is refused.
    month: Option<String>,
    /// What the person expects instead of what the case says.
    #[serde(default)]
    own: Vec<Own>,
}

/// One figure that a person expects otherwise.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Own {
    /// An input of the case that names its figure, `installed`, or `assumption.NAME`.
    what: String,
    /// A 90 % range, such as `1 to 2 %/month`.
    range: Option<String>,
    /// That an assumption will turn out to hold, 0 to 1.
    probability: Option<f64>,
}

/// Freezes what is expected of a month.
#[utoipa::path(post, path = "/ventures/{venture}/forecasts", tag = "ventures",
    params(("venture" = String, Path, description = "name"), Trials), request_body = NewForecast,
    responses((status = 201, body = ForecastJson), (status = "default", body = Problem)))]
pub(crate) async fn add(
    State(app): State<App>,
    caller: Caller,
    Path(venture): Path<String>,
    Body(asked): Body<NewForecast>,
) -> Result<(StatusCode, Json<ForecastJson>), Problem> {
    let tenant = caller.may(Action::RecordEvidence)?;
    let meeting = Meeting::of(&app, tenant, &venture).await?;
    let month = month(asked.month.as_deref(), meeting.now)?;
    let by = name_of(&app, tenant, &caller.actor()).await?;
    let content = frozen(&meeting, (month, by), &asked.own).await?;
    let id = record_id(&content, &caller.actor());
    let record = key(tenant, Kind::Forecast, &id);
    let written = put(&app, record, &content, &caller.actor(), Expect::New).await;
    let written = written.map_err(|problem| {
        let month = &content.month;
        problem.fix(format!("your forecast of {month} is frozen: it is scored when it is over"))
    })?;
    applied(&app, written.seq).await?;
    let json = forecast_json(&id, &content, &BTreeMap::new());
    Ok((StatusCode::CREATED, Json(json)))
}

fn record_id(content: &ForecastContent, actor: &str) -> String {
    format!("{}.{}.{actor}", content.venture, content.month)
}

/// The month asked for, which has not begun.
fn month(asked: Option<&str>, now: Timestamp) -> Result<Date, Problem> {
    let this = month_of(now).ok_or_else(|| Problem::invalid("/month", "no month"))?;
    let next = this.checked_add(1.month()).unwrap_or(this);
    let Some(text) = asked else { return Ok(next) };
    let month: Date = format!("{text}-01")
        .parse()
        .map_err(|_| Problem::invalid("/month", format!("{text:?} is no month")).fix("2026-12"))?;
    if month < next {
        let message = format!("{text} has begun: a forecast is made before its month");
        return Err(Problem::invalid("/month", message).fix(month_text(next)));
    }
    Ok(month)
}

/// What the case says of a month, or what the person says instead.
async fn frozen(
    meeting: &Meeting,
    (month, by): (Date, String),
    own: &[Own],
) -> Result<ForecastContent, Problem> {
    let run = Run { trials: TRIALS, seed: 1, threads: 1 };
    let mut items = inputs(meeting)?;
    let number = number_of(meeting, month);
    let case = meeting.case.clone();
    let made = tokio::task::spawn_blocking(move || case.installed(run, &[number])).await;
    let made = made.map_err(|error| Problem::from_kind(ErrorKind::Internal, &error))?;
    let made = made.map_err(|error| Problem::from_kind(error.kind(), &error))?;
    if let Some(trials) = made.first().filter(|trials| !trials.is_empty()) {
        let made = Distribution::empirical(trials);
        let made = made.map_err(|error| Problem::from_kind(error.kind(), &error))?;
        items.push(item((INSTALLED, None), ("device", "guess"), &made));
    }
    items.extend(assumptions(meeting));
    for (n, own) in own.iter().enumerate() {
        overrule(&mut items, own)
            .map_err(|message| Problem::invalid(&format!("/own/{n}"), message))?;
    }
    Ok(ForecastContent {
        venture: meeting.found.blueprint.venture.clone(),
        month: month_text(month),
        by,
        at: meeting.now,
        revision: meeting.found.revision,
        trials: run.trials,
        seed: run.seed,
        offset: meeting.picture.offset.0,
        items,
        closed: None,
    })
}

/// The number of a calendar month in the case; a fleet that is not there yet begins with it.
fn number_of(meeting: &Meeting, month: Date) -> u32 {
    let months = meeting.months();
    let Some(last) = months.last() else { return 1 };
    let apart = (i32::from(month.year()) - i32::from(last.first.year())) * 12
        + i32::from(month.month())
        - i32::from(last.first.month());
    last.number + u32::try_from(apart).unwrap_or(0)
}

fn item(
    (what, metric): (&str, Option<&str>),
    (unit, kind): (&str, &str),
    expected: &Distribution,
) -> ForecastItem {
    ForecastItem {
        what: what.to_owned(),
        metric: metric.map(str::to_owned),
        unit: unit.to_owned(),
        kind: kind.to_owned(),
        percentiles: percentiles(expected),
        probability: None,
    }
}

fn inputs(meeting: &Meeting) -> Result<Vec<ForecastItem>, Problem> {
    let mut items = Vec::new();
    for binding in &meeting.case.bindings {
        let Some(variable) = meeting.case.variables.get(binding.slot) else { continue };
        let Some(plan) = meeting.case.forecast(binding.slot) else { continue };
        // What the fleet has said so far is part of what is expected.
        let known = meeting.so_far(&variable.name, &binding.metric);
        let (expected, kind) = match known {
            Some(known) => (venture::learn::learn(&plan, known.outcome)?.value, "measure"),
            None => (plan, "guess"),
        };
        let names = (variable.name.as_str(), Some(binding.metric.as_str()));
        items.push(item(names, (&variable.unit.to_string(), kind), &expected));
    }
    Ok(items)
}

fn assumptions(meeting: &Meeting) -> Vec<ForecastItem> {
    let blueprint = &meeting.found.blueprint;
    let pieces = pieces(&meeting.picture, meeting.tenant, &blueprint.venture);
    let of = |name: &model::Name| {
        let belief = crate::evidence::belief(blueprint, name, &pieces, meeting.now).ok()?;
        // What is settled is no forecast any more.
        if outcome(blueprint, name, &pieces).is_some() {
            return None;
        }
        let mine = pieces
            .iter()
            .filter(|piece| piece.content.assumption == *name && piece.content.withdrawn.is_none());
        let order = ["say", "do", "pay", "build", "measure"];
        let strength = |kind: &str| order.iter().position(|known| *known == kind);
        let strongest = mine.map(|piece| piece.content.kind.as_str()).max_by_key(|k| strength(k));
        Some(ForecastItem {
            what: format!("assumption.{name}"),
            metric: None,
            unit: String::new(),
            kind: strongest.unwrap_or("guess").to_owned(),
            percentiles: Vec::new(),
            probability: Some(belief.probability),
        })
    };
    blueprint.assumptions.keys().filter_map(of).collect()
}

/// Whether an assumption turned out to hold: 1, or not: 0; none while nobody knows.
fn outcome(blueprint: &blueprint::Blueprint, name: &model::Name, pieces: &[Piece]) -> Option<f64> {
    let assumption = blueprint.assumptions.get(name)?;
    let unit = unit_of(assumption);
    let tests = blueprint.experiments.iter().filter(|(_, test)| test.tests == *name);
    let states: Vec<ExperimentState> = tests
        .map(|(name, test)| match crate::evidence::tally(name, pieces) {
            (_, _, Some(value)) => state_of_value(test, value, &unit),
            (of, out_of, None) => state_of(test, of, out_of),
        })
        .collect();
    if states.contains(&ExperimentState::Killed) {
        return Some(0.0);
    }
    states.contains(&ExperimentState::Passed).then_some(1.0)
}

/// Puts what a person expects in the place of what the case says.
fn overrule(items: &mut [ForecastItem], own: &Own) -> Result<(), String> {
    let known: Vec<String> = items.iter().map(|item| item.what.clone()).collect();
    let Some(item) = items.iter_mut().find(|item| item.what == own.what) else {
        return Err(format!("nothing is forecast of {:?}: use {}", own.what, known.join(", ")));
    };
    match (&own.range, own.probability, item.probability) {
        (None, Some(p), Some(_)) if (0.0..=1.0).contains(&p) => item.probability = Some(p),
        (None, Some(p), Some(_)) => return Err(format!("{p} is not between 0 and 1")),
        (Some(range), None, None) => {
            let unit = expr::Unit::parse(if item.unit.is_empty() { "1" } else { &item.unit });
            let unit = unit.map_err(|error| error.to_string())?;
            let spread = expr::Spread::parse(range).map_err(|error| error.to_string())?;
            if !spread.unit.is_like(&unit) {
                return Err(format!("the range is in {}, not {}", spread.unit.shown(), item.unit));
            }
            let made = distribution(&spread, &unit).map_err(|error| error.to_string())?;
            item.percentiles = percentiles(&made);
        }
        (_, _, Some(_)) => return Err("give probability, 0 to 1".to_owned()),
        (_, _, None) => return Err("give range, such as \"1 to 2 %/month\"".to_owned()),
    }
    item.kind = "guess".to_owned();
    Ok(())
}

/// Forecasts of a venture, and how those did whose month is over.
#[utoipa::path(get, path = "/ventures/{venture}/forecasts", tag = "ventures",
    params(("venture" = String, Path, description = "name")),
    responses((status = 200, body = ForecastsJson), (status = "default", body = Problem)))]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    Path(venture): Path<String>,
) -> Result<Json<ForecastsJson>, Problem> {
    let tenant = caller.may(Action::Read)?;
    let picture = app.shard.picture();
    let found = in_force(&picture, tenant, &venture)?;
    let known = pieces(&picture, tenant, &found.blueprint.venture);
    let settled: BTreeMap<String, f64> = found
        .blueprint
        .assumptions
        .keys()
        .filter_map(|name| {
            let outcome = outcome(&found.blueprint, name, &known)?;
            Some((format!("assumption.{name}"), outcome))
        })
        .collect();
    let rows = owned(&app, tenant, (Kind::Forecast, venture.as_str())).await?;
    let mut kept = Vec::new();
    for row in &rows {
        kept.push((row.id.clone(), row.content::<ForecastContent>()?));
    }
    Ok(Json(scored(&kept, &settled)?))
}

/// Compares what is over and freezes what is about to begin; how many of each.
pub(crate) async fn settle(
    app: &App,
    tenant: TenantId,
    venture: &str,
) -> Result<(usize, usize), Problem> {
    let rows = owned(app, tenant, (Kind::Forecast, venture)).await?;
    let now = app.clock.now();
    let mut due = Vec::new();
    for row in &rows {
        let content: ForecastContent = row.content()?;
        let first = format!("{}-01", content.month).parse::<Date>().ok();
        let window = first.and_then(window_of).filter(|window| window.is_over(now));
        let Some(window) = window.filter(|_| content.closed.is_none()) else { continue };
        if !awaits(app, (tenant, venture), (&content, window)).await? {
            due.push((row, content, window));
        }
    }
    let compared = due.len();
    if !due.is_empty() {
        let meeting = Meeting::of(app, tenant, venture).await?;
        for (row, content, window) in due {
            close(app, (tenant, &meeting), (row, content, window)).await?;
        }
    }
    let frozen = freeze(app, tenant, (venture, &rows)).await?;
    Ok((compared, frozen))
}

/// Whether a forecast still waits for what was paid: bills of a month come after it.
async fn awaits(
    app: &App,
    (tenant, venture): (TenantId, &str),
    (content, window): (&ForecastContent, Window),
) -> Result<bool, Problem> {
    let metrics = || content.items.iter().filter_map(|item| item.metric.as_deref());
    let kinds: Vec<CostKind> = metrics().filter_map(kind_of).collect();
    let patience = Duration::from_secs(BILLS_DAYS * 86_400);
    if kinds.is_empty() || app.clock.now() >= window.to + patience {
        return Ok(false);
    }
    let found = in_force(&app.shard.picture(), tenant, venture)?;
    let paid = Paid::of(app, (tenant, &found), metrics()).await?;
    let Some(month) = month_of(window.from) else { return Ok(false) };
    Ok(kinds.into_iter().any(|kind| !paid.has(kind, month)))
}

async fn close(
    app: &App,
    (tenant, meeting): (TenantId, &Meeting),
    (row, mut content, window): (&RecordRow, ForecastContent, Window),
) -> Result<(), Problem> {
    let fleet = meeting.fleet();
    let actual = |item: &ForecastItem| match &item.metric {
        Some(metric) => meeting.said((&item.what, metric), window).map(|m| m.value),
        None if item.what == INSTALLED => Some(fleet.in_use(window.to)),
        None => None,
    };
    let known = content.items.iter().filter_map(|item| Some((item.what.clone(), actual(item)?)));
    content.closed = Some(ClosedContent {
        at: meeting.now,
        offset: meeting.picture.offset.0,
        actuals: known.collect(),
    });
    let record = key(tenant, Kind::Forecast, &row.id);
    let expect = Expect::Revision(row.revision);
    let written = put(app, record, &content, crate::measure::SERVER, expect).await?;
    applied(app, written.seq).await?;
    Ok(())
}

/// Freezes what the case says of the next month in its author's name, if they did not themselves.
async fn freeze(
    app: &App,
    tenant: TenantId,
    (venture, rows): (&str, &[RecordRow]),
) -> Result<usize, Problem> {
    let now = app.clock.now();
    let Some(next) = month_of(now).and_then(|month| month.checked_add(1.month()).ok()) else {
        return Ok(0);
    };
    let day = 86_400_000;
    let soon = window_of(next)
        .is_some_and(|window| window.from.as_millis() - now.as_millis() <= FREEZE_DAYS * day);
    let record = key(tenant, Kind::Blueprint, venture);
    let Some(author) = app.registry.get(record).await?.map(|row| row.actor) else { return Ok(0) };
    let id = format!("{venture}.{}.{author}", month_text(next));
    if !soon || rows.iter().any(|row| row.id == id) {
        return Ok(0);
    }
    let meeting = Meeting::of(app, tenant, venture).await?;
    // Without a device there is no month of the case yet.
    if meeting.fleet().began().is_none() {
        return Ok(0);
    }
    let by = name_of(app, tenant, &author).await?;
    let content = frozen(&meeting, (next, by), &[]).await?;
    let written =
        put(app, key(tenant, Kind::Forecast, &id), &content, crate::measure::SERVER, Expect::New)
            .await?;
    applied(app, written.seq).await?;
    Ok(1)
}
